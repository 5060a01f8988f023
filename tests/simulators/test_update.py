"""The update against what it must equal: exact normal posteriors, and batch posteriors of the same model."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from pricing.model import COEFFICIENTS, DISCOUNT, REGULAR
from simulators.demand.continuation import Continued, continued
from simulators.demand.drift import Drift
from simulators.demand.fit import Fit, fit
from simulators.demand.forms import share_bends
from simulators.demand.irls import laplace_mean
from simulators.demand.population import first_population
from simulators.demand.posterior import Evidence, Parameters, laplace, presence, sweep
from simulators.demand.seasons import Seasons
from simulators.demand.shocks import Shared, first_shocks
from simulators.demand.standing import Standing, standing
from simulators.demand.update import Fresh, Prior, ahead, updated
from tests.simulators.demand_truth import PERIODS, make

STILL = Drift(0.8, 1e-10)
"""A drift that does not move."""


def _many(mean: Floats, covariance: Floats, drift: Drift, shop: float, category: Floats, past: int) -> Prior:
    return Prior(mean, covariance, np.full(len(mean), 1e12), drift, shop, category, past)


def _huge(log_units: Floats, X: Floats, category: list[int], base: float = 18.0) -> Fresh:
    """Return counts so large that their likelihood is normal: variance of a log count is one over it."""
    units = np.exp(base + log_units)
    return Fresh(
        units, np.ones(units.shape, dtype=np.bool_), X, np.full(units.shape, base), np.array(category)
    )


def _reference(prior: Prior, fresh: Fresh, z: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Return mean and covariance of all states after H periods, by one big linear-Gaussian regression.

    Unknowns: per series (b, u) and H innovations of the drift; the error of the shop's and each category's
    level, and their H shocks. Everything is written out; nothing is eliminated.
    """
    (N, H), known, G = z.shape, prior.mean.shape[1], len(prior.category_variance)
    rho, D = prior.drift.survival, prior.mean.shape[1] + fresh.units.shape[1]
    shared = N * D
    size = shared + (1 + G) * (1 + H)
    centre, spread = np.zeros(size), np.zeros((size, size))
    q = prior.drift.variance * (1 - rho**2)
    for i in range(N):
        at = slice(i * D, i * D + known)
        centre[at], spread[at, at] = prior.mean[i], prior.covariance[i]
        rest = np.arange(i * D + known, (i + 1) * D)
        spread[rest, rest] = q
    for g, variance in enumerate([prior.period_variance, *prior.category_variance]):
        at0 = shared + g * (1 + H)
        spread[at0, at0] = variance / prior.periods
        for h in range(H):
            centre[at0 + 1 + h], spread[at0 + 1 + h, at0 + 1 + h] = -0.5 * variance, variance
    A = np.zeros((N * H, size))
    for i in range(N):
        for h in range(H):
            row = A[i * H + h]
            row[i * D : i * D + known - 1] = fresh.X[i, h]
            row[i * D + known - 1] = rho ** (h + 1)
            for k in range(h + 1):
                row[i * D + known + k] = rho ** (h - k)
            for g in (0, 1 + int(fresh.category[i])):
                row[shared + g * (1 + H)] += 1.0
                row[shared + g * (1 + H) + 1 + h] += 1.0
    gain = spread @ A.T @ np.linalg.inv(A @ spread @ A.T + np.diag(noise.ravel()))
    middle = centre + gain @ (z.ravel() - A @ centre)
    after = spread - gain @ A @ spread
    means, covariances = np.empty((N, known)), np.empty((N, known, known))
    for i in range(N):
        onward = np.zeros((known, size))
        onward[:, i * D : i * D + known] = np.eye(known)
        onward[-1, i * D + known - 1] = rho**H
        onward[-1, i * D + known : (i + 1) * D] = rho ** np.arange(H - 1, -1, -1)
        for g in (0, 1 + int(fresh.category[i])):
            onward[0, shared + g * (1 + H)] = 1.0  # the level moves by the error of the shop's
        means[i], covariances[i] = onward @ middle, onward @ after @ onward.T
    return means, covariances


