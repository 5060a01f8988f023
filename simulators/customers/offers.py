"""Offers: which household was given which campaign, what was known of it that day, and what came of it.

Everything that describes a household counts strictly what lies before the day of its exposure. Aggregation
happens in the tables' own session; only one row an offer reaches Python.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError
from pricing.redemption import OFFER_FEATURES
from simulators.contract.engine import Engine
from simulators.contract.tables import Source
from simulators.customers.consent import agreed

__all__ = ["NEVER", "OFFER_TABLES", "Offers", "build_offers"]

NEVER = int(np.iinfo(np.int64).max)
"""Day of a redemption that has not happened."""

OFFER_TABLES = (
    "orders", "products", "discounts", "campaigns", "coupons", "coupon_products", "coupon_exposures",
    "redemptions", "customers", "consents",
)  # fmt: skip
"""What :func:`build_offers` reads: the argument `only` of :func:`simulators.contract.tables.open_source`."""

_RECENT_DAYS = 56


@dataclass(frozen=True, slots=True)
class Offers:
    """N offers, ascending by day, household and campaign. Days count from 1970-01-01.

    Attributes
    ----------
    customer, campaign, kind
        Pseudonym of the household; the campaign; its kind.
    day
        int64 [N]; day of the household's first exposure.
    ends
        int64 [N]; first day on which the campaign is over.
    redeemed
        int64 [N]; day of the first redemption from `day` on, :data:`NEVER` where there is none.
    features
        float64 [N, K]; see :data:`pricing.redemption.OFFER_FEATURES`.
    first_day, last_day
        int; days of the first and the last paid order: what the tables cover.
    fingerprint
        str; of the data.
    """

    customer: tuple[str, ...]
    campaign: tuple[str, ...]
    kind: tuple[str, ...]
    day: Ints
    ends: Ints
    redeemed: Ints
    features: Floats
    first_day: int
    last_day: int
    fingerprint: str

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, chosen: Bools) -> Offers:
        """Return the offers where `chosen` [N] holds."""
        index = [int(i) for i in np.flatnonzero(chosen)]
        return replace(
            self,
            customer=tuple(self.customer[i] for i in index),
            campaign=tuple(self.campaign[i] for i in index),
            kind=tuple(self.kind[i] for i in index),
            day=self.day[chosen],
            ends=self.ends[chosen],
            redeemed=self.redeemed[chosen],
            features=self.features[chosen],
        )

    def elapsed(self, today: Ints | int) -> Floats:
        """Return the share (0-1) of each offer's window that lies before the day `today`, float64 [N]."""
        share: Floats = (today - self.day) / (self.ends - self.day)
        return np.clip(share, 0.0, 1.0)


def build_offers(source: Source, purpose: str | None) -> Offers:
    """Read the offers of a shop and describe each household as it was known the day before.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`OFFER_TABLES` are read.
    purpose
        Only households count whose last answer in the consents table about this purpose is yes, and was yes
        when they were exposed; with no answer there is no consent. None: the caller has another ground
        to read every household's history (a research panel that agreed to take part), and says so here.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If there are no offers, or an exposure or a redemption cannot be assigned to one campaign.
    """
    source.require_clean()
    engine = source.engine
    _require_campaign(engine, "coupon_exposures")
    _require_campaign(engine, "redemptions")
    _define_offers(engine, purpose)
    if engine.count("SELECT count(*) FROM offers") == 0:
        raise DataError(
            "No household was offered a coupon.",
            why="coupon_exposures has no row for a campaign"
            + (f" by a customer who consented to {purpose}." if purpose else "."),
            todo="Add coupon_exposures, campaigns and coupons; see docs/data-contract.md.",
        )
    _define_histories(engine)
    found = engine.arrays(f"SELECT * FROM ({_DESCRIBED}) ORDER BY day, customer_id, campaign_id")
    columns = [np.asarray(found[name], dtype=np.float64) for name in OFFER_FEATURES]
    first, last = engine.row("SELECT min(day) - DATE '1970-01-01', max(day) - DATE '1970-01-01' FROM visits")
    return Offers(
        customer=tuple(map(str, found["customer_id"])),
        campaign=tuple(map(str, found["campaign_id"])),
        kind=tuple(map(str, found["kind"])),
        day=np.asarray(found["day"], dtype=np.int64),
        ends=np.asarray(found["ends"], dtype=np.int64),
        redeemed=np.asarray(found["redeemed"], dtype=np.int64),
        features=np.stack(columns, axis=1),
        first_day=int(first),
        last_day=int(last),
        fingerprint=source.fingerprint,
    )


