"""Reviews on disk: what a round put up, what people did with it, and where each proposal stands.

Reviews are a chain of their own, append-only. Where a proposal stands follows from them; the table of
proposals keeps it, changed in the same transaction, so that a list of ten thousand needs no history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, insert, or_, select, update

from api.storage.chain import Chain, canonical, link
from api.storage.database import Transaction
from api.storage.tables import PROPOSALS, REVIEW_CHAIN, REVIEWS, ROUNDS, in_parts
from pricing.approval import Action, ApprovalSettings, Proposal, Review, Reviewed, ReviewState
from pricing.evidence import Identification
from pricing.guardrails import Rule
from pricing.standing import Verdict

__all__ = [
    "CHOICES",
    "SORTS",
    "Outline",
    "ProposalRow",
    "ReviewRow",
    "Round",
    "Wanted",
    "append",
    "current_round",
    "every",
    "history",
    "open_round",
    "outlines",
    "page",
    "proposal",
    "proposed",
    "some",
    "standing",
    "verify",
]

_AT_ONCE = 500
_STATES = {state.value: state for state in ReviewState}
_MOVING = ("state", "price", "starts_at", "approved_by", "overridden", "review")
"""What a review changes of a proposal."""

SORTS = ("price_group", "name", "change", "profit_change", "probability_of_loss", "current_price")
"""What a list may be sorted by."""

CHOICES = ("zone", "category", "identified_by", "binding_guardrail")
"""What a list may be filtered by."""


_IDENTIFICATION = {kind.label: kind for kind in Identification}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}

_STANDS = (
    update(PROPOSALS)
    .where(PROPOSALS.c.round == bindparam("of_round"), PROPOSALS.c.decision_id == bindparam("of_decision"))
    .values({name: bindparam(f"new_{name}") for name in _MOVING})
)


@dataclass(frozen=True, slots=True)
class Round:
    """One joint decision put up for review. The round with the highest number is the one that counts."""

    number: int
    run: str
    settings: ApprovalSettings
    facts: Mapping[str, Any]
    offered_by: str
    offered_at: str


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """One proposal, and where it stands. Money is in minor units.

    Attributes
    ----------
    round, decision_id, price_group, zone, category, name
        Which decision of which round, about what; `name` is for people, empty where nobody gave one.
    current_price, recommended_price
        In force and recommended; None where no price is allowed.
    change
        Recommended over current price, less 1.
    profit_change, profit_change_lower, profit_change_upper, probability_of_loss
        As recommended, see :class:`policies.serve.journey.Recommendation`.
    identified_by, binding_guardrail
        Codes.
    digest
        Hash of the decision's row, which covers what it was decided on, by which policy, under which rules.
    state, price, starts_at, approved_by, overridden
        See :class:`pricing.approval.Reviewed`.
    review
        Place of the latest review in its chain; 0 where there is none.
    """

    round: int
    decision_id: str
    price_group: str
    zone: str
    category: str
    name: str
    current_price: int
    recommended_price: int | None
    change: float
    profit_change: int
    profit_change_lower: int
    profit_change_upper: int
    probability_of_loss: float
    identified_by: str
    binding_guardrail: str | None
    digest: str
    state: str
    price: int | None
    starts_at: str | None
    approved_by: str
    overridden: bool
    review: int

    @property
    def reviewed(self) -> Reviewed:
        """Where it stands."""
        return Reviewed(_STATES[self.state], self.price, self.starts_at, self.approved_by, self.overridden)

    @property
    def etag(self) -> str:
        """What changes whenever the decision or its review does: what a reviewer must have seen."""
        return link(self.digest, str(self.review))[:32]


class Outline(NamedTuple):
    """What a review of many looks at of each proposal (see :class:`ProposalRow`): thousands are read.

    `recommended` and `approved` say on which side of the price in force a price lies (1, 0, -1), None where
    there is none. From `state` on stands all that decides what can be done with it.
    """

    decision_id: str
    price_group: str
    review: int
    change: float
    profit_change: int
    state: str
    approved_by: str
    overridden: bool
    recommended: int | None
    approved: int | None

    @property
    def kind(self) -> tuple[object, ...]:
        """What is the same for all proposals with which the same can be done."""
        return self[5:]


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One review as it was recorded, with the price it left for publishing."""

    seq: int
    round: int
    decision_id: str
    review: Review
    state: ReviewState
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which proposals; an absent condition filters nothing.

    Attributes
    ----------
    states, zone, category, identified_by, binding_guardrail
        Codes and names.
    search
        Part of a price group or of its name, whatever its case.
    decision_ids
        Exactly these.
    """

    states: tuple[str, ...] = ()
    zone: str | None = None
    category: str | None = None
    identified_by: str | None = None
    binding_guardrail: str | None = None
    search: str | None = None
    decision_ids: tuple[str, ...] | None = None


_COLUMNS = tuple(PROPOSALS.c[entry.name] for entry in fields(ProposalRow))


def current_round(connection: Connection) -> Round | None:
    """Return the round that counts, None before the first."""
    newest = select(ROUNDS).order_by(ROUNDS.c.number.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    if row is None:
        return None
    content = json.loads(row["content"])
    settings = ApprovalSettings(**content.pop("settings"))
    return Round(row["number"], row["run"], settings, content, row["offered_by"], row["offered_at"])


def open_round(
    transaction: Transaction,
    run: str,
    rows: Sequence[ProposalRow],
    *,
    settings: ApprovalSettings,
    facts: Mapping[str, Any],
    by: str,
) -> int:
    """Record a new round with its proposals; return its number, which the rows carry from now on."""
    last = current_round(transaction.connection)
    number = 1 if last is None else last.number + 1
    content = canonical({**facts, "settings": asdict(settings)})
    transaction.connection.execute(
        insert(ROUNDS).values(
            number=number, run=run, content=content, offered_by=by, offered_at=transaction.at
        )
    )
    names = [column.name for column in _COLUMNS]
    values = [{name: getattr(row, name) for name in names} | {"round": number} for row in rows]
    if values:
        transaction.connection.execute(insert(PROPOSALS), values)
    return number


def proposed(row: ProposalRow, facts: Mapping[str, Any]) -> Proposal:
    """Return what a row proposes, given what is said of its whole round (:attr:`Round.facts`)."""
    return Proposal(
        row.current_price,
        row.recommended_price,
        row.probability_of_loss,
        _IDENTIFICATION[row.identified_by],
        _VERDICTS.get(facts["verdict"]),
        bool(facts["driven_by_limits"]),
    )


def append(
    transaction: Transaction, found: Sequence[tuple[ProposalRow, Review, Reviewed]]
) -> tuple[ProposalRow, ...]:
    """Record reviews, each with where its proposal stands after it; return the proposals as they are now."""
    chain = Chain(transaction.connection, REVIEW_CHAIN)
    seq, previous = chain.held()
    reviews: list[dict[str, object]] = []
    after: list[ProposalRow] = []
    for row, review, stands in found:
        seq, before = seq + 1, previous
        content = canonical({**_written(review), "state": stands.state.value})
        previous = link(before, str(row.round), row.decision_id, transaction.at, content)
        reviews.append(
            {
                "seq": seq,
                "round": row.round,
                "decision_id": row.decision_id,
                "content": content,
                "recorded_at": transaction.at,
                "previous": before,
                "hash": previous,
            }
        )
        after.append(
            replace(
                row,
                state=stands.state.value,
                price=stands.price,
                starts_at=stands.starts_at,
                approved_by=stands.by,
                overridden=stands.overridden,
                review=seq,
            )
        )
    if reviews:
        transaction.connection.execute(insert(REVIEWS), reviews)
        moved = [
            {"of_round": row.round, "of_decision": row.decision_id}
            | {f"new_{name}": getattr(row, name) for name in _MOVING}
            for row in after
        ]
        transaction.connection.execute(_STANDS, moved)
        chain.extend(seq, previous)
    return tuple(after)


def proposal(connection: Connection, decision_id: str) -> ProposalRow | None:
    """Return a proposal as the newest round that holds it has it."""
    query = select(*_COLUMNS).where(PROPOSALS.c.decision_id == decision_id)
    row = connection.execute(query.order_by(PROPOSALS.c.round.desc()).limit(1)).first()
    return None if row is None else ProposalRow(*row)


def history(connection: Connection, decision_id: str) -> tuple[ReviewRow, ...]:
    """Return the reviews of a decision, the oldest first."""
    query = select(REVIEWS).where(REVIEWS.c.decision_id == decision_id).order_by(REVIEWS.c.seq)
    return tuple(_review(row) for row in connection.execute(query).mappings())


def standing(connection: Connection, number: int) -> dict[str, tuple[int, int]]:
    """Return how many proposals of a round stand where, and their profit changes together, minor units."""
    state, profit = PROPOSALS.c.state, PROPOSALS.c.profit_change
    query = select(state, func.count(), func.sum(profit)).where(PROPOSALS.c.round == number).group_by(state)
    return {str(name): (int(found), int(worth)) for name, found, worth in connection.execute(query)}


def page(
    connection: Connection, number: int, wanted: Wanted, *, sort: str, falling: bool, start: int, limit: int
) -> tuple[tuple[ProposalRow, ...], int]:
    """Return `limit` proposals of a round from place `start` in a sorted list, and how many there are.

    `sort` is one of :data:`SORTS`; those that are equal in it follow by price group and zone.
    """
    chosen = _filtered(select(*_COLUMNS), number, wanted)
    column = PROPOSALS.c[sort]
    ordered = chosen.order_by(
        column.desc() if falling else column.asc(), PROPOSALS.c.price_group, PROPOSALS.c.zone
    )
    rows = connection.execute(ordered.offset(start).limit(limit))
    whole = connection.execute(_filtered(select(func.count()), number, wanted)).scalar_one()
    return tuple(ProposalRow(*row) for row in rows), int(whole)


def every(connection: Connection, number: int, wanted: Wanted) -> tuple[ProposalRow, ...]:
    """Return all proposals of a round that are wanted, by price group and zone."""
    chosen = _filtered(select(*_COLUMNS), number, wanted)
    ordered = chosen.order_by(PROPOSALS.c.price_group, PROPOSALS.c.zone)
    return tuple(ProposalRow(*row) for row in connection.execute(ordered).all())


def some(connection: Connection, number: int, decision_ids: Sequence[str]) -> dict[str, ProposalRow]:
    """Return a few proposals of a round by decision: sorted, they would be looked for one after another."""
    chosen = _filtered(select(*_COLUMNS), number, Wanted(decision_ids=tuple(decision_ids)))
    return {row.decision_id: row for row in (ProposalRow(*found) for found in connection.execute(chosen))}


def outlines(connection: Connection, number: int, wanted: Wanted) -> list[Outline]:
    """Return the same proposals in the same order, as far as a review of many looks at them."""
    table = PROPOSALS.c
    sides = (_side(table.recommended_price), _side(table.price))
    columns = (table[name] for name in Outline._fields[:-2])
    chosen = _filtered(select(*columns, *sides), number, wanted)
    ordered = chosen.order_by(PROPOSALS.c.price_group, PROPOSALS.c.zone)
    return [Outline._make(row) for row in connection.execute(ordered).all()]


def verify(connection: Connection) -> int:
    """Return the length of the chain of reviews.

    Raises
    ------
    ArtifactError
        Naming the first row that is not what was recorded.
    """
    parts = ("round", "decision_id", "recorded_at", "content")
    return Chain(connection, REVIEW_CHAIN).verify(REVIEWS, "chain of reviews", parts)


def _side(price: ColumnElement[Any]) -> ColumnElement[Any]:
    now = PROPOSALS.c.current_price
    return case((price.is_(None), None), (price > now, 1), (price < now, -1), else_=0)


def _filtered(query: Select[Any], number: int, wanted: Wanted) -> Select[Any]:
    table = PROPOSALS.c
    query = query.where(table.round == number)
    for name in CHOICES:
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(table[name] == value)
    if wanted.states:
        query = query.where(table.state.in_(wanted.states))
    if wanted.search:
        columns = (table.price_group, table.name)
        query = query.where(or_(*(found.icontains(wanted.search, autoescape=True) for found in columns)))
    if wanted.decision_ids is not None:
        parts = [table.decision_id.in_(some) for some in in_parts(wanted.decision_ids)]
        query = query.where(or_(*parts)) if parts else query.where(table.round == -1)
    return query


def _written(review: Review) -> dict[str, Any]:
    found = {entry.name: getattr(review, entry.name) for entry in fields(review)}
    return {
        **found,
        "action": review.action.value,
        "accepted_rules": [rule.label for rule in review.accepted_rules],
    }


def _review(row: Mapping[Any, Any]) -> ReviewRow:
    content = json.loads(row["content"])
    state = ReviewState(content.pop("state"))
    content["action"] = Action(content["action"])
    content["accepted_rules"] = tuple(Rule[name.upper()] for name in content["accepted_rules"])
    return ReviewRow(
        row["seq"], row["round"], row["decision_id"], Review(**content), state, row["recorded_at"]
    )
