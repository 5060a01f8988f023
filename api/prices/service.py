"""From a request to recorded decisions.

A run decides its whole catalogue jointly, because some rules are about all of it (how large a share may
move). So each policy decides once for the run's one coming period, in memory, whatever was asked for. Every
request is answered from that joint decision, and the decisions in its answer are recorded, durably and in one
transaction with the request's idempotency key, before the answer leaves. Identifiers follow from what was
decided on: asking again gives the same decisions and records nothing twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from itertools import chain
from typing import Any, cast

from api.reviewed import Draft
from api.storage.store import Entry, Filter, Request, Run, Store, Stored
from policies.serve.asked import PriceAsked
from policies.serve.journey import Recommendation, Recommended, recommend, recommend_each
from policies.serve.past import Past
from policies.serve.shelf import Shelf
from pricing.errors import ArtifactError, RefusedError, UnknownProduct, UsageError
from pricing.policy import Policy
from pricing.recommendation import Curve
from pricing.standing import Standing

__all__ = ["Answer", "Ask", "Desk", "Page", "Served", "plain"]

_LISTED = "after"
"""What cursors of the list of recorded decisions begin with; those of a run begin with its number."""

_PLAIN = frozenset({int, str, bool, type(None)})
"""What JSON takes as it is."""

_UNDER = ("standing", "trained_under")
_ROW = tuple(entry.name for entry in fields(Recommendation) if entry.name not in _UNDER)
_MOST_NAMES = 10
"""Names that a problem spells out."""


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
    cursor
        Where all are asked for: what the answer before said follows next; None at the beginning.
    """

    price_groups: tuple[str, ...] | None
    zone: str | None
    as_of: str | None
    policy: str | None
    limit: int
    cursor: str | None = None

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


