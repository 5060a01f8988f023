"""Which form the response to the regular price has: compared by held-out likelihood, kept as a mixture.

The bends of :mod:`pricing.response` are common to all series of a shop, and one fit with both of them free
says what each series tells of them (Laplace). From that the other forms follow without another fit: a form
holds some of the bends at 0. Forms are compared by how likely each series is given the others, in folds of
series (held-out log likelihood), and weighed by stacking: the weights under which the mixture foretells the
held-out series best (Yao, Vehtari, Simpson and Gelman, Bayesian Analysis 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.model import COEFFICIENTS
from pricing.response import BENDS, FORMS, ResponseForms
from simulators.demand.population import HELD, Population, freed, means

__all__ = ["Comparison", "FormRow", "compare", "share_bends", "stacked"]

_BENDS = [COEFFICIENTS.index(name) for name in BENDS]
_FOLDS = 10
_ROUNDS = 1000
_NO_MATTER = 1e-8
"""Variance of a bend that is held at 0: next to none, and no matrix is singular."""


@dataclass(frozen=True, slots=True)
class FormRow:
    """One form of the response to the regular price.

    Attributes
    ----------
    name
        Of :data:`pricing.response.FORMS`.
    gain, standard_error
        Held-out log likelihood over that of the constant elasticity, all series together, and its error;
        of one series alone no error is known, None.
    weight
        In the mixture, 0-1.
    curve, threshold
        Posterior mean of the bends under this form.
    """

    name: str
    gain: float
    standard_error: float | None
    weight: float
    curve: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mixture, a row a form, and the population with the bends as the mixture has them."""

    forms: ResponseForms
    rows: tuple[FormRow, ...]
    population: Population


@dataclass(frozen=True, slots=True)
class _Told:
    """What each of n series says of its category's mean, see :func:`freed`, and its category and fold."""

    A: Floats
    a: Floats
    category: Ints
    fold: Ints

    def of(self, kept: Ints, categories: int) -> tuple[Floats, Floats]:
        """Return the sums over the series at `kept`, float64 [G, C, C], [G, C]."""
        A = np.zeros((categories, *self.A.shape[1:]))
        a = np.zeros((categories, self.a.shape[1]))
        np.add.at(A, self.category[kept], self.A[kept])
        np.add.at(a, self.category[kept], self.a[kept])
        return A, a


def compare(mode: Floats, covariance: Floats, category: Ints, population: Population) -> Comparison:
    """Compare the forms.

    Parameters
    ----------
    mode, covariance, category
        float64 [n, C], [n, C, C], int64 [n]; posteriors of the series that teach the population.
    population
        Under which they were found, category means taken as known.
    """
    told = _Told(
        *freed(mode, covariance, category, population),
        category,
        np.arange(len(mode), dtype=np.int64) % _FOLDS,
    )
    if (population.vague[_BENDS] <= HELD).all():
        return _constant(told, population)
    held = np.stack([_held_out(told, population, free) for _, free in FORMS], axis=1)
    weight = stacked(held)
    found = [_under(told, population, free) for _, free in FORMS]
    forms = ResponseForms(
        weight,
        np.stack([mean[_BENDS] for mean, *_ in found]),
        np.stack([spread[np.ix_(_BENDS, _BENDS)] for _, spread, *_ in found])
        + _NO_MATTER * np.eye(len(BENDS)),
    )
    return Comparison(forms, _rows(held - held[:, :1], forms), _mixed(population, weight, found))


def _rows(gain: Floats, forms: ResponseForms) -> tuple[FormRow, ...]:
    """Return a row a form, given what each of n series gains by it, float64 [n, F]."""
    several = len(gain) > 1
    error = np.sqrt(len(gain)) * gain.std(axis=0, ddof=int(several))
    told = zip(FORMS, gain.sum(axis=0), error, forms.weight, forms.mean, strict=True)
    return tuple(
        FormRow(
            name, float(total), float(unsure) if several else None, float(share), float(at[0]), float(at[1])
        )
        for (name, _), total, unsure, share, at in told
    )


