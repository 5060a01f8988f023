"""A portrait as tables that other programs read: one row a customer, product, coupon or cart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.csv

from pricing.arrays import Bools, Floats, Ints
from pricing.customer_outputs import COUPON_RELEVANCE, CUSTOMER_PROFILES, NEXT_PRODUCTS, OPEN_CARTS
from simulators.customers.portrait import Carts, Portrait, Wish
from simulators.customers.relevance import Ranked, Relevance
from simulators.output_schema import declared_table

__all__ = ["csv_bytes", "portrait_id", "portrait_tables"]

pa: Any = pyarrow
pc: Any = pyarrow.csv
"""Untyped libraries, said to be so once."""


def portrait_id(portrait: Portrait, wish: Wish, purpose: str | None) -> str:
    """Return twelve hexadecimal digits that follow from the data and what was asked."""
    asked = repr((portrait.fingerprint, astuple(wish), purpose, portrait.as_of, portrait.days))
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def portrait_tables(portrait: Portrait, run_id: str) -> Mapping[str, Any]:
    """Return the portrait's tables by name, pyarrow each; what could not be told has no table."""
    found = {CUSTOMER_PROFILES.name: _profiles(portrait, run_id)}
    if portrait.relevance is not None:
        for table, column, ranked in (
            (NEXT_PRODUCTS, "product_id", portrait.relevance.products),
            (COUPON_RELEVANCE, "coupon_id", portrait.relevance.coupons),
        ):
            rows, columns = _ranked(portrait.relevance, ranked, column)
            given = {"run_id": run_id, **columns, **_horizon(portrait, rows)}
            found[table.name] = declared_table(table, rows, given)
    if portrait.carts is not None:
        found[OPEN_CARTS.name] = _carts(portrait, portrait.carts, run_id)
    return found


def _profiles(portrait: Portrait, run_id: str) -> Any:
    agreed = np.flatnonzero(portrait.customers.consented)
    customers, worth = portrait.customers, portrait.worth
    names = [customers.customer[int(i)] for i in agreed]
    scores = portrait.scores[agreed]
    label = np.full(len(agreed), -1) if portrait.clusters is None else portrait.clusters.label[agreed]
    since = np.rint(np.expm1(customers.column("recency")[agreed])).astype(np.int64)
    order_days = np.rint(np.expm1(customers.column("frequency")[agreed])).astype(np.int64)
    columns = {
        "run_id": run_id,
        "currency": portrait.currency,
        "customer_id": names,
        "as_of": _dates(portrait, len(agreed)),
        "segment": [portrait.group[int(i)].value for i in agreed],
        "cluster": _or_null((label + 1).astype(np.int64), label < 0),
        **{
            f"{name}_score": _or_null(scores[:, place], scores[:, place] == 0)
            for place, name in enumerate(("recency", "frequency", "monetary"))
        },
        "days_since_order": _or_null(since, customers.column("tenure")[agreed] == 0.0),
        "order_days": order_days,
        "revenue": worth.revenue[agreed],
        "profit": worth.profit[agreed] if worth.has_profit else None,
        **_horizon(portrait, len(agreed)),
        **_outlook(portrait, names),
    }
    return declared_table(CUSTOMER_PROFILES, len(agreed), columns)


def _outlook(portrait: Portrait, names: list[str]) -> dict[str, Any]:
    """Return the columns of the outlook; null of customers without one."""
    outlook = portrait.outlook
    if outlook is None:
        return dict.fromkeys(_OUTLOOK, None)
    place = {name: i for i, name in enumerate(outlook.customer)}
    row = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    none: Bools = row < 0

    def day(days: Ints) -> Any:
        there = days[row]
        dates = (outlook.as_of + there - 1).astype("datetime64[D]")
        return pa.array(dates, mask=none | (there == 0))

    usual = outlook.usual[row]
    return {
        "returns": _or_null(outlook.back[row], none),
        "returns_lower": _or_null(outlook.back_lower[row], none),
        "returns_upper": _or_null(outlook.back_upper[row], none),
        "expected_order_days": _or_null(outlook.visits[row], none),
        "order_days_lower": _or_null(outlook.visits_lower[row], none),
        "order_days_upper": _or_null(outlook.visits_upper[row], none),
        "next_order": day(outlook.next_day),
        "next_order_lower": day(outlook.next_lower),
        "next_order_upper": day(outlook.next_upper),
        "usual_order_days": _or_null(usual, none | np.isnan(usual)),
        "comes_less": _or_null(outlook.comes_less[row], none | np.isnan(outlook.comes_less[row])),
        "likely_less": _or_null(outlook.likely_less[row], none),
    }


_OUTLOOK = (
    "returns", "returns_lower", "returns_upper", "expected_order_days", "order_days_lower",
    "order_days_upper", "next_order", "next_order_lower", "next_order_upper", "usual_order_days",
    "comes_less", "likely_less",
)  # fmt: skip


def _ranked(relevance: Relevance, ranked: Ranked, column: str) -> tuple[int, dict[str, Any]]:
    row, rank = np.nonzero(ranked.best >= 0)
    names = [ranked.name[int(place)] for place in ranked.best[row, rank]]
    return len(row), {
        "customer_id": [relevance.customer[int(i)] for i in row],
        "rank": (rank + 1).astype(np.int64),
        column: names,
        "probability": ranked.probability[row, rank],
    }


def _carts(portrait: Portrait, carts: Carts, run_id: str) -> Any:
    found = carts.open
    names, first = np.unique(np.array(found.customer, dtype=np.str_), return_index=True)
    begins = dict(zip(names.tolist(), first.tolist(), strict=True))
    value: Ints = np.rint(found.value).astype(np.int64)
    columns = {
        "run_id": run_id,
        "currency": portrait.currency,
        "customer_id": list(found.customer),
        "cart": np.array([i - begins[name] + 1 for i, name in enumerate(found.customer)], dtype=np.int64),
        "cart_id": [name or None for name in found.cart],
        "as_of": _dates(portrait, len(found)),
        "hours": found.hours,
        "value": _or_null(value, value == 0),
        "bought": found.bought,
        "abandoned": 1.0 - found.bought,
        "call_after": found.call_after,
    }
    return declared_table(OPEN_CARTS, len(found), columns)


def _horizon(portrait: Portrait, rows: int) -> dict[str, Any]:
    return {"as_of": _dates(portrait, rows), "horizon_days": np.full(rows, portrait.days, dtype=np.int64)}


def _dates(portrait: Portrait, rows: int) -> Any:
    return np.full(rows, np.datetime64(portrait.as_of, "D"))


def _or_null(values: Floats | Ints | Bools, null: Bools) -> Any:
    return pa.array(values, mask=np.asarray(null, dtype=np.bool_))


def csv_bytes(table: Any) -> bytes:
    """Return a pyarrow Table as CSV, UTF-8, with a header; null is empty."""
    out: Any = pa.BufferOutputStream()
    pc.write_csv(table, out)
    return bytes(out.getvalue().to_pybytes())
