"""Scored offers from a file, and the allocations table that other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.compute
import pyarrow.json
import pyarrow.parquet

from policies.allocation.instance import LARGEST, Choices
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError
from pricing.outputs import COUPON_ALLOCATIONS
from simulators.output_schema import declared_table

__all__ = ["SUMMARY", "ScoredOffers", "allocations_table", "read_offers", "scored_offers"]

pa: Any = pyarrow
pc: Any = pyarrow.compute
pj: Any = pyarrow.json
pq: Any = pyarrow.parquet
"""Untyped libraries, said to be so once."""

SUMMARY = b"tarifa.summary"
"""Key under which the metadata of the table hold shadow prices, gap and what is drawn, as JSON."""

_TEXTS, _NUMBERS = (
    ("customer_id", "coupon_id"),
    ("expected_incremental_profit", "expected_cost", "max_liability"),
)


_MOST_CELLS = 200_000_000
"""Customers times coupons that are weighed at once: about 5 GB."""


@dataclass(frozen=True, slots=True)
class ScoredOffers:
    """N customers and K offers, the first none, as scored elsewhere.

    Attributes
    ----------
    customer
        Arrow array of N pseudonyms, in the order in which they first come.
    coupon, campaign
        K identifiers; those of no coupon are empty. An empty campaign: none is named.
    value, cost
        float64 [N, K]; expected incremental profit and cost, minor units.
    liability
        float64 [N, K]; the most that an offer can cost, minor units.
    eligible
        bool [N, K]; the offers that have a row, and no coupon.
    recent
        int64 [N]; offers that the customer had lately; 0 where nothing says so.
    currency
        ISO 4217 code, empty where nothing says so.
    """

    customer: Any
    coupon: tuple[str, ...]
    campaign: tuple[str, ...]
    value: Floats
    cost: Floats
    liability: Floats
    eligible: Bools
    recent: Ints
    currency: str


def read_offers(path: Path) -> ScoredOffers:
    """Read scored offers, one row a customer and coupon, from Parquet (or JSON Lines: .jsonl, .ndjson).

    Columns: customer_id, coupon_id (empty: a customer for whom nothing is eligible),
    expected_incremental_profit, expected_cost and max_liability in minor units, and optionally campaign_id,
    recent_offers and currency.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column or a row is impossible; it names the row.
    """
    try:
        lines = path.suffix.lower() in (".jsonl", ".ndjson")
        table = pj.read_json(path) if lines else pq.ParquetFile(path).read()
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.", todo="Check the path of the offers.") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a readable file of offers.",
            why=f"{error}",
            todo="Write it as Parquet, or as JSON Lines in a .jsonl file.",
        ) from error
    return scored_offers(table, path.name)


def scored_offers(table: Any, name: str = "offers") -> ScoredOffers:
    """Return scored offers from a pyarrow Table; see :func:`read_offers`. `name` is what errors call it."""
    _refuse_columns(table, name)
    if not table.num_rows:
        raise DataError(f"{name} has no rows.", todo="Give at least one customer.")
    customer, coupon = (_encoded(table, column, name) for column in _TEXTS)
    if customer.indices.null_count:
        _refuse(name, "customer_id", customer.indices.is_null(), "is empty")
    value, cost, liability = (_numbers(table, column, name) for column in _NUMBERS)
    _refuse_impossible(name, value, cost, liability)
    n = customer.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    k, names = _offers(coupon)
    shape = (len(customer.dictionary), len(names))
    if shape[0] * shape[1] > _MOST_CELLS:
        raise DataError(
            f"{name} has {shape[0]} customers and {shape[1] - 1} coupons: more than can be weighed at once.",
            why="A coupon_id names an offer that many customers may get, not each customer's own code.",
            todo="Give coupon_id the offer, or allocate campaigns apart.",
        )
    place = n * shape[1] + k
    seen = np.bincount(place, minlength=shape[0] * shape[1])
    if (seen > 1).any():
        _refuse(name, "coupon_id", seen[place] > 1, "is there twice for one customer")
    if ((k == 0) & ((value != 0.0) | (cost != 0.0) | (liability != 0.0))).any():
        wrong = (k == 0) & ((value != 0.0) | (cost != 0.0) | (liability != 0.0))
        _refuse(name, "coupon_id", wrong, "is empty, but the row has a value or a cost")
    eligible = (seen > 0).reshape(shape)
    eligible[:, 0] = True
    laid = np.zeros((len(_NUMBERS), *shape))
    laid.reshape(len(_NUMBERS), -1)[:, place] = value, cost, liability
    return ScoredOffers(
        customer=customer.dictionary,
        coupon=names,
        campaign=_campaigns(table, name, k, names),
        value=laid[0],
        cost=laid[1],
        liability=laid[2],
        eligible=eligible,
        recent=_recent(table, name, n, shape[0]),
        currency=_currency(table, name),
    )


def _refuse_columns(table: Any, name: str) -> None:
    there = list(table.column_names)
    missing = [column for column in (*_TEXTS, *_NUMBERS) if column not in there]
    if missing:
        needed = ", ".join((*_TEXTS, *_NUMBERS))
        raise DataError(f"{name} has no column {missing[0]}.", why=f"Offers need {needed}.", todo="Add it.")
    twice = [column for column in there if there.count(column) > 1]
    if twice:
        raise DataError(f"{name} has the column {twice[0]} twice.", todo="Keep one.")


def _refuse(name: str, column: str, wrong: Any, says: str) -> None:
    row = int(np.flatnonzero(np.asarray(wrong))[0]) + 1
    raise DataError(f"{name}, row {row}: {column} {says}.", todo="Correct it; nothing was written.")


def _encoded(table: Any, column: str, name: str) -> Any:
    values = table.column(column)
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_null(kind):
        values = values.cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise DataError(f"{name}: {column} holds {kind}, not identifiers.", todo="Write it as text.")
    else:
        values = values.cast(pa.string())
    values = pc.if_else(pc.equal(values, ""), None, values)
    return values.combine_chunks().dictionary_encode()


def _numbers(table: Any, column: str, name: str) -> Floats:
    values = table.column(column)
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    if not any(is_(values.type) for is_ in plain):
        raise DataError(
            f"{name}: {column} holds {values.type}, not numbers.", todo="Write minor units as numbers."
        )
    found = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if not np.isfinite(found).all():
        _refuse(name, column, ~np.isfinite(found), "is empty or not finite")
    return found


def _refuse_impossible(name: str, value: Floats, cost: Floats, liability: Floats) -> None:
    if (cost < 0.0).any():
        _refuse(name, "expected_cost", cost < 0.0, "is negative")
    if (cost > liability).any():
        _refuse(name, "expected_cost", cost > liability, "is above max_liability, the most that it can cost")
    huge = (np.abs(value) > LARGEST) | (liability > LARGEST)
    if huge.any():
        _refuse(name, "max_liability", huge, "or the value is larger than any money")


def _offers(coupon: Any) -> tuple[Ints, tuple[str, ...]]:
    """Return the offer of each row, int64, 0 for none, and the K names in alphabetical order."""
    words = [str(word) for word in coupon.dictionary.to_pylist()]
    rank = np.empty(len(words) + 1, dtype=np.int64)
    rank[:-1] = 1 + np.argsort(np.argsort(np.array(words, dtype=np.str_), kind="stable"), kind="stable")
    rank[-1] = 0
    code = coupon.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    return rank[code], ("", *sorted(words))


def _campaigns(table: Any, name: str, k: Ints, names: tuple[str, ...]) -> tuple[str, ...]:
    if "campaign_id" not in table.column_names:
        return ("",) * len(names)
    found = _encoded(table, "campaign_id", name)
    words: list[str] = [*(str(word) for word in found.dictionary.to_pylist()), ""]
    code = found.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    first = np.full(len(names), len(words) - 1, dtype=np.int64)
    first[k[::-1]] = code[::-1]
    mixed = (code != first[k]) & (k > 0)
    if mixed.any():
        _refuse(name, "campaign_id", mixed, "is another one than this coupon has above: allocate it apart")
    return ("", *(words[int(one)] for one in first[1:]))


def _recent(table: Any, name: str, n: Ints, customers: int) -> Ints:
    found = np.zeros(customers, dtype=np.int64)
    if "recent_offers" in table.column_names:
        values = _numbers(table, "recent_offers", name)
        if (values < 0.0).any():
            _refuse(name, "recent_offers", values < 0.0, "is negative")
        np.maximum.at(found, n, np.ceil(values).astype(np.int64))
    return found


def _currency(table: Any, name: str) -> str:
    if "currency" not in table.column_names:
        return ""
    words = _encoded(table, "currency", name).dictionary.to_pylist()
    if len(words) > 1:
        raise DataError(
            f"{name} has offers in {words[0]} and {words[1]}.", todo="Allocate each currency apart."
        )
    return str(words[0]) if words else ""


def allocations_table(
    offers: ScoredOffers,
    choice: Choices,
    propensity: Floats,
    run_id: str,
    currency: str,
    summary: Mapping[str, object],
) -> Any:
    """Return the contract's allocations, one row a customer in the order of the offers, as a pyarrow Table.

    Parameters
    ----------
    offers
        What there was to choose from; value and cost are those that are written.
    choice, propensity
        int16 [N] and float64 [N].
    run_id, currency
        What the rows follow from, and the currency of their money.
    summary
        JSON-able facts about all rows, kept in the file's metadata.
    """
    at = np.arange(len(choice))
    words = pa.array([None, *offers.coupon[1:]], type=pa.string())
    columns: dict[str, Any] = {
        "run_id": run_id,
        "currency": currency,
        "customer_id": offers.customer,
        "coupon_id": words.take(pa.array(choice)),
        "expected_incremental_profit": offers.value[at, choice],
        "expected_cost": offers.cost[at, choice],
        "propensity": propensity,
    }
    facts = {SUMMARY: json.dumps(dict(summary), sort_keys=True).encode()}
    return declared_table(COUPON_ALLOCATIONS, len(choice), columns, facts)
