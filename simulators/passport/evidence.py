"""What elasticities rest on: their signs, the prices seen, the instrument, and room for hidden demand."""

from __future__ import annotations

import math

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.evidence import Identification, PriceKind
from simulators.demand.elasticities import CONFOUNDING, Elasticities
from simulators.demand.instruments import FirstStage
from simulators.demand.validate import Validation
from simulators.passport.thresholds import held
from simulators.passport.verdict import Check, Reason, Table, absent, check

__all__ = ["instrument_check", "sensitivity_check", "sign_check", "support_check"]

_TESTED = (int(Identification.EXPERIMENT), int(Identification.INSTRUMENT))


def sign_check(found: Validation) -> Check:
    """Judge how many products sell less when dearer; nothing constrains the sign before."""
    figures = (
        held("sign", "regular", found.negative_regular),
        held("sign", "depth", found.negative_depth),
        held("sign", "series", float(found.series)),
    )
    return check("sign", figures)


def support_check(found: Validation) -> Check:
    """Judge how many of the prices that the shop then posted had been seen in training."""
    return check("support", (held("support", "inside", 1.0 - found.outside_support),))


def instrument_check(stage: FirstStage | None) -> Check:
    """Judge the first stage of costs and of the shop's own instruments; refused ones bear nothing."""
    if stage is None:
        return absent("instrument", Reason.NO_COSTS)
    reason = Reason.WEAK_INSTRUMENT if stage.refused else None
    figures = (
        held("instrument", "strength", stage.strength, reason=reason),
        held("instrument", "series", float(stage.series)),
    )
    rows = tuple(zip(stage.names, stage.slopes, stage.standard_errors, strict=True))
    return check("instrument", figures, Table(("name", "slope", "error"), rows))


def sensitivity_check(found: Elasticities, rows: Ints) -> Check:
    """Judge how much of an elasticity's interval is assumption once hidden demand may have moved prices.

    Elasticities that a price test or an instrument identifies rest on prices that followed no demand; they
    are left out. The ratio grows as sampling intervals narrow: with much data and no test, what is left of
    the doubt is mostly this one, and the check says so.

    Parameters
    ----------
    found
        Of N series.
    rows
        int64 [n]; the series that are still sold, each once.
    """
    part = {kind: _untested(found, rows, kind) for kind in PriceKind}
    ratios = {kind: _ratio(found, index, kind) for kind, index in part.items() if len(index)}
    if not ratios:
        return absent("sensitivity", Reason.TESTED)
    figures = (
        held("sensitivity", "ratio", max(ratios.values())),
        *(held("sensitivity", f"ratio_{k.label}", ratios.get(k, math.nan)) for k in PriceKind),
        *(held("sensitivity", f"negative_{k.label}", _negative(found, part[k], k)) for k in PriceKind),
        held("sensitivity", "correlation", CONFOUNDING),
    )
    return check("sensitivity", figures)


def _untested(found: Elasticities, rows: Ints, kind: PriceKind) -> Ints:
    known = np.isin(found.identified_by[rows, kind], _TESTED)
    return rows[~known]


def _ratio(found: Elasticities, rows: Ints, kind: PriceKind) -> float:
    """Return the median width of the sensitivity interval over that of the sampling interval."""
    wide: Floats = (found.sensitivity_upper - found.sensitivity_lower)[rows, kind]
    narrow: Floats = (found.upper - found.lower)[rows, kind]
    return float(np.median(wide / narrow))


def _negative(found: Elasticities, rows: Ints, kind: PriceKind) -> float:
    """Return the share of series whose whole sensitivity interval is negative; NaN without any."""
    return float((found.sensitivity_upper[rows, kind] < 0.0).mean()) if len(rows) else math.nan
