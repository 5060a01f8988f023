"""The data contract, version 1: every table that a shop may hand over, and what each column means.

This is the only place where a column of the contract is named; readers, checks, importers and
``docs/data-contract.md`` follow from it.
"""

from __future__ import annotations

from pricing.columns import Column, ColumnType, Table
from pricing.errors import UsageError

__all__ = ["CONTRACT_VERSION", "TABLES", "Column", "ColumnType", "Table", "table"]

CONTRACT_VERSION = 1
"""Version of these tables. A newer reader reads every older version."""


_T = ColumnType
_BASIS = Column(
    "price_basis",
    _T.TEXT,
    "Whether the prices of this row include tax.",
    required=True,
    choices=("gross", "net"),
)
_ZONE = Column("zone", _T.TEXT, "Price zone of the shop file; absent: its first zone.")
_CHANNEL = Column("channel", _T.TEXT, "Sales channel: store, web, ...")
_PRICE_LIST = Column(
    "price_list", _T.TEXT, "Price list; those named in `business_price_lists` are set apart."
)
_CURRENCY = Column("currency", _T.TEXT, "ISO 4217; absent: the shop's. Another one is a bad row.")
_PRODUCT = Column("product_id", _T.TEXT, "Stock unit.", required=True)
_MAYBE_PRODUCT = Column("product_id", _T.TEXT, "Stock unit.")
_VALUE = Column("value", _T.NUMBER, "Value in that period.", required=True)
_AT = Column("at", _T.TIME, "When.", required=True)


def _text(name: str, meaning: str, *choices: str, required: bool = False) -> Column:
    return Column(name, _T.TEXT, meaning, required=required, choices=choices)


def _id(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, _T.TEXT, meaning, required=required)


def _time(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, _T.TIME, meaning, required=required)


def _customer(*, required: bool = True) -> Column:
    return Column(
        "customer_id", _T.TEXT, "Keyed pseudonym of the customer.", required=required, personal=True
    )


def _flag(name: str, meaning: str) -> Column:
    return Column(name, _T.BOOLEAN, meaning)


def _price(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, _T.UNIT_PRICE, meaning, required=required, above=0.0)


def _money(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, _T.MONEY, meaning, required=required, low=0.0)


def _share(name: str, meaning: str) -> Column:
    return Column(name, _T.SHARE, meaning, low=0.0, high=1.0)


def _quantity(meaning: str) -> Column:
    return Column("quantity", _T.NUMBER, meaning, required=True, above=0.0)


def _series(name: str, meaning: str, unlocks: str, *, named: bool) -> Table:
    label = Column("name", _T.TEXT, "Which quantity it is." if named else "Absent: visits.", required=named)
    columns = (_AT, _ZONE, _MAYBE_PRODUCT, label, _VALUE)
    return Table(name, meaning, unlocks, columns, ("at", "zone", "product_id", "name"))


