"""Costs and stock from sheets in the inbox: as somebody confirmed them once, or not at all."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from api.cli.cycle_steps import Steps
from api.cli.main import app
from api.cli.session import Session
from api.cycle.loop import Home, Step, last_order
from api.storage.store import Store
from api.texts import texts
from pricing.errors import ArtifactError, DataError, TarifaError, UsageError
from simulators.contract.shop_file import read_shop_file
from simulators.contract.tables import open_source
from simulators.importers.sheet_readings import readings_of
from tests.api.cycle_home import write_home
from tests.api.walk_shop import PRODUCTS, TODAY, write_walk
from tests.once import once

NOON = dt.datetime.combine(TODAY, dt.time(12), dt.UTC)
SHOP = """contract = 1
currency = "EUR"
time_zone = "Europe/Madrid"
[[zones]]
id = "es"
country = "ES"
tax_rate = 0.21
prices_include_tax = true
"""
HEADER = "Proveedor;Código;Coste;Notas"
READING: dict[str, Any] = {"header": [], "columns": {}, "decimal": "", "dates": "", "sheet": ""}


def _sheet(place: Path, cost: str = "{},50", header: str = HEADER, products: int = PRODUCTS) -> Path:
    place.parent.mkdir(exist_ok=True)
    rows = [f"Norte;P{p:02d};{cost.format(p + 3)};" for p in range(products)]
    place.write_text("\n".join(["Lista de costes;;;", header, *rows, "Total;;99,00;"]) + "\n")
    os.utime(place, (NOON.timestamp(), NOON.timestamp()))
    return place


def _home(root: Path) -> None:
    """Import once, confirm a sheet of costs, and lay a home with it in the inbox."""
    home = root / "home"
    inbox = write_walk(home / "inbox")
    (home / "shop.toml").write_text(SHOP)
    for path in inbox.iterdir():
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    sheet = _sheet(inbox / "costs" / "costes noviembre.csv")
    asked = ["import", str(inbox), "--shop", str(home / "shop.toml"), "--out", str(root / "first"), "--yes"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    asked = ["import", str(sheet), "--as", "costs", "--before", str(root / "first"), "--out"]
    result = CliRunner().invoke(app, [*asked, str(root / "confirmed"), "--yes", "--day", str(TODAY)])
    assert result.exit_code == 0, result.output
    shutil.copyfile(root / "confirmed" / "sheets.json", home / "sheets.json")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    made = once(tmp_path_factory, "sheets", _home) / "home"
    return Path(shutil.copytree(made, tmp_path / "home"))


def _import(folder: Path, today: dt.date = TODAY) -> Mapping[str, Any]:
    """Do the first step of a cycle."""
    home = Home(folder)
    store = Store(f"sqlite:///{home.store}", lambda: NOON)
    (folder / "cycles").mkdir(exist_ok=True)
    shop = read_shop_file(home.shop_file)
    steps = Steps(Session(texts("en"), as_json=True), home, shop, str(today), str(today), store, lambda: NOON)
    try:
        found: Mapping[str, Any] = steps.work()[Step.IMPORT]()
    finally:
        store.close()
    return found


def _costs(folder: Path, today: dt.date = TODAY) -> dict[tuple[str, str], float]:
    with open_source(folder / "cycles" / str(today) / "data", today=NOON) as source:
        rows = source.engine.rows(
            "SELECT product_id, valid_from::DATE::VARCHAR, unit_cost FROM costs "
            "WHERE valid_from = valid_from::DATE"
        )
    return {(str(product), str(day)): float(cost) for product, day, cost in rows}


def _refused(folder: Path, kind: type[TarifaError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        _import(folder)
    assert caught.value.todo
    assert not (folder / "cycles" / str(TODAY) / "data").exists()
    return f"{caught.value.what} {caught.value.why} {caught.value.todo}"


def test_a_confirmed_sheet_becomes_costs_of_its_day_and_again_changes_nothing(home: Path) -> None:
    found = _import(home)["sheets"]
    told = {
        "kind": "costs",
        "file": "costes noviembre.csv",
        "rows": PRODUCTS,
        "known": 0,
        "left": {"total": 1},
    }
    assert found == [told]
    assert _costs(home) == {(f"P{p:02d}", str(TODAY)): 100.0 * (p + 3.5) for p in range(PRODUCTS)}
    data = home / "cycles" / str(TODAY) / "data"
    before = (data / "costs.parquet").read_bytes(), (data / "tarifa.json").read_bytes()
    assert _import(home)["sheets"] == found
    assert ((data / "costs.parquet").read_bytes(), (data / "tarifa.json").read_bytes()) == before
    assert not (data.parent / "exports").exists()
    assert readings_of(data) == readings_of(home)


def test_another_name_and_another_sheet_next_week_are_read_the_same_way(home: Path) -> None:
    (home / "inbox" / "costs" / "costes noviembre.csv").unlink()
    book = openpyxl.Workbook()
    page: Any = book.active
    for row in (
        ("Proveedor", "Código", "Coste", "Notas"),
        *((None, f"P{p:02d}", 4 + p, None) for p in range(3)),
    ):
        page.append(row)
    place = home / "inbox" / "costs" / "costes diciembre.xlsx"
    book.save(place)
    os.utime(place, (NOON.timestamp() - 86400, NOON.timestamp() - 86400))
    assert _import(home)["sheets"][0]["rows"] == 3
    assert _costs(home)["P02", str(TODAY - dt.timedelta(days=1))] == 600.0


@pytest.mark.parametrize(
    ("header", "cost", "says"),
    [
        ("Proveedor;Código;Coste;Notas;Coste nuevo", "{},50;", "It is: Coste, Coste nuevo, Código"),
        ("Proveedor;Código;Precio;Notas", "{},50", "has no row with names of columns"),
        ("Código;Proveedor;Coste;Observaciones", "{},50", "That was: Coste, Código, Notas, Proveedor."),
        (HEADER, "{}.5", "3.5 in the column Coste is written another way than was confirmed"),
    ],
)
def test_another_header_or_notation_is_refused(home: Path, header: str, cost: str, says: str) -> None:
    _sheet(home / "inbox" / "costs" / "costes noviembre.csv", cost, header)
    found = _refused(home)
    assert says in found
    assert "tarifa import SHEET" in found


def test_what_nobody_confirmed_and_what_nobody_can_choose_from_is_refused(home: Path) -> None:
    _sheet(home / "inbox" / "stock" / "stock.csv", "{}", "Proveedor;Código;Existencias;Notas")
    assert "Nobody has confirmed how stock.csv is read as stock" in _refused(home)
    shutil.rmtree(home / "inbox" / "stock")
    _sheet(home / "inbox" / "costs" / "another.csv")
    assert "holds 2 sheets" in _refused(home)
    (home / "inbox" / "costs" / "another.csv").unlink()
    (home / "inbox" / "costs" / "~$costes.xlsx").write_bytes(b"")  # a spreadsheet program has it open
    assert _import(home)["sheets"]


def test_readings_that_cannot_be_read_are_no_readings(home: Path) -> None:
    for content in ("{", "[]", '{"schema": 1, "sheets": {"costs": {}}}', '{"schema": 9, "sheets": {}}'):
        (home / "sheets.json").write_text(content)
        _refused(home, ArtifactError)


def test_another_cost_of_a_day_that_is_known_is_refused(home: Path) -> None:
    _import(home)
    store = Store(f"sqlite:///{home / 'store.sqlite3'}", lambda: NOON)
    from api.storage import cycles

    with store.database.writing() as transaction:
        cycles.put(transaction, str(TODAY), "import", {})
    store.close()
    later = TODAY + dt.timedelta(days=1)
    _sheet(home / "inbox" / "costs" / "costes noviembre.csv", "{},60")
    with pytest.raises(DataError, match="another unit_cost"):
        _import(home, later)


def test_sheets_beside_tables_of_ones_own_are_refused(tmp_path: Path) -> None:
    home = write_home(tmp_path / "home")
    _sheet(home / "inbox" / "costs" / "costs.csv")
    (home / "sheets.json").write_text(json.dumps({"schema": 1, "sheets": {"costs": READING}}))
    with pytest.raises(UsageError, match="beside tables of your own"):
        _import(home)


def test_days_that_are_missing_at_the_end_are_refused_unless_the_shop_is_quiet_then(
    home: Path, tmp_path: Path
) -> None:
    """The walk's shop sells every day. The other one rests on weekends; without its last Thursday and Friday
    four days are missing, twice as many as ever.
    """
    _import(home)
    with open_source(home / "cycles" / str(TODAY) / "data", today=NOON) as source:
        assert last_order(source) == (TODAY - dt.timedelta(days=1), 0)
    small = write_home(tmp_path / "small")
    place = small / "inbox" / "orders.csv"
    lines = place.read_text().splitlines()
    for days, code in (("2024-10-03", "2024-10-04"), 3), (("2024-10-05", "2024-10-06"), 0):
        place.write_text("\n".join(line for line in lines if not any(day in line for day in days)) + "\n")
        asked = ["cycle", str(small), "--today", "2024-10-07", "--json"]
        result = CliRunner().invoke(app, asked)
        assert result.exit_code == code, result.output
        if code:
            error = json.loads(result.stdout)["error"]
            assert error["what"] == "The orders in the inbox end on 2024-10-02."
            assert "without an order: 4; the most in a row that there ever were before: 2." in error["why"]
