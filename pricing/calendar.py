"""The calendar's cycles: where in its month and year a day lies, as waves."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats, Ints

__all__ = ["MONTH_DAYS", "YEAR_DAYS", "cycle_waves", "middle_days"]

MONTH_DAYS = 30.436875
YEAR_DAYS = 365.2425
"""Mean length of a month and a year of the Gregorian calendar."""


def middle_days(first: Ints, period_days: int) -> Floats:
    """Return the middle of periods that begin on these days since 1970-01-01, of any shape."""
    return np.asarray(first + 0.5 * (period_days - 1), dtype=np.float64)


def cycle_waves(day: Floats | Ints, lengths: Floats) -> Floats:
    """Return cosine and sine of each cycle, float64 [..., 2 J].

    Parameters
    ----------
    day
        [...]; days since 1970-01-01, whole or not.
    lengths
        float64 [J]; days of a whole cycle.
    """
    turn = 2.0 * np.pi * np.asarray(day, dtype=np.float64)[..., None] / lengths
    return np.stack([np.cos(turn), np.sin(turn)], axis=-1).reshape(*turn.shape[:-1], -1)
