"""Rounds of proposals: put up, reviewed one by one or in bulk, each bound to what the reviewer saw.

A reviewer names the version that he looked at (its etag). It changes with the decision, which covers data,
model, policy and guardrails, and with every review; and a round counts only until the next one, or until the
service decides on something newer. Whoever looked at something older is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from api.approvals.bulk import carried_out, possible, previewed, require_inside
from api.reviewed import Draft, Listed, Preview, Read
from api.storage import publications, reviews
from api.storage.reviews import ProposalRow, Round, Wanted
from api.storage.store import Entry, Store
from policies.serve.asked import PriceAsked
from pricing.approval import (
    Action,
    ApprovalSettings,
    Review,
    after,
    opening,
    require_rules,
)
from pricing.errors import ConditionMissing, StaleError, UnknownProduct, UsageError

__all__ = ["SHOWN", "Approvals", "Decided"]

SHOWN = 200
"""Proposals of each sort that a preview spells out; its sums are over all of them."""


class Decided(Protocol):
    """What approvals need of whoever decides."""

    @property
    def store(self) -> Store:
        """Where decisions and reviews are recorded."""
        ...

    def draft(self, policy: str | None) -> Draft:
        """Return the joint decision of a policy (None: the one that decides by default)."""
        ...

    def number(self, policy: str) -> str | None:
        """Return the number of the run that this policy decided now; None where it decides nothing here."""
        ...

    def asked(self, decision_id: str, policy: str, price: int) -> PriceAsked | None:
        """Judge a person's own price; None where the decision is none of this policy's."""
        ...


@dataclass(frozen=True, slots=True)
class Approvals:
    """The reviewer's side of what is decided.

    Attributes
    ----------
    decided
        Who decides and records.
    settings
        What needs a person, in rounds put up from now on.
    """

    decided: Decided
    settings: ApprovalSettings

    def offer(self, policy: str | None, by: str) -> Round:
        """Put the joint decision of a policy up for review; the same decision is put up once.

        Every decision is recorded. What the corridor approves is approved at once, and earlier rounds no
        longer count.
        """
        draft = self.decided.draft(policy)
        store = self.decided.store
        with store.writing() as transaction:
            open_now = reviews.current_round(transaction.transaction.connection)
            if open_now is not None and open_now.run == draft.run.number:
                return open_now
            digests = {row.decision_id: row.digest for row in transaction.record(draft.run, draft.entries)}
            before = [entry.decision_id for entry in draft.entries if entry.decision_id not in digests]
            digests |= {stored.decision_id: stored.digest for stored in transaction.read(before)}
            facts = _facts(draft)
            rows = [
                _row(entry, category, name, digests[entry.decision_id], facts, self.settings)
                for entry, category, name in zip(draft.entries, draft.categories, draft.names, strict=True)
            ]
            facts["choices"] = {name: _values(rows, name) for name in reviews.CHOICES}
            reviews.open_round(
                transaction.transaction, draft.run.number, rows, settings=self.settings, facts=facts, by=by
            )
        return self.current()

    def current(self) -> Round:
        """Return the round that counts; raises :class:`UnknownProduct` before the first."""
        with self.decided.store.database.reading() as connection:
            found = reviews.current_round(connection)
        if found is None:
            raise UnknownProduct(
                "Nothing has been put up for review yet.", todo="Put a round up: POST /v1/rounds."
            )
        return found

    def listed(self, wanted: Wanted, *, sort: str, falling: bool, start: int, limit: int) -> Listed:
        """Return proposals of the round that counts."""
        if sort not in reviews.SORTS:
            raise UsageError(
                f"sort: nothing is sorted by {sort!r}.", todo=f"Choose one of {', '.join(reviews.SORTS)}."
            )
        now = self.current()
        with self.decided.store.database.reading() as connection:
            rows, whole = reviews.page(
                connection, now.number, wanted, sort=sort, falling=falling, start=start, limit=limit
            )
            stands = reviews.standing(connection, now.number)
        states, worth = ({state: both[i] for state, both in stands.items()} for i in range(2))
        return Listed(now, rows, whole, states, worth)

    def read(self, decision_id: str) -> Read:
        """Return one proposal with its history; raises :class:`UnknownProduct` where there is none."""
        with self.decided.store.database.reading() as connection:
            row = reviews.proposal(connection, decision_id)
            found = reviews.history(connection, decision_id)
            now = reviews.current_round(connection)
        if row is None or now is None:
            raise _unknown(decision_id)
        return Read(row, found, stale=row.round != now.number or self.superseded(now))

    def possible(self, rows: Sequence[ProposalRow], now: Round, actor: str) -> tuple[tuple[Action, ...], ...]:
        """Return what somebody could do with each proposal of a round, as far as where it stands decides."""
        with self.decided.store.database.reading() as connection:
            return possible(connection, rows, now, actor)

    def asked(self, decision_id: str, price: int) -> PriceAsked:
        """Judge a person's own price of a proposal.

        Raises
        ------
        StaleError
            If something newer was decided than what is up for review.
        """
        now = self.current()
        found = self.decided.asked(decision_id, _policy(now), price)
        if found is None:
            raise _stale()
        return found

    def review(self, decision_id: str, review: Review, etag: str | None) -> Read:
        """Do something with one proposal, as it was when `etag` was read.

        Raises
        ------
        ConditionMissing
            If `etag` is None.
        StaleError
            If it has changed since, or something newer was decided.
        RefusedError
            If it cannot be done, see :func:`pricing.approval.after`, or breaks a hard rule unnamed.
        """
        if etag is None:
            raise ConditionMissing(
                "If-Match: it is not said which version of the proposal was looked at.",
                why="A price must not be approved that nobody has seen.",
                todo="Send If-Match with the ETag of the proposal.",
            )
        with self.decided.store.database.writing() as transaction:
            connection = transaction.connection
            row, now = reviews.proposal(connection, decision_id), reviews.current_round(connection)
            if row is None or now is None:
                raise _unknown(decision_id)
            if row.round != now.number or row.etag != etag.strip('"') or self.superseded(now):
                raise _stale()
            out = publications.outside(connection, [decision_id])
            require_inside(review, out=decision_id in out)
            self._require_rules(row, review, now)
            stands = after(row.reviewed, review, reviews.proposed(row, now.facts), now.settings)
            reviews.append(transaction, [(row, review, stands)])
        return self.read(decision_id)

    def preview(self, wanted: Wanted, review: Review, shown: int = SHOWN) -> Preview:
        """Say what a review of many proposals would do, and spell some out; nothing is recorded."""
        now = self._fresh()
        with self.decided.store.database.reading() as connection:
            return previewed(connection, now, wanted, review, shown)

    def carry_out(self, wanted: Wanted, review: Review, etag: str) -> Preview:
        """Do with many proposals what was previewed; all of it or nothing.

        Raises
        ------
        StaleError
            If any of them has changed since the preview.
        """
        now = self._fresh()
        with self.decided.store.database.writing() as transaction:
            connection = transaction.connection
            found = previewed(connection, now, wanted, review, 0)
            newest = reviews.current_round(connection)
            if found.etag != etag.strip('"') or newest is None or newest.number != now.number:
                raise _stale()
            reviews.append(transaction, carried_out(connection, now, wanted, review))
        return found

    def _fresh(self) -> Round:
        now = self.current()
        if self.superseded(now):
            raise _stale()
        return now

    def superseded(self, now: Round) -> bool:
        """Return whether something else is decided here by now than what the round put up."""
        return self.decided.number(_policy(now)) != now.run

    def _require_rules(self, row: ProposalRow, review: Review, now: Round) -> None:
        if review.action is Action.OVERRIDE and review.price is not None:
            asked = self.decided.asked(row.decision_id, _policy(now), review.price)
            if asked is None:
                raise _stale()
            require_rules(asked.broken, review)


def _facts(draft: Draft) -> dict[str, Any]:
    first: Any = draft.entries[0].content["recommendation"] if draft.entries else {}
    return {
        "policy": draft.policy,
        "verdict": first["standing"]["verdict"] if first else None,
        "driven_by_limits": draft.run.content["driven_by_limits"],
        "valid_from": first.get("valid_from"),
        "valid_to": first.get("valid_to"),
        "currency": draft.entries[0].content["currency"] if draft.entries else None,
    }


def _values(rows: Sequence[ProposalRow], name: str) -> list[str]:
    """Return the different values that proposals have of something they can be filtered by, ascending."""
    return sorted({value for row in rows if (value := getattr(row, name)) is not None})


def _row(
    entry: Entry, category: str, name: str, digest: str, facts: dict[str, Any], settings: ApprovalSettings
) -> ProposalRow:
    found: Any = entry.content["recommendation"]
    price = found["recommended_price"]
    row = ProposalRow(
        round=0,
        decision_id=entry.decision_id,
        price_group=entry.price_group,
        zone=entry.zone,
        category=category,
        name=name,
        current_price=found["current_price"],
        recommended_price=price,
        change=0.0 if price is None else price / found["current_price"] - 1.0,
        profit_change=found["profit_change"],
        profit_change_lower=found["profit_change_lower"],
        profit_change_upper=found["profit_change_upper"],
        probability_of_loss=found["probability_of_loss"],
        identified_by=found["identified_by"],
        binding_guardrail=found["binding_guardrail"],
        digest=digest,
        state="",
        price=None,
        starts_at=None,
        approved_by="",
        overridden=False,
        review=0,
    )
    stands = opening(reviews.proposed(row, facts), settings)
    return replace(row, state=stands.state.value, price=stands.price, approved_by=stands.by)


def _policy(now: Round) -> str:
    return str(now.facts["policy"])


def _unknown(decision_id: str) -> UnknownProduct:
    return UnknownProduct(
        f"decision_id: {decision_id} was never put up for review.", todo="Take it from GET /v1/approvals."
    )


def _stale() -> StaleError:
    return StaleError(
        "This proposal has changed since it was looked at.",
        why="It was decided again on newer data or settings, or somebody else reviewed it.",
        todo="Look at it again, and decide on what is there now.",
    )
