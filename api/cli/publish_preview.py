"""What publishing would do, as a table that a person can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.cli.grid import grid
from api.cli.session import Outcome

if TYPE_CHECKING:
    from api.publishers.changes import Line, Preview, Tag
    from api.texts import Texts
    from pricing.money import Currency

__all__ = ["previewed"]


def previewed(preview: Preview, money: Currency, texts: Texts) -> Outcome:
    """Return the lines of a dry run, and how many of them would change something."""
    from api.publishers.changes import LineState

    header = [texts.text("publish", name) for name in ("product", "zone", "current", "new", "reason")]
    rows = [
        (
            line.product_id,
            line.zone,
            _amount(line.before, money, texts),
            _amount(line.after, money, texts),
            _why(line, texts),
        )
        for line in preview.lines
    ]
    count, whole = preview.count(LineState.CHANGE), len(rows)
    told = texts.text("cycle", "dry_run", count=texts.number(count), all=texts.number(whole))
    document = {"would_change": count, "lines": [_line(line) for line in preview.lines]}
    return Outcome(document, (*([grid("", header, rows, right=(2, 3))] if rows else []), told))


def _amount(tag: Tag | None, money: Currency, texts: Texts) -> str:
    return "" if tag is None else texts.amount(tag.offered, money)


def _why(line: Line, texts: Texts) -> str:
    from api.publishers.changes import LineState

    if line.why is not None:
        return texts.text("publish_why", line.why.value)
    return texts.text("cycle", "would_change" if line.state is LineState.CHANGE else "would_stay")


def _line(line: Line) -> dict[str, object]:
    return {
        "product_id": line.product_id,
        "zone": line.zone,
        "state": line.state.value,
        "why": None if line.why is None else line.why.value,
        "where": line.where,
        "before": None if line.before is None else line.before.regular,
        "after": None if line.after is None else line.after.regular,
        "cells": [{"name": cell.name, "before": cell.before, "after": cell.after} for cell in line.cells],
    }
