"""What came of the decisions as one self-contained HTML page, for whoever wants to see how forecasts did."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from api.axes import short
from api.charts import Axis, calibration_chart
from api.outcomes_told import outcomes_told
from api.page import render_page
from api.texts import Texts
from pricing.arrays import Floats
from pricing.money import Currency
from simulators.outcome_check import Check

__all__ = ["render_outcomes"]

_DOTS, _EACH = 12, 5
"""Most dots of the chart, and fewest decisions of one."""


def render_outcomes(table: Any, found: Check, cycle: str, texts: Texts) -> str:
    """Return the page as HTML: no script, no link, no word that is not in `texts`.

    Parameters
    ----------
    table
        pyarrow Table of :data:`pricing.outputs.OUTCOMES`.
    found
        What it says of the forecasts.
    cycle
        The cycle that stated it, ISO date.
    texts
        The reader's language.
    """
    word = partial(texts.text, "outcomes")
    currencies = table.column("currency").to_pylist()
    return render_page(
        "outcomes.html",
        language=texts.language,
        t=word,
        told=outcomes_told(found, texts),
        chart=_chart(table, texts),
        periods=_periods(table, texts) if currencies else [],
        only=word("only_checks", currency=currencies[0]) if currencies else "",
        origin=word("origin", day=texts.day(cycle), fingerprint=_fingerprint(table)),
    )


def _fingerprint(table: Any) -> str:
    found = table.column("fingerprint").to_pylist()
    return str(found[-1])[:12] if found else "-"


def _there(table: Any) -> Any:
    """Return the rows that check the forecast, as pyarrow Table."""
    return table.filter(table.column("left_out").is_null())


def _chart(table: Any, texts: Texts) -> str:
    """Draw units sold against units expected, of groups of decisions that expected about as many."""
    rows = _there(table)
    expected, came = (_column(rows, name) for name in ("expected_units", "units"))
    parts = min(_DOTS, len(expected) // _EACH)
    if not parts:
        return ""
    order = np.argsort(expected, kind="stable")
    groups = [(expected[part], came[part]) for part in np.array_split(order, parts)]
    means = np.array([(said.mean(), sold.mean(), len(said)) for said, sold in groups])
    shown = means[(means[:, 0] > 0.0) & (means[:, 1] > 0.0)]  # nothing sold has no place on such an axis
    if not len(shown):
        return ""
    form = partial(short, texts=texts)
    axes = (
        Axis(texts.text("outcomes", "expected_axis"), form),
        Axis(texts.text("outcomes", "sold_axis"), form),
    )
    return calibration_chart(shown[:, 0], shown[:, 1], shown[:, 2], axes)


def _periods(table: Any, texts: Texts) -> list[tuple[str, ...]]:
    """Return a row of cells a period, the newest first."""
    money = Currency.of(str(table.column("currency")[0]))
    starts = table.column("period_start").to_pylist()
    there = np.array([word is None for word in table.column("left_out").to_pylist()], dtype=np.bool_)
    names = ("expected_units", "units", "expected_profit", "profit")
    columns = {name: _column(table, name) for name in names}
    inside = (columns["units"] >= _column(table, "units_lower")) & (
        columns["units"] <= _column(table, "units_upper")
    )
    out: list[tuple[str, ...]] = []
    for day in sorted(set(starts), reverse=True):
        own = np.array([start == day for start in starts], dtype=np.bool_)
        rows = own & there
        sums = {name: float(values[rows].sum()) for name, values in columns.items()}
        count = int(rows.sum())
        out.append(
            (
                texts.day(day.isoformat()),
                texts.number(int(own.sum())),
                texts.number(count),
                texts.number(sums["expected_units"]),
                texts.number(sums["units"]),
                texts.amount(round(sums["expected_profit"]), money),
                texts.amount(round(sums["profit"]), money),
                texts.percent(float(inside[rows].mean())) if count else "\N{EN DASH}",
            )
        )
    return out


def _column(table: Any, name: str) -> Floats:
    values: Floats = table.column(name).to_numpy().astype(np.float64)
    return values
