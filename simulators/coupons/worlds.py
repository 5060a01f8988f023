"""What nobody can read off a shop's history about its coupons: a wide prior, drawn once a world.

Each number of world w follows from (seed, w) and its own name, so worlds do not depend on how many are
drawn. Fitted habits are uncertain too: a world draws every customer's own from their posterior.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import expit, ndtr

from pricing.arrays import Floats, Ints, Words
from pricing.errors import DataError
from pricing.model import DISCOUNT, DemandModel
from pricing.randomness import label_hash, normals, philox
from simulators.coupons.farming import HONEST, Farmers, Farming, Waiting
from simulators.coupons.habits import Habits
from simulators.coupons.state import Seen, State

__all__ = ["Crowd", "Prior", "Truths", "crowd_of", "customer_keys", "draw_truths", "response_of"]

Range = tuple[float, float]

_LATENT = 0x4C544E54
"""Second Philox key word of customers' latents ("LTNT")."""
_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(32)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is assumed. Pairs are the ends of a uniform distribution unless said to be mean and sd.

    Attributes
    ----------
    response
        Mean and sd (cut below .2): elasticity of what a coupon's user buys of one product to its price, as a
        positive number. :func:`response_of` takes it from a demand model; the default is the mean of 1,851
        published elasticities (Bijmolt, van Heerde, Pieters, Journal of Marketing Research 2005), widely.
    basket_share
        Share of it that a whole basket shows; the rest is switching between products of the same shop.
    visit_share
        Share of that which comes through buying at all in the period, and not through a larger basket.
    use_shift
        Mean and sd of log odds: a coupon for the whole basket against the shop's own coupons of the past.
    use_level
        Mean and sd of the log odds of using one, where the shop's history does not say.
    use_slope
        Log odds of use gained a unit of log depth.
    keen_sd
        Sd of the log by which customers differ in response.
    keen_use, keen_visit
        Correlation of that log with the customer's readiness to use coupons, and to buy anyway.
    reminder
        Log odds of buying that an offer adds merely by arriving, used or not (Venkatesan, Farris, Journal of
        Marketing 2012, find that exposure pays more than redemption); 0 is among what is possible.
    wear
        How much of that is gone for a customer who gets an offer every period; above 1 offers annoy.
    wear_memory
        Share of the memory of past offers that survives a period.
    forward
        Share of what a coupon adds that is brought forward from later purchases; post-promotion dips take
        back 4 to 25 % of it (van Heerde, Leeflang, Wittink, Journal of Marketing Research 2000), more where
        goods keep.
    repay
        Share of what was brought forward that one later purchase makes good.
    against
        Weight of the discount that one is used to in how a discount feels (Kopalle, Mela, Marsh, Marketing
        Science 1999).
    memory
        Share of that habit that survives a purchase.
    """

    response: Range = (2.62, 0.8)
    basket_share: Range = (0.4, 1.0)
    visit_share: Range = (0.2, 0.8)
    use_shift: Range = (1.0, 0.7)
    use_level: Range = (-1.0, 1.0)
    use_slope: Range = (0.2, 1.0)
    keen_sd: Range = (0.3, 1.0)
    keen_use: Range = (-0.3, 0.6)
    keen_visit: Range = (-0.6, 0.3)
    reminder: Range = (0.0, 0.3)
    wear: Range = (0.3, 1.2)
    wear_memory: Range = (0.5, 0.9)
    forward: Range = (0.05, 0.5)
    repay: Range = (0.2, 0.8)
    against: Range = (0.0, 0.7)
    memory: Range = (0.6, 0.95)


_LEAST_RESPONSE = 0.2
_UNIFORM = (
    "keen_sd", "keen_use", "keen_visit", "reminder", "wear", "wear_memory", "forward", "repay", "against",
    "memory",
)  # fmt: skip
"""Truths that are drawn evenly between the ends of the prior and used as they are."""


def response_of(model: DemandModel) -> Range:
    """Return mean and sd for :attr:`Prior.response` from a fitted demand model.

    The mean over its series of the arc elasticity to a discount of 20 %, weighted by expected units; the sd
    is that of the elasticities over series, the least that customers of one shop may be off by.
    """
    elasticity = -(model.mean @ DISCOUNT)
    units = np.exp(np.clip(model.mean[:, 0], -20.0, 20.0))
    mean = float(np.average(elasticity, weights=units))
    if not np.isfinite(mean) or mean <= 0.0:
        raise DataError(
            f"The demand model says that discounts move units by the elasticity {-mean:.2f}.",
            why="A coupon that lowers what is sold cannot be simulated.",
            todo="Look at the model's passport, or leave the model out: the prior is published elasticities.",
        )
    return mean, float(np.sqrt(np.average((elasticity - mean) ** 2, weights=units)))


@dataclass(frozen=True, slots=True)
class Truths:
    """What W worlds are like, float64 [W] each; names and units as in :class:`Prior`.

    Attributes
    ----------
    use_level
        Log odds of the average customer to use a coupon of 10 %.
    use_slope
        See :class:`Prior`.
    visit_response
        Log odds of buying that an attentive average customer gains a unit of log depth.
    basket_response
        Log of the basket that a user gains a unit of log depth.
    keen_sd, keen_use, keen_visit, reminder, wear, wear_memory, forward, repay, against, memory
        See :class:`Prior`.
    """

    use_level: Floats
    use_slope: Floats
    visit_response: Floats
    basket_response: Floats
    keen_sd: Floats
    keen_use: Floats
    keen_visit: Floats
    reminder: Floats
    wear: Floats
    wear_memory: Floats
    forward: Floats
    repay: Floats
    against: Floats
    memory: Floats

    def __len__(self) -> int:
        return len(self.forward)

    def take(self, world: Ints) -> Truths:
        """Return the worlds at `world`, in its order and as often as it names them."""
        return Truths(*(getattr(self, field.name)[world] for field in fields(self)))


def draw_truths(habits: Habits, prior: Prior, count: int, *, seed: int, first: int = 0) -> Truths:
    """Return worlds ``first`` to ``first + count - 1``.

    Of the response of purchases to log price E, a share through visits becomes ``E / (1 - p)`` log odds, p
    the shop's mean chance of buying in a period: that is its slope in logs at p.
    """
    numbers: Ints = np.arange(first, first + count, dtype=np.int64)

    def score(name: str) -> Floats:
        key = np.array([label_hash("coupon world", name)], dtype=np.uint64)
        return normals(key, numbers, 1, seed)[:, 0, 0]

    def between(name: str, ends: Range) -> Floats:
        return np.asarray(ends[0] + (ends[1] - ends[0]) * ndtr(score(name)))

    def around(name: str, told: Range) -> Floats:
        return np.asarray(told[0] + told[1] * score(name))

    response = np.maximum(around("response", prior.response), _LEAST_RESPONSE)
    response = response * between("basket_share", prior.basket_share)
    visits = between("visit_share", prior.visit_share)
    known = np.isfinite(habits.use_level)
    level = around("use_level", prior.use_level)
    if known:
        level = habits.use_level + around("use_shift", prior.use_shift)
    rest = {name: between(name, getattr(prior, name)) for name in _UNIFORM}
    return Truths(
        use_level=level,
        use_slope=between("use_slope", prior.use_slope),
        visit_response=response * visits / (1.0 - min(habits.buying, 0.95)),
        basket_response=response * (1.0 - visits),
        **rest,
    )


@dataclass(frozen=True, slots=True)
class Crowd:
    """B x N customers, each in the world of its row.

    Attributes
    ----------
    habits
        Of the shop.
    truths
        Of the B rows.
    key
        uint64 [B, N]; names the customer's noise.
    household
        int64 [B, N]; whose history it has.
    visit
        float64 [B, N]; own log odds of buying.
    basket
        float64 [B, N]; log of the expected basket, minor units at shelf prices.
    use
        float64 [B, N]; log odds of using a coupon beyond the average customer's.
    keen
        float64 [B, N]; factor on both responses, mean 1.
    farmers
        Which of them farm coupons; None where nobody does.
    """

    habits: Habits
    truths: Truths
    key: Words
    household: Ints
    visit: Floats
    basket: Floats
    use: Floats
    keen: Floats
    farmers: Farmers | None = None

    def attention(self, depth: Floats) -> Floats:
        """Return the chance of using a coupon of a depth above 0 when buying; depth [B, N, ...]."""
        extra = depth.ndim - 2
        level, slope = (v[:, None] for v in (self.truths.use_level, self.truths.use_slope))
        base = (level + self.use).reshape(*self.use.shape, *([1] * extra))
        steep = slope.reshape(-1, *([1] * (depth.ndim - 1)))
        out: Floats = expit(base + steep * np.log(depth / 0.1))
        return out

    def open(self) -> State:
        """Return where the customers stand before the first period: where the shop's history leaves them."""
        h, who = self.habits, self.household
        zero = np.zeros(who.shape)
        variance = np.maximum(h.basket_sd, 1e-6) ** 2
        seen = Seen(
            rate=h.rate[who],
            basket=h.basket[who],
            baskets=(h.noise_sd**2 / variance)[who],
            visit=h.visit[who],
            visit_information=(1.0 / np.maximum(h.visit_sd, 1e-6) ** 2)[who],
            use=h.use[who],
            use_information=(1.0 / np.maximum(h.use_sd, 1e-6) ** 2)[who],
            offered=h.offered[who],
            felt=zero,
            given=zero,
            depth=zero,
        )
        return State(
            h.since[who], np.zeros(who.shape, dtype=np.int64), zero, zero, zero, zero.astype(np.uint64), seen,
            None if self.farmers is None else Waiting.for_nothing(h.since[who]),
        )  # fmt: skip


