"""References for the bench of known-truth worlds, fitted in the same run on the same training panel.

None of them reads the truth. All see the regular price apart from the discount, feature, display and last
week's price, as Tarifa does; those that pool, pool over the same products, weeks and categories.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from bench.demand_references import FIRST, feature_table, train_boosted, training_rows
from bench.worlds_scores import MOVE, Answer, constant_elasticity
from pricing.arrays import Bools, Floats, Ints
from pricing.panel import Panel
from pricing.rivals import Rivals
from simulators.demand.design import design, known_prices, observed
from simulators.known_truth.draw import SCORED_WEEKS

__all__ = [
    "boosted_answer", "double_ml", "double_ml_iv", "per_product", "pooled_experiment", "pooled_iv",
    "pooled_poisson",
]  # fmt: skip

_X = (1, 2, 3, 4, 5)
"""Columns of the design: log regular price, log depth, feature, display, log price of the week before."""
_NAMES = ("x", "depth", "feature", "display", "before")
_PROMOTION = (1, 2, 3)
"""Of these: depth, feature, display."""
_FOLDS = 2
_TREES = {"num_leaves": 15, "min_data_in_leaf": 100, "learning_rate": 0.05, "lambda_l2": 5.0}
_ROUNDS = 150
_TURNS = 50
_BOOSTED, _BOOSTED_ROUNDS = {"num_leaves": 31, "min_child_samples": 100}, 294
"""What :func:`bench.demand_references.tuned` chose on the log-linear world of seed 1; on seeds 2 and 3: the
same with 290 rounds, and 15 leaves with 373."""


def per_product(panel: Panel) -> Answer:
    """One statsmodels Poisson regression a product, with its own standard errors."""
    import statsmodels.api as sm

    X, watched = _regressors(panel), observed(panel)
    found = np.zeros((len(X), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, y in enumerate(panel.units):
            rows = watched[i]
            model: Any = sm.GLM(y[rows], sm.add_constant(X[i, rows]), family=sm.families.Poisson())
            fitted = model.fit(maxiter=50, scale="X2")
            found[i] = fitted.params[1], fitted.bse[1]
    return constant_elasticity(found[:, 0], found[:, 1])


def pooled_poisson(panel: Panel) -> Answer:
    """Fit pyfixest's fepois: product and week effects, one slope for all."""
    return _one_slope(
        panel, _fepois(panel, "units ~ x + depth + feature + display + before | product + week")
    )


def pooled_iv(panel: Panel) -> Answer:
    """Poisson with product and week effects and the first stage's residuals beside the price.

    Poisson-IV by control function (Wooldridge, Journal of Human Resources 2015), in two calls of pyfixest.
    """
    import pyfixest as pf

    data, watched = _frame(panel), observed(panel)
    fitted: Any = pf.feols("x ~ cost | product + week", data)
    v = np.zeros_like(panel.units)
    v[watched] = np.asarray(fitted.resid())
    before = np.concatenate([v[:, :1], v[:, :-1]], axis=1)
    data["v"], data["v_before"] = v[watched], before[watched]
    formula = "units ~ x + v + v_before + depth + feature + display + before | product + week"
    return _one_slope(panel, _fepois(panel, formula, data))


def pooled_experiment(panel: Panel) -> Answer:
    """Fit fepois on the weeks of price tests alone: one slope for all."""
    tested = np.zeros_like(panel.on_sale) if panel.tested is None else panel.tested
    data = _frame(panel)
    return _one_slope(
        panel, _fepois(panel, "units ~ x + before | product + week", data[_flat(panel, tested)])
    )


def boosted_answer(panel: Panel) -> Answer:
    """LightGBM as in the demand bench, asked to predict the last 13 weeks at changed prices."""
    end = len(panel.periods)
    X, y = training_rows(panel, np.arange(FIRST + 9, end))
    model = train_boosted(_BOOSTED, _BOOSTED_ROUNDS, X, y)
    weeks = np.arange(end - SCORED_WEEKS, end)

    def units(factor: float) -> Floats:
        asked = feature_table(panel, weeks, end - SCORED_WEEKS - 1, None, factor, factor)
        out: Floats = np.asarray(model.predict(asked)).reshape(-1, SCORED_WEEKS).sum(axis=1)
        return np.maximum(out, 1e-9)

    now, up, down = units(1.0), units(1.0 + MOVE), units(1.0 - MOVE)
    elasticity = np.log(up / down) / np.log((1.0 + MOVE) / (1.0 - MOVE))
    nothing = np.full_like(elasticity, np.nan)
    return Answer(up / now, down / now, elasticity, nothing, nothing)