def _require_campaign(engine: Engine, name: str) -> None:
    found = engine.rows(
        f"SELECT e._row, e.coupon_id FROM {name} AS e LEFT JOIN coupons AS k USING (coupon_id) "
        "LEFT JOIN campaigns AS c ON c.campaign_id = coalesce(e.campaign_id, k.campaign_id) "
        "WHERE c.campaign_id IS NULL ORDER BY e._row LIMIT 1"
    )
    if found:
        row, coupon = found[0]
        raise DataError(
            f"{name}, row {row}: coupon {coupon} was not given for one campaign of the campaigns table.",
            why="An offer is one household and one campaign.",
            todo=f"Fill campaign_id in {name}, or in coupons where a coupon belongs to one campaign only.",
        )


def _define_offers(engine: Engine, purpose: str | None) -> None:
    consented = agreed(purpose, "e.customer_id", 'e."at"')
    engine.run(
        f"""
        CREATE OR REPLACE TABLE offers AS
        SELECT e.customer_id, c.campaign_id, c.kind, min(e."at")::DATE AS day,
            (c.ends_at - INTERVAL 1 MICROSECOND)::DATE + 1 AS ends
        FROM coupon_exposures AS e LEFT JOIN coupons AS k USING (coupon_id)
            JOIN campaigns AS c ON c.campaign_id = coalesce(e.campaign_id, k.campaign_id)
        WHERE NOT coalesce(e.holdout, false) AND {consented}
        GROUP BY e.customer_id, c.campaign_id, c.kind, c.ends_at
        HAVING min(e."at") < c.ends_at
        """
    )


def _define_histories(engine: Engine) -> None:
    """Define `visits` (household x day), `bought` (household x product x day) and what campaigns cover."""
    for statement in _HISTORIES:
        engine.run(statement)


_HISTORIES = (
    """
    CREATE OR REPLACE VIEW household_lines AS SELECT o.customer_id, o.order_id, o.line_id, o.product_id,
        o.ordered_at::DATE AS day, o.regular_price
    FROM orders AS o JOIN (SELECT DISTINCT customer_id FROM offers) USING (customer_id)
    WHERE o.status = 'paid'
    """,
    """
    CREATE OR REPLACE TABLE visits AS
    WITH used AS (
        SELECT order_id, count(DISTINCT coalesce(line_id, '')) AS lines
        FROM discounts WHERE kind = 'coupon' GROUP BY order_id
    ), placed AS (SELECT DISTINCT customer_id, order_id, day FROM household_lines)
    SELECT customer_id, day, coalesce(sum(used.lines), 0) AS coupon_lines
    FROM placed LEFT JOIN used USING (order_id) GROUP BY customer_id, day
    """,
    """
    CREATE OR REPLACE TABLE bought AS
    SELECT customer_id, product_id, any_value(coalesce(p.subcategory, p.category)) AS subcategory, day,
        count(*) AS lines
    FROM household_lines JOIN products AS p USING (product_id) GROUP BY customer_id, product_id, day
    """,
    """
    CREATE OR REPLACE TABLE covered AS
    WITH named AS (
        SELECT coalesce(x.campaign_id, k.campaign_id) AS campaign_id, x.coupon_id, x.product_id, x.category
        FROM coupon_products AS x LEFT JOIN coupons AS k USING (coupon_id)
    ), products_named AS (
        SELECT campaign_id, coupon_id, product_id FROM named WHERE product_id IS NOT NULL
        UNION SELECT n.campaign_id, n.coupon_id, p.product_id FROM named AS n
            JOIN products AS p USING (category) WHERE n.product_id IS NULL
    )
    SELECT campaign_id, coupon_id, product_id, coalesce(subcategory, category) AS subcategory
    FROM products_named JOIN products USING (product_id)
    """,
    """
    CREATE OR REPLACE TABLE face_values AS
    WITH began AS (SELECT campaign_id, min(day) AS day FROM offers GROUP BY campaign_id),
    shared AS MATERIALIZED (
        SELECT c.campaign_id, c.coupon_id, c.product_id, k.percent, b.day
        FROM coupons AS k JOIN covered AS c USING (coupon_id) JOIN began AS b ON b.campaign_id = c.campaign_id
        WHERE k.percent IS NOT NULL
    ), shares AS (
        SELECT c.campaign_id, c.coupon_id, any_value(c.percent) * median(l.regular_price) AS amount
        FROM shared AS c JOIN household_lines AS l ON l.product_id = c.product_id AND l.day < c.day
        GROUP BY c.campaign_id, c.coupon_id
    ), given AS (SELECT DISTINCT campaign_id, coupon_id FROM covered)
    SELECT g.campaign_id,
        ln(avg(nullif(coalesce(k.amount, s.amount), 0) ORDER BY g.coupon_id)) AS face_value
    FROM given AS g JOIN coupons AS k USING (coupon_id) LEFT JOIN shares AS s
        ON s.campaign_id = g.campaign_id AND s.coupon_id = g.coupon_id
    GROUP BY g.campaign_id
    """,
)

