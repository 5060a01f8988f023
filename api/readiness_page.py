"""Readiness in words: what a shop's data can tell before anything is fitted, and what to switch on next.

Told from the document of `tarifa check` (as its --json prints it): the terminal, the page it writes and the
desk say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from api.axes import axis
from api.charts import Axis, histogram
from api.check_texts import AnswerTold, answers, missing_tables, rule_told
from api.page import render_page
from api.texts import Texts

__all__ = ["ReadinessTold", "classes_told", "moving_told", "readiness_told", "render_readiness"]

_SHOWN = 100
_LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class ReadinessTold:
    """What there is to say of a shop's readiness; figures are written out.

    Attributes
    ----------
    series, periods, span
        How much there is.
    movable, moving
        Whether any price can be moved, and in words how many.
    switches
        What to switch on next (codes), and who gains by it.
    level, grain, widest, rule, step, wanted
        What the words around the classes need.
    classes
        See :func:`classes_told`.
    widths_chart
        How wide the intervals will be, as SVG; empty where there are no products.
    answers, locked
        What the data can answer, and what each missing table costs.
    shown, products
        The largest products, and how many that is.
    fingerprint
        Of the data.
    """

    series: str
    periods: str
    span: str
    movable: bool
    moving: str
    switches: tuple[tuple[str, str], ...]
    level: str
    grain: str
    widest: str
    rule: str
    step: str
    wanted: str
    classes: tuple[tuple[str, ...], ...]
    widths_chart: str
    answers: tuple[AnswerTold, ...]
    locked: tuple[tuple[str, str], ...]
    shown: str
    products: tuple[tuple[str, ...], ...]
    fingerprint: str


def readiness_told(check: Mapping[str, Any], texts: Texts) -> ReadinessTold | None:
    """Return what a check found of a shop's readiness; None where it could not look at prices.

    Parameters
    ----------
    check
        Document of `tarifa check`.
    texts
        In the reader's language.
    """
    found = check.get("readiness")
    if found is None:
        return None
    products: list[Mapping[str, Any]] = found["products"]
    revenue = max(sum(int(product["revenue"]) for product in products), 1)
    return ReadinessTold(
        series=texts.number(len(products)),
        periods=texts.number(found["periods"]),
        span=texts.span(check["first_day"], check["until"]),
        movable=bool(found["movable"] or found["similar"]),
        moving=moving_told(found, texts),
        switches=tuple((one["code"], _gain(one, texts)) for one in found["switches"]),
        level=texts.percent(_LEVEL),
        grain="day" if found["period_days"] == 1 else "week",
        widest=texts.number(found["widest_half_width"], 1),
        rule=rule_told(check["prices"], texts),
        step=texts.percent(found["test_step"]),
        wanted=texts.number(found["wanted_half_width"], 2),
        classes=classes_told(found, texts),
        widths_chart=_chart(found, texts),
        answers=answers(check, texts),
        locked=missing_tables(check, texts),
        shown=texts.number(min(_SHOWN, len(products))),
        products=tuple(_product(one, revenue, texts) for one in products[:_SHOWN]),
        fingerprint=check["fingerprint"][:12],
    )


def render_readiness(check: Mapping[str, Any], data: str, texts: Texts) -> str:
    """Return the page as HTML: no script, no link, no word that is not in `texts`; empty where there is none.

    Parameters
    ----------
    check
        Document of `tarifa check`.
    data
        Name of the data folder.
    texts
        In the reader's language.
    """
    told = readiness_told(check, texts)
    if told is None:
        return ""
    return render_page(
        "readiness.html",
        language=texts.language,
        rt=partial(texts.text, "readiness"),
        ct=partial(texts.text, "check"),
        data=data,
        ready=told,
    )


def classes_told(found: Mapping[str, Any], texts: Texts) -> tuple[tuple[str, ...], ...]:
    """Return a row of words for every class: name, products, share of revenue, expected width, price test.

    `found` is what the document of `tarifa check` says under ``readiness``.
    """
    return tuple(_told(one, texts) for one in found["classes"])


def moving_told(found: Mapping[str, Any], texts: Texts) -> str:
    """Return whether prices can be moved, and how many of them; `found` as in :func:`classes_told`."""
    code = "can_move" if found["movable"] else "weak_move" if found["may_move"] else "cannot_move"
    code = "similar_move" if found["similar"] else code
    counts = {"movable": found["movable"], "all": len(found["products"])}
    return texts.text("readiness", code, **{name: texts.number(count) for name, count in counts.items()})


def _told(one: Mapping[str, Any], texts: Texts) -> tuple[str, ...]:
    word, width, test = partial(texts.text, "readiness"), one["half_width"], one["test_periods"]
    return (
        word(one["name"]),
        texts.number(one["products"]),
        texts.percent(one["revenue_share"]),
        word("never") if width is None else texts.number(width, 2),
        word("never") if test is None else word("test_periods", count=texts.number(test)),
    )


def _gain(one: Mapping[str, Any], texts: Texts) -> str:
    share = texts.percent(one["revenue_share"])
    return texts.text("readiness", "gain", products=texts.number(one["products"]), share=share)


def _product(one: Mapping[str, Any], revenue: int, texts: Texts) -> tuple[str, ...]:
    return (
        one["price_group"],
        texts.percent(one["revenue"] / revenue, 1),
        texts.number(one["units"], 1),
        texts.number(one["levels"]),
        texts.number(one["half_width"], 2),
        texts.text("readiness", one["evidence"]),
    )


def _chart(found: Mapping[str, Any], texts: Texts) -> str:
    """Return how wide the intervals will be, product by product; empty where there is none."""
    widths = np.array([product["half_width"] for product in found["products"]], dtype=np.float64)
    if not widths.size:
        return ""
    across = Axis(texts.text("readiness", "width"), partial(texts.number, places=2))
    widest = max(float(found["widest_half_width"]), float(widths.max()))
    return histogram(widths, 0.0, widest, (across, axis("products", texts)))
