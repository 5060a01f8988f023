"""Export, import, publish: where nothing changed not one byte does, and what was published is what is read.

Exports are drawn: ends of lines, separators, byte-order mark, quoted cells of several lines, decimal commas,
thousands, a blank SKU, and for WooCommerce the language of the columns. The importer that reads them and the
publisher that writes them share no code.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cycle.outlets import Outlet
from api.publishers.changes import Identity, LineState, Market, PriceChange
from api.publishers.product_files import ProductFile
from api.publishers.shopify_csv import shopify_csv
from api.publishers.woocommerce_csv import woocommerce_csv
from pricing.errors import DataError
from simulators.contract.shop_file import Cycle, ShopFile, Zone
from simulators.importers.platform import Listing, Reading
from simulators.importers.platforms import platform_named, recognise

MARKET = Market("es", "EUR", "gross")
SHOP = ShopFile(
    contract=1,
    currency="EUR",
    time_zone="Europe/Madrid",
    zones=(Zone("es", "ES", 0.21, prices_include_tax=True),),
)
READING = Reading(SHOP, str, dt.datetime(2025, 4, 10, 12, tzinfo=dt.UTC))
TEXTS = st.lists(st.sampled_from([*'ab, ;"\n\té€', "\r\n", "<p>", "\U0001f3fa"]), max_size=9).map("".join)
SHOPIFY = ("Handle", "Title", "Body (HTML)", "Option1 Value", "Variant SKU", "Variant Price",
           "Variant Compare At Price", "Status")  # fmt: skip
WOO = {
    "en": ("ID", "Type", "SKU", "Name", "Description", "Sale price", "Regular price", "Categories", "Parent"),
    "es": ("ID", "Tipo", "SKU", "Nombre", "Descripción", "Precio rebajado", "Precio normal", "Categorías",
           "Superior"),
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """An export, and the prices in cents that stand in it, by product."""

    content: bytes
    prices: Mapping[str, int]


def _written(header: Sequence[str], rows: Sequence[Sequence[object]], style: Mapping[str, str]) -> bytes:
    out = io.StringIO(newline="")
    quoting: Literal[0, 1] = 1 if style["quotes"] else 0  # csv.QUOTE_ALL, csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=style["comma"], lineterminator=style["end"], quoting=quoting)
    writer.writerow(header)
    writer.writerows(rows)
    return (style["mark"] + out.getvalue()).encode()


STYLES = st.fixed_dictionaries(
    {
        "mark": st.sampled_from(["", "\ufeff"]),
        "end": st.sampled_from(["\n", "\r\n"]),
        "comma": st.sampled_from([",", ";"]),
        "quotes": st.sampled_from(["", "all"]),
    }
)
CENTS = st.lists(st.integers(100, 400_000), min_size=2, max_size=6)


@st.composite
def shopify_exports(draw: st.DrawFn) -> Drawn:
    cents = draw(CENTS)
    blank = draw(st.integers(0, len(cents) - 1))
    rows: list[Sequence[object]] = []
    for i, price in enumerate(cents):
        sku = "" if i == blank else f"S{i}"
        text = draw(TEXTS)
        rows.append((f"h{i}", f"T{i}", text, "Default Title", sku, f"{price / 100:.2f}", "", "active"))
        rows.append((f"h{i}", "", "", "", "", "", "", ""))  # one more picture
    names = [f"h{i}" if i == blank else f"S{i}" for i in range(len(cents))]
    return Drawn(_written(SHOPIFY, rows, draw(STYLES)), dict(zip(names, cents, strict=True)))


@st.composite
def woo_exports(draw: st.DrawFn) -> Drawn:
    cents = draw(CENTS)
    blank = draw(st.integers(0, len(cents) - 1))
    group = draw(st.sampled_from(["", "."]))
    rows: list[Sequence[object]] = [(9, "variable", "V", "Parent", draw(TEXTS), "", "", "Own > Kind", "")]
    for i, price in enumerate(cents):
        whole, rest = divmod(price, 100)
        told = f"{whole:,}".replace(",", group) + f",{rest:02d}"
        sku = "" if i == blank else f"S{i}"
        rows.append((100 + i, "variation", sku, f"Parent - {i}", draw(TEXTS), "", told, "", "V"))
    names = [f"V:{100 + i}" if i == blank else f"S{i}" for i in range(len(cents))]
    header = WOO[draw(st.sampled_from(["en", "es"]))]
    return Drawn(_written(header, rows, draw(STYLES)), dict(zip(names, cents, strict=True)))


def _read(content: bytes) -> tuple[Mapping[str, int], Mapping[str, Listing]]:
    """Return prices in cents, and listings, by product, as an import reads them."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "products.csv").write_bytes(content)
        files = recognise(Path(folder))
        listings = platform_named(files[0].platform).read(files, READING).listings
    found = {listing.sku or listing.own_id: listing for listing in listings}
    return {name: int((one.price or 0) * 100) for name, one in found.items()}, found


def _change(name: str, listing: Listing, now: int, new: int) -> PriceChange:
    key = listing.keys[-1]
    handle = key.removeprefix("shopify:handle:") if key.startswith("shopify") else ""
    options = ("Default Title",) if handle else ()
    number = key.rpartition(":")[2] if key.startswith("woocommerce") else ""
    known = Identity(name, handle, options, number)
    return PriceChange(name, "es", "EUR", "gross", now, new, known_as=known)


def _comes_back(drawn: Drawn, opened: Callable[..., ProductFile]) -> None:
    prices, listings = _read(drawn.content)
    assert prices == drawn.prices
    same = [_change(name, listings[name], now, now) for name, now in prices.items()]
    assert opened(drawn.content, MARKET).edited(same) == drawn.content
    moved = {name: now + 7 * (place + 1) for place, (name, now) in enumerate(prices.items())}
    asked = [_change(name, listings[name], prices[name], new) for name, new in moved.items()]
    file = opened(drawn.content, MARKET)
    assert file.preview(asked).count(LineState.CHANGE) == len(asked)
    published = file.edited(asked)
    assert published != drawn.content
    assert _read(published)[0] == moved
    back = [_change(name, listings[name], new, prices[name]) for name, new in moved.items()]
    assert _read(opened(published, MARKET).edited(back))[0] == prices


@settings(max_examples=60, deadline=None)
@given(shopify_exports())
def test_shopify_prices_come_back(drawn: Drawn) -> None:
    _comes_back(drawn, shopify_csv)


@settings(max_examples=60, deadline=None)
@given(woo_exports())
def test_woocommerce_prices_come_back(drawn: Drawn) -> None:
    _comes_back(drawn, woocommerce_csv)


def test_a_shop_of_whole_prices_says_its_decimal_sign_in_the_shop_file(tmp_path: Path) -> None:
    place = tmp_path / "products.csv"
    place.write_text("ID,SKU,Sale price,Regular price\n1,A,,29\n", encoding="utf-8")
    shop = replace(SHOP, cycle=Cycle(publisher="woocommerce_csv"))

    def outlet(sign: Literal["auto", ","]) -> Outlet:
        told = replace(shop, decimal_separator=sign)
        return Outlet(told, tmp_path, lambda: (place,), {}, lambda: READING.listed_at, lambda _: None)

    with pytest.raises(DataError, match="decimal sign"), outlet("auto").open(None):
        pass
    asked = [PriceChange("A", "es", "EUR", "gross", 2900, 3050)]
    with outlet(",").open(None) as said:
        assert said.preview(asked).lines[0].cells[0].after == "30,50"
