"""Every threshold of a passport, in this one place, each with its source.

The limits were written down before any passport was made, and none was moved to let a model pass. A figure
that is not listed is told and not judged. An estimate with a standard error fails where it misses its
limits by more than two of them; where it misses by less, chance would explain it, and it neither fails nor
passes. That rule came after the first passports: without it the true model of a small invented shop failed.
On a year of grocery data it turned one check, price changes, from failed to one that cannot be told.

The sources:

- ``calibration``: an honest forecast has uniform probability transforms and intervals that hold what they say
  (Dawid, JRSS A 1984; Gneiting, Balabdaoui, Raftery, JRSS B 2007). The widths allow for chance and for shocks
  that many cells share: .085-.115 a decile, .87-.93 of a 90 % interval, 90 % inside a 95 % band of totals.
- ``lift``: an effect that is promised has to come, slope 1 (Mincer and Zarnowitz, NBER 1969): within .05 over
  all products, within .2 in a third of them.
- ``reference``: gradient boosting on a year of grocery orders was 3-5 % off in total and 4-7 % where prices
  had moved. To be better than its better end, 2 % and 3 %; and no worse than 5 % right after a refit and at
  price changes.
- ``naive``: a forecast worse than the mean of the last eight periods is worth nothing.
- ``sign``: demand that rises with price is nearly always an error of estimation (Bijmolt, van Heerde,
  Pieters, Journal of Marketing Research 2005: -2.62 on average over 1,851 published elasticities).
- ``replay``: simulated sales at logged prices give totals within 5 % and shares within one point.
- ``twins``: ours, and that of simulated baskets (docs/benchmarks.md). Of a real and a simulated row side by
  side a classifier may pick the simulated one in at most 65 of 100 cases; 50 is guessing. Two simulations,
  told apart in the same way, stand beside it and show that 50 can be reached.
- ``support``: ours. A model that has to refuse more than a tenth of the prices that the shop then posted has
  not seen enough of them.
- ``instrument``: a first-stage F of ten (Staiger and Stock, Econometrica 1997).
- ``sensitivity``: ours. An interval more than three times as wide, once prices and what else moved demand may
  be correlated by .3, is mostly assumption.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from simulators.demand.instruments import LEAST_STRENGTH
from simulators.passport.verdict import Figure, Reason, Verdict

__all__ = ["THRESHOLDS", "Source", "Threshold", "held", "threshold"]

_ERRORS = 2.0
"""Standard errors by which an estimate has to miss its limits to fail."""


class Source(Enum):
    """Where a threshold comes from; see the list above."""

    CALIBRATION = "calibration"
    LIFT = "lift"
    REFERENCE = "reference"
    NAIVE = "naive"
    SIGN = "sign"
    REPLAY = "replay"
    TWINS = "twins"
    SUPPORT = "support"
    INSTRUMENT = "instrument"
    SENSITIVITY = "sensitivity"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Limits, both included, of one figure of one check, and where they come from."""

    check: str
    figure: str
    low: float
    high: float
    source: Source


THRESHOLDS = (
    Threshold("lift", "slope", 0.95, 1.05, Source.LIFT),
    Threshold("lift", "slope_weak", 0.8, 1.2, Source.LIFT),
    Threshold("lift", "slope_middle", 0.8, 1.2, Source.LIFT),
    Threshold("lift", "slope_strong", 0.8, 1.2, Source.LIFT),
    Threshold("lift", "gain", 0.0, math.inf, Source.NAIVE),
    Threshold("events", "bias_cuts", -0.05, 0.05, Source.REFERENCE),
    Threshold("events", "bias_rises", -0.05, 0.05, Source.REFERENCE),
    Threshold("events", "coverage", 0.87, 0.93, Source.CALIBRATION),
    Threshold("level", "skill", 0.0, math.inf, Source.NAIVE),
    Threshold("level", "bias", -0.02, 0.02, Source.REFERENCE),
    Threshold("level", "bias_moved", -0.03, 0.03, Source.REFERENCE),
    Threshold("origins", "skill", 0.0, math.inf, Source.NAIVE),
    Threshold("origins", "bias", 0.0, 0.05, Source.REFERENCE),
    Threshold("pit", "lowest", 0.085, math.inf, Source.CALIBRATION),
    Threshold("pit", "highest", -math.inf, 0.115, Source.CALIBRATION),
    Threshold("totals", "inside", 0.90, math.inf, Source.CALIBRATION),
    Threshold("sign", "regular", 0.99, math.inf, Source.SIGN),
    Threshold("sign", "depth", 0.99, math.inf, Source.SIGN),
    Threshold("support", "inside", 0.90, math.inf, Source.SUPPORT),
    Threshold("replay", "units", -0.05, 0.05, Source.REPLAY),
    Threshold("replay", "revenue", -0.05, 0.05, Source.REPLAY),
    Threshold("replay", "discount_share", -0.01, 0.01, Source.REPLAY),
    Threshold("twins", "products", -math.inf, 0.65, Source.TWINS),
    Threshold("twins", "categories", -math.inf, 0.65, Source.TWINS),
    Threshold("instrument", "strength", LEAST_STRENGTH, math.inf, Source.INSTRUMENT),
    Threshold("sensitivity", "ratio", 0.0, 3.0, Source.SENSITIVITY),
)
"""All of them, by check in the order of the page."""


def threshold(check: str, figure: str) -> Threshold | None:
    """Return what a figure is held to, None for one that is only told."""
    found = (t for t in THRESHOLDS if (t.check, t.figure) == (check, figure))
    return next(found, None)


def held(
    check: str, figure: str, value: float, *, error: float = math.nan, reason: Reason | None = None
) -> Figure:
    """Hold a value against its threshold.

    Parameters
    ----------
    check, figure
        Codes, as in :data:`THRESHOLDS`.
    value, error
        As measured, and its standard error; NaN where none is known.
    reason
        Why it cannot be judged, None if it can.

    Raises
    ------
    ValueError
        If a value without a number is to be judged: a check has to say why there is none.
    """
    limit = threshold(check, figure)
    if limit is None:
        return Figure(figure, value, error, reason=reason)
    if reason is not None:
        return Figure(figure, value, error, limit.low, limit.high, Verdict.NOT_APPLICABLE, reason)
    if not math.isfinite(value):
        raise ValueError(f"{check}.{figure} is {value} and no reason is given.")
    miss = max(limit.low - value, value - limit.high, 0.0)
    if 0.0 < miss <= _ERRORS * error:
        unsure = Verdict.NOT_APPLICABLE
        return Figure(figure, value, error, limit.low, limit.high, unsure, Reason.CHANCE)
    verdict = Verdict.FAILED if miss > 0.0 else Verdict.PASSED
    return Figure(figure, value, error, limit.low, limit.high, verdict)
