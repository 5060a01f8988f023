"""WooCommerce's own product CSV (Products > Export), the file into which prices are published.

- A row is a product or a variation. Variable products are sold by their variations, each of which names its
  parent by SKU or, where that has none, as ``id:20``.
- Columns are called in the language of whoever exported; English and Spanish are read. A file that looks like
  such an export in another language is refused rather than passed over.
- Prices carry the shop's own decimal sign: what all prices of the file allow decides, else
  ``decimal_separator`` of shop.toml. Costs are those of WooCommerce or its cost plugins, net of tax.
- A sale price stands from and until its two days, in the shop's time zone; without them since the export.
- ``Stock`` is a count; ``parent`` is one that variations share, of which only that nothing is left is theirs.
- Text that begins like a formula (``=``, ``+``, ``-``, ``@``) has an apostrophe in front that is not its own.

Source: WooCommerce documentation, "Product CSV Importer and Exporter"; columns and values as WooCommerce's
exporter writes them.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from pricing.errors import DataError, UsageError
from simulators.importers.export_rows import Row, amount_of, header_of, rows_of
from simulators.importers.platform import Listing, Reading
from simulators.importers.sheet_cells import DAY_FIRST, amount, decimal_mark, moment
from simulators.importers.woocommerce_products import NOT_SOLD, kind_of

__all__ = ["csv_listings", "is_products_header", "read_columns", "refuse_other_language"]

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("ID",),
    "type": ("Type", "Tipo"),
    "sku": ("SKU",),
    "name": ("Name", "Nombre"),
    "published": ("Published", "Publicado"),
    "sale": ("Sale price", "Precio rebajado"),
    "regular": ("Regular price", "Precio normal"),
    "sale_from": (
        "Date sale price starts", "Día en que empieza el precio rebajado",
        "Fecha en la que empieza el precio rebajado",
    ),
    "sale_to": (
        "Date sale price ends", "Día en que termina el precio rebajado",
        "Fecha en la que termina el precio rebajado",
    ),
    "in_stock": ("In stock?", "¿Existencias?", "¿En inventario?"),
    "stock": ("Stock", "Inventario"),
    "backorders": ("Backorders allowed?", "¿Permitir reservas de productos agotados?"),
    "categories": ("Categories", "Categorías"),
    "brands": ("Brands", "Marcas"),
    "parent": ("Parent", "Superior"),
    "cost": ("Cost of goods", "Meta: _wc_cog_cost", "Meta: _alg_wc_cog_cost"),
}  # fmt: skip
_NEEDED: Final = ("id", "type", "sku", "name", "regular", "sale")
_OPTION = re.compile(r"Attribute (\d+) value\(s\)|Valor\(es\) del atributo (\d+)")
_MANY = 25
"""Fewer columns than WooCommerce's exporter always writes."""

_COMMA = re.compile(r"(?<!\\),")
_FORMULA = re.compile(r"'(?=[=+\-@])")
_DAY_ONLY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NOTHING = Decimal(0)


def is_products_header(header: Iterable[str]) -> bool:
    """Return whether a header is that of WooCommerce's product CSV."""
    names = set(header)
    return all(names & set(_NAMES[column]) for column in _NEEDED)


def refuse_other_language(path: Path, header: tuple[str, ...]) -> None:
    """Raise :class:`DataError` for a product export whose columns have names of another language."""
    if len(header) >= _MANY and header[0] == "ID" and header[2] == "SKU":
        raise DataError(
            f"{path.name} looks like WooCommerce's product export in a language that is not read.",
            why=f"Its columns are called {header[1]}, {header[3]}, {header[4]}, ...",
            todo="Set the language of your profile in WordPress to English or Spanish, and export again.",
        )


def read_columns(header: Iterable[str]) -> frozenset[str]:
    """Return the columns of a header that are read."""
    known = {name for names in _NAMES.values() for name in names}
    return frozenset(name for name in header if name in known or _OPTION.fullmatch(name))


