"""Customers arrive one after the other, nobody knows how many: decide at once, overspend never.

At a shadow price each customer is decided alone. The price is found anew from time to time: on the customers
seen lately, as outcomes so far say they respond, with what is really left of every budget, over the arrivals
still to come (re-solving: Jasin and Kumar, Mathematics of Operations Research 2012). An offer is given only
if the most that it can cost fits into what is neither spent nor reserved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.allocation.arrivals import Arrivals, Calibration, Outcomes, learned
from policies.allocation.instance import Cells, Choices, Limit, Schedule
from policies.allocation.one_limit import one_price
from policies.allocation.oracle import NumpyOracle
from policies.allocation.reservations import Reservations
from policies.allocation.several_limits import several_prices
from pricing.arrays import Floats, Ints
from pricing.errors import UsageError

__all__ = ["Offered", "Pacer", "Pacing"]

_ORACLE = NumpyOracle()


@dataclass(frozen=True, slots=True)
class Pacing:
    """How to pace.

    Attributes
    ----------
    starts, ends
        When the campaign runs, in any unit of time.
    memory
        Customers seen lately that the shadow price is found on.
    outcomes
        Offers whose time is over, the latest ones, that predictions are set right by; 0 believes predictions.
    expected
        Arrivals foreseen before it starts; 0: nothing is. The clock soon knows better.
    trust
        Arrivals after which the clock counts as much as `expected`.
    profile
        Shares of the arrivals that have come by evenly spaced times, from 0 at the start to 1 at the end, as
        in the past; default: they come evenly.
    """

    starts: float
    ends: float
    memory: int = 4096
    outcomes: int = 20_000
    expected: float = 0.0
    trust: float = 200.0
    profile: tuple[float, ...] = (0.0, 1.0)

    def done(self, now: float) -> float:
        """Return the share of the arrivals that should have come by `now`."""
        at = (now - self.starts) / (self.ends - self.starts)
        return float(np.interp(at, np.linspace(0.0, 1.0, len(self.profile)), self.profile))

    def __post_init__(self) -> None:
        rising = all(a <= b for a, b in zip(self.profile, self.profile[1:], strict=False))
        if len(self.profile) < 2 or not rising or (self.profile[0], self.profile[-1]) != (0.0, 1.0):
            raise UsageError(
                "A profile of arrivals does not rise from 0 to 1.", todo="Give shares in their order."
            )
        if not self.starts < self.ends or self.memory < 1 or self.outcomes < 0 or self.expected < 0.0:
            raise UsageError(
                f"A campaign from {self.starts} to {self.ends} with a memory of {self.memory} is none.",
                todo="Give an end after the start, and a memory of 1 or more.",
            )


@dataclass(frozen=True, slots=True)
class Offered:
    """What M customers were given.

    Attributes
    ----------
    choice
        int16 [M]; 0 for none.
    reservation
        int64 [M]; number of the reservation, -1 for none.
    value, cost
        float64 [M]; expected as outcomes so far say, minor units.
    """

    choice: Choices
    reservation: Ints
    value: Floats
    cost: Floats


class Pacer:
    """Paces one campaign; what it holds follows from the arrivals and outcomes that it was told.

    Parameters
    ----------
    limits
        R budgets (on realised cost) and caps (offers redeemed or out).
    offers
        K, no coupon included.
    pacing
        How.
    """

    def __init__(self, limits: tuple[Limit, ...], offers: int, pacing: Pacing) -> None:
        self.limits, self.pacing = limits, pacing
        self.schedule = Schedule.of(limits, offers)
        self.shadow: Floats = np.zeros(len(limits))
        self.calibration = Calibration(np.zeros(offers))
        self.reservations = Reservations()
        self.arrived = 0
        self._spent: Floats = np.zeros(len(limits))
        self._held: Floats = np.zeros(len(limits))
        self._lately: list[Arrivals] = []

    @property
    def spent(self) -> Floats:
        """Realised draw on each limit, float64 [R]; for a budget minor units."""
        return self._spent.copy()

    @property
    def free(self) -> Floats:
        """What is neither spent nor reserved of each limit, float64 [R]; never negative."""
        return self.schedule.most - self._spent - self._held

    def decide(self, arrivals: Arrivals, now: float, valid: float = 0.0) -> Offered:
        """Decide for customers who are here, in their order, and reserve what their offers can cost.

        Parameters
        ----------
        arrivals
            M customers; how they are cut into calls changes nothing.
        now, valid
            Time, and for how long an offer may be redeemed.
        """
        cells = self.calibration.corrected(arrivals)
        per_cost, per_offer = self.schedule.priced(self.shadow[None])
        roof = np.full(arrivals.value.shape[1], np.inf)
        choice = _ORACLE.best(cells, per_cost, per_offer, roof).choice[0]
        draws = self._worst(arrivals, choice)
        if (draws.sum(axis=1) > self.free).any():
            choice = self._one_by_one(arrivals, cells, choice)
            draws = self._worst(arrivals, choice)
        self._held += draws.sum(axis=1)
        self.arrived += len(arrivals)
        self.foresee(arrivals)
        return self._reserve(arrivals, cells, choice, now + valid)

    def foresee(self, arrivals: Arrivals) -> None:
        """Remember customers like those to come, for example yesterday's; :meth:`decide` does so itself."""
        self._lately.append(arrivals)
        if sum(map(len, self._lately)) > 2 * self.pacing.memory + len(arrivals):
            self._lately = [Arrivals.latest(self._lately, self.pacing.memory)]

    def settle(self, reservation: Ints, spent: Ints) -> None:
        """Tell what redemptions cost, int64 [J] each; errors are those of :meth:`Reservations.settle`."""
        self.reservations.settle(reservation, spent)
        offer = self.reservations.column("offer")[reservation].astype(np.int16)
        worst = self.reservations.column("liability")[reservation]
        self._held -= self.schedule.totals(worst, offer)
        self._spent += self.schedule.totals(spent.astype(np.float64), offer)

    def expire(self, now: float) -> Ints:
        """Release what was not redeemed in time; returns the numbers of those reservations, int64 [J]."""
        over = self.reservations.expire(now)
        offer = self.reservations.column("offer")[over].astype(np.int16)
        self._held -= self.schedule.totals(self.reservations.column("liability")[over], offer)
        return over

    def replan(self, now: float, ahead: float | None = None) -> None:
        """Find calibration and shadow prices anew.

        Parameters
        ----------
        now
            Time.
        ahead
            Arrivals still to come; None asks the clock.
        """
        if self.pacing.outcomes and self.reservations.count:
            seen = self.reservations.outcomes(now, self.pacing.outcomes)
            self.calibration = learned(seen, self.schedule.budgets.shape[1])
        if not self._lately:
            return
        seen_lately = Arrivals.latest(self._lately, self.pacing.memory)
        self._lately = [seen_lately]
        coming = max(self.ahead(now) if ahead is None else ahead, 1.0)
        out = self.reservations.open
        offer = self.reservations.column("offer")[out].astype(np.int16)
        awaited = self.schedule.totals(self.reservations.column("expected")[out], offer)
        left = np.maximum(self.schedule.most - self._spent - awaited, 0.0)
        share = len(seen_lately) / coming
        schedule = Schedule(left * share, self.schedule.budgets, self.schedule.caps, self.schedule.roof)
        cells = self.calibration.corrected(seen_lately)
        if len(left) == 1:
            self.shadow = np.array([one_price(cells, schedule, _ORACLE).high])
        elif len(left):
            self.shadow = several_prices(cells, schedule, _ORACLE)

    def ahead(self, now: float) -> float:
        """Return how many are still to come: what came so far foretells, and what was foreseen before."""
        done = max(self.pacing.done(now), 1e-9)
        trust = self.pacing.trust if self.pacing.expected else 0.0
        since = done + (trust / self.pacing.expected if trust else 0.0)
        return (self.arrived + trust) / since * (1.0 - done)

    def _worst(self, arrivals: Arrivals, choice: Choices) -> Floats:
        """Return the most that each choice can draw on each limit, float64 [R, M]."""
        at = np.arange(len(choice))
        return self.schedule.drawn(arrivals.liability[at, choice].astype(np.float64), choice)

    def _one_by_one(self, arrivals: Arrivals, cells: Cells, choice: Choices) -> Choices:
        """Go through customers in their order; where the best offer does not fit, the best that does."""
        choice, free = choice.copy(), self.free
        per_cost, per_offer = self.schedule.priced(self.shadow)
        reduced = np.where(cells.eligible, cells.value - per_cost * cells.cost - per_offer, -np.inf)
        reduced[:, 0] = 0.0
        for m, worst in enumerate(arrivals.liability):
            draw = self.schedule.budgets * worst + self.schedule.caps
            fits = (draw <= free[:, None]).all(axis=0)
            if not fits[choice[m]]:
                choice[m] = np.where(fits, reduced[m], -np.inf).argmax()
            free = free - draw[:, choice[m]]
        return choice

    def _reserve(self, arrivals: Arrivals, cells: Cells, choice: Choices, until: float) -> Offered:
        at = np.arange(len(choice))
        value, cost = cells.chosen(choice)
        rows = np.flatnonzero(choice)
        base, lift, mean, predicted = Outcomes.foretold(arrivals, choice.astype(np.int64))
        numbers = np.full(len(choice), -1, dtype=np.int64)
        numbers[rows] = self.reservations.add(
            choice[rows].astype(np.int64),
            liability=arrivals.liability[at, choice][rows],
            until=until,
            expected=cost[rows],
            base=base[rows],
            lift=lift[rows],
            mean=mean[rows],
            predicted=predicted[rows],
        )
        return Offered(choice, numbers, value, cost)
