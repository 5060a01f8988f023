"""From exposures to an uplift model, and to a plain account of what is known and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError
from pricing.evidence import Identification
from pricing.uplift import Basis, UpliftModel
from simulators.uplift.assignment import AssignmentCheck, check_assignment, compared_rows
from simulators.uplift.basis import basis_of, multiplied, squared, telling
from simulators.uplift.exposures import PHASES, Exposures
from simulators.uplift.holdout import Holdout, propose_holdout
from simulators.uplift.hurdle import Prior, Trust, hurdle_prior, trusted
from simulators.uplift.lotteries import open_offers
from simulators.uplift.projection import Coefficients, least_squares
from simulators.uplift.ranking import Curve, Decile, Reach, calibration, reaches, score_curve
from simulators.uplift.redemption import fit_usage
from simulators.uplift.scores import Mean, Scores, clustered_mean, folds_of, score_outcome
from simulators.uplift.shrinkage import Kinds, pool
from simulators.uplift.tempering import tempered

__all__ = [
    "Learned",
    "Learner",
    "OfferEffect",
    "UpliftFit",
    "UpliftReport",
    "fit_model",
    "fit_uplift",
    "pooled",
    "regressors",
    "scores_of",
]


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a learner made of some customers.

    Attributes
    ----------
    basis, coefficients
        What effects depend on; coefficients [K - 1, P].
    trust
        How far it leans on the hurdle model's guess, from 0 to 1; 0 where it has none.
    """

    basis: Basis
    coefficients: Coefficients
    trust: float = 0.0


Learner = Callable[[Exposures, Scores, Basis], Learned]
"""What turns exposures with their scores, and a basis without products, into effects."""

_CEILING = 2.0
_FOLLOWS = 0.5


@dataclass(frozen=True, slots=True)
class OfferEffect:
    """What one offer did on average, against no coupon; minor units a customer who could have got it.

    Attributes
    ----------
    offer
        Name.
    total, during, after, before
        Net profit: in window and aftermath together; in the window; after it (less than 0: pulled forward);
        before it, where anything but 0 is chance or a lottery that was none.
    units, revenue
        In window and aftermath.
    redeemed
        Share of those given it who used it, as a plain share.
    cost
        Discount that the shop paid, mean of those given it.
    identified_by
        What the effect rests on.
    """

    offer: str
    total: Mean
    during: Mean
    after: Mean
    before: Mean
    units: Mean
    revenue: Mean
    redeemed: float
    cost: float
    identified_by: Identification


@dataclass(frozen=True, slots=True, eq=False)
class UpliftReport:
    """Everything to be said of a fit.

    Attributes
    ----------
    check
        What the exposures can identify.
    effects
        Of the K - 1 offers, where identified.
    deciles
        Predicted effect of each customer's best offer beside what was found, out of fold.
    curve
        Uplift curve of the same, None where nothing is identified.
    reach
        Ten points of it with their errors.
    value
        Doubly robust gain per customer of giving each the best offer of its campaign where that is above 0,
        out of fold: each customer's offer was chosen without that customer's data. None where nothing is
        identified.
    everybody
        The same of giving everybody who could get it the one offer that is best on average, likewise chosen
        out of fold.
    holdout
        A proposal for the next campaign, None where the data say no cost.
    exposures, customers
        How many counted.
    trust
        How far the model leans on whether people buy (:mod:`simulators.uplift.hurdle`), from 0 to 1; the rest
        of what it says comes from profit alone.
    """

    check: AssignmentCheck
    effects: tuple[OfferEffect, ...]
    deciles: tuple[Decile, ...]
    curve: Curve | None
    reach: tuple[Reach, ...]
    value: Mean | None
    everybody: Mean | None
    holdout: Holdout | None
    exposures: int
    customers: int
    trust: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class UpliftFit:
    """A model with the account of how it came about."""

    model: UpliftModel
    report: UpliftReport


