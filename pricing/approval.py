"""Approval: what becomes of a recommended price before it may be published.

A recommendation is a proposal. A small, well-founded move may be approved by the corridor that the shop set
itself; every other one waits for a person, who approves, rejects or overrides it. An override is a fact, not
an error: it is recorded with the rules that it breaks, and a hard rule must be named to be broken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction

from pricing.errors import RefusedError, SettingsError, UsageError
from pricing.evidence import Identification
from pricing.guardrails import Rule
from pricing.standing import Verdict

__all__ = [
    "Action",
    "ApprovalSettings",
    "Proposal",
    "Review",
    "ReviewState",
    "Reviewed",
    "after",
    "opening",
    "require_rules",
]

_FINEST = 10**6


class Action(Enum):
    """What a reviewer does with a proposal."""

    APPROVE = "approve"
    REJECT = "reject"
    OVERRIDE = "override"
    WITHDRAW = "withdraw"


class ReviewState(Enum):
    """Where a proposal stands."""

    UNCHANGED = "unchanged"
    BLOCKED = "blocked"
    PENDING = "pending"
    AWAITING_SECOND = "awaiting_second"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """What needs a person, and how many.

    Attributes
    ----------
    automatic_change
        Largest relative move that needs nobody; 0: every move needs a person.
    automatic_loss_risk
        Largest probability of losing money by such a move.
    four_eyes
        A move that needs a person needs two.
    """

    automatic_change: float = 0.0
    automatic_loss_risk: float = 0.05
    four_eyes: bool = False

    def __post_init__(self) -> None:
        for name in ("automatic_change", "automatic_loss_risk"):
            value = float(getattr(self, name))
            if not 0.0 <= value <= 1.0:
                raise SettingsError(f"approvals.{name} = {value} is outside 0 to 1.")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is up for review. Prices are regular shelf prices in minor units.

    Attributes
    ----------
    current_price, price
        In force and recommended; None where no price is allowed.
    probability_of_loss
        Posterior probability that the move loses money.
    identified_by
        How the response to the price is known.
    verdict
        Of the model's passport; None where there is none.
    driven_by_limits
        The joint decision was driven by limits, not by data.
    """

    current_price: int
    price: int | None
    probability_of_loss: float
    identified_by: Identification
    verdict: Verdict | None
    driven_by_limits: bool


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody did with a proposal.

    Attributes
    ----------
    action, actor
        What, and who: the name of an access key.
    reason
        In the reviewer's words; a rejection and an override need one.
    price
        Regular shelf price of an override, minor units; None for every other action.
    starts_at
        ISO 8601 moment before which the price is not published; None: as soon as its period begins.
    accepted_rules
        Hard rules that an override breaks knowingly.
    """

    action: Action
    actor: str
    reason: str = ""
    price: int | None = None
    starts_at: str | None = None
    accepted_rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if (self.price is None) == (self.action is Action.OVERRIDE):
            raise UsageError(
                "price: an override names a price, and nothing else does.", todo="Name it, or leave it out."
            )
        if self.price is not None and self.price <= 0:
            raise UsageError(f"price: {self.price} is no price.", todo="Give minor units above 0.")
        if self.action in (Action.REJECT, Action.OVERRIDE) and not self.reason.strip():
            raise UsageError(
                f"reason: to {self.action.value} needs a reason.",
                why="Whoever looks at it later, and the next recommendation, must be able to tell why.",
                todo="Say it in a few words.",
            )


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Where a proposal stands.

    Attributes
    ----------
    state
        See :class:`ReviewState`.
    price
        What may be published, once it is approved; None where nothing may.
    starts_at
        Not before this moment; None: as soon as its period begins.
    by
        Who approved it first; "corridor" where nobody had to.
    overridden
        `price` is a person's, not the recommendation.
    """

    state: ReviewState
    price: int | None = None
    starts_at: str | None = None
    by: str = ""
    overridden: bool = False