@dataclass(frozen=True, slots=True)
class Served:
    """A policy that is served.

    Attributes
    ----------
    name, kind, version
        As requests name it; what kind of policy it is, ``"other"`` if none of Tarifa's own; the digest of its
        artifact.
    default
        It decides where none is asked for.
    made
        Its joint decision.
    run
        The same as it is recorded.
    """

    name: str
    kind: str
    version: str
    default: bool
    made: Recommended
    run: Run


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
    trained
        Standing of the model that a policy was trained on, by name; policies made on this run are not there.
    past
        What the run remembers for people; None where nothing.
    """

    def __init__(
        self,
        shelf: Shelf,
        policies: Mapping[str, Policy],
        default: str,
        store: Store,
        trained: Mapping[str, Standing] | None = None,
        past: Past | None = None,
    ) -> None:
        self.shelf = shelf
        self.past = past or Past.of(shelf.catalogue)
        self.trained: Mapping[str, Standing] = trained or {}
        self.policies = policies
        self.default = default
        self.store = store
        self._served: dict[str, Served] = {}
        self._deciding = {name: threading.Lock() for name in policies}
        self._places = _places(shelf)
        self._all = {
            zone: sorted(chain.from_iterable(found.values())) for zone, found in self._places.items()
        }
        self._zones = tuple(sorted(set(shelf.catalogue.series.zone)))

    def decide_all(self) -> None:
        """Decide for every policy; from then on each request is answered from memory, whatever it names."""
        under = [self.trained.get(name) for name in self.policies]
        made = recommend_each(self.shelf, tuple(self.policies.values()), trained_under=under)
        for name, decided in zip(self.policies, made, strict=True):
            self._served[name] = self._serve(name, decided)

    def served(self) -> tuple[Served, ...]:
        """Return what is served, in the order in which it was named."""
        return tuple(self._of(name) for name in self.policies)

    def joint(self, policy: str | None = None) -> Recommended:
        """Return the joint decision of a policy, made at most once.

        What is decided is returned at once, even while another policy decides for the first time.
        """
        return self._of(policy).made

    def answer(self, ask: Ask, key: str | None = None) -> Answer:
        """Decide, record, and only then answer.

        Raises
        ------
        UnknownProduct
            If a price group or zone is not in the run.
        UsageError
            If the policy or cursor is unknown, or the key came with another request before.
        RefusedError
            If the shop is asked for as of another day than the run knows it.
        """
        before = None if key is None else self.store.request(key)
        if before is not None:
            return self._replay(before, ask)
        served = self._of(ask.policy)
        rows, cursor = self._chosen(ask, served.run)
        ids = [served.made.ids[row] for row in rows]
        known = self.store.known(ids)  # only what is new is written out; recording looks again
        new = [row for row, name in zip(rows, ids, strict=True) if name not in known]
        if key is None and not new:
            return Answer(served.run, Page(self.store.read(ids), cursor), replayed=False)
        entries = _entries(served.made, new)
        with self.store.writing() as transaction:
            before = None if key is None else transaction.request(key)
            if before is None:
                written = {row.decision_id: row for row in transaction.record(served.run, entries)}
                others = transaction.read([name for name in ids if name not in written])
                found = written | {row.decision_id: row for row in others}
                page = Page(tuple(found[name] for name in ids), cursor)
                if key is not None:
                    told = {"ids": ids, "cursor": cursor, "meant": self._meant(ask).fingerprint}
                    transaction.remember(Request(key, ask.fingerprint, told))
                return Answer(served.run, page, replayed=False)
        return self._replay(before, ask)

    def number(self, policy: str) -> str | None:
        """Return the number of the run that this policy decided here; None where it is not served."""
        return self._of(policy).run.number if policy in self.policies else None

    def draft(self, policy: str | None = None) -> Draft:
        """Return a policy's whole joint decision as it would be recorded, whether it is yet or not."""
        served = self._of(policy)
        entries = _entries(served.made, range(len(served.made)))
        return Draft(served.name, served.run, entries, self.shelf.catalogue.series.category, self.past.names)

    def asked(self, decision_id: str, policy: str, price: int) -> PriceAsked | None:
        """Judge a person's own price; None where the decision is none of this policy's here."""
        if policy not in self.policies:
            return None
        made = self.joint(policy)
        place = made.place.get(decision_id)
        return None if place is None else made.asked(place, price)

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
        place = made.place.get(stored.decision_id)
        return None if place is None else made.curve(place)

    def page(self, wanted: Filter, cursor: str | None, limit: int) -> Page:
        """Return recorded decisions in the order in which they were recorded.

        Raises
        ------
        UnknownProduct
            If the run, zone or price group that is wanted is neither served nor recorded.
        UsageError
            If the cursor is none of this list.
        """
        self._require_known(wanted)
        rows = self.store.page(wanted, _after(cursor, _LISTED), limit + 1)
        more = len(rows) > limit
        return Page(rows[:limit], _cursor(_LISTED, rows[limit - 1].seq) if more else None)

    def _of(self, policy: str | None) -> Served:
        name = self.default if policy is None else policy
        if name not in self.policies:
            raise UsageError(
                f"policy: this service has no policy {name!r}.",
                todo=f"Choose one of {', '.join(sorted(self.policies))}.",
            )
        if name not in self._served:
            with self._deciding[name]:
                if name not in self._served:
                    made = recommend(self.shelf, self.policies[name], trained_under=self.trained.get(name))
                    self._served[name] = self._serve(name, made)
        return self._served[name]

    def _serve(self, name: str, made: Recommended) -> Served:
        policy, default = self.policies[name], name == self.default
        return Served(name, getattr(policy, "kind", "other"), policy.version, default, made, _run(made))

    def _meant(self, ask: Ask) -> Ask:
        """Return the request with everything said that it leaves unsaid: two that mean the same are equal."""
        groups = None if ask.price_groups is None else tuple(dict.fromkeys(ask.price_groups))
        return replace(
            ask,
            price_groups=groups,
            zone=self._zones[0] if len(self._zones) == 1 and ask.zone is None else ask.zone,
            as_of=ask.as_of or self.shelf.catalogue.as_of,
            policy=ask.policy or self.default,
            limit=ask.limit if groups is None else 0,
        )

    def _chosen(self, ask: Ask, run: Run) -> tuple[Sequence[int], str | None]:
        """Return the series that the answer holds, and the cursor of those that follow."""
        if ask.as_of is not None and ask.as_of != self.shelf.catalogue.as_of:
            raise RefusedError(
                f"as_of: this run knows the shop as of {self.shelf.catalogue.as_of}, not {ask.as_of}.",
                why="What became known later must not enter, and what has changed since is not known.",
                todo="Fit a run until that day and serve it.",
            )
        if ask.zone is not None and ask.zone not in self._zones:
            raise self._no_zone(ask.zone, self._zones)
        if ask.price_groups is not None:
            return _named(self._places[ask.zone], ask), None
        rows = self._all[ask.zone]
        start = bisect_right(rows, _after(ask.cursor, run.number))
        end = start + ask.limit
        return rows[start:end], _cursor(run.number, rows[end - 1]) if end < len(rows) else None

    def _replay(self, before: Request, ask: Ask) -> Answer:
        """Answer as before, whatever is served by now; raises :class:`UsageError` for another request."""
        if before.fingerprint != ask.fingerprint and before.answer["meant"] != self._meant(ask).fingerprint:
            raise UsageError(
                "Idempotency-Key: this key came with another request before.",
                why="One key stands for one request.",
                todo="Send a new key with a new request.",
            )
        rows = self.store.read(before.answer["ids"])
        run = self.store.run(rows[0].run) if rows else None
        if run is None or len(rows) != len(before.answer["ids"]):
            raise ArtifactError(
                "The decision store no longer holds what this key was answered with.",
                why="Rows were removed from outside.",
                todo="Restore the store from a backup.",
            )
        return Answer(run, Page(rows, before.answer["cursor"]), replayed=True)

    def _require_known(self, wanted: Filter) -> None:
        """Refuse to list what nobody has: an empty list would say that it exists."""
        run, zone, group = wanted.run, wanted.zone, wanted.price_group
        served = {one.run.number for one in self._served.values()}
        if run is not None and run not in served and self.store.run(run) is None:
            raise UnknownProduct(
                f"run: no run {run} is served or recorded here.",
                todo="Take the number from `run` of an answer, or leave it out.",
            )
        if zone is not None and zone not in self._zones and not self.store.holds(Filter(zone=zone)):
            raise self._no_zone(zone, sorted({*self._zones, *self.store.zones()}))
        if group is None or group in self._places[None] or self.store.holds(Filter(price_group=group)):
            return
        raise UnknownProduct(
            f"price_group: {group} is neither in the run that is served nor recorded here.",
            todo="Correct the name.",
        )

    @staticmethod
    def _no_zone(zone: str, known: Sequence[str]) -> UnknownProduct:
        return UnknownProduct(
            f"zone: there is no zone {zone!r} here.", todo=f"Known are {', '.join(known[:_MOST_NAMES])}."
        )


