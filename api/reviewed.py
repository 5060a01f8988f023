"""What is known of proposals: before they are put up, a page of them, one, and a review of many."""

from __future__ import annotations

from collections import Counter
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
    changes
        Proposals as they are, and where each would stand.
    refused
        Proposals that it cannot be done with, and why.
    etag
        What changes whenever any of them does.
    """

    round: Round
    changes: tuple[tuple[ProposalRow, Reviewed], ...]
    refused: tuple[tuple[ProposalRow, str], ...]
    etag: str

    @property
    def profit_change(self) -> int:
        """Sum of the recommended moves' expected profit changes, minor units."""
        return sum(row.profit_change for row, _ in self.changes)

    @property
    def states(self) -> dict[str, int]:
        """How many would stand where."""
        return dict(Counter(stands.state.value for _, stands in self.changes))