def fit_uplift(
    exposures: Exposures, seed: int = 0, learner: Learner | None = None, half_width: float | None = None
) -> UpliftFit:
    """Fit what coupons add.

    Where offers were drawn by lot: doubly robust scores, cross-fitted by customer, then `learner` (default
    :func:`pooled`). Where they were not: a prior as wide as the redemptions allow, flagged
    (:func:`_prior`), and no claim.

    Parameters
    ----------
    exposures
        The log.
    seed
        Of the folds.
    learner
        How scores become coefficients.
    half_width
        Of the interval that a proposed holdout is to reach, minor units a customer; see
        :func:`simulators.uplift.holdout.propose_holdout`.

    Raises
    ------
    DataError
        If there are no exposures, or no offer but no coupon.
    """
    ready = _prepared(exposures, seed)
    found = _learned(ready, learner or pooled)
    model = _model_of(ready, found)
    if ready.scores is None:
        return UpliftFit(model, _silent(ready, half_width))
    out = _out_of_fold(ready.mine, ready.scores, ready.basis, learner or pooled, ready.apart)
    return UpliftFit(model, replace(_report(ready, ready.scores, out, half_width), trust=found.trust))


def fit_model(exposures: Exposures, seed: int = 0, learner: Learner | None = None) -> UpliftModel:
    """Return the model of :func:`fit_uplift` alone: a sixth of the time, and no account of how good it is."""
    ready = _prepared(exposures, seed)
    return _model_of(ready, _learned(ready, learner or pooled))


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """Exposures that count, their assignment, and scores: None where nothing is identified."""

    mine: Exposures
    basis: Basis
    check: AssignmentCheck
    scores: Scores | None

    @property
    def apart(self) -> Bools:
        """Bool [K]; which offers are identified."""
        return np.array([kind is Identification.EXPERIMENT for kind in self.check.identified_by])


def _prepared(exposures: Exposures, seed: int) -> _Ready:
    if not len(exposures) or len(exposures.offers) < 2 or not (exposures.offer > 0).any():
        raise DataError(
            "No exposure tells of a coupon that was given.",
            why="Without one there is nothing to learn from.",
            todo="Add coupon_exposures with a coupon_id or campaign_id; see docs/coupons.md.",
        )
    check = check_assignment(exposures)
    mine = exposures.take(compared_rows(exposures)) if check.usable else exposures
    mine = mine.reading(telling(mine.features, mine.X))
    basis = basis_of(mine.features, mine.X, mine.revenue[:, 1:].sum(axis=1))
    fold = folds_of(mine.customer, seed)
    if not check.usable:
        return _Ready(mine, basis, check, None)
    return _Ready(mine, basis, check, scores_of(mine, mine.total, basis, fold, open_offers(mine)))


def _learned(ready: _Ready, learner: Learner) -> Learned:
    if ready.scores is None:
        return Learned(ready.basis, _prior(ready.mine, ready.basis))
    return learner(ready.mine, ready.scores, ready.basis)


def _model_of(ready: _Ready, found: Learned) -> UpliftModel:
    unknown = (Identification.NOT_IDENTIFIED,) * (len(ready.mine.offers) - 1)
    kinds = ready.check.identified_by if ready.scores is not None else (Identification.EXPERIMENT, *unknown)
    return _model(ready.mine, found, kinds)


def scores_of(exposures: Exposures, outcome: Floats, basis: Basis, fold: Ints, open_to: Bools) -> Scores:
    """Return cross-fitted scores of one outcome on the regressors of a basis.

    `open_to`, bool [N, K], is of the whole log (:func:`simulators.uplift.lotteries.open_offers`): a part of
    it may lack a small lottery's rarer offers.
    """
    X = regressors(basis, exposures.X)
    return score_outcome(outcome, exposures.offer, exposures.propensity, X, fold, open_to)


def regressors(basis: Basis, values: Floats) -> Floats:
    """Return what the outcome model reads: a constant, and in money the basis with squares; [N, Q].

    The features that tell spending best are multiplied; which, does not follow from effects.
    """
    wide = multiplied(basis, values, np.abs(basis.level[1:]), cubes=False)
    return np.concatenate([np.ones((len(values), 1)), _in_money(wide, values)], axis=1)


