"""What a decision is worth, with honest intervals, and why it is what it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.decision import Decisions
from pricing.demand import DemandParameters
from pricing.evidence import Identification
from pricing.guardrails import Rule, Status
from pricing.standing import Standing, Verdict

__all__ = [
    "LIMIT_SHARE",
    "Assessment",
    "Curve",
    "Reason",
    "assess",
    "curve",
    "model_reasons",
    "reasons",
    "reasons_each",
]

LIMIT_SHARE = 0.3
"""Above this share of recommendations at a bound a run is marked "driven by limits, not by data"."""

_LOWER, _UPPER = 0.05, 0.95


class Reason(Enum):
    """Why a price is what it is. Codes only: their texts, in the reader's language, live at the edge."""

    PRICE_RAISED = "price_raised"
    PRICE_LOWERED = "price_lowered"
    PRICE_KEPT = "price_kept"
    KEPT_NOT_IDENTIFIED = "kept_not_identified"
    PRICE_TEST_PROPOSED = "price_test_proposed"
    ACTED_ON_PRIOR = "acted_on_prior"
    STEP_TOWARDS_OPTIMUM = "step_towards_optimum"
    HELD_OUT = "held_out"
    LIMITED_BY_RULE = "limited_by_rule"
    BECOMES_PRIOR_PRICE = "becomes_prior_price"
    PROMOTION_PLANNED = "promotion_planned"
    RULES_RELAXED = "rules_relaxed"
    NO_PRICE_ALLOWED = "no_price_allowed"
    COST_ASSUMED = "cost_assumed"
    CHANGE_UNCERTAIN = "change_uncertain"
    MODEL_CHECK_FAILED_ACCEPTED = "model_check_failed_accepted"
    MODEL_NOT_VALIDATED = "model_not_validated"
    MODEL_CHECKS_UNTOLD = "model_checks_untold"
    POLICY_OF_OTHER_PASSPORT = "policy_of_other_passport"


@dataclass(frozen=True, slots=True)
class Assessment:
    """Consequences of one run's N decisions over the coming period; all float64 [N] unless said.

    Money is in minor units; profit holds what a changed price brings to rivals. Intervals are 90 % of the
    posterior of the *mean* (not of sales).

    Attributes
    ----------
    expected_units, expected_profit
        At the price decided.
    profit_change, profit_change_lower, profit_change_upper
        Against keeping the price in force; 0 where it is kept.
    probability_of_loss
        Posterior probability that the change loses money against keeping; 0 where it is kept.
    probability_up
        Posterior probability that the ladder's best price lies above the price in force.
    probability_outside
        Posterior probability that it lies outside what was ever observed.
    at_bound
        bool [N]; the decision sits on the edge of its allowed set because a rule ends it there. A price
        kept because its effect is not identified is not at a bound: it has its own reason code.
    prior_price
        int64 [N]; lowest shelf price of the 30 days that end with the coming period, at the price decided:
        what a reduction announced right after it is counted from (Directive 98/6/EC, Art. 6a).
    prior_price_cost
        Where the rule about prior prices binds, by how much the best price that would be open without it
        beats the price decided; 0 elsewhere.
    """

    expected_units: Floats
    expected_profit: Floats
    profit_change: Floats
    profit_change_lower: Floats
    profit_change_upper: Floats
    probability_of_loss: Floats
    probability_up: Floats
    probability_outside: Floats
    at_bound: Bools
    prior_price: Ints
    prior_price_cost: Floats


@dataclass(frozen=True, slots=True)
class Curve:
    """Demand and profit of one series along its ladder; float64 [K] unless said, intervals of 90 %.

    Attributes
    ----------
    price
        int64 [K]; shelf prices, minor units.
    units, units_lower, units_upper
        Expected units of the period.
    profit, profit_lower, profit_upper
        Expected net profit of the period, minor units.
    supported
        bool [K]; the price lies within what was observed.
    """

    price: Ints
    units: Floats
    units_lower: Floats
    units_upper: Floats
    profit: Floats
    profit_lower: Floats
    profit_upper: Floats
    supported: Bools


