"""The same oracle compiled with numba: one reading of the table, no arrays on the way."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import numpy as np

from policies.allocation.instance import Cells, Choices
from policies.allocation.oracle import Best, NumpyOracle, Oracle
from pricing.arrays import Bools, Floats
from pricing.errors import UsageError

__all__ = ["ENGINES", "CompiledOracle", "oracle_of"]

ENGINES = ("numba", "numpy")
"""Engines by name, the fastest first. Both give the same answer to the last bit."""


def oracle_of(name: str = "") -> Oracle:
    """Return an engine: the one named, or the fastest that is installed. Its `name` says which it is.

    Raises
    ------
    UsageError
        If there is no such engine, or it is named and not installed.
    """
    if name not in ("", *ENGINES):
        raise UsageError(f"There is no engine {name!r}.", todo=f"Give one of {', '.join(ENGINES)}.")
    there = importlib.util.find_spec("numba") is not None
    if name == "numba" and not there:
        raise UsageError("numba is not installed.", todo="Install numba, or give the engine numpy.")
    return CompiledOracle() if there and name != "numpy" else NumpyOracle()


class CompiledOracle:
    """Needs numba, which is imported at the first question."""

    @property
    def name(self) -> str:
        """Which engine it is."""
        return "numba"

    def best(self, cells: Cells, per_cost: Floats, per_offer: Floats, roof: Floats) -> Best:
        """See :meth:`policies.allocation.oracle.Oracle.best`."""
        found = Best.empty(len(per_cost), len(cells))
        value, cost, eligible = (
            np.ascontiguousarray(part) for part in (cells.value, cells.cost, cells.eligible)
        )
        _kernel()(value, cost, eligible, per_cost, per_offer, roof, found.choice, found.reduced, found.cost)
        return found


@cache
def _kernel() -> Any:
    """Compile; kept on disk between processes where numba finds a folder that it may write."""
    import numba

    nb: Any = numba
    try:
        return nb.njit(cache=True, nogil=True)(_best)
    except RuntimeError:  # no folder for its cache, as in a read-only image: compile anew each time
        return nb.njit(nogil=True)(_best)


def _best(
    value: Floats,
    cost: Floats,
    eligible: Bools,
    per_cost: Floats,
    per_offer: Floats,
    roof: Floats,
    choice: Choices,
    reduced: Floats,
    paid: Floats,
) -> None:
    for n in range(value.shape[0]):
        for level in range(per_cost.shape[0]):
            best, most = 0, 0.0
            for k in range(1, value.shape[1]):
                left = value[n, k] - per_cost[level, k] * cost[n, k] - per_offer[level, k]
                better = eligible[n, k] & (cost[n, k] <= roof[k]) & (left > most)
                best = k if better else best
                most = left if better else most
            choice[level, n] = best
            reduced[level, n] = most
            paid[level, n] = cost[n, best]