@dataclass(frozen=True, slots=True)
class _Sale:
    """Since and until when a sale price that runs stands; None: not told."""

    since: dt.datetime | None
    until: dt.datetime | None


@dataclass(frozen=True, slots=True)
class _Product:
    """One row, its cells by our names."""

    place: str
    cells: Mapping[str, str]
    options: tuple[str, ...]
    price: Decimal | None
    regular: Decimal | None
    sale: _Sale | None
    cost: Decimal | None

    def says(self, name: str) -> str:
        return self.cells[name]

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(word.strip().lower() for word in self.cells["type"].split(","))

    @property
    def shown(self) -> bool:
        return self.cells["published"].lstrip("'") in ("", "1")


def csv_listings(paths: Iterable[Path], reading: Reading, *, with_tax: bool | None) -> tuple[Listing, ...]:
    """Return every product that can be on an order, in the order of the files.

    Parameters
    ----------
    paths
        Product exports.
    reading
        Settings, and when the export was made.
    with_tax
        Whether prices are typed in with tax; None: as the shop file says of the shelf.

    Raises
    ------
    DataError
        For a cell that cannot be read, or prices that do not tell their decimal sign.
    """
    products = [product for path in paths for product in _products(path, reading)]
    parents = {product.says("sku"): product for product in products if product.says("sku")}
    parents |= {f"id:{product.says('id')}": product for product in products}
    basis = "" if with_tax is None else "gross" if with_tax else "net"
    return tuple(
        _listing(product, parents.get(product.says("parent")), basis)
        for product in products
        if product.types[0] not in NOT_SOLD
    )


def _products(path: Path, reading: Reading) -> Iterator[_Product]:
    header = header_of(path)
    columns, wanted = _columns(path, header), read_columns(header)
    options = [name for name in header if _OPTION.fullmatch(name)]
    mark = _mark(path, wanted, [*columns["regular"], *columns["sale"]], reading)
    for row in rows_of(path, wanted):
        cells = {name: _said(row, names) for name, names in columns.items()}
        for name in ("id", "sku", "parent"):
            _ = [row.key(column) for column in columns[name]]
        if not cells["id"].isdecimal():
            raise DataError(
                f"{row.place}: {cells['id'][:40]!r} is no number of a product.",
                todo="Export the products again and import the file as it comes.",
            )
        regular = _amount(row, columns["regular"], mark)
        sale = _sale(row, cells, reading)
        reduced = None if sale is None else _amount(row, columns["sale"], mark)
        running = regular is not None and reduced is not None and reduced < regular
        yield _Product(
            row.place,
            cells,
            tuple(value for name in options if (value := row.text(name).replace("\\,", ","))),
            reduced if running else regular,
            regular,
            sale if running else None,
            _cost(row, columns["cost"]),
        )


