"""The checker of the policy protocol: run it on any policy before it is trained, stored or served."""

from __future__ import annotations

import numpy as np

from policies.serve.artifact import StoredPolicy, from_bytes
from pricing.archive import digest
from pricing.arrays import Bools, Floats
from pricing.errors import ArtifactError, TarifaError
from pricing.features import FEATURES
from pricing.policy import Choice, Policy
from pricing.situation import Situation

__all__ = ["check_policy"]

_TINY = 1e-9


def check_policy(policy: Policy, situation: Situation, allowed: Bools) -> None:
    """Check that a policy keeps the promises of :class:`pricing.policy.Policy`.

    Name, version and what it reads; a choice within the allowed set, none where nothing is allowed,
    probabilities that sum to one and are exact shares of stored draws; the same choice when asked again;
    nothing changed in what it was given; and, for a stored policy, the same policy back from its bytes.

    Parameters
    ----------
    policy
        What to check.
    situation, allowed
        Any situation (batch B) and allowed sets bool [B, N, K].

    Raises
    ------
    ArtifactError
        Naming the promise that is broken.
    """
    _check_names(policy)
    before = allowed.copy(), situation.state.price.copy(), situation.state.stock.copy()
    choice = policy.choose(situation, allowed)
    after = allowed, situation.state.price, situation.state.stock
    _require(
        all(np.array_equal(old, new) for old, new in zip(before, after, strict=True)),
        policy,
        "changes what it was given",
    )
    _check_choice(policy, choice, allowed)
    again = policy.choose(situation, allowed)
    rungs = allowed.shape[-1]
    _require(
        np.array_equal(choice.over(rungs), again.over(rungs)), policy, "chooses differently when asked again"
    )
    if isinstance(policy, StoredPolicy):
        _check_bytes(policy, situation, allowed)


def _check_names(policy: Policy) -> None:
    missing = [name for name in ("name", "version", "reads", "choose") if not hasattr(policy, name)]
    _require(not missing, policy, f"lacks {', '.join(missing)}")
    _require(bool(policy.name) and bool(policy.version), policy, "has no name or no version")
    unknown = set(policy.reads) - {feature.name for feature in FEATURES}
    _require(not unknown, policy, f"reads features that are not registered: {', '.join(sorted(unknown))}")


def _check_choice(policy: Policy, choice: Choice, allowed: Bools) -> None:
    open_: Bools = np.asarray(allowed.any(axis=-1), dtype=np.bool_)
    if choice.index is not None:
        index = choice.index
        _require(index.shape == open_.shape, policy, f"chooses in the shape {index.shape}")
        _require(index.dtype == np.int64, policy, f"chooses rungs as {index.dtype}")
        _require(bool((index[~open_] == -1).all()), policy, "chooses where nothing is allowed")
        rung = np.clip(index, 0, allowed.shape[-1] - 1)
        hit = np.take_along_axis(allowed, rung[..., None], axis=-1)[..., 0] & (index == rung)
        _require(bool(hit[open_].all()), policy, "chooses a rung that is not allowed")
        return
    chances = choice.over(allowed.shape[-1])
    _require(chances.shape == allowed.shape, policy, f"gives probabilities of the shape {chances.shape}")
    _require(bool((chances >= 0.0).all()), policy, "gives a negative probability or NaN")
    _require(not chances[~allowed].any(), policy, "gives probability to a rung that is not allowed")
    sums = chances.sum(axis=-1)
    _require(bool(np.allclose(sums[open_], 1.0, atol=_TINY)), policy, "gives probabilities not summing to 1")
    if choice.components is not None:
        _check_components(policy, choice, chances, open_)


def _check_components(policy: Policy, choice: Choice, chances: Floats, open_: Bools) -> None:
    parts = choice.components
    if parts is None:
        return
    for rung in range(chances.shape[-1]):
        share = np.equal(parts, rung).mean(axis=-1)
        fits = np.abs(share - chances[..., rung])[open_] <= _TINY
        _require(bool(fits.all()), policy, "gives probabilities that are not the shares of its draws")


def _check_bytes(policy: StoredPolicy, situation: Situation, allowed: Bools) -> None:
    content = policy.to_bytes()
    _require(policy.to_bytes() == content, policy, "writes different bytes when asked again")
    _require(policy.version == digest(content), policy, "has a version that is not the digest of its bytes")
    try:
        back = from_bytes(content)
    except TarifaError as error:
        raise ArtifactError(f"The policy {policy.name} cannot be read back.", why=str(error)) from error
    _require(back.to_bytes() == content, policy, "does not come back from its bytes")
    rungs = allowed.shape[-1]
    same = np.array_equal(
        back.choose(situation, allowed).over(rungs), policy.choose(situation, allowed).over(rungs)
    )
    _require(same, policy, "chooses differently once read back")


def _require(holds: bool, policy: Policy, failing: str) -> None:  # noqa: FBT001 - a condition, not a flag
    if not holds:
        name = getattr(policy, "name", type(policy).__name__)
        raise ArtifactError(f"The policy {name} {failing}.", todo="See pricing.policy.Policy.")
