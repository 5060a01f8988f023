"""An invented shop of six months, as each platform exports it: for measurements, and to try an import out."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

FIRST = dt.datetime(2025, 1, 6, 9, tzinfo=dt.UTC)
DAYS, RATE = 182, 1.21
TEXT = '<p>two\nlines, "quoted"</p>' * 20
SHOPIFY_ORDERS = (
    "Name,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Lineitem requires shipping,"
    "Lineitem taxable,Lineitem discount,Email,Financial Status,Currency,Subtotal,Shipping,Taxes,Total,"
    "Discount Amount,Payment Method,Refunded Amount,Id,Source,Billing Name,Shipping Country"
)
SHOPIFY_PRODUCTS = (
    "Handle,Title,Body (HTML),Vendor,Type,Published,Option1 Name,Option1 Value,Variant SKU,"
    "Variant Inventory Tracker,Variant Inventory Qty,Variant Price,Variant Compare At Price,Gift Card,"
    "Cost per item,Status"
)
WOO_ORDERS = (
    "Order Number,Order Status,Order Date,First Name (Billing),Country Code (Billing),Email (Billing),"
    "Cart Discount Amount,Order Shipping Amount,Order Shipping Tax Amount,Order Refund Amount,"
    "Order Total Amount,Order Total Tax Amount,Order Total Fee,Currency,SKU,Item #,Item Name,Product Id,"
    "Quantity,Item Cost,Order Line Subtotal,Order Line Subtotal Tax,Order Line Total,Order Line Tax"
)
WOO_PRODUCTS = (
    "ID,Tipo,SKU,Nombre,Publicado,Descripción,¿Existencias?,Inventario,Precio rebajado,Precio normal,"
    "Categorías,Superior,Meta: _wc_cog_cost"
)


@dataclass(frozen=True, slots=True)
class Sold:
    """One order: number, time, and (product, units, cents a unit) of its lines."""

    number: int
    at: dt.datetime
    lines: tuple[tuple[int, int, int], ...]

    @property
    def total(self) -> int:
        """Return what is owed, cents."""
        return sum(units * cents for _, units, cents in self.lines)

    @property
    def tax(self) -> int:
        """Return the tax in it, worked out by line, cents."""
        return sum(units * cents - net(units * cents) for _, units, cents in self.lines)

    @property
    def email(self) -> str:
        """Return one of 20,000 invented customers."""
        return f"c{self.number % 20_000}@example.com"


def cents_of(product: int, day: int) -> int:
    """Return the price of a product on a day; it moves every five weeks."""
    return round((500 + 37 * (product % 90)) * (1.0 + 0.08 * ((day // 35 + product) % 3 - 1)))


def sales(products: int, orders: int) -> Iterator[Sold]:
    """Yield orders of 2.5 lines on average; few products sell much."""
    rng = np.random.default_rng(7)
    for i in range(orders):
        day = i * DAYS // orders
        drawn = np.minimum((products * rng.random(1 + rng.poisson(1.5)) ** 2).astype(int), products - 1)
        picked = dict.fromkeys(int(p) for p in drawn)
        lines = tuple((p, 1 + int(rng.poisson(0.3)), cents_of(p, day)) for p in picked)
        yield Sold(1001 + i, FIRST + dt.timedelta(days=day, seconds=i % 30_000), lines)


def money(cents: float) -> str:
    """Return an amount as platforms write it."""
    return f"{cents / 100:.2f}"


def net(cents: int) -> int:
    """Return an amount without tax."""
    return round(cents / RATE)


def write_table(path: Path, header: str, rows: Iterator[list[object]], encoding: str = "utf-8") -> None:
    """Write CSV."""
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def write_lines(path: Path, objects: Iterator[Mapping[str, object]]) -> None:
    """Write JSON, one object a line."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(entry) + "\n" for entry in objects)


