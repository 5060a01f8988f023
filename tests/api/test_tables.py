"""Tables of recommendations, rollouts and decisions: as declared, and row for row what was decided."""

from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from api.tables import SUMMARY, Simulated, decisions_table, recommendations_table, rollouts_table
from policies.rollout import Outcome, Plan, roll_out
from policies.serve.incumbent import Incumbent
from policies.serve.journey import Recommended, recommend
from policies.serve.resolve import Resolve
from policies.serve.shelf import Shelf
from policies.serve.thompson import Thompson
from pricing.decision import Decisions
from pricing.guardrails import Rule
from pricing.outputs import DECISIONS, RECOMMENDATIONS, ROLLOUTS, OutputTable
from simulators.market import sample_worlds
from simulators.output_schema import KIND, arrow_schema, table_bytes
from simulators.worlds import toy_scenario
from tests.api.runs import toy_shelf
from tests.policies.support import InProcess

SCENARIO, MODEL = toy_scenario(5, 3, horizon=3)
ABOUT = Simulated("0123456789ab", "EUR", "gross", SCENARIO.first_day, SCENARIO.period_days)
MONDAY = dt.date(1970, 1, 1) + dt.timedelta(days=SCENARIO.first_day)


@cache
def _rolled() -> tuple[Outcome, ...]:
    worlds = sample_worlds(MODEL, SCENARIO.catalogue, 3, first=50)
    plan = Plan(SCENARIO, worlds, 2, 5, "toy", block=2, keep_decisions=True)
    return roll_out(plan, (Incumbent(), Thompson.of(SCENARIO, worlds.parameters)), InProcess())


def _stored(table: object, declared: OutputTable) -> pa.Table:
    """Return a table after Parquet, its schema checked."""
    stored = pq.read_table(io.BytesIO(table_bytes(table)))
    assert stored.schema.equals(arrow_schema(declared), check_metadata=False)
    assert stored.schema.metadata[KIND] == declared.name.encode()
    keys = stored.select(list(declared.key))
    assert keys.group_by(list(declared.key)).aggregate([]).num_rows == stored.num_rows
    return stored


def test_rollouts_are_as_declared_and_hold_every_period() -> None:
    stored = _stored(rollouts_table(_rolled(), ABOUT), ROLLOUTS)
    rows = stored.to_pylist()
    assert len(rows) == 2 * 6 * 3
    result = _rolled()[1].result
    row = rows[18 + 4 * 3 + 2]  # the second policy's fifth run (world 2, seed 0), last period
    assert (row["policy"], row["world"], row["seed"], row["run"]) == ("thompson", 2, 0, 2 * 4096)
    assert (row["zone"], row["channel"], row["period"]) == (None, None, 2)
    assert row["period_start"] == MONDAY + dt.timedelta(weeks=2)
    assert row["period_end"] == MONDAY + dt.timedelta(weeks=3)
    assert row["profit"] == round(result.profit[4, 2])
    assert (row["units"], row["moved_share"]) == (result.units[4, 2], result.moved[4, 2])


def test_decisions_are_the_records_row_for_row() -> None:
    stored = _stored(decisions_table(_rolled(), ABOUT), DECISIONS)
    rows = iter(stored.to_pylist())
    for outcome in _rolled():
        for batch in outcome.result.decisions:
            for run in range(batch.index.shape[0]):
                for series in range(batch.index.shape[1]):
                    _is_the_record(next(rows), batch, run, series)
    assert next(rows, None) is None


def _is_the_record(row: dict[str, object], batch: Decisions, run: int, series: int) -> None:
    record = batch.record(run, series)
    same = (
        "decision_id zone run current_price price propensity draw policy policy_version personalised "
        "model_fingerprint"
    )
    assert {name: row[name] for name in same.split()} == {n: getattr(record, n) for n in same.split()}
    for name in ("menu", "allowed", "probabilities", "features"):
        assert row[name] == list(getattr(record, name))
    assert row["rejections"] == [_rules(bits) for bits in record.rejections]
    assert row["relaxed"] == _rules(record.relaxed)
    assert row["binding_guardrail"] == (None if record.binding is None else record.binding.label)
    assert (row["price_group"], row["status"]) == (record.group, record.status.label)
    assert row["period_start"] == dt.date(1970, 1, 1) + dt.timedelta(days=record.period)
    assert (row["channel"], row["record_version"]) == (None, record.schema)


def _rules(bits: int) -> list[str]:
    return [rule.label for rule in Rule if bits & int(rule.bit)]


def test_a_blocked_decision_has_no_price_and_names_every_rule() -> None:
    (batch, *_) = _rolled()[0].result.decisions
    admission = batch.admission
    rejections, binding, index = admission.rejections.copy(), batch.binding.copy(), batch.index.copy()
    rejections[0, 0] = Rule.KILL_SWITCH.bit | Rule.PRICE_ENDING.bit
    binding[0, 0], index[0, 0] = Rule.KILL_SWITCH, -1
    blocked = replace(
        batch,
        admission=replace(admission, rejections=rejections),
        binding=binding,
        index=index,
        propensity=np.where(index < 0, np.nan, batch.propensity),
    )
    outcome = _rolled()[0]
    changed = replace(outcome, result=replace(outcome.result, decisions=(blocked,)))
    first, second = decisions_table([changed], ABOUT).to_pylist()[:2]
    assert (first["price"], first["propensity"]) == (None, None)
    assert first["binding_guardrail"] == "kill_switch"
    assert set(map(tuple, first["rejections"])) == {("kill_switch", "price_ending")}
    assert second["price"] is not None


def _recommended(shelf: Shelf) -> Recommended:
    return recommend(shelf, Resolve.of(shelf.scenario))


def _table(made: Recommended) -> pa.Table:
    rows = tuple(made.row(i) for i in range(len(made)))
    table: pa.Table = recommendations_table(made, rows, "0123456789ab", {"moved": made.moved})
    return table


def test_recommendations_are_as_declared() -> None:
    made = _recommended(toy_shelf())
    stored = _stored(_table(made), RECOMMENDATIONS)
    assert json.loads(stored.schema.metadata[SUMMARY]) == {"moved": made.moved}
    for i, row in enumerate(stored.to_pylist()):
        said = made.row(i)
        assert row["recommended_price"] == said.recommended_price
        assert row["expected_profit"] == said.expected_profit
        assert row["reason_codes"] == [reason.value for reason in said.reasons]
        assert str(row["valid_from"]) == str(row["period_start"]) == said.valid_from
        assert str(row["period_end"]) == said.valid_to
        assert (row["channel"], row["currency"]) == (None, made.shelf.catalogue.currency)


def test_a_kill_switch_binds_by_name() -> None:
    """It is rule 0, and 0 is not "no rule"."""
    shelf = toy_shelf()
    settings = replace(shelf.corridor.settings, kill_switch=True)
    stopped = _recommended(replace(shelf, corridor=replace(shelf.corridor, settings=settings)))
    words = set(_table(stopped).column("binding_guardrail").to_pylist())
    assert "kill_switch" in words
    assert words <= {"kill_switch", None}
