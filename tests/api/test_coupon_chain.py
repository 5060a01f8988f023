"""From a shop with randomised coupons to an allocation and an offer, by the commands of the docs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from anyio.from_thread import BlockingPortal
from typer.testing import CliRunner, Result

from api.app import create_app
from api.cli.coupons.shelf import open_coupons
from api.cli.main import app
from api.storage.store import Store
from simulators.known_truth.coupon_shop import Assignment, CouponSpec, draw_coupon_shop
from simulators.known_truth.coupon_tables import write_coupon_shop
from tests.api.client import Client
from tests.api.ledger_app import KEY, Bare

pq: Any = pyarrow.parquet
Making = Callable[[Assignment], Path]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["coupons", *map(str, words)], env={"COLUMNS": "200"})


def facts(*words: object) -> dict[str, Any]:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Making:
    """A shop of 1,500 customers whose coupons take off 30.00 at most, and the model fitted on it."""

    def make(assignment: Assignment) -> Path:
        folder = tmp_path_factory.mktemp(assignment.value)
        write_coupon_shop(draw_coupon_shop(CouponSpec(5, assignment, 1500)), folder / "data")
        coupons = pq.read_table(folder / "data/coupons.parquet")
        limits = coupons.append_column("max_discount", [["30.00"] * len(coupons)])
        pq.write_table(limits, folder / "data/coupons.parquet")
        facts("fit", folder / "data", "--out", folder / "model.npz")
        return folder

    return make


def test_from_a_lottery_to_an_allocation_and_an_offer(fitted: Making, portal: BlockingPortal) -> None:
    folder = fitted(Assignment.RANDOMISED)
    made = facts("shelf", folder / "data", folder / "model.npz", "--out", folder / "shelf.npz")
    assert (made["coupons"], made["identified"], made["customers"], made["left_out"]) == (4, 4, 1500, [])
    again = facts("shelf", folder / "data", folder / "model.npz", "--out", folder / "again.npz")
    assert again["fingerprint"] == made["fingerprint"]
    said = call("shelf", folder / "data", folder / "model.npz", "--out", folder / "third.npz").output
    assert "recognise none of them" in " ".join(said.split()), "its customers were never imported"
    scored = facts("score", folder / "shelf.npz", "--out", folder / "offers.parquet")
    assert scored["rows"] == 4 * 1500
    spent = facts("allocate", folder / "offers.parquet", "--out", folder / "given.parquet", "--budget", "50")
    rows = pq.read_table(folder / "given.parquet").to_pylist()
    assert 0.0 < sum(row["expected_cost"] for row in rows) <= 5000.0
    assert spent["currency"] == "EUR"
    shelf = open_coupons(folder / "shelf.npz")
    start = min(coupon.valid_from for coupon in shelf.book.coupons)
    now = dt.datetime.fromtimestamp(start, dt.UTC) + dt.timedelta(days=1)
    store = Store(f"sqlite:///{folder / 'd.sqlite3'}", lambda: now)
    served = create_app(lambda: Bare(store), key=KEY, shelf=shelf)  # type: ignore[arg-type,return-value]  # as there
    served.state.readiness.start()
    served.state.readiness.wait(30)
    line = {"line_id": "1", "product_id": shelf.book.goods.product[0], "quantity": 2, "shelf_price": 5000}
    body = {"anonymous_id": "s", "zone": shelf.book.zones[0][0], "lines": [line]}
    answer = Client(served, portal).post(body, "/v1/offers", **{"Idempotency-Key": "a"})
    assert answer.status_code == 200, answer.text
    detail = Client(served, portal).get(f"/v1/offers/{answer.json()['decision_id']}").json()
    assert detail["menu"][0]["coupon_id"] is None
    assert sum(entry["probability"] for entry in detail["menu"]) == pytest.approx(1.0)
    store.close()


@pytest.mark.parametrize("assignment", [Assignment.TARGETED, Assignment.CLAIMED])
def test_without_a_lottery_nobody_is_given_anything(fitted: Making, assignment: Assignment) -> None:
    folder = fitted(assignment)
    made = facts("shelf", folder / "data", folder / "model.npz", "--out", folder / "shelf.npz")
    assert made["identified"] == 0
    refused = call("score", folder / "shelf.npz", "--out", folder / "offers.parquet")
    assert refused.exit_code == 5
    assert "No randomised comparison" in refused.output
    assert not (folder / "offers.parquet").exists()


def test_files_and_days_that_are_none_are_refused(fitted: Making, tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    out = ("--out", tmp_path / "o")
    assert call("score", tmp_path / "junk", *out).exit_code == 4
    assert call("score", tmp_path / "none", *out).exit_code == 4
    assert call("shelf", tmp_path, tmp_path / "junk", *out).exit_code == 4
    folder = fitted(Assignment.RANDOMISED)
    late = call("shelf", folder / "data", folder / "model.npz", *out, "--as-of", "soon")
    assert late.exit_code == 2, late.output
    assert not (tmp_path / "o").exists()
