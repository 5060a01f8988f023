"""A first guess of what coupons add: whether somebody buys, times what a purchase is worth.

Profit is noisy because baskets are; whether anything was bought is not. A hurdle model (Cragg 1971; Mullahy
1986) reads effects off that: log odds of buying by offer, times the profit of a purchase, less what the
coupon takes off it. It is wrong where a coupon changes how much is bought rather than whether, so it is never
the answer: the projection of doubly robust scores is shrunk towards it instead of towards nothing
(:func:`simulators.uplift.fit.pooled`), and corrects it wherever the lottery says more than noise.

Log odds of all offers start at one common logit; what each offer adds to those of no coupon is shrunk as
effects are (:mod:`simulators.uplift.shrinkage`).

How far to lean on it is one number between 0 and 1, from the regression of doubly robust scores on what the
model says of customers whom it has not seen: no more than that evidence and a flat prior allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.uplift import Basis
from simulators.uplift.basis import log_mean
from simulators.uplift.exposures import Exposures
from simulators.uplift.projection import Coefficients
from simulators.uplift.shrinkage import Kinds, pool
from simulators.uplift.tempering import tempered

__all__ = ["Prior", "Trust", "bought", "common_odds", "hurdle_prior", "trusted"]

_PENALTY, _FREE = 1.0, 1e-3
"""Prior precision of a coefficient of a standardised regressor, and of a constant, in log odds."""

_STEPS, _CLOSE, _STRIDE = 30, 1e-6, 20_000
_CHUNK = 1 << 15
_FAR = 3.0
"""Largest coefficient of the log of a discount's share."""
_NOTHING = 1e-9
_GRID = 401
_JITTER = 1e-6
"""Share by which every regressor's sum of squares is raised, so that two that are nearly one stay apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """A hurdle model as a prior mean of effects.

    Attributes
    ----------
    basis
        With the model's guesses after its regressors, learned from all customers.
    expected
        float64 [N, J]; effects on each exposure, learned from other customers; minor units.
    covariance
        float64 [J Q, J Q]; what is not known of its log odds, as coefficients of the Q other regressors.
    """

    basis: Basis
    expected: Floats
    covariance: Floats


def bought(exposures: Exposures) -> Bools:
    """Return who bought anything during or after the window, bool [N]."""
    return np.asarray(exposures.units[:, 1:].sum(axis=1) > 0.0)


def hurdle_prior(exposures: Exposures, basis: Basis, kinds: Kinds, depth: Floats, fold: Ints) -> Prior | None:
    """Fit a hurdle model, out of fold and as a whole; None where nobody bought, or everybody.

    Parameters
    ----------
    exposures, basis, kinds
        The log; what odds may depend on, P regressors; what these are.
    depth
        float64 [J]; how deep offers are.
    fold
        int64 [N]; of the customer.
    """
    buys = bought(exposures)
    if buys.all() or not buys.any() or not (exposures.offer == 0).any():
        return None
    z = basis.standardised(exposures.X)
    place = np.unique(fold, return_inverse=True)[1].astype(np.int64)
    tallies = _tally(basis, z, buys, exposures.offer, place, len(depth) + 1)
    quiet = tempered(exposures.total + exposures.discount, exposures.units[:, 1:].sum(axis=1), z)
    everybody = np.ones(len(z), dtype=np.bool_)
    whole, unsure = _fitted(exposures, basis, z, quiet, everybody, tallies.without(-1), depth, kinds)
    expected = np.zeros((len(z), len(depth)))
    for f in range(int(place.max()) + 1):
        told = place == f
        found, _ = _fitted(exposures, basis, z, quiet, ~told, tallies.without(f), depth, kinds)
        rows = np.flatnonzero(told)
        for part in _parts(len(rows)):
            some = z[rows[part]]
            expected[rows[part]] = found.guessed(basis.expand(some), some)[0]
    return Prior(whole, expected, _unsure(whole, z, basis, unsure))


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a prior is leaned on: posterior mean and variance of its factor, from 0 to 1."""

    mean: float
    variance: float