def _gaussian(N: int, H: int, seed: int, past: int = 30) -> tuple[Prior, Fresh, Floats, Floats]:
    rng = np.random.default_rng(seed)
    K, tiny = 2, 1e-4
    root = rng.standard_normal((N, K + 1, K + 1))
    covariance = tiny**2 * (root @ np.swapaxes(root, 1, 2) + np.eye(K + 1))
    mean = tiny * rng.standard_normal((N, K + 1))
    category = [i % 2 for i in range(N)]
    prior = _many(mean, covariance, Drift(0.7, tiny**2), 2 * tiny**2, tiny**2 * np.array([1.0, 0.5]), past)
    X = np.ones((N, H, K))
    X[..., 1] = rng.standard_normal((N, H))
    z = tiny * rng.standard_normal((N, H))
    fresh = _huge(z, X, category)
    return prior, fresh, z, 1.0 / fresh.units


def test_with_normal_evidence_it_is_the_exact_posterior() -> None:
    prior, fresh, z, noise = _gaussian(6, 4, 1)
    found = updated(prior, fresh)
    mean, covariance = _reference(prior, fresh, z, noise)
    sd = np.sqrt(np.einsum("nkk->nk", covariance))
    assert np.abs((found.mean - mean) / sd).max() < 2e-3
    # What stays unknown of the shop's level given all shocks, s**2 / (T + H), a fit does not count either.
    rest = (prior.period_variance + prior.category_variance[fresh.category]) / (prior.periods + 4)
    covariance[:, 0, 0] -= rest
    assert np.abs(found.covariance - covariance).max() / covariance[:, 0, 0].max() < 2e-3


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_one_by_one_is_at_once_where_nothing_is_shared(H: int, first: int, seed: int) -> None:
    prior, fresh, _, _ = _gaussian(3, H + first, seed)
    alone = replace(prior, period_variance=1e-16, category_variance=np.full(2, 1e-16))
    once = updated(alone, fresh)
    early, late = (
        Fresh(
            fresh.units[:, part], fresh.observed[:, part], fresh.X[:, part], fresh.offset[:, part],
            fresh.category,
        )
        for part in (slice(0, first), slice(first, None))
    )  # fmt: skip
    half = updated(alone, early)
    then = updated(
        replace(alone, mean=half.mean, covariance=half.covariance, periods=alone.periods + first), late
    )
    sd = np.sqrt(np.einsum("nkk->nk", once.covariance))
    assert np.abs((then.mean - once.mean) / sd).max() < 5e-3
    assert np.abs(then.covariance / once.covariance - 1.0)[:, 0, 0].max() < 5e-3


def test_periods_that_say_nothing_let_the_drift_fade() -> None:
    prior, fresh, _, _ = _gaussian(2, 3, 5)
    silent = replace(fresh, observed=np.zeros_like(fresh.observed))
    found = updated(prior, silent)
    assert np.allclose(found.mean[:, :-1], prior.mean[:, :-1], rtol=1e-12)
    assert np.allclose(found.mean[:, -1], 0.7**3 * prior.mean[:, -1], rtol=1e-12)
    assert np.allclose(found.covariance[:, :-1, :-1], prior.covariance[:, :-1, :-1], rtol=1e-12)
    kept = 0.49**3 * prior.covariance[:, -1, -1] + (1.0 - 0.49**3) * prior.drift.variance
    assert np.allclose(found.covariance[:, -1, -1], kept, rtol=1e-12)


def test_one_count_by_hand() -> None:
    """One series, one period, 3 sold, level 0 +- .5, no drift: the mode solves 3 - e^m = m / .25."""
    prior = _many(np.zeros((1, 2)), np.diag([0.25, 1e-10])[None], STILL, 1e-12, np.array([1e-12]), 1000)
    fresh = Fresh(
        np.array([[3.0]]),
        np.ones((1, 1), dtype=np.bool_),
        np.ones((1, 1, 1)),
        np.zeros((1, 1)),
        np.array([0]),
    )
    found = updated(prior, fresh)
    m = 0.3832422  # e^m = 1.467032 and 4 m = 1.532968 make 3
    assert np.exp(m) + 4.0 * m == pytest.approx(3.0, abs=1e-5)
    variance = 0.1829146  # 1 / (e^m + 4)
    assert found.covariance[0, 0, 0] == pytest.approx(variance, rel=1e-5)
    assert found.mean[0, 0] == pytest.approx(m - 0.5 * np.exp(m) * variance**2, rel=1e-4)


