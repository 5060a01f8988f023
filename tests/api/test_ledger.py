"""The ledger against a simple oracle in memory, whatever happens to it in whatever order."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from api.storage.ledger import Campaign, CouponLimits, Line, campaign, coupon_limits, put_campaign
from api.storage.ledger_audit import require_balance, verify
from api.storage.ledger_redeem import give_back, redeem, roll_back
from api.storage.ledger_reserve import Hold, Limit, Refusal, expire, release, reserve
from api.storage.price_marks import instant
from api.storage.store import Store
from pricing.errors import ConflictError, UnknownCoupon

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
EVER = instant(NOON + dt.timedelta(days=10_000))
SECOND = 1_000_000


@dataclass
class Clock:
    now: dt.datetime = NOON

    def __call__(self) -> dt.datetime:
        return self.now


def open_ledger(folder: Path, clock: Clock) -> Store:
    return Store(f"sqlite:///{folder / 'd.sqlite3'}", clock)


def put(store: Store, budget: int | None = 1000, total: int | None = None, each: int | None = None) -> None:
    coupon = CouponLimits("k", "c", None, total, each, 0, EVER)
    store.commits.submit(lambda work: put_campaign(work, Campaign("c", "EUR", budget), [coupon]))


@dataclass
class Place:
    """What the oracle knows of a reservation."""

    customer: str
    liability: int
    expires_at: int
    state: str = "held"
    amount: dict[str, int] = field(default_factory=dict[str, int])
    back: Counter[str] = field(default_factory=Counter[str])
    rolled: int = 0


class LedgerAgainstOracle(RuleBasedStateMachine):
    """One budget of 600, five uses, two a customer; the oracle adds everything up anew each time."""

    places = Bundle("places")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.clock = Clock()
        self.store = open_ledger(self.folder, self.clock)
        put(self.store, 600, 5, 2)
        self.known = dict[str, Place]()

    def teardown(self) -> None:
        with self.store.database.reading() as connection:
            verify(connection)
        self.store.close()
        shutil.rmtree(self.folder)

    def _now(self) -> int:
        return instant(self.clock.now)

    def _standing(self, *states: str) -> list[Place]:
        """Return places in these states; one that ran out does not count, swept or not."""
        return [
            place
            for place in self.known.values()
            if place.state in states and (place.state != "held" or place.expires_at > self._now())
        ]

    def _money(self) -> int:
        held = sum(place.liability for place in self._standing("held"))
        spent = sum(sum(p.amount.values()) - p.back.total() for p in self.known.values())
        return held + spent

    @rule(
        target=places,
        customer=st.sampled_from("abc"),
        liability=st.integers(40, 250),
        seconds=st.integers(1, 50),
    )
    def reserve(self, customer: str, liability: int, seconds: int) -> object:
        standing = self._standing("held", "redeemed")
        wanted: Limit | None = None
        if len(standing) >= 5:
            wanted = Limit.TOTAL
        elif sum(place.customer == customer for place in standing) >= 2:
            wanted = Limit.CUSTOMER
        elif self._money() + liability > 600:
            wanted = Limit.BUDGET
        name = f"{len(self.known):032x}"
        expires = self._now() + seconds * SECOND
        found = self.store.commits.submit(
            lambda work: reserve(work, Hold(name, "k", customer, None, liability, expires))
        )
        if wanted is not None:
            assert found == Refusal("k", wanted)
            return multiple()
        assert not isinstance(found, Refusal)
        self.known[name] = Place(customer, liability, expires)
        return name

    @rule(
        target=places,
        customer=st.sampled_from("abc"),
        amounts=st.lists(st.integers(0, 60), min_size=2, max_size=3),
    )
    def buy(self, customer: str, amounts: list[int]) -> object:
        """Reserve and redeem in one go, so that there is something to take back."""
        name = self.reserve(customer, 180, 50)
        if isinstance(name, str):
            self.redeem(name, amounts)
        return name

    @rule(seconds=st.integers(1, 9))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += dt.timedelta(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        due = [p for p in self.known.values() if p.state == "held" and p.expires_at <= self._now()]
        found = self.store.commits.submit(expire)
        assert found <= len(due)
        for place in due:
            place.state = "expired"

    @rule(name=places)
    def give_up(self, name: str) -> None:
        place = self.known[name]
        if place.state != "held":
            with pytest.raises(ConflictError):
                self.store.commits.submit(lambda work: release(work, name))
            return
        try:
            self.store.commits.submit(lambda work: release(work, name))
        except ConflictError:  # a refusal swept it already
            assert place.expires_at <= self._now()
        place.state = "released"

    @rule(name=places, amounts=st.lists(st.integers(0, 90), min_size=1, max_size=3))
    def redeem(self, name: str, amounts: list[int]) -> None:
        place = self.known[name]
        lines = [Line(str(i), amount, 3000) for i, amount in enumerate(amounts)]
        gone = place.state != "held" or place.expires_at <= self._now()
        if gone or sum(amounts) > place.liability:
            with pytest.raises(ConflictError):
                self.store.commits.submit(lambda work: redeem(work, name, "o", lines))
            return
        self.store.commits.submit(lambda work: redeem(work, name, "o", lines))
        place.state, place.amount = "redeemed", {line.line_id: line.amount for line in lines}

    @rule(name=places, line=st.sampled_from("01"), money=st.integers(0, 90))
    def roll_back(self, name: str, line: str, money: int) -> None:
        place = self.known[name]
        if not place.amount or line not in place.amount:
            with pytest.raises(UnknownCoupon):
                self.store.commits.submit(lambda work: roll_back(work, name, {line: money}))
        elif place.back[line] + money > place.amount[line]:
            with pytest.raises(ConflictError):
                self.store.commits.submit(lambda work: roll_back(work, name, {line: money}))
        else:
            self.store.commits.submit(lambda work: roll_back(work, name, {line: money}))
            self._took(place, {line: money}, rolled=True)

    @rule(name=places)
    def roll_all_back(self, name: str) -> None:
        place = self.known[name]
        if place.amount:
            self.store.commits.submit(lambda work: roll_back(work, name, None))
            left = {line: money - place.back[line] for line, money in place.amount.items()}
            self._took(place, left, rolled=True)

    @rule(name=places, units=st.integers(1, 3))
    def goods_return(self, name: str, units: int) -> None:
        """Of a line of three units some come back: the oracle asks only that the ledger stays in range."""
        place = self.known[name]
        if not place.amount:
            return
        try:
            found = self.store.commits.submit(lambda work: give_back(work, name, {"0": units * 1000}))
        except ConflictError:
            return
        now = {line.line_id: line.taken_back for line in found.lines}
        took = {line: back - place.back[line] for line, back in now.items()}
        assert set(took) - {line for line, money in took.items() if not money} <= {"0"}
        self._took(place, took, rolled=False)
        if {line.line_id: line.returned for line in found.lines}["0"] == 3000:
            assert now["0"] == place.amount["0"], "the last unit brings what is left"

    def _took(self, place: Place, amounts: dict[str, int], *, rolled: bool) -> None:
        place.back.update(amounts)
        place.rolled += sum(amounts.values()) if rolled else 0
        if rolled and place.rolled == sum(place.amount.values()):
            place.state = "undone"

    @invariant()
    def adds_up(self) -> None:
        with self.store.database.reading() as connection:
            require_balance(connection)
            money, limits = campaign(connection, "c"), coupon_limits(connection, "k")
        assert money is not None
        assert limits is not None
        due = sum(p.liability for p in self.known.values() if p.state == "held") - sum(
            p.liability for p in self._standing("held")
        )
        assert self._money() <= money.held + money.spent <= self._money() + due
        assert money.held + money.spent <= 600
        standing = len(self._standing("held", "redeemed"))
        late = sum(p.state == "held" for p in self.known.values()) - len(self._standing("held"))
        assert standing <= limits.taken <= min(5, standing + late)


TestLedgerAgainstOracle = LedgerAgainstOracle.TestCase
TestLedgerAgainstOracle.settings = settings(
    max_examples=30,
    stateful_step_count=120,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
