"""`tarifa coupons allocate` from scored offers to allocations, and offers that must not be allocated."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from policies.allocation.scored import SUMMARY, scored_offers
from pricing.errors import DataError
from pricing.outputs import COUPON_ALLOCATIONS
from simulators.output_schema import arrow_schema

ROWS: list[dict[str, Any]] = [
    {
        "customer_id": who,
        "coupon_id": what,
        "campaign_id": where,
        "profit": profit,
        "cost": cost,
        "most": most,
    }
    for who, what, where, profit, cost, most in (
        ("ana", "ten", "spring", 120.5, 40.0, 500),
        ("ana", "five", "spring", 80.0, 10.0, 250),
        ("bea", "ten", "spring", 60.0, 30.0, 500),
        ("ciro", None, None, 0.0, 0.0, 0),
        ("dora", "mail", "autumn", 9.5, 1.25, 100),
    )
]
NAMES = {"profit": "expected_incremental_profit", "cost": "expected_cost", "most": "max_liability"}


def _rows(**changes: object) -> list[dict[str, Any]]:
    """Return the rows with the contract's names; `changes` go to the second one."""
    rows = [{NAMES.get(name, name): value for name, value in row.items()} for row in ROWS]
    rows[1] |= changes
    return rows


def _write(folder: Path, rows: list[dict[str, Any]], ending: str = "parquet") -> Path:
    path = folder / f"offers.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["coupons", "allocate", *(str(word) for word in words)])


def _json(*words: object) -> dict[str, Any]:
    result = _call(*words, "--json")
    assert "Traceback" not in result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_allocations_are_as_declared_and_the_same_from_either_format(tmp_path: Path) -> None:
    written: list[list[dict[str, Any]]] = []
    for ending in ("parquet", "jsonl"):
        out = tmp_path / f"{ending}.out"
        source = _write(tmp_path, _rows(), ending)
        told = _json(source, "--out", out, "--budget", "0.45", "--currency", "eur")
        table = pq.read_table(out)
        assert table.schema.equals(arrow_schema(COUPON_ALLOCATIONS), check_metadata=False)
        rows = table.to_pylist()
        assert [(row["customer_id"], row["coupon_id"]) for row in rows] == [
            ("ana", "five"), ("bea", "ten"), ("ciro", None), ("dora", "mail"),
        ]  # fmt: skip
        assert [row["expected_incremental_profit"] for row in rows] == [80.0, 60.0, 0.0, 9.5]
        assert [row["expected_cost"] for row in rows] == [10.0, 30.0, 0.0, 1.25]
        assert {row["propensity"] for row in rows} == {1.0}
        assert {(row["run_id"], row["currency"]) for row in rows} == {(told["run_id"], "EUR")}
        assert json.loads(table.schema.metadata[SUMMARY]) == told["summary"]
        assert told["summary"]["limits"][0]["used"] == 41.25
        written.append(
            pa.compute.cast(table.column("coupon_id"), pa.string()).to_pylist().__repr__().encode()
        )
    assert written[0] == written[1]


def test_the_same_offers_and_options_give_the_same_bytes(tmp_path: Path) -> None:
    source = _write(tmp_path, _rows())
    first, second, other = (tmp_path / name for name in ("a", "b", "c"))
    for out, seed, engine in ((first, 1, "numba"), (second, 1, "numpy"), (other, 2, "numba")):
        _json(source, "--out", out, "--budget", "1", "--currency", "EUR", "--holdout", ".4", "--seed", seed,
              "--engine", engine)  # fmt: skip
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_budgets_caps_and_shares_by_campaign_and_coupon(tmp_path: Path) -> None:
    source, out = _write(tmp_path, _rows()), tmp_path / "out"
    base = (source, "--out", out, "--currency", "EUR")
    assert _json(*base, "--budget", "10", "--budget", "spring=.4")["given"] == {
        "five": 1,
        "mail": 1,
        "ten": 1,
    }
    assert _json(*base, "--budget", "10", "--cap", "ten=1")["given"] == {"five": 1, "mail": 1, "ten": 1}
    assert _json(*base, "--cap", "1")["given"] == {"five": 0, "mail": 0, "ten": 1}
    assert _json(*base, "--budget", "10", "--share", ".5")["given"] == {"five": 0, "mail": 0, "ten": 2}
    assert _json(*base, "--budget", "0")["given"] == {"five": 0, "mail": 0, "ten": 0}
    worst = _json(*base, "--budget", "6", "--at-liability")
    assert worst["given"] == {"five": 0, "mail": 1, "ten": 1}
    assert worst["summary"]["limits"][0]["used"] == 600.0


