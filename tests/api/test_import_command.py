"""``tarifa import`` as a user calls it: sources, places, settings, keys, and what never reaches the disk."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from pricing.pseudonyms import pseudonym
from simulators.importers.pseudonyms import read_key
from tests.simulators.formats import FORMATS, lines, write_table
from tests.simulators.shops import GOOD_LINE, ORDERS_HEADER, PRODUCTS, SHOP, orders, write_shop

SAID = (
    "--currency", "EUR", "--time-zone", "Europe/Madrid", "--country", "ES", "--tax-rate", "0.21",
    "--prices-include-tax", "--yes",
)  # fmt: skip
WRITTEN = ["orders.parquet", "products.parquet", "shop.toml", "tarifa.json"]


def _call(*words: object) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--json")])
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)


def _refused(exit_code: int, *words: object) -> dict[str, Any]:
    code, document = _call("import", *words)
    assert code == exit_code, document
    error: dict[str, Any] = document["error"]
    assert error["why"] or error["todo"]
    assert error["code"] != "internal"
    return error


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _export(folder: Path, **tables: str) -> Path:
    """A shop's own exports: no shop.toml yet."""
    write_shop(folder, **tables)
    (folder / "shop.toml").unlink()
    return folder


def test_a_folder_a_file_and_every_format_become_the_same_data(tmp_path: Path) -> None:
    rows = lines(orders(GOOD_LINE, "o2,1,2025-03-04,paid,007,B,1,5.00,5.00,5.00,gross"))
    found: list[list[dict[str, Any]]] = []
    for ending in FORMATS:
        folder = tmp_path / f"my {ending} exports"
        folder.mkdir()
        write_table(folder / f"products.{ending}", lines(PRODUCTS))
        write_table(folder / f"orders.{ending}", rows)
        for name, source in (("folder", folder), ("file", folder / f"orders.{ending}")):
            out = tmp_path / f"{ending} {name}"
            code, document = _call("import", source, "--out", out, "--key-file", tmp_path / "key", *SAID)
            assert code == 0
            assert [(t["name"], t["rows"]) for t in document["tables"]] == [("orders", 2), ("products", 2)]
            assert _names(out) == WRITTEN
            found.append(pq.read_table(out / "orders.parquet").to_pylist())
    assert all(other == found[0] for other in found[1:])
    key = (tmp_path / "key").read_bytes()
    assert [row["customer_id"] for row in found[0]] == [pseudonym(key, "c1"), pseudonym(key, "007")]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_files_are_found_by_name_whatever_the_capitals(tmp_path: Path) -> None:
    source = _export(tmp_path / "in")
    (source / "orders.csv").rename(source / "Orders.CSV")
    assert _call("import", source, "--out", tmp_path / "a", *SAID)[0] == 0
    (source / "Orders.CSV").rename(source / "Ventas 2025.CSV")
    assert "has no table orders" in _refused(3, source, "--out", tmp_path / "b", *SAID)["what"]
    assert _call("import", source / "Ventas 2025.CSV", "--out", tmp_path / "b", *SAID)[0] == 0
    write_table(source / "Products.xlsx", lines(PRODUCTS))
    error = _refused(3, source / "Ventas 2025.CSV", "--out", tmp_path / "c", *SAID)
    assert error["what"] == f"{source} holds products.csv and Products.xlsx."


def test_a_table_given_by_name_brings_the_tables_beside_it(tmp_path: Path) -> None:
    source = _export(tmp_path / "in", costs="product_id,valid_from,unit_cost\nA,2025-01-01,1\n")
    _, document = _call("import", source / "costs.csv", "--out", tmp_path / "a", *SAID)
    assert [table["name"] for table in document["tables"]] == ["orders", "products", "costs"]
    # Two files of orders: the one that was named is meant.
    (source / "orders.parquet").write_bytes(b"nobody reads this")
    assert _call("import", source / "orders.csv", "--out", tmp_path / "b", *SAID)[0] == 0
    assert "orders.parquet and orders.csv" in _refused(3, source, "--out", tmp_path / "c", *SAID)["what"]


