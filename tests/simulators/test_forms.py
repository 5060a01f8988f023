"""Forms of the response compared: held-out likelihood, stacking and shared bends, each the long way."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from pricing.arrays import Floats, Ints
from pricing.model import COEFFICIENTS, REGULAR
from pricing.response import FORMS, ResponseForms, bends
from simulators.demand.design import posted
from simulators.demand.fit import Fit, fit
from simulators.demand.forms import Comparison, compare, share_bends, stacked
from simulators.demand.population import HELD, Population, first_population
from tests.simulators.demand_truth import Truth, make

C = len(COEFFICIENTS)
CURVE, THRESHOLD = COEFFICIENTS.index("curve"), COEFFICIENTS.index("threshold")
BENDS = np.array([CURVE, THRESHOLD])


def _population(*, bent: bool = True, categories: int = 1) -> Population:
    return first_population(np.zeros(8), categories, C, bent=bent).taking_means_as_known()


def _posteriors(
    estimate: Floats, error: Floats, category: Ints, population: Population
) -> tuple[Floats, Floats]:
    """Laplace posteriors, given independent normal estimates [n, C] with standard errors [n, C]."""
    P = np.linalg.inv(population.covariance)
    covariance = np.linalg.inv(P + np.stack([np.diag(row) for row in 1.0 / error**2]))
    right = estimate / error**2 + population.category_mean[category] @ P
    return np.einsum("ncd,nd->nc", covariance, right), covariance


def _case(seed: int, n: int = 23) -> tuple[Floats, Floats, Ints, Population, Comparison]:
    rng = np.random.default_rng(seed)
    population, category = _population(categories=2), np.arange(n, dtype=np.int64) % 2
    error = rng.uniform(0.3, 1.0, (n, C))
    estimate = population.mean + error * rng.standard_normal((n, C))
    estimate[:, CURVE] -= 0.5
    found = compare(*_posteriors(estimate, error, category, population), category, population)
    return estimate, error, category, population, found


def test_gains_are_those_of_the_joint_normal_density() -> None:
    """Estimates of all series are jointly normal; a held-out one's density is a ratio of two of SciPy's."""
    estimate, error, category, population, found = _case(1)
    n = len(estimate)
    fold = np.arange(n) % 10

    def density(free: tuple[bool, ...]) -> Floats:
        vague = population.vague.copy()
        vague[BENDS] = np.where(free, vague[BENDS], HELD)
        # The shop's mean, its category's, its own coefficients, its estimate: variances add up.
        prior = np.array([0.0, -1.5, -2.0, 0.3, 0.3, 0.0, 0.7, *[0.0] * 5])
        blocks = np.tile(np.diag(vague**2), (n, n, 1, 1))
        same = category[:, None] == category
        blocks[same] += np.diag(population.between)
        for i in range(n):
            blocks[i, i] += population.covariance + np.diag(error[i] ** 2)
        V = blocks.transpose(0, 2, 1, 3)

        def log(some: Ints) -> float:
            wide = V[some][:, :, some].reshape(len(some) * C, -1)
            return float(multivariate_normal.logpdf(estimate[some].ravel(), np.tile(prior, len(some)), wide))

        rest = {k: np.flatnonzero(fold != k) for k in range(10)}
        alone = {k: log(rest[k]) for k in rest}
        return np.array([log(np.append(rest[fold[i]], i)) - alone[int(fold[i])] for i in range(n)])

    each = np.stack([density(free) for _, free in FORMS], axis=1)
    gain = each - each[:, :1]
    for row, (name, _), one in zip(found.rows, FORMS, gain.T, strict=True):
        assert row.name == name
        assert row.gain == pytest.approx(one.sum(), abs=1e-5)
        assert row.standard_error == pytest.approx(np.sqrt(n) * one.std(ddof=1), abs=1e-5)
    np.testing.assert_allclose([row.weight for row in found.rows], stacked(each), atol=1e-5)


def test_a_forms_bends_are_the_generalised_least_squares_estimate() -> None:
    """One category, errors alike: under each form the mean of the estimates, shrunk to the prior."""
    rng = np.random.default_rng(2)
    population, n = _population(), 40
    category, error = np.zeros(n, dtype=np.int64), np.full((n, C), 0.5)
    estimate = population.mean + 0.5 * rng.standard_normal((n, C))
    found = compare(*_posteriors(estimate, error, category, population), category, population)
    for k, c in enumerate(BENDS):
        told = 1.0 / ((0.25 + population.covariance[c, c]) / n + population.between[c])
        for f, (_, free) in enumerate(FORMS):
            before = 1.0 / (population.vague[c] if free[k] else HELD) ** 2
            mean = told * estimate[:, c].mean() / (told + before) if free[k] else 0.0
            assert found.forms.mean[f, k] == pytest.approx(mean, abs=1e-9)
            assert found.forms.covariance[f, k, k] == pytest.approx(1.0 / (told + before), abs=2e-8)


def test_the_population_has_the_moments_of_the_mixture() -> None:
    _, _, _, _, found = _case(3)
    np.testing.assert_allclose(found.population.mean[BENDS], found.forms.centre, atol=1e-12)
    spread = found.population.mean_covariance[np.ix_(BENDS, BENDS)]
    np.testing.assert_allclose(spread, found.forms.spread, atol=2e-8)
    np.testing.assert_array_equal(found.population.covariance, _population(categories=2).covariance)
    assert sum(row.weight for row in found.rows) == pytest.approx(1.0)


@given(st.integers(0, 2**32), st.integers(2, 60), st.floats(0.05, 3.0))
@settings(max_examples=25, deadline=None)
def test_stacking_is_as_likely_as_scipys_best(seed: int, n: int, wide: float) -> None:
    held = wide * np.random.default_rng(seed).standard_normal((n, 4))

    def loss(logits: Floats) -> float:
        weight = np.exp(logits - logits.max())
        return -float(np.log(np.exp(held) @ (weight / weight.sum())).sum())

    weight = stacked(held)
    ours = -float(np.log(np.exp(held) @ weight).sum())
    theirs = min(minimize(loss, start, method="BFGS").fun for start in (np.zeros(4), np.eye(4)[0]))
    assert weight.sum() == pytest.approx(1.0)
    assert (weight >= 0.0).all()
    assert ours <= theirs + 0.05


def test_stacking_gives_all_to_a_form_that_foretells_every_series_better() -> None:
    held = np.array([[-1.0, -2.0, -900.0], [-700.0, -700.5, -900.0]])
    np.testing.assert_allclose(stacked(held), [1.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(stacked(np.full((5, 4), -1000.0)), 0.25)


def test_sharing_bends_is_conditioning_on_them_and_mixing() -> None:
    rng = np.random.default_rng(5)
    lower = np.tril(rng.normal(size=(3, C, C)))
    mean, covariance = rng.normal(size=(3, C)), lower @ np.swapaxes(lower, 1, 2)
    forms = ResponseForms(
        np.array([0.3, 0.7]),
        np.array([[0.0, 0.0], [-0.7, 0.2]]),
        np.array([0.01 * np.eye(2), [[0.05, 0.01], [0.01, 0.02]]]),
    )
    moved, wide = share_bends(mean, covariance, forms)
    rest = np.arange(CURVE)
    for i in range(3):
        V = covariance[i]
        pull = V[np.ix_(rest, BENDS)] @ np.linalg.inv(V[np.ix_(BENDS, BENDS)])
        given_bends = V[np.ix_(rest, rest)] - pull @ V[np.ix_(BENDS, rest)]
        # The law of total expectation and of total covariance over the bends of a world.
        centre = mean[i, rest] + pull @ (forms.centre - mean[i, BENDS])
        np.testing.assert_allclose(moved[i, rest], centre)
        np.testing.assert_allclose(moved[i, BENDS], forms.centre, atol=1e-12)
        around = given_bends + pull @ forms.spread @ pull.T
        np.testing.assert_allclose(wide[i][np.ix_(rest, rest)], around, atol=1e-10)
        np.testing.assert_allclose(wide[i][np.ix_(BENDS, BENDS)], forms.spread, atol=1e-10)
        np.testing.assert_allclose(wide[i][np.ix_(rest, BENDS)], pull @ forms.spread, atol=1e-10)


def test_bends_that_are_held_leave_the_constant_elasticity_alone() -> None:
    population = _population(bent=False)
    category, error = np.zeros(12, dtype=np.int64), np.full((12, C), 0.5)
    estimate = population.mean + np.random.default_rng(1).standard_normal((12, C))
    found = compare(*_posteriors(estimate, error, category, population), category, population)
    assert [(row.name, row.weight) for row in found.rows] == [("constant", 1.0)]
    np.testing.assert_allclose(found.forms.spread, 1e-8 * np.eye(2))


def test_one_series_alone_tells_no_error() -> None:
    *_, found = _case(4, n=1)
    assert [row.standard_error for row in found.rows] == [None] * 4
    assert np.isfinite([row.gain for row in found.rows]).all()


# Fits of shops whose form is known.


def _shop(curve: float, threshold: float) -> Truth:
    """A shop whose sales bend: the same shop, its units drawn again with the bends in their mean."""
    truth = make(400, 4, level=4.0)
    x = np.log(truth.panel.regular / np.median(truth.panel.regular, axis=1, keepdims=True))
    up, odd = bends(x)
    log_mean = truth.log_mean + curve * up + threshold * odd
    rng = np.random.default_rng(104)
    units = rng.poisson(rng.gamma(4.0, np.exp(log_mean) / 4.0)).astype(np.float64)
    coefficients = truth.coefficients.copy()
    coefficients[:, BENDS] = curve, threshold
    return replace(truth, panel=replace(truth.panel, units=units), coefficients=coefficients)


@cache
def _fitted(curve: float, threshold: float, *, declared: bool = True) -> tuple[Truth, Fit]:
    truth = _shop(curve, threshold)
    found = fit(truth.panel, until="2025-02-24", fingerprint="f", seed=3, calendar_in_advance=declared)
    return truth, found


@pytest.mark.parametrize(
    ("curve", "threshold", "names"),
    [
        (0.0, 0.0, {"constant"}),
        (-2.0, 0.0, {"curve", "curve_threshold"}),
        (0.0, -2.0, {"threshold", "curve_threshold"}),
    ],
)
def test_the_weight_goes_where_it_belongs(curve: float, threshold: float, names: set[str]) -> None:
    _, found = _fitted(curve, threshold)
    rows = {row.name: row for row in found.report.forms}
    assert tuple(rows) == tuple(name for name, _ in FORMS)
    assert sum(rows[name].weight for name in names) > 0.5, rows
    if "constant" not in names:
        assert rows["constant"].weight < 0.2
        best = rows[max(names, key=lambda name: rows[name].gain)]
        assert best.standard_error is not None
        assert best.gain > 2.0 * best.standard_error
    assert rows["constant"].gain == 0.0


@pytest.mark.parametrize(("curve", "threshold"), [(0.0, 0.0), (-2.0, 0.0), (0.0, -2.0)])
def test_arc_elasticities_are_found_whatever_the_form(curve: float, threshold: float) -> None:
    truth, found = _fitted(curve, threshold)
    error = (found.model.mean - truth.coefficients) @ REGULAR
    reach = 1.645 * np.linalg.norm(REGULAR @ found.model.factor, axis=-1)
    assert abs(error.mean()) < 0.1
    assert 0.82 <= (np.abs(error) <= reach).mean() <= 0.97


def test_every_series_of_a_fit_has_the_mixtures_bends() -> None:
    _, found = _fitted(-2.0, 0.0)
    forms = found.model.forms
    assert forms is not None
    covariance = found.model.factor @ np.swapaxes(found.model.factor, 1, 2)
    many = len(found.model.series)
    np.testing.assert_allclose(found.model.mean[:, BENDS], np.tile(forms.centre, (many, 1)), atol=1e-9)
    np.testing.assert_allclose(covariance[:, CURVE:, CURVE:], np.tile(forms.spread, (many, 1, 1)), atol=1e-9)


def test_where_prices_may_follow_demand_nothing_bends() -> None:
    _, found = _fitted(-2.0, 0.0, declared=False)
    assert [row.name for row in found.report.forms] == ["constant"]
    assert np.abs(found.model.mean[:, BENDS]).max() < 0.01


def test_prices_known_from_sales_only_bend_nothing() -> None:
    panel = make(30, 2).panel
    quiet = panel.units.copy()
    quiet[:, 5:9] = 0.0
    shop = replace(panel, units=quiet, offered=np.where(np.isnan(panel.offered), 100.0, panel.offered))
    assert posted(shop)
    # The till tells no price where nothing sold: of 4 weeks a product none is known.
    assert not posted(replace(shop, offered=np.where(quiet == 0.0, np.nan, shop.offered)))
