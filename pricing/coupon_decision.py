"""Offers through the waist: menu -> guardrails -> features -> policy -> draw -> CouponDecision.

The same journey as a price takes (:mod:`pricing.decision`), with the same choice, draw and last check. Offers
of different customers meet only in budgets, which the ledger keeps and pacing plans; here each row is alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np

from pricing.arrays import Bits, Bools, Floats, Ints, Words
from pricing.coupon_rules import CouponRule, CouponSettings, OfferSituation, admit
from pricing.draw import check_choice, draw_rung, of_rung
from pricing.errors import UsageError
from pricing.guardrails import first_rule
from pricing.policy import Choice
from pricing.randomness import decision_keys, uniforms

__all__ = ["CouponDecision", "CouponDecisions", "OfferPolicy", "allowed_action", "decide_offers"]

SCHEMA = 2
"""Version of the record; 1 did not say what it would have been without a holdout."""


@runtime_checkable
class OfferPolicy(Protocol):
    """Offers from a situation: a pure function, as :class:`pricing.policy.Policy` is for prices."""

    @property
    def name(self) -> str:
        """Short name, as the command line takes it."""
        ...

    @property
    def version(self) -> str:
        """Digest of everything that the choice depends on besides the situation."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the features that it reads."""
        ...

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the choice for a batch; `allowed` is bool [B, N, K], true in column 0."""
        ...


@dataclass(frozen=True, slots=True)
class CouponDecision:
    """One decision as it is recorded. Money is gross, in minor units.

    Attributes
    ----------
    decision_id
        32 hexadecimal digits: key (16), second (8), run (8). The draw follows from it and the seed, or from
        the key and the day where a draw holds for the day.
    at, run
        Second since 1970-01-01 UTC; 32-bit number of the run or request.
    coupon
        The coupon decided; None where it is no coupon.
    discount
        What it takes off, or may take off at most where there was no cart.
    menu, discounts, allowed, rejections
        The K offers (the first is none), what each takes off, which could be chosen, bits of
        :class:`pricing.coupon_rules.CouponRule`.
    binding
        The rule that kept the unconstrained choice from happening, None where none did.
    features
        What was seen of the customer, by :attr:`OfferSituation.feature_names`.
    probabilities, propensity, draw
        Over the menu; of the offer decided; the stored draw used, None where the policy has none. All three
        are given the customer's lots.
    unheld, holdout_share
        Probabilities over the menu had the customer been in no holdout, which do not depend on the lots; the
        chance of each lot. What compares those held out with the others goes by them.
    policy, policy_version, model_fingerprint
        What decided, on what.
    context_hash
        SHA-256 of everything that the policy decided from.
    personalised
        Whether personal data of a customer who agreed were read: the disclosure flag.
    schema
        Version of this record.
    """

    decision_id: str
    at: int
    run: int
    coupon: str | None
    discount: int
    menu: tuple[str, ...]
    discounts: tuple[int, ...]
    allowed: tuple[bool, ...]
    rejections: tuple[int, ...]
    binding: CouponRule | None
    features: tuple[float, ...]
    probabilities: tuple[float, ...]
    propensity: float
    draw: int | None
    unheld: tuple[float, ...]
    holdout_share: float
    policy: str
    policy_version: str
    model_fingerprint: str
    context_hash: str
    personalised: bool
    schema: int = SCHEMA


@dataclass(frozen=True)
class CouponDecisions:
    """B runs over N customers, decided.

    Attributes
    ----------
    situation
        What was known.
    rejections
        uint32 [B, N, K]; rules that each offer breaks.
    probabilities
        float64 [B, N, K].
    index
        int64 [B, N]; offer decided; 0 is no coupon.
    propensity
        float64 [B, N]; probability of the offer decided.
    draw
        int64 [B, N]; stored draw used, -1 where the policy has none.
    unheld
        float64 [B, N, K]; probabilities were nobody held out.
    binding
        int64 [B, N]; rule of highest precedence that the likeliest offer without rules breaks, -1 for none.
    keys
        uint64 [B, N, 4]; decision ids.
    policy, version, fingerprint
        Of the policy and of the model.
    personalised
        bool [N]; see :class:`CouponDecision`.
    """

    situation: OfferSituation
    rejections: Bits
    probabilities: Floats
    index: Ints
    propensity: Floats
    draw: Ints
    unheld: Floats
    binding: Ints
    keys: Words
    policy: str
    version: str
    fingerprint: str
    personalised: Bools

    @property
    def discount(self) -> Ints:
        """int64 [B, N]; what the offers decided take off, minor units."""
        return np.take_along_axis(self.situation.discount, self.index[..., None], axis=-1)[..., 0]

    def record(self, run: int, customer: int) -> CouponDecision:
        """Return the decision of one run (row of the batch) and customer as it is recorded."""
        at, s = (run, customer), self.situation
        words = [int(word) for word in self.keys[at]]
        index, draw, binding = int(self.index[at]), int(self.draw[at]), int(self.binding[at])
        return CouponDecision(
            decision_id="".join(f"{word:08x}" for word in words),
            at=s.at,
            run=words[3],
            coupon=s.menu.ids[index] if index else None,
            discount=int(s.discount[at][index]),
            menu=s.menu.ids,
            discounts=tuple(s.discount[at].tolist()),
            allowed=tuple((self.rejections[at] == 0).tolist()),
            rejections=tuple(self.rejections[at].tolist()),
            binding=None if binding < 0 else CouponRule(binding),
            features=tuple(s.features[at].tolist()),
            probabilities=tuple(self.probabilities[at].tolist()),
            propensity=float(self.propensity[at]),
            draw=None if draw < 0 else draw,
            unheld=tuple(self.unheld[at].tolist()),
            holdout_share=s.holdout_share,
            policy=self.policy,
            policy_version=self.version,
            model_fingerprint=self.fingerprint,
            context_hash=_context_hash(s, self.rejections[at], run, customer),
            personalised=bool(self.personalised[customer]),
        )


def decide_offers(
    situation: OfferSituation,
    settings: CouponSettings,
    policy: OfferPolicy,
    *,
    seed: int,
    runs: Ints,
    fingerprint: str,
    holds: int | None = None,
) -> CouponDecisions:
    """Decide which offer, if any, each customer gets in every run.

    Parameters
    ----------
    situation
        Everything known, batch B.
    settings
        The shop's corridor.
    policy
        What chooses.
    seed
        With a decision's id it gives the draw, whatever the batch.
    runs
        int64 [B]; 32-bit number of each run or request.
    fingerprint
        Digest of the model that the beliefs come from.
    holds
        Seconds for which a customer's draw holds, counted from 1970: who asks again meanwhile draws the same,
        so that asking often brings no coupon. None: every decision draws anew.

    Raises
    ------
    UsageError
        If a second or a run number does not fit the 32 bits that a decision id has for it.
    ArtifactError
        If the policy chooses what is not allowed.
    """
    _check_words(situation, runs)
    rejections = admit(situation, settings)
    allowed = rejections == 0
    choice = policy.choose(situation, allowed)
    keys = decision_keys(situation.keys, np.full(len(runs), situation.at, dtype=np.int64), runs)
    index, draw = draw_rung(choice, uniforms(_drawn_by(keys, holds), seed), allowed.shape[-1])
    probabilities = choice.over(allowed.shape[-1])
    check_choice(probabilities, index, allowed, policy.name)
    unbound = choice if allowed.all() else policy.choose(situation, np.ones_like(allowed))
    wanted = unbound.mode()
    broken = np.take_along_axis(rejections, wanted[..., None], axis=-1)[..., 0]
    read = bool(situation.personal & set(policy.reads))
    return CouponDecisions(
        situation=situation,
        rejections=rejections,
        probabilities=probabilities,
        index=index,
        propensity=of_rung(probabilities, index),
        draw=draw,
        unheld=_unheld(policy, situation, rejections, probabilities),
        binding=first_rule(broken),
        keys=keys,
        policy=policy.name,
        version=policy.version,
        fingerprint=fingerprint,
        personalised=situation.consented & read,
    )


def _drawn_by(keys: Words, holds: int | None) -> Words:
    """Return what draws follow from, uint64 [B, N, 4]: decision ids, or customers and how long it holds."""
    if holds is None:
        return keys
    out = keys.copy()
    out[..., 2] //= np.uint64(holds)
    out[..., 3] = 0
    return out


def _unheld(policy: OfferPolicy, situation: OfferSituation, rejections: Bits, given: Floats) -> Floats:
    """Return probabilities [B, N, K] were nobody held out; `given` where that changes nothing."""
    but_lots = (rejections & ~CouponRule.HOLDOUT.bit) == 0
    if np.array_equal(but_lots, rejections == 0):
        return given
    return policy.choose(situation, but_lots).over(but_lots.shape[-1])


def allowed_action(index: Ints, allowed: Bools) -> Ints:
    """Return the offer asked for where it is allowed and no coupon elsewhere, int64 [B, N].

    The map from an environment's action to an offer; `index` is int64 [B, N] from 0 to K - 1, `allowed` bool
    [B, N, K].
    """
    may = np.take_along_axis(allowed, index[..., None], axis=-1)[..., 0]
    return np.where(may, index, 0)


def _check_words(situation: OfferSituation, runs: Ints) -> None:
    if runs.shape != (situation.shape[0],) or (runs < 0).any() or (runs >= 2**32).any():
        raise UsageError(
            f"Run numbers of shape {runs.shape} do not fit a batch of {situation.shape[0]}.",
            why="Each row of the batch needs a number from 0 to 2**32 - 1, which its decision ids hold.",
        )
    if not 0 <= situation.at < 2**32:
        raise UsageError(f"Second {situation.at} does not fit the 32 bits of a decision id.")
    if len(np.unique(situation.keys)) != len(situation.keys):
        raise UsageError("Two customers of the batch share a key: they would share a decision id and a draw.")


_SHARED = ("menu", "keys", "at", "feature_names", "personal", "consented", "identified", "holdout_share")
_BY_RUN = ("budget_left", "limit_left")


def _context_hash(situation: OfferSituation, rejections: Bits, run: int, customer: int) -> str:
    """Hash what one row was decided from: the menu, the row's own arrays, what the rules left of them."""
    digest = hashlib.sha256()
    s, menu = situation, situation.menu
    for coupon in menu.coupons:
        digest.update(f"{coupon.coupon_id}\x1f{coupon.campaign_id}\x1e".encode())
    parts = [getattr(menu, field.name) for field in fields(menu) if field.name != "coupons"]
    own = [f.name for f in fields(s) if f.name not in {*_SHARED, *_BY_RUN}]
    parts += [np.atleast_1d(getattr(s, name)[run, customer]) for name in own]
    parts += [getattr(s, name)[run] for name in _BY_RUN]
    parts += [s.identified, np.array([s.at]), np.array([s.consented[customer]]), rejections]
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update("\x1f".join(s.feature_names).encode())
    return digest.hexdigest()
