"""The report of a trial as one self-contained HTML page: the verdict first, its checks below."""

from __future__ import annotations

import math
from functools import partial

from api.axes import axis
from api.charts import Axis, Bar, interval_chart
from api.impact_told import caveats_told, headline, told_effect
from api.page import render_page
from api.texts import Texts
from policies.impact.randomised import LEVEL, Estimate
from policies.impact.report import Impact
from pricing.money import Currency
from pricing.trial import Design

__all__ = ["render_impact"]


def render_impact(found: Impact, texts: Texts) -> str:
    """Return the page as HTML: no script, no link, no word that is not in `texts` or the shop's data."""
    return render_page(
        "impact.html",
        language=texts.language,
        t=partial(texts.text, "impact"),
        level=texts.percent(LEVEL),
        verdict=found.verdict.value,
        headline=headline(found, texts),
        effect=told_effect(found, texts),
        made_by=_made_by(found, texts),
        caveats=[told for _, told in caveats_told(found, texts)],
        checks=_checks(found, texts),
        months_chart=_months_chart(found, texts),
        months=_months(found, texts),
        categories=_categories(found, texts),
        plan=found.trial.digest,
        data=found.data,
    )


def _made_by(found: Impact, texts: Texts) -> str:
    trial = found.trial
    return texts.text(
        "impact",
        "made_by",
        span=texts.span(trial.start, trial.end),
        seed=str(trial.seed),
        made_on=texts.day(trial.made_on),
        digest=trial.digest[:12],
        until=texts.day(found.until),
        whole=texts.number(found.whole),
        periods=texts.number(trial.periods),
    )


def _checks(found: Impact, texts: Texts) -> list[tuple[str, str, str]]:
    """Return name, finding and meaning of each check."""
    word = partial(texts.text, "impact")
    crossing = "spillover" if found.trial.design is Design.PARALLEL else "carryover"
    crossed = word("untold")
    if found.crossing is not None:
        slope = texts.percent(found.crossing.slope, 1, signed=True)
        crossed = word("crossing_found", value=slope, p=texts.number(found.crossing.p, 3))
    prices = word(
        "prices_found",
        moved=texts.number(found.prices.held_moved),
        held_share=texts.percent(found.prices.held_share),
        still=texts.number(found.prices.treated_still),
        treated_share=texts.percent(found.prices.treated_share),
    )
    if crossing == "spillover" and not found.trial.divided:
        crossing, crossed = "closed", word("closed_found")
    rows = [
        ("placebo", _interval(found.placebo, "placebo_found", texts)),
        (crossing, crossed),
        ("second", _interval(found.check, "second_found", texts)),
        ("prices", prices),
    ]
    if found.outside is not None:
        far, near = (texts.percent(grown - 1.0, 1, signed=True) for grown in found.outside)
        rows.insert(2, ("outside", word("outside_found", far=far, near=near)))
    return [(word(code), told, word(f"{code}_means")) for code, told in rows]


def _interval(found: Estimate | None, code: str, texts: Texts) -> str:
    if found is None:
        return texts.text("impact", "untold")
    values = {
        name: texts.percent(getattr(found, name), 1, signed=True) for name in ("value", "lower", "upper")
    }
    if math.isfinite(found.p):
        values["p"] = texts.number(found.p, 3)
    return texts.text("impact", code, **values)


def _months_chart(found: Impact, texts: Texts) -> str:
    money = Currency.of(found.trial.currency)
    plain = axis("profit", texts, currency=money.code)
    across = Axis(texts.text("impact", "effect_axis", currency=money.code), plain.form)
    bars = [
        Bar(
            texts.day(month.month, "month"),
            texts.amount(round(month.effect), money, signed=True),
            *(value / money.scale for value in (month.effect, month.lower, month.upper)),
        )
        for month in found.months
        if all(map(math.isfinite, (month.effect, month.lower, month.upper)))
    ]
    return interval_chart(bars, 0.0, across) if bars else ""


def _months(found: Impact, texts: Texts) -> list[tuple[str, ...]]:
    money = Currency.of(found.trial.currency)

    def amount(value: float, *, signed: bool = False) -> str:
        return texts.amount(round(value), money, signed=signed) if math.isfinite(value) else "–"

    return [
        (
            texts.day(month.month, "month"),
            texts.number(month.days),
            *(amount(profit) for profit in month.profit),
            *(amount(value, signed=True) for value in (month.effect, month.lower, month.upper)),
        )
        for month in found.months
    ]


def _categories(found: Impact, texts: Texts) -> list[tuple[str, ...]]:
    money = Currency.of(found.trial.currency)
    return [
        (
            row.category,
            texts.number(row.treated),
            texts.number(row.held),
            *(
                texts.amount(round(value), money)
                for value in (row.before_treated, row.after_treated, row.before_held, row.after_held)
            ),
        )
        for row in found.categories
    ]
