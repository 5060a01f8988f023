"""The session itself."""

from __future__ import annotations

from simulators.contract.engine import open_engine


def test_long_queries_draw_nothing_on_standard_output() -> None:
    """A bar of DuckDB's own would stand in the middle of what a command prints with --json."""
    with open_engine() as engine:
        assert engine.row("SELECT current_setting('enable_progress_bar')") == (False,)
