"""Everything that touches the outside: HTTP, storage, the command line, jobs."""
