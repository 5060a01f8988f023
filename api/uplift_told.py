"""What coupons add, in the reader's words and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import RenderableType
from rich.markup import escape

from api.cli.grid import grid
from api.texts import Texts
from pricing.money import Currency
from simulators.uplift.assignment import LEAST_GIVEN, MANY, Doubt
from simulators.uplift.exposure_tables import Read
from simulators.uplift.fit import UpliftFit
from simulators.uplift.scores import Mean
from simulators.uplift.uplift_plot import PlotWords

__all__ = ["fit_document", "fit_told", "mean_document", "money_of", "plot_told", "plot_words"]

_SECTION, _PLOT = "coupons_fit", "coupons_plot"


def mean_document(mean: Mean | None) -> dict[str, object] | None:
    """Return a mean with its 95 % interval, minor units."""
    if mean is None:
        return None
    low, high = mean.interval()
    return {"value": mean.value, "lower": low, "upper": high, "customers": mean.clusters}


def money_of(texts: Texts, currency: str, minor: float) -> str:
    """Return an amount of money in words, signed; a fraction of a minor unit is rounded."""
    return texts.money(round(minor), Currency.of(currency), signed=True)


def fit_document(fitted: UpliftFit, read: Read, place: str) -> dict[str, object]:
    """Return what ``--json`` prints of a fit."""
    report, model = fitted.report, fitted.model
    check = report.check
    curve = report.curve
    return {
        "model": place,
        "offers": list(model.offers),
        "identified_by": [kind.label for kind in model.identified_by],
        "doubts": [doubt.value for doubt in check.doubts],
        "features": list(model.basis.features),
        "window_days": model.window_days,
        "after_days": model.after_days,
        "currency": model.currency,
        "as_of": model.as_of,
        "exposures": report.exposures,
        "drawn": check.drawn,
        "customers": report.customers,
        "left_out": asdict(read.left),
        "chances_from_shares": read.shares_taken,
        "cost_assumed": read.cost_assumed,
        "lottery": {"p": check.p, "statistic": check.statistic, "freedom": check.freedom},
        "arms": [{**asdict(arm), "share": mean_document(arm.share)} for arm in check.arms],
        "effects": [
            {
                "offer": effect.offer,
                "redeemed": effect.redeemed,
                "cost_minor": effect.cost,
                **{name: mean_document(getattr(effect, name)) for name in _EFFECTS},
            }
            for effect in report.effects
        ],
        "deciles": [
            {"count": part.count, "predicted": part.predicted, "found": mean_document(part.found)}
            for part in report.deciles
        ],
        "reach": [{"share": one.share, "gain": mean_document(one.gain)} for one in report.reach],
        "auuc": None if curve is None else curve.auuc,
        "qini": None if curve is None else curve.qini,
        "trust": report.trust,
        "value": mean_document(report.value),
        "everybody": mean_document(report.everybody),
        "holdout": None if report.holdout is None else asdict(report.holdout),
    }


_EFFECTS = ("total", "during", "after", "before", "units", "revenue")


def fit_told(fitted: UpliftFit, read: Read, place: str, texts: Texts) -> tuple[RenderableType, ...]:
    """Return a fit in sentences and tables: what was read, whether it was a lottery, what offers added."""
    report, model, word, number = fitted.report, fitted.model, texts.text, texts.number
    shown: list[RenderableType] = [
        word(
            _SECTION, "read", exposures=number(report.exposures), customers=number(report.customers),
            window=number(model.window_days), after=number(model.after_days),
        ),
        *_caveats(read, texts),
        *_doubts(fitted, texts),
    ]  # fmt: skip
    if report.effects:
        shown += [_effects(fitted, texts), _deciles(fitted, texts), *_value(fitted, texts)]
    shown.append(_proposal(fitted, texts))
    if not report.effects:
        shown.append(word(_SECTION, "nothing"))
    return (*shown, escape(word(_SECTION, "written", place=place)))


def plot_words(fitted: UpliftFit, texts: Texts) -> PlotWords:
    """Return what is written on the picture of a fit."""
    currency = fitted.model.currency
    word = partial(texts.text, _PLOT)
    return PlotWords(
        effects=word("effects"),
        total=word("total"),
        during=word("during"),
        after=word("after"),
        deciles=word("deciles"),
        predicted=word("predicted"),
        found=word("found"),
        reach=word("reach"),
        share=word("share"),
        gain=word("gain"),
        chance=word("chance"),
        money=lambda minor: money_of(texts, currency, minor),
        percent=texts.percent,
    )


def plot_told(place: Path | None, texts: Texts) -> tuple[str, ...]:
    """Say where the picture is, or why there is none."""
    if place is None:
        return (texts.text(_PLOT, "nothing"),)
    return (escape(texts.text(_PLOT, "written", place=str(place))),)


def _caveats(read: Read, texts: Texts) -> list[str]:
    left, number, found = read.left, texts.number, list[str]()
    counts = {name: getattr(left, name) for name in ("no_consent", "not_over", "too_early")}
    if any(counts.values()):
        found.append(texts.text(_SECTION, "left", **{name: number(count) for name, count in counts.items()}))
    if left.overlapping:
        found.append(texts.text(_SECTION, "overlapping", count=number(left.overlapping)))
    if read.shares_taken:
        found.append(texts.text(_SECTION, "shares", count=number(read.shares_taken)))
    return [*found, *([texts.text(_SECTION, "cost_assumed")] if read.cost_assumed else [])]


def _doubts(fitted: UpliftFit, texts: Texts) -> list[str]:
    check = fitted.report.check
    worst = max(check.arms, key=lambda arm: abs(arm.difference))
    words = {
        Doubt.NOT_AS_DECLARED: {"p": texts.number(check.p, 4), "feature": worst.feature},
        Doubt.TOO_FEW: {"least": texts.number(LEAST_GIVEN)},
        Doubt.SMALL_ARM: {"many": texts.number(MANY), "offers": _small(fitted, texts)},
    }
    found = [escape(texts.text("doubt", doubt, **words.get(doubt, {}))) for doubt in check.doubts]
    if check.usable:
        found.append(texts.text(_SECTION, "sound", p=texts.number(check.p, 2)))
    return found


def _small(fitted: UpliftFit, texts: Texts) -> str:
    arms = [arm for arm in fitted.report.check.arms if arm.small]
    return ", ".join(arm.offer or texts.text("coupons_evaluate", "nobody") for arm in arms)


def _effects(fitted: UpliftFit, texts: Texts) -> RenderableType:
    names = ("offer", "used", "cost", "total", "interval", "during", "after", "identified")
    rows: list[list[str]] = []
    for effect in fitted.report.effects:
        low, high = effect.total.interval()
        amounts = (effect.cost, effect.total.value, low, high, effect.during.value, effect.after.value)
        cost, total, least, most, during, after = (
            money_of(texts, fitted.model.currency, amount) for amount in amounts
        )
        label = texts.text("coupon_evidence", effect.identified_by.label)
        used = texts.percent(effect.redeemed, 1)
        rows.append([escape(effect.offer), used, cost, total, f"{least} … {most}", during, after, label])
    header = [texts.text(_SECTION, name) for name in names]
    return grid(texts.text(_SECTION, "title"), header, rows, right=(1, 2, 3, 4, 5, 6))


def _deciles(fitted: UpliftFit, texts: Texts) -> RenderableType:
    currency = fitted.model.currency
    rows: list[list[str]] = []
    for place, part in enumerate(fitted.report.deciles, 1):
        amounts = (part.predicted, part.found.value, *part.found.interval())
        predicted, found, low, high = (money_of(texts, currency, amount) for amount in amounts)
        rows.append([texts.number(place), predicted, found, f"{low} … {high}"])
    header = ["", *(texts.text(_SECTION, name) for name in ("predicted", "found", "interval"))]
    return grid(texts.text(_SECTION, "deciles"), header, rows, right=(1, 2, 3))


def _value(fitted: UpliftFit, texts: Texts) -> list[str]:
    report, currency = fitted.report, fitted.model.currency
    if report.value is None or report.everybody is None or report.curve is None:
        return []
    low, high = report.value.interval()
    amounts = {"value": report.value.value, "low": low, "high": high, "everybody": report.everybody.value}
    curve = {"auuc": report.curve.auuc, "qini": report.curve.qini}
    return [
        texts.text(_SECTION, "pays", **{k: money_of(texts, currency, v) for k, v in amounts.items()}),
        texts.text(_SECTION, "qini", **{k: money_of(texts, currency, v) for k, v in curve.items()}),
        texts.text(_SECTION, "trust", share=texts.percent(report.trust, 0)),
    ]


def _proposal(fitted: UpliftFit, texts: Texts) -> str:
    holdout = fitted.report.holdout
    if holdout is None:
        return texts.text(_SECTION, "no_cost")
    money = Currency.of(fitted.model.currency)
    words = {
        "share": texts.percent(holdout.share, 1),
        "campaigns": texts.number(holdout.campaigns),
        "customers": texts.number(holdout.customers),
        "reached": texts.money(round(holdout.reached), money),
    }
    if fitted.report.effects:
        return texts.text(_SECTION, "sharper", **words)
    return texts.text(_SECTION, "holdout", wanted=texts.money(round(holdout.half_width), money), **words)
