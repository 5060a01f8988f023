"""`tarifa customers report` and `features`: what is written, in which words, and what hostile folders get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.texts import LANGUAGES, texts
from pricing.customer_outputs import CUSTOMER_OUTPUTS
from pricing.customers import CUSTOMER_FEATURES, REPORTED
from tests.api.people_shop import people_tables, write_people_shop
from tests.simulators.shops import GOOD_LINE, ORDERS_HEADER, SHOP

pq: Any = pyarrow.parquet
"""An untyped library, said to be so once."""

REFUSED = [f"u{c:03d}" for c in range(108, 120)]


def _run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["customers", *map(str, words)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def _json(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        CliRunner().invoke(app, ["customers", *map(str, words), "--json"]).stdout
    )
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people_shop(tmp_path_factory.mktemp("people") / "data")


@pytest.fixture(scope="module")
def reported(shop: Path) -> tuple[Path, dict[str, Any]]:
    out = shop.parent / "report"
    return out, _json("report", shop, "--out", out, "--csv")


def test_the_document_says_what_the_report_found(reported: tuple[Path, dict[str, Any]]) -> None:
    out, found = reported
    assert found["consent"] == {"purpose": "personal_offers", "known": 120, "agreed": 108, "shopped": 108}
    assert (found["as_of"], found["horizon_days"], found["currency"]) == ("2024-08-12", 28, "EUR")
    assert sum(part["customers"] for part in found["segments"]) == found["total"]["customers"] == 108
    assert found["outlook"]["check"]["customers"] == 108
    assert found["carts"]["check"]["touches"] > 100
    assert found["relevance"]["check"]["days"] == 28
    assert found["untold"] == {}
    facts = json.loads((out / "customers.json").read_text())
    assert {**facts, "report": str(out), "files": found["files"]} == found


def test_the_files_are_the_declared_tables(reported: tuple[Path, dict[str, Any]]) -> None:
    out, found = reported
    tables = {f"{table.name}.{kind}" for table in CUSTOMER_OUTPUTS for kind in ("csv", "parquet")}
    assert set(found["files"]) == tables | {"customers.html", "customers.json"}
    assert {path.name for path in out.iterdir()} == set(found["files"]) | {"tarifa.json"}
    for table in CUSTOMER_OUTPUTS:
        rows = pq.read_table(out / f"{table.name}.parquet")
        assert tuple(rows.column_names) == table.names
        assert rows.num_rows == len((out / f"{table.name}.csv").read_text().splitlines()) - 1
        keys = list(zip(*(rows[name].to_pylist() for name in table.key), strict=True))
        assert len(set(keys)) == len(keys)


def test_who_refused_is_nowhere_and_nobody_is_on_the_page(reported: tuple[Path, dict[str, Any]]) -> None:
    out, _ = reported
    for path in out.iterdir():
        if path.suffix in (".html", ".json"):
            text = path.read_text()
            assert not any(f"u{c:03d}" in text for c in range(120)), path.name
        elif path.suffix == ".csv":
            assert not any(name in path.read_text() for name in REFUSED), path.name


def test_spanish_says_the_same_in_spanish(shop: Path, reported: tuple[Path, dict[str, Any]]) -> None:
    out, found = shop.parent / "informe", reported[1]
    said = _run("report", shop, "--out", out, "--language", "es")
    assert "Se leen los 108 de 120 clientes conocidos" in said
    page = (out / "customers.html").read_text()
    assert '<html lang="es">' in page
    assert "Sus clientes" in page
    for name in found["files"]:  # files that programs read are the same in every language, to the byte
        if not name.endswith((".html", ".csv")):
            assert (out / name).read_bytes() == (reported[0] / name).read_bytes(), name
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_everybody_refused_leaves_counts_and_no_person(tmp_path: Path) -> None:
    consents = people_tables()["consents"].replace(",true,", ",false,")
    data, out = write_people_shop(tmp_path / "data", consents=consents), tmp_path / "out"
    said = _run("report", data, "--out", out)
    assert "0 of 120 known customers" in said
    assert "nobody to tell of" in said
    found = json.loads((out / "customers.json").read_text())
    assert set(found["untold"]) >= {"clusters", "outlook", "relevance"}
    for table in out.glob("*.parquet"):
        assert pq.read_table(table).num_rows == 0


YES = "customer_id,purpose,granted,at,text_version,source\n"


def one(folder: Path, *lines: str, **tables: str) -> Path:
    consents = YES + "c1,personal_offers,true,2025-01-01,1,web\n"
    text = "\n".join((ORDERS_HEADER, *(lines or (GOOD_LINE,)))) + "\n"
    return write_people_shop(
        folder, orders=text, consents=consents, events=tables.pop("events", ""), coupons="",
        coupon_products="", **tables,
    )  # fmt: skip


def test_one_customer_and_one_order_is_a_report_that_says_how_little_it_knows(tmp_path: Path) -> None:
    said = _run("report", one(tmp_path / "data"), "--out", tmp_path / "out")
    for words in ("at least 30", "No household came back", "no events table", "do not reach"):
        assert words in said
    found = json.loads((tmp_path / "out" / "customers.json").read_text())
    assert found["total"]["customers"] == 1
    assert found["total"]["revenue"] is None  # a sum over one is theirs
    rows = pq.read_table(tmp_path / "out" / "customer_profiles.parquet").to_pylist()
    assert [(row["customer_id"], row["revenue"], row["returns"]) for row in rows] == [("c1", 1280, None)]


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({"orders": ORDERS_HEADER + "\n"}, 3, "orders.csv has no rows"),
        ({"orders": f"{ORDERS_HEADER}\n{GOOD_LINE.replace(',paid,', ',draft,')}\n"}, 3, "No order was paid"),
        ({"orders": f"{ORDERS_HEADER}\n{GOOD_LINE.replace(',c1,', ',,')}\n"}, 3, "No customer is known"),
        ({"orders": f"{ORDERS_HEADER}\n{GOOD_LINE.replace('16.00', 'nan')}\n"}, 3, "rows are bad"),
        ({"orders": f"{ORDERS_HEADER}\n{GOOD_LINE.replace('2025-03', '2999-03')}\n"}, 3, "rows are bad"),
        ({"orders": f"{ORDERS_HEADER}\n{GOOD_LINE}\n{GOOD_LINE}\n{GOOD_LINE}\n"}, 3, "rows are bad"),
        ({"orders": "\x00\x01"}, 3, ""),
    ],
)
def test_folders_that_hold_nothing_to_report_are_refused_in_words(
    tmp_path: Path, changed: dict[str, str], code: int, says: str
) -> None:
    tables = {"events": "", "coupons": "", "coupon_products": "", "consents": "", **changed}
    out = tmp_path / "out"
    assert says in _run("report", write_people_shop(tmp_path / "data", **tables), "--out", out, code=code)
    assert not out.exists()


def test_a_table_that_was_cut_off_is_refused_and_events_without_carts_are_no_carts(tmp_path: Path) -> None:
    head = people_tables(2)["events"].splitlines()[0]
    cut = one(tmp_path / "cut", events=head + "\n")
    assert "events.csv has no rows" in _run("report", cut, "--out", tmp_path / "out", code=3)
    viewed = one(tmp_path / "data", events=f"{head}\nc1,s1,2025-03-02 10:00,view,A,\n")
    assert "0 left waiting" in _run("report", viewed, "--out", tmp_path / "out")


def test_wrong_calls_are_refused_and_nothing_is_written(shop: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    assert "is not among the days" in _run("report", shop, *out, "--as-of", "2030-01-01", code=2)
    assert "is no day" in _run("report", shop, *out, "--as-of", "July", code=2)
    _run("report", shop, *out, "--top", "0", code=2)
    _run("report", tmp_path / "nowhere", *out, code=3)
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert "not written by Tarifa" in _run("report", shop, "--out", tmp_path / "mine", code=2)


def test_a_shops_own_purpose_and_missing_costs_are_said(tmp_path: Path) -> None:
    data = one(tmp_path / "data")
    toml = SHOP.split("[cost_assumption]")[0] + '[coupons]\nconsent_purpose = "profiling"\n'
    (data / "shop.toml").write_text(toml)
    said = _run("report", data, "--out", tmp_path / "out")
    assert "0 of 1 known customers whose last answer about “profiling” is yes" in said
    assert "Profit is not told" in said
    panel = _json("report", data, "--out", tmp_path / "panel", "--panel")
    assert panel["consent"] == {"purpose": None, "known": 1, "agreed": 1, "shopped": 1}


def test_the_register_is_shown_whole_or_by_name() -> None:
    found = _json("features")["features"]
    assert [one["name"] for one in found] == [one.name for one in (*CUSTOMER_FEATURES, *REPORTED)]
    assert {one["read_for"] for one in found} == {"offers", "report"}
    assert all(one["purpose"] and one["legal_basis"] and one["retention"] > 0 for one in found)
    said = _run("features", "recency", "carts")
    assert "recency" in said
    assert "frequency" not in said


@pytest.mark.parametrize("name", ["age", "postcode", "género"])
def test_a_protected_attribute_is_refused_by_name(name: str) -> None:
    assert f"{name} may not be a feature of a customer" in _run("features", "recency", name, code=5)
    assert "is no registered feature" in _run("features", "shoe_size", code=2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_of_the_register_has_words(language: str) -> None:
    names = {one.name for one in (*CUSTOMER_FEATURES, *REPORTED)}
    assert set(texts(language).sections["customer_feature"]) == names
