"""The waist: one decision code for training, simulation, off-policy evaluation and serving.

candidates -> guardrails -> joint step -> features -> policy -> draw -> Decision
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Floats, Ints, Words
from pricing.draw import check_choice, draw_rung, of_rung
from pricing.errors import UsageError
from pricing.features import FEATURES, observe
from pricing.guardrails import Admission, Guardrails, Rule, Status, first_rule
from pricing.joint import allowance, limit_moves
from pricing.menu import at_rung
from pricing.policy import Choice, Policy, one_hot
from pricing.randomness import decision_keys, uniforms
from pricing.situation import Situation
from pricing.variants import Variants

__all__ = ["SCHEMA", "Decision", "Decisions", "decide", "price_at", "recorded_rules", "settle"]

SCHEMA = 2
"""Version of the decision record. Schema 1 knew no `prior_price`: later rules stood one bit lower."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision as it is recorded. Prices are shelf prices in minor units.

    Attributes
    ----------
    decision_id
        32 hexadecimal digits: series (16), first day of the period (8), run (8). The draw follows from
        it and the seed.
    group, zone, period, run
        Who, where, when (days since 1970-01-01) and in which run (32-bit number).
    current_price, price
        Price in force and price decided; None where the series is blocked.
    menu, allowed, rejections
        Ladder, rungs that could be chosen, bits of :class:`pricing.guardrails.Rule` by rung.
    status, relaxed, binding
        What became of the allowed set; the soft rules given up; the rule that kept the unconstrained
        choice from happening, None where none did.
    features
        Values of :data:`pricing.features.FEATURES`.
    probabilities, propensity, draw
        Over the ladder; of the price decided; the stored draw used, None where the policy has none.
    policy, policy_version, model_fingerprint
        What decided, on what.
    context_hash
        SHA-256 of everything that the policy decided from: catalogue, ladder, state, beliefs, conditions and
        what the rules left of the ladder.
    personalised
        Whether a feature that was read is personal data: the disclosure flag.
    schema
        Version of this record.
    """

    decision_id: str
    group: str
    zone: str
    period: int
    run: int
    current_price: int
    price: int | None
    menu: tuple[int, ...]
    allowed: tuple[bool, ...]
    rejections: tuple[int, ...]
    status: Status
    relaxed: int
    binding: Rule | None
    features: tuple[float, ...]
    probabilities: tuple[float, ...]
    propensity: float
    draw: int | None
    policy: str
    policy_version: str
    model_fingerprint: str
    context_hash: str
    personalised: bool
    schema: int = SCHEMA


@dataclass(frozen=True)
class Decisions:
    """B runs over N series, decided.

    Attributes
    ----------
    situation, admission
        What was known; what was allowed, the joint step included.
    features
        float64 [B, N, F].
    probabilities
        float64 [B, N, K].
    index
        int64 [B, N]; rung decided, -1 where blocked.
    price
        int64 [B, N]; price decided; the price in force where blocked (nothing is published then).
    propensity
        float64 [B, N]; probability of the rung decided, NaN where blocked.
    draw
        int64 [B, N]; stored draw used, -1 where the policy has none.
    wanted
        int64 [B, N]; likeliest rung if no rule existed (the one that variants agree on).
    binding
        int64 [B, N]; :class:`pricing.guardrails.Rule` of highest precedence that `wanted` breaks, -1 where it
        was allowed.
    keys
        uint64 [B, N, 4]; decision ids.
    policy, version, fingerprint, personalised
        Of the policy and of the model.
    """

    situation: Situation
    admission: Admission
    features: Floats
    probabilities: Floats
    index: Ints
    price: Ints
    propensity: Floats
    draw: Ints
    wanted: Ints
    binding: Ints
    keys: Words
    policy: str
    version: str
    fingerprint: str
    personalised: bool

    def record(self, run: int, series: int) -> Decision:
        """Return the decision of one run (row of the batch) and series as it is recorded."""
        return self.records(run, np.array([series], dtype=np.int64))[0]

    def records(self, run: int, series: Ints) -> tuple[Decision, ...]:
        """As :meth:`record` for many series int64 [n] of one run, in their order, and much faster."""
        contexts = _context_hashes(self, run, series)
        return tuple(
            self._record(run, i, context) for i, context in zip(series.tolist(), contexts, strict=True)
        )

    def _record(self, run: int, series: int, context: str) -> Decision:
        at = (run, series)
        s, valid = self.situation, self.situation.menu.valid[series]
        words = [int(word) for word in self.keys[at]]
        blocked, draw, binding = int(self.index[at]) < 0, int(self.draw[at]), int(self.binding[at])
        return Decision(
            decision_id="".join(f"{word:08x}" for word in words),
            group=s.catalogue.series.group[series],
            zone=s.catalogue.series.zone[series],
            period=s.period,
            run=words[3],
            current_price=int(s.state.price[at]),
            price=None if blocked else int(self.price[at]),
            menu=tuple(s.menu.price[series][valid].tolist()),
            allowed=tuple(self.admission.allowed[at][valid].tolist()),
            rejections=tuple(self.admission.rejections[at][valid].tolist()),
            status=Status(int(self.admission.status[at])),
            relaxed=int(self.admission.relaxed[at]),
            binding=None if binding < 0 else Rule(binding),
            features=tuple(self.features[at].tolist()),
            probabilities=tuple(self.probabilities[at][valid].tolist()),
            propensity=float(self.propensity[at]),
            draw=None if draw < 0 else draw,
            policy=self.policy,
            policy_version=self.version,
            model_fingerprint=self.fingerprint,
            context_hash=context,
            personalised=self.personalised,
        )


def recorded_rules(bits: int, schema: int) -> tuple[Rule, ...]:
    """Return the rules that recorded bits stand for, the strongest first, in a record of that schema."""
    known = [rule for rule in Rule if schema > 1 or rule not in _SINCE_2]
    return tuple(rule for place, rule in enumerate(known) if bits >> place & 1)


_SINCE_2 = (Rule.PRIOR_PRICE, Rule.HOLDOUT)
"""Rules that records of schema 1 did not know; the bits of the others stood closer together there."""


def decide(
    situation: Situation,
    guardrails: Guardrails,
    policy: Policy,
    *,
    seed: int,
    runs: Ints,
    fingerprint: str,
) -> Decisions:
    """Decide the coming period's price of every series in every run.

    Parameters
    ----------
    situation
        Everything known, batch B.
    guardrails
        The rules for its catalogue and menu.
    policy
        What chooses.
    seed
        With a decision's id it gives the draw, whatever the batch.
    runs
        int64 [B]; 32-bit number of each run.
    fingerprint
        Digest of the demand model that the beliefs come from.
    """
    _check_runs(runs, situation)
    rungs = situation.menu.price.shape[1]
    opened = guardrails.admit(situation.state, situation.conditions)
    features = observe(situation, opened.allowed)
    admission, choice = settle(situation, guardrails, policy, opened)
    keys = _keys(situation, runs)
    index, draw = draw_rung(choice, uniforms(keys, seed), rungs)
    probabilities = choice.over(rungs)
    check_choice(probabilities, index, admission.allowed, policy.name)
    wanted, binding = _unconstrained(situation, admission, policy)
    personal = {feature.name for feature in FEATURES if feature.personal}
    return Decisions(
        situation=situation,
        admission=admission,
        features=features,
        probabilities=probabilities,
        index=index,
        price=price_at(situation, index),
        propensity=of_rung(probabilities, index),
        draw=draw,
        wanted=wanted,
        binding=binding,
        keys=decision_keys(situation.catalogue.keys, np.asarray(situation.period), runs),
        policy=policy.name,
        version=policy.version,
        fingerprint=fingerprint,
        personalised=bool(personal & set(policy.reads)),
    )


def _unconstrained(situation: Situation, admission: Admission, policy: Policy) -> tuple[Ints, Ints]:
    """Return the likeliest rung if no rule existed and the rule that forbids it (-1: none), int64 [B, N]."""
    everything = np.broadcast_to(situation.menu.valid, admission.allowed.shape)
    choice = policy.choose(situation, everything)
    wanted = _agreed(choice, everything, situation.catalogue.variants).mode()
    place = np.maximum(wanted, 0)[..., None]
    broken = np.take_along_axis(admission.rejections, place, axis=-1)[..., 0]
    may = np.take_along_axis(admission.allowed, place, axis=-1)[..., 0]
    return wanted, np.where(may, -1, first_rule(broken))


def _check_runs(runs: Ints, situation: Situation) -> None:
    """Refuse run numbers that do not fit the batch or their 32 bits: two decisions would share an id."""
    if runs.shape != situation.state.price.shape[:1] or (runs < 0).any() or (runs >= 2**32).any():
        raise UsageError(
            f"Run numbers of shape {runs.shape} do not fit a batch of {situation.state.price.shape[0]}.",
            why="Each row of the batch needs a number from 0 to 2**32 - 1, which its decision ids hold.",
        )


def settle(
    situation: Situation, guardrails: Guardrails, policy: Policy, opened: Admission
) -> tuple[Admission, Choice]:
    """Return what is allowed and what the policy would choose once the rules over all series hold.

    Environments call this with the agent's action as a policy; there is no other way to a price.
    """
    variants = situation.catalogue.variants
    choice = _agreed(policy.choose(situation, opened.allowed), opened.allowed, variants)
    most = allowance(len(situation.catalogue), guardrails.settings.max_share_moved)
    if most >= len(situation.catalogue):
        return opened, choice
    gain, wants = _ask(situation, choice, opened.current)
    admission = limit_moves(opened, gain, wants, most, variants)
    return admission, _kept(choice, opened, admission)


def _ask(situation: Situation, choice: Choice, current: Ints) -> tuple[Floats, Bools]:
    """Return the expected gain of a choice over keeping the price [B, N], and whether it may move."""
    stay = situation.profit_now
    if choice.index is not None:
        return situation.profit_of(choice.index) - stay, (choice.index != current) & (choice.index >= 0)
    chances = choice.over(0)
    mean = (chances * situation.expected_profit(situation.beliefs)).sum(axis=-1)
    held = np.nan_to_num(of_rung(chances, current))
    return mean - stay, chances.any(axis=-1) & (held < 1.0)


def _kept(choice: Choice, before: Admission, after: Admission) -> Choice:
    """Put all weight on the price in force where the joint step refused to move it."""
    if after is before:
        return choice
    current = after.current
    if choice.index is not None:
        place = np.maximum(choice.index, 0)
        lost = at_rung(before.allowed, place) & ~at_rung(after.allowed, place)
        return replace(choice, index=np.where(lost, current, choice.index))
    refused = (before.allowed != after.allowed).any(axis=-1)
    chances = choice.over(0)
    parts = choice.components
    return replace(
        choice,
        probabilities=np.where(refused[..., None], one_hot(current, chances.shape[-1]), chances),
        components=None if parts is None else np.where(refused[..., None], current[..., None], parts),
    )


def _agreed(choice: Choice, allowed: Bools, variants: Variants) -> Choice:
    """Make variants choose alike where they may; what was certain stays certain, draw for draw.

    A rung chosen for certain, or by one stored draw, becomes what most of the variants chose (the lowest of
    equals); probabilities become their mean. Where equality was given up each keeps its own choice.
    """
    linked = variants.alike(allowed) & (variants.size > 1)
    if not linked.any():
        return choice
    rungs = allowed.shape[-1]
    if choice.index is not None:
        index, several = choice.index.copy(), variants.several
        mine = index[:, several]
        places: Ints = np.arange(rungs, dtype=np.int64)
        cast = np.equal(places[:, None, None], np.ascontiguousarray(mine.T))
        votes = np.add.reduceat(cast, variants.heads, axis=1, dtype=np.int64)
        common = np.where(votes.any(axis=0), np.argmax(votes, axis=0), -1)[variants.place].T
        index[:, several] = np.where(linked[:, several], common, mine)
        return replace(choice, index=index)
    if choice.components is None:
        own = choice.over(rungs)
        return replace(choice, probabilities=np.where(linked[..., None], variants.mean(own), own))
    several = np.flatnonzero(linked.any(axis=0))
    few = Variants.of(variants.group[several])
    parts, chances = choice.components.copy(), choice.over(rungs).copy()
    votes = few.mean(np.swapaxes(one_hot(parts[:, several], rungs), 1, 2))
    common = np.where(
        linked[:, several, None], np.swapaxes(np.argmax(votes, axis=-1), 1, 2), parts[:, several]
    )
    parts[:, several] = common
    shares = one_hot(common, rungs).mean(axis=-2)
    open_ = linked[:, several] & allowed[:, several].any(axis=-1)
    chances[:, several] = np.where(open_[..., None], shares, chances[:, several])
    return replace(choice, probabilities=chances, components=parts)


def _keys(situation: Situation, runs: Ints) -> Words:
    """Return what the draw follows from: the decision id, or the lowest among its variants."""
    keys, variants = situation.catalogue.keys, situation.catalogue.variants
    if not variants.alone:
        keys = np.minimum.reduceat(keys[variants.order], variants.starts)[variants.group]
    return decision_keys(keys, np.asarray(situation.period), runs)


def price_at(situation: Situation, index: Ints) -> Ints:
    """Return the price of rung `index`, int64 [B, N]; the price in force where it is -1 (blocked)."""
    price = situation.menu.price_at(np.maximum(index, 0))
    return np.where(index < 0, situation.state.price, price)


def _context_hashes(decisions: Decisions, run: int, series: Ints) -> list[str]:
    s, state, mean = decisions.situation, decisions.situation.state, decisions.situation.beliefs
    times = np.array([s.period, s.periods_left, s.horizon], dtype=np.int64)
    parts = (
        s.menu.price[series],
        *(getattr(s.catalogue, name)[series] for name in s.catalogue.arrays()),
        *(getattr(state, name)[run, series] for name in type(state).__dataclass_fields__),
        *(
            np.moveaxis(np.asarray(getattr(mean, name))[..., series], -1, 0)
            for name in type(mean).__dataclass_fields__
        ),
        *(
            np.broadcast_to(getattr(s.conditions, name), state.price.shape)[run, series]
            for name in type(s.conditions).__dataclass_fields__
        ),
        np.broadcast_to(times, (len(series), len(times))),
        np.stack([s.elasticity_sd[series], s.myopic[series]], axis=-1),
        decisions.admission.rejections[run, series],
        decisions.admission.allowed[run, series],
    )
    rows = [np.ascontiguousarray(part).reshape(len(series), -1).view(np.uint8) for part in parts]
    return [hashlib.sha256(row.tobytes()).hexdigest() for row in np.concatenate(rows, axis=-1)]
