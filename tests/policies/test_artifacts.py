"""Policies as bytes, and the checker that every policy has to pass."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.checker import check_policy
from policies.serve.artifact import NAMES, StoredPolicy, from_bytes
from policies.serve.incumbent import Incumbent
from policies.serve.planner import Drawn
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.stored import policy_bytes
from policies.serve.thompson import Thompson
from pricing.archive import pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError
from pricing.policy import Choice
from pricing.situation import Situation
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import opening
from tests.policies.test_network import a_network

SCENARIO, MODEL = toy_scenario(5, 4, horizon=3, stock_periods=2.0)
DRAWS = sample_worlds(MODEL, SCENARIO.catalogue, 4).parameters
POLICIES: tuple[StoredPolicy, ...] = (
    Incumbent(),
    Static.of(SCENARIO),
    Resolve.of(SCENARIO),
    Resolve.of(SCENARIO, Drawn(SCENARIO.catalogue.keys, DRAWS)),
    Thompson.of(SCENARIO, DRAWS),
    a_network(),
    a_network(stochastic=True),
)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_a_policy_comes_back_from_its_bytes(policy: StoredPolicy) -> None:
    back = from_bytes(policy.to_bytes())
    assert back.to_bytes() == policy.to_bytes()
    assert (back.name, back.version, back.reads) == (policy.name, policy.version, policy.reads)
    assert type(back) is type(policy)


def test_names_and_versions_tell_policies_apart() -> None:
    assert set(NAMES) == {policy.name for policy in POLICIES}
    assert len({policy.version for policy in POLICIES}) == len(POLICIES)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.0, 1.0), batch=st.integers(1, 3))
def test_every_policy_keeps_its_promises_on_any_allowed_set(seed: int, share: float, batch: int) -> None:
    rng = np.random.default_rng(seed)
    situation, _ = opening(SCENARIO, batch)
    state = situation.state
    stock = state.stock * rng.choice([0.0, 0.3, 1.0], state.stock.shape)
    lag, reference = (array + rng.normal(0, 0.1, array.shape) for array in (state.lag, state.reference))
    anywhere = replace(situation, state=replace(state, stock=stock, lag=lag, reference=reference))
    allowed = (rng.random((batch, 5, 12)) < share) & SCENARIO.menu.valid
    for policy in POLICIES:
        check_policy(policy, anywhere, allowed)


@settings(max_examples=150, deadline=None)
@given(
    which=st.sampled_from(POLICIES), place=st.floats(0.0, 1.0), flip=st.integers(1, 255), cut=st.booleans()
)
def test_damaged_bytes_are_an_artifact_error_or_harmless(
    which: StoredPolicy, place: float, flip: int, cut: bool
) -> None:
    content = bytearray(which.to_bytes())
    at = min(int(place * len(content)), len(content) - 1)
    if cut:
        del content[at:]
    else:
        content[at] ^= flip
    try:
        back = from_bytes(bytes(content))
    except ArtifactError:
        return
    assert not cut
    assert back.to_bytes() == which.to_bytes()  # a field that says nothing, such as a time stamp


def test_foreign_and_incomplete_archives_are_refused() -> None:
    with pytest.raises(ArtifactError, match="not a readable"):
        from_bytes(b"")
    with pytest.raises(ArtifactError, match="named 'oracle'"):
        from_bytes(policy_bytes("oracle", {}, {}))
    with pytest.raises(ArtifactError, match="found a catalogue"):
        from_bytes(SCENARIO.catalogue.to_bytes())
    with pytest.raises(ArtifactError, match="which policy"):
        from_bytes(pack("policy", 1, {}, {}))
    with pytest.raises(ArtifactError, match="schema 2"):
        from_bytes(pack("policy", 2, {}, {"name": "incumbent"}))


@pytest.mark.parametrize("policy", POLICIES[1:], ids=lambda p: p.name)
def test_every_missing_or_misshapen_part_is_named(policy: StoredPolicy) -> None:
    arrays, meta = unpack("policy", 1, policy.to_bytes())
    for name, array in arrays.items():
        for broken in (None, array[:1].astype(np.complex128), np.full(array.shape, np.nan), array[:-1]):
            parts = {k: v for k, v in arrays.items() if k != name} | (
                {} if broken is None else {name: broken}
            )
            with pytest.raises(ArtifactError):
                from_bytes(pack("policy", 1, parts, meta))
    for name in meta.keys() - {"name", "stochastic", "trained_on", "with_draws"}:
        with pytest.raises(ArtifactError, match=name):
            from_bytes(pack("policy", 1, arrays, {k: v for k, v in meta.items() if k != name}))


@dataclass
class Liar:
    """A policy that breaks one promise."""

    lie: str
    name: str = "liar"
    version: str = "1"
    reads: tuple[str, ...] = ()
    asked: int = 0

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        self.asked += 1
        first: Ints = np.where(allowed.any(axis=-1), np.argmax(allowed, axis=-1), -1)
        even: Floats = allowed / np.maximum(allowed.sum(axis=-1, keepdims=True), 1)
        if self.lie == "changes what it was given":
            situation.state.price[:] += 1
        if self.lie == "chooses differently":
            return Choice(index=np.where(first < 0, -1, first + (self.asked > 1)))
        if self.lie == "summing to 1":
            return Choice(probabilities=even * 0.9)
        if self.lie == "shares of its draws":
            return Choice(probabilities=even, components=np.repeat(first[..., None], 3, axis=-1))
        if self.lie == "probability to a rung that is not allowed":
            return Choice(probabilities=np.full(allowed.shape, 1 / allowed.shape[-1]))
        answers = {
            "chooses a rung that is not allowed": np.where(first < 0, -1, allowed.shape[-1] - 1),
            "chooses where nothing is allowed": np.maximum(first, 0),
            "in the shape": first[:, :1],
            "chooses rungs as float": first.astype(np.float64),
        }
        return Choice(index=answers.get(self.lie, first))


@pytest.mark.parametrize(
    "lie",
    [
        "changes what it was given",
        "chooses differently",
        "summing to 1",
        "shares of its draws",
        "probability to a rung that is not allowed",
        "chooses a rung that is not allowed",
        "chooses where nothing is allowed",
        "in the shape",
        "chooses rungs as float",
    ],
)
def test_the_checker_names_the_promise_that_a_policy_breaks(lie: str) -> None:
    situation, _ = opening(SCENARIO)
    allowed = np.zeros((1, 5, 12), dtype=np.bool_)
    allowed[0, 1:, 2:6] = True
    with pytest.raises(ArtifactError, match=lie):
        check_policy(Liar(lie), situation, allowed)
    fresh, _ = opening(SCENARIO)
    check_policy(Liar("none"), fresh, allowed)
    with pytest.raises(ArtifactError, match="not registered: shoe_size"):
        check_policy(Liar("none", reads=("shoe_size",)), fresh, allowed)
    with pytest.raises(ArtifactError, match="no name"):
        check_policy(Liar("none", version=""), fresh, allowed)
