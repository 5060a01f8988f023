"""The history of prices: what is recorded, that it stays so, and what a reduction is then counted from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal
from sqlalchemy import text

from api.cycle.publishing import waiting
from api.cycle.seen import take_in
from api.past_prices import prior_prices, with_record
from api.publishers.workbook import PriceWorkbook
from api.storage import price_marks, publications
from api.storage.database import Database
from api.storage.price_marks import Mark, Source
from api.storage.store import Store
from api.storage.tables import SCHEMA
from api.texts import texts
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from pricing.approval import Action
from pricing.errors import ArtifactError
from pricing.guardrails import Rule
from pricing.prior_price import window_start
from simulators.contract.local_time import local_time
from tests.api.client import problem, serving
from tests.api.gate import CYCLE, House
from tests.api.runs import open_desk, toy_shelf, write_run
from tests.simulators.shops import SHOP, orders, write_shop

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, {"A": 1000, "B": 500})


def _told(database: Database, product: str = "A") -> list[tuple[str, int]]:
    with database.reading() as connection:
        return [(mark.source.value, mark.offered) for mark in price_marks.history(connection, product)]


def _verified(database: Database) -> int:
    with database.reading() as connection:
        return price_marks.verify(connection)


def _micro(at: dt.datetime) -> int:
    return price_marks.instant(at.isoformat())


def test_what_is_published_read_back_and_undone_is_recorded_with_it(house: House) -> None:
    database = house.store.database
    house.review("A", Action.APPROVE)
    house.gate.publish()
    assert _told(database) == [("published", 1100)]
    for _ in range(2):
        house.gate.confirm()
        assert _told(database) == [("published", 1100), ("read_back", 1000)], "the file was not imported yet"
    house.take_in(f"{CYCLE}-001-publish")
    house.gate.confirm()
    house.gate.undo("ana", "a rival answered")
    assert _told(database)[2:] == [("read_back", 1100), ("published", 1000)]
    with database.reading() as connection:
        marks = price_marks.history(connection, "A")
        left = [row.settled_at for row in publications.every(connection)]
    assert [marks[i].at for i in (0, 3)] == [price_marks.instant(at or "") for at in left]
    mark = marks[0]
    assert (mark.basis, mark.currency, mark.time_zone, mark.reference) == (
        "gross", "EUR", "UTC", f"{CYCLE}-001-publish",
    )  # fmt: skip
    assert [m.offered for m in price_marks.merged(marks)] == [1100, 1000, 1100, 1000]
    assert _verified(database) == 4
    assert _told(database, "B") == []


@pytest.mark.parametrize(
    "change",
    ["UPDATE price_marks SET offered = 1 WHERE seq = 1", "DELETE FROM price_marks WHERE seq = 2"],
)
def test_a_row_that_is_changed_or_deleted_from_outside_shows(house: House, change: str) -> None:
    house.review("A", Action.APPROVE)
    house.gate.publish()
    house.gate.confirm()
    assert _verified(house.store.database) == 2
    with house.store.database.writing() as transaction:
        transaction.connection.execute(text(change))
    with pytest.raises(ArtifactError, match="chain of prices"):
        _verified(house.store.database)


def test_a_store_of_schema_3_is_read_and_what_it_published_is_in_the_history(house: House) -> None:
    house.review("A", Action.APPROVE)
    house.gate.publish()
    house.take_in(f"{CYCLE}-001-publish")
    house.gate.confirm()
    now = _told(house.store.database)
    with house.store.database.writing() as transaction:
        for change in (
            "DROP TABLE price_marks",
            "DELETE FROM chain WHERE id = 3",
            "UPDATE schema_version SET version = 3",
        ):
            transaction.connection.execute(text(change))
    house.store.close()
    for _ in range(2):
        store = Store(f"sqlite:///{house.folder / 'store.sqlite3'}", house.clock)
        assert (_told(store.database), _verified(store.database)) == (now, 2)
        assert store.verify() == 2
        with store.database.reading() as connection:
            assert connection.execute(text("SELECT version FROM schema_version")).scalar_one() == SCHEMA
            assert {row.state.value for row in publications.every(connection)} == {"confirmed"}
        store.close()


def _line(number: int, at: str, price: str) -> str:
    return f"o{number},1,{at},paid,,A,1,{price},{price},{price},gross"


def test_an_import_is_taken_in_once_and_confirms_what_cannot_be_read_back(
    house: House, tmp_path: Path
) -> None:
    database = house.store.database
    early = orders(_line(1, "2026-11-01 10:00", "10.00"))
    data = write_shop(tmp_path / "d", SHOP, orders=early)
    assert [take_in(database, data, NOW, CYCLE) for _ in range(2)] == [1, 0]
    house.review("A", Action.APPROVE)
    house.gate.publish()
    with database.writing() as transaction:
        out = publications.standing(publications.every(transaction.connection))
        assert publications.imported(transaction.connection, out[:1])[0] is None
    late = orders(
        _line(1, "2026-11-01 10:00", "10.00"),
        _line(2, "2026-11-18 10:00", "11.00"),
        _line(3, "2026-11-19 10:00", "11.00"),
    )
    write_shop(tmp_path / "d", SHOP, orders=late)
    assert [take_in(database, data, NOW, "later") for _ in range(2)] == [2, 0]
    with database.reading() as connection:
        found = publications.imported(connection, out[:1])[0]
    assert found is not None
    assert found.equal
    assert _told(database) == [
        ("imported", 1000),
        ("published", 1100),
        ("imported", 1100),
        ("imported", 1100),
    ]
    assert _verified(database) == 4


@pytest.mark.parametrize(
    ("seen", "state"), [("11.00", "confirmed"), ("12.34", "differs"), ("10.00", "published")]
)
def test_what_went_out_in_a_workbook_is_settled_by_the_next_import(
    house: House, tmp_path: Path, seen: str, state: str
) -> None:
    @contextmanager
    def way(batch: str | None) -> Generator[PriceWorkbook]:
        yield PriceWorkbook(None if batch is None else tmp_path / f"{batch}.xlsx", texts("en"))

    gate, database = replace(house.gate, open_way=way), house.store.database
    house.review("A", Action.APPROVE)
    gate.publish()
    assert gate.confirm() == ()
    with database.reading() as connection:
        left = waiting(connection, house.clock(), dt.UTC)
    assert (left.blind, left.unconfirmed, left.pending) == (1, 0, 1)
    assert replace(left, pending=0).nothing
    data = write_shop(tmp_path / "d", SHOP, orders=orders(_line(1, "2026-11-18 10:00", seen)))
    take_in(database, data, NOW, "later")
    gate.confirm()
    with database.reading() as connection:
        rows = publications.every(connection)
        assert waiting(connection, house.clock(), dt.UTC).blind == (state == "published")
    assert [row.state.value for row in rows] == [state]


def _random_marks(rng: np.random.Generator) -> list[Mark]:
    """Draw marks of a few products, out of order, some at one instant, over 60 days."""
    sources = tuple(Source)
    return [
        _mark(
            NOW - dt.timedelta(hours=int(rng.integers(0, 60 * 24))),
            f"p{rng.integers(4)}", "g", "es", int(rng.integers(0, 9)), sources[rng.integers(3)],
        )
        for _ in range(60)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_for_a_window_tells_the_same_as_the_whole_history(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    store = Store(f"sqlite:///{tmp_path / 's.sqlite3'}", lambda: NOW)
    _recorded(store.database, _random_marks(rng))
    until, clock = _micro(NOW - dt.timedelta(days=int(rng.integers(0, 20)))), local_time("Europe/Madrid")
    since = int(window_start(np.array([until]), clock)[0])
    with store.database.reading() as connection:
        part = price_marks.standing(connection, since, until, "EUR", "gross")
        whole = [price_marks.merged(price_marks.history(connection, product)) for _, product, _ in part]
        last = price_marks.last(connection, [product for _, product, _ in part])
        for (product, zone), mark in last.items():
            assert price_marks.newest(connection, product, zone) == mark
            assert price_marks.newest(connection, product, "elsewhere") is None
    store.close()
    assert len(part) == len(last) >= 3
    told, expected = (prior_prices(each, until, clock) for each in (list(part.values()), whole))
    for name in ("price", "lowest", "known"):
        assert getattr(told, name).tolist() == getattr(expected, name).tolist(), name


def _mark(at: dt.datetime, product: str, group: str, zone: str, offered: int, source: Source) -> Mark:
    return Mark(
        product, zone, group, _micro(at), offered, offered, "EUR", "gross", "Europe/Madrid", source, "x"
    )


def _recorded(database: Database, marks: Sequence[Mark]) -> None:
    with database.writing() as transaction:
        price_marks.record(transaction.connection, transaction.at, marks)


def test_a_reduction_is_held_to_what_was_published_though_the_data_do_not_show_it(tmp_path: Path) -> None:
    shelf = toy_shelf(4)
    catalogue = shelf.catalogue
    group, zone = catalogue.series.group[0], catalogue.series.zone[0]
    begins = dt.datetime.fromisoformat(catalogue.as_of).replace(tzinfo=dt.UTC)
    low = int(catalogue.recent[0].min()) - 5
    store = Store(f"sqlite:///{tmp_path / 's.sqlite3'}", lambda: NOW)
    assert with_record(shelf, store.database) is shelf
    _recorded(store.database, [
        _mark(begins - dt.timedelta(days=90), "a", group, zone, 5000, Source.IMPORTED),
        _mark(begins - dt.timedelta(days=9), "a", group, zone, low, Source.PUBLISHED),
        _mark(begins - dt.timedelta(days=8), "a", group, zone, 5000, Source.READ_BACK),
        _mark(begins - dt.timedelta(days=99), "b", group, zone, low + 1, Source.IMPORTED),
        _mark(begins + dt.timedelta(hours=1), "a", group, zone, 1, Source.PUBLISHED),
    ])  # fmt: skip
    held = with_record(shelf, store.database)
    store.close()
    assert held.lowest is not None
    assert held.lowest.tolist() == [low, 0, 0, 0]
    plain, made = (recommend(one, Incumbent()) for one in (shelf, held))
    assert plain.provenance_digest != made.provenance_digest
    before, after = (one.decisions.situation.state for one in (plain, made))
    assert (after.low - before.low).tolist() == [[-5, 0, 0, 0]]
    assert (after.lag == before.lag).all()
    assert (after.reference == before.reference).all()
    # A reduction to what would have been lawful before is none now.
    depth = np.full(4, np.log((low + 2) / catalogue.price[0]))
    planned = replace(plain.decisions.situation.conditions, depth=depth)
    bits = [shelf.guardrails.admit(state, planned).rejections[0, 0] for state in (before, after)]
    rung = plain.decisions.situation.menu.price[0].tolist().index(int(catalogue.price[0]))
    assert [bool(each[rung] & Rule.PRIOR_PRICE.bit) for each in bits] == [False, True]


def test_the_prior_price_is_told_over_http_with_what_it_follows_from(
    tmp_path: Path, portal: BlockingPortal
) -> None:
    desk = open_desk(write_run(tmp_path / "run", toy_shelf(4)), tmp_path / "d.sqlite3")
    day = dt.datetime(2026, 11, 1, 9, tzinfo=dt.UTC)
    _recorded(desk.store.database, [
        _mark(day - dt.timedelta(days=60), "A/1", "A", "es", 1000, Source.IMPORTED),
        _mark(day - dt.timedelta(days=10), "A/1", "A", "es", 800, Source.PUBLISHED),
        _mark(day - dt.timedelta(days=9), "A/1", "A", "es", 900, Source.PUBLISHED),
        _mark(day - dt.timedelta(days=8), "A/1", "A", "es", 900, Source.READ_BACK),
        _mark(day - dt.timedelta(days=5), "N", "N", "es", 700, Source.IMPORTED),
        _mark(day - dt.timedelta(days=5), "N", "N", "pt", 600, Source.IMPORTED),
    ])  # fmt: skip
    caller = serving(desk, portal)
    at = {"at": day.isoformat()}
    found = caller.get("/v1/prices/A%2F1/prior", params=at).json()
    assert (found["prior_price"], found["lowest"], found["known"]) == (800, 800, "told")
    assert (found["currency"], found["price_basis"], found["time_zone"]) == ("EUR", "gross", "Europe/Madrid")
    assert found["since"] == "2026-10-02T08:00:00Z"  # 30 days on Madrid's clock, one of them of 25 hours
    assert [(mark["offered"], mark["counts"]) for mark in found["marks"]] == [
        (1000, True), (800, True), (900, False), (900, True),
    ]  # fmt: skip
    short = caller.get("/v1/prices/N/prior", params={**at, "zone": "pt"}).json()
    assert (short["prior_price"], short["lowest"], short["known"]) == (None, 600, "short")
    problem(caller.get("/v1/prices/N/prior", params=at), 422, "usage")
    problem(caller.get("/v1/prices/nobody/prior", params=at), 404, "unknown_product")
    problem(caller.get("/v1/prices/N/prior", params={"at": "2026-11-01T09:00:00"}), 422, "validation")
    problem(
        caller.get("/v1/prices/N/prior", params={"at": "0001-01-01T00:00:00Z", "zone": "pt"}), 422, "usage"
    )
    desk.store.close()
