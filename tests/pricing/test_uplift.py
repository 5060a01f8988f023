"""The uplift model: by hand, to bytes and back, fast, and refusing what it is not."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from pricing.archive import pack, unpack
from pricing.errors import ArtifactError, UsageError
from pricing.evidence import Identification
from pricing.uplift import Basis, UpliftModel

BASIS = Basis(
    features=("recency", "monetary"),
    low=np.array([0.0, 0.0]),
    high=np.array([10.0, 4.0]),
    centre=np.array([5.0, 2.0]),
    scale=np.array([5.0, 1.0]),
    products=np.array([[0, 1, -1], [1, 1, 1]]),
    offset=np.array([0.5, 0.0]),
    level=np.array([0.0, 0.0, np.log(2.0)]),
)


def model(offers: int = 2) -> UpliftModel:
    P = len(BASIS)
    mean = np.zeros((offers, P))
    mean[1] = [100.0, 10.0, 20.0, 4.0, 2.0]
    covariance = np.zeros((offers, P, offers, P))
    covariance[1, 0, 1, 0], covariance[1, 1, 1, 1] = 9.0, 16.0
    usage = np.zeros((offers, P))
    usage[1, 0] = np.log(0.25 / 0.75)
    return UpliftModel(
        offers=("", *(f"k{k}" for k in range(1, offers))),
        basis=BASIS,
        mean=mean,
        covariance=covariance,
        redemption=usage,
        discount=np.where(np.arange(P) == 0, 400.0, 0.0) * np.ones((offers, 1)),
        most=np.where(np.arange(offers) == 0, 0.0, 300.0),
        identified_by=(Identification.EXPERIMENT,) * offers,
        window_days=14,
        after_days=28,
        currency="EUR",
        as_of="2026-01-01",
        fingerprint="f",
    )


def test_by_hand() -> None:
    """Recency 10 is z 1, monetary 3 is z 1: basis 1, 1, 1, 1 - .5, 1; scale 2; sd 2 sqrt(9 + 16)."""
    found = model().predict(np.array([[10.0, 3.0]]))
    assert found.profit[0] == pytest.approx([0.0, 2.0 * (100 + 10 + 20 + 4 * 0.5 + 2)])
    assert found.sd[0] == pytest.approx([0.0, 10.0])
    assert found.redemption[0] == pytest.approx([0.0, 0.25])
    assert found.cost[0] == pytest.approx([0.0, 0.25 * 300.0])


def test_no_effect_outside_what_was_seen_and_none_known_is_the_centre() -> None:
    far, edge = model().profit(np.array([[99.0, 9.0], [10.0, 4.0]]))
    nobody, centre = model().profit(np.array([[np.nan, np.nan], [5.0, 2.0]]))
    assert far.tolist() == edge.tolist()
    assert nobody.tolist() == centre.tolist()


def test_the_same_model_gives_the_same_bytes_and_comes_back_whole() -> None:
    content = model().to_bytes()
    assert content == model().to_bytes()
    again = UpliftModel.from_bytes(content)
    assert again.to_bytes() == content
    values = np.random.default_rng(0).normal(size=(50, 2))
    assert np.array_equal(again.predict(values).sd, model().predict(values).sd)


def test_a_step_is_one_above_its_edge_less_how_often_it_is() -> None:
    stepped = replace(BASIS, stepping=np.array([1]), edges=np.array([0.5]), offset=np.array([0.5, 0.0, 0.25]))
    assert len(stepped) == len(BASIS) + 1
    assert stepped.design(np.array([[5.0, 2.6], [5.0, 2.4]]))[:, -1].tolist() == [0.75, -0.25]


GUESSING = replace(
    BASIS,
    odds=np.array([[np.log(0.2 / 0.8), 0.0, 0.0, 0.0, 0.0], [np.log(0.3 / 0.7), 0.0, 0.0, 0.0, 0.0]]),
    worth=np.array([[np.log(1000.0), 0.0, np.log(3.0)], [np.log(0.1), 0.0, 0.0]]),
)


def guessing() -> UpliftModel:
    P, old = len(GUESSING), model()
    wide = np.zeros((2, P, 2, P))
    wide[:, :-1, :, :-1] = old.covariance
    mean, redemption, discount = (
        np.pad(part, ((0, 0), (0, 1))) for part in (old.mean, old.redemption, old.discount)
    )
    mean[1, -1] = 0.5
    return replace(old, basis=GUESSING, covariance=wide, mean=mean, redemption=redemption, discount=discount)


def test_a_guess_from_whether_people_buy_by_hand() -> None:
    """Monetary 3 is z 1: a purchase earns 3000, .3 of 2700 with the coupon, .2 of 3000 without; half."""
    at = np.array([[10.0, 3.0]])
    guess, slope = GUESSING.guessed(GUESSING.design(at)[:, :-1], GUESSING.standardised(at))
    assert guess[0] == pytest.approx([0.3 * 2700.0 - 0.2 * 3000.0])
    assert slope[0] == pytest.approx([2700.0 * 0.3 * 0.7])
    assert GUESSING.design(at)[0, -1] == pytest.approx(210.0 / 2.0), "as a share of spending, which is 2"
    assert guessing().profit(at)[0, 1] == pytest.approx(model().profit(at)[0, 1] + 0.5 * 210.0)
    assert guessing().predict(at).cost == pytest.approx(model().predict(at).cost)


def test_a_model_with_a_guess_comes_back_whole_and_with_half_of_one_is_refused() -> None:
    content = guessing().to_bytes()
    again = UpliftModel.from_bytes(content)
    assert again.to_bytes() == content
    assert np.array_equal(again.basis.odds, GUESSING.odds)
    for part in ({"worth": np.zeros((2, 2))}, {"odds": np.full((2, 5), np.nan)}):
        with pytest.raises(ArtifactError, match="not an uplift model"):
            replace(guessing(), basis=replace(GUESSING, **part))


def test_a_model_from_before_guesses_is_refused_and_says_what_to_do() -> None:
    arrays, meta = unpack("uplift-model", 3, model().to_bytes())
    old = {name: array for name, array in arrays.items() if name not in {"basis_odds", "basis_worth"}}
    with pytest.raises(ArtifactError, match="basis_odds") as refused:
        UpliftModel.from_bytes(pack("uplift-model", 2, old, meta))
    assert refused.value.todo == "Fit the model again."


def test_a_model_from_before_steps_is_refused_and_says_what_to_do() -> None:
    arrays, meta = unpack("uplift-model", 3, model().to_bytes())
    old = {name: array for name, array in arrays.items() if name not in {"basis_stepping", "basis_edges"}}
    with pytest.raises(ArtifactError, match="basis_stepping") as refused:
        UpliftModel.from_bytes(pack("uplift-model", 1, old, meta))
    assert refused.value.todo == "Fit the model again."


def test_draws_have_the_mean_and_covariance() -> None:
    drawn = model().draws(20_000, np.random.default_rng(0))
    assert drawn[:, 0].any() == np.False_
    assert drawn.mean(axis=0)[1] == pytest.approx(model().mean[1], abs=0.1)
    assert drawn[:, 1, :2].std(axis=0) == pytest.approx([3.0, 4.0], rel=0.03)


def test_what_is_no_model_is_refused() -> None:
    bad = model().mean.copy()
    bad[0, 0] = 1.0
    for change in ({"mean": bad}, {"most": np.array([1.0, 1.0])}, {"offers": ("a", "b")},
                   {"mean": np.full_like(bad, np.nan)}, {"identified_by": ()}):  # fmt: skip
        with pytest.raises(ArtifactError, match="not an uplift model"):
            replace(model(), **change)
    with pytest.raises(ArtifactError):
        UpliftModel.from_bytes(model().to_bytes()[:-50])
    with pytest.raises(UsageError, match="reads 2 columns"):
        model().profit(np.zeros((3, 5)))


def test_only_an_experiment_may_act() -> None:
    kinds = (Identification.EXPERIMENT, Identification.NOT_IDENTIFIED)
    assert replace(model(), identified_by=kinds).may_act == (True, False)


def test_a_million_customers_and_ten_offers_take_seconds() -> None:
    values = np.random.default_rng(0).normal(size=(200_000, 2))
    start = time.perf_counter()
    assert model(11).profit(values).shape == (200_000, 11)
    assert time.perf_counter() - start < 2.0