def double_ml(panel: Panel) -> Answer:
    """Residual on residual with LightGBM nuisances (Chernozhukov et al., Econometrics Journal 2018).

    Log units and log price, less product and category-week means and what LightGBM predicts of them from
    the other regressors, products held out in turn. One slope a product, shrunk to its category's.
    """
    y, x, watched = (
        _residuals(panel, _log_units(panel)),
        _residuals(panel, _log_price(panel)),
        observed(panel),
    )
    own, variance = _slopes(y, x, watched)
    mean, error, spread = _pooled(own, variance, _codes(panel.series.category))
    return _shrunken(own, variance, mean, error, spread)


def double_ml_iv(panel: Panel) -> Answer:
    """Double machine learning with costs as instruments of the shop's mean; products apart as without them.

    Last week's price followed last week's demand, so it is no control here but a second price, with last
    week's cost and last week's discount, which was planned, for instruments.
    """
    if panel.cost is None:
        raise ValueError("double_ml_iv needs a panel with costs")
    watched = observed(panel)

    def residuals(values: Floats, *, before: bool = False) -> Floats:
        earlier = np.concatenate([values[:, :1], values[:, :-1]], axis=1)
        return _residuals(panel, earlier if before else values, _PROMOTION)

    log_cost, prices = np.log(panel.cost), known_prices(panel)
    y, x = residuals(_log_units(panel)), residuals(np.log(prices.regular))
    last = residuals(np.log(prices.offered), before=True)
    promoted = residuals(np.log(prices.offered / prices.regular), before=True)
    Z = np.stack([residuals(log_cost), residuals(log_cost, before=True), promoted]).reshape(3, -1)
    slope, lag, error = _two_stage(y.ravel(), np.stack([x, last]).reshape(2, -1), Z, x.shape[1])
    own, variance = _slopes(y - lag * last, x, watched)
    mean, _, spread = _pooled(own, variance, _codes(panel.series.category))
    shift = slope - float((x * (y - lag * last)).sum() / (x * x).sum())
    return _shrunken(own + shift, variance, mean + shift, np.full_like(mean, error), spread)


def _two_stage(y: Floats, X: Floats, Z: Floats, periods: int) -> tuple[float, float, float]:
    """Return two-stage least squares of y [R] on two rows of X [2, R], and the first one's standard error.

    Z [3, R] are the instruments; errors are clustered by product, of `periods` rows each.
    """
    projected = Z.T @ np.linalg.solve(Z @ Z.T, Z @ X.T)
    bread = np.linalg.inv(projected.T @ projected)
    slope, lag = bread @ projected.T @ y
    scores = projected * (y - slope * X[0] - lag * X[1])[:, None]
    clustered = scores.reshape(-1, periods, 2).sum(axis=1)
    error = np.sqrt((bread @ clustered.T @ clustered @ bread)[0, 0])
    return float(slope), float(lag), float(error)


def _regressors(panel: Panel) -> Floats:
    prices = known_prices(panel)
    reference = np.nanmedian(prices.regular, axis=1)
    made = design(panel, reference, np.zeros(len(panel.periods)), 7, Rivals.none(len(panel.series))).X
    out: Floats = made[..., _X]
    return out


def _frame(panel: Panel) -> Any:
    """Return one row a product and watched week."""
    import pandas as pd

    X, watched = _regressors(panel), observed(panel)
    n, T = watched.shape
    columns = {name: X[..., k][watched] for k, name in enumerate(_NAMES)}
    if panel.cost is not None:
        columns["cost"] = np.log(panel.cost)[watched]
    product = np.repeat(np.arange(n), T).reshape(n, T)[watched]
    week = np.tile(np.arange(T), (n, 1))[watched]
    return pd.DataFrame({"units": panel.units[watched], "product": product, "week": week, **columns})


def _flat(panel: Panel, chosen: Bools) -> Bools:
    out: Bools = chosen[observed(panel)]
    return out


def _fepois(panel: Panel, formula: str, data: Any = None) -> float:
    """Return the slope on the log regular price."""
    import pyfixest as pf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted: Any = pf.fepois(formula, _frame(panel) if data is None else data)
    return float(fitted.coef()["x"])


