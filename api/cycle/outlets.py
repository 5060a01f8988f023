"""Ways out: which publisher a shop has chosen, and under which names a platform knows its products."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.publishers.calls import Calls
from api.publishers.changes import Identity, Market, Publisher
from api.publishers.shopify_csv import shopify_csv
from api.publishers.webhook import WebhookSecret, webhook_publisher
from api.publishers.woocommerce_csv import woocommerce_csv
from api.publishers.woocommerce_rest import WooCommerceKeys, WooCommerceRest, woocommerce_client
from api.publishers.workbook import PriceWorkbook
from api.texts import texts
from pricing.errors import DataError, UsageError
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import open_source

__all__ = ["Address", "Outlet", "addresses", "market_of"]

_SHOPIFY_HANDLE = "shopify:handle:"
_WOO_NUMBER = "woocommerce:product:"
_FILES = {"shopify_csv": shopify_csv, "woocommerce_csv": woocommerce_csv}


@dataclass(frozen=True, slots=True)
class Address:
    """A product that carries the price of its group, and what the platform may know it by."""

    product_id: str
    known_as: Identity


def addresses(data: Path, today: dt.datetime) -> Mapping[str, tuple[Address, ...]]:
    """Return the products of every price group, in ascending order, from a data folder."""
    with open_source(data, today=today, only=("products", "product_aliases")) as source:
        rows = source.engine.rows(_PRODUCTS)
        known: dict[str, list[str]] = {}
        if source.has("product_aliases"):
            for product, key in source.engine.rows(_ALIASES):
                known.setdefault(str(product), []).append(str(key))
    found: dict[str, list[Address]] = {}
    for group, product in rows:
        found.setdefault(str(group), []).append(
            Address(str(product), _identity(str(product), known.get(str(product), [])))
        )
    return {group: tuple(each) for group, each in found.items()}


_PRODUCTS = """
    SELECT coalesce(price_group, product_id), product_id FROM products
    WHERE kind = 'merchandise' ORDER BY 1, 2
"""
_ALIASES = "SELECT product_id, source_key FROM product_aliases ORDER BY product_id, valid_from, source_key"


def _identity(product: str, keys: list[str]) -> Identity:
    handle, number = "", ""
    options: tuple[str, ...] = ()
    for key in keys:
        if key.startswith(_SHOPIFY_HANDLE):
            handle, _, rest = key.removeprefix(_SHOPIFY_HANDLE).partition(":")
            options = tuple(rest.split("/")) if rest else ()
        elif key.startswith(_WOO_NUMBER):
            number = key.removeprefix(_WOO_NUMBER)
    return Identity(product, handle, options, number)


def market_of(shop: ShopFile) -> Market:
    """Return which prices the platform holds; raises :class:`UsageError` for a shop of several zones."""
    zone, *others = shop.zones
    if others:
        raise UsageError(
            f"The shop has {1 + len(others)} zones.",
            why="A way out holds the prices of one.",
            todo="Publish zone by zone from the recommendations file; a cycle does it for one zone.",
        )
    return Market(zone.id, shop.currency, "gross" if zone.prices_include_tax else "net")


@dataclass(frozen=True, slots=True)
class Outlet:
    """The way out that a shop has chosen.

    Attributes
    ----------
    shop
        Settings.
    home
        Folder that `cycle.key_file` is relative to.
    exports
        Finds the product exports of the platform that lie ready.
    environment
        Variables that may hold secrets.
    now, sleep
        The clock, a time with its zone, and what waits so many seconds.
    """

    shop: ShopFile
    home: Path
    exports: Callable[[], tuple[Path, ...]]
    environment: Mapping[str, str]
    now: Callable[[], dt.datetime]
    sleep: Callable[[float], None]

    @contextmanager
    def open(self, target: Path | None) -> Generator[Publisher]:
        """Open the way out, and close it again.

        Parameters
        ----------
        target
            File to write where one is written, without its ending; None: it is only read.

        Raises
        ------
        UsageError
            If no way out is named.
        SettingsError
            If its address or secret is missing or unsafe.
        DataError
            If there is not exactly one product export to edit.
        """
        name, cycle = self.shop.cycle.publisher, self.shop.cycle
        if name in _FILES:
            yield _FILES[name](self._export(), market_of(self.shop), _ending(target, "csv"))
        elif name == "woocommerce_rest":
            keys = WooCommerceKeys.of(self.environment, self._secret)
            with woocommerce_client(cycle.address, keys) as client:
                yield WooCommerceRest(Calls(client, self.sleep, self.now), market_of(self.shop))
        elif name == "webhook":
            secret = WebhookSecret.of(self.environment, self._secret)
            made = webhook_publisher(cycle.address, secret, sleep=self.sleep, now=self.now)
            with made.calls.client:
                yield made
        elif name == "workbook":
            yield PriceWorkbook(_ending(target, "xlsx"), texts(cycle.workbook_language))
        else:
            raise UsageError(
                "cycle.publisher is not said.",
                why="Nobody knows where prices go.",
                todo="Set it under [cycle] in shop.toml; docs/publishing.md lists the ways out.",
            )

    @property
    def _secret(self) -> Path | None:
        named = self.shop.cycle.key_file
        return self.home / named if named else None

    def _export(self) -> bytes:
        files = [path for path in self.exports() if path.suffix.lower() == ".csv"]
        if len(files) != 1:
            raise DataError(
                f"There are {len(files)} product CSV files in the inbox; one is needed to write prices into.",
                todo="Put the newest product export there (Products > Export), and nothing older.",
            )
        return files[0].read_bytes()


def _ending(target: Path | None, suffix: str) -> Path | None:
    return None if target is None else target.with_name(f"{target.name}.{suffix}")
