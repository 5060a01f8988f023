"""What each household bought in each period, as far as it may be read, and what of it was profit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.errors import DataError, MissingCost, SettingsError
from simulators.contract.engine import literal, quoted
from simulators.contract.order_lines import define_order_lines
from simulators.contract.tables import Source
from simulators.customers.consent import agreed

__all__ = ["PURCHASE_TABLES", "Economics", "Purchases", "build_purchases"]

PURCHASE_TABLES = ("orders", "products", "customers", "consents", "costs", "events")
"""What :func:`build_purchases` reads: `only` of :func:`simulators.contract.tables.open_source`."""

_LEAST_PERIODS = 8


@dataclass(frozen=True, slots=True)
class Economics:
    """What is left of a basket, as shares of its value at gross shelf prices.

    Attributes
    ----------
    net
        Share that is not tax.
    cost
        Net cost of the goods.
    fee
        Fees that are a share of what the customer pays.
    cost_assumed
        Share (0-1) of that cost which rests on the shop file's assumption and on no costs table.
    """

    net: float
    cost: float
    fee: float
    cost_assumed: float

    def margin(self, depth: Floats) -> Floats:
        """Return net profit over shelf value when the shop gives a discount of `depth` (0-1)."""
        out: Floats = (1.0 - depth) * (self.net - self.fee) - self.cost
        return out


@dataclass(frozen=True, slots=True)
class Purchases:
    """H households over T whole periods.

    Attributes
    ----------
    customer
        H pseudonyms, ascending; households that may be read one by one.
    value
        float64 [H, T]; goods bought at gross shelf prices, minor units; 0 where nothing was.
    cart
        bool [H, T]; put something into a cart; all False where the shop records no events.
    events
        Whether the shop records events.
    first_day, period_days
        First day of the first period, from 1970-01-01; days of a period.
    anonymous
        Households that did not agree: counted, never told apart.
    economics
        Of all baskets together.
    currency, fingerprint
        ISO 4217 code; of the data.
    """

    customer: tuple[str, ...]
    value: Floats
    cart: Bools
    events: bool
    first_day: int
    period_days: int
    anonymous: int
    economics: Economics
    currency: str
    fingerprint: str


def build_purchases(source: Source, purpose: str | None) -> Purchases:
    """Read purchases of retail goods, added up where they lie to one row a household and period.

    Periods that the data do not cover to their end are left out, for they hold too little.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`PURCHASE_TABLES` are read.
    purpose
        See :func:`simulators.customers.consent.agreed`.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    MissingCost
        If goods have no cost and the shop file assumes none.
    DataError
        If no household may be read, or fewer than eight whole periods are covered.
    """
    source.require_clean()
    define_order_lines(source)
    engine, days = source.engine, source.shop.period_days
    engine.run(_PURCHASES.format(agreed=agreed(purpose, "known.customer_id")))
    found = engine.arrays(
        "SELECT customer_id, period, value FROM coupon_purchases WHERE agreed ORDER BY customer_id, period"
    )
    anonymous = engine.count("SELECT count(DISTINCT customer_id) FROM coupon_purchases WHERE NOT agreed")
    if len(found["value"]) == 0:
        raise DataError(
            "No purchase belongs to a household that may be read.",
            why=f"{anonymous} households have not consented to {purpose}." if purpose else "",
            todo="Fill customer_id in orders, and the consents table.",
        )
    first, last = (int(v) for v in engine.row(_COVERED.format(days=days)))
    count = (last - first) // days
    if count < _LEAST_PERIODS:
        raise DataError(
            f"The orders cover {max(count, 0)} whole periods.",
            why=f"Habits of households need {_LEAST_PERIODS}.",
            todo="Hand over more of the past.",
        )
    customer, row = np.unique(found["customer_id"].astype(str), return_inverse=True)
    value = np.zeros((len(customer), count))
    column = (found["period"].astype(np.int64) - first) // days
    there = (column >= 0) & (column < count)
    value[row[there], column[there]] = found["value"].astype(np.float64)[there]
    names = tuple(map(str, customer))
    events = engine.count("SELECT count(*) FROM events WHERE event = 'cart_add'") > 0
    cart = _carts(source, names, value.shape, first) if events else np.zeros(value.shape, dtype=np.bool_)
    return Purchases(
        names, value, cart, events, first, days, anonymous, _economics(source),
        source.shop.currency, source.fingerprint,
    )  # fmt: skip


_PURCHASES = """
CREATE OR REPLACE TABLE coupon_purchases AS
WITH known AS (SELECT DISTINCT customer_id FROM order_lines WHERE apart IS NULL AND customer_id IS NOT NULL),
said AS (SELECT customer_id, {agreed} AS agreed FROM known)
SELECT o.customer_id, o.period - DATE '1970-01-01' AS period, any_value(agreed) AS agreed,
    sum(o.quantity * o.offered_price * o.gross)::DOUBLE AS value
