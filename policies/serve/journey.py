"""The journey from what a run knows to recommendations: one function for the command line and the server.

What a run knows of the shop is a :class:`policies.serve.shelf.Shelf`. :func:`recommend` decides over all
of it at once, because some rules are about the whole catalogue, and judges every decision by posterior draws.
One such joint decision has one number: the first 32 bits of the digest of its provenance, which is everything
that it follows from. To ask again is to get the same decisions under the same identifiers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from policies.serve.asked import PriceAsked
from policies.serve.shelf import Shelf
from pricing.arrays import Floats, Ints
from pricing.decision import Decision, Decisions, decide
from pricing.demand import DemandParameters, spilled
from pricing.evidence import Identification
from pricing.guardrails import Guardrails, Rule, Status
from pricing.menu import Menu
from pricing.policy import Policy
from pricing.prior_price import DAYS
from pricing.recommendation import (
    LIMIT_SHARE,
    Assessment,
    Curve,
    Reason,
    assess,
    curve,
    model_reasons,
    reasons_each,
)
from pricing.standing import Standing
from pricing.transition import State

__all__ = [
    "DRAWS", "Recommendation", "Recommended", "recommend", "recommend_each", "release_name",
]  # fmt: skip

DRAWS = 200
"""Posterior draws that judge a decision."""

_CELLS = 2_000_000
"""Draws times series times rungs that are judged at once: bounds the memory, not the answer."""

_TOGETHER = 256
"""Series that are written out side by side, for the same reason."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One row of the contract's recommendations. Money is in minor units, intervals are of 90 %.

    Attributes
    ----------
    decision_id, price_group, zone
        Which decision, about what.
    current_price, recommended_price, price_basis
        Regular shelf price in force and recommended (None where blocked), "gross" or "net".
    valid_from, valid_to
        ISO dates of the period, half-open.
    expected_units, expected_profit
        Of the period, at the price recommended.
    profit_change, profit_change_lower, profit_change_upper
        Against keeping the price.
    probability_of_loss
        Posterior probability that the change loses money.
    identified_by
        How the response to price is known.
    binding_guardrail
        The rule that kept the unconstrained choice from happening, None where none did.
    at_bound
        The decision sits on the edge of what is allowed because a rule ends it there.
    prior_price, prior_price_until, prior_price_cost
        From which a reduction announced right after the period is counted, this price included (None where
        blocked); ISO date of the last day on which one is counted from this price or a lower one (None where
        blocked); what the rule about prior prices costs in expected profit of the period, 0 where it does
        not bind.
    reasons
        Codes, the most important first.
    status
        What became of the allowed set.
    release, provenance_digest
        What decided (policy and version); digest of everything that the decision follows from.
    standing
        Under which passport of the demand model it was decided, and what was accepted of it.
    trained_under
        The same of the model that the policy was trained on; None where it was made on this one.
    """

    decision_id: str
    price_group: str
    zone: str
    current_price: int
    recommended_price: int | None
    price_basis: str
    valid_from: str
    valid_to: str
    expected_units: float
    expected_profit: int
    profit_change: int
    profit_change_lower: int
    profit_change_upper: int
    probability_of_loss: float
    identified_by: Identification
    binding_guardrail: Rule | None
    at_bound: bool
    prior_price: int | None
    prior_price_until: str | None
    prior_price_cost: int
    reasons: tuple[Reason, ...]
    status: Status
    release: str
    provenance_digest: str
    standing: Standing
    trained_under: Standing | None


@dataclass(frozen=True)
class Recommended:
    """One joint decision over a shelf, judged.

    Attributes
    ----------
    shelf
        What it was made from.
    decisions, assessment
        Batch of one run; consequences of its N decisions.
    provenance
        Everything that the decision follows from, JSON-able.
    draws
        Number of posterior draws behind the assessment.
    trained_under
        Standing of the model that the policy was trained on; None where it was made on this one.
    """

    shelf: Shelf
    decisions: Decisions
    assessment: Assessment
    provenance: Mapping[str, object]
    draws: int
    trained_under: Standing | None = None

    def __len__(self) -> int:
        return len(self.shelf.catalogue)

    @cached_property
    def provenance_digest(self) -> str:
        """SHA-256 of the provenance."""
        return _digest(self.provenance)

    @cached_property
    def release(self) -> str:
        """The policy and the first twelve digits of its version."""
        return release_name(self.decisions.policy, self.decisions.version)

    @cached_property
    def _model_reasons(self) -> tuple[Reason, ...]:
        return model_reasons(self.shelf.standing, self.trained_under)

    @cached_property
    def _movable(self) -> Ints:
        return self.shelf.movable()

    @property
    def movable(self) -> int:
        """How many prices the evidence lets move; every other one is kept."""
        return len(self._movable)

    @property
    def at_bound_share(self) -> float:
        """Share of those that sit at a bound; 0 where there is none."""
        return float(self.assessment.at_bound[self._movable].mean()) if self.movable else 0.0

    @property
    def driven_by_limits(self) -> bool:
        """Whether that share is so large that limits, not data, drive the run."""
        return self.at_bound_share > LIMIT_SHARE

    @property
    def moved(self) -> int:
        """How many prices move."""
        return int((self.decisions.price != self.decisions.situation.state.price).sum())

    @cached_property
    def valid_to(self) -> str:
        """ISO date, the first day after the period."""
        days = np.timedelta64(self.shelf.model.period_days, "D")
        return str(np.datetime64(self.shelf.catalogue.as_of, "D") + days)

    @cached_property
    def prior_price_until(self) -> str:
        """ISO date of the last day on which an announced reduction is counted from this period's prices.

        The day after the period plus 30: a change of the clocks can make the window reach an hour further
        back than 30 midnights (:func:`pricing.prior_price.window_start`), so that day still counts.
        """
        return str(np.datetime64(self.valid_to, "D") + np.timedelta64(DAYS, "D"))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Decision identifiers of the N series."""
        digits = self.decisions.keys[0].astype(">u4").tobytes().hex()
        return tuple(digits[start : start + 32] for start in range(0, len(digits), 32))

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Series by decision identifier."""
        return {name: series for series, name in enumerate(self.ids)}

    def row(self, series: int) -> Recommendation:
        """Return the recommendation of one series."""
        return self.rows([series])[0]

    def rows(self, series: Sequence[int]) -> tuple[Recommendation, ...]:
        """Return the recommendations of many series, in the order asked.

        Much faster than one by one: each block is cut out of the shop once, and what is worked out for
        all of its series is worked out once.
        """
        return tuple(row for part, judged in self._blocks(series) for row in self._rows(part, judged))

    def written(self, series: Sequence[int]) -> Iterator[tuple[Recommendation, Decision]]:
        """Yield recommendation and decision record of many series, in the order asked; as :meth:`rows`."""
        for part, judged in self._blocks(series):
            records = part.records(0, np.arange(len(part.situation.catalogue)))
            yield from zip(self._rows(part, judged), records, strict=True)

    def _blocks(self, series: Sequence[int]) -> Iterator[tuple[Decisions, Assessment]]:
        for start in range(0, len(series), _TOGETHER):
            block = np.array(series[start : start + _TOGETHER], dtype=np.int64)
            yield _part(self.decisions, block), _judged(self.assessment, block)

    def _rows(self, part: Decisions, judged: Assessment) -> Iterator[Recommendation]:
        why = reasons_each(part, judged, np.arange(len(part.situation.catalogue)))
        for i, found in enumerate(why):
            yield self._row(part, judged, i, found)

    def _row(self, d: Decisions, a: Assessment, series: int, why: tuple[Reason, ...]) -> Recommendation:
        catalogue = d.situation.catalogue
        binding, rung = int(d.binding[0, series]), int(d.index[0, series])
        return Recommendation(
            decision_id=d.keys[0, series].astype(">u4").tobytes().hex(),
            price_group=catalogue.series.group[series],
            zone=catalogue.series.zone[series],
            current_price=int(catalogue.price[series]),
            recommended_price=None if rung < 0 else int(d.price[0, series]),
            price_basis=catalogue.basis,
            valid_from=catalogue.as_of,
            valid_to=self.valid_to,
            expected_units=float(a.expected_units[series]),
            expected_profit=_minor(a.expected_profit[series]),
            profit_change=_minor(a.profit_change[series]),
            profit_change_lower=_minor(a.profit_change_lower[series]),
            profit_change_upper=_minor(a.profit_change_upper[series]),
            probability_of_loss=float(a.probability_of_loss[series]),
            identified_by=Identification(int(catalogue.identified_by[series])),
            binding_guardrail=None if binding < 0 else Rule(binding),
            at_bound=bool(a.at_bound[series]),
            prior_price=None if rung < 0 else int(a.prior_price[series]),
            prior_price_until=None if rung < 0 else self.prior_price_until,
            prior_price_cost=_minor(a.prior_price_cost[series]),
            reasons=(*why, *self._model_reasons),
            status=Status(int(d.admission.status[0, series])),
            release=self.release,
            provenance_digest=self.provenance_digest,
            standing=self.shelf.standing,
            trained_under=self.trained_under,
        )

    def curve(self, series: int) -> Curve:
        """Return the demand curve that one decision was made on."""
        part = np.array([series], dtype=np.int64)
        return curve(_part(self.decisions, part), _draws(self.shelf, part, self.draws), 0)

    def asked(self, series: int, price: int) -> PriceAsked:
        """Judge a person's own price of one series, as the recommendation is judged."""
        part = np.array([series], dtype=np.int64)
        one = _at_price(_part(self.decisions, part), self.shelf, price)
        judged = assess(one, _draws(self.shelf, part, self.draws))
        bits = int(one.admission.rejections[0, 0, one.index[0, 0]])
        if price != int(self.shelf.catalogue.price[series]) and self._has_variants(series):
            bits |= int(Rule.VARIANT_EQUALITY.bit)
        return PriceAsked(
            price=price,
            broken=tuple(rule for rule in Rule if bits & int(rule.bit)),
            expected_units=float(judged.expected_units[0]),
            expected_profit=_minor(judged.expected_profit[0]),
            profit_change=_minor(judged.profit_change[0]),
            profit_change_lower=_minor(judged.profit_change_lower[0]),
            profit_change_upper=_minor(judged.profit_change_upper[0]),
            probability_of_loss=float(judged.probability_of_loss[0]),
        )

    def _has_variants(self, series: int) -> bool:
        groups = self.shelf.catalogue.variant_of
        return int((groups == groups[series]).sum()) > 1


