"""References for the demand bench, fitted in the same run on the same information."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.calendar import MONTH_DAYS, cycle_waves, middle_days
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from simulators.demand.design import design, known_prices, rivals_among

__all__ = [
    "Prediction",
    "boosted",
    "feature_table",
    "missingness_only",
    "per_product_poisson",
    "train_boosted",
    "training_rows",
    "tuned",
]

FIRST, UNTIL, END = 1, 43, 52
_LEVEL = 0.02
"""Prices less than 2 % apart are one level to LightGBM. A price index moves by a hair whenever it is recorded
anew, and trees find the hair: told exact prices, LightGBM read off the panel where something had sold."""
_ORIGINS = (1, 4, 8)
"""Weeks between the last week known and the week predicted, in LightGBM's training rows."""
_TUNE_FROM = 34
_FEATURES = (
    "log_regular", "log_depth", "feature", "display", "log_lag", "log_rivals", "log_price_level", "log_mean",
    "log_recent", "selling_share", "weeks_ahead", "month_cos", "month_sin", "category", "subcategory",
    "brand",
)  # fmt: skip
_SETS = (_FEATURES, tuple(n for n in _FEATURES if n not in {"log_rivals", "month_cos", "month_sin"}))
"""Of all features, and without those of rivals and month, with which LightGBM may forecast worse."""
_CATEGORICAL = ["category", "subcategory", "brand"]
_GRID = (
    {"num_leaves": 15, "min_child_samples": 200},
    {"num_leaves": 31, "min_child_samples": 100},
    {"num_leaves": 63, "min_child_samples": 200},
)


@dataclass(frozen=True)
class Prediction:
    """What one model says of the held-out cells; float64 [n, H] each."""

    expected: Floats
    log_base: Floats
    log_lift: Floats
    negative_regular: float
    negative_discount: float


