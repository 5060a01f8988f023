"""What serving drew by lot and what was redeemed, added to a data folder: so that it can be learned from.

Of campaigns: one exposure is a customer and a campaign, at the first decision in which one of its coupons had
any chance for that customer, apart from the lot. Until then the lot changed nothing, so who is held out and
who is not are alike, whatever the policy reads; from then on everything that differs is the campaign's doing,
coupons that were not worth giving included (Imbens and Rubin 2015, intention to treat).

Of coupons: one exposure is a decision that a policy with stored draws left open, given the lots: each coupon
that had a fair chance there, beside nothing, with the chance of it among these. What came before, and decided
whether it was open, is as much the one's as the other's (sequential randomisation, Robins 1986).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pricing.columns import ColumnType, Table
from pricing.errors import DataError
from pricing.money import Currency
from pricing.schema import table
from simulators.contract.engine import literal
from simulators.customers.consent import agreed
from simulators.importers.folder_additions import NEW_TYPES, Added, Continued, continued
from simulators.uplift.exposure_tables import EXPERIMENT

__all__ = ["CouponLog", "CouponUsed", "Drawn", "LogAdded", "add_coupon_log"]

_EXPOSURES, _REDEMPTIONS = table("coupon_exposures"), table("redemptions")
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn for one customer.

    Attributes
    ----------
    customer_id, campaign_id
        Keyed pseudonym; campaign.
    coupon_id
        What was drawn; None for a campaign as a whole, and for nothing.
    at
        UTC microseconds.
    nothing
        Nothing was drawn: the customer is held out, or got no coupon.
    chance
        Of what was drawn.
    among
        Coupons that could have been; empty for a campaign as a whole.
    """

    customer_id: str
    campaign_id: str
    coupon_id: str | None
    at: int
    nothing: bool
    chance: float
    among: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CouponUsed:
    """One redemption as it stands now; minor units, UTC microseconds."""

    customer_id: str
    coupon_id: str
    campaign_id: str
    at: int
    order_id: str
    discount: int
    reversed: bool


@dataclass(frozen=True, slots=True)
class CouponLog:
    """What a ledger knows: draws, redemptions, and its currency (empty without a campaign)."""

    drawn: tuple[Drawn, ...]
    used: tuple[CouponUsed, ...]
    currency: str


@dataclass(frozen=True, slots=True)
class LogAdded:
    """What was added.

    Attributes
    ----------
    exposures, redemptions
        Of the two tables.
    nothing
        Exposures added in which nothing was drawn.
    no_consent
        Rows of the log left out because nobody agreed that they be read.
    without_order
        Redemptions added whose order the data folder does not hold: they are written without it.
    """

    exposures: Added
    redemptions: Added
    nothing: int
    no_consent: int
    without_order: int


def add_coupon_log(before: Path, out: Path, log: CouponLog, today: dt.date | dt.datetime) -> LogAdded:
    """Write a data folder with the draws and redemptions of a log added to its tables.

    Only of customers who agree to the purpose of the shop file, and did at the time: unknown visitors and
    those who refused are counted and left out.

    Parameters
    ----------
    before, out, today
        As in :func:`simulators.importers.folder_additions.continued`.
    log
        Of the ledger.

    Raises
    ------
    DataError
        If the log counts in another currency, or a row contradicts one that is there.
    ArtifactError, UsageError
        As in :func:`simulators.importers.folder_additions.continued`.
    """
    touched = (_EXPOSURES.name, _REDEMPTIONS.name)
    with continued(before, out, touched, today, read=("consents", "orders")) as made:
        shop, engine = made.source.shop, made.source.engine
        if log.currency not in {"", shop.currency}:
            raise DataError(
                f"The ledger counts in {log.currency} and the shop in {shop.currency}.",
                todo="Give the store and the data folder of the same shop.",
            )
        lots, left = _add(made, _EXPOSURES, _drawn(log.drawn), "holdout")
        held = engine.count("SELECT count(*) FROM added WHERE holdout::VARCHAR = 'true'")
        bought = {str(row[0]) for row in engine.rows("SELECT DISTINCT order_id FROM orders")}
        used, other = _add(made, _REDEMPTIONS, _used(log.used, shop.money, bought), "discount")
        without = engine.count("SELECT count(*) FROM added WHERE order_id IS NULL")
        return LogAdded(lots, used, held, left + other, without)