def _in_money(basis: Basis, values: Floats) -> Floats:
    z = basis.standardised(values)
    return basis.expand(z) * basis.scale_of(z)[:, None]


def pooled(exposures: Exposures, scores: Scores, basis: Basis) -> Learned:
    """Project scores on the basis and pool them over offers; see :mod:`simulators.uplift.shrinkage`.

    Rows weigh one over their scale: noise in money grows with what a customer spends. A first projection on
    features and squares says which of them are multiplied, and may jump, in the second. Both look at
    profit without the noise of single huge baskets (:mod:`simulators.uplift.tempering`); what profit
    itself says beyond that, by feature, is added as far as it is more than noise.
    """
    quiet, F = _quiet(exposures, scores, basis), len(basis.features)
    first = _projected(exposures, quiet, squared(basis, exposures.X))
    matters = np.square(first.mean[:, 1:]).sum(axis=0)
    wide = multiplied(basis, exposures.X, matters[:F] + matters[F:], cubes=True)
    prior = hurdle_prior(exposures, wide, _kinds(wide), _depths(exposures), scores.fold)
    trust = Trust(0.0, 0.0) if prior is None else _trust(exposures, quiet, basis, prior)
    left = quiet if prior is None else replace(quiet, value=_less(quiet.value, trust.mean * prior.expected))
    found, beyond = _projected(exposures, left, wide), replace(scores, value=scores.value - quiet.value)
    if beyond.value.any():
        found = _added(found, _projected(exposures, beyond, basis, free=False))
    return Learned(wide, found) if prior is None else _around(prior, trust, found)


def _trust(exposures: Exposures, scores: Scores, basis: Basis, prior: Prior) -> Trust:
    scale = basis.scale_of(basis.standardised(exposures.X))
    return trusted(prior.expected, scores.effect[:, 1:], scores.open_to[:, 1:], scale, exposures.customer)


def _around(prior: Prior, trust: Trust, found: Coefficients) -> Learned:
    """Put coefficients [J, Q] around a prior's guesses, each offer's own as far as it is trusted."""
    (J, Q), P = found.mean.shape, len(prior.basis)
    covariance = np.zeros((J, P, J, P))
    own: Ints = Q + np.arange(J, dtype=np.int64)
    unsure = found.covariance + trust.mean**2 * prior.covariance
    covariance[:, :Q, :, :Q] = unsure.reshape(J, Q, J, Q)
    covariance[np.arange(J)[:, None], own[:, None], np.arange(J)[None], own[None]] = trust.variance
    mean = np.concatenate([found.mean, trust.mean * np.eye(J)], axis=1)
    return Learned(prior.basis, Coefficients(mean, covariance.reshape(J * P, J * P)), trust.mean)


def _less(value: Floats, expected: Floats) -> Floats:
    """Return scores [N, K] less expected effects [N, J] of the offers."""
    out = value.copy()
    out[:, 1:] -= expected
    return out


def _added(found: Coefficients, more: Coefficients) -> Coefficients:
    """Add independent coefficients of the first regressors."""
    (J, P), first = found.mean.shape, more.mean.shape[1]
    mean, covariance = found.mean.copy(), found.covariance.reshape(J, P, J, P).copy()
    mean[:, :first] += more.mean
    covariance[:, :first, :, :first] += more.covariance.reshape(J, first, J, first)
    return Coefficients(mean, covariance.reshape(J * P, J * P))


def _quiet(exposures: Exposures, scores: Scores, basis: Basis) -> Scores:
    """Return scores of tempered profit: before the discount, less the discount.

    A discount is tempered over the mean of its offer: what a deep coupon takes off is no tail.
    """
    z, off = basis.standardised(exposures.X), exposures.discount
    depth = np.append(1.0, np.maximum(_depths(exposures), 1e-9))[exposures.offer]
    whole = tempered(exposures.total + off, exposures.units[:, 1:].sum(axis=1), z)
    whole -= depth * tempered(off / depth, np.ones(len(z)), z)
    return scores_of(exposures, whole, basis, scores.fold, scores.open_to)


