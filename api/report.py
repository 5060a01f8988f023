"""The report: what was found, on one self-contained HTML page that a manager can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from api.axes import axis
from api.charts import Axis, Bar, band_chart, curve_chart, histogram, interval_chart
from api.check_texts import answers, missing_tables
from api.cli.validate import measures
from api.forms_told import forms_told
from api.page import render_page
from api.planned import plans_told
from api.prior_told import prior_cost_told
from api.runs import read_shelf
from api.standing_texts import standing_lines
from api.tables import SUMMARY
from api.texts import Texts
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from policies.serve.shelf import Shelf
from pricing.arrays import Ints
from pricing.money import Currency
from pricing.recommendation import LIMIT_SHARE, Reason
from pricing.standing import Standing, Verdict

__all__ = ["Findings", "render_report"]

_pq: Any = pyarrow.parquet

_MOVES, _CURVES = 25, 6
_PLAIN = {
    Reason.COST_ASSUMED.value, Reason.PRICE_RAISED.value, Reason.PRICE_LOWERED.value,
    Reason.MODEL_CHECK_FAILED_ACCEPTED.value, Reason.MODEL_NOT_VALIDATED.value,
    Reason.MODEL_CHECKS_UNTOLD.value, Reason.POLICY_OF_OTHER_PASSPORT.value,
}  # fmt: skip
"""Reasons that are said once above the moves, not in every row."""

_RISK = 0.05
"""Probability of losing money above which a change is counted as risky."""

_SPREAD = (-5.0, 1.0)
"""Elasticities that the histogram covers; what lies beyond is counted at its edge."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a report is made from.

    Attributes
    ----------
    run
        Run folder.
    check, validation
        Documents of `tarifa check` and `tarifa validate`, as their --json prints them.
    simulation
        Folder of `tarifa simulate`.
    elasticities, recommendations
        Files of `tarifa elasticities` and `tarifa recommend`.
    """

    run: Path
    check: Mapping[str, Any]
    validation: Mapping[str, Any]
    simulation: Path
    elasticities: Path
    recommendations: Path


def render_report(found: Findings, texts: Texts) -> str:
    """Return the page as HTML: no script, no link to anything outside, no word that is not in `texts`."""
    table: Any = _pq.read_table(found.recommendations)
    rows: list[dict[str, Any]] = table.to_pylist()
    summary = json.loads(table.schema.metadata[SUMMARY])
    shelf = read_shelf(found.run)
    moves = sorted(
        (r for r in rows if r["recommended_price"] not in (None, r["current_price"])), key=_by_gain
    )
    places = _places(shelf)
    return render_page(
        "report.html",
        **_words(texts),
        **_decided(summary, rows, moves, texts),
        **_told(found, texts),
        **_checked(found, texts),
        costs_assumed=float(shelf.catalogue.cost_assumed.mean()),
        moves=[_move(row, shelf, places, texts) for row in moves[:_MOVES]],
        notes=_notes(moves[:_MOVES], texts),
        curves=_curves(shelf, moves[:_CURVES], places, texts),
    )


def _words(texts: Texts) -> dict[str, Any]:
    """Return what a template finds its words and writes its figures with."""
    return {
        "language": texts.language,
        "t": partial(texts.text, "report"),
        "w": partial(texts.text, "word"),
        "count": texts.number,
        "percent": texts.percent,
        "level": texts.percent(0.9),
    }


def _decided(
    summary: Mapping[str, Any], rows: list[dict[str, Any]], moves: list[dict[str, Any]], texts: Texts
) -> dict[str, Any]:
    """Return what is said of the decision as a whole."""
    policy, _, version = str(summary["release"]).partition("@")
    standing, other = (
        Standing.of(summary["standing"], "The file of recommendations"),
        summary["trained_under"],
    )
    trained = (
        {} if other is None else {_policy(policy, texts): Standing.of(other, "The file of recommendations")}
    )
    money = Currency.of(summary["currency"])
    return {
        "summary": summary,
        "trusted": standing.verdict is Verdict.PASSED,
        "standing": standing_lines(standing, texts, trained),
        "span": texts.span(summary["valid_from"], summary["valid_to"]),
        "decided_by": f"{_policy(policy, texts)} ({policy} {version})",
        "currency": summary["currency"],
        "change": texts.money(int(summary["profit_change_minor"]), money, signed=True),
        "raised": sum(row["recommended_price"] > row["current_price"] for row in moves),
        "risky": sum(row["probability_of_loss"] > _RISK for row in moves),
        "risk": _RISK,
        "driven": texts.text("word", "driven_by_limits", limit=texts.percent(LIMIT_SHARE)),
        "planned": (
            *plans_told(int(summary["promoted"]), int(summary["plans_left_out"]), texts),
            *prior_cost_told(rows, money, texts),
        ),
        "blocked": sum(row["recommended_price"] is None for row in rows),
        "kept": int(summary["series"]) - int(summary["movable"]),
        "more": max(len(moves) - _MOVES, 0),
    }


def _told(found: Findings, texts: Texts) -> dict[str, Any]:
    """Return what fit, validation and simulation found."""
    origin = json.loads((found.run / "run.json").read_bytes())
    fitted = json.loads((found.run / "report.json").read_bytes())
    simulation = json.loads((found.simulation / "simulation.json").read_bytes())
    told, slope = found.validation, found.validation["lift"]["slope"]
    return {
        "origin": origin,
        "until": texts.day(origin["until"]),
        "fitted": fitted,
        "identified": _identified(fitted, texts),
        "forms": forms_told(fitted.get("forms", ()), texts),
        "elasticity_chart": _elasticities(found.elasticities, texts),
        "validation": told,
        "slope": texts.text("measure", "unmeasured") if slope is None else texts.number(slope, 2),
        "holdout_day": texts.day(told["until"]),
        "measures": measures(told, texts, leave_out=("bias_moved", "negative_depth", "gain")),
        "totals_chart": _totals(told, texts),
        "simulation": simulation,
        "simulations": _simulations(simulation, texts),
    }


def _checked(found: Findings, texts: Texts) -> dict[str, Any]:
    """Return what the check found."""
    return {
        "check": found.check,
        "data_span": texts.span(found.check["first_day"], found.check["until"]),
        "answers": answers(found.check, texts),
        "missing": missing_tables(found.check, texts),
        "yes": texts.text("check", "yes"),
        "no": texts.text("check", "no"),
    }


def _by_gain(row: Mapping[str, Any]) -> tuple[int, str, str]:
    return -int(row["profit_change"]), str(row["price_group"]), str(row["zone"])


def _policy(name: str, texts: Texts) -> str:
    """Return what a policy is called; a folder of the user's keeps its own name."""
    return texts.sections["policy"].get(name, name)


