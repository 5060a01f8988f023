"""Exposures read from a shop's tables: who was given what, and what they bought before, during and after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Floats, Ints
from pricing.customers import CUSTOMER_FEATURES, Customers
from pricing.errors import DataError
from simulators.contract.engine import Engine, literal
from simulators.contract.tables import Source
from simulators.customers.consent import agreed
from simulators.customers.features import CUSTOMER_TABLES, build_customers
from simulators.uplift.exposures import PHASES, Exposures
from simulators.uplift.line_profits import define_line_profits

__all__ = ["BY_RULE", "EXPERIMENT", "EXPOSURE_TABLES", "Left", "Read", "Windows", "build_exposures"]

EXPOSURE_TABLES = tuple(dict.fromkeys((*CUSTOMER_TABLES, "costs", "campaigns", "coupon_products")))
"""What :func:`build_exposures` reads: `only` of :func:`simulators.contract.tables.open_source`."""

BY_RULE = ("rule", "targeting", "manual")
"""Values of `assigned_by` that say that nothing was drawn, whatever stands under `propensity`."""

EXPERIMENT = "experiment"
"""Value of `assigned_by` that says that customers of a campaign were drawn with equal chance, so that a
missing `propensity` is the share of the campaign's customers who got the same."""

_LONGEST, _MOST_DAYS = 56, 40


@dataclass(frozen=True, slots=True)
class Windows:
    """Days of the phases; None: window as most coupons are valid, 56 at most; twice that afterwards."""

    window: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Exposures that were left out.

    Attributes
    ----------
    no_consent
        Their customer had not agreed to the purpose.
    not_over
        Their aftermath reaches beyond the data.
    too_early
        The data do not reach back one window before them.
    overlapping
        Counted, not left out: another exposure of the same customer falls into window or aftermath. Where
        exposures are drawn anew each time, the effect is then that of a coupon among later ones.
    """

    no_consent: int
    not_over: int
    too_early: int
    overlapping: int


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Exposures with whom they concern and what was left out.

    Attributes
    ----------
    exposures
        As arrays.
    names
        Pseudonym of each customer number.
    left
        What was left out.
    cost_assumed
        Whether unit costs of some products are the shop file's assumption.
    shares_taken
        Exposures whose propensity is the share of their campaign's customers.
    """

    exposures: Exposures
    names: tuple[str, ...]
    left: Left
    cost_assumed: bool
    shares_taken: int


def build_exposures(
    source: Source, purpose: str | None, windows: Windows = Windows(), since: str = "", until: str = ""
) -> Read:  # fmt: skip
    """Read the exposures of a shop.

    One exposure is one customer, one campaign (or coupon without one) and one moment. Offer 0 is a row with
    `holdout`; otherwise the offer is the coupon, or the campaign where a customer was given the campaign or
    several of its coupons.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`EXPOSURE_TABLES` are read.
    purpose
        Only customers count whose last answer about it is yes, and was when they were exposed; None: another
        ground to read every history, which the caller has and says.
    windows
        Lengths of the phases.
    since, until
        ISO dates; exposures on or after, and before; empty for all.

    Raises
    ------
    TooManyBadRows, MissingCost
        As elsewhere.
    DataError
        If the shop has no exposures that can be read, or rows contradict each other.
    """
    source.require_clean()
    engine = source.engine
    assumed = define_line_profits(source)
    no_consent = _define_exposed(engine, purpose, since, until)
    window, after = _lengths(engine, windows)
    left = _define_kept(engine, no_consent, window, after)
    count = engine.count("SELECT count(*) FROM kept")
    if count == 0:
        raise DataError(
            "No exposure to a coupon can be read.",
            why=f"{f'Since {since}: ' if since else ''}{left.no_consent} without consent to {purpose}, "
            f"{left.not_over} whose {window + after} days are not over in the data, {left.too_early} before "
            "the data begin.",
            todo="Add coupon_exposures, or take shorter windows (--window, --after); to have some left to "
            "evaluate on, fit with --until. See docs/coupons.md.",
        )
    found = engine.arrays(_MEASURED.format(window=window, after=after))
    return _read(source, found, left, _Terms(window, after, purpose, assumed))