_DESCRIBED = f"""
WITH seen AS (
    SELECT f.customer_id, f.campaign_id, count(v.day) AS days,
        count(v.day) FILTER (v.coupon_lines > 0) AS with_coupon,
        coalesce(sum(v.coupon_lines) FILTER (v.day >= f.day - {_RECENT_DAYS}), 0) AS coupon_lines
    FROM offers AS f LEFT JOIN visits AS v ON v.customer_id = f.customer_id AND v.day < f.day
    GROUP BY f.customer_id, f.campaign_id
), recent AS (
    SELECT f.customer_id, f.campaign_id, b.product_id, b.subcategory, b.lines
    FROM offers AS f JOIN bought AS b
        ON b.customer_id = f.customer_id AND b.day < f.day AND b.day >= f.day - {_RECENT_DAYS}
), by_product AS (
    SELECT customer_id, campaign_id, sum(lines) AS lines FROM recent
        JOIN (SELECT DISTINCT campaign_id, product_id FROM covered) USING (campaign_id, product_id)
    GROUP BY customer_id, campaign_id
), by_subcategory AS (
    SELECT customer_id, campaign_id, sum(lines) AS lines FROM recent
        JOIN (SELECT DISTINCT campaign_id, subcategory FROM covered) USING (campaign_id, subcategory)
    GROUP BY customer_id, campaign_id
), used AS (
    SELECT f.customer_id, f.campaign_id, min(r."at")::DATE AS day
    FROM offers AS f JOIN redemptions AS r ON r.customer_id = f.customer_id AND r."at"::DATE >= f.day
            AND r."at"::DATE < f.ends AND coalesce(r.status, 'redeemed') = 'redeemed'
        LEFT JOIN coupons AS k USING (coupon_id)
    WHERE coalesce(r.campaign_id, k.campaign_id) = f.campaign_id GROUP BY f.customer_id, f.campaign_id
)
SELECT f.customer_id, f.campaign_id, f.kind, f.day - DATE '1970-01-01' AS day,
    f.ends - DATE '1970-01-01' AS ends, coalesce(used.day - DATE '1970-01-01', {NEVER}) AS redeemed,
    ln(1 + 10 * (seen.with_coupon + 0.3) / (seen.days + 8)) AS coupon_share,
    ln(1 + seen.coupon_lines) AS recent_coupons, ln(1 + coalesce(by_product.lines, 0)) AS affinity,
    ln(1 + coalesce(by_subcategory.lines, 0)) AS subcategory_affinity, face_values.face_value
FROM offers AS f JOIN seen USING (customer_id, campaign_id)
    LEFT JOIN by_product USING (customer_id, campaign_id)
    LEFT JOIN by_subcategory USING (customer_id, campaign_id)
    LEFT JOIN used USING (customer_id, campaign_id) LEFT JOIN face_values USING (campaign_id)
"""
