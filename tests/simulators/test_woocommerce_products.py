"""WooCommerce's product CSV (Products > Export): the same products as its API tells.

The export of the shop in ``exports/woocommerce_json``, in English and in Spanish: decimal commas, a byte
order mark, a description of two lines; a mug in a sale until the end of April, shirts by size, a draft, a
hidden product whose sale is long over and whose SKU begins like a formula.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pricing.errors import DataError
from simulators.importers.platforms import recognise
from tests.simulators.platform_folders import EXPORTS, SHOP, bring, content, rows

FILES = {code: EXPORTS / "woocommerce_products" / f"wc-product-export-{code}.csv" for code in ("en", "es")}
JSON, CSV = EXPORTS / "woocommerce_json", EXPORTS / "woocommerce_csv"
LISTED = dt.datetime(2025, 4, 15, 8, tzinfo=dt.UTC)
COFFEE, MUG, OLD = "CAFE-250", "product-12", "-OFERTA"
SMALL, MIDDLE, LARGE = "CAM:S/Azul", "CAM:M/Azul", "CAM-L"


def _folder(place: Path, code: str = "es") -> Path:
    """Return a folder with the plugin's orders and the product export."""
    place.mkdir()
    shutil.copy(CSV / "orders.csv", place)
    shutil.copy(FILES[code], place / "products.csv")
    return place


def _change(folder: Path, old: str, new: str) -> Path:
    text = (folder / "products.csv").read_bytes()
    assert text.count(old.encode()) == 1, old
    (folder / "products.csv").write_bytes(text.replace(old.encode(), new.encode()))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("woo")
    bring(_folder(root / "in"), root / "data", listed_at=LISTED)
    return root / "data"


def test_products_prices_costs_and_stock_are_these_rows(data: Path) -> None:
    columns = ("product_id", "parent_id", "name", "category", "subcategory", "brand", "kind")
    assert rows(data, "products", *columns) == [
        (OLD, None, "Lote antiguo", "Despensa", None, None, "merchandise"),
        (COFFEE, None, "Café molido 250 g", "Despensa", None, "Tostadora", "merchandise"),
        (LARGE, "CAM", "Camiseta - L, Azul", "Ropa", None, None, "merchandise"),
        (MIDDLE, "CAM", "Camiseta - M, Azul", "Ropa", None, None, "merchandise"),
        (SMALL, "CAM", "Camiseta - S, Azul", "Ropa", None, None, "merchandise"),
        ("LAM-9", None, "Lámpara de mesa", "uncategorised", None, None, "merchandise"),
        ("MONTAJE", None, "Montaje a domicilio", "Despensa", None, None, "service"),
        ("PDF-1", None, "Receta en PDF", "Despensa", None, None, "merchandise"),
        (MUG, None, "Taza blanca", "Menaje", "Tazas", None, "merchandise"),
        ("product-30", None, "Tarjeta regalo", "Despensa", None, None, "gift_card"),
    ]  # fmt: skip
    posted = ("product_id", "valid_from", "valid_to", "regular_price", "offered_price")
    listed = "2025-04-15 08:00"
    assert rows(data, "prices", *posted, "announced_reduction", "price_basis") == [
        (MUG, "2025-03-09 23:00", "2025-04-30 21:59", 9.68, 7.26, True, "gross"),
        (COFFEE, listed, None, 12.10, 12.10, False, "gross"),
        (LARGE, listed, None, 26.62, 26.62, False, "gross"),
        (MIDDLE, listed, None, 24.20, 24.20, False, "gross"),
        (SMALL, listed, None, 24.20, 24.20, False, "gross"),
        ("MONTAJE", listed, None, 24.20, 24.20, False, "gross"),
        ("product-30", listed, None, 50.00, 50.00, False, "gross"),
    ]
    # 9.00 is of the variable product, 9.50 the variation's own, 3.10 WooCommerce's own column.
    assert rows(data, "costs", "product_id", "unit_cost") == [
        (COFFEE, 5.50), (LARGE, 9.50), (MIDDLE, 9.00), (SMALL, 9.00), (MUG, 3.10),
    ]  # fmt: skip
    # Nine shirts are counted together: they are no size's own. Two mugs too many are sold, and may be.
    assert rows(data, "inventory", "product_id", "on_hand", "stocked_out") == [
        (OLD, 0.0, True), (COFFEE, 40.0, False), (LARGE, 0.0, True), (SMALL, 3.0, False), (MUG, 0.0, False),
    ]  # fmt: skip
    aliases = dict(rows(data, "product_aliases", "source_key", "product_id"))
    assert (aliases["woocommerce:product:12"], aliases["woocommerce:variation:22"]) == (MUG, MIDDLE)
    sold = {row[0] for row in rows(data, "orders", "product_id")}
    assert {COFFEE, MUG, SMALL, MIDDLE, LARGE} <= sold