def _define_exposed(engine: Engine, purpose: str | None, since: str, until: str) -> int:
    """Create ``exposed``, one row a customer, campaign and moment; return how many have no consent."""
    when = "".join(
        f' AND "at" {sign} TIMESTAMP {literal(day)}' for sign, day in ((">=", since), ("<", until)) if day
    )
    rule = ", ".join(map(literal, BY_RULE))
    engine.run(
        f"""
        CREATE OR REPLACE TABLE all_exposed AS
        SELECT e.customer_id, "at", coalesce(e.campaign_id, k.campaign_id, e.coupon_id) AS campaign,
            bool_or(coalesce(holdout, false)) AS held, bool_and(coalesce(holdout, false)) AS all_held,
            CASE WHEN count(DISTINCT e.coupon_id) = 1 AND count(*) = count(e.coupon_id)
                THEN min(e.coupon_id) END AS coupon,
            CASE WHEN min(propensity) = max(propensity) AND count(*) = count(propensity)
                THEN min(propensity) END AS propensity,
            CASE WHEN min(drawn_among) = max(drawn_among) AND count(*) = count(drawn_among)
                THEN min(drawn_among) ELSE '' END AS among,
            bool_or(lower(assigned_by) IN ({rule})) IS TRUE AS by_rule,
            bool_and(lower(assigned_by) = {literal(EXPERIMENT)}) IS TRUE AS experiment,
            min(coalesce(k.valid_to, c.ends_at, kc.ends_at)) AS ends,
            bool_and({agreed(purpose, "e.customer_id", 'e."at"')}) AS agreed
        FROM coupon_exposures AS e LEFT JOIN coupons AS k USING (coupon_id)
            LEFT JOIN campaigns AS c ON c.campaign_id = e.campaign_id
            LEFT JOIN campaigns AS kc ON kc.campaign_id = k.campaign_id
        WHERE true{when} GROUP BY ALL
        """
    )
    wrong = engine.rows(
        "SELECT customer_id, campaign FROM all_exposed WHERE held AND NOT all_held ORDER BY ALL LIMIT 1"
    )
    if wrong:
        raise DataError(
            f"A customer is held out of campaign {wrong[0][1]} and given its coupon at the same moment.",
            why="Rows of coupon_exposures contradict each other, so it is unknown what was given.",
            todo="Keep one of the rows.",
        )
    engine.run(
        """
        CREATE OR REPLACE TABLE exposed AS
        SELECT *, CASE WHEN held THEN '' ELSE coalesce(coupon, campaign) END AS offer,
            coalesce(propensity, CASE WHEN experiment AND NOT by_rule THEN
                count(*) OVER (PARTITION BY campaign, held, coupon)
                / (count(*) OVER (PARTITION BY campaign))::DOUBLE END) AS chance
        FROM all_exposed
        """
    )
    no_consent = engine.count("SELECT count(*) FROM exposed WHERE NOT agreed")
    engine.run("DELETE FROM exposed WHERE NOT agreed")
    return no_consent


def _lengths(engine: Engine, windows: Windows) -> tuple[int, int]:
    """Return days of the window and of the time after it."""
    usual = engine.row(
        "SELECT mode(greatest(date_diff('day', \"at\"::DATE, ends::DATE), 1) ORDER BY ends) FROM exposed "
        'WHERE ends > "at"'
    )[0]
    window = windows.window or min(int(usual or 14), _LONGEST)
    return window, 2 * window if windows.after is None else windows.after


