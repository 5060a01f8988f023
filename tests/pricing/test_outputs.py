"""The declarations themselves: what every output table has in common."""

from __future__ import annotations

import pytest

from pricing.errors import UsageError
from pricing.outputs import OUTPUTS, PREDICTIONS, RECOMMENDATIONS, SCENARIO, ArrowType, OutputTable

EVERYWHERE = {
    "run_id": ArrowType.STRING,
    "zone": ArrowType.STRING,
    "channel": ArrowType.STRING,
    "currency": ArrowType.STRING,
    "period_start": ArrowType.DATE,
    "period_end": ArrowType.DATE,
}


def test_the_outputs_are_these() -> None:
    names = [table.name for table in OUTPUTS]
    assert names == [
        "elasticities", "predictions", "recommendations", "rollouts", "decisions", "outcomes", "snapshots",
        "coupon_allocations", "customer_profiles", "next_products", "coupon_relevance", "open_carts",
    ]  # fmt: skip


@pytest.mark.parametrize("table", OUTPUTS, ids=lambda table: table.name)
def test_every_output_says_of_which_run_place_currency_and_period_it_is(table: OutputTable) -> None:
    assert table.names[0] == "run_id"
    if any(column.unit.startswith("minor units") for column in table.columns):
        assert table.column("currency").type is ArrowType.STRING
    if "customer_id" in table.names:  # of a customer: in all zones and channels, on a day or a coupon's time
        return
    for name, kind in EVERYWHERE.items():
        column = table.column(name)
        assert (column.type, column.nullable) == (kind, name == "channel" or (table.name, name) == NO_ZONE)
    order = [
        table.names.index(name) for name in ("zone", "channel", "currency", "period_start", "period_end")
    ]
    assert order == sorted(order)


NO_ZONE = ("rollouts", "zone")
"""Totals over all zones."""


@pytest.mark.parametrize("table", OUTPUTS, ids=lambda table: table.name)
def test_columns_are_distinct_explained_and_keyed(table: OutputTable) -> None:
    assert len(set(table.names)) == len(table.names)
    assert set(table.key) <= set(table.names)
    assert not any(table.column(name).nullable for name in table.key)
    for column in table.columns:
        assert column.meaning.endswith(".")
        assert "|" not in column.meaning
        assert not column.nullable or "ull: " in column.meaning, f"{column.name} does not say what null is"
        if column.unit == "minor units":
            assert column.type in (ArrowType.INT64, ArrowType.INT64S)
        if column.name.startswith("period_") or column.name == "valid_from":
            assert column.type is ArrowType.DATE


def test_the_contracts_columns_are_there() -> None:
    """Names that data-contract version 1 promises to other programs."""
    assert {"product_id", "expected_units", "lower", "upper", "units_lower", "units_upper"} < set(
        PREDICTIONS.names
    )
    promised = (
        "decision_id price_group current_price recommended_price price_basis valid_from expected_units "
        "expected_profit profit_change profit_change_lower profit_change_upper probability_of_loss "
        "identified_by binding_guardrail reason_codes status release passport provenance_digest"
    )
    assert set(promised.split()) < set(RECOMMENDATIONS.names)
    for money in ("current_price", "recommended_price", "expected_profit", "profit_change"):
        assert RECOMMENDATIONS.column(money).unit == "minor units"


def test_what_a_scenario_states_beside_its_own_is_what_predictions_declare() -> None:
    shared = set(SCENARIO.names) & set(PREDICTIONS.names)
    assert shared == {
        "product_id", "zone", "channel", "period_start", "period_end", "currency", "price_basis",
    }  # fmt: skip


def test_a_column_that_is_not_declared_is_refused() -> None:
    with pytest.raises(UsageError, match="predictions has no column price"):
        PREDICTIONS.column("price")
