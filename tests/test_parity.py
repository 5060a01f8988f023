"""One decision code: a batch, a row, a selection of series and every way in give the same whole Decision."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Bools, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.decision import Decision, Decisions, decide, price_at
from pricing.features import FEATURES, observe
from pricing.guardrails import Guardrails
from pricing.menu import Endings, Menu, candidates
from pricing.policy import Choice, Policy
from pricing.situation import Situation
from tests.pricing import random_shops
from tests.pricing.small_shop import Draws, Mixed

_SEED = 5

laid_again = candidates
"""How the second way in gets its ladder; a mutant lays one of its own."""


def same(first: Decision, second: Decision) -> None:
    """Compare every field, bit for bit (a blocked price has propensity NaN on both sides)."""
    for field in fields(Decision):
        ours, theirs = getattr(first, field.name), getattr(second, field.name)
        both_nan = isinstance(ours, float) and math.isnan(ours) and math.isnan(theirs)
        assert both_nan or ours == theirs, f"{first.group}: {field.name} is {ours!r} and {theirs!r}"


def _rows(noun: Any, pick: Callable[[Any], Any]) -> Any:
    """Return a dataclass of arrays with `pick` applied to each."""
    return replace(noun, **{f.name: pick(getattr(noun, f.name)) for f in fields(noun)})


def one_run(here: Situation, run: int) -> Situation:
    """The situation of one row of the batch."""
    return replace(
        here,
        state=_rows(here.state, lambda a: a[run : run + 1]),
        conditions=_rows(here.conditions, lambda a: a[run : run + 1] if a.ndim == 2 else a),
    )


def selection(here: Situation, index: Ints, size: int, reach: float, rules: Guardrails) -> Situation:
    """The situation of some series alone, with ladders laid anew."""
    shop = here.catalogue.take(index)
    return replace(
        here,
        catalogue=shop,
        menu=laid_again(shop, rules.settings.endings, size, reach),
        state=_rows(here.state, lambda a: a[:, index]),
        conditions=_rows(here.conditions, lambda a: a[..., index]),
        beliefs=_rows(here.beliefs, lambda a: a[index]),
        elasticity_sd=here.elasticity_sd[index],
        myopic=here.myopic[index],
    )


def _world(seed: int, *, joint: bool) -> tuple[Situation, Guardrails, int, float]:
    rng = np.random.default_rng(seed)
    rules = random_shops.settings(rng)
    rules = rules if joint else replace(rules, max_share_moved=1.0)
    shop = random_shops.catalogue(rng, int(rng.integers(1, 9)))
    size, reach = 2 * len(shop) + int(rng.integers(2, 9)), 0.3
    ladders = candidates(shop, rules.endings, size, reach)
    here = random_shops.situation(rng, shop, ladders, random_shops.batch_size(rng, ladders))
    return here, Guardrails(shop, ladders, rules), size, reach


def _made(here: Situation, rules: Guardrails, policy: Policy, runs: Ints) -> Decisions:
    return decide(here, rules, policy, seed=_SEED, runs=runs, fingerprint="f")


def batch_equals_rows(seed: int, policy: Policy) -> None:
    here, rules, _, _ = _world(seed, joint=True)
    runs = np.arange(10, 10 + len(here.state.price))
    together = _made(here, rules, policy, runs)
    for run in range(len(runs)):
        alone = _made(one_run(here, run), rules, policy, runs[run : run + 1])
        for series in range(len(here.catalogue)):
            same(together.record(run, series), alone.record(0, series))


def shop_equals_series(seed: int, policy: Policy) -> None:
    here, rules, size, reach = _world(seed, joint=False)
    runs = np.arange(len(here.state.price))
    together = _made(here, rules, policy, runs)
    for family in np.unique(here.catalogue.variant_of):
        index = np.flatnonzero(here.catalogue.variant_of == family)[::-1]
        part = selection(here, index, size, reach, rules)
        alone = _made(part, Guardrails(part.catalogue, part.menu, rules.settings), policy, runs)
        for run in range(len(runs)):
            for place, series in enumerate(index):
                same(together.record(run, int(series)), alone.record(run, place))


@dataclasses.dataclass(frozen=True)
class MostProfit:
    """Reads demand: the rung with the highest expected profit."""

    name: str = "most-profit"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        value = np.where(allowed, situation.expected_profit(situation.beliefs), -np.inf)
        return Choice(index=np.where(allowed.any(axis=-1), value.argmax(axis=-1), -1))


_POLICIES: tuple[Policy, ...] = (MostProfit(), Mixed(), Draws((90, 100, 1000, 10**6)))
_PARITY = (batch_equals_rows, shop_equals_series)


@pytest.mark.parametrize("policy", _POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("parity", _PARITY, ids=lambda parity: parity.__name__)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_parity(parity: Callable[[int, Policy], None], policy: Policy, seed: int) -> None:
    parity(seed, policy)


def _skewed(situation: Situation, allowed: Bools) -> Floats:
    """A feature that depends on the batch: the margin, centred over the rows."""
    found = observe(situation, allowed)
    margin = np.array([feature.name == "margin" for feature in FEATURES])
    return found - np.where(margin, found.mean(axis=0, keepdims=True), 0.0)


def _own_ladder(shop: Catalogue, endings: Endings, size: int, reach: float) -> Menu:
    """A second ladder, as an environment might lay one: the same range, spaced evenly in money."""
    true = candidates(shop, endings, size, reach)
    rungs = np.linspace(true.price[:, 0], true.price[:, -1], size, axis=1)
    return Menu.of(np.rint(rungs).astype(np.int64), np.ones(rungs.shape, dtype=np.bool_))


def _clipped(situation: Situation, index: Ints) -> Ints:
    """A clip after the choice: a lone run stays within 3 % of the price in force."""
    found, now = price_at(situation, index), situation.state.price
    if len(found) > 1:
        return found
    return np.asarray(np.clip(found, np.ceil(now * 0.97), np.floor(now * 1.03)), dtype=np.int64)


@pytest.mark.parametrize(
    ("place", "mutant", "parity", "field"),
    [
        ("pricing.decision.observe", _skewed, batch_equals_rows, "features"),
        ("tests.test_parity.laid_again", _own_ladder, shop_equals_series, "(price|menu)"),
        ("pricing.decision.price_at", _clipped, batch_equals_rows, "price"),
    ],
)
def test_parity_catches_mutants(
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    mutant: Callable[..., object],
    parity: Callable[[int, Policy], None],
    field: str,
) -> None:
    _over_shops(parity)
    monkeypatch.setattr(place, mutant)
    with pytest.raises(AssertionError, match=f": {field} is "):
        _over_shops(parity)


def _over_shops(parity: Callable[[int, Policy], None]) -> None:
    for seed in range(10):
        parity(seed, MostProfit())
