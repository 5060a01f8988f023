"""Axes of the charts on our pages, in the reader's language."""

from __future__ import annotations

from functools import partial

from api.charts import Axis
from api.texts import Texts

__all__ = ["axis", "short"]


def short(value: float, texts: Texts) -> str:
    """Return a number that fits beside an axis."""
    size, code = (1e6, "million") if abs(value) >= 1e6 else (1e3, "thousand")
    if abs(value) >= 1e4:
        scaled = value / size
        return texts.text("chart", code, number=texts.number(scaled, 0 if scaled == round(scaled) else 1))
    places = next((p for p in range(3) if round(value, p) == value), 2)
    return texts.number(value, places)


def axis(code: str, texts: Texts, **values: str) -> Axis:
    """Return an axis of a page: its label by code, with the short numbers of the reader's language."""
    return Axis(texts.text("chart", code, **values), partial(short, texts=texts))
