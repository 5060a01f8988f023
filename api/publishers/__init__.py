"""Publishers: how an approved price gets to where shoppers see it. See ``docs/publishing.md``."""
