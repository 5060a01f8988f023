"""Nouns of a passport's judgement: a figure held against its limits, and a check made of figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from pricing.standing import Verdict

__all__ = ["Check", "Figure", "Reason", "Table", "Verdict", "absent", "check"]

_DIGITS = 6
"""Significant digits that a passport keeps: what lies beyond depends on the order of a sum."""


class Reason(Enum):
    """Why a figure or check does not apply; its text stands in the reader's language at the edge."""

    SHORT_HISTORY = "short_history"
    NOTHING_SOLD = "nothing_sold"
    FEW_CELLS = "few_cells"
    FEW_EVENTS = "few_events"
    FEW_TOTALS = "few_totals"
    FEW_MOVES = "few_moves"
    NO_MOVES = "no_moves"
    CHANCE = "chance"
    FEW_CATEGORIES = "few_categories"
    NO_COSTS = "no_costs"
    WEAK_INSTRUMENT = "weak_instrument"
    TESTED = "tested"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes
    ----------
    name
        Its code within the check.
    value
        As measured; NaN where it could not be.
    error
        Its standard error, NaN where none is known.
    low, high
        Limits that it is held to, infinite where there is none on that side.
    verdict
        Whether it keeps them; a figure that is only told, or cannot be judged, is not applicable.
    reason
        Why it could not be judged; None for one that is judged or only told.
    """

    name: str
    value: float
    error: float = math.nan
    low: float = -math.inf
    high: float = math.inf
    verdict: Verdict = Verdict.NOT_APPLICABLE
    reason: Reason | None = None

    @property
    def limited(self) -> bool:
        """Whether it is held to anything."""
        return math.isfinite(self.low) or math.isfinite(self.high)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows behind a check, for its picture: names of columns, and rows of texts and numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]

    def column(self, name: str) -> tuple[str | float, ...]:
        """Return one column."""
        place = self.columns.index(name)
        return tuple(row[place] for row in self.rows)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a model.

    Attributes
    ----------
    code
        Its name, by which a failure may be accepted.
    verdict
        See :func:`check`.
    figures
        In reading order.
    reason
        Why it does not apply, None where it does.
    table
        What its picture shows; empty where there is none.
    """

    code: str
    verdict: Verdict
    figures: tuple[Figure, ...]
    reason: Reason | None = None
    table: Table = Table((), ())

    def figure(self, name: str) -> Figure:
        """Return a figure by its code; raises KeyError where there is none."""
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)


def check(code: str, figures: tuple[Figure, ...], table: Table | None = None) -> Check:
    """Return the check that its figures make.

    One failure fails it. It passes if every figure that has limits keeps them; where one cannot be judged,
    the check cannot be told either, for the same reason.
    """
    verdicts = {figure.verdict for figure in figures if figure.limited}
    order = (Verdict.FAILED, Verdict.NOT_APPLICABLE, Verdict.PASSED)
    verdict = next((v for v in order if v in verdicts), Verdict.NOT_APPLICABLE)
    reasons = [figure.reason for figure in figures if figure.limited and figure.reason is not None]
    reason = reasons[0] if verdict is Verdict.NOT_APPLICABLE and reasons else None
    return Check(code, verdict, tuple(map(_rounded, figures)), reason, _short(table or Table((), ())))


def absent(code: str, reason: Reason) -> Check:
    """Return a check that does not apply, and why."""
    return Check(code, Verdict.NOT_APPLICABLE, (), reason)


def _rounded(figure: Figure) -> Figure:
    value, error = _significant(figure.value), _significant(figure.error)
    return Figure(figure.name, value, error, figure.low, figure.high, figure.verdict, figure.reason)


def _short(table: Table) -> Table:
    rows = (tuple(v if isinstance(v, str) else _significant(v) for v in row) for row in table.rows)
    return Table(table.columns, tuple(rows))


def _significant(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