def test_frequency_and_holdout_leave_customers_out(tmp_path: Path) -> None:
    rows = [row | {"recent_offers": 2 if row["customer_id"] == "ana" else 0} for row in _rows()]
    source, out = _write(tmp_path, rows), tmp_path / "out"
    base = (source, "--out", out, "--currency", "EUR", "--budget", "10")
    assert _json(*base, "--frequency", "2")["given"] == {"five": 0, "mail": 1, "ten": 1}
    assert _json(*base, "--frequency", "3")["given"] == {"five": 0, "mail": 1, "ten": 2}
    held = _json(*base, "--holdout", ".5", "--seed", "4")
    shares = pq.read_table(out).to_pylist()
    given = sum(held["given"].values())
    assert held["summary"]["held_out"] > 0
    assert given < 3
    assert {row["propensity"] for row in shares if row["coupon_id"]} <= {0.5}
    assert {row["propensity"] for row in shares if row["customer_id"] == "ciro"} == {1.0}


@pytest.mark.parametrize("language", ["en", "es"])
def test_people_are_told_what_was_given_and_what_more_would_bring(tmp_path: Path, language: str) -> None:
    source = _write(tmp_path, _rows())
    options = ("--budget", ".5", "--currency", "EUR", "--engine", "numpy", "--holdout", ".1")
    shown = _call(source, "--out", tmp_path / "out", *options, "--language", language)
    plain = " ".join(shown.output.split())
    words = {
        "en": ("customers get an offer", "Expected incremental profit", "NumPy gives the same", "held out"),
        "es": ("clientes reciben una oferta", "Beneficio incremental", "NumPy da la misma", "quedan fuera"),
    }[language]
    assert shown.exit_code == 0
    assert all(word in plain for word in words), plain


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expected_cost": -1.0}, "row 2: expected_cost is negative"),
        ({"expected_cost": 251.0}, "row 2: expected_cost is above max_liability"),
        ({"expected_cost": float("nan")}, "row 2: expected_cost is empty or not finite"),
        ({"expected_incremental_profit": float("inf")}, "row 2: expected_incremental_profit is empty or not"),
        ({"expected_incremental_profit": None}, "row 2: expected_incremental_profit is empty or not"),
        ({"max_liability": 10**16}, "row 2: max_liability or the value is larger than any money"),
        ({"customer_id": ""}, "row 2: customer_id is empty"),
        ({"coupon_id": "ten"}, "row 1: coupon_id is there twice for one customer"),
        ({"coupon_id": None}, "row 2: coupon_id is empty, but the row has a value"),
        ({"coupon_id": "mail"}, "row 5: campaign_id is another one than this coupon has above"),
        ({"recent_offers": -1}, "row 2: recent_offers is negative"),
        ({"currency": "USD"}, "offers in EUR and USD"),
    ],
)
def test_an_impossible_row_is_named_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    rows = _rows(**changes)
    for name in ("recent_offers", "currency"):
        if name in changes:
            default = 0 if name == "recent_offers" else "EUR"
            rows = [{name: default, **row} for row in rows]
    out = tmp_path / "out"
    result = _call(_write(tmp_path, rows), "--out", out, "--budget", "1", "--currency", "EUR")
    assert result.exit_code == 3, result.output
    assert says in " ".join(result.output.split())
    assert not out.exists()