def shopify_csv(folder: Path, products: int, orders: int) -> None:
    """Write the orders and the product CSV of Shopify."""

    def lines() -> Iterator[list[object]]:
        for sold in sales(products, orders):
            whole: list[object] = [sold.email, "paid", "EUR", money(sold.total), "0.00", money(sold.tax)]
            whole += [
                money(sold.total),
                "0.00",
                "Cards",
                "0.00",
                5_000_000 + sold.number,
                "web",
                "Some Body",
                "ES",
            ]
            for p, units, cents in sold.lines:
                own = [f"#{sold.number}", f"{sold.at:%Y-%m-%d %H:%M:%S} +0000", units, f"Product {p}"]
                yield [
                    *own,
                    money(cents),
                    f"P{p:05d}",
                    "true",
                    "true",
                    "0.00",
                    *whole,
                ]
                whole = [""] * len(whole)

    def listed() -> Iterator[list[object]]:
        for p in range(products):
            price = cents_of(p, DAYS - 1)
            own = [f"product-{p}", f"Product {p}", TEXT, "Own", f"kind {p % 40}", "true", "Title"]
            own += ["Default Title", f"P{p:05d}", "shopify", "50", money(price), "", "false"]
            yield [*own, money(0.4 * price), "active"]

    write_table(folder / "orders_export.csv", SHOPIFY_ORDERS, lines())
    write_table(folder / "products_export.csv", SHOPIFY_PRODUCTS, listed())


def amount_set(cents: float) -> dict[str, object]:
    """Return an amount as the GraphQL API has it."""
    return {"shopMoney": {"amount": money(cents)}}


def shopify_bulk(folder: Path, products: int, orders: int) -> None:
    """Write what bulk operations on orders and on products give, lines not grouped."""

    def roots() -> Iterator[Mapping[str, object]]:
        for sold in sales(products, orders):
            at = f"{sold.at:%Y-%m-%dT%H:%M:%SZ}"
            yield {
                "id": f"gid://shopify/Order/{sold.number}", "name": f"#{sold.number}", "email": sold.email,
                "createdAt": at, "processedAt": at, "updatedAt": at, "test": False, "currencyCode": "EUR",
                "presentmentCurrencyCode": "EUR", "taxesIncluded": True, "displayFinancialStatus": "PAID",
                "sourceName": "web", "paymentGatewayNames": ["cards"], "refunds": [],
                "totalPriceSet": amount_set(sold.total), "totalDiscountsSet": amount_set(0),
                "totalTaxSet": amount_set(sold.tax),
            }  # fmt: skip

    def children() -> Iterator[Mapping[str, object]]:
        for sold in sales(products, orders):
            for place, (p, units, cents) in enumerate(sold.lines):
                yield {
                    "id": f"gid://shopify/LineItem/{sold.number}{place:03d}", "name": f"Product {p}",
                    "sku": f"P{p:05d}", "quantity": units, "isGiftCard": False,
                    "variant": {"id": f"gid://shopify/ProductVariant/{p}"},
                    "product": {"id": f"gid://shopify/Product/{p}"}, "discountAllocations": [],
                    "originalUnitPriceSet": amount_set(cents),
                    "__parentId": f"gid://shopify/Order/{sold.number}",
                }  # fmt: skip

    def listed() -> Iterator[Mapping[str, object]]:
        for p in range(products):
            own = f"gid://shopify/Product/{p}"
            yield {
                "id": own, "handle": f"product-{p}", "title": f"Product {p}", "productType": "kind",
                "status": "ACTIVE", "publishedAt": "2024-01-01T00:00:00Z", "vendor": "Own",
            }  # fmt: skip
            variant = {"id": f"gid://shopify/ProductVariant/{p}", "sku": f"P{p:05d}", "selectedOptions": []}
            yield {**variant, "price": money(cents_of(p, DAYS - 1)), "__parentId": own}

    write_lines(folder / "orders.jsonl", (entry for part in (roots(), children()) for entry in part))
    write_lines(folder / "products.jsonl", listed())