def plain(value: Any) -> Any:
    """Return a dataclass, and what it holds, as JSON-able values; codes as their labels, NaN as null."""
    kind = cast("Any", type(value))
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if value - value == 0.0 else None
    if kind is tuple or kind is list:
        return _plain_list(value)
    if isinstance(value, Enum):
        label = getattr(value, "label", None)
        return value.value if label is None else label
    if hasattr(kind, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in kind.__dataclass_fields__}
    return value


def _plain_list(value: Sequence[Any]) -> list[Any]:
    """Return the same of a list; most hold one kind of thing, and are long."""
    kinds: set[Any] = set(map(type, value))
    if kinds <= _PLAIN:
        return list(value)
    if kinds == {float}:
        return [item if item - item == 0.0 else None for item in value]
    return [plain(item) for item in value]


def _places(shelf: Shelf) -> dict[str | None, dict[str, list[int]]]:
    """Return the series of every price group, by zone; under None those of all zones."""
    places: dict[str | None, dict[str, list[int]]] = {None: {}}
    series = shelf.catalogue.series
    for i, (group, zone) in enumerate(zip(series.group, series.zone, strict=True)):
        for where in (None, zone):
            places.setdefault(where, {}).setdefault(group, []).append(i)
    return places


def _named(places: Mapping[str, list[int]], ask: Ask) -> list[int]:
    """Return the series of the price groups that are asked for, in the order asked."""
    wanted = dict.fromkeys(ask.price_groups or ())
    if ask.cursor is not None:
        raise UsageError(
            "cursor: price groups that are named come in one answer.", todo="Leave out one of the two."
        )
    unknown = [group for group in wanted if group not in places]
    if unknown:
        where = "this run" if ask.zone is None else f"zone {ask.zone!r}"
        raise UnknownProduct(
            f"price_groups: {', '.join(unknown[:_MOST_NAMES])} not known in {where} ({len(unknown)} in all).",
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
    return Run(made.provenance_digest[:8], made.provenance_digest, content)


def _entries(made: Recommended, series: Sequence[int]) -> list[Entry]:
    currency, under = made.shelf.catalogue.currency, _under(made)
    return [
        Entry(
            row.decision_id,
            row.price_group,
            row.zone,
            {
                "recommendation": _told(row) | under,
                "decision": plain(record),
                "currency": currency,
            },
        )
        for row, record in made.written(series)
    ]


def _told(row: Recommendation) -> dict[str, Any]:
    """Return a recommendation as it is recorded, but for what holds for all of its run."""
    return {name: plain(getattr(row, name)) for name in _ROW}


def _under(made: Recommended) -> dict[str, object]:
    """Return under which passport a run was decided, in the form that is read again."""
    trained = made.trained_under
    return {
        "standing": made.shelf.standing.document(),
        "trained_under": None if trained is None else trained.document(),
    }


def _cursor(of: str, last: int) -> str:
    """Return the cursor of what follows place `last` in a list: its keyset, which stays true as it grows."""
    return base64.urlsafe_b64encode(f"{of}:{last}".encode()).decode().rstrip("=")


def _after(cursor: str | None, of: str) -> int:
    """Return the place that a cursor of this list stands for, -1 at the beginning."""
    if cursor is None:
        return -1
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        word, _, place = text.partition(":")
        if word == of and place.isascii() and place.isdigit() and len(place) < 19:
            return int(place)
    except (binascii.Error, ValueError):
        pass
    raise UsageError(
        "cursor: this is no cursor of this list.",
        why="A cursor belongs to one list, and to the run that answered it.",
        todo="Pass on `next` as it was answered, or begin again without a cursor.",
    )
