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
from pricing.model import BEND_COLUMNS, pull_of_bends
from pricing.response import BENDS, FORMS, ResponseForms
from simulators.demand.population import HELD, Population, by_category, freed, means

__all__ = ["Comparison", "FormRow", "compare", "share_bends", "stacked"]

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
    categories: int

    @property
    def fold(self) -> Ints:
        """int64 [n]; which fold each is in."""
        return np.arange(len(self.a), dtype=np.int64) % _FOLDS

    def take(self, kept: Ints) -> _Told:
        """Return what the series at `kept` say."""
        return _Told(self.A[kept], self.a[kept], self.category[kept], self.categories)

    def sums(self) -> tuple[Floats, Floats]:
        """Return the sums of each category, float64 [G, C, C], [G, C]."""
        return by_category(self.A, self.a, self.category, self.categories)


def compare(mode: Floats, covariance: Floats, category: Ints, population: Population) -> Comparison:
    """Compare the forms.

    Parameters
    ----------
    mode, covariance, category
        float64 [n, C], [n, C, C], int64 [n]; posteriors of the series that teach the population.
    population
        Under which they were found, category means taken as known.
    """
    said = freed(mode, covariance, category, population)
    told = _Told(said.precision, said.weighed, category, len(population.category_mean))
    sums = told.sums()
    if (population.vague[BEND_COLUMNS] <= HELD).all():
        return _constant(sums, population)
    held = _held_out(told, population)
    weight = stacked(held)
    found = [_under(sums, population, free) for _, free in FORMS]
    forms = ResponseForms(
        weight,
        np.stack([mean[BEND_COLUMNS] for mean, *_ in found]),
        np.stack([spread[np.ix_(BEND_COLUMNS, BEND_COLUMNS)] for _, spread, *_ in found])
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
    The posteriors with bends of the mixture's mean and covariance; the other coefficients, given the bends,
    stay as they were.
    """
    pull = pull_of_bends(covariance)
    moved = mean + np.einsum("nck,nk->nc", pull, forms.centre - mean[:, BEND_COLUMNS])
    moved[:, BEND_COLUMNS] = forms.centre
    changed = forms.spread - covariance[:, BEND_COLUMNS][:, :, BEND_COLUMNS]
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


def _constant(sums: tuple[Floats, Floats], population: Population) -> Comparison:
    """Return the comparison where only the constant elasticity may be told from anything."""
    name, free = FORMS[0]
    forms = ResponseForms(np.ones(1), np.zeros((1, len(BENDS))), _NO_MATTER * np.eye(len(BENDS))[None])
    found = [_under(sums, population, free)]
    return Comparison(forms, (FormRow(name, 0.0, 0.0, 1.0, 0.0, 0.0),), _mixed(population, np.ones(1), found))


def _vague(population: Population, free: tuple[bool, ...]) -> Floats:
    out = population.vague.copy()
    out[BEND_COLUMNS] = np.where(free, out[BEND_COLUMNS], HELD)
    return out


def _under(
    sums: tuple[Floats, Floats], population: Population, free: tuple[bool, ...]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return :func:`means` under one form; what it holds at 0 is 0 in all of them."""
    mean, spread, group_mean, group_spread = means(*sums, population.between, _vague(population, free))
    mean[BEND_COLUMNS] = np.where(free, mean[BEND_COLUMNS], 0.0)
    group_mean[:, BEND_COLUMNS] = np.where(free, group_mean[:, BEND_COLUMNS], 0.0)
    return mean, spread, group_mean, group_spread


def _held_out(told: _Told, population: Population) -> Floats:
    """Return the log likelihood of each series given those of the other folds, a column a form, [n, F]."""
    fold, out = told.fold, np.empty((len(told.a), len(FORMS)))
    for k in range(_FOLDS):
        rest, here = (told.take(np.flatnonzero(which)) for which in (fold != k, fold == k))
        sums = rest.sums()
        for f, (_, free) in enumerate(FORMS):
            _, _, mean, spread = means(*sums, population.between, _vague(population, free))
            out[fold == k, f] = _likelihood(here, mean[here.category], spread[here.category])
    return out


def _likelihood(here: _Told, m: Floats, V: Floats) -> Floats:
    """Return the log likelihood of series whose category's mean is normal, N(m, V), float64 [n].

    Up to a constant of the series that is the same under every form: what a series says is normal too, and
    both together integrate to a normal density.
    """
    surprise = here.a - np.einsum("ncd,nd->nc", here.A, m)
    M = np.eye(here.A.shape[1]) + np.matmul(V, here.A)
    pulled = np.asarray(np.linalg.solve(M, np.matmul(V, surprise[..., None])), dtype=np.float64)[..., 0]
    _, log_volume = np.linalg.slogdet(M)
    fit = np.einsum("nc,nc->n", here.a, m) - 0.5 * np.einsum("nc,ncd,nd->n", m, here.A, m)
    out: Floats = fit + 0.5 * np.einsum("nc,nc->n", surprise, pulled) - 0.5 * log_volume
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
