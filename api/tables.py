"""Tables of recommendations and decisions that other programs read, as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped

from policies.rollout import Outcome
from policies.serve.journey import Recommendation, Recommended

__all__ = ["SUMMARY", "recommendations_table", "rollouts_table"]

pa: Any = pyarrow

_PLAIN = (
    "decision_id",
    "price_group",
    "zone",
    "current_price",
    "recommended_price",
    "price_basis",
    "valid_from",
    "expected_units",
    "expected_profit",
    "profit_change",
    "profit_change_lower",
    "profit_change_upper",
    "probability_of_loss",
    "at_bound",
    "release",
    "passport",
)
_TYPES = {
    "current_price": "int64",
    "recommended_price": "int64",
    "expected_profit": "int64",
    "profit_change": "int64",
    "profit_change_lower": "int64",
    "profit_change_upper": "int64",
}


SUMMARY = b"tarifa.summary"
"""Key under which the metadata of a recommendations file hold what concerns all its rows, as JSON."""


def recommendations_table(
    made: Recommended,
    rows: tuple[Recommendation, ...],
    run_id: str,
    summary: Mapping[str, object],
    channel: str = "",
) -> Any:
    """Return the contract's recommendations, one row a series, as a pyarrow Table; money is int64.

    Parameters
    ----------
    made, rows
        The joint decision and its rows.
    run_id
        Identifier of the run, as in its other tables.
    summary
        JSON-able facts about all rows, kept in the file's metadata.
    channel
        Sales channel; empty where prices are those of all channels.
    """
    columns: dict[str, Any] = {
        "run_id": [run_id] * len(rows),
        "currency": [made.shelf.catalogue.currency] * len(rows),
        "channel": [channel] * len(rows),
        "period_start": _days([row.valid_from for row in rows]),
        "period_end": _days([row.valid_to for row in rows]),
    }
    for name in _PLAIN:
        columns[name] = pa.array([getattr(row, name) for row in rows], type=_TYPES.get(name))
    columns["identified_by"] = [row.identified_by.label for row in rows]
    columns["binding_guardrail"] = pa.array(
        [None if row.binding_guardrail is None else row.binding_guardrail.label for row in rows],
        type="string",
    )
    codes = [[reason.value for reason in row.reasons] for row in rows]
    columns["reason_codes"] = pa.array(codes, type=pa.list_(pa.string()))
    columns["status"] = [row.status.label for row in rows]
    facts = {b"tarifa.kind": b"recommendations", b"tarifa.schema": b"1"}
    facts[SUMMARY] = json.dumps(dict(summary), sort_keys=True).encode()
    return pa.table(columns).replace_schema_metadata(facts)


def _days(texts: list[str]) -> Any:
    return pa.array(np.array(texts, dtype="datetime64[D]"))


def rollouts_table(rolled: tuple[Outcome, ...]) -> Any:
    """Return profit and units of every policy, world, run and period as a pyarrow Table; profit is int64."""
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("policy", "policy_version", "world", "seed", "period", "profit", "units", "moved_share")
    }
    for outcome in rolled:
        result = outcome.result
        runs, periods = result.profit.shape
        columns["policy"].append([outcome.policy] * (runs * periods))
        columns["policy_version"].append([outcome.version] * (runs * periods))
        columns["world"].append(np.repeat(result.world, periods))
        columns["seed"].append(np.repeat(result.seed, periods))
        columns["period"].append(np.tile(np.arange(periods, dtype=np.int64), runs))
        columns["profit"].append(np.rint(result.profit).astype(np.int64).ravel())
        columns["units"].append(result.units.ravel())
        columns["moved_share"].append(result.moved.ravel())
    return pa.table({name: np.concatenate(parts) for name, parts in columns.items()})