def test_settings_are_taken_from_where_they_are_said(tmp_path: Path) -> None:
    source = write_shop(tmp_path / "in")
    assert _call("import", source / "orders.csv", "--out", tmp_path / "a")[0] == 0
    assert 'id = "es"' in (tmp_path / "a" / "shop.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(SHOP.replace('"es"', '"iberia"'))
    assert _call("import", source, "--out", tmp_path / "b", "--shop", other)[0] == 0
    assert 'id = "iberia"' in (tmp_path / "b" / "shop.toml").read_text()
    (source / "shop.toml").write_text("currency = 1")
    assert "in/shop.toml: currency" in _refused(3, source, "--out", tmp_path / "c")["what"]
    assert (
        "none.toml" in _refused(3, source, "--out", tmp_path / "c", "--shop", tmp_path / "none.toml")["what"]
    )
    assert "Is a directory" in _refused(3, source, "--out", tmp_path / "c", "--shop", tmp_path)["what"]


@pytest.mark.parametrize(
    ("option", "value", "names"),
    [
        ("--currency", "eur", "'eur'"),
        ("--currency", "", "''"),
        ("--time-zone", "Madrid", "'Madrid'"),
        ("--time-zone", "localtime", "'localtime'"),
        ("--tax-rate", "21", "21"),
        ("--tax-rate", "nan", "nan"),
        ("--tax-rate", "-0.1", "-0.1"),
    ],
)
def test_wrong_answers_are_refused_before_anything_is_read(
    tmp_path: Path, option: str, value: str, names: str
) -> None:
    source = _export(tmp_path / "in")
    said = list(SAID)
    said[said.index(option) + 1] = value
    assert names in _refused(3, source, "--out", tmp_path / "out", *said)["what"]
    assert _names(tmp_path) == ["in"]


def test_places_that_cannot_be_written_are_refused_and_left_alone(tmp_path: Path) -> None:
    source = _export(tmp_path / "in")
    (tmp_path / "empty folders" / "photos").mkdir(parents=True)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "gone").symlink_to("nowhere")
    (tmp_path / "links" / "away").symlink_to(source)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    before = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))
    for out in (
        source, source / "orders.csv", source / "orders.csv" / "x", tmp_path / "empty folders",
        tmp_path / "links", tmp_path / "mine", "/", "/proc/nothing", tmp_path / ("long" * 70),
        tmp_path / ("é" * 125),
    ):  # fmt: skip
        _refused(2, source, "--out", out, "--key-file", tmp_path / "key", *SAID)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == before
    for gone in (tmp_path / "none", tmp_path / "none.csv", tmp_path / ("long" * 70)):
        _refused(2, gone, "--out", tmp_path / "out", *SAID)
    (tmp_path / "table.txt").write_text("x")
    _refused(3, tmp_path / "table.txt", "--out", tmp_path / "out", *SAID)


def test_keys_in_the_wrong_place_or_shape_are_refused(tmp_path: Path) -> None:
    source, out = _export(tmp_path / "in"), tmp_path / "out"
    (tmp_path / "short").write_bytes(b"x" * 31)
    (tmp_path / "way").symlink_to(out)
    for key in (out / "key", tmp_path / "way" / "key", source, tmp_path / "short", "/proc/nothing"):
        _refused(2, source, "--out", out, "--key-file", key, *SAID)
        assert not out.exists()
    assert _names(tmp_path) == ["in", "short", "way"]


def test_symlinked_and_relative_places_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _export(tmp_path / "in")
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "exports").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    assert _call("import", "exports", "--out", "linked", *SAID)[0] == 0
    assert (tmp_path / "linked").is_symlink()
    assert _names(tmp_path / "real") == WRITTEN
    assert _call("import", "./exports/orders.csv", "--out", "in/../linked", *SAID)[0] == 0
    assert _call("check", "real")[0] == 0
    assert _names(tmp_path) == ["exports", "in", "linked", "real", "real.key"]


def test_a_failed_import_leaves_what_was_there(tmp_path: Path) -> None:
    source, out = _export(tmp_path / "in"), tmp_path / "out"
    assert _call("import", source, "--out", out, *SAID)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for name, content in (
        ("orders.csv", b""), ("orders.csv", b"x,y\n1,2\n"), ("products.csv", b"\xff\xfe\x00"),
        ("orders.csv", orders(GOOD_LINE.replace("A,2", "bo@example.com,2")).encode()),
        ("orders.csv", orders(GOOD_LINE.replace("A,2", "A,bo@example.com")).encode()),
    ):  # fmt: skip
        kept = (source / name).read_bytes()
        (source / name).write_bytes(content)
        assert name in _refused(3, source, "--out", out, *SAID)["what"]
        (source / name).write_bytes(kept)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert _names(tmp_path) == ["in", "out", "out.key"]


PEOPLE = ("Ana Pérez", "ana@example.com", "+34 600 123 123", "Calle Mayor 1", "call before noon")
OWN = ("Nombre", "E-mail", "Teléfono", "Dirección", "Notas")