def trusted(expected: Floats, effect: Floats, counted: Bools, scale: Floats, customer: Ints) -> Trust:
    """Return how far scores bear out expected effects, beyond each offer's mean.

    Weighted least squares of scores on expectations, with errors clustered by customer; then a flat prior
    from 0 to 1: a guess that runs against the scores is left out, not turned round.

    Parameters
    ----------
    expected, effect
        float64 [N, J]; from other customers, and doubly robust scores.
    counted
        bool [N, J]; which scores count.
    scale
        float64 [N]; what effects are a share of; rows weigh one over it.
    customer
        int64 [N].
    """
    wide = np.where(counted, scale[:, None], 0.0)
    x, y = (_centred(np.where(counted, part, 0.0), wide) for part in (expected, effect))
    weight = 1.0 / scale[:, None]
    total = float((np.square(x) * weight).sum())
    grid = np.linspace(0.0, 1.0, _GRID)
    if total <= 0.0:
        return Trust(0.0, 0.0)
    found = float((x * y * weight).sum()) / total
    own = (x * (y - found * x) * weight).sum(axis=1)
    sums = np.bincount(np.unique(customer, return_inverse=True)[1], own)
    error = max(float(np.sqrt(np.square(sums).sum())) / total, _NOTHING)
    logs = -0.5 * np.square((grid - found) / error)
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    mean = float(chance @ grid)
    return Trust(mean, float(chance @ np.square(grid - mean)))