def per_product_poisson(panel: Panel) -> Callable[[Panel], Prediction]:
    """One statsmodels Poisson regression a product: log shelf price, feature, display."""
    import statsmodels.api as sm

    training = panel.between(FIRST, UNTIL)
    X = _simple(training)
    coefficients = np.zeros((len(X), X.shape[2]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, y in enumerate(training.units):
            begin = int((y > 0.0).argmax())
            model: Any = sm.GLM(y[begin:], X[i, begin:], family=sm.families.Poisson())
            coefficients[i] = model.fit(maxiter=50).params
    top = np.log(10.0 * np.maximum(training.units.max(axis=1, keepdims=True), 1.0))
    usual = np.nanmean(np.log(known_prices(training).offered), axis=1)

    def predict(held: Panel) -> Prediction:
        at = _simple(held.between(FIRST, END))[:, UNTIL - FIRST :]
        eta = np.clip(np.einsum("nhk,nk->nh", at, coefficients), -6.0, top)
        level = at.copy()
        level[..., 1] = usual[:, None]
        base = np.clip(np.einsum("nhk,nk->nh", level, coefficients), -6.0, top)
        share = float((coefficients[:, 1] < 0.0).mean())
        return Prediction(np.exp(eta), base, eta - base, share, share)

    return predict


def boosted(panel: Panel) -> Callable[[Panel], Prediction]:
    """LightGBM with a Poisson loss on raw features, tuned on weeks 35-43, refitted on all of training."""
    best, rounds, columns = tuned(panel)
    weeks = np.arange(FIRST + 9, UNTIL)
    X, y = training_rows(panel, weeks)
    model = train_boosted(best, rounds, X[columns], y)
    ahead = np.arange(UNTIL, END)
    prices = known_prices(panel.between(FIRST, UNTIL))
    usual = (prices.regular.mean(axis=1), prices.offered.mean(axis=1))

    def predict(held: Panel) -> Prediction:
        def said(regular: float = 1.0, offered: float = 1.0, *, at_usual: bool = False) -> Floats:
            table = feature_table(held, ahead, UNTIL - 1, usual if at_usual else None, regular, offered)
            out: Floats = np.asarray(model.predict(table[columns])).reshape(-1, END - UNTIL)
            return np.maximum(out, 1e-4)

        expected, base = said(), np.log(said(at_usual=True))
        up, down = said(1.1, 1.1).sum(axis=1), said(0.9, 0.9).sum(axis=1)
        dear, cheap = said(1.0, 1.0).sum(axis=1), said(1.0, 0.8).sum(axis=1)
        lift = np.log(expected) - base
        return Prediction(expected, base, lift, float((up < down).mean()), float((dear < cheap).mean()))

    return predict


def missingness_only(panel: Panel, first: int, until: int, end: int) -> Floats:
    """Predict from the product's mean and from whether a price was recorded, which nobody may know."""
    seen = np.isfinite(panel.offered[:, first:until])
    units = panel.units[:, first:until]
    when = np.where(seen, units, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    recent = units[:, -8:].mean(axis=1) / np.maximum(seen[:, -8:].mean(axis=1), 0.125)
    level = 0.5 * (when + np.where(recent > 0.0, recent, when))
    return np.where(np.isfinite(panel.offered[:, until:end]), level[:, None], 1e-3)


def _simple(panel: Panel) -> Floats:
    offered = np.log(known_prices(panel).offered)
    return np.stack([np.ones_like(offered), offered, panel.feature, panel.display], axis=2)


def tuned(panel: Panel) -> tuple[dict[str, int], int, list[str]]:
    """Return LightGBM's settings, rounds and features, chosen on weeks 35-43, trained on those before."""
    X, y = training_rows(panel, np.arange(FIRST + 9, _TUNE_FROM))
    held = np.arange(_TUNE_FROM, UNTIL)
    Xv = feature_table(panel, held, _TUNE_FROM - 1)
    yv = panel.units[:, held].ravel()
    found = []
    for parameters, names in itertools.product(_GRID, _SETS):
        columns = list(names)
        model = train_boosted(parameters, 1200, X[columns], y, (Xv[columns], yv))
        loss = float(model.best_score["valid_0"]["poisson"])
        found.append((loss, model.best_iteration, parameters, columns))
    _, rounds, best, columns = min(found, key=lambda f: f[0])
    return best, int(rounds), columns


def train_boosted(
    parameters: dict[str, int], rounds: int, X: Any, y: Floats, held: tuple[Any, Floats] | None = None
) -> Any:
    """Train LightGBM with a Poisson loss; with `held`, until its loss there rises."""
    import lightgbm as lgb

    common = {
        "objective": "poisson", "metric": "poisson", "learning_rate": 0.05, "feature_fraction": 0.8,
        "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "seed": 1, "deterministic": True,
        "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    data = lgb.Dataset(X, y, categorical_feature=_CATEGORICAL, free_raw_data=False)
    extra: dict[str, Any] = {}
    if held is not None:
        extra = {
            "valid_sets": [lgb.Dataset(*held, reference=data)],
            "callbacks": [lgb.early_stopping(25, verbose=False)],
        }
    return lgb.train({**common, **parameters}, data, rounds, **extra)


def _levelled(log_price: Floats) -> Floats:
    return np.asarray(np.rint(log_price / _LEVEL) * _LEVEL, dtype=np.float64)


def training_rows(panel: Panel, weeks: Ints) -> tuple[Any, Floats]:
    """Return features and units of `weeks`, each as seen from several weeks before."""
    import pandas as pd

    tables, units = [], []
    for week in weeks:
        for gap in _ORIGINS:
            if week - gap >= FIRST + 4:
                tables.append(feature_table(panel, np.array([week]), int(week - gap)))
                units.append(panel.units[:, week])
    return pd.concat(tables, ignore_index=True), np.concatenate(units)


def feature_table(
    panel: Panel,
    weeks: Ints,
    origin: int,
    usual: tuple[Floats, Floats] | None = None,
    regular: float = 1.0,
    offered: float = 1.0,
) -> Any:
    """Features of `weeks` [H], known in week `origin` but for prices and promotions; n * H rows."""
    import pandas as pd

    n, H = len(panel.series), len(weeks)
    history = panel.units[:, FIRST : origin + 1]
    recorded = panel.regular[:, FIRST : origin + 1]
    mean_price = np.where(np.isfinite(recorded), recorded, 0.0).sum(axis=1)
    mean_price = mean_price / np.maximum(np.isfinite(recorded).sum(axis=1), 1)
    known = known_prices(panel.between(FIRST, int(weeks.max()) + 1))
    reference = np.where(mean_price > 0.0, mean_price, known.regular[:, 0])
    until = int(weeks.max()) + 1
    rivals = rivals_among(panel.series, history.mean(axis=1))
    X = design(panel.between(FIRST, until), reference, np.zeros(until - FIRST), 7, rivals).X
    at = X[:, weeks - FIRST]
    log_regular, log_depth, log_lag = (_levelled(at[..., c]) for c in (1, 2, 5))
    log_rivals = _levelled(at[..., COEFFICIENTS.index("rivals")])
    if usual is not None:
        log_regular = np.repeat(np.log(usual[0] / reference)[:, None], H, axis=1)
        log_depth = np.repeat(np.log(usual[1] / usual[0])[:, None], H, axis=1)
    series = panel.series
    days = panel.periods[weeks].astype("datetime64[D]").astype(np.int64)
    month = cycle_waves(middle_days(days, 7), np.array([MONTH_DAYS]))

    def spread(values: Any) -> Any:
        return np.repeat(values, H)

    columns = {
        "log_regular": (log_regular + np.log(regular)).ravel(),
        "log_depth": np.minimum(log_depth + np.log(offered / regular), 0.0).ravel(),
        "feature": at[..., 3].ravel(),
        "display": at[..., 4].ravel(),
        "log_lag": log_lag.ravel(),
        "log_rivals": log_rivals.ravel(),
        "log_price_level": spread(np.log(reference)),
        "log_mean": spread(np.log(history.mean(axis=1) + 0.05)),
        "log_recent": spread(np.log(history[:, -8:].mean(axis=1) + 0.05)),
        "selling_share": spread((history > 0.0).mean(axis=1)),
        "weeks_ahead": np.tile(weeks - origin, n),
        "month_cos": np.tile(month[:, 0], n),
        "month_sin": np.tile(month[:, 1], n),
        **{name: spread(np.unique(getattr(series, name), return_inverse=True)[1]) for name in _CATEGORICAL},
    }
    return pd.DataFrame(columns)[list(_FEATURES)]
