from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pricing.errors import DataError, UsageError
from pricing.pseudonyms import pseudonym
from simulators.contract.shop_file import ShopFile, parse_shop_file
from simulators.contract.tables import open_source
from simulators.importers.pseudonyms import read_key
from simulators.importers.spreadsheets import import_spreadsheets
from simulators.importers.suggestions import suggest_columns
from tests.simulators.shops import PRODUCTS, SHOP, TODAY

ORDERS = (
    "Pedido;Línea;Fecha;Estado;Cliente;Nombre;Teléfono;Artículo;Cantidad;Precio;Total\n"
    "p1;1;13/03/2025;paid;ana@example.com;Ana Pérez;600123123;A;2;1,60;3,20\n"
    "p2;1;28/03/2025;paid;;;;A;dos;1,60;3,20\n"
    "p3;1;28/03/2025;paid;ana@example.com ;Ana Pérez;600123123;A;1;1,60;1,60\n"
)
MAP = (
    SHOP
    + """
[columns.orders]
order_id = "Pedido"
line_id = "Línea"
ordered_at = "Fecha"
status = "Estado"
customer_id = "Cliente"
product_id = "Artículo"
quantity = "Cantidad"
offered_price = "Precio"
paid = "Total"
[constants.orders]
price_basis = "gross"
"""
)


def _source(folder: Path, orders: bytes = ORDERS.encode("windows-1252")) -> Path:
    folder.mkdir()
    (folder / "orders.csv").write_bytes(orders)
    (folder / "products.csv").write_text(PRODUCTS)
    return folder


@pytest.fixture
def shop() -> ShopFile:
    return parse_shop_file(MAP)


def test_only_declared_columns_arrive_and_customers_become_pseudonyms(tmp_path: Path, shop: ShopFile) -> None:
    key_file, out = tmp_path / "key", tmp_path / "data"
    written = import_spreadsheets(_source(tmp_path / "in"), out, shop, key_file)
    assert [(table.name, table.rows, table.not_stored) for table in written] == [
        ("orders", 3, ("Nombre", "Teléfono")),
        ("products", 2, ()),
    ]
    everything = b"".join(path.read_bytes() for path in sorted(out.iterdir()))
    for secret in (b"ana@example.com", b"600123123", "Pérez".encode()):
        assert secret not in everything
    ana = pseudonym(key_file.read_bytes(), "ana@example.com")
    with open_source(out, today=TODAY) as source:
        rows = source.engine.rows(
            "SELECT order_id, customer_id, paid, day(ordered_at) FROM orders ORDER BY 1"
        )
        assert rows == [("p1", ana, 320, 13), ("p3", ana, 160, 28)]
        (bad,) = source.bad_rows()
        assert (bad.reason, bad.rows) == ("quantity: not a number", (2,))


def test_the_same_key_gives_the_same_bytes_and_the_settings_stay(tmp_path: Path, shop: ShopFile) -> None:
    source, key_file = _source(tmp_path / "in"), tmp_path / "key"
    for name in ("one", "two"):
        import_spreadsheets(source, tmp_path / name, shop, key_file)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    (tmp_path / "one" / "shop.toml").write_text(MAP)
    import_spreadsheets(source, tmp_path / "one", shop, key_file)
    assert (tmp_path / "one" / "shop.toml").read_text() == MAP


def test_a_map_is_applied_once_even_where_names_cross(tmp_path: Path) -> None:
    # The shop calls its order number "line_id" and its line number "order_id".
    text = ORDERS.replace("Pedido;Línea", "line_id;order_id")
    crossed = MAP.replace('"Pedido"', '"line_id"').replace('"Línea"', '"order_id"')
    source = _source(tmp_path / "in", text.encode())
    import_spreadsheets(source, tmp_path / "data", parse_shop_file(crossed), tmp_path / "key")
    with open_source(tmp_path / "data", today=TODAY) as opened:
        assert opened.engine.rows("SELECT order_id, line_id FROM orders ORDER BY 1") == [
            ("p1", "1"),
            ("p3", "1"),
        ]


def test_the_key_is_the_owners_and_long_enough(tmp_path: Path) -> None:
    key = read_key(tmp_path / "key", tmp_path / "data")
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert read_key(tmp_path / "key", tmp_path / "data") == key
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(UsageError, match="has 1 bytes; it needs 32"):
        read_key(tmp_path / "short", tmp_path / "data")