def _one_slope(panel: Panel, slope: float) -> Answer:
    """Say the same of all; an interval of the mean would be none of a product's elasticity."""
    return constant_elasticity(np.full(len(panel.series), slope))


def _log_units(panel: Panel) -> Floats:
    return np.asarray(np.log(panel.units + 0.5), dtype=np.float64)


def _log_price(panel: Panel) -> Floats:
    return np.asarray(np.log(known_prices(panel).regular), dtype=np.float64)


def _codes(names: tuple[str, ...]) -> Ints:
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)


def _residuals(panel: Panel, values: Floats, controls: tuple[int, ...] = (1, 2, 3, 4)) -> Floats:
    """Return values [N, T] less product and category-week means and LightGBM's cross-fitted guess."""
    import lightgbm as lgb

    watched, category = observed(panel), _codes(panel.series.category)
    out = _demeaned(values, watched, category)
    n, T = out.shape
    X = np.concatenate(
        [
            _regressors(panel)[..., controls],
            np.broadcast_to(np.log(panel.units.mean(axis=1) + 0.5)[:, None, None], (n, T, 1)),
            np.broadcast_to(category[:, None, None], (n, T, 1)),
        ],
        axis=2,
    )
    guess = np.zeros_like(out)
    for fold in range(_FOLDS):
        held = np.arange(n) % (8 * _FOLDS) // 8 == fold
        use, ask = watched & ~held[:, None], np.repeat(held[:, None], T, axis=1)
        settings: dict[str, Any] = {
            **_TREES,
            "verbosity": -1,
            "num_threads": 1,
            "seed": 1,
            "deterministic": True,
        }
        model: Any = lgb.train(settings, lgb.Dataset(X[use], out[use]), _ROUNDS)
        guess[ask] = np.asarray(model.predict(X[ask]))
    return _demeaned(out - guess, watched, category)


def _demeaned(values: Floats, watched: Bools, category: Ints) -> Floats:
    """Return values less product and category-week means, in turns until they settle; 0 where not watched."""
    mask = watched.astype(np.float64)
    groups = category.max() + 1
    member = (category[:, None] == np.arange(groups)).astype(np.float64)
    cells = np.maximum(member.T @ mask, 1.0)
    weeks = np.maximum(mask.sum(axis=1, keepdims=True), 1.0)
    out = np.where(watched, values, 0.0)
    for _ in range(_TURNS):
        out = (out - out.sum(axis=1, keepdims=True) / weeks) * mask
        out = (out - member @ (member.T @ out / cells)) * mask
    return np.asarray(out, dtype=np.float64)


def _slopes(y: Floats, x: Floats, watched: Bools) -> tuple[Floats, Floats]:
    """Return each product's slope of y on x and its sampling variance, float64 [N]."""
    size = np.maximum((x * x).sum(axis=1), 1e-9)
    slope = (x * y).sum(axis=1) / size
    rest = np.where(watched, y - slope[:, None] * x, 0.0)
    variance = (rest**2).sum(axis=1) / np.maximum(watched.sum(axis=1) - 2, 1) / size
    return slope, variance


def _pooled(own: Floats, variance: Floats, group: Ints) -> tuple[Floats, Floats, float]:
    """Return each product's category mean and its error [N], and the variance of slopes around it.

    The variance is that of DerSimonian and Laird (Controlled Clinical Trials 1986), found in a few turns.
    """
    spread = float(np.median(variance))
    mean, error = np.zeros_like(own), np.zeros_like(own)
    for _ in range(_TURNS):
        weight = 1.0 / (variance + spread)
        total = np.bincount(group, weights=weight)
        mean = (np.bincount(group, weights=weight * own) / total)[group]
        error = np.sqrt(1.0 / total)[group]
        beyond = float((weight * ((own - mean) ** 2 - variance)).sum() / weight.sum())
        spread = max(0.5 * (spread + beyond), 1e-4)
    return mean, error, spread


def _shrunken(own: Floats, variance: Floats, mean: Floats, error: Floats, spread: float) -> Answer:
    share = spread / (spread + variance)
    slope = mean + share * (own - mean)
    return constant_elasticity(slope, np.sqrt(share * variance + ((1.0 - share) * error) ** 2))