def _world(seed: int, still: bool) -> tuple[Evidence, Parameters]:
    """Return evidence of 40 series in 60 weeks and parameters that everybody agrees on; no shared shocks."""
    rng = np.random.default_rng(seed)
    n, T, C = 40, 60, len(COEFFICIENTS)
    X = np.concatenate([np.ones((n, T, 1)), 0.2 * rng.standard_normal((n, T, C - 1))], axis=2)
    population = first_population(np.full(n, 2.0), 1, C, bent=True)
    b = population.mean + 0.4 * rng.standard_normal((n, C))
    drift = STILL if still else Drift(0.85, 0.04)
    path = np.zeros((n, T))
    path[:, 0] = np.sqrt(drift.variance) * rng.standard_normal(n)
    for t in range(1, T):
        shock = np.sqrt(drift.variance * (1 - drift.survival**2)) * rng.standard_normal(n)
        path[:, t] = drift.survival * path[:, t - 1] + shock
    mu = np.exp(np.einsum("ntc,nc->nt", X, b) + path)
    units = rng.poisson(rng.gamma(6.0, mu / 6.0)).astype(np.float64)
    quiet = Shared(Drift(0.5, 1e-12), np.full(1, 1e-12))
    nothing = replace(first_shocks(1, T, 7), shop=quiet, categories=quiet)
    evidence = Evidence(
        units, np.ones((n, T), dtype=np.bool_), X, np.zeros((n, T)), np.zeros(n, dtype=int), 7
    )
    known = population.taking_means_as_known()
    return evidence, Parameters(b, path, np.full(n, 6.0), np.zeros(n), known, nothing, drift)


def _part(evidence: Evidence, parameters: Parameters, stop: int) -> tuple[Evidence, Parameters]:
    e = Evidence(
        evidence.units[:, :stop], evidence.observed[:, :stop], evidence.X[:, :stop],
        evidence.offset[:, :stop], evidence.category, 7,
    )  # fmt: skip
    s = parameters.shocks
    shocks = replace(
        s, period=s.period[:stop], category=s.category[:, :stop], shop_told=s.shop_told[:stop],
        category_told=s.category_told[:, :stop],
    )  # fmt: skip
    p = replace(parameters, level=parameters.level[:, :stop], shocks=shocks)
    found = sweep(e, p, steps=40)
    return e, replace(p, mode=found.mode, level=found.level)


def _coming(evidence: Evidence, parameters: Parameters) -> tuple[Floats, Floats]:
    """Return mean and covariance for the weeks to come, the drift given way term by term."""
    every, drift = slice(0, len(evidence.units)), parameters.drift
    kept, unknown = drift.ahead(7)
    found = laplace(evidence, parameters, every)
    seen = presence(evidence, parameters, every)
    mean, level = laplace_mean(found, evidence.units, seen, evidence.X, parameters.size, drift)
    mean[:, 0] += kept * level[:, -1]
    # level = b0 + kept * (u - pull'b), u given b.
    A = np.tile(np.eye(mean.shape[1]), (len(mean), 1, 1))
    A[:, 0] -= kept * found.pull[:, -1]
    covariance = A @ found.covariance @ np.swapaxes(A, 1, 2)
    covariance[:, 0, 0] += kept**2 * found.own[:, -1] + unknown
    return mean, covariance


