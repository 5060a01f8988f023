"""Offers paced on what is really spent: worth more than first come first served, the same from any start."""

from __future__ import annotations

import datetime as dt
import itertools
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, event, text

from api.coupons.pace import Pace, Starts, in_background
from api.coupons.service import Coupons, OfferAsked
from api.storage.ledger import Line, campaign, coupon_limits, erase
from api.storage.ledger_audit import Work, history, require_balance, verify
from api.storage.ledger_redeem import redeem
from api.storage.ledger_reserve import mint
from api.storage.offers_seen import _ENDED, _SEEN, Lately, lately
from api.storage.store import Store
from policies.serve.coupon_shelf import Cart, CartLine, CouponShelf
from policies.serve.realised_use import Correction, LogOdds
from policies.serve.uplift_offers import UpliftOffers
from pricing.coupon_book import CampaignTerms
from pricing.coupon_rules import CouponSettings
from pricing.customers import CUSTOMER_FEATURES, Customers, unknown
from pricing.errors import BusyError
from tests.api.coupon_counter import FROM, book, model
from tests.api.ledger_app import KEY

COUNT, SECONDS = 320, 2 * 86_400
NAMES = tuple(f"c{i}" for i in range(64))
RNG = np.random.default_rng(5)
RECENCY = RNG.uniform(0.0, 6.0, len(NAMES))
CAME = RNG.integers(0, len(NAMES), COUNT)
LUCK = RNG.random(COUNT)
PROFIT = 80.0 + 40.0 * (3.0 - RECENCY)
"""What the coupon is worth with each: from -40 to 200; used with 15 to 62 %, more where it adds less."""

CHANCE = 1.0 / (1.0 + np.exp(0.6 + 0.4 * (3.0 - RECENCY)))


def at_once(work: Callable[[], None]) -> None:
    work()


def never(work: Callable[[], None]) -> None:
    del work


def shelf(budget: int | None, draws: int = 0, **limits: int | None) -> CouponShelf:
    fitted = model(np.array([[0.0, 0.0], [80.0, 40.0], [-10.0, 0.0]]))
    fitted = replace(
        fitted,
        redemption=np.array([[0.0, 0.0], [-0.6, -0.4], [0.0, 0.0]]),
        covariance=np.einsum("kl,pq->kplq", np.diag([0.0, 100.0, 1.0]), np.eye(2)),
    )
    names = tuple(KEY.customer(name) for name in NAMES)
    order = np.argsort(names)
    values = np.tile(unknown(), (len(names), 1))
    values[:, [feature.name for feature in CUSTOMER_FEATURES].index("recency")] = RECENCY[order]
    until = FROM + SECONDS
    whole = book(budget, valid_to=until, **limits)
    return CouponShelf(
        book=replace(whole, campaigns=(CampaignTerms("spring", "mail", FROM, until, budget),)),
        customers=Customers(
            tuple(sorted(names)), values, np.ones(len(names), dtype=np.bool_), 20_605, "data"
        ),
        policy=UpliftOffers.of(fitted, draws, 1),
        settings=CouponSettings(frequency_cap=10_000),
        margin_floor=0.0,
        holdout_share=0.0,
        reservation_seconds=1200,
        seed=7,
        replan_decisions=20,
        replan_seconds=SECONDS,
    )


def quick(store: Store) -> None:
    """Let commits not wait for the disk: these tests are about what is decided, others about power cuts."""

    def checked_out(made: sqlite3.Connection, *_: object) -> None:
        made.execute("PRAGMA synchronous=OFF").close()

    event.listen(store.database._engine, "checkout", checked_out)


@dataclass
class Campaigning:
    """A campaign from first to last second: customers come evenly, and use what they get by chance."""

    folder: Path
    shelf: CouponShelf
    factor: float = 1.0
    starts: Starts = at_once
    now: dt.datetime = field(init=False)
    value: float = 0.0
    given: list[str | None] = field(default_factory=list[str | None])
    waiting: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def __post_init__(self) -> None:
        self.at(0)
        self.store = Store(f"sqlite:///{self.folder / 'd.sqlite3'}", lambda: self.now)
        quick(self.store)
        self.open()

    def at(self, place: int) -> None:
        self.now = dt.datetime.fromtimestamp(FROM, dt.UTC) + dt.timedelta(
            seconds=(place + 0.5) * SECONDS / COUNT
        )

    def open(self) -> Pace:
        self.pace = Pace(self.shelf, self.starts)
        self.coupons = Coupons(self.store, KEY, self.pace)
        self.coupons.put_up()
        return self.pace

    def run(self, start: int = 0, end: int = COUNT) -> Campaigning:
        line = CartLine("1", "A", 1.0, 3000)
        for place in range(start, end):
            self.at(place)
            self.use()
            who = int(CAME[place])
            asked = OfferAsked(NAMES[who], None, Cart((line,), "es"), opted_out=False)
            made = self.coupons.offer(asked, f"k{place}").answer
            self.given.append(made["coupon_id"])
            if made["coupon_id"]:
                self.value += PROFIT[who]
                if LUCK[place] < self.factor * CHANCE[who]:
                    self.waiting.append((str(made["reservation_id"]), f"o{place}"))
        return self

    def use(self) -> None:
        """Let who wanted to use an offer do so, just before the next one comes."""
        for name, order in self.waiting:
            self.store.commits.submit(partial(_used, name, order))
        self.waiting.clear()

    def spent(self) -> int:
        self.use()
        with self.store.database.reading() as connection:
            verify(connection)
            require_balance(connection)
            found = campaign(connection, "spring")
        assert found is not None
        return found.spent

    def close(self) -> None:
        self.store.close()