def _columns(path: Path, header: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    found = {name: tuple(column for column in names if column in header) for name, names in _NAMES.items()}
    twice = [column for names in found.values() for column in names if header.count(column) > 1]
    if twice:
        raise DataError(f"{path.name} has the column {twice[0]} twice.", todo="Export the products again.")
    return found


def _mark(path: Path, wanted: frozenset[str], columns: Iterable[str], reading: Reading) -> str:
    """Return the decimal sign of some columns of a file.

    Raises
    ------
    DataError
        If the cells contradict each other, or nothing tells.
    """
    told = reading.shop.decimal_separator
    cells = [text for row in rows_of(path, wanted) for column in columns if (text := row.text(column))]
    try:
        return decimal_mark(cells, "" if told == "auto" else told, "of prices", path.name).choice or "."
    except UsageError as error:
        raise DataError(
            error.what, why=error.why, todo='Say it in shop.toml: decimal_separator = "," or ".".'
        ) from error


def _said(row: Row, names: Iterable[str]) -> str:
    return _FORMULA.sub("", next((text for text in map(row.text, names) if text), ""), count=1)


def _amount(row: Row, names: Iterable[str], mark: str) -> Decimal | None:
    name = next((name for name in names if row.text(name)), "")
    if not name:
        return None
    found = amount(row.text(name), mark)
    if found is None or found.value < 0:
        raise DataError(
            f"{row.place}, {name}: {row.text(name)[:40]!r} is no price.",
            why="Prices are zero or more, and all of one file have the same decimal sign.",
            todo="Correct it in the shop, export the products again and import the file as it comes.",
        )
    return found.value


def _cost(row: Row, names: Iterable[str]) -> Decimal | None:
    """Return a cost: a plain number, whose only sign is the decimal one."""
    name = next((name for name in names if row.text(name)), "")
    return amount_of(row.text(name).replace(",", "."), f"{row.place}, {name}") if name else None


def _sale(row: Row, cells: Mapping[str, str], reading: Reading) -> _Sale | None:
    """Return since and until when the sale price stands, as far as it is told; None if no sale runs."""
    since, until = (_day(row, cells[name], reading) for name in ("sale_from", "sale_to"))
    if until is not None and _DAY_ONLY.fullmatch(cells["sale_to"]):
        until += dt.timedelta(days=1)
    begun, over = (day is not None and day <= reading.listed_at for day in (since, until))
    if not cells["sale"] or over or (since is not None and not begun):
        return None
    return _Sale(since, until)


def _day(row: Row, text: str, reading: Reading) -> dt.datetime | None:
    if not text:
        return None
    found = moment(text, DAY_FIRST) if text[:4].isdecimal() else None
    if found is None:
        raise DataError(
            f"{row.place}: {text[:40]!r} is not a day of a sale like 2025-03-10 0:00:00.",
            why="A spreadsheet program may have changed it on saving; day and month could not be told apart.",
            todo="Export the products again and import the file as it comes.",
        )
    return found.replace(tzinfo=zoneinfo.ZoneInfo(reading.shop.time_zone))


def _listing(own: _Product, parent: _Product | None, basis: str) -> Listing:
    """Return a product, or a variation with what it has of its parent."""
    varied = own.types[0] == "variation"
    above, number = parent if varied and parent is not None else own, own.says("id")
    stem = above.says("sku") or f"product-{above.says('id')}"
    category, *deeper = _categories(own.says("categories") or above.says("categories"))
    names = (own.says("name"), above.says("name")) if varied else (own.says("name"),)
    return Listing(
        keys=(f"woocommerce:{'variation' if varied else 'product'}:{number}",),
        own_id=f"{stem}:{'/'.join(own.options) or number}" if varied else f"product-{number}",
        sku=own.says("sku"),
        names=tuple(dict.fromkeys(name for name in names if name)),
        name=own.says("name"),
        parent=stem if varied else "",
        category=category,
        subcategory=deeper[-1] if deeper else "",
        brand=_first(own.says("brands") or above.says("brands")),
        kind=kind_of(
            above.types[0], virtual="virtual" in own.types, downloadable="downloadable" in own.types
        ),
        on_sale=own.shown and above.shown,
        price=own.price,
        compare_at=own.regular if own.sale else None,
        cost=own.cost if own.cost is not None else above.cost,
        on_hand=_on_hand(own, above),
        sells_when_empty=own.says("backorders").lower() in ("1", "notify", "yes"),
        price_basis=basis,
        price_since=own.sale.since if own.sale else None,
        price_until=own.sale.until if own.sale else None,
    )


def _first(text: str) -> str:
    """Return the first of several values; a comma of its own has a backslash in front of it."""
    return _COMMA.split(text)[0].strip().replace("\\,", ",")


def _categories(text: str) -> list[str]:
    """Return the first category and what it lies in, from the outside in: ``Menaje > Tazas, Regalos``."""
    return [part.strip() for part in _first(text).split(">")]


def _on_hand(own: _Product, above: _Product) -> Decimal | None:
    shared = own.says("stock").lower() == "parent"
    said = above.says("stock") if shared else own.says("stock")
    left = amount_of(said, f"{own.place}, stock") if said and said != "parent" else None
    if left is not None and (not shared or left <= 0):
        return left
    return _NOTHING if own.says("in_stock") == "0" else None
