"""Rows that no finite Poisson regression fits best: where nothing sold, and a regressor knows it.

If some mix z of effects and regressors is 0 wherever something sold and not negative, somewhere positive,
where nothing did, then the likelihood rises for ever along -z and the cells with z > 0 are fitted as zeros of
any depth. They say nothing of the coefficients and are set aside (Correia, Guimaraes and Zylkin, "Verifying
the existence of maximum likelihood estimates for generalized linear models", 2019).

Such a mix must lie in the null space of the cells that sold. Usually that is empty beyond the level of the
periods, which one factorisation shows. Otherwise their iterative rectifier is run in that small space itself,
where z is exactly 0 on sold cells, instead of under large weights.
"""

from __future__ import annotations

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import NotIdentified
from simulators.demand.absorption import independent, normal_equations

__all__ = ["rectified", "separated_cells"]

_NULL = 1e-10
_ROUNDING = 1e-6
"""What of its terms is left of a mix that is 0, the null space being known to about this."""
_ZERO, _POSITIVE = 1e-9, 1e-4
"""What of the largest value counts as nothing, and as certainly positive. What lies between is asked again
when the certain rows are gone."""
_ROUNDS = 20_000


def separated_cells(y: Floats, observed: Bools, columns: Floats) -> tuple[Bools, Bools | None]:
    """Return the observed cells whose mean the likelihood drives to zero, bool [N, T].

    Where the cells that sold already settle every effect and regressor, nothing else can be separated, and
    the second value says which of them to estimate, bool [T + K]; else it is None, and the cells that are
    left have to be asked.

    Parameters
    ----------
    y
        float64 [N, T]; not negative, 0 where not observed.
    observed
        bool [N, T].
    columns
        float64 [K, N, T]; regressors, 0 where not observed.
    """
    sold: Bools = np.asarray(y > 0.0, dtype=np.bool_)
    some = np.outer(sold.any(axis=1), sold.any(axis=0))
    out: Bools = observed & ~some
    normal = normal_equations(sold.astype(np.float64), columns)
    alive = np.concatenate([sold.any(axis=0), np.ones(len(columns), dtype=np.bool_)])
    active = independent(normal, columns)
    if (active | ~alive).sum() == len(alive) - 1:
        return out, active
    cells = np.flatnonzero((observed & ~sold & some).ravel())
    z = _null_space(normal.matrix, alive, sold, columns, cells)
    found = rectified(z)
    out.ravel()[cells[found]] = True
    return out, None


def _null_space(matrix: Floats, alive: Bools, sold: Bools, columns: Floats, cells: Ints) -> Floats:
    """Return mixes of effects and regressors that are 0 on sold cells, as values at `cells` [M, d]."""
    place = np.flatnonzero(alive)
    T = sold.shape[1]
    width = np.sqrt(np.maximum((columns**2).sum(axis=(1, 2)), 1e-300))
    scale = np.concatenate([np.sqrt(np.maximum(np.diagonal(matrix)[:T], 1e-300)), width])[place]
    values, vectors = np.linalg.eigh(matrix[np.ix_(place, place)] / (scale[:, None] * scale))
    mixes = np.zeros((len(alive), int((values < _NULL).sum())))
    mixes[place] = vectors[:, values < _NULL] / scale[:, None]
    count = np.maximum(sold.sum(axis=1), 1)
    out: Floats = np.empty((len(cells), mixes.shape[1]))
    for j, mix in enumerate(mixes.T):
        z = mix[:T] + np.tensordot(mix[T:], columns, axes=1)
        size = np.abs(mix[:T]) + np.tensordot(np.abs(mix[T:]), np.abs(columns), axes=1)
        z -= ((z * sold).sum(axis=1) / count)[:, None]
        z[np.abs(z) <= _ROUNDING * size.max()] = 0.0
        out[:, j] = z.ravel()[cells] / size.max()
    return out


def rectified(z: Floats) -> Bools:
    """Return which of M rows some mix of d columns makes positive without making any negative, bool [M].

    Parameters
    ----------
    z
        float64 [M, d]; what each mix is worth at each row.

    Raises
    ------
    NotIdentified
        If the rectifier does not settle.
    """
    out: Bools = np.zeros(len(z), dtype=np.bool_)
    least = _ZERO * float(np.abs(z).max(initial=0.0))
    while True:
        rows = np.flatnonzero(~out)
        basis = _orthonormal(z[rows], least)
        if not basis.shape[1]:
            return out
        mix = _nonnegative(basis)
        if mix is None:
            return out
        out[rows[mix > _POSITIVE * mix.max()]] = True


def _orthonormal(z: Floats, least: float) -> Floats:
    left, size, _ = np.linalg.svd(z, full_matrices=False)
    out: Floats = left[:, size > least]
    return out


def _nonnegative(basis: Floats) -> Floats | None:
    """Return a mix that is nowhere negative and somewhere positive, None if there is none.

    Ones are projected on the mixes, negative values raised to 0, and so on.
    """
    u: Floats = np.ones(len(basis))
    for _ in range(_ROUNDS):
        fitted = basis @ (basis.T @ u)
        top = float(fitted.max())
        if top <= _ZERO:
            return None
        if float(fitted.min()) >= -_ZERO * top:
            return fitted
        u = np.maximum(fitted, 0.0)
    raise NotIdentified(
        f"Whether regressors separate sold from unsold cells was not settled in {_ROUNDS} rounds.",
        todo="Leave out regressors that are nearly constant where something sold.",
    )