@pytest.mark.parametrize("change", ["en", "crlf", "cp1252", "semicolons", "points"])
def test_however_it_is_written_it_says_the_same(tmp_path: Path, data: Path, change: str) -> None:
    folder = _folder(tmp_path / "in", "en" if change == "en" else "es")
    text = (folder / "products.csv").read_text(encoding="utf-8-sig")
    cells = list(csv.reader(io.StringIO(text)))
    prices = [cells[0].index(name) for name in ("Precio normal", "Precio rebajado") if name in cells[0]]
    if change == "points":
        for row in cells[1:]:
            for place in prices:
                row[place] = row[place].replace(",", ".")
    out = io.StringIO(newline="")
    separator, end = ";" if change == "semicolons" else ",", "\r\n" if change == "crlf" else "\n"
    csv.writer(out, delimiter=separator, lineterminator=end).writerows(cells)
    text = out.getvalue()
    encoding = "cp1252" if change == "cp1252" else "utf-8"
    (folder / "products.csv").write_text(text, encoding=encoding, newline="")
    shutil.copy(data.parent / "key", tmp_path / "key")
    bring(folder, tmp_path / "data", listed_at=LISTED)
    assert content(tmp_path / "data") == content(data)


def test_continued_from_the_api_every_product_keeps_its_identity(tmp_path: Path) -> None:
    bring(JSON, tmp_path / "first", listed_at=LISTED)
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(FILES["es"], folder)
    bring(folder, tmp_path / "second", before=tmp_path / "first", listed_at=LISTED + dt.timedelta(days=1))
    before, after = (
        {row[0] for row in rows(tmp_path / name, "products", "product_id")} for name in ("first", "second")
    )
    assert after - before == {OLD}  # the API's page did not hold it
    for name in ("prices", "costs"):  # no price and no cost is another one
        assert rows(tmp_path / "second", name, "product_id") == rows(tmp_path / "first", name, "product_id")