def _identified(fitted: Mapping[str, Any], texts: Texts) -> list[tuple[str, int, float]]:
    counts = [(how, int(n)) for kind, how, n in fitted["identified"] if kind == "regular" and n]
    total = sum(n for _, n in counts)
    return [(texts.text("identified_by", how), n, n / total) for how, n in counts]


def _totals(validation: Mapping[str, Any], texts: Texts) -> str:
    totals = validation["totals"]
    actual, expected, lower, upper = (
        np.array(totals[name], dtype=np.float64) for name in ("actual", "expected", "lower", "upper")
    )
    feet = [texts.day(day, "short_date") for day in totals["periods"]]
    return band_chart(feet, actual, expected, lower, upper, axis("units", texts))


def _elasticities(path: Path, texts: Texts) -> str:
    table: Any = _pq.read_table(path, columns=["kind", "elasticity", "identified_by"])
    known = [
        row["elasticity"]
        for row in table.to_pylist()
        if row["kind"] == "regular" and row["identified_by"] not in ("prior", "not_identified")
    ]
    across = Axis(texts.text("chart", "elasticity"), partial(texts.number, places=1))
    axes = (across, axis("products", texts))
    return histogram(np.array(known, dtype=np.float64), *_SPREAD, axes) if known else ""


def _simulations(simulation: Mapping[str, Any], texts: Texts) -> list[tuple[str, str]]:
    money = Currency.of(str(simulation["currency"]))
    reference = _policy(str(simulation["reference"]), texts)
    across = Axis(texts.text("chart", "percent_of", policy=reference), texts.number)
    charts: list[tuple[str, str]] = []
    for comparison in simulation["comparisons"]:
        compared = comparison["policies"]
        bars = [
            Bar(
                _policy(entry["policy"], texts),
                texts.percent(entry["percent"]["estimate"] / 100.0, 2),
                entry["percent"]["estimate"],
                entry["percent"]["lower_90"],
                entry["percent"]["upper_90"],
            )
            for entry in compared
        ]
        profit = round(next(e["profit"] for e in compared if e["policy"] == e["reference"]))
        of = texts.text("simulate", comparison["which"], count=texts.number(comparison["products"]))
        full = texts.percent(1.0)
        title = texts.text("report", "policies_of", which=of, full=full, profit=texts.money(profit, money))
        charts.append((title, interval_chart(bars, 100.0, across)))
    return charts