_CORRIDOR = "corridor"


def opening(proposal: Proposal, settings: ApprovalSettings) -> Reviewed:
    """Return where a proposal stands before anybody has looked at it.

    The corridor approves a move only where the model was found fit, its effect is identified by the product's
    own prices, and data, not limits, drive the run.
    """
    price, current = proposal.price, proposal.current_price
    if price is None:
        return Reviewed(ReviewState.BLOCKED)
    if price == current:
        return Reviewed(ReviewState.UNCHANGED)
    share = Fraction(str(settings.automatic_change)).limit_denominator(_FINEST)
    small = abs(price - current) * share.denominator <= current * share.numerator
    founded = (
        proposal.verdict is Verdict.PASSED
        and proposal.identified_by <= Identification.PROMO_CONTROLLED
        and not proposal.driven_by_limits
        and proposal.probability_of_loss <= settings.automatic_loss_risk
    )
    if small and founded:
        return Reviewed(ReviewState.APPROVED, price, by=_CORRIDOR)
    return Reviewed(ReviewState.PENDING)


def after(now: Reviewed, review: Review, proposal: Proposal, settings: ApprovalSettings) -> Reviewed:
    """Return where a proposal stands after a review.

    Raises
    ------
    RefusedError
        If that cannot be done from where it stands, or it takes a second pair of eyes.
    """
    if review.action is Action.WITHDRAW:
        if now.state not in (ReviewState.APPROVED, ReviewState.REJECTED, ReviewState.AWAITING_SECOND):
            raise _impossible(now, review)
        kept = proposal.price is None or proposal.price == proposal.current_price
        return opening(proposal, settings) if kept else Reviewed(ReviewState.PENDING)
    if review.action is Action.OVERRIDE:
        price = review.price
        if now.state is ReviewState.REJECTED:
            raise _impossible(now, review)
        return _first(price, review, settings, overridden=True)
    if review.action is Action.REJECT:
        if now.state not in (ReviewState.PENDING, ReviewState.AWAITING_SECOND, ReviewState.APPROVED):
            raise _impossible(now, review)
        return Reviewed(ReviewState.REJECTED, by=review.actor)
    if now.state is ReviewState.AWAITING_SECOND:
        return _second(now, review)
    if now.state is not ReviewState.PENDING:
        raise _impossible(now, review)
    return _first(proposal.price, review, settings, overridden=now.overridden)


def require_rules(broken: tuple[Rule, ...], review: Review) -> None:
    """Refuse an override that breaks a hard rule which it does not name.

    Parameters
    ----------
    broken
        Rules that the price of the override breaks.
    review
        The override.
    """
    unnamed = [rule.label for rule in broken if rule.hard and rule not in review.accepted_rules]
    if unnamed:
        raise RefusedError(
            f"price: {review.price} breaks {', '.join(unnamed)}.",
            why="These rules keep the law, or keep the shop from losing money.",
            todo="Choose another price, or name each of them in accepted_rules; that is recorded.",
        )


def _first(price: int | None, review: Review, settings: ApprovalSettings, *, overridden: bool) -> Reviewed:
    state = ReviewState.AWAITING_SECOND if settings.four_eyes else ReviewState.APPROVED
    return Reviewed(state, price, review.starts_at, review.actor, overridden)


def _second(now: Reviewed, review: Review) -> Reviewed:
    if now.by == review.actor:
        raise RefusedError(
            f"{review.actor} approved this already; it takes a second pair of eyes.",
            todo="Let somebody else with a manager's key approve it.",
        )
    return replace(now, state=ReviewState.APPROVED, starts_at=review.starts_at or now.starts_at)


def _impossible(now: Reviewed, review: Review) -> RefusedError:
    return RefusedError(
        f"To {review.action.value} is not possible: it is {now.state.value}.",
        todo="Withdraw first what was decided." if now.state is ReviewState.REJECTED else "",
    )
