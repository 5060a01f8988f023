"""Reviews of many: what can be done with each, judged once for all that stand alike.

Of ten thousand proposals a few kinds differ in anything that a review looks at. One of each kind is judged by
the rules that hold for one (:func:`pricing.approval.after`); the others are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from itertools import chain

from sqlalchemy import Connection

from api.reviewed import Preview
from api.storage import publications, reviews
from api.storage.chain import link
from api.storage.reviews import Outline, ProposalRow, Round, Wanted
from pricing.approval import Action, Review, Reviewed, after
from pricing.errors import RefusedError, UsageError

__all__ = ["attempt", "carried_out", "possible", "previewed", "require_inside"]

_TAKING_BACK = (Action.WITHDRAW, Action.REJECT)


@dataclass(frozen=True, slots=True)
class _Alike:
    """Proposals of one kind, where they would stand (or why it cannot be done), and at which side of now."""

    rows: Sequence[Outline]
    stands: Reviewed | str
    side: int | None


def require_inside(review: Review, *, out: bool) -> None:
    """Refuse to take back a price that is out: it would stay out, and nobody would know why.

    Parameters
    ----------
    review
        What somebody wants to do.
    out
        See :func:`api.storage.publications.outside`.
    """
    if out and review.action in _TAKING_BACK:
        raise RefusedError(
            "Its price is published.",
            why="To withdraw its approval would leave it out there.",
            todo="Bring it back with `tarifa cycle HOME --undo`, or override it.",
        )


def attempt(row: ProposalRow, now: Round, review: Review, *, out: bool) -> Reviewed | str:
    """Return where a proposal would stand after a review, or why it cannot be done."""
    try:
        require_inside(review, out=out)
        return after(row.reviewed, review, reviews.proposed(row, now.facts), now.settings)
    except RefusedError as error:
        return error.what


def possible(
    connection: Connection, rows: Sequence[ProposalRow], now: Round, actor: str
) -> tuple[tuple[Action, ...], ...]:
    """Return what somebody could do with each proposal, as far as where it stands decides."""
    out = publications.outside(connection, [row.decision_id for row in rows])
    known: dict[tuple[object, ...], tuple[Action, ...]] = {}
    found: list[tuple[Action, ...]] = []
    for row in rows:
        kind = _kind(row, out)
        if kind not in known:
            inside = row.decision_id in out
            tried = ((action, attempt(row, now, _trial(action, actor), out=inside)) for action in Action)
            known[kind] = tuple(action for action, stands in tried if isinstance(stands, Reviewed))
        found.append(known[kind])
    return tuple(found)


def previewed(connection: Connection, now: Round, wanted: Wanted, review: Review, shown: int) -> Preview:
    """Return what a review of many would do.

    Parameters
    ----------
    connection, now, wanted, review
        To which proposals of which round it would be done.
    shown
        Proposals that are spelled out: so many of the largest moves, and of what cannot be done.

    Raises
    ------
    UsageError
        If it is to give all of them one price.
    """
    if review.action is Action.OVERRIDE:
        raise UsageError("action: many proposals cannot get one price.", todo="Override them one by one.")
    rows = reviews.outlines(connection, now.number, wanted)
    out = _out(connection, rows, review)
    alike = _judged(connection, now, review, rows, out)
    done = [some for some in alike if isinstance(some.stands, Reviewed)]
    kept = [some for some in alike if isinstance(some.stands, str)]
    largest = nlargest(shown, _all(done), key=lambda row: (abs(row.change), row.decision_id))
    first = nsmallest(shown, _all(kept), key=lambda row: (row.price_group, row.decision_id))
    full = reviews.some(connection, now.number, [row.decision_id for row in (*largest, *first)])
    seen = (f"{row.decision_id} {row.review}" for row in rows)

    def tried(some: Sequence[Outline]) -> Iterator[tuple[ProposalRow, Reviewed | str]]:
        for row in some:
            found = full[row.decision_id]
            yield found, attempt(found, now, review, out=row.decision_id in out)

    return Preview(
        round=now,
        count=sum(len(some.rows) for some in done),
        states=_summed((some.stands.state.value, some) for some in done if isinstance(some.stands, Reviewed)),
        profit_change=sum(row.profit_change for row in _all(done)),
        raised=sum(len(some.rows) for some in done if some.side == 1),
        lowered=sum(len(some.rows) for some in done if some.side == -1),
        largest=tuple((row, stands) for row, stands in tried(largest) if isinstance(stands, Reviewed)),
        refused=_summed((some.stands, some) for some in kept if isinstance(some.stands, str)),
        kept=tuple((row, why) for row, why in tried(first) if isinstance(why, str)),
        etag=link(str(now.number), review.action.value, *seen)[:32],
    )


def carried_out(
    connection: Connection, now: Round, wanted: Wanted, review: Review
) -> list[tuple[ProposalRow, Review, Reviewed]]:
    """Return every proposal that the review of many can be done with, and where it stands after it."""
    rows = reviews.every(connection, now.number, wanted)
    out = _out(connection, rows, review)
    tried = ((row, attempt(row, now, review, out=row.decision_id in out)) for row in rows)
    return [(row, review, stands) for row, stands in tried if isinstance(stands, Reviewed)]


def _out(connection: Connection, rows: Sequence[ProposalRow | Outline], review: Review) -> frozenset[str]:
    """Return which of them are out, where that matters."""
    names = [row.decision_id for row in rows] if review.action in _TAKING_BACK else []
    return publications.outside(connection, names)


def _judged(
    connection: Connection, now: Round, review: Review, rows: Sequence[Outline], out: frozenset[str]
) -> list[_Alike]:
    kinds: dict[tuple[object, ...], list[Outline]] = {}
    for row in rows:
        kinds.setdefault((row.decision_id in out, *row.kind), []).append(row)
    first = reviews.some(connection, now.number, [some[0].decision_id for some in kinds.values()])
    alike: list[_Alike] = []
    for some in kinds.values():
        one = first[some[0].decision_id]
        stands = attempt(one, now, review, out=one.decision_id in out)
        price = None if isinstance(stands, str) else stands.price
        alike.append(_Alike(some, stands, _side(price, one.current_price)))
    return alike


def _all(some: Iterable[_Alike]) -> Iterator[Outline]:
    return chain.from_iterable(alike.rows for alike in some)


def _summed(some: Iterable[tuple[str, _Alike]]) -> dict[str, int]:
    """Return how many proposals there are of each code, the most first."""
    found = Counter[str]()
    for code, alike in some:
        found[code] += len(alike.rows)
    return dict(found.most_common())


def _kind(row: ProposalRow, out: frozenset[str]) -> tuple[object, ...]:
    """Return what is the same for all proposals with which the same can be done; see :class:`Outline`."""
    sides = (_side(price, row.current_price) for price in (row.recommended_price, row.price))
    return (row.decision_id in out, row.state, row.approved_by, row.overridden, *sides)


def _side(price: int | None, now: int) -> int | None:
    """Return on which side of the price in force a price lies; None where there is none."""
    return None if price is None else (price > now) - (price < now)


def _trial(action: Action, actor: str) -> Review:
    """Return a review that is complete, to try whether one of its kind can be done."""
    price = 1 if action is Action.OVERRIDE else None
    return Review(action, actor, action.value, price)
