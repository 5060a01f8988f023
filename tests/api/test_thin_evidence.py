"""Products that history says little of, through the whole command line: stated, kept, never invented."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from tests.api.shop import FIRST, PRODUCTS, WEEKS, write_shop
from tests.once import once

UNTIL = "2024-09-02"


def _call(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)


def _ok(*words: object) -> dict[str, Any]:
    code, document = _call(*words)
    assert code == 0, document
    return document


def _line(order: str, week: int, product: str, quantity: int, price: float) -> str:
    day = FIRST + dt.timedelta(weeks=week, days=1)
    head = f"{order},1,{day} 12:00:00,paid,{product},{quantity}"
    return f"{head},{price:.2f},{price:.2f},{price * quantity:.2f},gross"


def _make(folder: Path) -> Path:
    """The small shop with four products more, each lacking something."""
    write_shop(folder)
    lines = [_line(f"still{week}", week, "still", 8, 4.99) for week in range(WEEKS)]
    lines += [_line(f"rare{week}", week, "rare", 1, 3.99 + week % 2) for week in (4, 20, 31)]
    lines += [_line(f"gone{week}", week, "gone", 5, 2.99 + 0.5 * (week % 3)) for week in range(6)]
    lines += [_line("late", WEEKS - 1, "late", 3, 9.99)]
    with (folder / "orders.csv").open("a") as orders:
        orders.write("\n".join(lines) + "\n")
    with (folder / "products.csv").open("a") as products:
        products.writelines(f"{name},c0,merchandise\n" for name in ("still", "rare", "gone", "late", "never"))
    with (folder / "promotions.csv").open("a") as promotions:
        promotions.write("still,2024-03-04,2024-03-11,feature,1\nstill,2024-03-06,2024-03-13,feature,1\n")
    (folder / "costs.csv").write_text(
        "product_id,valid_from,unit_cost\nstill,2023-01-01,3.00\nstill,2024-05-01,3.33\np00,2030-01-01,0.01\n"
    )
    (folder / "returns.csv").write_text(
        "order_id,line_id,returned_at,quantity,refund\nstill3,1,2024-02-01,2,9.98\n"
    )
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(
        tmp_path_factory,
        "thin",
        lambda root: _ok("fit", _make(root / "data"), "--out", root / "run", "--until", UNTIL),
    )


def test_the_check_counts_what_has_moved_enough(shop: Path) -> None:
    report = _ok("check", shop / "data", "--quarantine", shop / "q")
    assert report["bad_rows"] == []
    prices = report["prices"]
    assert prices["series"] == PRODUCTS + 4  # what never sold is no series
    assert prices["enough"] == PRODUCTS
    assert prices["none"] == 2  # still, and late with its one sale
    assert prices["too_few"] == 2
    assert report["costs_assumed"] == pytest.approx(1 - 2 / (PRODUCTS + 4))


def test_no_response_is_claimed_where_none_was_seen(shop: Path, tmp_path: Path) -> None:
    _ok("elasticities", shop / "run", "--out", tmp_path / "e.parquet")
    rows = pq.read_table(tmp_path / "e.parquet").to_pylist()
    by_product = {row["product_id"]: row for row in rows if row["kind"] == "regular"}
    assert {"late", "never"} & set(by_product) == set()  # nothing was sold before the end of training
    own = {name for name, row in by_product.items() if row["identified_by"] == "promo_controlled"}
    assert own == {f"p{i:02d}" for i in range(PRODUCTS)}
    still = by_product["still"]
    assert still["identified_by"] in ("prior", "not_identified")
    assert still["support_low"] == still["support_high"] == still["at_price"] == 499
    wide = {name: row["upper"] - row["lower"] for name, row in by_product.items()}
    assert min(wide["still"], wide["rare"]) > max(wide[name] for name in own)
    assert all(row["lower"] <= row["elasticity"] <= row["upper"] for row in rows)


def test_a_price_that_nothing_is_known_of_stays(shop: Path, tmp_path: Path) -> None:
    found = _ok("recommend", shop / "run", "--policy", "resolve", "--out", tmp_path / "r.parquet")
    rows = {row["price_group"]: row for row in pq.read_table(tmp_path / "r.parquet").to_pylist()}
    assert found["series"] == len(rows)
    assert found["movable"] <= PRODUCTS
    for name in ("still", "rare", "gone"):
        if name in rows:
            row = rows[name]
            assert row["recommended_price"] in (None, row["current_price"]), name
            assert row["reason_codes"], name
            assert row["profit_change"] == 0, name
    assert rows["still"]["current_price"] == 499
    assert any(row["recommended_price"] != row["current_price"] for row in rows.values())


def _asked(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table({name: [cell] for name, cell in columns.items()}), path)
    return path


@pytest.mark.parametrize(
    ("product", "price", "code"),
    [
        ("still", 4.99, None),
        ("still", 5.49, "outside_support"),
        ("still", 3.49, "outside_support"),
        ("rare", 3.99, None),
        ("rare", 4.99, "outside_support"),  # seen once: that may be a slip of a record
        ("rare", 6.99, "outside_support"),
        ("late", 9.99, "unknown_product"),
        ("never", 1.00, "unknown_product"),
    ],
)
def test_a_price_is_predicted_where_one_was_seen(
    shop: Path, tmp_path: Path, product: str, price: float, code: str | None
) -> None:
    asked = _asked(
        tmp_path / "s.parquet",
        product_id=product,
        period_start=UNTIL,
        offered_price=price,
        regular_price=price,
    )
    words = ("predict", shop / "run", "--scenario", asked, "--out", tmp_path / "p.parquet")
    exit_code, document = _call(*words)
    if code is None:
        (row,) = pq.read_table(tmp_path / "p.parquet").to_pylist()
        assert exit_code == 0
        assert 0 < row["lower"] < row["expected_units"] < row["upper"]
        return
    assert (exit_code, document["error"]["code"]) == (5, code)
    assert repr(product) in document["error"]["what"]
    assert not (tmp_path / "p.parquet").exists()
    if code == "outside_support":
        _ok(*words, "--widen")
        (row,) = pq.read_table(tmp_path / "p.parquet").to_pylist()
        assert row["lower"] < row["expected_units"] < row["upper"]


def test_a_run_and_its_data_belong_together(shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    shutil.copytree(shop / "data", other)
    with (other / "returns.csv").open("a") as returns:
        returns.write("still4,1,2024-02-08,1,4.99\n")
    code, document = _call("serve", shop / "run", "--data", other, "--store", tmp_path / "d.sqlite3")
    assert (code, document["error"]["code"]) == (4, "fingerprint")
    assert str(other) in document["error"]["what"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
