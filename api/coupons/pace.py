"""The pace of campaigns: the shelf's policy at the shadow prices that the ledger says.

They follow from the record alone (:mod:`policies.allocation.served`), so nothing is lost when a service ends,
and several services on one store come to the same ones. They are found in a thread of their own, on a reading
connection; until they are, the ones before decide.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from api.storage.store import Store
from policies.serve.coupon_shelf import CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.errors import TarifaError

__all__ = ["Pace", "Starts", "in_background", "warn"]

_SECOND = 1_000_000
_FIRST = 16
"""Decisions after which the first plan is made."""

_REST = 5 * _SECOND
"""Microseconds between two plans at least."""

_TIMES = 10
"""And so many times as long as the last one took of a processor: some tenths of a second with a few budgets,
four with fifty that all bind. Those who wait at a checkout need the processor more."""

Starts = Callable[[Callable[[], None]], None]
"""Carries out a plan."""


def in_background(work: Callable[[], None]) -> None:
    """Carry out something in a thread that nobody waits for."""
    threading.Thread(target=work, name="pacing", daemon=True).start()


def warn(event: str, error: TarifaError) -> None:
    """Tell the log what went wrong beside the answers, why, and what to do."""
    import structlog  # 40 ms of an import, for what hardly ever happens

    told = {"code": error.code, "what": error.what, "why": error.why, "todo": error.todo}
    structlog.get_logger("tarifa.coupons").warning(event, **told)


class Pace:
    """Holds the policy that decides now, and has it found anew after so many decisions or so long.

    At first that is each time that twice as many have come, so that a campaign is paced from its beginning.

    Parameters
    ----------
    shelf
        What is served.
    start
        Carries out a plan: in a thread of its own, or at once.
    clock
        Seconds of a processor that the thread has taken.
    """

    def __init__(
        self, shelf: CouponShelf, start: Starts = in_background, clock: Callable[[], float] = time.thread_time
    ) -> None:
        self.shelf, self._start, self._clock = shelf, start, clock
        self._rest = _REST
        self._policy = shelf.policy
        self._guard, self._planning = threading.Lock(), False
        self._count, self._at, self._enough = 0, -1, min(_FIRST, shelf.replan_decisions)

    @property
    def policy(self) -> UpliftOffers:
        """What decides now."""
        return self._policy

    def noted(self, store: Store, at: int) -> None:
        """Count a decision made at `at` (UTC microseconds); have prices found anew where it is time."""
        with self._guard:
            self._count += 1
            self._at = at if self._at < 0 else self._at
            rested = abs(at - self._at)  # a clock may be set back
            due = self._count >= self._enough or rested >= self.shelf.replan_seconds * _SECOND
            if self._planning or not due or rested < self._rest:
                return
            self._planning, self._count, self._at = True, 0, at
        self._start(lambda: self._plan(store))

    def replan(self, store: Store) -> None:
        """Find prices anew; raises :class:`TarifaError` where the store cannot be read or written."""
        from api.coupons import repricing  # serving begins without it

        known = repricing.read(store)
        if known is None:
            return
        found = repricing.paced(self.shelf, known)
        if found.version != self._policy.version and found.shadow.any():
            repricing.record(store, found)
        self._policy = found
        with self._guard:
            self._count, self._at = 0, known.at
            self._enough = min(max(_FIRST, known.count), self.shelf.replan_decisions)

    def _plan(self, store: Store) -> None:
        began = self._clock()
        try:
            self.replan(store)
        except TarifaError as error:  # the prices before go on deciding, within every limit
            warn("not paced", error)
        finally:
            with self._guard:
                self._rest = max(_REST, int(_TIMES * _SECOND * (self._clock() - began)))
                self._planning = False
