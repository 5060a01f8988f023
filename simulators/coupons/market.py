"""One period of the shop floor: who buys, who uses the coupon given, how much, and what that does to later.

A coupon of depth d has the log depth x = -log(1 - d); index 0 of every offer axis is none. A customer uses a
coupon it holds with chance a, so it feels ``a x`` less what it has come to expect, ``a0 c h`` (habit h, its
weight c, a0 the chance at 10 %). Merely getting an offer reminds, less so the more offers came of late:

    log odds of buying   = level + recency + cart + own + keen * visit_response * (a x - a0 c h)
                           + reminder * (1 - wear * worn) where there is an offer
    log basket           = own + keen * basket_response * (x if used else 0 - a0 c h) + noise

A purchase makes good a share of the debt, goods that a coupon brought forward. What a coupon adds is known
exactly inside the simulator: the purchase that would not have happened without it, and the part of the
basket beyond what it would have been; a share of both is debt. A customer who buys because of a coupon is
also one that bought one period ago, and the fitted recency says what that does to later periods.

Who farms coupons (:mod:`simulators.coupons.farming`) has these wishes too, and may put off fulfilling them;
what is expected here is expected of those who do not.

Randomness follows from (stream, customer, period): policies meet the same chance whatever they offer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, ndtri

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.errors import UsageError
from pricing.randomness import philox
from simulators.coupons.farming import Waiting, at_the_till
from simulators.coupons.habits import CARTS, recency_class
from simulators.coupons.state import Seen, State, remembered
from simulators.coupons.worlds import Crowd

__all__ = ["CouponMarket", "Expected", "Visit", "look"]

_LOW, _HIGH = np.uint64(0xFFFFFFFF), np.uint64(32)
_CHANCE = 0x4348414E
"""Second Philox key word of a period's chance ("CHAN")."""
_LEAST_BASKET = 0.2
"""A purchase that makes good an earlier one is still so large, in usual baskets."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What each offer is expected to bring in the coming period, float64 [B, N, K]; before later effects.

    Attributes
    ----------
    buys, uses
        Chance of a purchase, and of one with the coupon used.
    revenue, profit
        What the customer pays, and net profit, minor units.
    forward
        Goods brought forward, minor units at shelf prices.
    """

    buys: Floats
    uses: Floats
    revenue: Floats
    profit: Floats
    forward: Floats

    @property
    def incremental(self) -> Floats:
        """Profit beyond what no coupon brings in the period, float64 [B, N, K]; 0 at index 0."""
        return np.asarray(self.profit - self.profit[..., :1])


@dataclass(frozen=True, slots=True)
class Visit:
    """What a period brought, arrays [B, N].

    Attributes
    ----------
    bought, used
        bool; a purchase, and one with the coupon used.
    caused
        bool; one that would not have been wished for in this period without the coupon. Nobody can see it.
    value, revenue, profit
        float64; goods at shelf prices, what was paid, net profit; minor units.
    state
        Where the customers stand before the next period.
    """

    bought: Bools
    used: Bools
    caused: Bools
    value: Floats
    revenue: Floats
    profit: Floats
    state: State


@dataclass(frozen=True, slots=True)
class _Wish:
    """What customers wish to buy in a period, as :class:`Visit`, and their debt and habit after it."""

    bought: Bools
    used: Bools
    caused: Bools
    value: Floats
    debt: Floats
    habit: Floats