def _places(shelf: Shelf) -> dict[tuple[str, str], int]:
    series = shelf.catalogue.series
    return {pair: i for i, pair in enumerate(zip(series.group, series.zone, strict=True))}


def _move(
    row: Mapping[str, Any], shelf: Shelf, places: Mapping[tuple[str, str], int], texts: Texts
) -> dict[str, Any]:
    money, series = Currency.of(row["currency"]), shelf.catalogue.series
    place = places[row["price_group"], row["zone"]]
    now, new = int(row["current_price"]), int(row["recommended_price"])
    zone = row["zone"] if len(set(series.zone)) > 1 else ""
    kind = series.subcategory[place] or series.category[place]
    return {
        "group": row["price_group"],
        "kind": ", ".join(word for word in (kind, zone) if word),
        "now": texts.amount(now, money),
        "new": texts.amount(new, money),
        "up": new > now,
        "move": texts.percent(new / now - 1.0, 1, signed=True),
        "units": texts.number(row["expected_units"]),
        "change": texts.amount(int(row["profit_change"]), money, signed=True),
        "lower": texts.amount(int(row["profit_change_lower"]), money),
        "upper": texts.amount(int(row["profit_change_upper"]), money),
        "loss": texts.percent(row["probability_of_loss"]),
        "notes": "; ".join(_note(code, row, texts) for code in row["reason_codes"] if code not in _PLAIN),
    }


def _note(code: str, row: Mapping[str, Any], texts: Texts) -> str:
    rule = row["binding_guardrail"]
    named = texts.text("word", "none") if rule is None else texts.text("rule", rule)
    return texts.text("note", code, rule=named)


def _notes(moves: list[dict[str, Any]], texts: Texts) -> list[tuple[str, str]]:
    """Return what the notes of these moves mean, each said once."""
    used = {code for row in moves for code in row["reason_codes"]} - _PLAIN
    rules = {row["binding_guardrail"] for row in moves} - {None}
    several = texts.text("word", "a_rule")
    named = texts.text("rule", rules.pop()) if len(rules) == 1 else several
    return [
        (texts.text("note", r.value, rule=named), texts.text("reason", r.value, rule=named))
        for r in Reason
        if r.value in used
    ]


def _curves(
    shelf: Shelf, moves: list[dict[str, Any]], places: Mapping[tuple[str, str], int], texts: Texts
) -> list[tuple[str, str]]:
    """Return a profit curve of each move; it rests on beliefs and state, whatever policy decided."""
    if not moves:
        return []
    money = Currency.of(shelf.catalogue.currency)
    price = Axis(
        texts.text("chart", "price", currency=money.code), partial(texts.number, places=money.exponent)
    )
    axes = (price, axis("profit", texts, currency=money.code))
    index: Ints = np.array([places[row["price_group"], row["zone"]] for row in moves], dtype=np.int64)
    made = recommend(shelf.take(index), Incumbent())
    charts: list[tuple[str, str]] = []
    for i, row in enumerate(moves):
        found, catalogue = made.curve(i), made.shelf.catalogue
        scaled = (
            np.asarray(found.price / money.scale),
            np.asarray(found.profit / money.scale),
            np.asarray(found.profit_lower / money.scale),
            np.asarray(found.profit_upper / money.scale),
        )
        now, chosen = row["current_price"] / money.scale, row["recommended_price"] / money.scale
        seen = float(catalogue.support_low[i]) / money.scale, float(catalogue.support_high[i]) / money.scale
        prices = [texts.amount(int(row[name]), money) for name in ("current_price", "recommended_price")]
        title = f"{row['price_group']}: {prices[0]} \N{RIGHTWARDS ARROW} {prices[1]}"
        charts.append((title, curve_chart(scaled, now, chosen, seen, axes)))
    return charts
