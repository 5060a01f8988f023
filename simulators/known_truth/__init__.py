"""Worlds whose truth is known, as docs/worlds.md specifies them; nothing that is fitted may read this."""
