"""From a request to recorded decisions.

A run decides its whole catalogue jointly, because some rules are about all of it (how large a share may
move). So each policy decides once for the run's one coming period, in memory, whatever was asked for. Every
request is answered from that joint decision, and the decisions that it names are recorded, durably and in one
transaction with the request's idempotency key, before the answer leaves. Identifiers follow from what was
decided on: asking again gives the same decisions and records nothing twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from api.store import Entry, Filter, Request, Run, Store, Stored, Writing
from policies.serve.journey import Recommended, recommend
from policies.serve.shelf import Shelf
from pricing.errors import RefusedError, UnknownProduct, UsageError
from pricing.policy import Policy
from pricing.recommendation import Curve

__all__ = ["Answer", "Ask", "Desk", "Page", "plain"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for.

    Attributes
    ----------
    price_groups
        Which ones; None means all of them.
    zone, as_of, policy
        A zone, the day on which things must be known, the policy; None where any, or the run's own, will do.
    limit
        Most recommendations in the answer if all are asked for.
    """

    price_groups: tuple[str, ...] | None
    zone: str | None
    as_of: str | None
    policy: str | None
    limit: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the request."""
        body = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Page:
    """Recorded decisions, and the cursor of what follows (None at the end)."""

    rows: tuple[Stored, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with.

    Attributes
    ----------
    run
        The joint decision.
    page
        The recommendations.
    replayed
        The same request was answered before under the same key.
    """

    run: Run
    page: Page
    replayed: bool


