"""Policies whose bytes are well formed and whose content is not: each refused before it prices anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.serve.artifact import StoredPolicy, from_bytes
from policies.serve.incumbent import Incumbent
from policies.serve.outlook import Outlook
from policies.serve.planner import Drawn
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.stored import policy_bytes, rows_of
from policies.serve.thompson import Thompson
from policies.subset import parameters_of
from pricing.archive import pack, unpack
from pricing.errors import ArtifactError, TarifaError, UnknownProduct
from pricing.features import FEATURES
from simulators.market import sample_worlds
from simulators.worlds import toy_scenario
from tests.policies.support import opening
from tests.policies.test_network import a_network

SCENARIO, MODEL = toy_scenario(4, 9, horizon=3, stock_periods=2.0)
DRAWS = sample_worlds(MODEL, SCENARIO.catalogue, 5).parameters
STATIC, THOMPSON = Static.of(SCENARIO), Thompson.of(SCENARIO, DRAWS)
RESOLVE = Resolve.of(SCENARIO, Drawn(SCENARIO.catalogue.keys, DRAWS))
NETWORK = a_network(3)


def _with(policy: StoredPolicy, **parts: Any) -> bytes:
    """Return the policy's archive with other arrays or facts; None takes one away."""
    arrays, meta = unpack("policy", 1, policy.to_bytes())
    for name, value in parts.items():
        place: dict[str, Any] = arrays if name in arrays or isinstance(value, np.ndarray) else meta
        place.pop(name, None)
        if value is not None:
            place[name] = value
    return pack("policy", 1, arrays, meta)


def _of(policy: StoredPolicy, name: str) -> NDArray[Any]:
    return unpack("policy", 1, policy.to_bytes())[0][name]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, True, "0.1", None, [0.1], 10**400])
@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (RESOLVE, "max_change"),
        (RESOLVE, "memory"),
        (NETWORK, "width"),
        (NETWORK, "deviation"),
        (NETWORK, "layers"),
    ],
)
def test_a_number_that_is_none_is_refused(policy: StoredPolicy, name: str, value: object) -> None:
    assert from_bytes(_with(policy)).to_bytes() == policy.to_bytes()
    with pytest.raises(ArtifactError, match=name):
        from_bytes(_with(policy, **{name: value}))