def test_beside_the_api_it_fills_in_and_must_not_contradict(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(JSON, folder)
    shutil.copy(FILES["es"], folder / "products.csv")
    bring(folder, tmp_path / "data", listed_at=LISTED)
    products = {row[0]: row[1] for row in rows(tmp_path / "data", "products", "product_id", "subcategory")}
    assert products["taza-blanca"] == "Tazas"
    with pytest.raises(DataError, match=r"different prices of Camiseta - L, Azul: 27.00 and 26.62"):
        bring(_change(folder, '"26,62"', '"27,00"'), tmp_path / "other", listed_at=LISTED)


def test_an_older_export_left_beside_the_newest_is_not_taken_for_it(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in")
    shutil.copy(FILES["es"], folder / "wc-product-export-1-3-2025.csv")
    bring(folder, tmp_path / "same", listed_at=LISTED)
    with pytest.raises(DataError, match="Two product exports name different prices of Camiseta - L, Azul"):
        bring(_change(folder, '"26,62"', '"27,00"'), tmp_path / "data", listed_at=LISTED)


@pytest.mark.parametrize(
    ("day", "price"),
    [("2025-03-09T22:59:59", 9.68), ("2025-03-09T23:00:00", 7.26), ("2025-04-30T22:00:00", 9.68)],
)
def test_a_sale_runs_from_its_first_day_to_its_last(tmp_path: Path, day: str, price: float) -> None:
    at = dt.datetime.fromisoformat(f"{day}+00:00")
    bring(_folder(tmp_path / "in"), tmp_path / "data", listed_at=at)
    offered = dict(rows(tmp_path / "data", "prices", "product_id", "offered_price"))
    assert offered[MUG] == price


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"50,00"', '"-50,00"', "line 8, Precio normal: '-50,00' is no price"),
        ('"50,00"', "NaN", "'NaN' is no price"),
        ('"50,00"', '"50.00"', "cannot tell|nobody can tell"),
        ('"1299,00"', '"1.29,00"', "'1.29,00' is no price"),
        (",3.1,", ",dear,", "Cost of goods: 'dear' is not a number"),
        (",CAFE-250,,Café", ",8.41E+12,,Café", "cut short"),
        (",CAFE-250,,Café", ',"8,41E+12",,Café', "cut short"),
        ("\n12,simple", "\n1.2,simple", "'1.2' is no number of a product"),
        ("2025-03-10 0:00:00", "10/03/2025", "is not a day of a sale"),
        ("2025-03-10 0:00:00", "2025-02-30 0:00:00", "is not a day of a sale"),
        (",1,40,", ",1,forty,", "'forty' is not a number"),
        ("Precio normal", "Precio rebajado", "no table|Precio rebajado twice"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    folder = _change(_folder(tmp_path / "in"), old, new)
    if "Precio rebajado" in new:
        _change(folder, ",Categorías,", ",Precio normal,")
    with pytest.raises(DataError, match=what):
        bring(folder, tmp_path / "data", listed_at=LISTED)
    assert not (tmp_path / "data").exists()


def test_thousands_are_read_and_a_sign_that_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    grouped = _change(_folder(tmp_path / "in"), '"1299,00"', '"1.299,00"')
    bring(grouped, tmp_path / "data", listed_at=LISTED)
    unclear = _folder(tmp_path / "unclear")
    lines = (CSV.parent / "woocommerce_products" / FILES["es"].name).read_text(encoding="utf-8").splitlines()
    only = "\n".join([lines[0], lines[-1].replace('"26,62"', "1.299")])
    (unclear / "products.csv").write_text(only, encoding="utf-8")
    with pytest.raises(DataError, match="nobody can tell") as caught:
        bring(unclear, tmp_path / "none", listed_at=LISTED)
    assert "decimal_separator" in caught.value.todo
    said = replace(SHOP, decimal_separator=",")
    bring(unclear, tmp_path / "told", listed_at=LISTED, shop=said)
    assert rows(tmp_path / "told", "prices", "product_id", "offered_price") == [(LARGE, 1299.0)]


def test_an_export_in_another_language_is_refused_and_other_tables_are_not(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "in")
    text = (folder / "products.csv").read_text(encoding="utf-8")
    body = text.partition("\n")[2]
    german = ["ID", "Typ", "SKU", "GTIN", "Name", "Veröffentlicht", *(f"Spalte {i}" for i in range(45))]
    (folder / "products.csv").write_text(",".join(german) + "\n" + body, encoding="utf-8")
    with pytest.raises(DataError, match="in a language that is not read") as caught:
        recognise(folder)
    assert "English or Spanish" in caught.value.todo
    (folder / "products.csv").write_text("ID,Typ,SKU,Preis\n1,a,b,2\n", encoding="utf-8")
    assert [file.holds for file in recognise(folder)] == ["orders"]


@pytest.mark.parametrize("how", ["empty", "cut", "cut in a quote", "utf-16", "other platform"])
def test_a_damaged_file_leaves_nothing_behind(tmp_path: Path, how: str) -> None:
    folder = _folder(tmp_path / "in")
    place = folder / "products.csv"
    whole = place.read_bytes()
    if how == "utf-16":  # as a spreadsheet program saves "Unicode text": read as it is
        place.write_bytes(whole.decode("utf-8-sig").encode("utf-16"))
        assert bring(folder, tmp_path / "data", listed_at=LISTED).reconciliation.unexplained == 0
        return
    place.write_bytes({"empty": b"", "cut": whole[:-40], "cut in a quote": whole[:1200]}.get(how, whole))
    if how == "other platform":
        shutil.copy(EXPORTS / "shopify_csv" / "products_export_1.csv", folder)
    with pytest.raises(DataError):
        bring(folder, tmp_path / "data", listed_at=LISTED)
    assert not (tmp_path / "data").exists()
