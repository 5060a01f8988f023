"""What a policy stores, as bytes: the same content always gives the same bytes, and so the same version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from pricing.archive import digest, pack, unpack
from pricing.arrays import Floats, Ints, Words
from pricing.demand import DemandParameters
from pricing.errors import ArtifactError, UnknownProduct

__all__ = ["Parts", "Stored", "draws_arrays", "policy_bytes", "read_parts", "rows_of"]

_KIND, _SCHEMA = "policy", 1
_DEMAND = tuple(field.name for field in fields(DemandParameters))


@dataclass(frozen=True, slots=True)
class Parts:
    """What was read from the bytes of a policy.

    Attributes
    ----------
    name
        Of the policy.
    arrays, meta
        As they were packed, the name left out.
    """

    name: str
    arrays: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]

    def array(self, name: str, kind: str, axes: int) -> NDArray[Any]:
        """Return an array, checked for its NumPy kind (``"f"``, ``"i"``, ``"u"``) and number of axes.

        Raises
        ------
        ArtifactError
            If it is missing, of another kind or shape, or holds NaN.
        """
        found = self.arrays.get(name)
        if found is None:
            raise ArtifactError(f"The {self.name} policy lacks its array '{name}'.", todo="Make it again.")
        if found.dtype.kind != kind or found.ndim != axes:
            raise ArtifactError(
                f"The array '{name}' of the {self.name} policy is {found.dtype} with {found.ndim} axes.",
                todo="Make it again.",
            )
        if kind == "f" and bool(np.isnan(found).any()):
            raise ArtifactError(f"The array '{name}' of the {self.name} policy holds NaN.")
        return found

    def same_length(self, *names: str) -> None:
        """Check that the first axes of these arrays agree; raises :class:`ArtifactError`."""
        lengths = {name: len(self.arrays[name]) for name in names}
        if len(set(lengths.values())) > 1:
            raise ArtifactError(f"The {self.name} policy has arrays of different lengths: {lengths}.")

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of words of the metadata; raises :class:`ArtifactError`."""
        value = self.meta.get(name)
        words = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(isinstance(word, str) for word in words):
            raise ArtifactError(f"The {self.name} policy lacks its words '{name}'.", todo="Make it again.")
        return tuple(map(str, words))

    def draws(self, series: int) -> DemandParameters:
        """Return the posterior draws [D, series] that :func:`draws_arrays` laid out.

        Raises
        ------
        ArtifactError
            If there are none, one is missing or they have different shapes.
        """
        arrays = [self.array(f"draws_{name}", "f", 2) for name in _DEMAND]
        if not len(arrays[0]) or any(
            array.shape != arrays[0].shape or array.shape[1] != series for array in arrays
        ):
            raise ArtifactError(
                f"The {self.name} policy has draws of different shapes.", todo="Make it again."
            )
        return DemandParameters(*arrays)

    def number(self, name: str) -> float:
        """Return a finite number of the metadata; raises :class:`ArtifactError`."""
        value = self.meta.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
            raise ArtifactError(f"The {self.name} policy lacks its number '{name}'.", todo="Make it again.")
        return float(value)


class Stored(ABC):
    """What all stored policies share: a name, and a version that is the digest of their bytes."""

    NAME: ClassVar[str]
    KIND: ClassVar[str]

    @property
    def name(self) -> str:
        """Short name, as the command line takes it."""
        return self.NAME

    @property
    def kind(self) -> str:
        """What kind of policy it is: rule, planner, bandit or learned."""
        return self.KIND

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the registered features that it reads; none unless a policy says otherwise."""
        return ()

    @property
    def version(self) -> str:
        """Digest of :meth:`to_bytes`."""
        return self._version

    @cached_property
    def _version(self) -> str:
        return digest(self.to_bytes())

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same policy gives the same bytes."""


def draws_arrays(draws: DemandParameters) -> dict[str, Floats]:
    """Return posterior draws [D, N] as named arrays, for an archive."""
    return {f"draws_{name}": np.ascontiguousarray(getattr(draws, name)) for name in _DEMAND}


def policy_bytes(name: str, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, object]) -> bytes:
    """Pack a policy; :func:`read_parts` reads it."""
    return pack(_KIND, _SCHEMA, arrays, {"name": name, **meta})


def read_parts(content: bytes) -> Parts:
    """Unpack a policy; raises :class:`pricing.errors.ArtifactError`."""
    arrays, meta = unpack(_KIND, _SCHEMA, content)
    name = meta.pop("name", None)
    if not isinstance(name, str):
        raise ArtifactError("This policy archive does not say which policy it holds.")
    return Parts(name, arrays, meta)


def rows_of(keys: Words, wanted: Words, policy: str) -> Ints:
    """Return where each of `wanted` [M] stands among the stored `keys` [N], int64 [M].

    Both are :attr:`pricing.catalogue.Catalogue.keys`.

    Raises
    ------
    UnknownProduct
        If one is not stored: the policy was made for other series.
    """
    if np.array_equal(keys, wanted):
        return np.arange(len(keys), dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    rows: Ints = order[place].astype(np.int64) if len(keys) else np.zeros(len(wanted), dtype=np.int64)
    unknown = np.ones(len(wanted), dtype=np.bool_) if not len(keys) else keys[rows] != wanted
    if unknown.any():
        raise UnknownProduct(
            f"The {policy} policy was made for other series; {int(unknown.sum())} of {len(wanted)} are new.",
            todo="Make it again for this catalogue.",
        )
    return rows