def _define_kept(engine: Engine, no_consent: int, window: int, after: int) -> Left:
    """Create ``kept`` (n and its columns): exposures that the data cover from before to after."""
    first, last = engine.row(
        "SELECT min(day)::TIMESTAMP, (max(day) + 1)::TIMESTAMP FROM order_lines WHERE status = 'paid'"
    )
    begin, end = (f"TIMESTAMP {literal(str(moment))}" for moment in (first, last))
    over = f'"at" + INTERVAL {window + after} DAY <= {end}'
    early = f'"at" - INTERVAL {window} DAY < {begin}'
    engine.run(
        f"""
        CREATE OR REPLACE TABLE kept AS SELECT row_number() OVER (ORDER BY "at", customer_id, campaign) - 1
        AS n,
            customer_id, "at", campaign, offer, coupon, held, chance, propensity, by_rule, among
        FROM exposed WHERE {over} AND NOT ({early})
        """
    )
    overlapping = engine.count(
        'SELECT count(*) FROM (SELECT "at", lead("at") OVER (PARTITION BY customer_id ORDER BY "at", n) '
        f'AS next FROM kept) WHERE next < "at" + INTERVAL {window + after} DAY'
    )
    return Left(
        no_consent,
        engine.count(f"SELECT count(*) FROM exposed WHERE NOT ({over})"),
        engine.count(f"SELECT count(*) FROM exposed WHERE {over} AND {early}"),
        overlapping,
    )


