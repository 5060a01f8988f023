"""From approved proposals to prices that are out, read back, and brought back.

Everything is intended on disk before it leaves. A process that is killed in between leaves an intended batch;
the next one publishes that batch again under its own key, which changes nothing twice, and settles it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from api.cycle.outlets import Address
from api.publishers.changes import Market, Preview, PriceChange, Publisher, Reading, Refusal
from api.storage import publications, reviews
from api.storage.database import Database
from api.storage.publications import Kind, Outgoing, State
from api.storage.reviews import ProposalRow, Round, Wanted
from pricing.approval import Action, Review, Reviewed, ReviewState, after
from pricing.errors import DataError, UsageError

__all__ = ["Gate", "Waiting", "due", "waiting"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What keeps a cycle open.

    Attributes
    ----------
    pending, second
        Proposals that wait for a person, or for a second one.
    later
        Approved ones whose start is still to come.
    failed
        Price changes whose latest try failed and that are still wanted: approved in the round that counts,
        or to be brought back.
    unconfirmed
        Published, and not read back yet.
    differing
        Read back as something else.
    blind
        Published by a way that cannot be read back. They keep no cycle open: the next import that shows them
        confirms them.
    """

    pending: int
    second: int
    later: int
    failed: int
    unconfirmed: int
    differing: int
    blind: int

    @property
    def nothing(self) -> bool:
        """Whether the cycle is at its end."""
        return not any((self.pending, self.second, self.later, self.failed, self.unconfirmed, self.differing))