@dataclass(frozen=True)
class CouponMarket:
    """B x N customers and the K offers that they may get.

    Attributes
    ----------
    crowd
        Who they are.
    depth
        float64 [K]; discounts as shares, ascending; the first is 0, no coupon.
    """

    crowd: Crowd
    depth: Floats

    def __post_init__(self) -> None:
        d = self.depth
        if d.ndim != 1 or len(d) < 2 or d[0] != 0.0 or not (np.diff(d) > 0.0).all() or d[-1] >= 1.0:
            raise UsageError(
                f"The discounts {d.tolist()} are not 0 and then ascending shares below 1.",
                todo="Give for example 0, 0.05, 0.1, 0.2; the first is no coupon.",
            )

    @cached_property
    def _attention(self) -> Floats:
        """Chance of using each offer when buying, float64 [B, N, K]; 0 for none."""
        depth = np.broadcast_to(self.depth, (*self.crowd.use.shape, len(self.depth)))
        return np.where(depth > 0.0, self.crowd.attention(np.maximum(depth, 1e-9)), 0.0)

    @cached_property
    def _wary(self) -> Floats:
        """Weight of the habit: chance of use at 10 % times the world's weight, float64 [B, N]."""
        at_ten = self.crowd.attention(np.full(self.crowd.use.shape, 0.1))
        return np.asarray(at_ten * self.crowd.truths.against[:, None])

    def chance(self, streams: Words, period: int) -> Floats:
        """Return what chance does to each customer in a period: uniforms float64 [B, N, 4].

        Parameters
        ----------
        streams
            uint64 [B]; number of each row's run, all 64 bits counting.
        period
            0, 1, 2, ...
        """
        key = self.crowd.key ^ streams[:, None]
        counter = np.empty((*key.shape, 4), dtype=np.uint64)
        counter[..., 0], counter[..., 1] = key >> _HIGH, key & _LOW
        counter[..., 2], counter[..., 3] = streams[:, None] & _LOW, period
        out: Floats = (philox(counter, (0, _CHANCE)).astype(np.float64) + 0.5) * 2.0**-32
        return out

    def plain_odds(self, state: State) -> Floats:
        """Return the part of them that recency and open carts tell, float64 [B, N]."""
        h = self.crowd.habits
        cart = np.concatenate([np.zeros(1), h.cart])[state.cart]
        return np.asarray(h.level + h.recency[recency_class(state.since)] + cart)

    def log_odds(self, state: State) -> Floats:
        """Return the log odds of buying without a coupon, float64 [B, N]."""
        crowd = self.crowd
        if (own_self := state.waiting) is not None:
            state = replace(state, since=own_self.since, cart=own_self.cart)
        own = self.plain_odds(state) + crowd.visit
        feel = crowd.truths.visit_response[:, None] * crowd.keen
        return np.asarray(own - feel * self._wary * state.habit)

    def reminded(self, state: State) -> Floats:
        """Return the log odds of buying that any offer adds, float64 [B, N]."""
        t = self.crowd.truths
        return np.asarray(t.reminder[:, None] * (1.0 - t.wear[:, None] * state.worn))

    def expected(self, state: State) -> Expected:
        """Return what each offer is expected to bring, averaged over every chance of the period."""
        crowd, t = self.crowd, self.crowd.truths
        log_depth, a = -np.log1p(-self.depth), self._attention
        base = self.log_odds(state)[..., None]
        feel = (crowd.keen * t.visit_response[:, None])[..., None]
        reminder = np.where(self.depth > 0.0, self.reminded(state)[..., None], 0.0)
        buys = expit(base + reminder + feel * a * log_depth)
        bigger = (crowd.keen * t.basket_response[:, None])[..., None]
        shy = (self._wary * state.habit)[..., None]
        plain, lifted = np.exp(-bigger * shy), np.exp(bigger * (log_depth - shy))
        owed = (t.repay[:, None] * state.debt)[..., None]
        size_plain, size_lifted = (np.maximum(lift - owed, np.minimum(lift, _LEAST_BASKET))
                                   for lift in (plain, lifted))  # fmt: skip
        value = np.exp(crowd.basket)[..., None] * buys
        net = crowd.habits.economics.margin(self.depth)
        without = expit(base)
        caused = np.maximum(1.0 - without / np.maximum(buys, 1e-300), 0.0)
        added = caused * ((1.0 - a) * plain + a * lifted) + (1.0 - caused) * a * (lifted - plain)
        return Expected(
            buys=buys,
            uses=buys * a,
            revenue=value * ((1.0 - a) * size_plain + a * size_lifted * (1.0 - self.depth)),
            profit=value * ((1.0 - a) * size_plain * net[0] + a * size_lifted * net),
            forward=value * added * t.forward[:, None, None],
        )

    def step(self, state: State, choice: Ints, chance: Floats) -> Visit:
        """Play a period.

        Parameters
        ----------
        state
            Where the customers stand.
        choice
            int64 [B, N]; index of the offer that each is given, 0 for none.
        chance
            Of :meth:`chance`.
        """
        crowd, t = self.crowd, self.crowd.truths
        depth, given, u = self.depth[choice], choice > 0, chance[..., 3]
        wish, opens = self._wish(state, choice, chance), u < crowd.habits.cart_opens
        bought, used, value, waiting = wish.bought, wish.used, wish.value, state.waiting
        shown = opens
        if crowd.farmers is not None and waiting is not None:
            till = at_the_till(
                crowd.farmers, waiting, expect=crowd.farmers.expect(state.offers), given=given,
                wished=bought, used=used, value=value, u=u,
            )  # fmt: skip
            own = _since(waiting.since, bought), _carts(waiting.cart, bought, opens)
            waiting = Waiting(till.goods, till.periods, *own)
            bought, used, value = till.bought, till.used, till.value
            shown = opens | (till.opened & (crowd.habits.cart_opens > 0.0))
        taken, w = np.where(used, depth, 0.0), t.wear_memory[:, None]
        odds = self.plain_odds(state) + state.seen.visit
        after = State(
            since=_since(state.since, bought),
            cart=_carts(state.cart, bought, shown),
            debt=wish.debt,
            habit=wish.habit,
            worn=w * state.worn + (1.0 - w) * given,
            offers=(state.offers << np.uint64(1)) | given.astype(np.uint64),
            seen=look(state.seen, odds, depth, bought, used, value, -np.log1p(-taken), crowd),
            waiting=waiting,
        )
        margin = crowd.habits.economics.margin(taken)
        return Visit(bought, used, wish.caused, value, value * (1.0 - taken), value * margin, after)

    def put_off(self, state: State) -> Floats:
        """Return what farmers hold back and will yet buy at the full price, float64 [B, N]; minor units."""
        if self.crowd.farmers is None or state.waiting is None:
            return np.zeros(self.crowd.visit.shape)
        return np.asarray(state.waiting.goods * (1.0 - self.crowd.farmers.dropped))

    def _wish(self, state: State, choice: Ints, chance: Floats) -> _Wish:
        """Return what customers wish to buy; who does not farm buys it."""
        crowd, t = self.crowd, self.crowd.truths
        log_depth = -np.log1p(-self.depth[choice])
        a = np.take_along_axis(self._attention, choice[..., None], axis=-1)[..., 0]
        base = self.log_odds(state)
        feel = crowd.keen * t.visit_response[:, None]
        reminder = np.where(choice > 0, self.reminded(state), 0.0)
        bought = chance[..., 0] < expit(base + reminder + feel * a * log_depth)
        caused = bought & (chance[..., 0] >= expit(base))
        used = bought & (chance[..., 1] < a)
        bigger, shy = crowd.keen * t.basket_response[:, None], self._wary * state.habit
        plain = np.exp(-bigger * shy)
        lift = np.where(used, np.exp(bigger * (log_depth - shy)), plain)
        size = np.maximum(lift - t.repay[:, None] * state.debt, np.minimum(lift, _LEAST_BASKET))
        sd = crowd.habits.noise_sd
        usual = np.exp(crowd.basket + sd * ndtri(chance[..., 2]) - 0.5 * sd**2)
        added = np.where(caused, lift, lift - plain)
        debt = state.debt + np.where(bought, size - lift + t.forward[:, None] * added, 0.0)
        m = t.memory[:, None]
        habit = np.where(bought, m * state.habit + (1.0 - m) * np.where(used, log_depth, 0.0), state.habit)
        return _Wish(bought, used, caused, np.where(bought, usual * size, 0.0), debt, habit)


