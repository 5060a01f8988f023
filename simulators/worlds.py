"""Toy shops whose truth is known: for tests, benchmarks and examples, and never for a shop's figures."""

from __future__ import annotations

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.errors import UsageError
from pricing.evidence import Identification
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, candidates
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Series
from pricing.scenario import Scenario

__all__ = ["toy_scenario", "toy_shop"]

_MEAN = {"depth": -2.6, "feature": 0.5, "display": 0.3, "lag": 0.15, "traffic": 1.0}
_SD = {
    "level": 0.1, "depth": 0.3, "feature": 0.1, "display": 0.1, "lag": 0.05, "traffic": 0.1,
    "deal": 0.01, "featured_depth": 0.01, "rivals": 0.01, "curve": 0.0, "threshold": 0.0,
}  # fmt: skip
_CATEGORIES = 4
_FIRST_DAY = np.datetime64("2024-01-01")


def toy_shop(
    series: int,
    seed: int,
    *,
    elasticity_sd: float = 0.3,
    units: float = 20.0,
    shock_sd: float = 0.1,
    stock_periods: float | None = None,
) -> tuple[Catalogue, DemandModel]:
    """Return the catalogue of an invented shop and a posterior over its demand.

    Prices end in 9 and lie between 0.99 and 19.99; a unit costs 50 to 75 % of its price; regular-price
    elasticities are normal around -2.2 (sd 0.4, kept between -3.6 and -1.3), weekly units log-normal around
    `units`. Everything else is plain: the same elasticity at every price, no tax, no
    fees, no returns, prices seen from 25 % below to 25 % above today's. The posterior mean is the truth of
    the toy; its draws are the sampled worlds.

    Parameters
    ----------
    series
        N, at least 1.
    seed
        Any integer >= 0; the same one gives the same shop.
    elasticity_sd
        Posterior sd of the regular-price elasticity.
    units
        Median units a week at today's price.
    shock_sd
        Sd of the log shocks that the shop and each category share in a week.
    stock_periods
        Stock in weeks of expected demand at today's price, without replenishment; None for stock that is
        not tracked.
    """
    if series < 1:
        raise UsageError(f"A shop of {series} products sells nothing.", todo="Ask for one or more.")
    rng = np.random.default_rng(seed)
    price = (np.exp(rng.uniform(np.log(99.0), np.log(1999.0), series)) / 10).astype(np.int64) * 10 + 9
    cost = np.rint(price * rng.uniform(0.5, 0.75, series)).astype(np.int64)
    mean = np.zeros((series, len(COEFFICIENTS)))
    for name, value in _MEAN.items():
        mean[:, COEFFICIENTS.index(name)] = value
    mean[:, 0] = np.log(units) + rng.normal(0.0, 0.6, series)
    mean[:, 1] = np.clip(rng.normal(-2.2, 0.4, series), -3.6, -1.3)
    dispersion = np.exp(rng.normal(np.log(8.0), 0.4, series))
    stock = np.full(series, np.inf) if stock_periods is None else np.rint(np.exp(mean[:, 0]) * stock_periods)
    names = _series(series)
    model = _model(names, price, mean, dispersion, elasticity_sd, shock_sd, seed)
    return _catalogue(names, price, cost, stock), model


def toy_scenario(
    series: int = 20,
    seed: int = 0,
    *,
    horizon: int = 26,
    ladder: int = 12,
    settings: GuardrailSettings | None = None,
    stock_periods: float | None = None,
) -> tuple[Scenario, DemandModel]:
    """Return a pricing problem on a toy shop, every rule of its guardrails active, and its posterior.

    Parameters
    ----------
    series, seed, stock_periods
        See :func:`toy_shop`.
    horizon
        Weeks.
    ladder
        Candidate prices a product.
    settings
        The corridor; None means a margin of at least 5 %, moves of at most 10 %, two weeks between moves,
        half of the catalogue moved a week, prices that end in 5 or 9.
    """
    catalogue, model = toy_shop(series, seed, stock_periods=stock_periods)
    corridor = settings or GuardrailSettings(
        margin_floor=0.05, max_change=0.1, cool_down=1, max_share_moved=0.5, endings=Endings((5, 9), 10)
    )
    guardrails = Guardrails(catalogue, candidates(catalogue, corridor.endings, ladder, 0.3), corridor)
    first_day = int(_FIRST_DAY.astype(np.int64))
    return Scenario.of(model, guardrails, horizon=horizon, first_day=first_day), model


