"""Outcomes on real files: three weeks of a shop, what people did with proposals, and what was sold then."""

from __future__ import annotations

import datetime as dt
import json
import math
import shutil
import subprocess
import sys
import zoneinfo
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from api.app import approvals_of
from api.cli.cycle_steps import Steps
from api.cli.main import app
from api.cli.serve import desk_over
from api.cli.session import Session
from api.cycle.loop import Home, Step
from api.cycle.outcomes import decided_in, outcomes_of, past_decisions
from api.publishers.changes import Identity, PriceChange
from api.runs import open_shelf, read_shelf
from api.storage import reviews
from api.storage.publications import Kind, Outgoing, State
from api.storage.reviews import ProposalRow, Wanted
from api.storage.store import Store
from api.texts import texts
from pricing.approval import Action, Review
from pricing.outcomes import Ending, LeftOut, Shelf
from simulators.contract.shop_file import read_shop_file
from simulators.contract.tables import open_source
from simulators.outcomes import Decided, Decider, Sold, outcomes_table, sold
from simulators.run import load_run
from tests.api.cycle_home import TODAY, listed_price, sell, write_home
from tests.api.shop import PRODUCTS
from tests.once import once

pa: Any = pyarrow
_pq: Any = pyarrow.parquet
_WEEK = dt.timedelta(weeks=1)
NEXT, THIRD = TODAY + _WEEK, TODAY + 2 * _WEEK
SOLD = {f"p{p:02d}": 20 + p for p in range(PRODUCTS)}
OTHER = 10
"""What somebody makes of the second proposal, in minor units above the price in force."""


def _cycle(home: Path, day: dt.date, *options: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["cycle", str(home), "--today", day.isoformat(), "--json", *options])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def _store(home: Path) -> Store:
    return Store(f"sqlite:///{home / 'store.sqlite3'}", lambda: dt.datetime(2024, 10, 7, 9, tzinfo=dt.UTC))


def _prices() -> dict[str, float]:
    return {f"p{p:02d}": float(listed_price(p)) for p in range(PRODUCTS)}


def _second(root: Path) -> None:
    """Go round twice: of four proposals one is approved, one overridden, one rejected and one left."""
    home = write_home(root / "home")
    failed = _cycle(home, TODAY)["steps"]["validate"]["failed"]
    store = _store(home)
    shelf = open_shelf(home / "cycles" / TODAY.isoformat() / "run", failed)
    approvals = approvals_of(desk_over(shelf, "static", store))
    wanted = Wanted(states=("pending",))
    first, second, third, _ = approvals.listed(
        wanted, sort="price_group", falling=False, start=0, limit=4
    ).rows
    price = second.current_price + OTHER
    approvals.review(first.decision_id, Review(Action.APPROVE, "ana"), first.etag)
    approvals.review(second.decision_id, Review(Action.OVERRIDE, "ana", "rival", price), second.etag)
    approvals.review(third.decision_id, Review(Action.REJECT, "ana", "too early"), third.etag)
    store.close()
    _cycle(home, TODAY)
    prices = _prices()
    assert first.recommended_price is not None
    prices |= {first.price_group: first.recommended_price / 100, second.price_group: price / 100}
    sell(home, 0, prices, SOLD)
    _die(home, NEXT, "before outcomes")
    left = (home / "cycles" / NEXT.isoformat() / "outcomes.parquet").read_bytes()
    _die(home, NEXT, "after outcomes")
    assert (home / "cycles" / NEXT.isoformat() / "outcomes.parquet").read_bytes() == left
    _cycle(home, NEXT)


def _die(home: Path, day: dt.date, moment: str) -> None:
    asked = [sys.executable, "-m", "tests.api.dying", str(home), day.isoformat(), moment]
    died = subprocess.run(asked, capture_output=True, check=False)
    assert died.returncode == -9, died.stderr.decode()[-2000:]