def _projected(exposures: Exposures, scores: Scores, basis: Basis, *, free: bool = True) -> Coefficients:
    X = _in_money(basis, exposures.X)
    scale = basis.scale_of(basis.standardised(exposures.X))
    raw = least_squares(scores.effect[:, 1:], X, exposures.customer, 1.0 / scale, scores.open_to[:, 1:])
    return pool(raw, _depths(exposures), _kinds(basis), free=free)


def _kinds(basis: Basis) -> Kinds:
    """Say what the regressors are: features, products of two, of three, steps; of which features they are."""
    F, R, P = len(basis.features), len(basis.products), len(basis)
    group = np.full(P, 4, dtype=np.int64)
    group[: 1 + F] = np.minimum(np.arange(1 + F), 1)
    group[1 + F : 1 + F + R] = np.where((basis.products >= 0).all(axis=1), 3, 2)
    made_of = np.zeros((P, P))
    for r, named in enumerate(basis.products.tolist(), 1 + F):
        made_of[r, [1 + f for f in set(named) - {-1}]] = _FOLLOWS
    made_of[np.arange(1 + F + R, P), 1 + basis.stepping] = _FOLLOWS
    return Kinds(group, made_of)


def _depths(exposures: Exposures) -> Floats:
    """Return how deep each offer is, float64 [K - 1]: mean discount where used, 0 for one never used."""
    out = np.zeros(len(exposures.offers) - 1)
    for k in range(1, len(exposures.offers)):
        mine = (exposures.offer == k) & exposures.redeemed
        out[k - 1] = float(exposures.discount[mine].mean()) if mine.any() else 0.0
    return out