def assess(decisions: Decisions, draws: DemandParameters, run: int = 0) -> Assessment:
    """Judge the decisions of one run by posterior draws.

    Parameters
    ----------
    decisions
        Any batch.
    draws
        Demand with arrays [D, N].
    run
        Row of the batch.
    """
    s = decisions.situation
    units = np.exp(s.log_units_at(draws))[:, run]
    profit = np.minimum(units, s.state.stock[run][:, None]) * _profit_by_rung(decisions, run)
    profit = profit + s.spilled(draws)[:, 0]
    rows = np.arange(len(s.catalogue))
    now = np.maximum(decisions.admission.current[run], 0)
    decided: Ints = decisions.index[run]
    index: Ints = np.where(np.less(decided, 0), now, decided)
    change = profit[:, rows, index] - profit[:, rows, now]
    best = np.argmax(np.where(s.menu.valid, profit, -np.inf), axis=-1)
    best_price = s.menu.price[rows, best]
    price = s.state.price[run]
    lower, upper = np.quantile(change, [_LOWER, _UPPER], axis=0)
    outside = (best_price < s.catalogue.support_low) | (best_price > s.catalogue.support_high)
    return Assessment(
        expected_units=units[:, rows, index].mean(axis=0),
        expected_profit=profit[:, rows, index].mean(axis=0),
        profit_change=change.mean(axis=0),
        profit_change_lower=lower,
        profit_change_upper=upper,
        probability_of_loss=np.less(change, 0.0).mean(axis=0),
        probability_up=np.greater(best_price, price).mean(axis=0),
        probability_outside=outside.mean(axis=0),
        at_bound=_at_bound(decisions, run),
        prior_price=_low_after(decisions)[run],
        prior_price_cost=_prior_price_cost(decisions, run, profit.mean(axis=0)),
    )


def curve(decisions: Decisions, draws: DemandParameters, series: int, run: int = 0) -> Curve:
    """Return the demand and profit curves that one decision was made on; arguments as :func:`assess`."""
    s = decisions.situation
    valid = s.menu.valid[series]
    units = np.exp(s.log_units_at(draws))[:, run, series][:, valid]
    profit = np.minimum(units, s.state.stock[run, series]) * _profit_by_rung(decisions, run)[series][valid]
    profit = profit + s.spilled(draws)[:, 0, series][:, valid]
    price = s.menu.price[series][valid]
    low, high = s.catalogue.support_low[series], s.catalogue.support_high[series]
    units_lower, units_upper = np.quantile(units, [_LOWER, _UPPER], axis=0)
    profit_lower, profit_upper = np.quantile(profit, [_LOWER, _UPPER], axis=0)
    return Curve(
        price=price,
        units=units.mean(axis=0),
        units_lower=units_lower,
        units_upper=units_upper,
        profit=profit.mean(axis=0),
        profit_lower=profit_lower,
        profit_upper=profit_upper,
        supported=np.greater_equal(price, low) & np.less_equal(price, high),
    )


def reasons(decisions: Decisions, assessment: Assessment, series: int, run: int = 0) -> tuple[Reason, ...]:
    """Return the reason codes of one decision, the most important first."""
    return reasons_each(decisions, assessment, np.array([series], dtype=np.int64), run)[0]


def reasons_each(
    decisions: Decisions, assessment: Assessment, series: Ints, run: int = 0
) -> list[tuple[Reason, ...]]:
    """As :func:`reasons` for many series int64 [n], in their order, and much faster."""
    at, catalogue, admission = (run, series), decisions.situation.catalogue, decisions.admission
    evidence, binding = catalogue.identified_by[series], decisions.binding[at]
    blocked = np.equal(admission.status[at], Status.BLOCKED)
    move = np.sign(decisions.price[at] - decisions.situation.state.price[at])
    held, moves = _held(decisions, run, series) & ~blocked, move != 0
    untold = _untold(decisions, run, series) & ~held
    found = (
        (Reason.NO_PRICE_ALLOWED, blocked),
        (Reason.KEPT_NOT_IDENTIFIED, untold),
        (Reason.PRICE_TEST_PROPOSED, untold),
        (Reason.PRICE_RAISED, move > 0),
        (Reason.PRICE_LOWERED, move < 0),
        (Reason.PRICE_KEPT, ~moves & ~untold & ~blocked & ~held),
        (Reason.HELD_OUT, held),
        (Reason.LIMITED_BY_RULE, (binding >= 0) & ~untold & ~held),
        (Reason.BECOMES_PRIOR_PRICE, move < 0),
        (Reason.PROMOTION_PLANNED, _promoted(decisions, run, series)),
        (Reason.STEP_TOWARDS_OPTIMUM, moves & (assessment.probability_outside[series] >= _LOWER)),
        (Reason.ACTED_ON_PRIOR, moves & np.greater_equal(evidence, Identification.PRIOR)),
        (Reason.CHANGE_UNCERTAIN, moves & (assessment.profit_change_lower[series] < 0.0)),
        (Reason.RULES_RELAXED, admission.relaxed[at] != 0),
        (Reason.COST_ASSUMED, catalogue.cost_assumed[series]),
    )
    flags = np.stack([np.asarray(holds, dtype=np.bool_) for _, holds in found], axis=-1).tolist()
    names = [reason for reason, _ in found]
    return [tuple(name for name, holds in zip(names, row, strict=True) if holds) for row in flags]


