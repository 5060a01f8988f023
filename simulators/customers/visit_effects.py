"""How often each household shops, read with hazards that were fitted on some of them.

A fit holds a row a household and day in memory, so a large shop's is made on a few thousand households. The
others differ from those by their own effect alone, and that follows from their own days.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from pricing.arrays import Bools, Floats, Ints
from pricing.randomness import label_hash
from simulators.customers.visits import ABSENCES, ShoppingDays, VisitModel, days_since, fit_visits

__all__ = ["FITTED_ON", "fit_large", "read_effects"]

FITTED_ON = 5000
"""Households that hazards are fitted on, at most: chosen by a hash of their pseudonyms."""

_BATCH, _STEPS, _THURSDAY = 20_000, 30, 3


def fit_large(shopping: ShoppingDays, as_of: int, at_most: int = FITTED_ON) -> VisitModel:
    """Return what :func:`simulators.customers.visits.fit_visits` does, of any number of households.

    Up to `at_most` it is that fit. Beyond, hazards and the spread of effects come from `at_most` households,
    and everybody's own effect from :func:`read_effects`.
    """
    days = max(min(as_of - shopping.first_day, shopping.visited.shape[1]), 0)
    seen = np.flatnonzero(shopping.visited[:, :days].any(axis=1))
    if len(seen) <= at_most:
        return fit_visits(shopping, as_of)
    keys = np.array([label_hash(shopping.customer[int(i)], "visits") for i in seen], dtype=np.uint64)
    some = np.sort(seen[np.argsort(keys, kind="stable")[:at_most]])
    return read_effects(fit_visits(_of(shopping, some), as_of), _of(shopping, seen))


def read_effects(model: VisitModel, shopping: ShoppingDays) -> VisitModel:
    """Return the model with the effects of these households, at its own hazards and spread.

    Newton's steps to the posterior mode of each effect, and its Laplace variance; what the hazards themselves
    are uncertain of is left out. Every household needs a day before the model's `as_of`.
    """
    width = min(model.as_of - shopping.first_day, shopping.visited.shape[1])
    parts = [
        _effects(model, shopping.visited[start : start + _BATCH, :width], shopping.first_day)
        for start in range(0, len(shopping.customer), _BATCH)
    ]
    effect, spread, last = (np.concatenate(column) for column in zip(*parts, strict=True))
    return replace(
        model,
        customer=shopping.customer,
        effect=effect,
        effect_sd=spread,
        last_visit=(shopping.first_day + last).astype(np.int64),
    )


def _of(shopping: ShoppingDays, rows: Ints) -> ShoppingDays:
    names = tuple(shopping.customer[int(i)] for i in rows)
    return replace(shopping, customer=names, visited=shopping.visited[rows])


def _effects(model: VisitModel, visited: Bools, first_day: int) -> tuple[Floats, Floats, Ints]:
    """Return effects, their sds [H], and the column of the last visit [H]."""
    H, A = len(visited), len(ABSENCES)
    since = days_since(visited)
    household, column = np.nonzero(since > 0)
    weekday = (first_day + column + _THURSDAY) % 7
    kind = np.searchsorted(ABSENCES, since[household, column], side="right") - 1
    cell = (household * 7 + weekday) * A + kind
    days = np.bincount(cell, minlength=H * 7 * A).reshape(H, 7 * A).astype(np.float64)
    came = np.bincount(household, visited[household, column], H)
    fixed = (model.level + model.weekday[:, None] + model.absence).ravel()
    precision = 1.0 / max(model.population_sd, 1e-6) ** 2
    u = np.zeros(H)
    for _ in range(_STEPS):
        p = expit(fixed + u[:, None])
        information = (days * p * (1.0 - p)).sum(axis=1) + precision
        step = np.clip((came - (days * p).sum(axis=1) - precision * u) / information, -1.0, 1.0)
        u = u + step
        if np.abs(step).max(initial=0.0) < 1e-10:
            break
    p = expit(fixed + u[:, None])
    spread = 1.0 / np.sqrt((days * p * (1.0 - p)).sum(axis=1) + precision)
    last: Ints = (visited.shape[1] - 1 - np.argmax(visited[:, ::-1], axis=1)).astype(np.int64)
    return u, spread, last
