"""Policies to bytes and back. The bytes are the policy: their digest is its version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from policies.serve.incumbent import Incumbent
from policies.serve.network import NetworkPolicy
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.stored import Parts, read_parts
from policies.serve.thompson import Thompson
from pricing.errors import ArtifactError
from pricing.policy import Policy

__all__ = ["NAMES", "StoredPolicy", "from_bytes"]


@runtime_checkable
class StoredPolicy(Policy, Protocol):
    """A policy that can be written; `version` is the digest of its bytes."""

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same policy gives the same bytes."""
        ...


_READERS: dict[str, Callable[[Parts], StoredPolicy]] = {
    Incumbent.NAME: Incumbent.from_parts,
    Static.NAME: Static.from_parts,
    Resolve.NAME: Resolve.from_parts,
    Thompson.NAME: Thompson.from_parts,
    NetworkPolicy.NAME: NetworkPolicy.from_parts,
}

NAMES = tuple(_READERS)
"""Names of the policies that can be stored, as the command line takes them."""


def from_bytes(content: bytes) -> StoredPolicy:
    """Read a policy.

    Raises
    ------
    ArtifactError
        If the bytes are corrupt, no policy, of a newer schema, or of a policy that is not known here.
    """
    parts = read_parts(content)
    reader = _READERS.get(parts.name)
    if reader is None:
        raise ArtifactError(
            f"This archive holds a policy named '{parts.name}', which is not known here.",
            todo=f"Known are {', '.join(NAMES)}.",
        )
    return reader(parts)