def woocommerce_csv(folder: Path, products: int, orders: int) -> None:
    """Write the orders of the plugin and WooCommerce's product CSV."""

    def lines() -> Iterator[list[object]]:
        for sold in sales(products, orders):
            whole = [sold.number, "Completado", f"{sold.at:%Y-%m-%d %H:%M}", "Some", "ES", sold.email]
            whole += [*["0.00"] * 4, money(sold.total), money(sold.tax), "0.00", "EUR"]
            for place, (p, units, cents) in enumerate(sold.lines, 1):
                worth = units * cents
                told = [money(net(worth)), money(worth - net(worth))] * 2
                yield [
                    *whole, f"P{p:05d}", place, f"Product {p}", p + 1, units, money(net(cents)), *told
                ]  # fmt: skip

    def listed() -> Iterator[list[object]]:
        for p in range(products):
            price = cents_of(p, DAYS - 1)
            own = [p + 1, "simple", f"P{p:05d}", f"Product {p}", 1, TEXT, 1, 50, ""]
            yield [*own, money(price).replace(".", ","), f"kind {p % 40}", "", money(0.4 * price)]

    write_table(folder / "orders.csv", WOO_ORDERS, lines())
    write_table(folder / "wc-product-export.csv", WOO_PRODUCTS, listed(), "utf-8-sig")


def woocommerce_json(folder: Path, products: int, orders: int) -> None:
    """Write the objects of the REST API, one a line."""

    def placed() -> Iterator[Mapping[str, object]]:
        for sold in sales(products, orders):
            at = f"{sold.at:%Y-%m-%dT%H:%M:%S}"
            yield {
                "id": sold.number, "number": f"{sold.number}", "status": "completed", "currency": "EUR",
                "date_created_gmt": at, "date_modified_gmt": at, "prices_include_tax": True,
                "discount_total": "0.00", "discount_tax": "0.00", "shipping_total": "0.00",
                "shipping_tax": "0.00", "total": money(sold.total), "total_tax": money(sold.tax),
                "customer_id": 0, "billing": {"email": sold.email, "country": "ES"}, "refunds": [],
                "line_items": list(items(sold)), "coupon_lines": [], "fee_lines": [],
            }  # fmt: skip

    def items(sold: Sold) -> Iterator[Mapping[str, object]]:
        for place, (p, units, cents) in enumerate(sold.lines):
            told, tax = money(net(units * cents)), money(units * cents - net(units * cents))
            yield {
                "id": sold.number * 100 + place, "name": f"Product {p}", "product_id": p + 1,
                "variation_id": 0, "quantity": units, "tax_class": "", "sku": f"P{p:05d}", "subtotal": told,
                "subtotal_tax": tax, "total": told, "total_tax": tax, "taxes": [], "meta_data": [],
            }  # fmt: skip

    def listed() -> Iterator[Mapping[str, object]]:
        for p in range(products):
            price = money(cents_of(p, DAYS - 1))
            yield {
                "id": p + 1, "name": f"Product {p}", "slug": f"product-{p}", "type": "simple",
                "status": "publish", "catalog_visibility": "visible", "sku": f"P{p:05d}", "price": price,
                "regular_price": price, "sale_price": "", "manage_stock": True, "stock_quantity": 50,
                "variations": [], "categories": [{"name": f"kind {p % 40}"}],
            }  # fmt: skip

    write_lines(folder / "orders.jsonl", placed())
    write_lines(folder / "products.jsonl", listed())


SHAPES: Final[Mapping[str, Callable[[Path, int, int], None]]] = {
    "shopify_csv": shopify_csv,
    "shopify_bulk": shopify_bulk,
    "woocommerce_csv": woocommerce_csv,
    "woocommerce_json": woocommerce_json,
}
"""What writes an export, by its name: (folder, products, orders)."""