_SALES = (
    Table(
        "orders",
        "One line of one order.",
        "Demand.",
        (
            _id("order_id", "Order."),
            _id("line_id", "Line within the order."),
            _time("ordered_at", "When it was ordered.", required=True),
            _text(
                "status", "Only paid lines are demand.", "paid", "cancelled", "test", "draft", required=True
            ),
            _customer(required=False),
            _PRODUCT,
            _ZONE,
            _CHANNEL,
            _PRICE_LIST,
            _id("seller_id", "Third party that sold it; absent: the shop.", required=False),
            _quantity("Units sold; goes back through `returns`, never as a negative line."),
            _text("unit", "Unit of a quantity that is not a count (kg, lb, m): the price is per that unit."),
            _price("regular_price", "Unit price before any reduction; absent: the offered price."),
            _price("offered_price", "Unit shelf price that everyone saw.", required=True),
            _money("paid", "Line total after line discounts, before order-level ones.", required=True),
            _CURRENCY,
            _BASIS,
        ),
        ("order_id", "line_id"),
        required=True,
    ),
    Table(
        "discounts",
        "One reduction below the shelf price; a row without a line belongs to the whole order.",
        "What was really paid; order-level amounts are apportioned pro rata by largest remainder and marked.",
        (
            _id("order_id", "Order."),
            _id("line_id", "Line; absent: the whole order.", required=False),
            _text(
                "kind",
                "What it was for; `shipping` never touches a line.",
                *("coupon", "automatic", "multibuy", "loyalty", "staff", "order", "shipping"),
                required=True,
            ),
            _id("coupon_id", "Coupon.", required=False),
            _id("campaign_id", "Campaign.", required=False),
            _money("amount", "Money off, in the price basis of the line.", required=True),
            _text("funded_by", "Whose money it is.", "shop", "maker", required=True),
            _CURRENCY,
        ),
    ),
    Table(
        "returns",
        "Units of one order line that came back.",
        "Net profit; recent sales are censored for returns to come.",
        (
            _id("order_id", "Order."),
            _id("line_id", "Line."),
            _time("returned_at", "When they came back.", required=True),
            _quantity("Units returned."),
            _money("refund", "Money paid back, in the price basis of the line.", required=True),
            _flag("restocked", "Whether they can be sold again."),
            _CURRENCY,
        ),
    ),
)

_ASSORTMENT = (
    Table(
        "products",
        "One stock unit.",
        "Pooling, relations, markdown.",
        (
            _PRODUCT,
            _id("parent_id", "Product of which this is a variant.", required=False),
            _id("price_group", "What gets one price (a style in all sizes); absent: itself.", required=False),
            _text("name", "Name shown to people."),
            _text("category", "Category.", required=True),
            _text("subcategory", "Finer category."),
            _text("brand", "Brand."),
            _text("unit_size", "Pack size as text."),
            _text(
                "kind",
                "Only merchandise is modelled as demand.",
                *("merchandise", "bundle", "gift_card", "service", "fee"),
                required=True,
            ),
            _flag("sold_by_weight", "Weighed; it has a posted price only where orders give its unit."),
            _price("list_price", "Maker's recommended price, in the basis of the shelf."),
            _price("map_price", "Lowest price that may be advertised, in the basis of the shelf."),
            _price("max_price", "Highest price allowed, in the basis of the shelf."),
            _price("fixed_price", "Price fixed by law or contract (books, tobacco), in that basis."),
            _time("launch_at", "First day of sale."),
            _time("exit_at", "First day after the last day of sale."),
            _money("salvage_value", "What an unsold unit is worth at the exit."),
            _CURRENCY,
        ),
        ("product_id",),
        required=True,
        declared=True,
    ),
    Table(
        "prices",
        "A posted price and how long it stood.",
        "Days without a sale, price tests, 30-day prior price.",
        (
            _PRODUCT,
            _ZONE,
            _CHANNEL,
            _PRICE_LIST,
            _time("valid_from", "First moment.", required=True),
            _time("valid_to", "First moment after; absent: until the next row.", required=False),
            _price("regular_price", "Unit price before any reduction.", required=True),
            _price("offered_price", "Unit shelf price.", required=True),
            _CURRENCY,
            _BASIS,
            _flag("announced_reduction", "Shown to shoppers as a reduction."),
            _text("source", "Who set it.", "rule", "manual", "experiment"),
            _share("propensity", "Probability with which an experiment chose this price."),
        ),
        ("product_id", "zone", "channel", "price_list", "valid_from"),
    ),
    Table(
        "promotions",
        "A product promoted for a while.",
        "Separates promotion from price.",
        (
            _PRODUCT,
            _ZONE,
            _time("starts_at", "First moment.", required=True),
            _time("ends_at", "First moment after.", required=True),
            _text("kind", "feature (advertised), display (special place), banner, email, ...", required=True),
            _share("share", "Share of the zone's sales covered; absent: 1."),
        ),
        ("product_id", "zone", "starts_at", "ends_at", "kind"),
    ),
    Table(
        "costs",
        "Unit cost from a day on.",
        "Margin, instruments.",
        (
            _PRODUCT,
            _time("valid_from", "From when it holds.", required=True),
            Column("unit_cost", _T.UNIT_PRICE, "Net of tax.", required=True, low=0.0),
            _CURRENCY,
        ),
        ("product_id", "valid_from"),
    ),
    Table(
        "inventory",
        "Stock of a product at a moment.",
        "Censored demand, stock, markdown.",
        (
            _PRODUCT,
            _ZONE,
            _AT,
            Column("on_hand", _T.NUMBER, "Units that could be sold.", required=True, low=0.0),
            _flag("stocked_out", "It could not be bought; absent: nothing on hand."),
        ),
        ("product_id", "zone", "at"),
    ),
    Table(
        "receipts",
        "Units expected from a supplier.",
        "Stock planning.",
        (
            _PRODUCT,
            _ZONE,
            _time("expected_at", "When.", required=True),
            _quantity("Units expected."),
            _time("ordered_at", "When it was ordered; absent: before any decision.", required=False),
        ),
    ),
    Table(
        "bundle_components",
        "A product inside a bundle.",
        "Bundles.",
        (
            _id("bundle_id", "The bundle's product_id."),
            Column("product_id", _T.TEXT, "Component.", required=True),
            _quantity("Units of it in one bundle."),
        ),
        ("bundle_id", "product_id"),
    ),
    Table(
        "product_aliases",
        "A former or foreign key of a product.",
        "Keys renamed over time; unmatched ones are listed, never guessed.",
        (
            _id("source_key", "The other key."),
            Column("product_id", _T.TEXT, "The product it means.", required=True),
            _time("valid_from", "From when it means it.", required=True),
        ),
        ("source_key", "valid_from"),
    ),
)

