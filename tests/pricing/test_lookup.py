"""What is looked up, or taken from flat arrays, is what the plain computation gives."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.features import FEATURES, observe
from pricing.guardrails import Admission, Guardrails, GuardrailSettings
from pricing.menu import Endings, at_rung, candidates, first_rung, last_rung, rungs_first
from pricing.transition import State
from simulators.worlds import toy_scenario, toy_shop

VARIANTS = ((0, 1, 2, 3, 4), (0, 1, 0, 3, 3), (7, 7, 7, 7, 7))


@given(
    st.integers(0, 2**32),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.sampled_from(VARIANTS),
    st.sampled_from(["abreast", "apart", "off the ladder"]),
)
@settings(max_examples=60, deadline=None)
def test_a_big_batch_is_admitted_like_its_rows(
    seed: int, wait: int, change: float, variant_of: tuple[int, ...], where: str
) -> None:
    rng = np.random.default_rng(seed)
    corridor = GuardrailSettings(0.1, change, wait, 0.5, Endings((5, 9), 10))
    shop = replace(toy_shop(5, seed % 7)[0], variant_of=np.array(variant_of))
    rules = Guardrails(shop, candidates(shop, corridor.endings, 14, 0.3), corridor)
    menu, rungs, since = rules.menu, rng.integers(0, 14, (40, 5)), rng.integers(0, 4, (40, 5))
    if where == "abreast":
        first = [variant_of.index(v) for v in variant_of]
        rungs, since = rungs[:, first], since[:, first]
    off = (where == "off the ladder") * (rng.random((40, 5)) < 0.05)
    state = replace(State.start(shop, 40), price=menu.price[np.arange(5), rungs] + off, since_change=since)
    batch = rules.admit(state)
    for row in range(40):
        own = rules.admit(State(**{f.name: getattr(state, f.name)[[row]] for f in fields(State)}))
        for field in fields(Admission):
            np.testing.assert_array_equal(getattr(batch, field.name)[row], getattr(own, field.name)[0])
            assert getattr(batch, field.name).dtype == getattr(own, field.name).dtype


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_room_and_low_are_what_a_plain_search_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenario, _ = toy_scenario(4, seed % 5)
    state = State.start(scenario.catalogue, 6)
    state = replace(state, recent=rng.integers(50, 500, state.recent.shape))
    allowed = (rng.random((6, *scenario.menu.price.shape)) < 0.2) & scenario.menu.valid
    seen = observe(scenario.situation(state, 0), allowed)
    names = [feature.name for feature in FEATURES]
    down, up, low = (seen[..., names.index(name)] for name in ("room_down", "room_up", "low_gap"))
    for b, n in np.ndindex(6, 4):
        open_ = scenario.menu.price[n][allowed[b, n]]
        now = state.price[b, n]
        ends = (open_.min(), open_.max()) if open_.size else (now, now)
        np.testing.assert_allclose([down[b, n], up[b, n]], np.log(np.array(ends) / now), atol=1e-12)
        np.testing.assert_allclose(low[b, n], np.log(state.recent[b, n].min() / now), atol=1e-12)


def test_at_rung_is_take_along_axis() -> None:
    rng = np.random.default_rng(0)
    values, index = rng.random((3, 4, 5)), rng.integers(0, 5, (3, 4))
    np.testing.assert_array_equal(
        at_rung(values, index), np.take_along_axis(values, index[..., None], axis=-1)[..., 0]
    )


@given(st.integers(0, 2**32), st.integers(1, 200), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_first_and_last_rung_are_what_a_plain_search_finds(seed: int, rungs: int, share: float) -> None:
    flags = np.random.default_rng(seed).random((4, 3, rungs)) < share
    first, last = first_rung(rungs_first(flags)), last_rung(rungs_first(flags))
    assert first.shape == last.shape == (4, 3)
    for b, n in np.ndindex(4, 3):
        places = [k for k in range(rungs) if flags[b, n, k]]
        expected = (places[0], places[-1]) if places else (-1, -1)
        assert (int(first[b, n]), int(last[b, n])) == expected


def test_a_price_is_found_on_its_ladder_whatever_the_axes() -> None:
    scenario, _ = toy_scenario(4, 2)
    menu, rungs = scenario.menu, np.random.default_rng(1).integers(0, 3, (5, 2, 4))
    price = menu.price_at(rungs)
    np.testing.assert_array_equal(price, menu.price[np.arange(4), rungs])
    np.testing.assert_array_equal(menu.log_price_at(rungs), np.log(price))
    np.testing.assert_array_equal(menu.index_of(price), rungs)
    assert menu.index_of(price[0, 0] + 1).tolist() == [-1] * 4
    assert menu.index_of(price[0, 0]).tolist() == rungs[0, 0].tolist()