@dataclass(frozen=True, slots=True)
class Gate:
    """Where approved prices of one cycle leave the house, and come back.

    Attributes
    ----------
    database
        Of rounds, reviews and publications.
    now
        The clock, a time with its zone.
    cycle
        Its name: the first day of the period that is priced.
    zone
        The shop's time zone: a price without a start of its own may be published from midnight there, on the
        first day of the period that its round prices.
    market
        Which prices the platform holds.
    addresses
        Products of each price group.
    open_way
        Opens the publisher for a batch (its key), to write it; None: to read only. Closed again at once.
    """

    database: Database
    now: Callable[[], dt.datetime]
    cycle: str
    zone: dt.tzinfo
    market: Market
    addresses: Mapping[str, tuple[Address, ...]]
    open_way: Callable[[str | None], AbstractContextManager[Publisher]]

    def publish(self) -> tuple[Outgoing, ...]:
        """Publish what was left intended, then what is due; return everything that was tried.

        It is rehearsed first: where the way out cannot be taken at all (no secret, another currency, no
        export), nothing is intended, and nothing counts as out.
        """
        done = self._finish()
        self.preview()
        with self.database.writing() as transaction:
            connection = transaction.connection
            batch = self._batch(connection, Kind.PUBLISH, self._leaving(connection))
            publications.intend(transaction, batch)
        return (*done, *self._finish())

    def preview(self) -> Preview:
        """Say what publishing would do now, line by line; nothing is recorded, and nothing leaves."""
        with self.database.reading() as connection:
            intended = [row.change for row in publications.unsettled(connection)]
            changes = intended or [change for _, change in self._leaving(connection)]
        if not changes:
            return Preview(())
        with self.open_way(None) as way:
            return way.preview(changes)

    def confirm(self) -> tuple[Outgoing, ...]:
        """Read back what was published, in earlier cycles too, and return what was found.

        What still says the former price has not arrived yet, and waits; so does what cannot be asked. Where
        a way out cannot be read back at all, the shop's own data are asked instead: the next import that
        shows the product's price says whether it is there.
        """
        with self.database.reading() as connection:
            rows = [
                row
                for row in publications.standing(publications.every(connection))
                if row.state in (State.PUBLISHED, State.DIFFERS)
            ]
        if not rows:
            return ()
        with self.open_way(None) as way:
            found = way.read_back([row.change for row in rows])
        with self.database.writing() as transaction:
            publications.see(transaction, rows, found, str(self.zone))
            found = _shown(transaction.connection, rows, found)
            publications.confirm(transaction, rows, found)
        pairs = zip(rows, found, strict=True)
        return tuple(row for row, reading in pairs if publications.arrived(row, reading))

    def undo(self, by: str, reason: str) -> tuple[Outgoing, ...]:
        """Bring back the former prices of everything that this cycle published, and withdraw its approvals.

        Raises
        ------
        UsageError
            If nothing is published that could be brought back.
        """
        self._finish()
        with self.database.reading() as connection:
            back = self._backwards(connection, reason)
        if not back:
            raise UsageError(
                f"The cycle {self.cycle} has published nothing that could be brought back.",
                todo="See `tarifa cycle HOME --status`.",
            )
        with self.open_way(None) as way:
            way.preview([change for _, change in back])
        with self.database.writing() as transaction:
            connection = transaction.connection
            publications.intend(transaction, self._batch(connection, Kind.UNDO, back))
            up = reviews.current_round(connection)
            ids = dict.fromkeys(decision for decision, _ in back)
            found = [_withdrawn(reviews.proposal(connection, name), up, by, reason) for name in ids]
            reviews.append(transaction, [each for each in found if each is not None])
        return self._finish()

    def _backwards(self, connection: Connection, reason: str) -> list[tuple[str, PriceChange]]:
        own = publications.of_cycle(connection, self.cycle)
        first = _before(own)
        return [
            (row.decision_id, _back(row.change, first[row.what], reason))
            for row in publications.standing(own)
            if row.kind is Kind.PUBLISH
        ]

    def _leaving(self, connection: Connection) -> list[tuple[str, PriceChange]]:
        rows = due(connection, reviews.current_round(connection), self.now(), self.zone)
        standing = _prices(publications.of_cycle(connection, self.cycle))
        return [(row.decision_id, change) for row in rows for change in self._changes(row, standing)]

    def _finish(self) -> tuple[Outgoing, ...]:
        """Publish the batch that is intended, and settle it."""
        with self.database.reading() as connection:
            rows = publications.unsettled(connection)
        if not rows:
            return ()
        with self.open_way(rows[0].batch) as way:
            published = way.publish([row.change for row in rows], key=rows[0].batch)
        with self.database.writing() as transaction:
            publications.settle(transaction, rows, published, str(self.zone))
        with self.database.reading() as connection:
            return publications.of_batch(connection, rows[0].batch)

    def _batch(
        self, connection: Connection, kind: Kind, found: Sequence[tuple[str, PriceChange]]
    ) -> tuple[Outgoing, ...]:
        number = len(publications.batches(connection, self.cycle)) + 1
        key = f"{self.cycle}-{number:03d}-{kind.value}"
        return tuple(
            Outgoing(key, place, self.cycle, kind, decision, change)
            for place, (decision, change) in enumerate(found)
        )

    def _changes(self, row: ProposalRow, standing: Mapping[tuple[str, str], int]) -> tuple[PriceChange, ...]:
        """Return what publishing a proposal changes.

        Each goes from the price that this cycle put out last, which the decision could not know, else from
        the one that was decided on.
        """
        found = self.addresses.get(row.price_group)
        if not found:
            raise DataError(
                f"The price group {row.price_group} has no product in the data.",
                todo="Import a product export that holds it.",
            )
        if row.price is None:
            raise UsageError(f"The proposal {row.decision_id} has no price to publish.")
        reason = f"{row.approved_by}: {row.decision_id}"
        return tuple(
            PriceChange(
                product_id=one.product_id,
                zone=row.zone,
                currency=self.market.currency,
                basis=self.market.basis,
                regular_now=standing.get((one.product_id, row.zone), row.current_price),
                regular_new=row.price,
                reason=reason,
                known_as=one.known_as,
            )
            for one in found
        )