Columns = Mapping[str, Sequence[str | float | None]]


def _drawn(rows: Sequence[Drawn]) -> Columns:
    return {
        "customer_id": [row.customer_id for row in rows],
        "coupon_id": [row.coupon_id for row in rows],
        "campaign_id": [row.campaign_id for row in rows],
        "at": [_moment(row.at) for row in rows],
        "assigned_by": [EXPERIMENT] * len(rows),
        "propensity": [f"{row.chance:.8f}" for row in rows],
        "holdout": [str(row.nothing).lower() for row in rows],
        "drawn_among": ["|".join(row.among) or None for row in rows],
    }


def _used(rows: Sequence[CouponUsed], money: Currency, bought: Collection[str]) -> Columns:
    return {
        "customer_id": [row.customer_id for row in rows],
        "coupon_id": [row.coupon_id for row in rows],
        "campaign_id": [row.campaign_id for row in rows],
        "at": [_moment(row.at) for row in rows],
        "order_id": [row.order_id if row.order_id in bought else None for row in rows],
        "discount": [f"{row.discount / money.scale:.8f}" for row in rows],
        "status": ["reversed" if row.reversed else "redeemed" for row in rows],
    }


def _moment(at: int) -> str:
    """Return an instant as text, UTC, whole seconds: what every form of the tables can hold."""
    return dt.datetime.fromtimestamp(at // _SECOND, dt.UTC).isoformat(sep=" ")


def _add(made: Continued, own: Table, columns: Columns, value: str) -> tuple[Added, int]:
    """Write a table with the rows that are allowed and not there yet; return how many had no consent."""
    engine, shop = made.source.engine, made.source.shop
    engine.register("said", {**columns, "place": [f"{row}" for row in range(len(columns["at"]))]})
    cells = ", ".join(f'"{name}"::{NEW_TYPES[own.column(name).type]} AS "{name}"' for name in columns)
    engine.run(f"CREATE OR REPLACE TEMP TABLE added AS SELECT {cells}, place::BIGINT AS place FROM said")
    local = f'timezone({literal(shop.time_zone)}, n."at")'
    allowed = agreed(shop.coupons.consent_purpose, "n.customer_id", local)
    no_consent = engine.count(f"SELECT count(*) FROM added AS n WHERE NOT ({allowed})")
    engine.run(f"DELETE FROM added AS n WHERE NOT ({allowed})")
    same = " AND ".join(
        f't."{name}" IS NOT DISTINCT FROM ' + (local if name == "at" else f'n."{name}"')
        for name in ("customer_id", "coupon_id", "campaign_id", "at", "order_id")
        if name in columns
    )
    new = (
        f'n."{value}" * {shop.money.scale}' if own.column(value).type is ColumnType.MONEY else f'n."{value}"'
    )
    there = f"FROM added AS n JOIN {own.name} AS t ON {same}"
    other = engine.rows(f'SELECT n.customer_id {there} WHERE t."{value}" IS DISTINCT FROM {new} ORDER BY 1')
    if other:
        raise DataError(
            f"{own.name} holds another {value} for {len(other)} rows of the log, the first of {other[0][0]}.",
            why="What was imported is never overwritten; the ledger may have gone on since an earlier log.",
            todo="Add the log to the folder as it was imported, without an earlier log.",
        )
    known = engine.count(f"SELECT count(DISTINCT n.place) {there}")
    engine.run(f"DELETE FROM added WHERE place IN (SELECT n.place {there})")
    rows = engine.count("SELECT count(*) FROM added")
    return Added(own.name, rows, known, made.lengthen(own)), no_consent
