from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from policies.serve import journey
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from policies.serve.resolve import Resolve
from policies.serve.shelf import Shelf
from pricing.demand import DemandParameters
from pricing.errors import UnknownProduct
from pricing.evidence import Identification
from pricing.recommendation import Assessment, assess
from tests.api.runs import SERIES, toy_shelf


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return toy_shelf()


def test_judging_in_parts_is_judging_at_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recommend(shelf, Resolve.of(shelf.scenario), draws=50)
    draws = DemandParameters.of(shelf.beliefs.draws(50), shelf.beliefs, shelf.catalogue)
    whole = assess(made.decisions, draws)
    monkeypatch.setattr(journey, "_CELLS", 50 * 12 * 3)
    parts = recommend(shelf, Resolve.of(shelf.scenario), draws=50)
    for entry in fields(Assessment):
        np.testing.assert_allclose(
            getattr(parts.assessment, entry.name), getattr(whole, entry.name), rtol=1e-12
        )
    assert parts.provenance_digest == made.provenance_digest


def test_a_curve_goes_through_what_was_assessed(shelf: Shelf) -> None:
    made = recommend(shelf, Resolve.of(shelf.scenario))
    for i in (0, 7, 19):
        found, row = made.curve(i), made.row(i)
        rung = int(np.flatnonzero(found.price == row.recommended_price)[0])
        assert found.units[rung] == pytest.approx(row.expected_units)
        assert round(found.profit[rung]) == row.expected_profit


def test_identifiers_follow_from_all_that_was_decided_on(shelf: Shelf) -> None:
    made = recommend(shelf, Incumbent())
    assert {name[-8:] for name in made.ids} == {made.provenance_digest[:8]}
    assert made.ids == recommend(shelf, Incumbent()).ids
    others = (
        recommend(shelf, Resolve.of(shelf.scenario)),
        recommend(replace(shelf, digest="1" * 64), Incumbent()),
        recommend(replace(shelf, model=replace(shelf.model, seed=9)), Incumbent()),
        recommend(shelf, Incumbent(), draws=50),
    )
    assert len({made.provenance_digest, *(other.provenance_digest for other in others)}) == 5


def test_keeping_every_price_changes_nothing(shelf: Shelf) -> None:
    made = recommend(shelf, Incumbent())
    assert made.moved == 0
    assert all(made.row(i).profit_change == 0 and made.row(i).probability_of_loss == 0 for i in range(SERIES))
    assert made.valid_to == "2024-01-08"


def test_only_what_the_evidence_lets_move_is_movable(shelf: Shelf) -> None:
    codes = np.full(SERIES, Identification.NOT_IDENTIFIED, dtype=np.int8)
    codes[[2, 5]] = Identification.PROMO_CONTROLLED, Identification.PRIOR
    variants = shelf.catalogue.variant_of.copy()
    variants[9] = variants[2]
    catalogue = replace(shelf.catalogue, identified_by=codes, variant_of=variants)
    some = replace(shelf, catalogue=catalogue)
    assert some.movable().tolist() == [2, 9]
    bold = replace(some.corridor, settings=replace(some.corridor.settings, act_on_prior=True))
    assert replace(some, corridor=bold).movable().tolist() == [2, 5, 9]
    assert some.take(some.movable()).catalogue.series.group == ("toy00002", "toy00009")


def test_a_catalogue_beyond_the_model_is_refused(shelf: Shelf) -> None:
    part = shelf.model.take(np.arange(5))
    with pytest.raises(UnknownProduct):
        recommend(replace(shelf, model=part), Incumbent())
