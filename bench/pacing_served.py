"""The streams of :mod:`bench.pacing` through the real service code: ``python -m bench.pacing_served``.

Every customer is decided for by :class:`api.coupons.service.Coupons` on a ledger of its own, as over HTTP but
in one process, its commits not waited for on the disk and its clock that of the stream. The uplift model
knows what is predicted, customer by customer. Who came before the campaign is decided for too, and gets
nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import event

from api.coupons.pace import Pace
from api.coupons.service import Coupons, OfferAsked
from api.customer_key import CustomerKey
from api.storage.ledger import Line, campaign
from api.storage.ledger_audit import Work, require_balance
from api.storage.ledger_redeem import redeem
from api.storage.store import Store
from bench.pacing import CASES, FACE, PAST, Case, K, World, world
from policies.allocation.allocate import allocate
from policies.allocation.instance import Instance, Limit
from policies.serve.coupon_shelf import Cart, CartLine, CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Floats
from pricing.coupon_book import CampaignTerms, CouponBook, Goods
from pricing.coupon_rules import CouponSettings
from pricing.coupons import Coupon
from pricing.customers import CUSTOMER_FEATURES, Customers, unknown
from pricing.evidence import Identification
from pricing.uplift import Basis, UpliftModel

FROM, SECONDS = 1_767_225_600, 14 * 86_400
KEY = CustomerKey(b"k" * 32)
READ = tuple(feature.name for feature in CUSTOMER_FEATURES)[: 2 * (K - 1)]
CART = Cart((CartLine("1", "A", 1.0, 3000),), "es")
NAMES = tuple(f"off{face}" for face in FACE[1:])


def model() -> UpliftModel:
    """Return a model that reads profit and log odds of use, by offer, as they are given."""
    F = len(READ)
    one, effects, odds = np.ones(F), np.zeros((K, 1 + F)), np.zeros((K, 1 + F))
    for k in range(1, K):
        effects[k, k], odds[k, K - 1 + k] = 1.0, 1.0
    none = np.zeros((0, 3), dtype=np.int64)
    basis = Basis(READ, -1e9 * one, 1e9 * one, 0.0 * one, one, none, one[:0], np.zeros(1 + F))
    return UpliftModel(
        ("", *NAMES), basis, effects, np.zeros((K, 1 + F, K, 1 + F)), odds, np.zeros((K, 1 + F)),
        FACE.astype(np.float64), (Identification.EXPERIMENT,) * K, 14, 14, "EUR", "2026-01-01", "invented",
    )  # fmt: skip


def shelf(made: World, names: list[str]) -> CouponShelf:
    """Return what is served: customers as they are predicted."""
    value = np.concatenate([made.past.value, made.predicted.value])[:, 1:]
    share = np.clip(np.concatenate([made.past.redemption, made.predicted.redemption])[:, 1:], 1e-9, 1 - 1e-9)
    features = np.tile(unknown(), (len(names), 1))
    features[:, : 2 * (K - 1)] = np.hstack([value, np.log(share) - np.log1p(-share)])
    hidden = np.array([KEY.customer(name) for name in names])
    order, until = np.argsort(hidden), FROM + SECONDS
    every = np.ones(len(names), dtype=np.bool_)
    known = Customers(tuple(hidden[order].tolist()), features[order], every, 20_000, "invented")
    coupons = tuple(
        Coupon(name, "all", amount=int(face), valid_from=FROM, valid_to=until)
        for name, face in zip(NAMES, FACE[1:], strict=True)
    )
    goods = Goods(("A",), ("tea",), every[:1], np.array([10.0]), ~every[:1])
    terms = CampaignTerms("all", "mail", FROM, until, int(made.budget))
    book = CouponBook(
        coupons, (terms,), goods, (("es", 0.25, True),), 0.0, 0, "EUR", "2026-01-01", "invented"
    )
    return CouponShelf(
        book,
        known,
        UpliftOffers.of(model()),
        CouponSettings(frequency_cap=10**6),
        margin_floor=0.0,
        holdout_share=0.0,
        reservation_seconds=1800,
        seed=7,
        replan_decisions=200,
        replan_seconds=SECONDS,
    )


def at_once(plan: Callable[[], None]) -> None:
    """Carry out a plan before the next customer comes."""
    plan()


def used(name: str, order: str, money: int, work: Work) -> None:
    """Use an offer."""
    redeem(work, name, order, [Line("1", money)])


@dataclass
class Stream:
    """One campaign from first to last second."""

    made: World
    folder: Path
    now: dt.datetime = field(init=False)
    value: float = 0.0

    def __post_init__(self) -> None:
        self.names = [f"c{i}" for i in range(PAST + len(self.made.time))]
        gap = 1.0 / len(self.made.time)
        before = (np.arange(-PAST, 0) * gap).astype(np.float64)
        self.times: Floats = np.concatenate([before, self.made.time])
        self.at(float(self.times[0]))
        self.store = Store(f"sqlite:///{self.folder / 'd.sqlite3'}", lambda: self.now)

        def hasty(opened: sqlite3.Connection, *_: object) -> None:
            opened.execute("PRAGMA synchronous=OFF").close()

        event.listen(self.store.database._engine, "checkout", hasty)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - measured is what is decided
        self.coupons = Coupons(self.store, KEY, Pace(shelf(self.made, self.names), at_once))
        self.coupons.put_up()

    def at(self, share: float) -> None:
        """Set the clock to a share of the campaign."""
        start = dt.datetime.fromtimestamp(FROM, dt.UTC)
        self.now = start + dt.timedelta(seconds=share * SECONDS)

    def run(self, seed: int) -> tuple[float, float]:
        """Return true expected value of what was given, and realised spend, in minor units."""
        luck = np.random.default_rng([seed, 9]).random(len(self.made.time))
        for i, name in enumerate(self.names):
            self.at(float(self.times[i]))
            asked = OfferAsked(name, None, CART, opted_out=False)
            told, j = self.coupons.offer(asked, f"k{i}").answer, i - PAST
            if told["coupon_id"]:
                k = 1 + NAMES.index(str(told["coupon_id"]))
                self.value += float(self.made.value[j, k])
                if luck[j] < self.made.redemption[j, k]:
                    self.store.commits.submit(
                        partial(used, str(told["reservation_id"]), f"o{i}", int(FACE[k]))
                    )
        with self.store.database.reading() as connection:
            require_balance(connection)
            found = campaign(connection, "all")
        self.store.close()
        return self.value, 0.0 if found is None else float(found.spent)


def row(case: Case, count: int, seed: int) -> str:
    """Return a line of the table: value over the optimum in hindsight, and budget spent."""
    made, began = world(count, seed, case), time.perf_counter()
    limit = Limit("all", made.budget, np.ones(K, dtype=np.bool_))
    best = allocate(Instance(made.value, made.cost, made.predicted.eligible, (limit,))).value
    with tempfile.TemporaryDirectory() as folder:
        value, spent = Stream(made, Path(folder)).run(seed)
    share, took = spent / made.budget, time.perf_counter() - began
    return f"| {case.name} | {100 * value / best:.2f} | {100 * share:.2f} | {took:.0f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="arrivals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", default="0,4,5,6", help="places of cases of bench.pacing")
    given = parser.parse_args()
    print("| predictions | value, % of offline | budget spent, % | s |\n|---|---|---|---|")
    for place in map(int, given.cases.split(",")):
        print(row(CASES[place], given.count, given.seed))
        sys.stdout.flush()
