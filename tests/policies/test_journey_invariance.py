"""Recommendations do not depend on names, on order, on blocks or on what else is on the shelf."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.serve import journey
from policies.serve.incumbent import Incumbent
from policies.serve.journey import Recommendation, Recommended, recommend, recommend_each
from policies.serve.resolve import Resolve
from policies.serve.shelf import Corridor, Shelf
from policies.serve.static import Static
from policies.serve.thompson import Thompson
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError
from pricing.guardrails import GuardrailSettings
from pricing.menu import Endings
from pricing.model import DemandModel
from pricing.panel import Series
from pricing.plans import Plans
from pricing.policy import Policy
from pricing.recommendation import LIMIT_SHARE
from simulators.market import sample_worlds
from simulators.worlds import toy_shop

_RULES = GuardrailSettings(0.05, 0.1, 1, 1.0, Endings((5, 9), 10))
_NAMED = ("decision_id", "price_group", "zone", "provenance_digest")


def _shelf(count: int = 10, seed: int = 3, *, share: float = 1.0, stock: float | None = 2.0) -> Shelf:
    catalogue, model = toy_shop(count, seed, stock_periods=stock)
    corridor = Corridor(replace(_RULES, max_share_moved=share), 11, 0.3, 4)
    return Shelf(model, catalogue, corridor, _plans(count, seed), "d" * 64)


def _plans(count: int, seed: int) -> Plans:
    """Two weeks of deals, displays and deliveries for about a third of the products."""
    rng = np.random.default_rng(seed)
    some = np.where(rng.random((2, count)) < 0.3, 1.0, 0.0)
    return Plans(-0.1 * some, 0.5 * some, 0.2 * some, 8.0 * some, declared=True, left_out=0)


def _policies(shelf: Shelf) -> tuple[Policy, ...]:
    return (Incumbent(), Static.of(shelf.scenario), Resolve.of(shelf.scenario))


def _rows(made: Recommended) -> dict[str, Recommendation]:
    return {row.price_group: row for row in made.rows(range(len(made)))}


def _facts(row: Recommendation, *besides: str) -> dict[str, Any]:
    return {f.name: getattr(row, f.name) for f in fields(row) if f.name not in besides}


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(10)), st.integers(1, 10), st.sampled_from([0, 1]))
def test_some_products_in_any_order_are_recommended_as_in_the_whole_shop(
    order: list[int], kept: int, which: int
) -> None:
    """Also with a model that knows more series, in another order, than the shelf holds."""
    shelf = _shelf()
    some = np.array(order[:kept])
    whole = _rows(recommend(shelf, _policies(shelf)[which], draws=30))
    turned = replace(shelf.take(some), model=shelf.model.take(np.array(order)))
    policy = _policies(turned)[which]
    part = _rows(recommend(turned, policy, draws=30))
    assert list(part) == [shelf.catalogue.series.group[i] for i in some]
    for name, row in part.items():
        ours, theirs = (_facts(r, "decision_id", "provenance_digest", "release") for r in (row, whole[name]))
        units = ours.pop("expected_units"), theirs.pop("expected_units")
        assert units[0] == pytest.approx(units[1], rel=1e-12)
        assert ours == theirs


@pytest.mark.parametrize("which", [0, 1, 2])
def test_products_by_other_names_get_the_same_prices(which: int) -> None:
    """Names only choose the posterior draws that judge, so money differs by their noise and no price does."""
    shelf = _shelf()
    series = shelf.catalogue.series
    other = Series(*(tuple(f"{x}!" for x in getattr(series, f.name)) for f in fields(series)))
    renamed = replace(
        shelf, catalogue=replace(shelf.catalogue, series=other), model=replace(shelf.model, series=other)
    )
    ours, theirs = (recommend(s, _policies(s)[which], draws=30) for s in (shelf, renamed))
    np.testing.assert_array_equal(ours.decisions.price, theirs.decisions.price)
    np.testing.assert_array_equal(ours.decisions.binding, theirs.decisions.binding)
    np.testing.assert_array_equal(ours.decisions.features, theirs.decisions.features)
    assert not set(ours.ids) & set(theirs.ids)


def test_two_zones_of_one_shop_are_two_shops() -> None:
    """The same products twice under two zones: each zone as if the other did not exist."""
    shelf = _shelf(6)
    zones = [_zone(shelf, zone) for zone in ("north", "south")]
    both = Shelf(
        _models(*(z.model for z in zones)),
        _stack(*(z.catalogue for z in zones)),
        shelf.corridor,
        shelf.plans.take(np.tile(np.arange(6), 2)),
        shelf.digest,
    )
    whole = recommend(both, Resolve.of(both.scenario), draws=30)
    plain = recommend(shelf, Resolve.of(shelf.scenario), draws=30)
    for place, zone in enumerate(zones):
        alone = recommend(zone, Resolve.of(zone.scenario), draws=30)
        for i in range(6):
            ours, theirs = whole.row(6 * place + i), alone.row(i)
            assert ours.zone == ("north", "south")[place]
            assert ours.recommended_price == theirs.recommended_price == plain.row(i).recommended_price
            assert ours.profit_change == theirs.profit_change
            assert ours.decision_id[:16] == theirs.decision_id[:16]


def _zone(shelf: Shelf, name: str) -> Shelf:
    series = replace(shelf.catalogue.series, zone=(name,) * len(shelf.catalogue))
    return replace(
        shelf, catalogue=replace(shelf.catalogue, series=series), model=replace(shelf.model, series=series)
    )


def _join(first: Series, second: Series) -> Series:
    return Series(*(getattr(first, f.name) + getattr(second, f.name) for f in fields(Series)))


def _stack(first: Catalogue, second: Catalogue) -> Catalogue:
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in first.arrays()
    }
    arrays["variant_of"] = np.arange(len(first) + len(second))
    return replace(first, series=_join(first.series, second.series), **arrays)


def _models(first: DemandModel, second: DemandModel) -> DemandModel:
    by_series = (
        "mean factor dispersion absence reference_price support_low support_high depth_low identified_by"
        " category rival_weight rival_outside_weight"
    )
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in by_series.split()
    }
    there = np.where(second.rival_group >= 0, second.rival_group + first.rival_group.max() + 1, -1)
    arrays["rival_group"] = np.concatenate([first.rival_group, there])
    return replace(first, series=_join(first.series, second.series), **arrays)


def test_policies_asked_together_answer_as_if_asked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = _shelf(share=0.4)
    draws = sample_worlds(shelf.model, shelf.catalogue, 7).parameters
    policies = (*_policies(shelf), Thompson.of(shelf.scenario, draws))
    together = recommend_each(shelf, policies, draws=25)
    monkeypatch.setattr(journey, "_CELLS", 25 * 11 * 3)
    monkeypatch.setattr(journey, "_TOGETHER", 4)
    for policy, ours in zip(policies, together, strict=True):
        alone = recommend(shelf, policy, draws=25)
        assert alone.provenance_digest == ours.provenance_digest
        for i in range(10):
            one, other = _facts(ours.row(i), "expected_units"), _facts(alone.row(i), "expected_units")
            assert one == other
    assert len({made.provenance_digest for made in together}) == len(policies)


def test_rows_and_records_say_the_same_in_any_order() -> None:
    shelf = _shelf(share=0.4)
    made = recommend(shelf, Resolve.of(shelf.scenario), draws=25)
    for asked in ([], [4], [9, 0, 9, 3], list(reversed(range(10)))):
        written = list(made.written(asked))
        assert [row.price_group for row, _ in written] == [shelf.catalogue.series.group[i] for i in asked]
        for (row, record), i in zip(written, asked, strict=True):
            assert row == made.row(i)
            assert record == made.decisions.record(0, i)
            assert (row.decision_id, row.recommended_price) == (record.decision_id, record.price)
            assert (row.status, row.binding_guardrail) == (record.status, record.binding)
            assert made.place[row.decision_id] == i
            assert made.ids[i] == row.decision_id


def test_the_totals_of_a_run_are_those_of_its_rows() -> None:
    shelf = _shelf(20, share=0.4)
    made = recommend(shelf, Static.of(shelf.scenario), draws=25)
    rows = made.rows(range(20))
    assert made.moved == sum(row.recommended_price != row.current_price for row in rows) <= 8
    assert made.movable == 20
    assert made.at_bound_share == sum(row.at_bound for row in rows) / 20
    assert made.driven_by_limits == (made.at_bound_share > LIMIT_SHARE)
    for row in rows:
        assert row.profit_change_lower <= row.profit_change_upper
        assert 0.0 <= row.probability_of_loss <= 1.0
        assert row.valid_from < row.valid_to
        if row.recommended_price == row.current_price:
            assert (row.profit_change, row.profit_change_lower, row.profit_change_upper) == (0, 0, 0)


def test_one_more_unit_of_money_is_only_a_longer_number() -> None:
    """The same shop in tenths of a cent: prices, profits and intervals are ten times what they were."""
    shelf = _shelf(8)
    shelf = replace(shelf, corridor=replace(shelf.corridor, settings=replace(_RULES, endings=Endings())))
    c, m = shelf.catalogue, shelf.model
    menu = shelf.guardrails.menu.price
    money = ("price", "unit_cost", "support_low", "support_high", "recent")
    fine = replace(
        shelf,
        catalogue=replace(c, exponent=3, **{name: getattr(c, name) * 10 for name in money}),
        model=replace(m, reference_price=m.reference_price * 10),
    )
    assert np.abs(fine.guardrails.menu.price - menu * 10).max() <= 5, "a ladder is finer by its rounding only"
    ours, theirs = (recommend(s, Incumbent(), draws=40).rows(range(8)) for s in (shelf, fine))
    for one, ten in zip(ours, theirs, strict=True):
        assert one.current_price * 10 == ten.current_price == ten.recommended_price
        assert ten.expected_units == pytest.approx(one.expected_units)
        assert abs(ten.expected_profit - 10 * one.expected_profit) <= 5


def test_a_shelf_comes_back_from_its_files() -> None:
    shelf = _shelf(4, share=0.25)
    files = shelf.files()
    catalogue, corridor, plans = files.values()
    back = Shelf.from_files(shelf.model.to_bytes(), catalogue, corridor, plans, shelf.digest)
    assert back.corridor == shelf.corridor
    policy = Resolve.of(shelf.scenario)
    ours, theirs = (recommend(s, policy, draws=20) for s in (shelf, back))
    assert ours.rows(range(4)) == theirs.rows(range(4))


@pytest.mark.parametrize(
    "change",
    [
        ('"max_change": 0.1', '"max_change": 1.1'),
        ('"max_change": 0.1', '"max_change": NaN'),
        ('"cool_down": 1', '"cool_down": -1'),
        ('"cool_down": 1', '"cool_down": NaN'),
        ('"margin_floor": 0.05', '"margin_floor": null'),
        ('"modulus": 10', '"modulus": 0'),
        ('"modulus": 10', '"modulus": 7'),
        ('"horizon": 4', '"horizons": 4'),
        ('"schema": 1', '"schema": 2'),
        ('"schema": 1', '"schema": "one"'),
        ("{", "["),
    ],
)
def test_a_corridor_that_says_something_impossible_is_refused(change: tuple[str, str]) -> None:
    content = _shelf(2).corridor.to_bytes().decode()
    assert change[0] in content
    with pytest.raises(ArtifactError, match=r"corridor\.json"):
        Corridor.from_bytes(content.replace(change[0], change[1], 1).encode())


@pytest.mark.parametrize(("bound", "driven"), [(0, False), (3, False), (4, True), (10, True)])
def test_above_thirty_percent_at_a_bound_limits_drive_the_run(bound: int, driven: bool) -> None:
    shelf = _shelf()
    made = recommend(shelf, Incumbent(), draws=5)
    marked = replace(made, assessment=replace(made.assessment, at_bound=np.arange(10) < bound))
    assert marked.driven_by_limits == driven
    assert marked.at_bound_share == bound / 10
