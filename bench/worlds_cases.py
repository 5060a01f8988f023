"""One world of the bench: drawn, written as contract tables, fitted through the public way in, and scored."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from bench import worlds_references
from bench.worlds_scores import MOVE, Answer, Score, coverage, no_response, score
from pricing.arrays import Bools, Floats, Ints
from pricing.evidence import Identification, PriceKind
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from simulators.contract.tables import open_source
from simulators.demand.design import design, priced
from simulators.demand.elasticities import Elasticities, elasticities
from simulators.demand.forecast import expected_units
from simulators.demand.predict import last_known, predict
from simulators.demand.scenario import Scenario
from simulators.known_truth.draw import AHEAD, SCORED_WEEKS, World, draw_world, true_units
from simulators.known_truth.specification import Information, WorldSpec
from simulators.known_truth.tables import FIRST_DAY, product_ids, write_world
from simulators.run import Run, fit_run

__all__ = ["OURS", "POLICIES", "REFERENCES", "Case", "Dots", "Ranking", "Result", "examine"]

OURS = "Tarifa"
LATER = dt.date(2100, 1, 1)
POLICIES = ("-10 %", "-5 %", "incumbent", "+5 %", "+10 %", "static")
_FACTORS = (0.9, 0.95, 1.0, 1.05, 1.1)
_STEPS = np.linspace(0.9, 1.1, 21)
_COST_SHARE = 0.65
"""Of the usual price; docs/worlds.md."""

REFERENCES: dict[str, Callable[[Panel], Answer]] = {
    "statsmodels Poisson per product": worlds_references.per_product,
    "pyfixest fepois, one slope": worlds_references.pooled_poisson,
    "double ML, shrunken": worlds_references.double_ml,
    "LightGBM": worlds_references.boosted_answer,
    "Poisson-IV, one slope": worlds_references.pooled_iv,
    "double ML-IV, shrunken": worlds_references.double_ml_iv,
    "fepois on tested weeks, one slope": worlds_references.pooled_experiment,
    "no response": lambda panel: no_response(len(panel.series)),
}


@dataclass(frozen=True)
class Case:
    """A world, the table that it belongs to, and who else answers.

    Attributes
    ----------
    table
        Name of the table.
    spec
        The world.
    references
        Keys of :data:`REFERENCES`.
    unseen
        The inventory table is kept from whoever fits.
    ranked
        Rank policies in it.
    """

    table: str
    spec: WorldSpec
    references: tuple[str, ...] = ()
    unseen: bool = False
    ranked: bool = False


@dataclass(frozen=True)
class Ranking:
    """Six policies over the last 13 weeks, in the order of :data:`POLICIES`.

    Attributes
    ----------
    expected, true
        float64 [6]; profit of the shop, minor units: as the model says, and as it would have been.
    tau
        Kendall's, between the two.
    tau_categories
        Mean of the same within each category.
    """

    expected: Floats
    true: Floats
    tau: float
    tau_categories: float


@dataclass(frozen=True)
class Dots:
    """What the plot shows of one world; float64 [N] each, `tested` bool [N]."""

    truth: Floats
    elasticity: Floats
    lower: Floats
    upper: Floats
    sensitivity_lower: Floats
    sensitivity_upper: Floats
    tested: Bools


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Attributes
    ----------
    scores, tested, untested
        By method; over all products, those with a price test, those without (empty without tests).
    sensitivity_coverage, sensitivity_width
        Of our sensitivity intervals: share that holds the truth, and mean width over that of the sampling
        interval.
    status
        Share of products by what identifies the effect of their regular price.
    status_tested
        The same among tested products.
    ahead_wmape, ahead_bias
        Expected units of the four weeks ahead, all products.
    ranking
        None unless asked for.
    dots
        For the plot.
    """

    case: Case
    scores: dict[str, Score]
    tested: dict[str, Score]
    untested: dict[str, Score]
    sensitivity_coverage: float
    sensitivity_width: float
    status: dict[str, float]
    status_tested: dict[str, float]
    ahead_wmape: float
    ahead_bias: float
    ranking: Ranking | None
    dots: Dots


def examine(case: Case) -> Result:
    """Fit a world's tables and compare with its truth."""
    world = draw_world(case.spec)
    run = _fitted(world, unseen=case.unseen)
    if run.model.series.group != tuple(product_ids(case.spec.products)):
        raise ValueError(f"{case}: some product never sold")
    panel, truth = run.training, world.truth
    found = elasticities(run.model, panel)
    answers = {OURS: _ours(run, panel, found)}
    answers |= {name: REFERENCES[name](panel) for name in case.references}
    some, others = truth.tested, ~truth.tested
    lower, upper = found.sensitivity_lower[:, 0], found.sensitivity_upper[:, 0]
    units = _ahead(run, world)
    return Result(
        case=case,
        scores={name: score(truth, a) for name, a in answers.items()},
        tested={name: score(truth, a, some) for name, a in answers.items()} if some.any() else {},
        untested={name: score(truth, a, others) for name, a in answers.items()} if some.any() else {},
        sensitivity_coverage=coverage(lower, upper, truth.elasticity),
        sensitivity_width=float((upper - lower).mean() / (found.upper - found.lower)[:, 0].mean()),
        status=_status(found, np.ones_like(some)),
        status_tested=_status(found, some) if some.any() else {},
        ahead_wmape=float(np.abs(units - truth.units_ahead).sum() / truth.units_ahead.sum()),
        ahead_bias=float(units.sum() / truth.units_ahead.sum() - 1.0),
        ranking=_ranking(run, panel, world) if case.ranked else None,
        dots=_dots(found, world),
    )


