"""The readiness page: what a shop's data can tell before anything is fitted, and what to switch on next."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jinja2
import numpy as np

from api.axes import axis
from api.charts import Axis, histogram
from api.check_texts import answers, missing_tables
from api.texts import Texts
from simulators.demand.forecast import Z90
from simulators.demand.population import ELASTICITY_SD
from simulators.readiness import EvidenceClass, ProductEvidence, Readiness

__all__ = ["classes_told", "moving_told", "render_readiness"]

_SHOWN = 100
_LEVEL = 0.9


def render_readiness(found: Readiness, check: Mapping[str, Any], data: str, rule: str, texts: Texts) -> str:
    """Return the page as HTML: no script, no link, no word that is not in `texts`.

    Parameters
    ----------
    found
        What it shows.
    check
        Document of `tarifa check`, as its --json prints it.
    data
        Name of the data folder.
    rule
        What enough price moves are, in words.
    texts
        In the reader's language.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("api"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    revenue = max(sum(product.revenue for product in found.products), 1)
    return environment.get_template("readiness.html").render(
        language=texts.language,
        t=partial(texts.text, "readiness"),
        c=partial(texts.text, "check"),
        data=data,
        series=texts.number(len(found.products)),
        periods=texts.number(found.periods),
        span=texts.span(check["first_day"], check["until"]),
        movable=found.movable,
        moving=moving_told(found, texts),
        switches=[(one.code, _gain(one.products, one.revenue_share, texts)) for one in found.switches],
        level=texts.percent(_LEVEL),
        grain="day" if found.period_days == 1 else "week",
        widest=texts.number(Z90 * ELASTICITY_SD, 1),
        rule=rule,
        classes=[_told(one, texts) for one in found.classes],
        step=texts.percent(found.test_step),
        wanted=texts.number(found.wanted_half_width, 2),
        widths_chart=_chart(found, texts),
        answers=[(a.answerable, a.question, a.because) for a in answers(check, texts)],
        locked=missing_tables(check, texts),
        shown=texts.number(min(_SHOWN, len(found.products))),
        products=[_product(one, revenue, texts) for one in found.products[:_SHOWN]],
        fingerprint=check["fingerprint"][:12],
    )


def classes_told(found: Readiness, texts: Texts) -> tuple[tuple[str, ...], ...]:
    """Return a row of words for every class: name, products, share of revenue, expected width, price test."""
    return tuple(_told(one, texts) for one in found.classes)


def moving_told(found: Readiness, texts: Texts) -> str:
    """Return whether prices can be moved, and how many of them."""
    code = "can_move" if found.movable else "weak_move" if found.may_move else "cannot_move"
    counts = {"movable": found.movable, "all": len(found.products)}
    return texts.text("readiness", code, **{name: texts.number(count) for name, count in counts.items()})


def _told(one: EvidenceClass, texts: Texts) -> tuple[str, ...]:
    word, test = partial(texts.text, "readiness"), one.test_periods
    return (
        word(one.name),
        texts.number(one.products),
        texts.percent(one.revenue_share),
        word("never") if one.half_width is None else texts.number(one.half_width, 2),
        word("never") if test is None else word("test_periods", count=texts.number(test)),
    )


def _gain(products: int, share: float, texts: Texts) -> str:
    return texts.text("readiness", "gain", products=texts.number(products), share=texts.percent(share))


def _product(one: ProductEvidence, revenue: int, texts: Texts) -> tuple[str, ...]:
    return (
        one.price_group,
        texts.percent(one.revenue / revenue, 1),
        texts.number(one.units, 1),
        texts.number(one.levels),
        texts.number(one.half_width, 2),
        texts.text("readiness", one.evidence),
    )


def _chart(found: Readiness, texts: Texts) -> str:
    """Return how wide the intervals will be, product by product; empty where there is none."""
    widths = np.array([product.half_width for product in found.products])
    if not widths.size:
        return ""
    across = Axis(texts.text("readiness", "width"), partial(texts.number, places=2))
    return histogram(
        widths, 0.0, max(Z90 * ELASTICITY_SD, float(widths.max())), (across, axis("products", texts))
    )
