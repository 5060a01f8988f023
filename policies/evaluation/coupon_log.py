"""A coupon model judged on a log of exposures drawn by lot: the gate before it goes live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.evaluation.off_policy import Log, PolicyValue, chosen, evaluate_policy, gain_over
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, RefusedError
from pricing.uplift import UpliftModel
from simulators.uplift.assignment import Doubt, check_assignment, compared_rows
from simulators.uplift.basis import basis_of, telling
from simulators.uplift.exposures import Exposures
from simulators.uplift.fit import scores_of
from simulators.uplift.lotteries import open_offers
from simulators.uplift.scores import Mean, folds_of

__all__ = ["JudgedPolicy", "Judgement", "best_offers", "judge"]


@dataclass(frozen=True, slots=True)
class JudgedPolicy:
    """One policy on the log.

    Attributes
    ----------
    name
        ``model``, ``nobody``, ``log`` or ``everybody``.
    offer
        Of ``everybody``, else empty.
    gives
        Share of exposures that get a coupon.
    value, gain
        Net profit per exposure in minor units, and over no coupon; None where the log cannot tell.
    refused
        Why not, else empty.
    """

    name: str
    offer: str
    gives: float
    value: PolicyValue | None
    gain: Mean | None
    refused: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a log says of a model.

    Attributes
    ----------
    policies
        The model first.
    exposures
        Drawn by lot, on which all were judged: each by what it gives of the offers that were open.
    seen
        Some of them taught the model.
    missing
        Offers of the model that this log never gave.
    passed
        The gate: the lower end of the model's gain is above 0, on exposures that it had not seen.
    currency
        ISO 4217.
    """

    policies: tuple[JudgedPolicy, ...]
    exposures: int
    seen: bool
    missing: tuple[str, ...]
    passed: bool
    currency: str


def best_offers(model: UpliftModel, values: Floats, offers: tuple[str, ...], open_to: Bools) -> Ints:
    """Return each customer's best offer among `offers`, int64 [N]: no coupon unless an identified one gains.

    Parameters
    ----------
    model
        What offers add.
    values
        float64 [N, F] in the order of the model's features.
    offers
        Names that may be given; the result counts in them. The first is no coupon.
    open_to
        bool [N, K]; which of them each customer could get.
    """
    place = {name: k for k, name in enumerate(model.offers)}
    profit, act = model.profit(values), model.may_act
    out = np.full((len(values), len(offers)), -np.inf)
    out[:, 0] = 0.0
    for k, name in enumerate(offers[1:], 1):
        if name in place and act[place[name]]:
            out[:, k] = np.where(open_to[:, k], profit[:, place[name]], -np.inf)
    best: Ints = np.argmax(out, axis=1).astype(np.int64)
    return best


def judge(model: UpliftModel, exposures: Exposures, seed: int = 0) -> Judgement:
    """Judge a model on exposures, beside no coupon, what was given, and each offer for everybody.

    Raises
    ------
    RefusedError
        If the exposures were not drawn by lot as they say: then no policy can be judged on them.
    """
    check = check_assignment(exposures)
    fatal = {Doubt.NO_PROPENSITY, Doubt.NO_HOLDOUT, Doubt.NOT_AS_DECLARED} & set(check.doubts)
    if fatal:
        raise RefusedError(
            "No policy can be judged on these exposures.",
            why=f"They are not a lottery: {', '.join(sorted(fatal))}.",
            todo="Give coupons with recorded chances and a holdout; `tarifa coupons fit` proposes one.",
        )
    mine = exposures.take(compared_rows(exposures))
    if mine.currency != model.currency:
        raise DataError(f"The model counts in {model.currency} and the log in {mine.currency}.")
    open_to = open_offers(mine)
    offer = best_offers(model, mine.reading(model.basis.features).X, mine.offers, open_to)
    log, K = _log(mine, seed, open_to), len(mine.offers)
    nobody = chosen(np.zeros(len(mine), dtype=np.int64), K)
    entries = [_judged(log, chosen(offer, K), nobody, "model")]
    entries.append(_judged(log, nobody, nobody, "nobody"))
    entries += [
        _judged(log, chosen(np.where(open_to[:, k], k, 0), K), nobody, "everybody", mine.offers[k])
        for k in range(1, K)
    ]
    missing = tuple(name for name in model.offers if name not in mine.offers)
    seen = bool((mine.day < _day(model.as_of)).any()) and model.fingerprint == mine.fingerprint
    gain = entries[0].gain
    passed = not seen and gain is not None and gain.interval()[0] > 0.0
    return Judgement(tuple(entries), len(mine), seen, missing, passed, mine.currency)


def _day(iso: str) -> int:
    return int(np.datetime64(iso, "D").astype(np.int64))


def _log(exposures: Exposures, seed: int, open_to: Bools) -> Log:
    plain = exposures.reading(telling(exposures.features, exposures.X))
    basis = basis_of(plain.features, plain.X, plain.revenue[:, 1:].sum(axis=1))
    scores = scores_of(plain, plain.total, basis, folds_of(plain.customer, seed), open_to)
    return Log(plain.total, plain.offer, plain.propensity, scores.expected, plain.customer)


def _judged(log: Log, policy: Floats, nobody: Floats, name: str, offer: str = "") -> JudgedPolicy:
    gives = float(1.0 - policy[:, 0].mean())
    try:
        return JudgedPolicy(
            name, offer, gives, evaluate_policy(log, policy), gain_over(log, policy, nobody), ""
        )
    except RefusedError as error:
        return JudgedPolicy(name, offer, gives, None, None, f"{error.what} {error.why}")
