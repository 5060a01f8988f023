"""How offers are really used, against what was predicted: what serving reads of what was learned.

Where an offer is used more or less than was predicted, what it draws and what it adds follow: each use costs
what it costs, and adds what it was predicted to add. Were only the cost corrected, an offer that nobody uses
would look cheap and be given to everybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Floats
from pricing.errors import UsageError

__all__ = ["Correction", "LogOdds", "log_odds"]

_RARE = 1e-6
"""A chance closer to 0 or 1 than this is held there, so that its log odds are finite."""

_LEAST, _MOST = 0.125, 8.0
"""Of what a lottery found an offer to add: how far realised use may move it."""

_NEVER = 1e-6
"""A chance of use below which it tells nothing of what a use adds."""


@dataclass(frozen=True, slots=True, eq=False)
class LogOdds:
    """Log odds of use that show: ``level + own * predicted + others * mean over the customer's offers``.

    Attributes
    ----------
    level
        float64 [K]; 0 where predictions are right.
    own, others
        1 and 0 where they are.
    """

    level: Floats
    own: float = 1.0
    others: float = 0.0

    def chance(self, used: Floats) -> Floats:
        """Return chances of use, float64 [N, K], of predicted ones; column 0, no coupon, is 0."""
        if self.own == 1.0 and not self.others and not self.level.any():
            return used
        own, mean = log_odds(used)
        z = self.level + self.own * own + self.others * mean
        out: Floats = 0.5 * (1.0 + np.tanh(0.5 * z))
        out[:, 0] = 0.0
        return out


def log_odds(used: Floats) -> tuple[Floats, Floats]:
    """Return log odds of chances [N, K], and their mean over coupons 1, ..., K - 1, [N, 1]."""
    held = np.clip(used, _RARE, 1.0 - _RARE)
    own: Floats = np.log(held) - np.log1p(-held)
    return own, own[:, 1:].sum(axis=1, keepdims=True) / max(used.shape[1] - 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What realised uses say of predicted ones.

    Attributes
    ----------
    use
        How often offers are used.
    money
        What a use draws, over what it may draw at most.
    """

    use: LogOdds
    money: float = 1.0

    def __post_init__(self) -> None:
        every = np.array([*self.use.level, self.use.own, self.use.others, self.money])
        if not np.isfinite(every).all() or self.money < 0.0:
            raise UsageError("A correction by uses holds what is no number, or a negative share of money.")

    @staticmethod
    def none(offers: int) -> Correction:
        """Return the one that changes nothing of K offers."""
        return Correction(LogOdds(np.zeros(offers)))

    def numbers(self) -> Floats:
        """Return it as float64 [K + 3]: level, own, others, money."""
        return np.array([*self.use.level, self.use.own, self.use.others, self.money])

    @staticmethod
    def of(numbers: Floats) -> Correction:
        """Read what :meth:`numbers` wrote."""
        own, others, money = map(float, numbers[-3:])
        return Correction(LogOdds(numbers[:-3].copy(), own, others), money)

    def applied(self, predicted: Floats) -> tuple[Floats, Floats]:
        """Return chances of use, float64 [N, K], and what they multiply predicted profits by, [N, K]."""
        shown = self.use.chance(predicted)
        ratio = np.where(predicted > _NEVER, shown / np.maximum(predicted, _NEVER), 1.0)
        return shown, np.clip(ratio, _LEAST, _MOST)