def share_bends(mean: Floats, covariance: Floats, forms: ResponseForms) -> tuple[Floats, Floats]:
    """Give all series the bends of the mixture, and let their other coefficients follow.

    Parameters
    ----------
    mean, covariance
        float64 [N, C], [N, C, C]; posteriors of the series.
    forms
        The mixture.

    Returns
    -------
    The posteriors with bends of the mixture's mean and covariance; its other coefficients, given the bends,
    stays as it was.
    """
    beside = covariance[:, :, _BENDS]
    pull = np.swapaxes(np.linalg.solve(beside[:, _BENDS], np.swapaxes(beside, 1, 2)), 1, 2)
    moved = mean + np.einsum("nck,nk->nc", pull, forms.centre - mean[:, _BENDS])
    changed = forms.spread - beside[:, _BENDS]
    wide = covariance + np.matmul(np.matmul(pull, changed), np.swapaxes(pull, 1, 2))
    return moved, 0.5 * (wide + np.swapaxes(wide, 1, 2))


def stacked(held: Floats) -> Floats:
    """Return the weights [F] that make the mixture of densities ``exp(held)`` [n, F] likeliest.

    Expectation-maximisation; each round raises the likelihood.
    """
    top: Floats = held.max(axis=1, keepdims=True)
    share: Floats = np.exp(held - top)
    forms = held.shape[1]
    weight: Floats = np.ones(forms) / forms
    for _ in range(_ROUNDS):
        part: Floats = share * weight
        whole: Floats = part.sum(axis=1, keepdims=True)
        weight = np.asarray((part / whole).mean(axis=0))
    return weight


def _constant(told: _Told, population: Population) -> Comparison:
    """Return the comparison where only the constant elasticity may be told from anything."""
    name, free = FORMS[0]
    forms = ResponseForms(np.ones(1), np.zeros((1, len(BENDS))), _NO_MATTER * np.eye(len(BENDS))[None])
    found = [_under(told, population, free)]
    return Comparison(forms, (FormRow(name, 0.0, 0.0, 1.0, 0.0, 0.0),), _mixed(population, np.ones(1), found))


def _vague(population: Population, free: tuple[bool, ...]) -> Floats:
    out = population.vague.copy()
    out[_BENDS] = np.where(free, out[_BENDS], HELD)
    return out


def _under(
    told: _Told, population: Population, free: tuple[bool, ...]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return :func:`means` under one form, from all series."""
    everybody = np.arange(len(told.fold), dtype=np.int64)
    A, a = told.of(everybody, len(population.category_mean))
    return means(A, a, population.between, _vague(population, free))


def _held_out(told: _Told, population: Population, free: tuple[bool, ...]) -> Floats:
    """Return the log likelihood of each series given those of the other folds, float64 [n].

    Up to a constant of the series that is the same under every form. What the others know of the category's
    mean is normal, N(m, V), and so is what the series says; both together integrate to a normal density.
    """
    out = np.empty(len(told.fold))
    identity = np.eye(told.A.shape[1])
    for fold in range(_FOLDS):
        rest, here = np.flatnonzero(told.fold != fold), np.flatnonzero(told.fold == fold)
        A, a = told.of(rest, len(population.category_mean))
        _, _, mean, spread = means(A, a, population.between, _vague(population, free))
        m, V = mean[told.category[here]], spread[told.category[here]]
        W, said = told.A[here], told.a[here]
        surprise = said - np.einsum("ncd,nd->nc", W, m)
        M = identity + np.matmul(V, W)
        pulled = np.asarray(np.linalg.solve(M, np.matmul(V, surprise[..., None])), dtype=np.float64)[..., 0]
        _, log_volume = np.linalg.slogdet(M)
        fit = np.einsum("nc,nc->n", said, m) - 0.5 * np.einsum("nc,ncd,nd->n", m, W, m)
        out[here] = fit + 0.5 * np.einsum("nc,nc->n", surprise, pulled) - 0.5 * log_volume
    return out


def _mixed(
    population: Population, weight: Floats, found: list[tuple[Floats, Floats, Floats, Floats]]
) -> Population:
    """Return the population whose means have the mixture's moments over the forms."""
    mean, spread, group_mean, group_spread = (np.stack(parts) for parts in zip(*found, strict=True))
    centre = np.einsum("f,fc->c", weight, mean)
    group_centre = np.einsum("f,fgc->gc", weight, group_mean)
    return replace(
        population,
        mean=centre,
        mean_covariance=np.einsum("f,fcd->cd", weight, spread + _square(mean - centre)),
        category_mean=group_centre,
        category_covariance=np.einsum(
            "f,fgcd->gcd", weight, group_spread + _square(group_mean - group_centre)
        ),
    )


def _square(away: Floats) -> Floats:
    return away[..., :, None] * away[..., None, :]