def _model(exposures: Exposures, found: Learned, kinds: tuple[Identification, ...]) -> UpliftModel:
    K, P = len(exposures.offers), len(found.basis)
    mean, covariance = np.zeros((K, P)), np.zeros((K, P, K, P))
    mean[1:] = found.coefficients.mean
    covariance[1:, :, 1:, :] = found.coefficients.covariance.reshape(K - 1, P, K - 1, P)
    plain = found.basis.unguessed
    usage = fit_usage(exposures, plain.design(exposures.X), _kinds(plain), _depths(exposures))
    more = ((0, 0), (0, P - len(plain)))
    return UpliftModel(
        offers=exposures.offers,
        basis=found.basis,
        mean=mean,
        covariance=covariance,
        redemption=np.pad(usage.redemption, more),
        discount=np.pad(usage.discount, more),
        most=usage.most,
        identified_by=kinds,
        window_days=exposures.window_days,
        after_days=exposures.after_days,
        currency=exposures.currency,
        as_of=exposures.as_of,
        fingerprint=exposures.fingerprint,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Out:
    """Out-of-fold predictions [N, K] of effects, -inf of what could not be given.

    And the offer best on average in the other folds [N], no coupon where that could not be given.
    """

    predicted: Floats
    everybody: Ints


def _out_of_fold(exposures: Exposures, scores: Scores, basis: Basis, learner: Learner, apart: Bools) -> _Out:
    N, K = scores.value.shape
    out, everybody = np.zeros((N, K)), np.zeros(N, dtype=np.int64)
    for f in range(int(scores.fold.max()) + 1):
        learn, told = scores.fold != f, scores.fold == f
        part = scores.take(learn)
        found = learner(exposures.take(learn), part, basis)
        out[told, 1:] = _in_money(found.basis, exposures.X[told]) @ found.coefficients.mean.T
        usual = np.where(part.open_to, part.effect, 0.0).mean(axis=0)
        everybody[told] = int(np.argmax(np.where(apart, usual, -np.inf)))
    out[~(scores.open_to & apart)] = -np.inf
    everybody = np.where(scores.open_to[np.arange(N), everybody], everybody, 0)
    return _Out(out, everybody)


def _report(ready: _Ready, scores: Scores, out: _Out, half_width: float | None) -> UpliftReport:
    mine, rows = ready.mine, np.arange(len(ready.mine))
    best = 1 + np.argmax(out.predicted[:, 1:], axis=1)
    predicted, found = out.predicted[rows, best], scores.effect[rows, best]
    kept = np.where(predicted > 0.0, found, 0.0)
    some = np.isfinite(predicted)
    return UpliftReport(
        check=ready.check,
        effects=_effects(mine, scores, ready.basis, ready.check, ready.apart),
        deciles=calibration(predicted[some], found[some], mine.customer[some]),
        curve=score_curve(predicted[some], found[some]),
        reach=reaches(predicted[some], found[some], mine.customer[some]),
        value=clustered_mean(kept, mine.customer),
        everybody=clustered_mean(scores.effect[rows, out.everybody], mine.customer),
        holdout=propose_holdout(mine, regressors(ready.basis, mine.X), half_width),
        exposures=len(mine),
        customers=len(np.unique(mine.customer)),
    )


def _effects(
    exposures: Exposures, total: Scores, basis: Basis, check: AssignmentCheck, apart: Bools
) -> tuple[OfferEffect, ...]:
    def means(outcome: Floats) -> list[Mean]:
        return _means(scores_of(exposures, outcome, basis, total.fold, total.open_to), exposures.customer)

    phases = {name: means(exposures.profit[:, p]) for p, name in enumerate(PHASES)}
    later = [means(part[:, 1:].sum(axis=1)) for part in (exposures.units, exposures.revenue)]
    whole = _means(total, exposures.customer)
    found: list[OfferEffect] = []
    for k in np.flatnonzero(apart[1:]) + 1:
        mine = exposures.offer == k
        found.append(
            OfferEffect(
                exposures.offers[k],
                whole[k],
                phases["during"][k],
                phases["after"][k],
                phases["before"][k],
                later[0][k],
                later[1][k],
                float(exposures.redeemed[mine].mean()),
                float(exposures.discount[mine].mean()),
                check.identified_by[k],
            )
        )
    return tuple(found)


def _means(scores: Scores, customer: Ints) -> list[Mean]:
    return [clustered_mean(scores.effect[mine, k], customer[mine]) for k, mine in enumerate(scores.open_to.T)]


def _silent(ready: _Ready, half_width: float | None) -> UpliftReport:
    """Return a report without a claim."""
    mine = ready.mine
    proposal = propose_holdout(mine, regressors(ready.basis, mine.X), half_width)
    customers = len(np.unique(mine.customer))
    return UpliftReport(ready.check, (), (), None, (), None, None, proposal, len(mine), customers)


def _prior(exposures: Exposures, basis: Basis) -> Coefficients:
    """Return a prior as wide as redemptions allow, uniform between two ends.

    At one end whoever used the coupon would have bought anyway, so it cost the discount and brought nothing;
    at the other nobody who used it would have bought in the window, and the whole profit of the window is
    its doing, twice over for what may follow. The middle is the mean, the width of a uniform distribution
    between them the standard deviation, the same share of spending for everybody.
    """
    J, P = len(exposures.offers) - 1, len(basis)
    mean, covariance = np.zeros((J, P)), np.zeros((J * P, J * P))
    z = basis.standardised(exposures.X)
    level = float(basis.scale_of(z).mean())
    for j in range(J):
        mine = exposures.offer == j + 1
        low = -float(exposures.discount[mine].mean())
        used = exposures.profit[mine, 1] * exposures.redeemed[mine]
        high = max(_CEILING * float(used.mean()), -low)
        mean[j, 0] = 0.5 * (low + high) / level
        covariance[j * P, j * P] = ((high - low) / level) ** 2 / 12.0
    return Coefficients(mean, covariance)