def _used(reservation: str, order: str, work: Work) -> None:
    redeem(work, reservation, order, [Line("1", 500)])


def wanted() -> float:
    """Return what everybody with whom the coupon is worth something would draw."""
    return float((CHANCE * 500 * (PROFIT > 0.0))[CAME].sum())


def best(budget: int, factor: float) -> float:
    """Return what the budget would bring in expectation if everybody who comes were known beforehand."""
    cost = 500.0 * factor * CHANCE[CAME]
    order = np.argsort(-PROFIT[CAME] / cost)
    return float(PROFIT[CAME][order[np.cumsum(cost[order]) <= budget]].sum())


@pytest.mark.parametrize("factor", [1.0, 0.5, 1.6])
def test_what_is_paced_is_worth_more_than_first_come_first_served(tmp_path: Path, factor: float) -> None:
    """Money for a third; predictions right, or redemptions half or 1.6 times as frequent. 40 came before."""
    budget = round(wanted() * factor / 3.0)
    (tmp_path / "greedy").mkdir()
    greedy = Campaigning(tmp_path / "greedy", shelf(budget), factor, never).run(-40, COUNT // 2)
    paced = Campaigning(tmp_path, shelf(budget), factor).run(-40)
    assert greedy.spent() > budget - 500, "nothing is left to give"
    assert 0.95 * budget <= paced.spent() <= budget
    assert paced.value >= 2.0 * greedy.value
    assert paced.value >= 0.8 * best(budget, factor)
    greedy.close()
    paced.close()


def test_a_service_that_starts_again_goes_on_at_the_same_prices(tmp_path: Path) -> None:
    """Plans fall on decision 16, 32, 52, 72 ...: one that starts then decides as if it had never ended."""
    runs: list[Campaigning] = []
    for name, starts in (("whole", ()), ("again", (72, 152))):
        (tmp_path / name).mkdir()
        run, before = Campaigning(tmp_path / name, shelf(12_000, draws=6)), 0
        for place in starts:
            run.run(before, place)
            version = run.pace.policy.version
            assert run.open().policy.version == version
            before = place
        runs.append(run.run(before, 200))
    whole, again = runs
    assert whole.given == again.given
    assert whole.pace.policy.version == again.pace.policy.version != whole.shelf.policy.version
    for one in runs:
        one.close()


def test_every_service_on_a_store_finds_the_same_prices_and_records_them_once(tmp_path: Path) -> None:
    one = Campaigning(tmp_path, shelf(9_000, draws=6)).run(0, 92)
    other = Campaigning(tmp_path, CouponShelf.from_bytes(one.shelf.to_bytes()))
    version = other.pace.policy.version
    assert version == one.pace.policy.version
    assert one.pace.policy.shadow[1] > 0.0
    other.run(92, 122)
    one.pace.replan(one.store)
    other.pace.replan(other.store)
    assert one.pace.policy.version == other.pace.policy.version != version
    with one.store.database.reading() as connection:
        (row,) = history(connection, version)
        last = history(connection, one.pace.policy.version)
    assert row.kind == "priced"
    assert len(last) == 1
    told = row.content["correction"]
    shadow, level = (np.array([0.0, *part.values()]) for part in (row.content["shadow"], told["level"]))
    correction = Correction(LogOdds(level, told["own"], told["others"]), told["money"])
    assert one.shelf.policy.priced(shadow, correction).version == version, "the record tells the policy"
    for run in (one, other):
        run.close()


def test_somebody_erased_drops_out_and_nothing_else_does(tmp_path: Path) -> None:
    run = Campaigning(tmp_path, shelf(9_000)).run(0, 96)
    gone = [KEY.customer(name) for name in NAMES[:32]]
    run.store.commits.submit(lambda work: erase(work, gone))
    with run.store.database.reading() as connection:
        known = lately(connection)
    assert known is not None
    assert known.count == len(known.seen) == int((CAME[:96] >= 32).sum())
    last = int(np.flatnonzero(CAME[:96] >= 32)[-1])
    over = [place for place in range(last - 2) if run.given[place] and CAME[place] >= 32]
    assert len(known.ended) == len(over) > 0, "of the last three decisions offers are out still"
    before = run.pace.policy.version
    run.run(96, 200)
    assert run.pace.policy.version != before
    assert 0 < run.spent() <= 9_000
    run.store.commits.submit(lambda work: erase(work, [KEY.customer(name) for name in NAMES]))
    assert run.open().policy.version == run.shelf.policy.version, "nobody is left to learn from"
    run.close()


def test_codes_that_are_out_are_not_there_to_be_paced(tmp_path: Path) -> None:
    """Ten codes of 500 were minted ahead; of 9,000 that leaves 4,000, and of 40 uses 30."""
    run = Campaigning(tmp_path, shelf(9_000, limit_total=40))
    until = (FROM + SECONDS) * 1_000_000
    codes = {f"{place:032x}": f"CODE{place}" for place in range(10)}
    run.store.commits.submit(lambda work: mint(work, "five", codes, 500, until))
    run.run(0, 30)
    while run.given[-1] is None:
        run.run(len(run.given), len(run.given) + 1)
    with run.store.database.reading() as connection:
        known = lately(connection)
        spent = campaign(connection, "spring")
    assert known is not None
    assert spent is not None
    five = known.left[0]
    assert (five.coupon_id, five.other, five.budget) == ("five", 5_000, 9_000 - spent.spent)
    assert five.offered == 500 * five.offered_count > 0
    assert five.uses == 30 - spent.spent // 500, "what is out by an offer may come back"
    run.close()


@pytest.mark.parametrize("budget", [None, 1_000_000])
def test_where_no_budget_binds_nothing_is_held_back(tmp_path: Path, budget: int | None) -> None:
    run = Campaigning(tmp_path, shelf(budget)).run(0, 120)
    assert run.given == ["five" if PROFIT[who] > 0.0 else None for who in CAME[:120]]
    assert run.pace.policy.version == run.shelf.policy.version
    with run.store.database.reading() as connection:
        assert lately(connection) is not None
        assert not history(connection, run.pace.policy.version)
    run.close()


@pytest.mark.parametrize("budget", [None, 12_000])
def test_a_cap_on_uses_lasts_as_a_budget_does(tmp_path: Path, budget: int | None) -> None:
    """20 uses for twice as many who would use it; beside it no budget, or one that hardly binds."""
    run = Campaigning(tmp_path, shelf(budget, limit_total=20)).run(-40)
    run.spent()
    with run.store.database.reading() as connection:
        five = coupon_limits(connection, "five")
    assert five is not None
    assert 19 <= five.taken <= 20
    half = sum(map(bool, run.given[40 : 40 + COUNT // 2]))
    assert 0.3 <= half / sum(map(bool, run.given)) <= 0.7
    run.close()


def test_prices_are_found_beside_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that hangs holds nobody up, none is begun before it ends, one that fails is only that."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> Lately | None:
        begun.set()
        assert go_on.wait(30)
        return lately(connection)

    run = Campaigning(tmp_path, shelf(9_000), starts=in_background)
    monkeypatch.setattr("api.coupons.repricing.lately", slow)
    run.run(0, 90)
    assert begun.is_set()
    assert run.pace.policy.version == run.shelf.policy.version
    assert [thread.name for thread in threading.enumerate()].count("pacing") == 1
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "pacing":
            thread.join(30)
    version = run.pace.policy.version
    assert version != run.shelf.policy.version

    def broken(connection: Connection) -> Lately | None:
        raise BusyError("The decision store cannot be used now.")

    monkeypatch.setattr("api.coupons.repricing.lately", broken)
    run.pace._start = at_once
    assert len(run.run(90, 140).given) == 140
    assert run.pace.policy.version == version
    run.close()


@pytest.mark.parametrize(("took", "rest"), [(0.0, 20), (2_000.0, 38)])
def test_a_plan_that_takes_long_is_made_less_often(tmp_path: Path, took: float, rest: int) -> None:
    """A customer comes every 540 s; 2,000 s of a processor want a rest of ten times as much: 38 customers."""
    plans, ticks = list[int](), itertools.count()
    run = Campaigning(tmp_path, shelf(9_000))

    def noted(work: Callable[[], None]) -> None:
        plans.append(len(run.given))
        work()

    run.pace = Pace(run.shelf, noted, lambda: took * next(ticks))
    run.coupons = Coupons(run.store, KEY, run.pace)
    run.run(0, 200)
    assert plans[0] == 15
    assert set(np.diff(plans[1:])) == {rest}
    run.close()


def test_a_store_of_an_older_program_gets_the_indices(tmp_path: Path) -> None:
    run = Campaigning(tmp_path, shelf(9_000))
    with run.store.database.writing() as transaction:
        for name in ("offers_by_time", "reservations_offered"):
            transaction.connection.execute(text(f"DROP INDEX {name}"))
    run.close()
    again = Campaigning(tmp_path, shelf(9_000))
    with again.store.database.reading() as connection:
        for query, name in ((_SEEN, "offers_by_time"), (_ENDED, "reservations_offered")):
            sql, fixed = query._compiled
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"), {**fixed, "now": 1}).all()
            assert name in str(plan)
            assert "TEMP B-TREE" not in str(plan)
    again.close()
