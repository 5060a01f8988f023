"""Where prices leave the house: overridden after they left, failed after they left, and brought back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import event

from api.cycle.publishing import waiting
from api.publishers.changes import Refusal
from api.storage import publications
from pricing.approval import Action
from pricing.errors import DataError
from tests.api.gate import CYCLE, House, told


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, {"A": 1000, "B": 500})


def _published(house: House, number: int, *, kind: str = "publish") -> None:
    house.take_in(f"{CYCLE}-{number:03d}-{kind}")


def test_an_override_goes_from_the_price_that_is_out_and_undo_to_the_one_before_the_first(
    house: House,
) -> None:
    house.review("A", Action.APPROVE)
    assert told(house.gate.publish()) == [("A", 1000, 1100, "published")]
    _published(house, 1)
    house.review("A", Action.OVERRIDE, 1050)
    assert told(house.gate.publish()) == [("A", 1100, 1050, "published")]
    _published(house, 2)
    assert told(house.gate.undo("ana", "a rival answered")) == [("A", 1050, 1000, "published")]
    _published(house, 3, kind="undo")
    house.review("A", Action.APPROVE)
    assert told(house.gate.publish()) == [("A", 1000, 1100, "published")]


def test_a_price_that_the_shop_changed_after_it_was_published_is_left_alone(house: House) -> None:
    house.review("A", Action.APPROVE)
    house.gate.publish()
    house.list({"A": 1234, "B": 500})
    house.review("A", Action.OVERRIDE, 1050)
    assert told(house.gate.publish()) == [("A", 1100, 1050, "failed")]


def test_the_next_cycle_goes_from_what_its_own_data_show(house: House) -> None:
    house.review("A", Action.APPROVE)
    house.gate.publish()
    house.list({"A": 2000, "B": 500})
    house.prices = {"A": 2000, "B": 500}
    house.clock.now += dt.timedelta(weeks=1)
    house.offer("2026-11-23")
    house.review("A", Action.APPROVE)
    assert told(house.gate.publish()) == [("A", 2000, 2200, "published")]


def test_a_price_that_is_out_stays_out_when_a_later_try_fails(house: House) -> None:
    house.review("A", Action.APPROVE)
    house.gate.publish()
    house.list({"A": 1234, "B": 500})
    house.review("A", Action.OVERRIDE, 1050)
    house.gate.publish()
    with house.store.database.reading() as connection:
        out = publications.outside(connection, [house.decision("A"), house.decision("B")])
        assert out == {house.decision("A")}
        left = waiting(connection, house.clock(), dt.UTC)
    assert (left.failed, left.unconfirmed) == (1, 1)
    assert told(house.gate.confirm()) == [("A", 1000, 1100, "published")]
    with house.store.database.reading() as connection:
        assert waiting(connection, house.clock(), dt.UTC).differing == 1
    assert told(house.gate.undo("ana", "a rival answered")) == [("A", 1100, 1000, "failed")]
    house.list({"A": 1100, "B": 500})
    assert told(house.gate.undo("ana", "again")) == [("A", 1100, 1000, "published")]
    with house.store.database.reading() as connection:
        assert publications.outside(connection, [house.decision("A")]) == frozenset()


def test_many_decisions_are_looked_up_by_few_queries(tmp_path: Path) -> None:
    house, asked = House(tmp_path, {f"p{i:04d}": 1000 for i in range(1100)}), list[str]()
    for name in ("p0000", "p0600", "p1099"):
        house.review(name, Action.APPROVE)
    house.gate.publish()
    with house.store.database.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        found = publications.outside(connection, [house.decision(name) for name in house.prices])
    assert found == {house.decision(name) for name in ("p0000", "p0600", "p1099")}
    assert sum("SELECT" in statement for statement in asked) == 3


def test_what_failed_in_an_earlier_round_keeps_no_cycle_open(house: House) -> None:
    house.review("A", Action.APPROVE)
    house.list({"A": 1234, "B": 500})
    assert told(house.gate.publish()) == [("A", 1000, 1100, "failed")]
    house.clock.now += dt.timedelta(weeks=1)
    house.offer("2026-11-23")
    with house.store.database.reading() as connection:
        assert waiting(connection, house.clock(), dt.UTC).failed == 0


def test_where_the_way_out_is_closed_nothing_counts_as_out(house: House) -> None:
    house.review("A", Action.APPROVE)
    house.listed.write_text("no export")
    with pytest.raises(DataError):
        house.gate.publish()
    with house.store.database.reading() as connection:
        assert publications.outside(connection, [house.decision("A")]) == frozenset()
        assert publications.unsettled(connection) == ()


def test_a_dry_run_says_line_by_line_what_would_leave(house: House) -> None:
    assert house.gate.preview().lines == ()
    for name in house.prices:
        house.review(name, Action.APPROVE)
    house.list({"A": 1000})
    lines = house.gate.preview().lines
    assert [(line.product_id, line.state.value, line.why) for line in lines] == [
        ("A", "change", None),
        ("B", "failed", Refusal.MISSING),
    ]
    assert [cell.after for cell in lines[0].cells] == ["11.00"]
    with house.store.database.reading() as connection:
        assert publications.every(connection) == ()