class Desk:
    """Where a run is served: its shelf, the policies that may decide for it, and the store.

    Parameters
    ----------
    shelf
        What the run knows.
    policies
        By name.
    default
        Name of the policy that decides where none is asked for.
    store
        Where decisions are recorded.
    """

    def __init__(self, shelf: Shelf, policies: Mapping[str, Policy], default: str, store: Store) -> None:
        self.shelf = shelf
        self.policies = policies
        self.default = default
        self.store = store
        self._joint: dict[str, Recommended] = {}
        self._deciding = {name: threading.Lock() for name in policies}
        self._places = _places(shelf)

    def joint(self, policy: str | None = None) -> Recommended:
        """Return the joint decision of a policy, made at most once.

        What is decided is returned at once, even while another policy decides for the first time.
        """
        name = self.default if policy is None else policy
        if name not in self.policies:
            raise UsageError(
                f"policy: this service has no policy {name!r}.",
                todo=f"Choose one of {', '.join(sorted(self.policies))}.",
            )
        if name not in self._joint:
            with self._deciding[name]:
                if name not in self._joint:
                    self._joint[name] = recommend(self.shelf, self.policies[name])
        return self._joint[name]

    def answer(self, ask: Ask, key: str | None = None) -> Answer:
        """Decide, record, and only then answer.

        Raises
        ------
        UnknownProduct
            If a price group or zone is not in the run.
        UsageError
            If the policy is unknown, or the key came with another request before.
        RefusedError
            If the shop is asked for as of another day than the run knows it.
        """
        if ask.as_of is not None and ask.as_of != self.shelf.catalogue.as_of:
            raise RefusedError(
                f"as_of: this run knows the shop as of {self.shelf.catalogue.as_of}, not {ask.as_of}.",
                why="What became known later must not enter, and what has changed since is not known.",
                todo="Fit a run until that day and serve it.",
            )
        made = self.joint(ask.policy)
        rows = _rows(self._places, ask)
        run = _run(made)
        ids = [made.ids[row] for row in rows]
        known = self.store.known(ids)  # only what is new is written out; recording looks again
        entries = [_entry(made, row) for row, name in zip(rows, ids, strict=True) if name not in known]
        with self.store.writing() as transaction:
            before = None if key is None else _seen(transaction, key, ask)
            if before is not None:
                return _replay(transaction, run, before)
            transaction.record(run, entries)
            page = _first_page(transaction, run, ids, ask)
            if key is not None:
                answer = {"ids": [row.decision_id for row in page.rows], "cursor": page.cursor}
                transaction.remember(Request(key, ask.fingerprint, answer))
        return Answer(run, page, replayed=False)

    def find(self, decision_id: str) -> tuple[Stored, Run | None]:
        """Return a recorded decision and its run; raises :class:`UnknownProduct` where there is none."""
        found = self.store.read([decision_id])
        if not found:
            raise UnknownProduct(
                f"decision_id: no decision {decision_id} is recorded here.",
                todo="Ask for a recommendation first; its answer names its decision.",
            )
        return found[0], self.store.run(found[0].run)

    def curve(self, stored: Stored) -> Curve | None:
        """Return the demand curve behind a decision; None if another run made it than is served now."""
        name = str(stored.content["decision"]["policy"])
        if name not in self.policies:
            return None
        made = self.joint(name)
        if stored.decision_id not in made.ids:
            return None
        return made.curve(made.ids.index(stored.decision_id))

    def page(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """Return recorded decisions in the order in which they were recorded."""
        return _paged(self.store.page(wanted, _place(cursor), limit + 1), limit)


def plain(value: Any) -> Any:
    """Return a dataclass, and what it holds, as JSON-able values; codes as their labels, NaN as null."""
    if isinstance(value, Enum):
        label = getattr(value, "label", None)
        return value.value if label is None else label
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if hasattr(value, "__dataclass_fields__"):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    return list(map(plain, value)) if type(value) in (tuple, list) else value


def _places(shelf: Shelf) -> dict[str | None, dict[str, list[int]]]:
    """Return the series of every price group, by zone; under None those of all zones."""
    places: dict[str | None, dict[str, list[int]]] = {None: {}}
    series = shelf.catalogue.series
    for i, (group, zone) in enumerate(zip(series.group, series.zone, strict=True)):
        for where in (None, zone):
            places.setdefault(where, {}).setdefault(group, []).append(i)
    return places


def _rows(by_zone: Mapping[str | None, Mapping[str, list[int]]], ask: Ask) -> list[int]:
    """Return the series that are asked for, in the order asked."""
    if ask.zone not in by_zone:
        raise UnknownProduct(f"zone: this run knows no zone {ask.zone!r}.")
    places = by_zone[ask.zone]
    wanted = tuple(places) if ask.price_groups is None else tuple(dict.fromkeys(ask.price_groups))
    unknown = [group for group in wanted if group not in places]
    if unknown:
        where = "this run" if ask.zone is None else f"zone {ask.zone!r}"
        raise UnknownProduct(
            f"price_groups: {', '.join(unknown[:10])} not known in {where} ({len(unknown)} in all).",
            why="A price for a product without history would be invented.",
            todo="Correct the names, or fit a run on data that hold their sales.",
        )
    return [i for group in wanted for i in places[group]]


def _run(made: Recommended) -> Run:
    prices = hashlib.sha256(made.decisions.price[0].tobytes() + made.decisions.index[0].tobytes()).hexdigest()
    content: dict[str, object] = {
        **made.provenance,
        "at_bound_share": made.at_bound_share,
        "driven_by_limits": made.driven_by_limits,
        "series": len(made),
        "moved": made.moved,
        "prices_digest": prices,
        "shadow_price": float(made.decisions.admission.shadow_price[0]),
    }
    return Run(made.passport[:8], made.passport, content)


def _entry(made: Recommended, series: int) -> Entry:
    row, record = made.row(series), made.decisions.record(0, series)
    content = {
        "recommendation": plain(row),
        "decision": plain(record),
        "currency": made.shelf.catalogue.currency,
    }
    return Entry(row.decision_id, row.price_group, row.zone, content)


def _seen(transaction: Writing, key: str, ask: Ask) -> Request | None:
    before = transaction.request(key)
    if before is not None and before.fingerprint != ask.fingerprint:
        raise UsageError(
            "Idempotency-Key: this key came with another request before.",
            why="One key stands for one request.",
            todo="Send a new key with a new request.",
        )
    return before


def _replay(transaction: Writing, run: Run, before: Request) -> Answer:
    rows = transaction.read(before.answer["ids"])
    made_by = run if not rows else transaction.run(rows[0].run) or run
    return Answer(made_by, Page(rows, before.answer["cursor"]), replayed=True)


def _first_page(transaction: Writing, run: Run, ids: Sequence[str], ask: Ask) -> Page:
    if ask.price_groups is not None:
        return Page(transaction.read(ids), None)
    wanted = Filter(zone=ask.zone, run=run.number)
    return _paged(transaction.page(wanted, 0, ask.limit + 1), ask.limit)


def _paged(rows: tuple[Stored, ...], limit: int) -> Page:
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1].seq
    return Page(rows[:limit], base64.urlsafe_b64encode(f"after:{last}".encode()).decode().rstrip("="))


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        word, _, seq = text.partition(":")
        if word == "after" and seq.isascii() and seq.isdigit() and len(seq) < 19:
            return int(seq)
    except (binascii.Error, ValueError):
        pass
    raise UsageError("cursor: this is no cursor of this list.", todo="Pass on `next` as it was answered.")