def release_name(policy: str, version: str) -> str:
    """Return what a policy decides as: its name and the first twelve digits of its version."""
    return f"{policy}@{version[:12]}"


def recommend(
    shelf: Shelf, policy: Policy, *, draws: int = DRAWS, trained_under: Standing | None = None
) -> Recommended:
    """Decide the coming period's prices of a whole shelf and judge them.

    Parameters
    ----------
    shelf
        What the run knows.
    policy
        What chooses.
    draws
        Posterior draws that judge the decisions.
    trained_under
        Standing of the model that the policy was trained on; None where it was made on this shelf.

    Raises
    ------
    UnknownProduct
        If the catalogue holds a series that the model was not fitted on.
    """
    return recommend_each(shelf, (policy,), draws=draws, trained_under=(trained_under,))[0]


def recommend_each(
    shelf: Shelf,
    policies: Sequence[Policy],
    *,
    draws: int = DRAWS,
    trained_under: Sequence[Standing | None] | None = None,
) -> tuple[Recommended, ...]:
    """As :func:`recommend` for several policies, none of which affects another.

    The posterior draws that judge them cost about as much as a decision; they are drawn once for all.
    """
    under = [None] * len(policies) if trained_under is None else list(trained_under)
    facts = [_provenance(shelf, *pair, draws) for pair in zip(policies, under, strict=True)]
    decided = [_decided(shelf, *pair) for pair in zip(policies, facts, strict=True)]
    judged: list[list[Assessment]] = [[] for _ in policies]
    for part in _parts(shelf, draws):
        drawn = _draws(shelf, part, draws)
        for one, parts in zip(decided, judged, strict=True):
            parts.append(assess(_part(one, part), drawn))
    return tuple(
        Recommended(shelf, one, _joined(parts), provenance, draws, trained)
        for one, parts, provenance, trained in zip(decided, judged, facts, under, strict=True)
    )


