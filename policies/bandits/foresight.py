"""Ours: Thompson sampling on what the simulator's own formulas say a coupon adds, now and later.

What the shop's data cannot tell about coupons is a prior over worlds (:mod:`simulators.coupons.worlds`). This
policy believes that prior to begin with, as a normal over the coefficients of the simulator's three
equations: using a coupon, buying, and the basket. Every offer it makes is evidence about them, and since
one coefficient speaks for all customers and levels, evidence adds up fast. What no short history tells
(goods brought forward) stays as the prior has it.

An offer is worth what it adds in the coming period and what it does to later ones:

- a purchase now makes the next ones likelier or not as the fitted recency says;
- goods brought forward are missing from later baskets;
- an offer wears out those to come, so it is charged what it takes off them.
"""

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
from simulators.coupons.habits import Habits, recency_class
from simulators.coupons.worlds import Prior, draw_truths

__all__ = ["Foresight", "Later", "prior_belief"]

COEFFICIENTS = (
    "use_level", "use_slope",
    "reminder", "worn", "visit", "visit_use", "visit_own", "visit_habit",
    "basket", "basket_use", "basket_own", "basket_habit",
    "forward", "buying", "buying_slope", "basket_level",
)  # fmt: skip
"""Order of the P axis: of using; of buying; of the basket; the share brought forward; and how far the fitted
habits are off today (log odds of buying, their slope, the log basket)."""

_PLACE = {name: i for i, name in enumerate(COEFFICIENTS)}
_WORLDS = 2048
_OFF = 0.15
"""Sd of how far the fitted habits may be off."""
_ROUGH = 3.0
"""A log basket counts as at most this many sds from what was expected: fakes and parties move little."""
_REPAY, _WEAR_MEMORY = 0.5, 0.8
"""Middles of the prior: share of goods brought forward that one purchase makes good; memory of offers."""
_OWN = 41
_OWN_REACH = 5.0


def prior_belief(habits: Habits, prior: Prior, seed: int) -> Belief:
    """Return the normal with mean and covariance of the coefficients over worlds of the prior."""
    t = draw_truths(habits, prior, _WORLDS, seed=seed)
    table: dict[str, Floats] = {
        "use_level": t.use_level, "use_slope": t.use_slope, "reminder": t.reminder,
        "worn": t.reminder * t.wear, "visit": t.visit_response, "basket": t.basket_response,
        "forward": t.forward,
    }  # fmt: skip
    for name, response in (("visit", t.visit_response), ("basket", t.basket_response)):
        table |= {
            f"{name}_use": response * t.keen_sd * t.keen_use,
            f"{name}_own": response * t.keen_sd * t.keen_visit,
            f"{name}_habit": response * t.against,
        }
    known = [name for name in COEFFICIENTS if name in table]
    values = np.stack([table[name] for name in known], axis=1)
    places = np.array([_PLACE[name] for name in known])
    mean, covariance = np.zeros(len(COEFFICIENTS)), np.eye(len(COEFFICIENTS)) * _OFF**2
    mean[places] = values.mean(axis=0)
    covariance[np.ix_(places, places)] = np.cov(values.T) + 1e-6 * np.eye(len(known))
    return Belief(mean, np.asarray(np.linalg.inv(covariance), dtype=np.float64))


@dataclass(frozen=True)
class Later:
    """How many more purchases follow in L periods if one is made now, by the fitted habits and no coupon.

    Attributes
    ----------
    more
        float64 [L + 1, S, V]; by periods left after this one, periods since the last purchase (from 1) and
        the customer's own log odds on an even grid from -5 to 5.
    """

    more: Floats

    @staticmethod
    def of(habits: Habits, horizon: int) -> Later:
        """Carry expected purchases back from the horizon."""
        own: Floats = np.linspace(-_OWN_REACH, _OWN_REACH, _OWN)
        longest = 26
        since: Ints = np.arange(1, longest + 1, dtype=np.int64)
        p = expit(habits.level + habits.recency[recency_class(since)][:, None] + own)
        following = np.minimum(since, longest - 1)
        purchases, more = np.zeros((longest, _OWN)), np.empty((horizon + 1, longest, _OWN))
        for left in range(horizon + 1):
            more[left] = purchases[0] - purchases[following]
            purchases = p * (1.0 + purchases[0]) + (1.0 - p) * purchases[following]
        return Later(more)

    def at(self, left: int, since: Ints, own: Floats) -> Floats:
        """Return it for customers, arrays of one shape; `left` periods follow this one."""
        grid = np.clip((own + _OWN_REACH) / (2.0 * _OWN_REACH), 0.0, 1.0) * (_OWN - 1)
        low = np.minimum(grid.astype(np.int64), _OWN - 2)
        part, row = grid - low, np.clip(since, 1, self.more.shape[1]) - 1
        table = self.more[min(max(left, 0), len(self.more) - 1)]
        return np.asarray((1.0 - part) * table[row, low] + part * table[row, low + 1])


