"""Products of WooCommerce's REST API v3: ``/products`` pages and ``/products/ID/variations`` beside them.

- A simple product is sold itself, a variable one by its variations; grouped and external products are never
  on an order. A variation's parent is told by its `parent_id`, or by the list of `variations` of the parent.
- WooCommerce shows a variation without a SKU under its parent's. Where several do, none of them is called so:
  the parent's SKU and the attributes name each (``CAM-01:L/Azul``).
- `sale_price` stands for the days of `date_on_sale_from` and `date_on_sale_to`: from then, and until then,
  the reduction from `regular_price` is an announced one.
- Stock is `stock_quantity` where the product is counted; of a count that variations share, only that nothing
  is left is theirs. A product that is not counted but out of stock has none.
- Costs are net of tax: WooCommerce's own `cost_of_goods_sold`, else what the plugins Cost of Goods (SkyVerge)
  and Cost of Goods (WPFactory) keep in `meta_data`.
- Virtual products that are no downloads are services; gift cards and bundles are told by the product's type.

Source: WooCommerce REST API documentation, v3, "Products" and "Product variations".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from simulators.importers.export_json import Node, objects_of
from simulators.importers.platform import Listing, Reading
from simulators.importers.woocommerce_orders_json import time_of

__all__ = ["NOT_SOLD", "kind_of", "listings_of"]

NOT_SOLD: Final = ("variable", "variable-subscription", "grouped", "external")
"""Types of products that are never on an order themselves."""

_BUNDLES: Final = ("bundle", "composite", "woosb", "yith_bundle")
_COSTS: Final = ("_wc_cog_cost", "_alg_wc_cog_cost", "_wc_cog_cost_variable")
_NOTHING = Decimal(0)


def listings_of(
    products: Iterable[Path], variations: Iterable[Path], reading: Reading, *, with_tax: bool | None
) -> tuple[Listing, ...]:
    """Return every product that can be on an order, variations after the products without.

    Parameters
    ----------
    products, variations
        Files of either.
    reading
        Settings, and when the export was made.
    with_tax
        Whether prices are typed in with tax; None: as the shop file says of the shelf.

    Raises
    ------
    DataError
        For a field that cannot be read.
    """
    listed = {node.text("id"): node for path in products for node in objects_of(path)}
    parents = {child: parent for parent in listed.values() for child in parent.numbers("variations")}
    basis = "" if with_tax is None else "gross" if with_tax else "net"
    nothing = Node("", {})
    simple = [
        _listing(node, nothing, reading, basis)
        for node in listed.values()
        if node.text("type") not in NOT_SOLD
    ]
    varied = _variations(variations, listed, parents)
    return (*simple, *(_listing(node, parent, reading, basis) for node, parent in varied))


def _variations(
    paths: Iterable[Path], listed: Mapping[str, Node], parents: Mapping[str, Node]
) -> Iterator[tuple[Node, Node]]:
    for path in paths:
        for node in objects_of(path):
            parent = listed.get(node.text("parent_id")) or parents.get(node.text("id"))
            yield node, parent or Node(node.place, {"id": node.text("parent_id")})


def _listing(node: Node, parent: Node, reading: Reading, basis: str) -> Listing:
    """Return a product, or a variation with what it has of its parent."""
    product = parent if parent.fields else node
    options = tuple(entry.text("option") for entry in node.nodes("attributes") if entry.text("option"))
    varied = bool(parent.fields)
    title = product.text("name")
    full = f"{title} - {', '.join(options)}" if varied and options else title
    number = node.text("id")
    stem = product.text("sku") or product.text("slug") or f"product-{product.text('id')}"
    since, until = _sale(node, reading)
    regular, price = node.amount_or_none("regular_price"), node.amount_or_none("price")
    published = product.text("status") in ("", "publish") and node.text("status") in ("", "publish")
    return Listing(
        keys=(f"woocommerce:{'variation' if varied else 'product'}:{number}",),
        own_id=f"{stem}:{'/'.join(options) or number}" if varied else _own_id(product),
        sku=node.text("sku"),
        names=tuple(dict.fromkeys((full, title))) if title else (),
        name=full,
        parent=product.text("sku") or product.text("slug") if varied else "",
        category=next((entry.text("name") for entry in product.nodes("categories")), ""),
        brand=next((entry.text("name") for entry in product.nodes("brands")), ""),
        kind=_kind(node, product),
        on_sale=published and node.fields.get("purchasable") is not False,
        price=price,
        compare_at=regular if node.flag("on_sale") else None,
        cost=_cost(node) if _cost(node) is not None else _cost(product),
        on_hand=_on_hand(node),
        sells_when_empty=node.text("backorders") in ("yes", "notify"),
        launched_at=time_of(product, "date_created", reading.shop.time_zone) if published else None,
        price_basis=basis,
        price_since=since,
        price_until=until,
    )


def _own_id(product: Node) -> str:
    return product.text("slug") or f"product-{product.text('id')}"


def _sale(node: Node, reading: Reading) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return since and until when the price of a running sale stands, as far as WooCommerce says."""
    if not node.flag("on_sale"):
        return None, None
    since = time_of(node, "date_on_sale_from", reading.shop.time_zone)
    until = time_of(node, "date_on_sale_to", reading.shop.time_zone)
    at = reading.listed_at
    return since if since is None or since < at else None, until if until is None or until > at else None


def _kind(node: Node, product: Node) -> str:
    if _metas(product).get("_gift_card", node).text("value") == "yes":
        return "gift_card"
    return kind_of(product.text("type"), virtual=node.flag("virtual"), downloadable=node.flag("downloadable"))


def kind_of(word: str, *, virtual: bool, downloadable: bool) -> str:
    """Return the kind of the contract from WooCommerce's type of a product."""
    if "gift" in word.lower():
        return "gift_card"
    if word.lower() in _BUNDLES:
        return "bundle"
    return "service" if virtual and not downloadable else "merchandise"


def _metas(node: Node) -> Mapping[str, Node]:
    return {entry.text("key"): entry for entry in node.nodes("meta_data")}


def _cost(node: Node) -> Decimal | None:
    own = node.node("cost_of_goods_sold").amount_or_none("total_value")
    if own:
        return own
    kept = _metas(node)
    told = (kept[key].amount_or_none("value") for key in _COSTS if key in kept)
    return next((found for found in told if found), None)


def _on_hand(node: Node) -> Decimal | None:
    counted, left = node.text("manage_stock"), node.amount_or_none("stock_quantity")
    if counted == "true":
        return left
    shared_and_gone = counted == "parent" and left is not None and left <= 0
    return _NOTHING if shared_and_gone or node.text("stock_status") == "outofstock" else None