def _decided(shelf: Shelf, policy: Policy, provenance: Mapping[str, object]) -> Decisions:
    number = int(_digest(provenance)[:8], 16)
    return decide(
        shelf.scenario.situation(State.start(shelf.catalogue, 1, shelf.lowest), 0),
        shelf.guardrails,
        policy,
        seed=shelf.model.seed,
        runs=np.array([number], dtype=np.int64),
        fingerprint=shelf.model.fingerprint,
    )


def _joined(parts: Sequence[Assessment]) -> Assessment:
    return Assessment(
        **{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Assessment)}
    )


def _judged(assessment: Assessment, index: Ints) -> Assessment:
    return Assessment(**{f.name: getattr(assessment, f.name)[index] for f in fields(Assessment)})


def _provenance(shelf: Shelf, policy: Policy, trained: Standing | None, draws: int) -> dict[str, object]:
    return {
        "as_of": shelf.catalogue.as_of,
        "data_fingerprint": shelf.model.fingerprint,
        "draws": draws,
        "policy": policy.name,
        "policy_version": policy.version,
        "run_digest": shelf.digest,
        "seed": shelf.model.seed,
        "standing": shelf.standing.document(),
        "trained_under": None if trained is None else trained.document(),
        **({} if shelf.trial is None else {"trial": shelf.trial.digest}),
        **({} if shelf.lowest is None else {"lowest": hashlib.sha256(shelf.lowest.tobytes()).hexdigest()}),
    }