@pytest.mark.parametrize("still", [True, False])
@pytest.mark.parametrize("steps", [[48, 60], list(range(48, 61))])
def test_it_reaches_the_batch_posterior_of_the_same_parameters(still: bool, steps: list[int]) -> None:
    evidence, parameters = _world(7, still)
    batch_mean, batch_covariance = _coming(*_part(evidence, parameters, 60))
    panel = make(1, 1).panel
    before = panel.between(0, steps[0])
    first = standing(*_part(evidence, parameters, steps[0]), before, Seasons(None, None, np.zeros(steps[0])))
    mean, covariance = first.mean, first.covariance
    for start, stop in itertools.pairwise(steps):
        part = slice(start, stop)
        prior = Prior(mean, covariance, np.full(40, 6.0), parameters.drift, 1e-12, np.full(1, 1e-12), start)
        found = updated(
            prior,
            Fresh(
                evidence.units[:, part], evidence.observed[:, part], evidence.X[:, part],
                evidence.offset[:, part], evidence.category,
            ),
        )  # fmt: skip
        mean, covariance = found.mean, found.covariance
    mean, covariance = ahead(mean, covariance, parameters.drift, 7)
    sd = np.sqrt(np.einsum("nkk->nk", batch_covariance))
    assert np.abs((mean - batch_mean) / sd).max() < 0.06
    assert np.abs(np.sqrt(np.einsum("nkk->nk", covariance)) / sd - 1.0).max() < 0.05


def test_where_a_fit_stands_says_the_same_as_its_model() -> None:
    found = _fitted(48)
    mean, covariance = ahead(found.standing.mean, found.standing.covariance, found.standing.drift, 7)
    # A series' own posterior stands there; the model's has the bends that all series share.
    forms = found.model.forms
    assert forms is not None
    mean, covariance = share_bends(mean, covariance, forms)
    lift = found.model.mean[:, 0] - mean[:, 0]  # what traffic to come is expected to bring
    assert np.allclose(lift, lift[0], atol=1e-12)
    assert abs(lift[0]) < 0.02
    assert np.allclose(mean[:, 1:], found.model.mean[:, 1:], atol=1e-12)
    factor = found.model.factor
    assert np.allclose(covariance, factor @ np.swapaxes(factor, 1, 2), atol=1e-12)
    back = Standing.from_bytes(found.standing.to_bytes())
    assert back.to_bytes() == found.standing.to_bytes()
    assert np.array_equal(back.covariance, found.standing.covariance)


_TRUTH = make(120, 12, level=2.5)


def _fitted(stop: int) -> Fit:
    panel = _TRUTH.panel.between(0, stop)
    return fit(panel, until="2024-12-02", fingerprint="f", seed=3, calendar_in_advance=True)


def _continued(before: Fit | Continued, stop: int) -> Continued:
    return continued(
        before.model, before.standing, before.report, _TRUTH.panel.between(0, stop),
        until="2025-02-24", fingerprint="g", calendar_in_advance=True,
    )  # fmt: skip


def test_updates_stay_close_to_a_full_refit_and_cover_the_truth() -> None:
    before, full = _fitted(48), _fitted(PERIODS)
    once = _continued(before, PERIODS)
    weekly: Fit | Continued = before
    for stop in range(49, PERIODS + 1):
        weekly = _continued(weekly, stop)
    sd = np.sqrt(np.einsum("nij,nij->ni", full.model.factor, full.model.factor))
    for found in (once, weekly):
        gap = (found.model.mean - full.model.mean) / sd
        assert np.sqrt((gap**2).mean(axis=0)).max() < 0.5
        # What is reported; which form the response has is the shop's, and an update keeps it like the rest of
        # the population, where a refit on more weeks compares the forms anew.
        arcs = np.stack([*np.eye(len(COEFFICIENTS))[:-2], REGULAR, DISCOUNT], axis=1)
        own, theirs = (
            np.linalg.norm(np.swapaxes(one.model.factor, 1, 2) @ arcs, axis=1) for one in (found, full)
        )
        assert np.abs(own.mean(axis=0) / theirs.mean(axis=0) - 1.0).max() < 0.2
        for name in ("form_weight", "form_mean", "form_covariance"):
            assert np.array_equal(getattr(found.model, name), getattr(before.model, name))
        # No discount has a signal of its own in this shop; a model that must allow for one is less sure.
        for asked, most in ((REGULAR, 0.97), (DISCOUNT, 0.99)):
            missed = np.abs((found.model.mean - _TRUTH.coefficients) @ asked)
            reach = 1.645 * np.linalg.norm(asked @ found.model.factor, axis=1)
            assert 0.83 < (missed <= reach).mean() < most
    drawn = (weekly.model.mean - once.model.mean) / sd
    assert np.abs(drawn).max() < 0.2
    assert once.report.periods == PERIODS
    assert once.report.population == before.report.population
    assert once.model.fingerprint == "g"