def test_files_that_are_no_offers_are_refused(tmp_path: Path) -> None:
    empty, words, nothing = (tmp_path / name for name in ("e.parquet", "w.parquet", "n.jsonl"))
    pq.write_table(pa.Table.from_pylist(_rows()).slice(0, 0), empty)
    words.write_text("customer_id,coupon_id\nana,ten\n")
    nothing.write_text("")
    for path, says in (
        (empty, "has no rows"), (words, "not a readable file"), (nothing, "not a readable file"),
        (tmp_path / "none.parquet", "There is no file"),
    ):  # fmt: skip
        result = _call(path, "--out", tmp_path / "out", "--budget", "1", "--currency", "EUR")
        assert (result.exit_code, says in " ".join(result.output.split())) == (3, True), result.output
    one = _rows()[0]
    own = [one | {"customer_id": f"c{i}", "coupon_id": f"{i}"} for i in range(20_000)]
    codes = pa.Table.from_pylist(own)
    with pytest.raises(DataError, match="20000 customers and 20000 coupons"):
        scored_offers(codes)
    table = pa.Table.from_pylist(_rows())
    with pytest.raises(DataError, match="no column expected_cost"):
        scored_offers(table.drop_columns(["expected_cost"]))
    with pytest.raises(DataError, match="not numbers"):
        scored_offers(table.set_column(3, "expected_incremental_profit", pa.array(["1"] * 5)))
    with pytest.raises(DataError, match="not identifiers"):
        scored_offers(table.set_column(0, "customer_id", pa.array([0.5] * 5)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "There is no budget"),
        (("--budget", "ten=x"), "not a decimal amount"),
        (("--budget", "-5"), "limit budget is -500"),
        (("--budget", "1.005"), "more decimals than EUR"),
        (("--budget", "winter=5"), "no offer has it"),
        (("--cap", "ten=-1"), "no number of offers"),
        (("--budget", "1", "--budget", "2"), "one name"),
        (("--budget", "1", "--holdout", "1.1"), "not a share"),
        (("--budget", "1", "--engine", "rust"), "no engine 'rust'"),
        (("--budget", "1", "--currency", "USD"), "the offers are in EUR"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    rows = [row | {"currency": "EUR"} for row in _rows()]
    out = tmp_path / "out"
    result = _call(_write(tmp_path, rows), "--out", out, *options)
    assert result.exit_code == 2, result.output
    assert says in " ".join(result.output.split())
    assert not out.exists()


def test_the_offers_are_never_written_over(tmp_path: Path) -> None:
    source = _write(tmp_path, _rows())
    before = source.read_bytes()
    result = _call(source, "--out", tmp_path / "." / source.name, "--budget", "1", "--currency", "EUR")
    assert result.exit_code == 2
    assert source.read_bytes() == before


def test_a_currency_must_be_said_somewhere(tmp_path: Path) -> None:
    result = _call(_write(tmp_path, _rows()), "--out", tmp_path / "out", "--budget", "1")
    assert "Nothing says which currency" in " ".join(result.output.split())


def test_many_rows_in_any_order_land_where_they_belong() -> None:
    rng, customers, coupons = np.random.default_rng(0), 300, 7
    n, k = (part.ravel() for part in np.meshgrid(np.arange(customers), np.arange(coupons), indexing="ij"))
    keep = rng.permutation(np.flatnonzero(rng.random(len(n)) < 0.6))
    n, k = n[keep], k[keep]
    cost = 1.0 + n + 0.001 * k
    table = pa.table({
        "customer_id": [f"c{i}" for i in n], "coupon_id": [f"k{i}" for i in k], "expected_cost": cost,
        "expected_incremental_profit": -cost, "max_liability": np.full(len(n), 1000),
    })  # fmt: skip
    read = scored_offers(pq.read_table(io.BytesIO(_stored(table))))
    place = {name: row for row, name in enumerate(read.customer.to_pylist())}
    for i, j, amount in zip(n, k, cost, strict=True):
        assert read.cost[place[f"c{i}"], read.coupon.index(f"k{j}")] == amount
    assert read.eligible.sum() == len(n) + len(place)
    assert list(place) == list(dict.fromkeys(f"c{i}" for i in n)), "in the order in which they first come"


def _stored(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()
