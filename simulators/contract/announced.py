"""Reductions that the shop announced, each against the lowest price of the 30 days before it.

Every row of ``prices`` with `announced_reduction` claims that the price was `regular_price`. The lawful claim
is at most the prior price when the reduction was announced (:mod:`pricing.prior_price`), which is the start
of its row; rows that follow one another at one reduced price are one announcement. Each shelf (product, zone,
channel, price list) is compared with itself only; price lists for business customers are left out, because
the law is about consumers. What is found is told and nothing is set aside: a price that was announced wrongly
was still the price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.arrays import Bools, Ints
from pricing.prior_price import NOT_OFFERED, Known, PriceHistory, PriorPrice, prior_price
from simulators.contract.engine import literal
from simulators.contract.local_time import local_time
from simulators.contract.order_lines import gross_factor
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source

__all__ = ["AnnouncedReductions", "Claim", "announced_reductions"]


@dataclass(frozen=True, slots=True)
class Claim:
    """An announced reduction that claims more than it may; prices are gross minor units.

    Attributes
    ----------
    row
        Of the file that the table was read from.
    product_id, zone
        What is reduced, where.
    announced_at
        When, in the shop's local time, ISO.
    claimed, offered
        The "was" price that it shows, and the reduced one.
    prior_price
        The lawful "was" price: at most this may be claimed.
    reduced
        Whether the reduced price is below it at all; otherwise there is no reduction to announce.
    """

    row: int
    product_id: str
    zone: str
    announced_at: str
    claimed: int
    offered: int
    prior_price: int
    reduced: bool


@dataclass(frozen=True, slots=True)
class AnnouncedReductions:
    """What was announced, and what of it claims too much.

    Attributes
    ----------
    rows
        Rows with an announced reduction.
    untold
        Of these, how many the record is too short to judge: it does not reach 30 days back, or the product
        was not offered in them, and what it does show does not contradict the claim.
    claims
        Those that claim more than they may, by product, zone and time.
    """

    rows: int
    untold: int
    claims: tuple[Claim, ...]


def announced_reductions(source: Source) -> AnnouncedReductions:
    """Compare every announced reduction with its prior price.

    A price in force is known from the row that posted it, so a record of orders alone shows nothing here. A
    local time that occurs twice is read as the later one.

    Parameters
    ----------
    source
        An open source; only its table ``prices`` is read.
    """
    found = source.engine.arrays(_posted(source.shop))
    announced = found["announced"].astype(np.bool_)
    if not announced.any():
        return AnnouncedReductions(0, 0, ())
    shelf, at, offered = (found[name].astype(np.int64) for name in ("shelf", "at", "offered"))
    rows = np.flatnonzero(announced)
    begun = at[_beginnings(found, announced)][rows]
    local = local_time(source.shop.time_zone)
    prior = prior_price(_history(found), shelf[rows], begun, local)
    return _judged(found, rows, offered[rows], prior)


def _posted(shop: ShopFile) -> str:
    """Return SQL of the retail prices of every shelf on which a reduction was ever announced, in order."""
    lists = ", ".join(literal(name) for name in (" ", *shop.business_price_lists))
    zone = literal(shop.time_zone)
    gross = "CASE price_basis WHEN 'net' THEN 1 + rate ELSE 1 END"
    return f"""
        WITH posted AS (
            SELECT *, bool_or(coalesce(announced_reduction, false)) OVER shelf AS wanted,
                lead(valid_from) OVER (shelf ORDER BY valid_from) AS next,
                dense_rank() OVER (ORDER BY product_id, zone, channel, price_list) AS place
            FROM prices JOIN {gross_factor(shop)} AS z USING (zone)
            WHERE coalesce(price_list, '') NOT IN ({lists})
            WINDOW shelf AS (PARTITION BY product_id, zone, channel, price_list)
        )
        SELECT dense_rank() OVER (ORDER BY place) - 1 AS shelf, _row AS row, product_id, zone,
            strftime(valid_from, '%Y-%m-%dT%H:%M:%S') AS since,
            epoch_us(timezone({zone}, valid_from)) AS at,
            CASE WHEN valid_to < coalesce(next, TIMESTAMP '9999-01-01')
                THEN epoch_us(timezone({zone}, valid_to)) ELSE -1 END AS until,
            greatest(round(regular_price * {gross}), 1)::BIGINT AS regular,
            greatest(round(offered_price * {gross}), 1)::BIGINT AS offered,
            coalesce(announced_reduction, false) AS announced
        FROM posted WHERE wanted ORDER BY shelf, valid_from
        """


def _history(found: Mapping[str, NDArray[Any]]) -> PriceHistory:
    """Return the price history of every shelf; from the end of a row to the next nothing is offered."""
    shelf, at, until = (found[name].astype(np.int64) for name in ("shelf", "at", "until"))
    ends = np.flatnonzero(until != -1)
    owner = np.concatenate([shelf, shelf[ends]])
    instant = np.concatenate([at, until[ends]])
    nothing = np.full(len(ends), NOT_OFFERED, dtype=np.int64)
    prices = (np.concatenate([found[name].astype(np.int64), nothing]) for name in ("regular", "offered"))
    order = np.argsort(owner, kind="stable")
    start = np.searchsorted(owner[order], np.arange(int(shelf.max(initial=-1)) + 2)).astype(np.int64)
    return PriceHistory(start, instant[order], *(price[order] for price in prices))


def _beginnings(found: Mapping[str, NDArray[Any]], announced: Bools) -> Ints:
    """Return for each row the row with which its announcement began, int64 [R]."""
    shelf, offered, until = (found[name].astype(np.int64) for name in ("shelf", "offered", "until"))
    goes_on: Bools = np.zeros(len(shelf), dtype=np.bool_)
    same = (shelf[1:] == shelf[:-1]) & (offered[1:] == offered[:-1]) & (until[:-1] == -1)
    goes_on[1:] = announced[1:] & announced[:-1] & same
    return np.maximum.accumulate(np.where(goes_on, 0, np.arange(len(shelf), dtype=np.int64)))


def _judged(
    found: Mapping[str, NDArray[Any]], rows: Ints, offered: Ints, prior: PriorPrice
) -> AnnouncedReductions:
    claimed = found["regular"].astype(np.int64)[rows]
    seen = prior.lowest > 0
    none = seen & (offered >= prior.lowest)
    wrong = np.flatnonzero(none | (seen & (claimed > prior.lowest)))
    claims = tuple(
        Claim(
            row=int(found["row"][rows[i]]),
            product_id=str(found["product_id"][rows[i]]),
            zone=str(found["zone"][rows[i]]),
            announced_at=str(found["since"][rows[i]]),
            claimed=int(claimed[i]),
            offered=int(offered[i]),
            prior_price=int(prior.lowest[i]),
            reduced=not none[i],
        )
        for i in wrong
    )
    untold = np.not_equal(prior.known, Known.TOLD)
    untold[wrong] = False
    return AnnouncedReductions(len(rows), int(untold.sum()), claims)
