"""Tables of recommendations, rollouts and decisions that other programs read, as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped

from policies.decision_table import DecisionTable, decision_table
from policies.rollout import Outcome
from policies.serve.journey import Recommendation, Recommended, release_name
from pricing.arrays import Bits, Dates, Ints
from pricing.catalogue import Catalogue
from pricing.guardrails import Rule, Status
from pricing.outputs import DECISIONS, RECOMMENDATIONS, ROLLOUTS, SNAPSHOTS
from pricing.standing import UNVALIDATED, Standing
from simulators.output_schema import declared_table

__all__ = [
    "SUMMARY",
    "Simulated",
    "decisions_table",
    "recommendations_table",
    "rollouts_table",
    "snapshots_table",
]

pa: Any = pyarrow

SUMMARY = b"tarifa.summary"
"""Key under which the metadata of a recommendations file hold what concerns all its rows, as JSON."""

_PLAIN = (
    "decision_id", "price_group", "zone", "current_price", "recommended_price", "price_basis",
    "expected_units", "expected_profit", "profit_change", "profit_change_lower", "profit_change_upper",
    "probability_of_loss", "at_bound", "prior_price", "prior_price_cost", "release", "provenance_digest",
)  # fmt: skip
"""Columns of a recommendation that are its fields as they stand."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What the tables of a simulation say of all their rows.

    Attributes
    ----------
    run_id
        Identifier of the run, as in its other tables.
    currency, basis
        ISO 4217 code; "gross" or "net".
    first_day, period_days
        First day of the first period, days since 1970-01-01; days of a period.
    standing
        Of the model that everything was simulated on.
    trained
        Standing of the model that a policy was trained on, by release; policies made on this run are not
        there.
    """

    run_id: str
    currency: str
    basis: str
    first_day: int
    period_days: int
    standing: Standing = UNVALIDATED
    trained: Mapping[str, Standing] = field(default_factory=dict[str, Standing])


def recommendations_table(
    made: Recommended,
    rows: tuple[Recommendation, ...],
    run_id: str,
    summary: Mapping[str, object],
) -> Any:
    """Return the contract's recommendations, one row a series, as a pyarrow Table.

    Parameters
    ----------
    made, rows
        The joint decision and its rows.
    run_id
        Identifier of the run, as in its other tables.
    summary
        JSON-able facts about all rows, kept in the file's metadata.
    """
    start = _days([row.valid_from for row in rows])
    columns: dict[str, Any] = {
        **{name: [getattr(row, name) for row in rows] for name in _PLAIN},
        "run_id": run_id,
        "channel": None,
        "currency": made.shelf.catalogue.currency,
        "period_start": start,
        "period_end": _days([row.valid_to for row in rows]),
        "valid_from": start,
        "prior_price_until": _days([row.prior_price_until for row in rows]),
        "identified_by": [row.identified_by.label for row in rows],
        "binding_guardrail": [
            None if row.binding_guardrail is None else row.binding_guardrail.label for row in rows
        ],
        "reason_codes": [[reason.value for reason in row.reasons] for row in rows],
        "status": [row.status.label for row in rows],
        **_under(made.shelf.standing, made.trained_under, len(rows)),
    }
    facts = {SUMMARY: json.dumps(dict(summary), sort_keys=True).encode()}
    return declared_table(RECOMMENDATIONS, len(rows), columns, facts)


def snapshots_table(known: Catalogue, fingerprint: str, run_id: str, period_days: int) -> Any:
    """Return what was known of every series when its prices were decided, as a pyarrow Table.

    Parameters
    ----------
    known
        The catalogue of the decision.
    fingerprint
        Of the data that it was read from.
    run_id, period_days
        Identifier of the run, as in its other tables; days of a period.
    """
    start = np.datetime64(known.as_of, "D")
    columns: dict[str, Any] = {
        "run_id": run_id,
        "price_group": list(known.series.group),
        "zone": list(known.series.zone),
        "channel": None,
        "currency": known.currency,
        "period_start": np.full(len(known), start),
        "period_end": np.full(len(known), start + np.timedelta64(period_days, "D")),
        "price_basis": known.basis,
        "price": known.price,
        "low_30_days": known.recent.min(axis=1),
        "unit_cost": known.unit_cost,
        "cost_assumed": known.cost_assumed,
        "stock": pa.array(known.stock, mask=np.isinf(known.stock)),
        "fingerprint": fingerprint,
    }
    return declared_table(SNAPSHOTS, len(known), columns)


def rollouts_table(rolled: Sequence[Outcome], about: Simulated) -> Any:
    """Return profit and units of every policy, run and period as a pyarrow Table."""
    return pa.concat_tables([_rollout(outcome, about) for outcome in rolled])


def decisions_table(rolled: Sequence[Outcome], about: Simulated) -> Any:
    """Return every decision that the rollouts kept, by policy, block of worlds, period, run and series."""
    return pa.concat_tables(
        [
            _decisions(
                decision_table(batch), about, about.trained.get(release_name(outcome.policy, outcome.version))
            )
            for outcome in rolled
            for batch in outcome.result.decisions
        ]
    )


def _rollout(outcome: Outcome, about: Simulated) -> Any:
    result = outcome.result
    runs, periods = result.profit.shape
    period = np.tile(np.arange(periods, dtype=np.int64), runs)
    start = about.first_day + period * about.period_days
    columns: dict[str, Any] = {
        "run_id": about.run_id,
        "policy": outcome.policy,
        "policy_version": outcome.version,
        "world": np.repeat(result.world, periods),
        "seed": np.repeat(result.seed, periods),
        "run": np.repeat(result.run, periods),
        "zone": None,
        "channel": None,
        "currency": about.currency,
        "period": period,
        "period_start": _since_epoch(start),
        "period_end": _since_epoch(start + about.period_days),
        "profit": np.rint(result.profit).astype(np.int64).ravel(),
        "units": result.units.ravel(),
        "moved_share": result.moved.ravel(),
    }
    return declared_table(ROLLOUTS, runs * periods, columns)


def _decisions(found: DecisionTable, about: Simulated, trained: Standing | None) -> Any:
    rungs = found.valid.sum(axis=1)
    columns: dict[str, Any] = {
        "run_id": about.run_id,
        "decision_id": list(found.decision_id),
        "policy": found.policy,
        "policy_version": found.policy_version,
        "run": found.run,
        "price_group": list(found.group),
        "zone": list(found.zone),
        "channel": None,
        "currency": found.currency,
        "period_start": _since_epoch(found.period_start),
        "period_end": _since_epoch(found.period_start + about.period_days),
        "price_basis": about.basis,
        "current_price": found.current_price,
        "price": pa.array(found.price, mask=found.price < 0),
        "low_30_days": found.low_30_days,
        "menu": _lists(found.menu[found.valid], rungs),
        "allowed": _lists(found.allowed[found.valid], rungs),
        "rejections": _lists(_rules(found.rejections[found.valid]), rungs),
        "probabilities": _lists(found.probabilities[found.valid], rungs),
        "propensity": pa.array(found.propensity, mask=np.isnan(found.propensity)),
        "draw": pa.array(found.draw, mask=found.draw < 0),
        "status": _words([status.label for status in Status], found.status.astype(np.int64)),
        "relaxed": _rules(found.relaxed),
        "binding_guardrail": _words([rule.label for rule in Rule], found.binding),
        "features": _lists(found.features.ravel(), np.full(len(found), found.features.shape[1])),
        "model_fingerprint": found.model_fingerprint,
        "personalised": found.personalised,
        "record_version": np.full(len(found), found.schema),
        **_under(about.standing, trained, len(found)),
    }
    return declared_table(DECISIONS, len(found), columns)


def _under(standing: Standing, trained: Standing | None, rows: int) -> dict[str, Any]:
    """Return the columns that say under which passport decisions were made."""
    return {
        "passport": standing.passport,
        "model_verdict": standing.word,
        "accepted_checks": [list(standing.accepted)] * rows,
        "policy_passport": None if trained is None else trained.passport,
        "policy_verdict": None if trained is None else trained.word,
    }


def _rules(bits: Bits) -> Any:
    """Return the rules of M rejections as lists of codes, the strongest first."""
    broken = (bits[:, None] & np.array([rule.bit for rule in Rule], dtype=np.uint32)) != 0
    codes = _words([rule.label for rule in Rule], np.nonzero(broken)[1])
    return _lists(codes, broken.sum(axis=1))


def _words(words: Sequence[str], code: Ints) -> Any:
    """Return the word of each code as an Arrow array; null where a code is negative."""
    return pa.array(words).take(pa.array(code, mask=code < 0))


def _lists(values: Any, sizes: Ints) -> Any:
    """Cut values into lists of these sizes."""
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(values))


def _since_epoch(days: Ints) -> Dates:
    return days.astype("datetime64[D]")


def _days(texts: Sequence[str | None]) -> Dates:
    return np.array(texts, dtype="datetime64[D]")
