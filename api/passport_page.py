"""The passport as one self-contained HTML page: how far a model may be trusted, in its first lines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from api.axes import axis
from api.charts import Axis, Bar, Pair, band_chart, interval_chart, pair_chart, scatter_chart, share_chart
from api.page import render_page
from api.texts import Texts
from pricing.arrays import Floats
from simulators.passport.lift import TERCILES
from simulators.passport.passport import Passport
from simulators.passport.thresholds import threshold
from simulators.passport.verdict import Check, Figure, Verdict

__all__ = ["passport_told", "render_passport"]

_COUNTS = {"cells", "totals", "cuts", "rises", "origins", "periods", "series", "fitted", "worlds"}
_SHARES = {
    "bias_cuts", "bias_rises", "coverage", "skill", "bias", "bias_moved", "lowest", "highest", "inside",
    "shop_inside", "units", "revenue", "discount_share", "regular", "depth", "negative_regular",
    "negative_discount", "products", "products_floor", "categories", "categories_floor",
}  # fmt: skip
_SIGNED = {"bias_cuts", "bias_rises", "bias_moved", "units", "revenue", "discount_share", "skill"}
"""How a figure is written: as a count, as a percentage, with its sign; any other as a plain number."""
_UNSIGNED_BIAS = "origins"
_WIDE, _Z95 = 0.95, 1.959963984540054


def render_passport(passport: Passport, data_name: str, texts: Texts) -> str:
    """Return the page as HTML: no script, no link, no word that is not in `texts`.

    Parameters
    ----------
    passport
        What it shows.
    data_name
        Name of the data folder that the run was fitted on.
    texts
        In the reader's language.
    """
    return render_page(
        "passport.html",
        language=texts.language,
        t=partial(texts.text, "passport"),
        count=texts.number,
        percent=texts.percent,
        level=texts.percent(_WIDE),
        passport=passport,
        digest=passport.digest,
        data=data_name,
        until=texts.day(passport.until),
        verdict=passport.verdict.value,
        headline=_headline(passport, texts),
        trusted=_told(passport, Verdict.PASSED, "passport_trust", texts),
        doubted=_told(passport, Verdict.FAILED, "passport_doubt", texts),
        untold=_untold(passport, texts),
        checks=[_row(found, texts) for found in passport.checks],
        **_price_pictures(passport, texts),
        **_sales_pictures(passport, texts),
    )


def passport_told(checks: Mapping[str, str], verdict: str, texts: Texts, *, form: str = "shown") -> str:
    """Return the verdict as a sentence that names the checks that failed.

    Parameters
    ----------
    checks, verdict
        Verdict by check, and of the whole, as `tarifa validate --json` prints them.
    texts
        In the reader's language.
    form
        ``shown`` on the command line, ``verdict`` as the headline of the page.
    """
    failed = [code for code, found in checks.items() if found == Verdict.FAILED.value]
    judged = sum(found != Verdict.NOT_APPLICABLE.value for found in checks.values())
    return texts.text(
        "passport",
        f"{form}_{verdict}",
        failed=texts.number(len(failed)),
        judged=texts.number(judged),
        names=", ".join(f"{texts.text('passport_check', code)} ({code})" for code in failed),
    )


def _headline(passport: Passport, texts: Texts) -> str:
    checks = {found.code: found.verdict.value for found in passport.checks}
    return passport_told(checks, passport.verdict.value, texts, form="verdict")


def _told(passport: Passport, verdict: Verdict, section: str, texts: Texts) -> list[tuple[str, str]]:
    """Return name and meaning of every check with a verdict, its figures filled in."""
    return [
        (texts.text("passport_check", found.code), texts.text(section, found.code, **_values(found, texts)))
        for found in passport.checks
        if found.verdict is verdict
    ]


def _untold(passport: Passport, texts: Texts) -> list[tuple[str, str]]:
    return [
        (texts.text("passport_check", found.code), texts.text("passport_reason", found.reason.value))
        for found in passport.checks
        if found.verdict is Verdict.NOT_APPLICABLE and found.reason is not None
    ]


def _values(found: Check, texts: Texts) -> dict[str, str]:
    return {figure.name: _written(found.code, figure.name, figure.value, texts) for figure in found.figures}


def _written(code: str, name: str, value: float, texts: Texts) -> str:
    """Return a figure, or one of its limits, as the reader writes it."""
    if not math.isfinite(value):
        return texts.text("passport", "figure_unknown")
    if value == 0.0 or name in _COUNTS:
        return texts.number(value)
    signed = name in _SIGNED or (name == "bias" and code != _UNSIGNED_BIAS)
    if name in _SHARES:
        return texts.percent(value, 1, signed=signed)
    return texts.number(value, 4 if name == "gain" else 2)


def _row(found: Check, texts: Texts) -> Mapping[str, Any]:
    """Return a check with its judged figures, for the table."""
    return {
        "code": found.code,
        "name": texts.text("passport_check", found.code),
        "verdict": found.verdict.value,
        "said": texts.text("passport_verdict", found.verdict.value),
        "figures": [_figure(found.code, figure, texts) for figure in found.figures if figure.limited],
    }


def _figure(code: str, figure: Figure, texts: Texts) -> Mapping[str, str]:
    limit = threshold(code, figure.name)
    error = "" if math.isnan(figure.error) else f" ± {texts.number(figure.error, 2)}"
    reason = "" if figure.reason is None else texts.text("passport_reason", figure.reason.value)
    return {
        "name": texts.text("passport_figure", f"{code}_{figure.name}"),
        "value": _written(code, figure.name, figure.value, texts) + error,
        "allowed": _allowed(code, figure, texts),
        "verdict": figure.verdict.value,
        "said": texts.text("passport_verdict", figure.verdict.value),
        "why": reason or ("" if limit is None else texts.text("passport_source", limit.source.value)),
    }


def _allowed(code: str, figure: Figure, texts: Texts) -> str:
    low, high = (_written(code, figure.name, end, texts) for end in (figure.low, figure.high))
    if math.isinf(figure.high):
        return texts.text("passport", "at_least", low=low)
    if math.isinf(figure.low) or (figure.low == 0.0 and not math.isinf(figure.high)):
        return texts.text("passport", "at_most", high=high)
    return texts.text("passport", "between", low=low, high=high)


def _price_pictures(passport: Passport, texts: Texts) -> dict[str, Any]:
    lift, events = passport.check("lift"), passport.check("events")
    shown = {"lift_chart": "", "thirds_chart": "", "events_chart": "", "events_count": ""}
    if lift.table.rows:
        said, came, units = (_floats(lift, name) for name in ("predicted", "actual", "units"))
        axes = (axis("promised", texts), axis("came", texts))
        shown["lift_chart"] = scatter_chart(said, came, units, axes)
        shown["thirds_chart"] = _thirds(lift, texts)
    if events.table.rows:
        across = Axis(texts.text("chart", "sales_change"), partial(_change, texts=texts))
        shown["events_chart"] = pair_chart([_pair(row, texts) for row in events.table.rows], 0.0, across)
        shown["events_count"] = texts.number(float(_floats(events, "events").sum()))
    return shown


def _change(share: float, texts: Texts) -> str:
    return texts.percent(share, signed=share != 0.0)


def _thirds(lift: Check, texts: Texts) -> str:
    names = {"slope": texts.text("passport", "all")}
    for third in TERCILES:
        elasticity = texts.number(lift.figure(f"elasticity_{third}").value, 1)
        name = texts.text("passport", f"slope_{third}")
        names[f"slope_{third}"] = texts.text("passport", "third", name=name, elasticity=elasticity)
    names["slope_steady"] = texts.text("passport", "steady")
    bars = [_bar(label, lift.figure(name), texts) for name, label in names.items()]
    known = [bar for bar in bars if math.isfinite(bar.value)]
    return interval_chart(known, 1.0, axis("effect_share", texts))


def _bar(label: str, figure: Figure, texts: Texts) -> Bar:
    reach = _Z95 * figure.error
    return Bar(label, texts.number(figure.value, 2), figure.value, figure.value - reach, figure.value + reach)


def _pair(row: tuple[str | float, ...], texts: Texts) -> Pair:
    low, high, _, stayed, expected, actual = (float(value) for value in row)
    cut = high <= 0.0
    near, far = (abs(high), abs(low)) if cut else (low, high)
    code, open_ended = ("cut" if cut else "rise"), far >= 1.0
    label = texts.text(
        "passport",
        f"{code}_over" if open_ended else code,
        low=texts.percent(near),
        **({} if open_ended else {"high": texts.percent(far)}),
    )
    said, came = expected / stayed - 1.0, actual / stayed - 1.0
    text = f"{texts.percent(said, signed=True)} \N{RIGHTWARDS ARROW} {texts.percent(came, signed=True)}"
    return Pair(label, text, said, came)


def _sales_pictures(passport: Passport, texts: Texts) -> dict[str, Any]:
    totals, pit, replay = (passport.check(code) for code in ("totals", "pit", "replay"))
    shown: dict[str, Any] = {"totals_chart": "", "chances_chart": ""}
    if totals.table.rows:
        feet = [texts.day(str(day), "short_date") for day in totals.table.column("period")]
        series = [_floats(totals, name) for name in ("actual", "expected", "lower", "upper")]
        shown["totals_chart"] = band_chart(
            feet, series[0], series[1], series[2], series[3], axis("units", texts)
        )
    if pit.table.rows:
        axes = (axis("tenth", texts), Axis(texts.text("chart", "share"), texts.percent))
        band = (pit.figure("lowest").low, pit.figure("highest").high)
        shown["chances_chart"] = share_chart(_floats(pit, "share"), band, axes)
    return {
        **shown,
        "replayed": [_replayed(row, texts) for row in replay.table.rows],
        "worlds": texts.number(replay.figure("worlds").value),
        **_refits(passport.check("origins"), texts),
        **_twins(passport.check("twins"), texts),
    }


def _twins(found: Check, texts: Texts) -> dict[str, str]:
    """Return the picture of how often a classifier finds the simulated one; none where it was not asked."""
    there = {figure.name: figure for figure in found.figures if math.isfinite(figure.value)}
    names = {"products": "twin_products", "categories": "twin_categories"}
    bars: list[Bar] = []
    for code, name in names.items():
        for kind, label in ((code, name), (f"{code}_floor", "two_simulations")):
            if kind in there:
                bar = _bar(texts.text("passport", label), there[kind], texts)
                bars.append(replace(bar, text=_written("twins", kind, there[kind].value, texts)))
    across = Axis(texts.text("chart", "found_out"), partial(_share, texts=texts))
    return {"twins_chart": interval_chart(bars, 0.5, across) if bars else ""}


def _share(share: float, texts: Texts) -> str:
    return texts.percent(share)


def _replayed(row: tuple[str | float, ...], texts: Texts) -> tuple[str, str, str]:
    name = texts.text("passport_measure", str(row[0]))
    actual, *simulated = (float(value) for value in row[1:])
    off, lower, upper = (texts.percent(value - actual, 1, signed=True) for value in simulated)
    return name, off, f"{lower} … {upper}"


def _refits(origins: Check, texts: Texts) -> dict[str, Any]:
    if not origins.table.rows:
        return {"refits": [], "refits_why": ""}
    number = {name: origins.figure(name).value for name in ("periods", "series", "fitted")}
    whole = number["series"] >= number["fitted"]
    told = {name: texts.number(value) for name, value in number.items()}
    return {
        "refits": [_refit(row, texts) for row in origins.table.rows],
        "refits_why": texts.text("passport", "refits_all" if whole else "refits_why", **told),
    }


def _refit(row: tuple[str | float, ...], texts: Texts) -> tuple[str, ...]:
    wmape, naive, _, _, bias, slope, error, _ = (float(value) for value in row[1:])
    known = math.isfinite(slope)
    effect = f"{texts.number(slope, 2)} ± {texts.number(error, 2)}" if known else "–"
    return (
        texts.day(str(row[0]), "short_date"),
        texts.percent(wmape, 1),
        texts.percent(naive, 1),
        texts.percent(bias, 1, signed=True),
        effect,
    )


def _floats(found: Check, name: str) -> Floats:
    return np.array([float(value) for value in found.table.column(name)], dtype=np.float64)