def model_reasons(standing: Standing, trained_under: Standing | None) -> tuple[Reason, ...]:
    """Return what every decision made on a model has to say of it, after its own reasons.

    Parameters
    ----------
    standing
        Of the model.
    trained_under
        Standing of the model that the policy was trained on; None where it was made on this one.
    """
    said = {
        None: Reason.MODEL_NOT_VALIDATED,
        Verdict.FAILED: Reason.MODEL_CHECK_FAILED_ACCEPTED,
        Verdict.NOT_APPLICABLE: Reason.MODEL_CHECKS_UNTOLD,
    }
    found = (said[standing.verdict],) if standing.verdict in said else ()
    other = trained_under is not None and trained_under != standing
    return (*found, Reason.POLICY_OF_OTHER_PASSPORT) if other else found


def _promoted(decisions: Decisions, run: int, series: Ints) -> Bools:
    """Return where the shop itself plans to advertise, display or reduce in the coming period, bool [n]."""
    plan, shape = decisions.situation.conditions, decisions.situation.state.price.shape
    depth, feature, display = (
        np.broadcast_to(each, shape)[run, series] for each in (plan.depth, plan.feature, plan.display)
    )
    return np.asarray((feature > 0.0) | (display > 0.0) | (depth < 0.0), dtype=np.bool_)


def _low_after(decisions: Decisions) -> Ints:
    """Return the lowest shelf price of 30 days once the period is over, at the prices decided, [B, N]."""
    state = decisions.situation.state
    paid = decisions.price * np.exp(decisions.situation.conditions.depth)
    tag = np.maximum(np.rint(paid), 1.0).astype(np.int64)
    return replace(state, recent=np.concatenate([tag[..., None], state.recent[..., :-1]], axis=-1)).low


def _prior_price_cost(decisions: Decisions, run: int, profit: Floats) -> Floats:
    """Return what the rule about prior prices costs, float64 [N]; `profit` [N, K] is expected by rung."""
    others = decisions.admission.rejections[run] & ~Rule.PRIOR_PRICE.bit
    open_ = decisions.situation.menu.valid & (others == 0)
    best = np.where(open_, profit, -np.inf).max(axis=-1)
    index: Ints = decisions.index[run]
    decided = np.take_along_axis(profit, np.maximum(index, 0)[:, None], axis=-1)[:, 0]
    binds = (decisions.binding[run] == Rule.PRIOR_PRICE) & (index >= 0)
    return np.where(binds, np.maximum(best - decided, 0.0), 0.0)


def _profit_by_rung(decisions: Decisions, run: int) -> Floats:
    profit = decisions.situation.unit_profit()
    return profit[run] if profit.ndim == 3 else profit


def _at_bound(decisions: Decisions, run: int) -> Bools:
    """Return where a rule forbids what would be chosen and the decision is the edge nearest to it."""
    allowed, index, wanted = decisions.admission.allowed[run], decisions.index[run], decisions.wanted[run]
    first = np.argmax(allowed, axis=-1)
    last = allowed.shape[-1] - 1 - np.argmax(allowed[:, ::-1], axis=-1)
    low = np.equal(index, first) & np.less(wanted, index)
    high = np.equal(index, last) & np.greater(wanted, index)
    every = np.arange(len(index))
    ended = (decisions.binding[run] >= 0) & ~_untold(decisions, run, every) & ~_held(decisions, run, every)
    return np.asarray((low | high) & ended & (index >= 0), dtype=np.bool_)


def _held(decisions: Decisions, run: int, series: Ints) -> Bools:
    """Return where a trial holds the price and that was honoured, bool [n]: another thing than a limit."""
    bits, index = decisions.admission.rejections[run, series], decisions.index[run, series]
    some = np.asarray(((bits & Rule.HOLDOUT.bit) != 0).any(axis=-1), dtype=np.bool_)
    chosen = bits[np.arange(len(series)), np.maximum(index, 0)] & Rule.HOLDOUT.bit
    return np.asarray(some & (chosen == 0) & (index >= 0), dtype=np.bool_)


def _untold(decisions: Decisions, run: int, series: Ints) -> Bools:
    """Return where the move wanted was refused for want of evidence, whatever other rule does too; bool [n].

    Kept for want of evidence is another thing than stopped by a limit: no limit, once lifted, would have
    let the price move. Where no price is allowed at all, none is kept either.
    """
    wanted = np.maximum(decisions.wanted[run, series], 0)
    bits = decisions.admission.rejections[run, series, wanted]
    refused = (bits & Rule.NOT_IDENTIFIED.bit) != 0
    kept = decisions.index[run, series] >= 0
    return np.asarray(refused & kept & (decisions.binding[run, series] >= 0), dtype=np.bool_)