@pytest.mark.parametrize("ending", FORMATS)
def test_nothing_about_a_person_reaches_the_disk(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = tmp_path / "tmp"
    spill.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spill))
    source = tmp_path / "in"
    source.mkdir()
    header = [*ORDERS_HEADER.split(","), *OWN]
    good = [*GOOD_LINE.replace(",c1,", ",ana@example.com,").split(","), *PEOPLE]
    bad = [cell if i != header.index("quantity") else "two" for i, cell in enumerate(good)]
    bad[0] = "o2"
    write_table(source / f"orders.{ending}", [header, good, bad])
    write_table(source / f"products.{ending}", lines(PRODUCTS))
    write_table(
        source / f"customers.{ending}",
        [["customer_id", "group", *OWN], ["ana@example.com", "retail", *PEOPLE]],
    )
    code, document = _call("import", source, "--out", tmp_path / "data", *SAID)
    assert code == 0, document
    assert document["tables"][0]["not_stored"] == list(OWN)
    text = (tmp_path / "data" / "shop.toml").read_text()
    (tmp_path / "data" / "shop.toml").write_text(
        text.replace("quarantine_share = 0.02", "quarantine_share = 0.5")
    )
    code, report = _call("check", tmp_path / "data")
    assert code == 0, report
    assert [bad["rows"] for bad in report["bad_rows"]] == [[2]]
    written = [p for p in tmp_path.rglob("*") if p.is_file() and source not in p.parents]
    assert {p.parent.name for p in written} == {"data", "data.quarantine", tmp_path.name}
    for path in written:
        content = path.read_bytes()
        for person in PEOPLE:
            for encoding in ("utf-8", "utf-16-le", "latin-1"):
                assert person.encode(encoding) not in content, (path, person)
    ana = pseudonym(read_key(tmp_path / "data.key", tmp_path / "data"), "ana@example.com").encode()
    assert all(
        ana in (tmp_path / "data" / f"{name}.parquet").read_bytes() for name in ("orders", "customers")
    )
    assert not list(spill.iterdir())


def test_one_customer_is_one_pseudonym_in_every_table_and_format(tmp_path: Path) -> None:
    source = _export(tmp_path / "in")
    table = pq.read_table(
        write_table(tmp_path / "o.parquet", lines(orders(GOOD_LINE, GOOD_LINE.replace("o1", "o2"))))
    )
    place = table.column_names.index("customer_id")
    numbers = pa.array([12.0, float("nan")])
    (source / "orders.csv").unlink()
    pq.write_table(table.set_column(place, "customer_id", numbers), source / "orders.parquet")
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (["customer_id", "group"], [12, "business"]):
        book.active.append(row)
    book.save(source / "customers.xlsx")
    (source / "redemptions.csv").write_text("customer_id,coupon_id,at\n 12 ,k,2025-03-03\n")
    assert _call("import", source, "--out", tmp_path / "data", *SAID)[0] == 0
    key = (tmp_path / "data.key").read_bytes()
    for name, expected in (("orders", [pseudonym(key, "12"), None]), ("customers", [pseudonym(key, "12")])):
        found = pq.read_table(tmp_path / "data" / f"{name}.parquet").column("customer_id").to_pylist()
        assert found == expected, name
    (row,) = pq.read_table(tmp_path / "data" / "redemptions.parquet").to_pylist()
    assert row["customer_id"] == pseudonym(key, "12")


MAPPED = "\n[columns.orders]\n"


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ('order_id = "line_id"', "orders.csv has no column line_id."),
        ('channel = "x"\nprice_list = "X"', "columns.orders: X is to be both channel and price_list."),
        (
            'customer_id = "Mail"\nchannel = "mail"',
            "columns.orders: mail is to be both customer_id and channel.",
        ),
        ('order_id = ""', "columns.orders.order_id is empty."),
        ('order_id = "Pedido"', "orders.csv has no column Pedido."),
        ('order = "Pedido"', "columns.orders.order is not a column of orders."),
        (
            'order_id = "order_id"\n[columns.order]\nx = "y"',
            "columns.order is not a table of the data contract.",
        ),
        ('order_id = "a"\norder_id = "b"', "is not valid TOML"),
    ],
)
def test_a_column_map_gives_each_column_one_meaning(tmp_path: Path, entries: str, names: str) -> None:
    source = write_shop(tmp_path / "in", SHOP + MAPPED + entries + "\n")
    assert names in _refused(3, source, "--out", tmp_path / "out")["what"]
    assert _names(tmp_path) in (["in"], ["in", "out.key"])


def test_a_map_may_swap_two_columns_and_leave_one_behind(tmp_path: Path) -> None:
    swapped = 'order_id = "line_id"\nline_id = "order_id"\nregular_price = "PVP"\n'
    text = orders(GOOD_LINE).replace("price_basis\n", "price_basis,pvp\n").replace("gross\n", "gross,11.00\n")
    source = write_shop(tmp_path / "in", SHOP + MAPPED + swapped, orders=text)
    code, document = _call("import", source, "--out", tmp_path / "out")
    assert code == 0
    assert document["tables"][0]["not_stored"] == ["regular_price"]
    (row,) = pq.read_table(tmp_path / "out" / "orders.parquet").to_pylist()
    assert (row["order_id"], row["line_id"], row["regular_price"]) == ("1", "o1", "11.00")


def test_suggestions_are_not_taken_without_a_yes(tmp_path: Path) -> None:
    source = _export(tmp_path / "in", orders=orders(GOOD_LINE).replace("order_id", "Nº Pedido", 1))
    error = _refused(2, source, "--out", tmp_path / "out", *SAID[:-1])
    assert '[columns.orders]\norder_id = "Nº Pedido"' in error["todo"]
    assert _names(tmp_path) == ["in"]
    code, document = _call("import", source, "--out", tmp_path / "out", *SAID)
    assert (code, document["columns"]) == (0, {"orders": {"order_id": "Nº Pedido"}})