@pytest.mark.parametrize(
    ("policy", "parts", "message"),
    [
        (RESOLVE, {"memory": 1.2}, "inconsistent"),
        (RESOLVE, {"memory": -0.1}, "inconsistent"),
        (RESOLVE, {"max_change": 1.5}, "inconsistent"),
        (RESOLVE, {"low": _of(RESOLVE, "low")[:-1]}, "inconsistent"),
        (RESOLVE, {"received": _of(RESOLVE, "received")[:-1]}, "inconsistent"),
        (RESOLVE, {"depth": _of(RESOLVE, "depth")[:, :-1]}, "inconsistent"),
        (RESOLVE, {"keys": _of(RESOLVE, "keys").astype(np.int64)}, "int64"),
        (RESOLVE, {"draws_lag": _of(RESOLVE, "draws_lag")[:-1]}, "different shapes"),
        (RESOLVE, {"draws_lag": None}, "draws_lag"),
        (THOMPSON, {"draws_loss": _of(THOMPSON, "draws_loss")[:, :-1]}, "different shapes"),
        (THOMPSON, {"keys": _of(THOMPSON, "keys")[:-1]}, "different shapes"),
        (STATIC, {"target": _of(STATIC, "target")[:-1]}, "different lengths"),
        (STATIC, {"target": _of(STATIC, "target") * np.nan}, "NaN"),
        (STATIC, {"target": _of(STATIC, "target").astype(np.int64)}, "int64"),
        (NETWORK, {"scale": np.zeros(len(FEATURES))}, "layers"),
        (NETWORK, {"scale": -np.ones(len(FEATURES))}, "layers"),
        (NETWORK, {"scale": np.full(len(FEATURES), np.inf)}, "layers"),
        (NETWORK, {"centre": np.full(len(FEATURES), np.inf)}, "layers"),
        (NETWORK, {"weight_0": np.full_like(_of(NETWORK, "weight_0"), np.inf)}, "layers"),
        (NETWORK, {"bias_1": np.array([-np.inf])}, "layers"),
        (NETWORK, {"width": 0.0}, "layers"),
        (NETWORK, {"deviation": -0.1}, "layers"),
        (NETWORK, {"layers": 1}, "layers"),
        (NETWORK, {"layers": 0}, "layers"),
        (NETWORK, {"layers": -3}, "layers"),
        (NETWORK, {"layers": 3}, "weight_2"),
        (NETWORK, {"features": "elasticity"}, "features"),
        (NETWORK, {"features": [1, 2]}, "features"),
        (NETWORK, {"features": [f.name for f in reversed(FEATURES)]}, "other features"),
        (NETWORK, {"name": "static"}, "keys"),
        (STATIC, {"name": 7}, "which policy"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(
    policy: StoredPolicy, parts: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message):
        from_bytes(_with(policy, **parts))


@pytest.mark.parametrize("policy", [RESOLVE, THOMPSON], ids=lambda p: p.name)
def test_no_draws_are_no_belief(policy: StoredPolicy) -> None:
    """The mean over no draws is NaN, and a propensity would be a share of nothing."""
    arrays, _ = unpack("policy", 1, policy.to_bytes())
    none = {name: array[:0] for name, array in arrays.items() if name.startswith("draws_")}
    with pytest.raises(ArtifactError, match="draws"):
        from_bytes(_with(policy, **none))


@pytest.mark.parametrize("policy", [STATIC, RESOLVE, THOMPSON], ids=lambda p: p.name)
def test_a_policy_of_another_catalogue_prices_nothing(policy: StoredPolicy) -> None:
    other, _ = toy_scenario(6, 9, horizon=3)
    with pytest.raises(
        UnknownProduct, match=f"{policy.name} policy was made for other series; 2 of 6 are new"
    ):
        from_bytes(policy.to_bytes()).choose(*opening(other))


@pytest.mark.parametrize("policy", [STATIC, RESOLVE, THOMPSON, NETWORK, Incumbent()], ids=lambda p: p.name)
def test_a_policy_finds_its_series_by_name_in_any_order_and_number(policy: StoredPolicy) -> None:
    whole = policy.choose(*opening(SCENARIO, 2)).over(12)
    for some in ([3, 1, 0, 2], [2], [1, 3]):
        at = np.array(some)
        part = policy.choose(*opening(SCENARIO.take(at), 2)).over(12)
        np.testing.assert_array_equal(part, whole[:, at])


@pytest.mark.parametrize("change", [0.0, 1.0])
def test_an_outlook_at_the_ends_of_its_shares_is_fine(change: float) -> None:
    outlook = from_bytes(_with(RESOLVE, max_change=change, memory=1.0 - change))
    assert isinstance(outlook, Resolve)
    assert (outlook.outlook.max_change, outlook.outlook.memory) == (change, 1.0 - change)


def test_what_is_stored_is_what_is_read_down_to_the_last_bit() -> None:
    back = from_bytes(RESOLVE.to_bytes())
    assert isinstance(back, Resolve)
    for name in Outlook.__slots__:
        np.testing.assert_array_equal(getattr(back.outlook, name), getattr(RESOLVE.outlook, name))
    thompson = from_bytes(THOMPSON.to_bytes())
    assert isinstance(thompson, Thompson)
    for name in type(DRAWS).__dataclass_fields__:
        np.testing.assert_array_equal(getattr(thompson.draws, name), getattr(DRAWS, name))


def test_a_version_notices_one_bit_of_any_array() -> None:
    for policy in (STATIC, RESOLVE, THOMPSON, NETWORK):
        arrays, _ = unpack("policy", 1, policy.to_bytes())
        versions = {policy.version}
        for name, array in arrays.items():
            nudged = array.copy()
            flat = nudged.reshape(-1)
            flat[-1] = flat[-1] + 1 if array.dtype.kind == "u" else np.nextafter(flat[-1], flat[-1] + 1.0)
            try:
                versions.add(from_bytes(_with(policy, **{name: nudged})).version)
            except TarifaError:
                continue
        assert len(versions) >= len(arrays) - 2, policy.name


def test_rows_are_found_by_key_alone() -> None:
    keys = np.array([9, 2, 7, 2**63], dtype=np.uint64)
    for wanted in ([], [7], [2**63, 9], [9, 2, 7, 2**63], [2, 2, 2]):
        found = rows_of(keys, np.array(wanted, dtype=np.uint64), "test")
        assert keys[found].tolist() == wanted
    for wanted in ([1], [9, 8], [2**64 - 1], [0]):
        with pytest.raises(UnknownProduct, match="1 of"):
            rows_of(keys, np.array(wanted, dtype=np.uint64), "test")
    with pytest.raises(UnknownProduct, match="1 of 1"):
        rows_of(keys[:0], keys[:1], "test")
    assert rows_of(keys[:0], keys[:0], "test").shape == (0,)


def test_an_incumbent_carries_nothing_and_cannot_be_told_apart() -> None:
    assert from_bytes(policy_bytes("incumbent", {}, {})).version == Incumbent().version


def test_some_series_of_parameters_keep_what_leads_them() -> None:
    some = parameters_of(DRAWS, np.array([2, 0]))
    assert some.level.shape == (5, 2)
    np.testing.assert_array_equal(some.regular, DRAWS.regular[:, [2, 0]])