def _since(since: Ints, bought: Bools) -> Ints:
    return np.where(bought, 1, np.minimum(since + 1, 10_000))


def _carts(cart: Ints, bought: Bools, opened: Bools) -> Ints:
    older = np.where(cart > 0, cart + 1, 0)
    older = np.where(older > CARTS, 0, older)
    return np.where(bought, 0, np.where(opened, 1, older))


def look(
    seen: Seen,
    odds: Floats,
    depth: Floats,
    bought: Bools,
    used: Bools,
    value: Floats,
    log_depth: Floats,
    crowd: Crowd,
) -> Seen:
    """Return what the shop knows after a period, by the fitted habits and not by the world's truth.

    Parameters
    ----------
    seen
        Before the period.
    odds
        float64 [B, N]; log odds of buying without a coupon, as far as was known.
    depth, log_depth
        float64 [B, N]; discount offered, and log discount taken.
    bought, used, value
        What happened, arrays [B, N].
    crowd
        Whose.
    """
    sd = crowd.habits.noise_sd
    basket = np.log(np.maximum(value, 1.0)) + 0.5 * sd**2
    weight = seen.baskets / (seen.baskets + 1.0)
    held = bought & (depth > 0.0)
    level = 0.0 if not np.isfinite(crowd.habits.use_level) else crowd.habits.use_level
    p = expit(level + seen.use)
    information = seen.use_information + np.where(held, p * (1.0 - p), 0.0)
    use = seen.use + np.where(held, (used - p) / information, 0.0)
    q = expit(odds)
    visits = seen.visit_information + q * (1.0 - q)
    return Seen(
        visit=seen.visit + (bought - q) / visits,
        visit_information=visits,
        rate=remembered(seen.rate, bought),
        basket=np.where(bought, weight * seen.basket + (1.0 - weight) * basket, seen.basket),
        baskets=seen.baskets + bought,
        use=use,
        use_information=information,
        offered=seen.offered + held,
        felt=np.where(bought, remembered(seen.felt, log_depth), seen.felt),
        given=remembered(seen.given, depth > 0.0),
        depth=depth,
    )