def test_a_pseudonym_is_hmac_sha256() -> None:
    # Test case 2 of RFC 4231.
    assert pseudonym(b"Jefe", "what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"


def test_one_customer_is_one_customer_however_the_address_is_typed(tmp_path: Path, shop: ShopFile) -> None:
    key = b"k" * 32
    assert pseudonym(key, " Ana@Example.COM\t") == pseudonym(key, "ana@example.com")
    assert pseudonym(key, "K-12a") != pseudonym(key, "k-12a")  # a shop's own number keeps its capitals
    typed = ORDERS.replace("ana@example.com ;", "ANA@example.com;")
    key_file = tmp_path / "key"
    import_spreadsheets(
        _source(tmp_path / "in", typed.encode("windows-1252")), tmp_path / "data", shop, key_file
    )
    with open_source(tmp_path / "data", today=TODAY) as source:
        found = source.engine.rows("SELECT DISTINCT customer_id FROM orders WHERE customer_id IS NOT NULL")
    assert found == [(pseudonym(key_file.read_bytes(), "ana@example.com"),)]


def test_what_cannot_be_imported_is_said(tmp_path: Path, shop: ShopFile) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no table"):
        import_spreadsheets(tmp_path / "empty", tmp_path / "data", shop, tmp_path / "key")
    leaking = ORDERS.replace("p1;1", "bo@example.com;1").encode()
    with pytest.raises(DataError, match=r"orders\.csv, row 2: the column Pedido holds an e-mail address"):
        import_spreadsheets(_source(tmp_path / "leak", leaking), tmp_path / "data", shop, tmp_path / "key")
    with pytest.raises(DataError, match="has none of the columns of orders"):
        import_spreadsheets(
            _source(tmp_path / "odd", b"x;y\n1;2\n"),
            tmp_path / "data",
            parse_shop_file(SHOP),
            tmp_path / "key",
        )
    assert not (tmp_path / "data").exists()


def test_columns_are_suggested_in_two_languages() -> None:
    header = ORDERS.splitlines()[0].split(";")
    found = {s.column: (s.own, s.score) for s in suggest_columns("orders", header)}
    assert found["order_id"] == ("Pedido", 0.9)
    assert found["line_id"] == ("Línea", 0.9)
    assert found["ordered_at"] == ("Fecha", 0.9)
    assert found["customer_id"] == ("Cliente", 0.9)
    assert found["product_id"] == ("Artículo", 0.9)
    assert found["quantity"] == ("Cantidad", 0.9)
    assert found["offered_price"] == ("Precio", 0.9)
    assert found["paid"] == ("Total", 0.9)
    assert not {own for own, _ in found.values()} & {"Nombre", "Teléfono"}


def test_number_of_is_no_part_of_a_name() -> None:
    found = {s.column: s.own for s in suggest_columns("orders", ["Nº Pedido", "Núm. línea", "No. Articulo"])}
    assert found == {"order_id": "Nº Pedido", "line_id": "Núm. línea", "product_id": "No. Articulo"}


def test_a_folder_that_nothing_could_use_is_not_written(tmp_path: Path, shop: ShopFile) -> None:
    unknown = _source(tmp_path / "in", ORDERS.replace("Pedido;", "Albarán;").encode())
    with pytest.raises(DataError, match=r"orders\.csv has no column Pedido.* that it is order_id"):
        import_spreadsheets(unknown, tmp_path / "data", shop, tmp_path / "key")
    unmapped = parse_shop_file(MAP.replace('order_id = "Pedido"\n', ""))
    with pytest.raises(DataError, match=r"orders\.csv has no column order_id"):
        import_spreadsheets(unknown, tmp_path / "data", unmapped, tmp_path / "key")
    alone = _source(tmp_path / "alone")
    (alone / "products.csv").unlink()
    with pytest.raises(DataError, match="has no table products"):
        import_spreadsheets(alone, tmp_path / "data", shop, tmp_path / "key")
    assert not (tmp_path / "data").exists()


def test_the_nearer_name_wins_and_is_used_once() -> None:
    found = suggest_columns("orders", ["Order ID", "order_id", "qty", "quantitty", "Price Basis", "mystery"])
    assert [(s.column, s.own, s.score) for s in found] == [
        ("order_id", "order_id", 1.0),
        ("quantity", "qty", 0.9),
        ("price_basis", "Price Basis", 0.95),
    ]
