"""How small an effect a trial can be expected to see: the same estimate on periods where nothing was done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from policies.impact.cells import Cells, contrasts, growth_removed
from policies.impact.randomised import LEVEL
from pricing.arrays import Floats, Ints

__all__ = ["POWER", "Noise", "estimates_of_nothing", "noise", "placebo_blocks"]

POWER = 0.8
"""Of trials with the detectable effect, the share that sees it."""

_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Noise:
    """What chance alone does to the estimate.

    Attributes
    ----------
    sd
        Root mean square of estimates of nothing, as a share of what was treated; NaN without a window.
    windows, periods
        Stretches of the past, and periods of each.
    """

    sd: float
    windows: int
    periods: int

    @property
    def detectable(self) -> float:
        """Least effect, as a share, that four of five trials would see."""
        return float(ndtri(0.5 + LEVEL / 2.0) + ndtri(POWER)) * self.sd


def noise(past: Floats, cells: Cells, periods: int, rng: np.random.Generator) -> Noise:
    """Estimate nothing over and over again, on past windows and drawn assignments.

    Parameters
    ----------
    past
        float64 [J, P]; net profit of each cell's cluster in past periods, the latest last.
    cells
        The trial's.
    periods
        Length of what is to be measured of each cell. Where the past is shorter than twice that, its half is
        used: a longer trial averages more and wanders more, and only a longer past could tell which wins.
    rng
        Where chance comes from.
    """
    length = min(periods, past.shape[1] // 2)
    squares: list[float] = []
    windows = 0
    if length:
        for stop in range(past.shape[1], 2 * length - 1, -length):
            before = past[:, : stop - length].mean(axis=1)
            found = estimates_of_nothing(
                past[:, stop - length : stop].mean(axis=1), replace(cells, before=before), rng
            )
            squares += (found**2).tolist()
            windows += 1
    return Noise(float(np.sqrt(np.mean(squares))) if squares else float("nan"), windows, length)


def estimates_of_nothing(outcome: Floats, cells: Cells, rng: np.random.Generator) -> Floats:
    """Return what drawn assignments estimate of an outcome float64 [J] in which nothing was treated."""
    drawn = cells.drawn(_DRAWS, rng)
    weights = contrasts(drawn, cells.stratum)
    dose = (weights * growth_removed(cells.scale * drawn, cells)).sum(axis=1)
    found = weights @ growth_removed(outcome, cells)
    fine = dose > 0.0
    return np.asarray(found[fine] / dose[fine], dtype=np.float64)


def placebo_blocks(past: Floats, block: int, washout: int, blocks: int) -> tuple[Floats, Ints]:
    """Cut the end of the past [C, P] into blocks as if a switchback had run there.

    Returns
    -------
    float64 [C, k], mean of each block's measured periods, and int64 [k], the trial's blocks whose draw they
    take: an even number, at most `blocks`.
    """
    count = min(past.shape[1] // block, blocks) // 2 * 2
    tail = past[:, past.shape[1] - count * block :]
    cut = tail.reshape(len(past), count, block)[:, :, washout:]
    return cut.mean(axis=2) if count else np.zeros((len(past), 0)), np.arange(count, dtype=np.int64)