def _digest(provenance: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(dict(provenance), sort_keys=True).encode()).hexdigest()


def _parts(shelf: Shelf, draws: int) -> Iterator[Ints]:
    count = len(shelf.catalogue)
    size = max(_CELLS // (draws * shelf.guardrails.menu.price.shape[1]), 1)
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count), dtype=np.int64)


def _draws(shelf: Shelf, part: Ints, count: int) -> DemandParameters:
    model = shelf.beliefs.take(part)
    drawn = DemandParameters.of(model.draws(count), model, shelf.catalogue.take(part))
    return replace(drawn, spill=_spilled(shelf, part, drawn.level.shape))


def _spilled(shelf: Shelf, part: Ints, shape: tuple[int, ...]) -> Floats:
    """Return draws of what the prices of `part` bring to rivals; at its mean where no price may move."""
    scenario, model = shelf.scenario, shelf.beliefs
    out = np.broadcast_to(scenario.beliefs.spill[part], shape).copy()
    group, moves = model.rival_group, np.isin(part, shelf.movable())
    moves &= group[part] >= 0
    if moves.any():
        some = np.flatnonzero(np.isin(group, group[part[moves]]))
        those, catalogue = model.take(some), shelf.catalogue.take(some)
        drawn = DemandParameters.of(those.draws(shape[0]), those, catalogue)
        found = spilled(drawn, scenario.rivals.take(some), catalogue).spill
        own = found[:, np.searchsorted(some, part[moves])]
        out[:, moves] += own - own.mean(axis=0)  # rivals outside of this shelf are in the mean
    return out


def _part(decisions: Decisions, index: Ints) -> Decisions:
    """Return the decisions of the series at `index`: judging them needs no other."""
    s = decisions.situation
    by_run = "features probabilities index price propensity draw wanted binding keys"
    admission = "rejections allowed current status relaxed"
    menu, count = s.menu, len(s.catalogue)
    situation = replace(
        s,
        catalogue=s.catalogue.take(index),
        menu=Menu(menu.price[index], menu.valid[index], menu.log_price[index]),
        state=replace(s.state, **{f.name: getattr(s.state, f.name)[:, index] for f in fields(s.state)}),
        conditions=replace(s.conditions, **_last(s.conditions, index, count)),
        beliefs=replace(s.beliefs, **_last(s.beliefs, index, count)),
        elasticity_sd=s.elasticity_sd[index],
        myopic=s.myopic[index],
    )
    allowed = {name: getattr(decisions.admission, name)[:, index] for name in admission.split()}
    picked: dict[str, Any] = {name: getattr(decisions, name)[:, index] for name in by_run.split()}
    return replace(
        decisions, situation=situation, admission=replace(decisions.admission, **allowed), **picked
    )


def _at_price(one: Decisions, shelf: Shelf, price: int) -> Decisions:
    """Return the decision of one series as it were if somebody had chosen this price himself."""
    s = one.situation
    now = int(s.state.price[0, 0])
    rungs = np.array([sorted({now, price})], dtype=np.int64)
    menu = Menu.of(rungs, np.ones(rungs.shape, dtype=np.bool_))
    rules = Guardrails(s.catalogue, menu, shelf.corridor.settings)
    place = menu.index_of(np.array([[price]], dtype=np.int64))
    return replace(
        one,
        situation=replace(s, menu=menu),
        admission=rules.admit(s.state, s.conditions),
        index=place,
        price=np.array([[price]], dtype=np.int64),
        wanted=place,
    )


def _last(values: Any, index: Ints, count: int) -> dict[str, Any]:
    """Pick series on the last axis of every array, spreading those that all series share."""
    found: dict[str, Any] = {}
    for entry in fields(values):
        array = np.asarray(getattr(values, entry.name))
        found[entry.name] = np.broadcast_to(array, (*array.shape[:-1], count))[..., index]
    return found


def _minor(amount: np.float64) -> int:
    return round(float(amount))
