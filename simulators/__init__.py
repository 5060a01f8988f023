"""Tables in, demand models and markets out: reading, checking, fitting, worlds, validation."""