_SURROUNDINGS = (
    _series("traffic", "Visits in a period.", "Level of demand apart from price.", named=False),
    _series("covariates", "Anything that moves demand: weather, holidays, ...", "Season, level.", named=True),
    _series("instruments", "What moves price and not demand.", "Identification.", named=True),
    Table(
        "competitor_prices",
        "A price seen elsewhere.",
        "Price corridor.",
        (
            _PRODUCT,
            _id("competitor", "Who."),
            _AT,
            _price("price", "Gross unit price.", required=True),
            _flag("in_stock", "Whether it could be bought."),
            _text("source", "Where it was seen.", required=True),
            _share("match_confidence", "Probability that it is the same product."),
            _CURRENCY,
        ),
        ("product_id", "competitor", "at", "source"),
    ),
)

_CUSTOMERS = (
    Table(
        "campaigns",
        "One campaign.",
        "Coupons.",
        (
            _id("campaign_id", "Campaign."),
            _text("kind", "Type of campaign.", required=True),
            _time("starts_at", "First moment.", required=True),
            _time("ends_at", "First moment after.", required=True),
            _money("budget", "Most it may cost the shop."),
            _CURRENCY,
        ),
        ("campaign_id",),
    ),
    Table(
        "coupons",
        "One coupon.",
        "Coupons.",
        (
            _id("coupon_id", "Coupon."),
            _id("campaign_id", "Campaign, where it belongs to one only.", required=False),
            _text("code", "What a customer enters."),
            _text("scope", "What it reduces.", "line", "order", "shipping", required=True),
            _money("amount", "Money off."),
            _share("percent", "Share off: 0.10 is ten percent."),
            _money("max_discount", "Most that it takes off."),
            _money("min_spend", "Least spend from which it holds."),
            _flag("stacking", "Whether it adds to other coupons."),
            _flag("known_only", "Whether it is only for known customers who agreed to personal offers."),
            Column("limit_total", _T.INTEGER, "Redemptions in all.", low=0.0),
            Column("limit_per_customer", _T.INTEGER, "Redemptions by one customer.", low=0.0),
            _time("valid_from", "First moment.", required=True),
            _time("valid_to", "First moment after.", required=True),
            _CURRENCY,
        ),
        ("coupon_id",),
    ),
    Table(
        "coupon_products",
        "What a coupon is good for.",
        "Coupons: one may serve many products and several campaigns.",
        (
            _id("campaign_id", "Campaign.", required=False),
            _id("coupon_id", "Coupon."),
            _MAYBE_PRODUCT,
            _text("category", "A whole category."),
        ),
        ("campaign_id", "coupon_id", "product_id", "category"),
        one_of=(("product_id", "category"),),
    ),
    Table(
        "coupon_exposures",
        "A customer was given a coupon or a campaign.",
        "Incremental effect, off-policy evaluation.",
        (
            _customer(),
            _id("coupon_id", "Coupon.", required=False),
            _id("campaign_id", "Campaign.", required=False),
            _AT,
            _CHANNEL,
            _text("assigned_by", "Rule, experiment or policy that chose."),
            _share("propensity", "Probability with which it was chosen."),
            _flag("holdout", "Chosen to receive nothing."),
            _text(
                "drawn_among",
                "Coupons that could have been drawn beside nothing, separated by |; absent: those that the "
                "campaign drew for anybody.",
            ),
        ),
        ("customer_id", "coupon_id", "campaign_id", "at"),
        one_of=(("coupon_id", "campaign_id"),),
    ),
    Table(
        "redemptions",
        "A customer used a coupon.",
        "Redemption model.",
        (
            _customer(),
            _id("coupon_id", "Coupon."),
            _id("campaign_id", "Campaign.", required=False),
            _AT,
            _id("order_id", "Order.", required=False),
            _id("line_id", "Line.", required=False),
            _money("discount", "Money off."),
            _text("status", "What became of it: redeemed, reversed, ..."),
            _CURRENCY,
        ),
    ),
    Table(
        "customers",
        "One customer, by pseudonym.",
        "Segmentation, fairness report; business customers are set apart.",
        (
            _customer(),
            _time("first_seen", "First contact."),
            _text("group", "Business customers are set apart.", "retail", "business"),
            _text("jurisdiction", "Country or state whose law holds."),
        ),
        ("customer_id",),
        declared=True,
    ),
    Table(
        "consents",
        "One answer of a customer about one purpose.",
        "Personal offers.",
        (
            _customer(),
            _text("purpose", "What it allows.", required=True),
            Column("granted", _T.BOOLEAN, "The answer.", required=True),
            _AT,
            _text("text_version", "Version of the text that was shown.", required=True),
            _text("source", "Where it was given.", required=True),
        ),
        ("customer_id", "purpose", "at"),
    ),
    Table(
        "events",
        "Something a visitor did.",
        "Cart abandonment, engagement.",
        (
            _customer(required=False),
            Column("session_id", _T.TEXT, "Visit.", required=True, personal=True),
            _AT,
            _text(
                "event",
                "What.",
                *("view", "search", "cart_add", "cart_remove", "checkout", "purchase"),
                *("email_open", "email_click"),
                required=True,
            ),
            _MAYBE_PRODUCT,
            _id("cart_id", "Cart.", required=False),
        ),
    ),
)

TABLES: tuple[Table, ...] = _SALES + _ASSORTMENT + _SURROUNDINGS + _CUSTOMERS
"""Every table of the contract, in the order in which they are documented."""

_BY_NAME = {entry.name: entry for entry in TABLES}


def table(name: str) -> Table:
    """Return a table by name; raises :class:`UsageError` for one that the contract does not have."""
    if name not in _BY_NAME:
        raise UsageError(f"The data contract has no table {name}.", todo=f"It has {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]
