"""A review of many is judged kind by kind; it must come to what judging each one alone comes to."""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from api.approvals import bulk
from api.publishers.changes import PriceChange
from api.storage import publications, reviews
from api.storage.publications import Kind, Outgoing, State
from api.storage.reviews import ProposalRow, Wanted
from api.storage.store import Entry, Run, Store
from api.storage.tables import PUBLICATIONS
from pricing.approval import Action, ApprovalSettings, Review, Reviewed, ReviewState

NOW = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
FACTS = {"verdict": "passed", "driven_by_limits": False}
"""Of a round that its corridor may approve something of."""

_SETTLED = {ReviewState.APPROVED, ReviewState.AWAITING_SECOND}


@st.composite
def proposals(draw: st.DrawFn, number: int) -> ProposalRow:
    now = draw(st.integers(90, 110))
    recommended = draw(st.none() | st.integers(90, 110))
    state = draw(st.sampled_from(ReviewState))
    return ProposalRow(
        round=0,
        decision_id=f"{number:032x}",
        price_group=f"p{number}",
        zone="ES",
        category="",
        name="",
        current_price=now,
        recommended_price=recommended,
        change=0.0 if recommended is None else recommended / now - 1.0,
        profit_change=draw(st.integers(-50, 50)),
        profit_change_lower=-60,
        profit_change_upper=60,
        probability_of_loss=draw(st.sampled_from([0.01, 0.5])),
        identified_by="promo_controlled",
        binding_guardrail=None,
        digest="0" * 64,
        state=state.value,
        price=draw(st.integers(90, 110)) if state in _SETTLED else None,
        starts_at=None,
        approved_by=draw(st.sampled_from(["ana", "eva", "corridor"])) if state in _SETTLED else "",
        overridden=draw(st.booleans()) if state in _SETTLED else False,
        review=0,
    )


rounds = st.integers(0, 25).flatmap(lambda n: st.tuples(*(proposals(i) for i in range(n))))


def _change(number: int) -> PriceChange:
    return PriceChange(f"p{number}", "ES", "EUR", "gross", 100, 101)


def _opened(folder: Path, rows: tuple[ProposalRow, ...], four_eyes: bool, out: frozenset[int]) -> Store:
    store = Store(f"sqlite:///{folder / 'd.sqlite3'}", lambda: NOW)
    with store.writing() as writing:
        run = Run("r", "0" * 64, {})
        writing.record(run, [Entry(row.decision_id, row.price_group, row.zone, {}) for row in rows])
        rules = ApprovalSettings(0.05, four_eyes=four_eyes)
        reviews.open_round(writing.transaction, "r", rows, settings=rules, facts=FACTS, by="x")
        sent = [
            Outgoing("b", i, "c", Kind.PUBLISH, rows[i].decision_id, _change(i))
            for i in sorted(out)
            if i < len(rows)
        ]
        publications.intend(writing.transaction, sent)
    return store


@settings(max_examples=60, deadline=None)
@given(rounds, st.booleans(), st.frozensets(st.integers(0, 25)), st.sampled_from(Action), st.integers(0, 5))
def test_many_are_judged_as_each_would_be_alone(
    rows: tuple[ProposalRow, ...], four_eyes: bool, out: frozenset[int], action: Action, shown: int
) -> None:
    if action is Action.OVERRIDE:
        return
    review = Review(action, "ana", "why")
    with tempfile.TemporaryDirectory() as folder:
        store = _opened(Path(folder), rows, four_eyes, out)
        with store.database.reading() as connection:
            now = reviews.current_round(connection)
            assert now is not None
            found = bulk.previewed(connection, now, Wanted(), review, shown)
            changes = bulk.carried_out(connection, now, Wanted(), review)
            kept = reviews.every(connection, now.number, Wanted())
            each = {
                row.decision_id: bulk.attempt(row, now, review, out=int(row.decision_id, 16) in out)
                for row in kept
            }
            possible = bulk.possible(connection, kept, now, "ana")
        store.close()
    done = {key: stands for key, stands in each.items() if isinstance(stands, Reviewed)}
    by_id = {row.decision_id: row for row in kept}
    assert {row.decision_id: stands for row, _, stands in changes} == done
    assert found.count == len(done)
    assert found.states == Counter(stands.state.value for stands in done.values())
    assert found.profit_change == sum(by_id[key].profit_change for key in done)
    moves = [by_id[key].current_price - s.price for key, s in done.items() if s.price is not None]
    assert (found.raised, found.lowered) == (sum(m < 0 for m in moves), sum(m > 0 for m in moves))
    assert found.refused == Counter(why for why in each.values() if isinstance(why, str))
    sizes = sorted((abs(by_id[key].change) for key in done), reverse=True)
    assert [abs(row.change) for row, _ in found.largest] == sizes[:shown]
    assert all(each[row.decision_id] == stands for row, stands in (*found.largest, *found.kept))
    assert all((action in can) == (row.decision_id in done) for row, can in zip(kept, possible, strict=True))


def test_what_is_out_is_told_in_one_question(tmp_path: Path) -> None:
    rows = tuple(
        replace(_row(i), state="approved", price=101, approved_by="ana", recommended_price=101)
        for i in range(4)
    )
    store = _opened(tmp_path, rows, four_eyes=False, out=frozenset({0, 1, 2}))
    ids = [row.decision_id for row in rows]
    with store.database.writing() as transaction:
        undone = Outgoing("c", 0, "c", Kind.UNDO, ids[1], _change(1))
        publications.intend(transaction, [undone])
        table = PUBLICATIONS
        failed = table.update().where(table.c.decision_id == ids[2]).values(state=State.FAILED.value)
        transaction.connection.execute(failed)
    with store.database.reading() as connection:
        assert publications.outside(connection, ids) == {ids[0]}
        assert publications.outside(connection, ids[1:]) == frozenset()
        assert publications.outside(connection, []) == frozenset()


def _row(number: int) -> ProposalRow:
    return ProposalRow(
        0, f"{number:032x}", f"p{number}", "ES", "", "", 100, 101, 0.01, 5, -1, 9, 0.1,
        "promo_controlled", None, "0" * 64, "pending", None, None, "", False, 0,
    )  # fmt: skip


def test_a_store_of_an_older_program_gets_the_indices_that_lists_are_sorted_by(tmp_path: Path) -> None:
    _opened(tmp_path, (_row(0),), four_eyes=False, out=frozenset()).close()
    place, listed = tmp_path / "d.sqlite3", "SELECT name FROM sqlite_master WHERE name LIKE 'proposals_%'"
    with sqlite3.connect(place) as raw:
        before = {name for (name,) in raw.execute(listed)}
        raw.execute("DROP INDEX proposals_sorted_by_change")
    raw.close()
    Store(f"sqlite:///{place}", lambda: NOW).close()
    with sqlite3.connect(place) as raw:
        assert {name for (name,) in raw.execute(listed)} == before
        query = "SELECT * FROM proposals WHERE round = 1 ORDER BY change DESC, price_group, zone LIMIT 20"
        (plan,) = raw.execute(f"EXPLAIN QUERY PLAN {query}")
        assert "proposals_sorted_by_change" in plan[3]
    raw.close()
