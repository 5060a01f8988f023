"""A trial and what came of it, in the reader's words and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from api.texts import Texts
from policies.impact.randomised import LEVEL, Estimate
from policies.impact.report import CROSSED, PLACEBO, Caveat, Impact, Verdict
from pricing.money import Currency
from pricing.trial import OUTSIDE, Design, Precision, Trial

__all__ = ["caveats_told", "headline", "impact_document", "plan_document", "plan_told", "told_effect"]


def plan_document(trial: Trial, place: str, finer: Precision | None) -> dict[str, object]:
    """Return what ``--json`` prints of a plan; `finer` is the precision of one by subcategory, if told."""
    clusters = trial.treated
    return {
        "plan": place,
        "digest": trial.digest,
        "design": trial.design.value,
        "start": trial.start,
        "end": trial.end,
        "since": trial.since,
        "periods": trial.periods,
        "block": trial.block,
        "washout": trial.washout,
        "seed": trial.seed,
        "made_on": trial.made_on,
        "currency": trial.currency,
        "worth_minor": trial.worth,
        "clusters": len(clusters),
        "categories_divided": trial.divided,
        "clusters_held": int((~clusters.any(axis=1)).sum()),
        "units": len(trial.units),
        "units_outside": sum(unit.cluster == OUTSIDE for unit in trial.units),
        "precision": asdict(trial.precision),
        "precision_by_subcategory": None if finer is None else asdict(finer),
    }


def plan_told(trial: Trial, place: str, finer: Precision | None, texts: Texts) -> tuple[str, ...]:
    """Return a plan in sentences: what will be measured, how, for how long, and by which rule."""
    word, number, money = texts.text, texts.number, Currency.of(trial.currency)
    start, end = texts.day(trial.start), texts.day(trial.end)
    held = int((~trial.treated.any(axis=1)).sum())
    outside = sum(unit.cluster == OUTSIDE for unit in trial.units)
    counts = {"clusters": number(len(trial.clusters)), "seed": str(trial.seed)}
    drawn = (
        word(
            "impact", "plan_parallel", held=number(held), treated=number(len(trial.clusters) - held), **counts
        )
        if trial.design is Design.PARALLEL
        else word(
            "impact", "plan_switchback", blocks=number(trial.blocks), block=number(trial.block),
            washout=number(trial.washout), **counts,
        )
    )  # fmt: skip
    seen = trial.precision
    return (
        word("impact", "plan_title", span=texts.span(trial.start, trial.end)),
        drawn,
        *([word("impact", "plan_outside", outside=number(outside))] if outside else []),
        word(
            "impact", "plan_measured", periods=number(trial.periods), start=start, end=end,
            since=texts.day(trial.since),
        ),
        word(
            "impact", "plan_detectable", detectable=texts.money(seen.detectable, money),
            share=texts.percent(seen.detectable / max(seen.treated, 1), 1),
            treated=texts.money(seen.treated, money), windows=number(seen.windows),
            length=number(seen.periods),
        ),
        *(
            [word("impact", "plan_finer", detectable=texts.money(finer.detectable, money),
                  share=texts.percent(finer.detectable / max(finer.treated, 1), 1))]
            if finer else []
        ),
        word("impact", "plan_divided" if trial.divided else "plan_whole"),
        word(
            "impact", "plan_rule", level=texts.percent(LEVEL), worth=texts.money(trial.worth, money),
            placebo=f"p < {number(PLACEBO, 2)}", crossed=f"p < {number(CROSSED, 2)}",
        ),
        word("impact", "plan_digest", digest=trial.digest),
        word("impact", "plan_next", start=start, place=place),
    )  # fmt: skip


def headline(found: Impact, texts: Texts) -> str:
    """Return the verdict as a sentence."""
    if found.verdict is Verdict.CANNOT_TELL:
        return texts.text("impact", "head_cannot_tell")
    value = texts.money(_minor(found.month[0]), Currency.of(found.trial.currency), signed=True)
    return texts.text("impact", f"head_{found.verdict.value}", value=value)


def told_effect(found: Impact, texts: Texts) -> tuple[str, ...]:
    """Return the effect with its interval, a month and in all, and the rule."""
    money = Currency.of(found.trial.currency)
    rule = texts.text("impact", "rule_worth", worth=texts.money(found.trial.worth, money))
    if found.effect is None:
        return texts.text("impact", "no_interval"), rule

    def amounts(three: tuple[float, float, float]) -> dict[str, str]:
        names = ("value", "lower", "upper")
        return {n: texts.money(_minor(v), money, signed=True) for n, v in zip(names, three, strict=True)}

    return (
        texts.text(
            "impact", "interval", level=texts.percent(LEVEL), **amounts(found.month),
            share_lower=texts.percent(found.effect.lower, 1, signed=True),
            share_upper=texts.percent(found.effect.upper, 1, signed=True),
        ),
        texts.text("impact", "everywhere", **amounts(found.everywhere)),
        texts.text("impact", "so_far", measured=texts.number(found.measured), **amounts(found.total)),
        rule,
    )  # fmt: skip


def caveats_told(found: Impact, texts: Texts) -> tuple[tuple[Caveat, str], ...]:
    """Return what else there is to know, each with its code."""
    values = {
        "whole": texts.number(found.whole),
        "periods": texts.number(found.trial.periods),
        "made_on": texts.day(found.trial.made_on),
        "held_share": texts.percent(found.prices.held_share),
        "treated_share": texts.percent(found.prices.treated_share),
        "restated": texts.percent(found.restated, 1, signed=True),
        "to_come": texts.percent(found.to_come, 1),
        "empty": texts.number(found.empty),
        "newcomers": texts.number(found.newcomers),
        "gone": texts.number(found.prices.gone),
    }
    return tuple((code, texts.text("impact_caveat", code.value, **values)) for code in found.caveats)


def impact_document(found: Impact, place: str) -> dict[str, object]:
    """Return what ``--json`` prints of a report, amounts in minor units."""
    return {
        "report": place,
        "plan": found.trial.digest,
        "data_fingerprint": found.data,
        "currency": found.trial.currency,
        "until": found.until,
        "periods_over": found.whole,
        "periods_measured": found.measured,
        "verdict": found.verdict.value,
        "caveats": [code.value for code in found.caveats],
        "effect_share": _estimate(found.effect),
        "effect_month_minor": list(found.month),
        "effect_total_minor": list(found.total),
        "treated_before_month_minor": found.treated_before,
        "everywhere_month_minor": list(found.everywhere),
        "second_method": _estimate(found.check),
        "placebo": _estimate(found.placebo),
        "crossing": None if found.crossing is None else asdict(found.crossing),
        "outside_growth": found.outside,
        "held_moved": found.prices.held_moved,
        "held_moved_share": found.prices.held_share,
        "treated_still": found.prices.treated_still,
        "treated_still_share": found.prices.treated_share,
        "units_gone": found.prices.gone,
        "newcomers": found.newcomers,
        "periods_empty": found.empty,
        "restated": found.restated,
        "returns_to_come_share": found.to_come,
        "months": [asdict(month) for month in found.months],
        "categories": [asdict(category) for category in found.categories],
    }


def _estimate(found: Estimate | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


def _minor(amount: float) -> int:
    return round(amount)