@pytest.fixture(scope="session")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home after its second cycle; copy it before changing it."""
    return once(tmp_path_factory, "outcomes", _second) / "home"


def _rows(home: Path, day: dt.date) -> dict[str, Mapping[str, Any]]:
    table = _pq.read_table(home / "cycles" / day.isoformat() / "outcomes.parquet")
    return {row["price_group"]: row for row in table.to_pylist() if row["period_start"] == TODAY}


def test_each_decision_meets_what_was_sold_at_the_price_that_stood(twice: Path) -> None:
    rows = _rows(twice, NEXT)
    endings = {row["ending"]: row for row in rows.values()}
    assert set(endings) == {"published", "overridden", "rejected", "undecided", "kept"}
    for row in rows.values():
        group = row["price_group"]
        paid = row["published_price"] or row["current_price"]
        assert (row["regular_price"], row["shelf_price"], row["shelf"]) == (paid, paid, "decided")
        assert (row["units"], row["units_if_in_stock"], row["days"]) == (SOLD[group], SOLD[group], 7)
        net = paid / 1.21 * SOLD[group]
        cost = math.ceil(0.6 * row["current_price"] / 1.21) * SOLD[group]  # assumed before the price moved
        assert row["revenue"] == pytest.approx(net, abs=1)
        assert row["profit"] == pytest.approx(net - cost, abs=1)
        assert (row["period_end"], row["price_basis"], row["cost_assumed"]) == (NEXT, "gross", True)
    assert endings["published"]["published_price"] == endings["published"]["recommended_price"]
    assert endings["overridden"]["published_price"] == endings["overridden"]["current_price"] + OTHER
    for word in ("rejected", "undecided", "kept"):
        assert (endings[word]["published_price"], endings[word]["published_on"]) == (None, None)


def test_what_was_expected_is_what_the_run_that_decided_predicts(twice: Path, tmp_path: Path) -> None:
    """`tarifa predict` of that run, at the prices that stood, says the same."""
    rows = [row for row in _rows(twice, NEXT).values() if row["expected_units"] is not None]
    plan = {
        "product_id": [row["price_group"] for row in rows],
        "period_start": [TODAY] * len(rows),
        **{name: [row["shelf_price"] / 100 for row in rows] for name in ("offered_price", "regular_price")},
        "feature": [0.0] * len(rows),
    }
    _pq.write_table(pa.table(plan), tmp_path / "plan.parquet")
    run = twice / "cycles" / TODAY.isoformat() / "run"
    asked = ["predict", str(run), "--scenario", str(tmp_path / "plan.parquet"), "--out"]
    result = CliRunner().invoke(app, [*asked, str(tmp_path / "out.parquet")])
    assert result.exit_code == 0, result.output
    catalogue = read_shelf(run).catalogue
    for row, said in zip(rows, _pq.read_table(tmp_path / "out.parquet").to_pylist(), strict=True):
        for name in ("expected_units", "units_lower", "units_upper"):
            assert row[name] == pytest.approx(said[name], rel=1e-12)
        place = catalogue.series.group.index(row["price_group"])
        unit = row["shelf_price"] / 1.21 - catalogue.unit_cost[place]
        for name, units in (("expected_profit", "expected_units"), ("profit_upper", "units_upper")):
            assert row[name] == pytest.approx(unit * said[units], abs=0.6)
        assert row["run_id"] == said["run_id"]


def test_a_cycle_tells_them_in_both_languages_and_leaves_a_page(twice: Path) -> None:
    step = _cycle(twice, NEXT, "--status")["steps"]["outcomes"]
    assert (step["decisions"], step["periods"]) == (PRODUCTS, 1)
    assert step["compared"] + sum(step["left_out"].values()) == PRODUCTS
    for language in ("en", "es"):
        shown = CliRunner().invoke(
            app, ["cycle", str(twice), "--today", str(NEXT), "--status", "--language", language]
        )
        words = texts(language)
        assert words.text("outcomes", "limits")[:40] in " ".join(shown.output.split())
        assert words.text("ending", "rejected") + " (1)" in " ".join(shown.output.split())
    page = (twice / "cycles" / str(NEXT) / "outcomes.html").read_text()
    assert "<script" not in page
    assert texts("en").text("outcomes", "title") in page
    assert "<circle" in page


def test_a_late_refund_restates_and_what_was_stated_stays(twice: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(twice, tmp_path / "home"))
    before = _rows(home, NEXT)
    stated = (home / "cycles" / str(NEXT) / "outcomes.parquet").read_bytes()
    sell(home, 1, _prices(), SOLD)
    back = f"lp0000,1,{NEXT} 10:00:00,2,4.20,true"
    (home / "inbox" / "returns.csv").write_text(
        f"order_id,line_id,returned_at,quantity,refund,restocked\n{back}\n"
    )
    found = _cycle(home, THIRD)
    assert found["steps"]["outcomes"]["decisions"] == 2 * PRODUCTS
    assert (home / "cycles" / str(NEXT) / "outcomes.parquet").read_bytes() == stated
    after = _rows(home, THIRD)
    for group, row in after.items():
        changed = {name for name, value in row.items() if value != before[group][name]}
        late = {"revenue", "profit"} if group == "p00" else {"profit"}  # a return rate is known by now
        assert changed <= late | {"fingerprint"}
    assert after["p00"]["revenue"] == pytest.approx(before["p00"]["revenue"] - 420 / 1.21, abs=1)
    again = CliRunner().invoke(app, ["cycle", str(home), "--today", str(THIRD), "--json"])
    assert json.loads(again.stdout)["steps"] == found["steps"]


def test_what_was_known_is_kept_with_each_cycle(twice: Path) -> None:
    rows = _pq.read_table(twice / "cycles" / str(TODAY) / "snapshots.parquet").to_pylist()
    for row in rows:
        assert row["price"] == round(100 * _prices()[row["price_group"]])
        assert row["unit_cost"] == math.ceil(0.6 * row["price"] / 1.21)
        assert (row["period_start"], row["stock"], row["cost_assumed"]) == (TODAY, None, True)
    assert len(rows) == PRODUCTS


def test_names_of_products_are_on_the_desk_of_a_cycle(twice: Path) -> None:
    store = _store(twice)
    with store.database.reading() as connection:
        rows = reviews.every(connection, 1, Wanted())
    store.close()
    assert {row.name for row in rows} == {f"Product {p}" for p in range(PRODUCTS)}


def test_a_run_that_is_gone_or_changed_stops_nothing(twice: Path, tmp_path: Path) -> None:
    home = Home(Path(shutil.copytree(twice, tmp_path / "home")))
    store = _store(home.folder)
    found = past_decisions(store.database, str(NEXT), read_shop_file(home.shop_file))
    store.close()
    (home.run(str(TODAY)) / "model.npz").write_bytes(b"")
    rows = outcomes_of(home, str(NEXT), found, dt.datetime(2024, 10, 14, 9, tzinfo=dt.UTC)).to_pylist()
    assert {(row["left_out"], row["expected_units"]) for row in rows} == {("no_run", None)}
    assert {row["price_group"]: row["units"] for row in rows} == SOLD
    store, shop = _store(home.folder), read_shop_file(home.shop_file)
    now = partial(dt.datetime.now, dt.UTC)
    steps = Steps(Session(texts("en"), as_json=True), home, shop, str(NEXT), str(NEXT), store, now)
    learned = steps.work()[Step.LEARN]()
    store.close()
    assert learned["how"] == "fit"
    assert "model.npz" in learned["why"]


_ROW = ProposalRow(
    round=1, decision_id="d", price_group="g", zone="z", category="", name="", current_price=100,
    recommended_price=110, change=0.1, profit_change=0, profit_change_lower=0, profit_change_upper=0,
    probability_of_loss=0.0, identified_by="prior", binding_guardrail=None, digest="", state="approved",
    price=110, starts_at=None, approved_by="ana", overridden=False, review=1,
)  # fmt: skip
_AT = "2024-10-07T23:30:00+00:00"


def _went(*steps: tuple[Kind, State], product: str = "a", price: int = 110) -> list[Outgoing]:
    return [
        Outgoing(
            str(place), 0, "c", kind, "d",
            PriceChange(product, "z", "EUR", "gross", 100, price, known_as=Identity(product)),
            state, settled_at=None if state is State.INTENDED else _AT,
        )
        for place, (kind, state) in enumerate(steps)
    ]  # fmt: skip


_OUT, _BACK, _FAILED = (
    (Kind.PUBLISH, State.CONFIRMED), (Kind.UNDO, State.PUBLISHED), (Kind.PUBLISH, State.FAILED),
)  # fmt: skip


@pytest.mark.parametrize(
    ("out", "state", "ending", "price"),
    [
        (_went(_OUT), "approved", Ending.PUBLISHED, 110.0),
        (_went(_FAILED, _OUT), "approved", Ending.PUBLISHED, 110.0),
        (_went(_OUT, _FAILED), "approved", Ending.PUBLISHED, 110.0),  # what left stays out
        (_went(_OUT, price=105), "approved", Ending.OVERRIDDEN, 105.0),
        (_went(_FAILED), "approved", Ending.NOT_PUBLISHED, np.nan),
        (_went((Kind.PUBLISH, State.INTENDED)), "approved", Ending.NOT_PUBLISHED, np.nan),
        (_went(_OUT, _BACK), "pending", Ending.BROUGHT_BACK, np.nan),
        (_went(_OUT, _BACK, _OUT), "approved", Ending.PUBLISHED, 110.0),
        ([*_went(_OUT), *_went(_FAILED, product="b")], "approved", Ending.PARTLY_PUBLISHED, 110.0),
        ([], "awaiting_second", Ending.UNDECIDED, np.nan),
        ([], "blocked", Ending.BLOCKED, np.nan),
    ],
)
def test_what_became_of_a_decision(out: list[Outgoing], state: str, ending: Ending, price: float) -> None:
    rows = [replace(_ROW, state=state)]
    zone = zoneinfo.ZoneInfo("Europe/Madrid")
    found = decided_in(rows, {"d": out}, "r", (TODAY, NEXT), zone)
    assert found.ending == (ending,)
    np.testing.assert_equal(found.published, [price])
    day = dt.date(2024, 10, 8)  # half past one in the morning, in Madrid
    assert found.published_on == (None if np.isnan(price) else day,)


class Joined:
    """The second cycle's data and the first one's run, to be altered."""

    def __init__(self, home: Path) -> None:
        place = Home(home)
        store = _store(home)
        self.decided = past_decisions(store.database, str(NEXT), read_shop_file(place.shop_file))[0]
        store.close()
        run = place.run(str(TODAY))
        self.by = Decider(load_run(run), read_shelf(run).catalogue)
        with open_source(place.data(str(NEXT)), today=NEXT) as source:
            self.found = sold(source, whole_until=NEXT, known=((TODAY, self.by.catalogue),))
        self.t = len(self.found.panel.periods) - 1

    def rows(self, found: Sold | None = None, decided: Decided | None = None, *, run: bool = True) -> Any:
        by = self.by if run else None
        return outcomes_table(decided or self.decided, found or self.found, by).to_pylist()

    def panel(self, **arrays: Any) -> Sold:
        return replace(self.found, panel=replace(self.found.panel, **arrays))


@pytest.fixture(scope="module")
def joined(twice: Path) -> Joined:
    return Joined(twice)


def test_what_is_no_check_says_why(joined: Joined) -> None:
    plain = joined.rows()
    assert [row["left_out"] for row in plain].count(None) >= PRODUCTS - 1
    stock = joined.found.panel.in_stock.copy()
    stock[0, joined.t] = 0.5
    half = joined.rows(joined.panel(in_stock=stock))[0]
    assert (half["left_out"], half["ran_out"]) == (LeftOut.RAN_OUT.value, True)
    assert (half["units"], half["units_if_in_stock"]) == (SOLD["p00"], 2 * SOLD["p00"])
    assert half["expected_units"] == plain[0]["expected_units"]  # flagged, not hidden
    short = np.zeros(stock.shape, dtype=np.bool_)
    short[0, joined.t] = True
    row = joined.rows(joined.panel(short=short))[0]
    assert (row["left_out"], row["units_if_in_stock"]) == (LeftOut.RAN_OUT.value, None)
    gone = joined.found.on_sale.copy()
    gone[0, joined.t] = False
    assert joined.rows(replace(joined.found, on_sale=gone))[0]["left_out"] == LeftOut.NOT_ON_SALE.value
    part = replace(joined.found, whole_until=TODAY, until=NEXT - dt.timedelta(days=3))
    assert {(row["left_out"], row["days"]) for row in joined.rows(part)} == {("part_of_period", 4)}
    assert {row["left_out"] for row in joined.rows(run=False)} == {LeftOut.NO_RUN.value}
    moved = replace(joined.decided, start=TODAY + dt.timedelta(days=1), end=NEXT + dt.timedelta(days=1))
    assert {row["left_out"] for row in joined.rows(decided=moved)} == {LeftOut.OTHER_PERIODS.value}
    new = replace(joined.decided, group=("nobody", *joined.decided.group[1:]))
    row = joined.rows(decided=new)[0]
    assert (row["left_out"], row["units"], row["expected_units"]) == (LeftOut.NOT_ON_SALE.value, 0.0, None)


def test_the_shelf_says_which_price_stood(joined: Joined) -> None:
    decided = joined.decided
    place = [ending.value for ending in decided.ending].index("published")
    former, price = decided.current[place], decided.published[place]
    for stood, word in (
        (price, Shelf.DECIDED), (former, Shelf.FORMER), ((former + price) / 2, Shelf.BETWEEN),
        (3 * price, Shelf.OTHER), (np.nan, None),
    ):  # fmt: skip
        offered = joined.found.panel.offered.copy()
        offered[place, joined.t] = stood
        carried = np.where(np.isnan(offered), joined.found.offered, offered)
        found = replace(joined.panel(offered=offered), offered=carried, regular=carried)
        row = joined.rows(found)[place]
        assert row["shelf"] == (word.value if word else None)
        if word is Shelf.OTHER:  # nobody has seen it: nothing is foretold there
            assert (row["left_out"], row["expected_units"]) == (LeftOut.OUTSIDE_SUPPORT.value, None)
        if word is None:  # the price that went out is what stood, as far as anybody knows
            assert (row["regular_price"], row["left_out"]) == (None, None)
            assert row["expected_units"] == pytest.approx(joined.rows()[place]["expected_units"])