FROM order_lines AS o JOIN said USING (customer_id) WHERE o.apart IS NULL GROUP BY ALL
HAVING value > 0
"""

_COVERED = """
SELECT min(CASE WHEN period = first THEN period ELSE period + {days} END) - DATE '1970-01-01',
    max(CASE WHEN period + {days} - 1 <= last THEN period + {days} ELSE period END) - DATE '1970-01-01'
FROM (SELECT period, min(day) OVER () AS first, max(day) OVER () AS last FROM order_lines WHERE apart IS NULL)
"""
"""First day of the first period, and the day after the last one, that orders cover whole."""


def _carts(source: Source, customer: tuple[str, ...], shape: tuple[int, int], first: int) -> Bools:
    """Return in which periods a household put something into a cart."""
    found = source.engine.arrays(
        "SELECT DISTINCT customer_id, \"at\"::DATE - DATE '1970-01-01' AS day FROM events "
        "WHERE event = 'cart_add' AND customer_id IS NOT NULL ORDER BY ALL"
    )
    out = np.zeros(shape, dtype=np.bool_)
    names = np.array(customer)
    place = np.minimum(np.searchsorted(names, found["customer_id"].astype(str)), len(names) - 1)
    column = (found["day"].astype(np.int64) - first) // source.shop.period_days
    good = (names[place] == found["customer_id"].astype(str)) & (column >= 0) & (column < shape[1])
    out[place[good], column[good]] = True
    return out


def _economics(source: Source) -> Economics:
    """Return what is left of all baskets together; an assumed cost is a share of the net regular price."""
    assumption, engine = source.shop.cost_assumption, source.engine
    share = "NULL"
    if assumption is not None:
        if assumption.by not in {name for name, _ in engine.columns("SELECT * FROM products")}:
            raise SettingsError(f"cost_assumption.by = {assumption.by!r} is not a column of products.")
        cases = " ".join(
            f"WHEN p.{quoted(assumption.by)} = {literal(name)} THEN {value!r}"
            for name, value in assumption.shares.items()
        )
        share = f"CASE {cases} ELSE {assumption.default!r} END" if cases else repr(assumption.default)
    value, net, known, assumed, lacking = engine.row(_MONEY.format(share=share))
    if lacking:
        raise MissingCost(
            f"{lacking} order lines have no cost.",
            why="Without costs nobody can say what a coupon earns.",
            todo="Add a costs table, or state [cost_assumption] in shop.toml.",
        )
    cost = known + assumed
    fees = source.shop.fees.share
    return Economics(net / value, cost / value, fees, assumed / cost if cost > 0.0 else 0.0)


_MONEY = """
WITH dated AS (
    SELECT product_id, valid_from::DATE AS since, max_by(unit_cost, _row) AS unit_cost FROM costs GROUP BY ALL
), earliest AS (SELECT product_id, arg_min(unit_cost, since) AS unit_cost FROM dated GROUP BY ALL),
lines AS (
    SELECT quantity * offered_price * o.gross AS value,
        quantity * offered_price * o.gross / (1 + rate) AS net,
        quantity * coalesce(d.unit_cost, e.unit_cost) AS known,
        quantity * coalesce(regular_price, offered_price) * o.gross / (1 + rate) * ({share}) AS assumed
    FROM order_lines AS o JOIN products AS p USING (product_id)
        LEFT JOIN earliest AS e ON e.product_id = o.product_id
        ASOF LEFT JOIN dated AS d ON d.product_id = o.product_id AND d.since <= o.day
    WHERE o.apart IS NULL
)
SELECT sum(value)::DOUBLE, sum(net)::DOUBLE, coalesce(sum(known), 0)::DOUBLE,
    coalesce(sum(assumed) FILTER (known IS NULL), 0)::DOUBLE,
    count(*) FILTER (known IS NULL AND assumed IS NULL)
FROM lines
"""
