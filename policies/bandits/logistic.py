"""Logistic Thompson sampling: whether a customer buys under each offer, and then uses the coupon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import expit

from policies.bandits.belief import Belief, Evidence, fold
from policies.bandits.experience import Experience, Named, Shop, column
from policies.bandits.linear import DRAWS, shares
from pricing.archive import digest, pack
from pricing.arrays import Bools, Floats, Ints
from pricing.coupon_rules import OfferSituation
from pricing.policy import Choice
from simulators.coupons.state import CONTEXT

__all__ = ["LogisticThompson"]

_WIDTH = 1 + len(CONTEXT)
_INTERACTED = ("odds", "use", "given")
"""Features on which the effect of an offer may depend."""


@dataclass(frozen=True)
class LogisticThompson(Named):
    """Two logits with Laplace posteriors (Chapelle and Li, NIPS 2011), uniform over D joint draws.

    Log odds of buying are linear in the features, in being given an offer, in its log depth and in how these
    meet the features that matter most; log odds of use in the customer's own and in log depth. Baskets are
    taken to be what they were: it learns who comes, and not how much a coupon adds to a basket.

    Attributes
    ----------
    shop
        What is known of the shop.
    buys, uses
        Beliefs.
    seed
        Of draws.
    batches
        Learned from so far.
    """

    shop: Shop
    buys: Belief
    uses: Belief
    seed: int = 0
    batches: int = 0
    NAME: ClassVar[str] = "logistic-ts"

    @staticmethod
    def of(shop: Shop, seed: int) -> LogisticThompson:
        """Start with the prior alone: nothing known of offers, features as the habits say."""
        buys = np.concatenate([np.full(_WIDTH, 0.3), np.full(2 + 2 * len(_INTERACTED), 1.0)])
        uses = np.array([-1.0, 1.0, 0.5])
        return LogisticThompson(
            shop, Belief.of(np.zeros(len(buys)), buys), Belief.of(uses, np.array([1.5, 0.5, 0.5])), seed
        )

    @property
    def version(self) -> str:
        """Digest of all that was learned."""
        arrays = {
            "m": self.buys.mean,
            "P": self.buys.precision,
            "u": self.uses.mean,
            "V": self.uses.precision,
        }
        return digest(pack("bandit", 1, arrays, {"at": [self.seed, self.batches]}))

    def learn(self, experience: Experience) -> LogisticThompson:
        """Return the policy that has also seen this."""
        e, depth = experience, self.shop.depth[experience.offer]
        buys = fold(
            self.buys, Evidence(self._design(e.features, depth), e.bought, column(e.features, "odds"))
        )
        held = e.bought & (e.offer > 0)
        uses = fold(
            self.uses, Evidence(_use(e.features[held], depth[held]), e.used[held], np.zeros(int(held.sum())))
        )
        return replace(self, buys=buys, uses=uses, batches=self.batches + 1)

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the offer of every draw and their shares."""
        f, shop = situation.features, self.shop
        buys, uses = (
            belief.draws(DRAWS, self.seed, self.batches, name)
            for name, belief in (("buys", self.buys), ("uses", self.uses))
        )
        worth = np.empty((*allowed.shape[:2], DRAWS, allowed.shape[-1]))
        for k in range(allowed.shape[-1]):
            depth = np.full(f.shape[:2], float(shop.depth[k]))
            p = expit(self._design(f, depth) @ buys.T + column(f, "odds")[..., None])
            used = expit(_use(f, np.maximum(depth, 1e-3)) @ uses.T) if k else np.zeros(())
            worth[..., k] = p * (shop.margin[0] - used * (shop.margin[0] - shop.margin[k]))
        return shares(worth, allowed)

    def _design(self, features: Floats, depth: Floats) -> Floats:
        X = self.shop.standard(features)
        offered = (depth > 0.0)[..., None].astype(np.float64)
        places: Ints = np.array([1 + CONTEXT.index(name) for name in _INTERACTED], dtype=np.int64)
        log_depth = -np.log1p(-depth)[..., None]
        meets = X[..., places]
        parts = [X, offered, log_depth, offered * meets, log_depth * meets]
        return np.concatenate(parts, axis=-1)


def _use(features: Floats, depth: Floats) -> Floats:
    own = column(features, "use")
    return np.stack([np.ones_like(own), own, np.log(depth / 0.1)], axis=-1)
