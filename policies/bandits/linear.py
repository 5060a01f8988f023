"""Linear contextual bandits on incremental profit: LinUCB and linear Thompson sampling, an arm an offer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from policies.bandits.belief import Belief
from policies.bandits.experience import Experience, Named, Shop
from pricing.archive import digest, pack
from pricing.arrays import Bools, Floats, Ints
from pricing.coupon_rules import OfferSituation
from pricing.errors import UsageError
from pricing.policy import Choice
from simulators.coupons.state import CONTEXT

__all__ = ["DRAWS", "LinUCB", "LinearThompson", "shares"]

DRAWS = 32
"""Stored draws of a Thompson policy; a propensity is a multiple of one over their number."""

_PRIOR_SD = 0.3
"""Of a coefficient, in mean profits of a basket a sd of a feature."""
_LARGEST = 8.0
"""Most that one outcome counts, in mean profits of a basket: their tail is long, and that of fakes longer."""


@dataclass(frozen=True)
class _Linear(Named):
    """A ridge regression an offer, of profit beyond what the shop's history lets expect.

    Attributes
    ----------
    shop
        What is known of the shop.
    A
        float64 [K, P, P]; precisions, prior included.
    b
        float64 [K, P]; precision times mean.
    noise
        Sum of squared residuals and number of outcomes so far.
    seed
        Of draws.
    batches
        Learned from so far.
    """

    shop: Shop
    A: Floats
    b: Floats
    noise: tuple[float, float] = (1.0, 1.0)
    seed: int = 0
    batches: int = 0

    @property
    def version(self) -> str:
        """Digest of all that was learned."""
        return digest(pack("bandit", 1, {"A": self.A, "b": self.b}, {"at": [self.seed, self.batches]}))

    @property
    def variance(self) -> float:
        """Of one outcome, squared mean profits of a basket."""
        return self.noise[0] / self.noise[1]

    def _learned(self, experience: Experience) -> tuple[Floats, Floats, tuple[float, float]]:
        shop = self.shop
        X = shop.standard(experience.features)
        gain = (experience.profit - shop.without(experience.features)) / shop.unit
        gain = np.clip(gain, -_LARGEST, _LARGEST)
        A, b = self.A.copy(), self.b.copy()
        for offer in np.unique(experience.offer).tolist():
            rows = experience.offer == offer
            A[offer] += X[rows].T @ X[rows]
            b[offer] += X[rows].T @ gain[rows]
        square, count = self.noise
        return A, b, (square + float((gain**2).sum()), count + len(gain))

    def _means(self) -> Floats:
        return np.asarray(np.linalg.solve(self.A, self.b[..., None])[..., 0], dtype=np.float64)


def _start(shop: Shop) -> tuple[Floats, Floats]:
    width, offers = 1 + len(CONTEXT), len(shop.depth)
    return np.tile(np.eye(width) * _PRIOR_SD**-2, (offers, 1, 1)), np.zeros((offers, width))


@dataclass(frozen=True)
class LinUCB(_Linear):
    """The upper end of what an offer may add (Li, Chu, Langford, Schapire, WWW 2010), the disjoint form.

    Deterministic: its propensities are 1 and support no off-policy claim.

    Attributes
    ----------
    width
        Standard deviations of the mean that are added to it.
    """

    width: float = 1.0
    NAME: ClassVar[str] = "linucb"

    @staticmethod
    def of(shop: Shop, width: float = 1.0) -> LinUCB:
        """Start with the prior alone."""
        if width < 0.0:
            raise UsageError(f"A width of {width} is below 0.")
        return LinUCB(shop, *_start(shop), width=width)

    def learn(self, experience: Experience) -> LinUCB:
        """Return the policy that has also seen this."""
        A, b, noise = self._learned(experience)
        return replace(self, A=A, b=b, noise=noise, batches=self.batches + 1)

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the offer with the highest upper end; the first of equals."""
        X = self.shop.standard(situation.features)
        inverse = np.linalg.inv(self.A)
        spread = np.einsum("bnp,kpq,bnq->bnk", X, inverse, X, optimize=True)
        upper = X @ self._means().T + self.width * np.sqrt(np.maximum(spread, 0.0) * self.variance)
        return Choice(index=np.argmax(np.where(allowed, upper, -np.inf), axis=-1).astype(np.int64))


@dataclass(frozen=True)
class LinearThompson(_Linear):
    """Uniform over D draws of the coefficients (Agrawal, Goyal, ICML 2013); propensities are exact shares."""

    NAME: ClassVar[str] = "lin-ts"

    @staticmethod
    def of(shop: Shop, seed: int) -> LinearThompson:
        """Start with the prior alone."""
        return LinearThompson(shop, *_start(shop), seed=seed)

    def learn(self, experience: Experience) -> LinearThompson:
        """Return the policy that has also seen this."""
        A, b, noise = self._learned(experience)
        return replace(self, A=A, b=b, noise=noise, batches=self.batches + 1)

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the offer of every draw and their shares."""
        X, means = self.shop.standard(situation.features), self._means()
        drawn = np.stack([
            Belief(means[k], self.A[k] / self.variance).draws(DRAWS, self.seed, self.batches, f"arm {k}")
            for k in range(len(means))
        ])  # fmt: skip
        return shares(np.einsum("bnp,kdp->bndk", X, drawn, optimize=True), allowed)


def shares(worth: Floats, allowed: Bools) -> Choice:
    """Return the choice that is uniform over D draws, each taking its best allowed offer.

    Parameters
    ----------
    worth
        float64 [B, N, D, K]; what each draw thinks of each offer.
    allowed
        bool [B, N, K].
    """
    components: Ints = np.argmax(np.where(allowed[:, :, None], worth, -np.inf), axis=-1).astype(np.int64)
    chances = np.stack([np.equal(components, k).mean(axis=-1) for k in range(allowed.shape[-1])], axis=-1)
    return Choice(probabilities=chances, components=components)