_MEASURED = """
WITH sums AS (
    SELECT n, CASE WHEN l."at" < k."at" THEN 0 WHEN l."at" < k."at" + INTERVAL {window} DAY THEN 1 ELSE 2 END
            AS phase, sum(units) AS units, sum(round(revenue * 10000)::HUGEINT) / 10000.0 AS revenue,
        sum(round(profit * 10000)::HUGEINT) / 10000.0 AS profit
    FROM kept AS k JOIN line_profits AS l ON l.customer_id = k.customer_id
        AND l."at" >= k."at" - INTERVAL {window} DAY
        AND l."at" < k."at" + INTERVAL {window} DAY + INTERVAL {after} DAY
    GROUP BY ALL
), wide AS (
    SELECT n, {phases} FROM sums GROUP BY n
), used AS (
    SELECT n, r.order_id, sum(r.discount) AS stated
    FROM kept AS k JOIN redemptions AS r ON r.customer_id = k.customer_id AND NOT k.held
        AND r."at" >= k."at" AND r."at" < k."at" + INTERVAL {window} DAY
        AND coalesce(r.status, 'redeemed') = 'redeemed'
        LEFT JOIN coupons AS c ON c.coupon_id = r.coupon_id
    WHERE CASE WHEN k.coupon IS NOT NULL THEN r.coupon_id = k.coupon
        ELSE coalesce(r.campaign_id, c.campaign_id, r.coupon_id) = k.campaign END
    GROUP BY n, r.order_id
), rates AS (SELECT order_id, max(rate) AS rate, max(gross) AS gross FROM order_lines GROUP BY order_id),
shop_paid AS (
    SELECT order_id, sum(CASE WHEN funded_by = 'maker' THEN 0 ELSE amount END) AS amount
    FROM discounts WHERE kind = 'coupon' GROUP BY order_id
), cost AS (
    SELECT n, count(*) AS used,
        sum(round(coalesce(s.amount, stated, 0) * coalesce(gross, 1) / (1 + coalesce(rate, 0)) *
        10000)::HUGEINT)
            / 10000.0 AS discount
    FROM used LEFT JOIN shop_paid AS s USING (order_id) LEFT JOIN rates USING (order_id) GROUP BY n
)
SELECT k.n, k.customer_id, k."at"::DATE - DATE '1970-01-01' AS day, k.offer, k.campaign, k.among,
    k.chance, k.by_rule,
    k.propensity IS NULL AND k.chance IS NOT NULL AS taken, coalesce(cost.used, 0) AS used,
    coalesce(cost.discount, 0) AS discount, wide.* EXCLUDE (n)
FROM kept AS k LEFT JOIN wide USING (n) LEFT JOIN cost USING (n) ORDER BY k.n
""".replace(
    "{phases}",
    ", ".join(
        f"coalesce(sum({name}) FILTER (phase = {p}), 0)::DOUBLE AS {name}_{p}"
        for name in ("units", "revenue", "profit")
        for p in range(len(PHASES))
    ),
)
"""A coupon that was used: its discount is what the shop paid on that order for coupons by the discounts
table, else what the redemption says; net of the order's tax."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """Lengths of window and aftermath, purpose of the consents, whether costs are assumed."""

    window: int
    after: int
    purpose: str | None
    assumed: bool


def _read(source: Source, found: dict[str, Any], left: Left, terms: _Terms) -> Read:
    day = np.asarray(found["day"], dtype=np.int64)
    words, offer = np.unique(found["offer"].astype(str), return_inverse=True)
    offers = tuple(words.tolist())
    if offers[0] != "":
        offers, offer = ("", *offers), offer + 1
    declared = _declared(found["among"].astype(str), offers)
    _require_drawn(declared, offer, offers)
    names, customer = np.unique(found["customer_id"].astype(str), return_inverse=True)
    chance = np.asarray(found["chance"], dtype=np.float64)
    drawn = (
        np.isfinite(chance) & (chance > 0.0) & (chance < 1.0) & ~np.asarray(found["by_rule"], dtype=np.bool_)
    )

    def phased(name: str) -> Floats:
        columns = [
            np.nan_to_num(np.asarray(found[f"{name}_{p}"], dtype=np.float64)) for p in range(len(PHASES))
        ]
        return np.stack(columns, axis=1)

    def described(on: str) -> Customers:
        return build_customers(source, on, terms.purpose)

    exposures = Exposures(
        customer=customer.astype(np.int64),
        day=day,
        offers=offers,
        offer=offer.astype(np.int64),
        declared=declared,
        lottery=np.unique(found["campaign"].astype(str), return_inverse=True)[1].astype(np.int64),
        propensity=chance,
        drawn=drawn,
        features=tuple(feature.name for feature in CUSTOMER_FEATURES),
        X=_described(found["customer_id"].astype(str).tolist(), day, described),
        redeemed=np.asarray(found["used"], dtype=np.float64) > 0,
        discount=np.asarray(found["discount"], dtype=np.float64),
        units=phased("units"),
        revenue=phased("revenue"),
        profit=phased("profit"),
        window_days=terms.window,
        before_days=terms.window,
        after_days=terms.after,
        currency=source.shop.currency,
        fingerprint=source.fingerprint,
        as_of=str(np.datetime64(int(day.max()) + 1, "D")),
    )
    return Read(exposures, tuple(names.tolist()), left, terms.assumed, int(np.asarray(found["taken"]).sum()))


def _declared(among: NDArray[np.str_], offers: tuple[str, ...]) -> Bools:
    """Return which offers were possible, bool [N, K], no coupon always; none where nothing is said."""
    words, place = np.unique(among, return_inverse=True)
    sets = [set(word.split("|")) if word else set[str]() for word in words.tolist()]
    table = [[bool(some) and (k == 0 or name in some) for k, name in enumerate(offers)] for some in sets]
    return np.array(table, dtype=np.bool_).reshape(len(words), len(offers))[place]


def _require_drawn(declared: Bools, offer: Ints, offers: tuple[str, ...]) -> None:
    wrong = declared.any(axis=1) & ~np.take_along_axis(declared, offer[:, None], axis=1)[:, 0]
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} exposures were given what was not among drawn_among, the first "
            f"{offers[int(offer[np.argmax(wrong)])]}.",
            why="Then it is unknown what else could have been given.",
            todo="Name every coupon that could have been drawn, separated by |, or leave the column out.",
        )


def _described(names: list[str], day: Ints, describe: Callable[[str], Customers]) -> Floats:
    """Describe each customer as known before the day of the exposure, or before its week began.

    The week, where exposures fall on more than 40 days: a shop that gives coupons every day would have its
    tables read a hundred times for little.
    """
    as_of = day if len(np.unique(day)) <= _MOST_DAYS else day - (day + 3) % 7
    out = np.zeros((len(day), len(CUSTOMER_FEATURES)))
    for moment in np.unique(as_of):
        rows = np.flatnonzero(as_of == moment)
        known = describe((dt.date(1970, 1, 1) + dt.timedelta(days=int(moment))).isoformat())
        out[rows] = known.find([names[int(row)] for row in rows])
    return out