def _centred(values: Floats, scale: Floats) -> Floats:
    """Take off each offer's mean as a share of spending, [N, J]."""
    return np.asarray(values - values.sum(axis=0) / np.maximum(scale.sum(axis=0), _NOTHING) * scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Odds:
    """Log odds [K, P] at which information [K, P, P] and gradient [K, P] of each offer were taken."""

    base: Floats
    information: Floats
    gradient: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Tallies:
    """The same by fold, [folds, ...]: what is left without one says what others would have found.

    One Newton step from a common start: that start has seen everybody, the step undoes it.
    """

    base: Floats
    information: Floats
    gradient: Floats

    def without(self, fold: int) -> _Odds:
        """Return those of all other folds; of all for -1."""
        kept = np.arange(len(self.gradient)) != fold
        return _Odds(self.base, self.information[kept].sum(axis=0), self.gradient[kept].sum(axis=0))


def _tally(basis: Basis, z: Floats, buys: Bools, offer: Ints, fold: Ints, offers: int) -> _Tallies:
    P = len(basis)
    common = common_odds(basis, z, buys, offer, offers)
    base = np.tile(common[:P], (offers, 1))
    base[1:, 0] += common[P:]
    folds = int(fold.max()) + 1
    information, gradient = np.zeros((folds, offers, P, P)), np.zeros((folds, offers, P))
    for f in range(folds):
        for k in range(offers):
            rows = np.flatnonzero((fold == f) & (offer == k))
            for part in _parts(len(rows)):
                D = basis.expand(z[rows[part]])
                p = _chance(D @ base[k])
                information[f, k] += (D * (p * (1.0 - p))[:, None]).T @ D
                gradient[f, k] += D.T @ (buys[rows[part]] - p)
    return _Tallies(base, information, gradient)


def common_odds(basis: Basis, z: Floats, buys: Bools, offer: Ints, offers: int) -> Floats:
    """Return a logit of buying on the basis with a constant for each offer, float64 [P + J].

    Newton steps from where every some rows lead; coefficients but constants have a weak normal prior.
    """
    P = len(basis)
    penalty = np.full(P + offers - 1, _FREE)
    penalty[1:P] = _PENALTY
    out = np.zeros(len(penalty))
    stride = max(1, len(z) // _STRIDE)
    for step in dict.fromkeys((stride, 1)):
        rows = slice(None, None, step)
        out = _newton(basis, z[rows], buys[rows], offer[rows], penalty, out)
    return out


def _newton(basis: Basis, z: Floats, buys: Bools, offer: Ints, penalty: Floats, start: Floats) -> Floats:
    out, P = start.copy(), len(basis)
    for _ in range(_STEPS):
        curve, slope = np.diag(penalty), -penalty * out
        for part in _parts(len(z)):
            D = np.concatenate(
                [basis.expand(z[part]), np.equal.outer(offer[part], np.arange(1, len(out) - P + 1))], axis=1
            )
            p = _chance(D @ out)
            curve += (D * (p * (1.0 - p))[:, None]).T @ D
            slope += D.T @ (buys[part] - p)
        step = np.asarray(np.linalg.solve(curve, slope), dtype=np.float64)
        longest = float(np.abs(step).max())
        out += step * min(1.0, 2.0 / max(longest, 1e-12))
        if longest < _CLOSE:
            break
    return out


def _fitted(
    exposures: Exposures, basis: Basis, z: Floats, quiet: Floats, rows: Bools, odds: _Odds, depth: Floats,
    kinds: Kinds,
) -> tuple[Basis, Floats]:  # fmt: skip
    """Return the basis with the guesses of a hurdle model fitted on some rows, and what is not known of it.

    That is the covariance [J Q, J Q] of what offers add to log odds.
    """
    (_, P), J = odds.base.shape, len(depth)
    penalty = _penalty(P)
    inverse = np.linalg.inv(odds.information + np.diag(penalty))
    own = odds.base + np.einsum("kij,kj->ki", inverse, odds.gradient)
    wide = np.zeros((J, P, J, P)) + inverse[0][None, :, None, :]
    for j in range(J):
        wide[j, :, j, :] += inverse[j + 1]
    added = pool(Coefficients(own[1:] - own[0], wide.reshape(J * P, J * P)), depth, kinds)
    delta = np.concatenate([np.zeros((1, P)), added.mean])
    told = odds.information.sum(axis=0) + np.diag(penalty)
    common: Floats = np.einsum("kij,kj->i", odds.information, own - delta)
    none = np.asarray(np.linalg.solve(told, common), dtype=np.float64)
    worth = _worth(exposures, z, quiet, rows & bought(exposures), depth)
    return replace(basis, odds=none + delta, worth=worth), added.covariance


def _worth(exposures: Exposures, z: Floats, quiet: Floats, rows: Bools, depth: Floats) -> Floats:
    """Return what a purchase is worth and what of it each coupon takes; see :class:`pricing.uplift.Basis`."""
    earned: Floats = np.maximum(quiet, 0.0)
    level = log_mean(z[rows], earned[rows])
    level[0] += np.log(max(float(earned[rows].mean()), _NOTHING)) if rows.any() else np.log(_NOTHING)
    each: Floats = np.exp(level[0] + z @ level[1:])
    J, Q = len(depth), z.shape[1] + 1
    off, mean, wide = np.zeros((J, Q)), np.zeros((J, Q)), np.zeros((J, Q, J, Q))
    for j in range(J):
        mine = np.flatnonzero(rows & (exposures.offer == j + 1))
        expected: Floats = each[mine]
        taken = exposures.discount[mine]
        share = float(taken.sum() / max(float(expected.sum()), _NOTHING))
        off[j, 0] = np.log(max(share, _NOTHING))
        if share <= 0.0:
            wide[j, :, j, :] = np.eye(Q)
            continue
        X = np.concatenate([np.ones((len(mine), 1)), z[mine]], axis=1)
        relative = expected / expected.mean()
        slopes = X * (taken / (share * expected.mean()) - relative)[:, None]
        gram: Floats = (X * relative[:, None]).T @ X + np.diag(_penalty(Q))
        bread = np.asarray(np.linalg.inv(gram), dtype=np.float64)
        mean[j] = bread @ slopes.sum(axis=0)
        wide[j, :, j, :] = bread @ (slopes.T @ slopes) @ bread
    plain = Kinds(np.minimum(np.arange(Q, dtype=np.int64), 1), np.zeros((Q, Q)))
    more = pool(Coefficients(mean, wide.reshape(J * Q, J * Q)), depth, plain).mean
    return np.concatenate([level[None], off + np.clip(more, -_FAR, _FAR)])


def _unsure(guessing: Basis, z: Floats, basis: Basis, covariance: Floats) -> Floats:
    """Turn what is not known of log odds, [J Q, J Q], into coefficients of effects as a share of spending.

    The slope of an effect in log odds, projected on the regressors (the delta method).
    """
    P, J = len(basis), len(guessing.odds) - 1
    gram, slopes = np.zeros((P, P)), np.zeros((J, P, P))
    for part in _parts(len(z)):
        D = basis.expand(z[part])
        slope = guessing.guessed(D, z[part])[1]
        gram += (D * basis.scale_of(z[part])[:, None]).T @ D
        for j in range(J):
            slopes[j] += (D * slope[:, j : j + 1]).T @ D
    turn: Floats = np.linalg.inv(gram + _JITTER * np.diag(np.diag(gram))) @ slopes
    spread = np.einsum("jpq,jqlr,lsr->jpls", turn, covariance.reshape(J, P, J, P), turn, optimize=True)
    out: Floats = spread.reshape(J * P, J * P)
    return 0.5 * (out + out.T)


def _penalty(count: int) -> Floats:
    return np.append(_FREE, np.full(count - 1, _PENALTY))


def _chance(odds: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * odds)))


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK):
        yield slice(start, start + _CHUNK)