def due(
    connection: Connection, up: Round | None, now: dt.datetime, zone: dt.tzinfo
) -> tuple[ProposalRow, ...]:
    """Return approved proposals of a round whose start has come and whose price is not out yet."""
    rows = [row for row, starts in _approved(connection, up, zone) if starts <= now]
    left = publications.of_decisions(connection, [row.decision_id for row in rows])
    return tuple(row for row in rows if not _out(row, left.get(row.decision_id, ())))


def waiting(connection: Connection, now: dt.datetime, zone: dt.tzinfo) -> Waiting:
    """Return what keeps the newest cycle open, and what of earlier ones has not arrived."""
    up = reviews.current_round(connection)
    stands = {} if up is None else reviews.standing(connection, up.number)
    states = {state: found[0] for state, found in stands.items()}
    rows, approved = publications.every(connection), _approved(connection, up, zone)
    up_now = {row.decision_id for row, _ in approved}
    failed = [row for row in publications.latest(rows) if row.state is State.FAILED]
    out = publications.standing(rows)
    count, blind = Counter(row.state for row in out), sum(row.blind for row in out)
    return Waiting(
        pending=states.get(ReviewState.PENDING.value, 0),
        second=states.get(ReviewState.AWAITING_SECOND.value, 0),
        later=sum(now < starts for _, starts in approved),
        failed=sum(row.kind is Kind.UNDO or row.decision_id in up_now for row in failed),
        unconfirmed=count[State.PUBLISHED] - blind + count[State.INTENDED],
        differing=count[State.DIFFERS],
        blind=blind,
    )


def _approved(
    connection: Connection, up: Round | None, zone: dt.tzinfo
) -> list[tuple[ProposalRow, dt.datetime]]:
    """Return the approved proposals of a round, each with the moment from which it may be published."""
    if up is None:
        return []
    first = dt.datetime.fromisoformat(str(up.facts["valid_from"])).replace(tzinfo=zone)
    rows = reviews.every(connection, up.number, Wanted(states=(ReviewState.APPROVED.value,)))
    return [
        (row, first if row.starts_at is None else dt.datetime.fromisoformat(row.starts_at)) for row in rows
    ]


def _out(row: ProposalRow, left: Sequence[Outgoing]) -> bool:
    """Return whether all of it is out at its price: of each product what happened last counts."""
    latest = publications.latest(left)
    return bool(latest) and all(
        one.kind is Kind.PUBLISH and one.state.out and one.change.regular_new == row.price for one in latest
    )


def _shown(connection: Connection, rows: Sequence[Outgoing], found: Sequence[Reading]) -> tuple[Reading, ...]:
    """Return readings; of a way out that cannot be read back, what the shop's data have shown since."""
    if not any(reading.why is Refusal.CANNOT_READ for reading in found):
        return tuple(found)
    return tuple(
        shown if shown is not None and reading.why is Refusal.CANNOT_READ else reading
        for shown, reading in zip(publications.imported(connection, rows), found, strict=True)
    )


def _prices(rows: Sequence[Outgoing]) -> dict[tuple[str, str], int]:
    """Return the regular price that is out, by product and zone."""
    return {row.what: row.change.regular_new for row in publications.standing(rows)}


def _before(rows: Sequence[Outgoing]) -> dict[tuple[str, str], int]:
    """Return the regular price from before anything left, by product and zone."""
    return {row.what: row.change.regular_now for row in reversed(rows) if row.state.out}


def _back(change: PriceChange, price: int, reason: str) -> PriceChange:
    return replace(change, regular_now=change.regular_new, regular_new=price, reason=f"undo: {reason}")


def _withdrawn(
    row: ProposalRow | None, up: Round | None, by: str, reason: str
) -> tuple[ProposalRow, Review, Reviewed] | None:
    """Return the review that withdraws an approval whose price was brought back; None in an older round."""
    if row is None or up is None or row.round != up.number or row.state != ReviewState.APPROVED.value:
        return None
    review = Review(Action.WITHDRAW, by, f"undo: {reason}")
    return row, review, after(row.reviewed, review, reviews.proposed(row, up.facts), up.settings)
