"""From what serving drew by lot back to data: the same lots, only who agreed, and the truth found."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.coupons.pace import Pace
from api.coupons.service import Coupons, OfferAsked
from api.storage.ledger import Line, erase
from api.storage.ledger_audit import Work
from api.storage.ledger_redeem import redeem
from api.storage.offers_told import By, coupon_log
from api.storage.store import Store
from policies.serve.coupon_shelf import Cart, CartLine, CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.coupon_rules import CouponSettings, held_out
from pricing.customers import CUSTOMER_FEATURES, Customers, unknown
from simulators.contract.shop_file import SHOP_FILE, CostAssumption, ShopFile, Zone, render_shop_file
from simulators.folders import claim
from simulators.importers.coupon_log import CouponLog
from tests.api.coupon_counter import FROM, shelf
from tests.api.ledger_app import KEY
from tests.api.test_ledger import Clock
from tests.api.test_offer_pace import never, quick

COUNT, SHARE, DAYS = 600, 0.3, 20
PEOPLE = tuple(f"p{i}" for i in range(COUNT))
NAMES = {name: KEY.customer(name) for name in PEOPLE}
REFUSED = frozenset(PEOPLE[-40:])
HELD = dict(
    zip(PEOPLE, held_out([NAMES[p] for p in PEOPLE], ["spring"], SHARE, 7)[:, 0].tolist(), strict=True)
)
START = dt.datetime.fromtimestamp(FROM, dt.UTC)
RECENCY = [feature.name for feature in CUSTOMER_FEATURES].index("recency")
WORTH = 4000
"""Of an order, minor units; half of it is the cost of the goods."""


def counted(shelf: CouponShelf) -> CouponShelf:
    """Return the shelf with its customers, of whom the first fifty gain nothing from any coupon."""
    order = sorted(PEOPLE, key=NAMES.__getitem__)
    agreed = np.array([p not in REFUSED for p in order])
    values = np.tile(unknown(), (COUNT, 1))
    values[agreed, RECENCY] = np.array([0.0 if p in PEOPLE[:50] else 4.0 for p in order])[agreed]
    names = tuple(NAMES[p] for p in order)
    return replace(shelf, customers=Customers(names, values, agreed, 20_605, "data"))


@dataclass
class Shop:
    """A store in which everybody asked twice, a day apart, and half of those with a coupon used it."""

    folder: Path
    now: dt.datetime = START

    @property
    def store(self) -> str:
        return str(self.folder / "d.sqlite3")

    def serve(self) -> Shop:
        store = Store(f"sqlite:///{self.store}", lambda: self.now)
        quick(store)
        made = shelf(
            np.array([[0.0, 0.0], [100.0, -50.0], [-900.0, 0.0]]), settings=CouponSettings(), holdout=SHARE
        )
        coupons = Coupons(store, KEY, Pace(replace(counted(made), book=_unlimited(made)), never))
        coupons.put_up()
        self.orders: list[tuple[str, dt.datetime, int]] = []
        rng = np.random.default_rng(4)
        for place, name in enumerate((*PEOPLE, "nobody")):
            start = START + dt.timedelta(days=60 + place % DAYS, hours=9)
            self.now = start
            coupons.offer(_asked(name), f"{name}-first")
            self.now = start + dt.timedelta(days=1)
            told = cast("dict[str, Any]", coupons.offer(_asked(name), f"{name}-again").answer)
            if told["coupon_id"] and rng.random() < 0.5:
                given = str(told["reservation_id"])
                off = int(told["discount"])
                order = f"o-{name}-{self.now:%m%d%H}" if place % 3 else "of later"
                store.commits.submit(partial(_used, given, order, off))
                self.orders.append((name, self.now, off))
            if name != "nobody" and rng.random() < 0.4:
                self.orders.append((name, start - dt.timedelta(days=5), 0))
                self.orders.append((name, start + dt.timedelta(days=6), 0))
        store.close()
        return self

    def data(self) -> Path:
        at = {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "text_version": "1", "source": "till"}
        consents = [
            {"customer_id": NAMES[p], "purpose": "personal_offers", "granted": p not in REFUSED} | at
            for p in PEOPLE
        ]
        ends = [("far", START + dt.timedelta(days=day), 0) for day in (1, 200)]
        orders = [_order(*told) for told in (*self.orders, *ends)]
        zone = Zone("es", "ES", 0.0, prices_include_tax=True)
        cost = CostAssumption(default=0.5, by="category", shares={})
        shop = ShopFile(
            contract=1, currency="EUR", time_zone="Europe/Madrid", zones=(zone,), cost_assumption=cost
        )
        tables = {
            "orders": orders,
            "consents": consents,
            "products": [{"product_id": "A", "category": "tea", "kind": "merchandise"}],
        }
        with claim(self.folder / "data", "data", editable=(SHOP_FILE,)) as draft:
            for name, rows in tables.items():
                cast("Any", pq).write_table(
                    cast("Any", pa).Table.from_pylist(rows), draft / f"{name}.parquet"
                )
            (draft / SHOP_FILE).write_text(render_shop_file(shop, "Invented."), encoding="utf-8")
        return self.folder / "data"

    def log(self, by: By = By.CAMPAIGN) -> CouponLog:
        opened = Store(f"sqlite:///{self.store}", lambda: self.now)
        with opened.database.reading() as connection:
            found, silent = coupon_log(connection, by)
        opened.close()
        assert silent == 0
        return found


def _unlimited(made: CouponShelf) -> Any:
    return replace(made.book, campaigns=tuple(replace(c, budget=None) for c in made.book.campaigns))


def _asked(name: str) -> OfferAsked:
    cart = Cart((CartLine("1", "A", 1.0, 4500),), "es")
    if name == "nobody":
        return OfferAsked(None, "session", cart, opted_out=False)
    return OfferAsked(name, None, cart, opted_out=False)


def _used(reservation: str, order: str, amount: int, work: Work) -> None:
    redeem(work, reservation, order, (Line("1", amount, 1000),))


def _order(name: str, at: dt.datetime, off: int) -> dict[str, object]:
    return {
        "order_id": f"o-{name}-{at:%m%d%H}", "line_id": "1", "ordered_at": at, "status": "paid",
        "customer_id": NAMES.get(name), "product_id": "A", "quantity": 1, "regular_price": WORTH / 100,
        "offered_price": WORTH / 100, "paid": (WORTH - off) / 100, "price_basis": "gross",
    }  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop")).serve()
    made.data()
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["coupons", *words])


def logged(shop: Shop, out: Path, data: str = "data") -> Any:
    result = run("log", shop.store, str(shop.folder / data), "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cast("Any", pq).read_table(folder / f"{table}.parquet").to_pylist()
    return found


def test_lots_are_those_that_were_drawn_from_the_first_decision_on(shop: Shop) -> None:
    found = {lot.customer_id: lot for lot in shop.log().drawn}
    for place, name in enumerate(PEOPLE):
        lot = found.get(NAMES[name])
        if place < 50:
            assert lot is None, "no coupon had any chance, so no lot mattered"
            continue
        assert lot is not None
        assert (lot.campaign_id, lot.coupon_id, lot.nothing) == ("spring", None, HELD[name])
        assert lot.chance == pytest.approx(SHARE if HELD[name] else 1.0 - SHARE)
        moment = dt.datetime.fromtimestamp(lot.at / 1e6, dt.UTC)
        assert moment == START + dt.timedelta(days=60 + place % DAYS, hours=9)


def test_only_who_agreed_is_written_and_the_rest_is_counted(shop: Shop, tmp_path: Path) -> None:
    told = logged(shop, tmp_path / "learned")
    exposures = rows(tmp_path / "learned", "coupon_exposures")
    mine = [p for p in PEOPLE[50:] if p not in REFUSED]
    assert {row["customer_id"] for row in exposures} == {NAMES[p] for p in mine}
    assert told["exposures"]["rows"] == len(exposures) == len(mine)
    assert told["nothing"] == sum(HELD[p] for p in mine)
    used = [p for p, _, off in shop.orders if off]
    left = len(REFUSED) + sum(p in REFUSED or p == "nobody" for p in used) + 1
    assert told["no_consent"] == left, "those who refused, the visitor, and what they used"
    redeemed = rows(tmp_path / "learned", "redemptions")
    assert {row["customer_id"] for row in redeemed} == {NAMES[p] for p in used if p in mine}
    for kept in ("orders", "consents", "products"):
        same = (tmp_path / "learned" / f"{kept}.parquet", shop.folder / "data" / f"{kept}.parquet")
        assert same[0].read_bytes() == same[1].read_bytes()


def test_the_same_log_gives_the_same_bytes_and_adds_nothing_twice(shop: Shop, tmp_path: Path) -> None:
    logged(shop, tmp_path / "one")
    logged(shop, tmp_path / "two")
    for name in ("coupon_exposures", "redemptions"):
        one, two = ((tmp_path / place / f"{name}.parquet").read_bytes() for place in ("one", "two"))
        assert one == two
    again = run("log", shop.store, str(tmp_path / "one"), "--out", str(tmp_path / "three"), "--json")
    told = json.loads(again.stdout)
    assert (told["exposures"]["rows"], told["redemptions"]["rows"]) == (0, 0)
    assert (
        told["exposures"]["known"]
        == told["exposures"]["total"]
        == len(rows(tmp_path / "one", "coupon_exposures"))
    )


def test_the_fit_says_what_the_campaign_brought(shop: Shop, tmp_path: Path) -> None:
    """Half of those given one buy for 40.00 more, less 5.00 off and 20.00 of goods: 7.50 a customer."""
    logged(shop, tmp_path / "learned")
    out = tmp_path / "uplift.npz"
    fitted = run(
        "fit", str(tmp_path / "learned"), "--out", str(out), "--window", "7", "--after", "7", "--json"
    )
    assert fitted.exit_code == 0, fitted.output
    told = json.loads(fitted.stdout)
    effect = told["effects"][0]
    assert effect["offer"] == "spring"
    low, high = effect["total"]["lower"], effect["total"]["upper"]
    assert low < 750.0 < high
    assert high - low < 400.0


def test_what_was_served_is_compared_by_audit_group(shop: Shop, tmp_path: Path) -> None:
    groups = {p: "north" if place % 2 else "south" for place, p in enumerate(PEOPLE[:300])}
    text = "customer_id,region\n" + "".join(f"{NAMES[p]},{where}\n" for p, where in groups.items())
    (tmp_path / "groups.csv").write_text(text)
    told = run("fairness", shop.store, str(tmp_path / "groups.csv"), "--by", "region", "--json")
    assert told.exit_code == 0, told.output
    found = {group["group"]: group for group in json.loads(told.stdout)["groups"]}
    for where in ("north", "south"):
        mine = [p for p in groups if groups[p] == where]
        given = [p for p in mine if p not in PEOPLE[:50] and not HELD[p]]
        off = sum(off for p, _, off in shop.orders if p in mine)
        assert (found[where]["customers"], found[where]["offered"]) == (len(mine), len(given))
        assert found[where]["value"][0] == pytest.approx(off / len(mine))
    (tmp_path / "strangers.csv").write_text("customer_id,region\nx,north\n")
    strange = run("fairness", shop.store, str(tmp_path / "strangers.csv"), "--by", "region")
    assert strange.exit_code == 3, strange.output


def test_decisions_that_draws_left_open_are_lotteries_of_their_own(tmp_path: Path) -> None:
    """150 customers, a policy that doubts: what was open differs between them, and the chances are true."""
    clock = Clock()
    store = Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", clock)
    quick(store)
    made = counted(shelf(np.array([[0.0, 0.0], [100.0, -50.0], [30.0, -60.0]]), holdout=SHARE))
    values = made.customers.values.copy()
    agreed = made.customers.consented
    values[agreed, RECENCY] = np.linspace(0.0, 4.0, int(agreed.sum()))
    unsure = np.einsum("kl,pq->kplq", np.diag([0.0, 1.0, 1.0]), np.diag([1500.0, 10.0]))
    policy = UpliftOffers.of(replace(made.policy.model, covariance=unsure), 40, 3)
    crowd, roomy = replace(made.customers, values=values), CouponSettings(frequency_cap=100)
    made = replace(made, book=_unlimited(made), customers=crowd, policy=policy, settings=roomy)
    coupons = Coupons(store, KEY, Pace(made, never))
    coupons.put_up()
    for hour in range(0, 72, 12):
        clock.now = START + dt.timedelta(days=60, hours=hour)
        for name in PEOPLE[:300:2]:
            coupons.offer(_asked(name), f"{name}-{hour}")
    with store.database.reading() as connection:
        drawn = coupon_log(connection, By.COUPON)[0].drawn
    store.close()
    assert len({row.among for row in drawn}) > 1
    assert not {row.customer_id for row in drawn} & {NAMES[p] for p in PEOPLE if HELD[p]}
    assert all(row.coupon_id in {None, *row.among} for row in drawn)
    for offer in (None, "five", "ten"):
        open_to = [row for row in drawn if offer is None or offer in row.among]
        weights = np.array([(row.coupon_id == offer) / row.chance for row in open_to])
        assert abs(weights.mean() - 1.0) < 3.5 * weights.std() / np.sqrt(len(weights)), offer
    times = [[row.at for row in drawn if row.customer_id == NAMES[p]] for p in PEOPLE[:300:2]]
    assert min(b - a for mine in times for a, b in itertools.pairwise(mine)) == 86_400_000_000


def test_who_was_erased_is_not_told_about(shop: Shop, tmp_path: Path) -> None:
    shutil.copyfile(shop.store, tmp_path / "d.sqlite3")
    shop = Shop(tmp_path)
    opened = Store(f"sqlite:///{shop.store}", lambda: shop.now)
    opened.commits.submit(_erase)
    opened.close()
    assert NAMES[PEOPLE[100]] not in {lot.customer_id for lot in shop.log().drawn}
    assert NAMES[PEOPLE[101]] in {lot.customer_id for lot in shop.log().drawn}


def _erase(work: Work) -> None:
    erase(work, [NAMES[PEOPLE[100]]])


def test_what_cannot_be_is_refused(shop: Shop, tmp_path: Path) -> None:
    data = str(shop.folder / "data")
    missing = run("log", str(tmp_path / "none.sqlite3"), data, "--out", str(tmp_path / "o"))
    assert (missing.exit_code, "There is no store" in missing.stderr) == (2, True)
    assert not (tmp_path / "none.sqlite3").exists()
    inside = run("log", shop.store, data, "--out", f"{data}/more")
    assert (inside.exit_code, "to be continued" in " ".join(inside.stderr.split())) == (2, True)
    (tmp_path / "bare").mkdir()
    bare = run("log", shop.store, str(tmp_path / "bare"), "--out", str(tmp_path / "o"))
    assert bare.exit_code == 4, bare.output
    assert not (tmp_path / "o").exists()