@dataclass(frozen=True)
class Foresight(Named):
    """Uniform over D draws of the coefficients, each taking the offer that is worth most under it.

    Attributes
    ----------
    shop
        What is known of the shop.
    belief
        About :data:`COEFFICIENTS`.
    later
        What purchases lead to.
    horizon
        Periods that count.
    boldness
        Factor on the sd of the draws; 0 acts on the mean alone.
    seed, batches
        Of draws; learned from so far.
    """

    shop: Shop
    belief: Belief
    later: Later
    horizon: int
    boldness: float = 0.5
    seed: int = 0
    batches: int = 0
    NAME: ClassVar[str] = "foresight"

    @staticmethod
    def of(shop: Shop, prior: Prior, horizon: int, seed: int, *, boldness: float = 0.5) -> Foresight:
        """Start with what the simulator's prior believes."""
        belief = prior_belief(shop.habits, prior, seed)
        return Foresight(shop, belief, Later.of(shop.habits, horizon), horizon, boldness, seed)

    @property
    def version(self) -> str:
        """Digest of all that was learned."""
        arrays = {"m": self.belief.mean, "P": self.belief.precision}
        return digest(pack("bandit", 1, arrays, {"at": [self.seed, self.batches, self.horizon]}))

    def learn(self, experience: Experience) -> Foresight:
        """Return the policy that has also seen this."""
        e, shop = experience, self.shop
        depth = shop.depth[e.offer]
        held, f = e.bought & (e.offer > 0), e.features
        sd = shop.habits.noise_sd
        usual = np.log(shop.basket(f[e.bought])) - 0.5 * sd**2
        surprise = np.clip(np.log(np.maximum(e.value[e.bought], 1.0)) - usual, -_ROUGH * sd, _ROUGH * sd)
        taken = np.where(e.used, depth, 0.0)[e.bought]
        zero = np.zeros(len(surprise))
        belief = fold(
            self.belief,
            Evidence(_using(depth[held]), e.used[held], column(f[held], "use")),
            Evidence(self._buying(f, depth), e.bought, column(f, "odds")),
            Evidence(self._basket(f[e.bought], taken), surprise, zero, sd**2),
        )
        return replace(self, belief=belief, batches=self.batches + 1)

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the offer of every draw and their shares."""
        drawn = self.belief.draws(DRAWS, self.seed, self.batches, "foresight")
        drawn = self.belief.mean + self.boldness * (drawn - self.belief.mean)
        return shares(self._worth(situation.features, drawn), allowed)

    def _worth(self, f: Floats, c: Floats) -> Floats:
        """Return what offers are worth beyond none, float64 [B, N, D, K], in usual baskets."""
        shop, margin = self.shop, self.shop.margin
        left = round(float(column(f, "steps_left").flat[0]) * self.horizon) - 1
        away = np.rint(np.exp(column(f, "recency"))).astype(np.int64)
        more = self.later.at(left, away, column(f, "visit"))[..., None]
        odds = column(f, "odds")[..., None]
        without = expit(self._buying(f, np.zeros(f.shape[:2])) @ c.T + odds)
        slope = without * (1.0 - without)
        worn = c[:, _PLACE["worn"]] * column(f, "given")[..., None] * slope
        wear = np.maximum(worn, 0.0) * (1.0 - _WEAR_MEMORY ** max(left, 0))
        share = np.clip(c[:, _PLACE["forward"]], 0.0, 1.0)
        missed = share * (1.0 - (1.0 - _REPAY) ** (without * left))
        out = np.zeros((*f.shape[:2], len(c), len(margin)))
        for k in range(1, len(margin)):
            depth = np.full(f.shape[:2], float(shop.depth[k]))
            uses = expit(_using(depth) @ c.T + column(f, "use")[..., None])
            lift = np.exp(
                np.clip(self._basket(f, depth) @ c.T - self._basket(f, 0.0 * depth) @ c.T, -2.0, 2.0)
            )
            buys = expit(self._buying(f, depth) @ c.T + odds)
            now = buys * ((1.0 - uses) * margin[0] + uses * lift * margin[k]) - without * margin[0]
            added = (buys - without) + without * uses * (lift - 1.0)
            out[..., k] = now + margin[0] * ((buys - without) * more - missed * added - wear)
        return out

    def _buying(self, f: Floats, depth: Floats) -> Floats:
        """Return regressors of buying, float64 [..., P]."""
        m = self.belief.mean
        offered = (depth > 0.0).astype(np.float64)
        level, own = _using(np.maximum(depth, 1e-3)) @ m, column(f, "use")
        x = offered * expit(level + own) * -np.log1p(-depth)
        zu, zv = self._links(f)
        wary = expit(m[_PLACE["use_level"]] + own)
        felt = column(f, "felt")
        return _laid(
            depth.shape,
            reminder=offered, worn=-offered * column(f, "given"), visit=x, visit_use=x * zu,
            visit_own=x * zv, visit_habit=-wary * felt, buying=np.ones(depth.shape),
            buying_slope=column(f, "odds"),
        )  # fmt: skip

    def _basket(self, f: Floats, taken: Floats) -> Floats:
        """Return regressors of the log basket, float64 [..., P]; `taken` is the discount used."""
        x = -np.log1p(-taken)
        zu, zv = self._links(f)
        wary = expit(self.belief.mean[_PLACE["use_level"]] + column(f, "use"))
        return _laid(
            taken.shape,
            basket=x, basket_use=x * zu, basket_own=x * zv, basket_habit=-wary * column(f, "felt"),
            basket_level=np.ones(taken.shape),
        )  # fmt: skip

    def _links(self, f: Floats) -> tuple[Floats, Floats]:
        h = self.shop.habits
        zu = column(f, "use") / max(h.use_spread, 1e-6)
        return np.clip(zu, -3.0, 3.0), np.clip(column(f, "visit") / max(h.visit_spread, 1e-6), -3.0, 3.0)


def _using(depth: Floats) -> Floats:
    return _laid(depth.shape, use_level=np.ones(depth.shape), use_slope=np.log(depth / 0.1))


def _laid(shape: tuple[int, ...], **columns: Floats) -> Floats:
    out = np.zeros((*shape, len(COEFFICIENTS)))
    for name, values in columns.items():
        out[..., _PLACE[name]] = values
    return out