def _fitted(world: World, *, unseen: bool) -> Run:
    if unseen:
        world = replace(world, spec=replace(world.spec, information=Information.NONE))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_world(world, data)
        with open_source(data, today=LATER) as source:
            return fit_run(source, seed=1)


def _ours(run: Run, panel: Panel, found: Elasticities) -> Answer:
    now, up, down = (_expected(run, panel, factor).sum(axis=1) for factor in (1.0, 1.0 + MOVE, 1.0 - MOVE))
    own = int(PriceKind.REGULAR)
    return Answer(up / now, down / now, found.elasticity[:, own], found.lower[:, own], found.upper[:, own])


def _expected(run: Run, panel: Panel, factor: float) -> Floats:
    """Return expected units of the last 13 weeks with the own regular price changed, float64 [N, 13]."""
    model = run.model
    traffic = np.zeros(len(panel.periods))
    X = design(panel, model.reference_price, traffic, model.period_days, model.rivals).X
    last = X[:, -SCORED_WEEKS:]
    regular, depth = (last[..., COEFFICIENTS.index(name)] for name in ("regular", "depth"))
    asked = priced(last, regular + np.log(factor), depth)
    rows = np.repeat(np.arange(len(asked), dtype=np.int64), SCORED_WEEKS)
    return expected_units(run.model, rows, asked.reshape(-1, asked.shape[2]))[0].reshape(-1, SCORED_WEEKS)


def _ahead(run: Run, world: World) -> Floats:
    """Return expected units of the weeks after the data at usual prices, float64 [N, 4].

    The truth asked for has usual prices before as well, so the last price known is set to the usual one.
    """
    n, usual = world.spec.products, world.usual.astype(np.float64)
    known = replace(last_known(run.training), offered=usual, regular=usual)
    first = FIRST_DAY + 7 * world.spec.weeks
    price, nothing = np.repeat(usual, AHEAD), np.zeros(n * AHEAD)
    asked = Scenario(
        product=tuple(np.repeat(product_ids(n), AHEAD).tolist()),
        zone=("",) * (n * AHEAD),
        period_start=np.tile(first + 7 * np.arange(AHEAD), n),
        offered=price,
        regular=price,
        feature=nothing,
        display=nothing,
    )
    return predict(run.model, known, asked, widen=True).expected.reshape(n, AHEAD)


def _status(found: Elasticities, among: Bools) -> dict[str, float]:
    codes = found.identified_by[among, PriceKind.REGULAR]
    shares = {how.label: float((codes == how).mean()) for how in Identification}
    return {label: share for label, share in shares.items() if share > 0.0}


def _ranking(run: Run, panel: Panel, world: World) -> Ranking:
    """Rank what the shop might have done in the last 13 weeks. Whoever ranks knows the unit costs."""
    static = np.stack([_profit(run, panel, world, np.full(len(panel.series), d)) for d in _STEPS])
    best = _STEPS[static.sum(axis=2).argmax(axis=0)]
    plans = [np.full(len(best), d) for d in _FACTORS] + [best]
    expected = np.stack([_profit(run, panel, world, plan).sum(axis=1) for plan in plans])
    true = np.stack([_true_profit(world, plan).sum(axis=1) for plan in plans])
    groups = [world.category == g for g in range(int(world.category.max()) + 1)]
    within = [_tau(expected[:, g].sum(axis=1), true[:, g].sum(axis=1)) for g in groups]
    shop = expected.sum(axis=1), true.sum(axis=1)
    return Ranking(*shop, tau=_tau(*shop), tau_categories=float(np.mean(within)))


def _tau(one: Floats, other: Floats) -> float:
    return float(kendalltau(one, other).statistic)


def _plan(world: World, factor: Floats) -> tuple[Ints, Ints]:
    """Return regular and offered prices with those of the last 13 weeks times `factor` [N], whole units."""
    by = np.ones(world.regular.shape)
    by[:, -SCORED_WEEKS:] = factor[:, None]
    regular = np.maximum(np.rint(world.regular * by), 1.0).astype(np.int64)
    offered = np.clip(np.rint(world.offered * by), 1.0, regular).astype(np.int64)
    return regular, offered


def _margin(world: World, offered: Ints) -> Floats:
    cost = _COST_SHARE * world.usual[:, None] * np.exp(world.cost)
    out: Floats = (offered - cost)[:, -SCORED_WEEKS:]
    return out


def _profit(run: Run, panel: Panel, world: World, factor: Floats) -> Floats:
    """Return profit as the model expects it, float64 [N, 13]."""
    regular, offered = _plan(world, factor)
    priced = replace(panel, regular=regular.astype(np.float64), offered=offered.astype(np.float64))
    return _expected(run, priced, 1.0) * _margin(world, offered)


def _true_profit(world: World, factor: Floats) -> Floats:
    regular, offered = _plan(world, factor)
    return true_units(world.spec, regular, offered)[:, -SCORED_WEEKS:] * _margin(world, offered)


def _dots(found: Elasticities, world: World) -> Dots:
    own = int(PriceKind.REGULAR)
    return Dots(
        world.truth.elasticity,
        found.elasticity[:, own],
        found.lower[:, own],
        found.upper[:, own],
        found.sensitivity_lower[:, own],
        found.sensitivity_upper[:, own],
        world.truth.tested,
    )
