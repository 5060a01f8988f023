"""What is known of proposals: before they are put up, a page of them, one, and a review of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.storage.reviews import ProposalRow, ReviewRow, Round
from api.storage.store import Entry, Run
from pricing.approval import Reviewed

__all__ = ["Draft", "Listed", "Preview", "Read"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A joint decision as it would be recorded.

    Attributes
    ----------
    policy
        Name under which its policy is served.
    run
        The joint decision.
    entries, categories, names
        Its decisions, the category of each, and what people call it (empty where nobody said).
    """

    policy: str
    run: Run
    entries: Sequence[Entry]
    categories: Sequence[str]
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of proposals of the round that counts.

    Attributes
    ----------
    round, rows, whole
        Which round, what stands on the page, how many are wanted in all.
    states, worth
        How many of the round stand where, and their expected profit changes together, minor units.
    """

    round: Round
    rows: tuple[ProposalRow, ...]
    whole: int
    states: dict[str, int]
    worth: dict[str, int]


@dataclass(frozen=True, slots=True)
class Read:
    """One proposal, its reviews (the oldest first), and whether it can still be reviewed."""

    row: ProposalRow
    reviews: tuple[ReviewRow, ...]
    stale: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a review of many proposals would do.

    Attributes
    ----------
    round
        Of which round.
    count, states
        Proposals that it can be done with, and how many of them would stand where.
    profit_change
        Sum of these recommended moves' expected profit changes, minor units.
    raised, lowered
        How many of them would go out above and below the price in force.
    largest
        The largest recommended moves among them, and where each would stand.
    refused
        Why it cannot be done with others, and with how many, the most first.
    kept
        The first of these, and why.
    etag
        What changes whenever any of them does.
    """

    round: Round
    count: int
    states: dict[str, int]
    profit_change: int
    raised: int
    lowered: int
    largest: tuple[tuple[ProposalRow, Reviewed], ...]
    refused: dict[str, int]
    kept: tuple[tuple[ProposalRow, str], ...]
    etag: str