def _series(count: int) -> Series:
    return Series(
        group=tuple(f"toy{i:05d}" for i in range(count)),
        zone=("all",) * count,
        category=tuple(f"category{i % _CATEGORIES}" for i in range(count)),
        subcategory=("",) * count,
        brand=("",) * count,
    )


def _model(
    names: Series,
    price: Ints,
    mean: Floats,
    dispersion: Floats,
    elasticity_sd: float,
    shock_sd: float,
    seed: int,
) -> DemandModel:
    sd = np.array([_SD.get(name, elasticity_sd) for name in COEFFICIENTS])
    depths = np.full(len(names), np.log(0.6))
    promo = np.full((len(names), 2), Identification.PROMO_CONTROLLED, dtype=np.int8)
    return DemandModel(
        series=names,
        mean=mean,
        factor=np.repeat(np.diag(sd)[None], len(names), axis=0),
        dispersion=dispersion,
        absence=np.zeros(len(names)),
        reference_price=price.astype(np.float64),
        support_low=np.floor(price * 0.75).astype(np.int64),
        support_high=np.ceil(price * 1.25).astype(np.int64),
        depth_low=depths,
        identified_by=promo,
        category=np.arange(len(names)) % _CATEGORIES,
        rival_group=np.full(len(names), -1, dtype=np.int64),
        rival_weight=np.exp(mean[:, 0]),
        rival_outside_weight=np.zeros(len(names)),
        category_shock_sd=np.full(_CATEGORIES, shock_sd),
        period_shock_sd=shock_sd,
        category_names=tuple(f"category{g}" for g in range(_CATEGORIES)),
        prior_mean=np.tile(mean.mean(axis=0), (_CATEGORIES + 1, 1)),
        prior_covariance=np.tile(np.diag(sd**2), (_CATEGORIES + 1, 1, 1)),
        prior_log_size=float(np.log(dispersion).mean()),
        prior_log_size_sd=0.4,
        prior_absence=0.0,
        period_days=7,
        until=str(_FIRST_DAY),
        fingerprint=f"toy-{len(names)}-{seed}",
        seed=seed,
    )


def _catalogue(names: Series, price: Ints, cost: Ints, stock: Floats) -> Catalogue:
    count = len(names)
    none, ones = np.zeros(count, dtype=np.int64), np.ones(count)
    return Catalogue(
        series=names,
        currency="EUR",
        exponent=2,
        basis="gross",
        as_of=str(_FIRST_DAY),
        price=price,
        unit_cost=cost,
        cost_assumed=np.zeros(count, dtype=np.bool_),
        net_share=ones,
        gross_share=ones,
        fee_share=np.zeros(count),
        fee_unit=none,
        return_rate=np.zeros(count),
        support_low=np.floor(price * 0.75).astype(np.int64),
        support_high=np.ceil(price * 1.25).astype(np.int64),
        floor_price=none,
        ceiling_price=np.full(count, NO_LIMIT),
        map_price=none,
        max_price=np.full(count, NO_LIMIT),
        fixed_price=none,
        variant_of=np.arange(count, dtype=np.int64),
        periods_since_change=np.full(count, 8, dtype=np.int64),
        identified_by=np.full(count, Identification.PROMO_CONTROLLED, dtype=np.int8),
        stock=stock,
        recent=np.repeat(price[:, None], 5, axis=1),
    )
