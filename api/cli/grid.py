"""Tables on a terminal, all in one manner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

__all__ = ["grid"]


def grid(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()
) -> Table:
    """Return a table; columns `right` hold numbers: they are aligned right and never broken."""
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=box.SIMPLE_HEAD
    )
    for place, name in enumerate(header):
        number = place in right
        least = 8 if place == 0 or place == len(header) - 1 else None
        table.add_column(
            name, justify="right" if number else "left", no_wrap=number, overflow="fold", min_width=least
        )
    for row in rows:
        table.add_row(*row)
    return table