def customer_keys(count: int, *, first: int = 0) -> Words:
    """Return the keys of customers ``first`` to ``first + count - 1``, uint64 [count]."""
    counter = np.zeros((count, 4), dtype=np.uint64)
    counter[:, 0] = np.arange(first, first + count, dtype=np.uint64)
    words = philox(counter, (0, _LATENT))
    out: Words = (words[:, 0] << _HIGH) | words[:, 1]
    return out


def crowd_of(habits: Habits, truths: Truths, world: Ints, key: Words, farming: Farming = HONEST) -> Crowd:
    """Return customers drawn from the posterior of the shop's households.

    A customer has the history of a household drawn at random, and its own draw of what that history leaves
    open. Everything follows from (world's number, key) and from nothing else.

    Parameters
    ----------
    habits
        Fitted.
    truths
        Of the B rows.
    world
        int64 [B]; numbers of the rows' worlds, below 2**32.
    key
        uint64 [B, N] or [N].
    farming
        Who farms coupons; it changes nothing else of anybody.
    """
    keys = np.ascontiguousarray(np.broadcast_to(key, (len(world), key.shape[-1])))
    household = (_uniform(keys, world, 0)[..., 0] * len(habits)).astype(np.int64)
    z = np.concatenate([_normal(keys, world, place) for place in (1, 2)], axis=-1)
    visit = habits.visit[household] + habits.visit_sd[household] * z[..., 0]
    basket = habits.basket[household] + habits.basket_sd[household] * z[..., 1]
    use = habits.use[household] + habits.use_sd[household] * z[..., 2]
    t = truths
    links = [t.keen_use[:, None], t.keen_visit[:, None]]
    own = [use / max(habits.use_spread, 1e-6), visit / max(habits.visit_spread, 1e-6)]
    rest = np.sqrt(np.maximum(1.0 - links[0] ** 2 - links[1] ** 2, 0.0))
    score = links[0] * own[0] + links[1] * own[1] + rest * z[..., 3]
    sd = t.keen_sd[:, None]
    keen = np.exp(np.clip(sd * score, -3.0, 3.0) - 0.5 * sd**2)
    farmers = Farmers.of(farming, _uniform(keys, world, 3)) if farming.share > 0.0 else None
    return Crowd(habits, t, keys, household, visit, basket, use, keen, farmers)


def _uniform(keys: Words, world: Ints, place: int) -> Floats:
    counter = np.empty((*keys.shape, 4), dtype=np.uint64)
    counter[..., 0], counter[..., 1] = keys >> _HIGH, keys & _LOW
    counter[..., 2], counter[..., 3] = world.astype(np.uint64)[:, None], place
    out: Floats = (philox(counter, (0, _LATENT)).astype(np.float64) + 0.5) * 2.0**-32
    return out


def _normal(keys: Words, world: Ints, place: int) -> Floats:
    """Return two standard normals, float64 [B, N, 2] (Box and Muller 1958)."""
    u = _uniform(keys, world, place)
    radius, angle = np.sqrt(-2.0 * np.log(u[..., 0])), 2.0 * np.pi * u[..., 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
