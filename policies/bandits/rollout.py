"""Roll coupon policies out on simulated shop floors: the same worlds, customers and chance for all."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from policies.bandits.experience import Experience, Learner
from pricing.archive import pack, unpack
from pricing.arrays import Bools, Floats, Ints, Words
from pricing.coupon_decision import CouponDecisions, OfferPolicy, decide_offers
from pricing.errors import ArtifactError, UsageError
from pricing.randomness import label_hash, uniforms
from simulators.coupons.market import Visit
from simulators.coupons.shop_floor import ShopFloor

__all__ = ["OfferRun", "Rehearsal", "Tally", "roll_out_offers"]

_FAKE_VALUE = 3.0
_KIND, _VERSION = "offer-tally", 1


@dataclass(frozen=True)
class Rehearsal:
    """What is played.

    Attributes
    ----------
    floor
        Customers of one world: rows B = 1.
    world
        Its number.
    seed
        Of chance and draws.
    window
        Periods whose profit counts as what came of an offer; feedback arrives as many less one later.
    faked
        Share of customers whose every offer is answered, in what the policy is told and in nothing else, by
        a purchase of three usual baskets with the coupon used.
    """

    floor: ShopFloor
    world: int
    seed: int
    window: int = 1
    faked: float = 0.0

    def __post_init__(self) -> None:
        if self.window < 1 or not 0.0 <= self.faked <= 1.0:
            raise UsageError(f"A window of {self.window} and {self.faked} of fakes cannot be played.")
        if len(self.floor.market.crowd.visit) != 1:
            raise UsageError("A learner learns one world: give the floor of one.")


@dataclass(frozen=True)
class Tally:
    """What a policy brought in one world, in figures; arrays over T periods.

    Attributes
    ----------
    profit, revenue, discount
        float64 [T]; minor units, all customers together. The last period has what farmers still hold back and
        will yet buy at the full price, so that putting off is no loss by itself.
    offers
        int64 [T, K]; customers given each offer.
    bought, used
        int64 [T].
    """

    profit: Floats
    revenue: Floats
    discount: Floats
    offers: Ints
    bought: Ints
    used: Ints

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same tally gives the same bytes."""
        return pack(_KIND, _VERSION, {field.name: getattr(self, field.name) for field in fields(self)}, {})

    @staticmethod
    def from_bytes(content: bytes) -> Tally:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, _ = unpack(_KIND, _VERSION, content)
        names = [field.name for field in fields(Tally)]
        if set(arrays) != set(names):
            raise ArtifactError("This archive holds no tally of offers.", todo="Start anew with --restart.")
        return Tally(*(arrays[name] for name in names))


@dataclass(frozen=True)
class OfferRun:
    """A policy's way through one world.

    Attributes
    ----------
    policy
        Its name.
    tally
        What it brought.
    learned
        The policy at the end.
    decisions
        Those of the last period, whole.
    """

    policy: str
    tally: Tally
    learned: OfferPolicy
    decisions: CouponDecisions | None


def roll_out_offers(rehearsal: Rehearsal, policy: OfferPolicy) -> OfferRun:
    """Let a policy decide for all customers, period after period; a learner learns as feedback arrives."""
    floor, market = rehearsal.floor, rehearsal.floor.market
    streams: Words = np.array(
        [label_hash("coupon run", str(rehearsal.seed), str(rehearsal.world))], np.uint64
    )
    run: Ints = np.array([rehearsal.world], dtype=np.int64)
    fakers = _fakers(market.crowd.key[0], rehearsal)
    state = market.crowd.open()
    waiting: list[Experience] = []
    rows: list[Floats] = []
    offers: list[Ints] = []
    decided: CouponDecisions | None = None
    for period in range(floor.horizon):
        situation = floor.situation(state, period)
        decided = decide_offers(
            situation, floor.settings, policy, seed=rehearsal.seed, runs=run,
            fingerprint=market.crowd.habits.fingerprint,
        )  # fmt: skip
        visit = market.step(state, decided.index, market.chance(streams, period))
        told = _told(situation.features[0], decided.index[0], visit, fakers, floor)
        waiting = [*(replace(old, profit=old.profit + told.profit) for old in waiting), told]
        if len(waiting) == rehearsal.window:
            whole = waiting.pop(0)
            policy = policy.learn(whole) if isinstance(policy, Learner) else policy
        parts = (visit.profit, visit.revenue, visit.value - visit.revenue, visit.bought, visit.used)
        rows.append(np.array([float(part.sum()) for part in parts]))
        offers.append(np.bincount(decided.index[0], minlength=len(floor.menu)))
        state = visit.state
    late = market.put_off(state)
    rows[-1][:2] += [
        float((late * market.crowd.habits.economics.margin(np.zeros(1))).sum()),
        float(late.sum()),
    ]
    return OfferRun(policy.name, _tally(np.array(rows), np.array(offers, dtype=np.int64)), policy, decided)


def _tally(rows: Floats, offers: Ints) -> Tally:
    profit, revenue, discount, bought, used = np.ascontiguousarray(rows.T)
    return Tally(profit, revenue, discount, offers, bought.astype(np.int64), used.astype(np.int64))


def _fakers(key: Words, rehearsal: Rehearsal) -> Bools:
    counter = np.zeros((len(key), 4), dtype=np.uint64)
    counter[:, 0], counter[:, 1], counter[:, 2] = key >> np.uint64(32), key & np.uint64(0xFFFFFFFF), 1
    return np.asarray(uniforms(counter, label_hash("fakers", str(rehearsal.seed))) < rehearsal.faked)


def _told(features: Floats, offer: Ints, visit: Visit, fakers: Bools, floor: ShopFloor) -> Experience:
    """Return what a policy is told of a period; fakers claim a large purchase with the coupon used."""
    market = floor.market
    fake = fakers & (offer > 0)
    claimed = _FAKE_VALUE * float(np.exp(market.crowd.habits.basket).mean())
    value: Floats = np.where(fake, claimed, visit.value[0])
    margin = market.crowd.habits.economics.margin(market.depth[offer])
    return Experience(
        features=features,
        offer=offer,
        bought=visit.bought[0] | fake,
        used=visit.used[0] | fake,
        value=value,
        profit=np.where(fake, value * margin, visit.profit[0]),
    )
