"""The report: what was found, on one self-contained HTML page that a manager can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow.parquet

from api.charts import Bar, band_chart, curve_chart, histogram, interval_chart
from api.runs import open_shelf
from api.tables import SUMMARY
from api.texts import Texts
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from policies.serve.shelf import Shelf
from pricing.arrays import Ints
from pricing.money import Currency
from pricing.recommendation import LIMIT_SHARE, Reason

__all__ = ["Findings", "render_report"]

_pq: Any = pyarrow.parquet

_MOVES, _CURVES = 25, 6
_BANNER = Reason.COST_ASSUMED.value
"""Said once above, not in every row."""

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
    """Return the page as HTML: no script, no link to anything outside."""
    origin = json.loads((found.run / "run.json").read_bytes())
    fitted = json.loads((found.run / "report.json").read_bytes())
    table: Any = _pq.read_table(found.recommendations)
    rows: list[dict[str, Any]] = table.to_pylist()
    summary = json.loads(table.schema.metadata[SUMMARY])
    simulation = json.loads((found.simulation / "simulation.json").read_bytes())
    money = Currency.of(str(summary["currency"]))
    shelf = open_shelf(found.run)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("api"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    moves = sorted(
        (r for r in rows if r["recommended_price"] not in (None, r["current_price"])), key=_by_gain
    )
    return environment.get_template("report.html").render(
        language=texts.language,
        origin=origin,
        fitted=fitted,
        check=found.check,
        validation=found.validation,
        summary=summary,
        limit=LIMIT_SHARE,
        raised=sum(r["recommended_price"] > r["current_price"] for r in moves),
        change=money.text(int(summary["profit_change_minor"])),
        costs_assumed=float(shelf.catalogue.cost_assumed.mean()),
        identified=_identified(fitted, texts),
        totals_chart=_totals(found.validation),
        elasticity_chart=_elasticities(found.elasticities),
        simulations=_simulations(simulation, money),
        simulation=simulation,
        moves=[_move(row, money, texts) for row in moves[:_MOVES]],
        more=max(len(moves) - _MOVES, 0),
        curves=_curves(shelf, moves[:_CURVES], money),
    )


def _by_gain(row: Mapping[str, Any]) -> tuple[int, str, str]:
    return -int(row["profit_change"]), str(row["price_group"]), str(row["zone"])


def _identified(fitted: Mapping[str, Any], texts: Texts) -> list[tuple[str, int, float]]:
    counts = [(how, int(n)) for kind, how, n in fitted["identified"] if kind == "regular" and n]
    total = sum(n for _, n in counts)
    return [(texts.text("identified_by", how), n, n / total) for how, n in counts]


def _totals(validation: Mapping[str, Any]) -> str:
    totals = validation["totals"]
    arrays = (np.array(totals[name], dtype=np.float64) for name in ("actual", "expected", "lower", "upper"))
    return band_chart(totals["periods"], *arrays)


def _elasticities(path: Path) -> str:
    table: Any = _pq.read_table(path, columns=["kind", "elasticity", "identified_by"])
    known = [
        row["elasticity"]
        for row in table.to_pylist()
        if row["kind"] == "regular" and row["identified_by"] not in ("prior", "not_identified")
    ]
    return histogram(np.array(known, dtype=np.float64), *_SPREAD) if known else ""


def _simulations(simulation: Mapping[str, Any], money: Currency) -> list[tuple[str, str]]:
    charts: list[tuple[str, str]] = []
    for comparison in simulation["comparisons"]:
        title, compared = comparison["title"], comparison["policies"]
        bars = [
            Bar(
                f"{entry['policy']}",
                f"{entry['percent']['estimate']:.2f} %",
                entry["percent"]["estimate"],
                entry["percent"]["lower_90"],
                entry["percent"]["upper_90"],
            )
            for entry in compared
        ]
        profit = next(e["profit"] for e in compared if e["policy"] == e["reference"])
        charts.append((f"{title}; 100 % is {money.text(round(profit))}", interval_chart(bars, 100.0)))
    return charts


def _move(row: Mapping[str, Any], money: Currency, texts: Texts) -> dict[str, Any]:
    binding = row["binding_guardrail"]
    rule = texts.text("word", "none") if binding is None else texts.text("rule", binding)
    now, new = int(row["current_price"]), int(row["recommended_price"])
    return {
        "group": row["price_group"],
        "now": money.decimal(now),
        "new": money.decimal(new),
        "move": new / now - 1.0,
        "units": row["expected_units"],
        "change": money.decimal(int(row["profit_change"])),
        "lower": money.decimal(int(row["profit_change_lower"])),
        "upper": money.decimal(int(row["profit_change_upper"])),
        "loss": row["probability_of_loss"],
        "reasons": [texts.text("reason", code, rule=rule) for code in row["reason_codes"] if code != _BANNER],
    }


def _curves(shelf: Shelf, moves: list[dict[str, Any]], money: Currency) -> list[tuple[str, str]]:
    """Return a profit curve of each move; it rests on beliefs and state, whatever policy decided."""
    series = shelf.catalogue.series
    place = {pair: i for i, pair in enumerate(zip(series.group, series.zone, strict=True))}
    if not moves:
        return []
    index: Ints = np.array([place[row["price_group"], row["zone"]] for row in moves], dtype=np.int64)
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
        charts.append((str(row["price_group"]), curve_chart(scaled, now, chosen, seen)))
    return charts
