"""Every price that was out, on disk: a chain of its own, to which rows are only ever added.

Three sources tell of prices. What Tarifa sent out (`published`), what the platform said when it was asked
(`read_back`), and what the shop's own data show (`imported`: posted prices, and prices on orders). One change
is often told by all three; :func:`pricing.prior_price.proven` makes one history of them. Times are instants,
so the sources need no order of precedence: what was seen later supersedes what was seen earlier.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select

from api.storage.chain import Chain, link
from api.storage.statements import Statement
from api.storage.tables import MARK_CHAIN, PRICE_MARKS, in_parts
from pricing.prior_price import PriceMark, proven

__all__ = [
    "Mark",
    "Source",
    "clock",
    "history",
    "instant",
    "last",
    "merged",
    "moment_of",
    "newest",
    "record",
    "standing",
    "unknown",
    "verify",
]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Source(Enum):
    """Who told of a price."""

    PUBLISHED = "published"
    READ_BACK = "read_back"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Mark:
    """From an instant on a product has a price in a zone; money in minor units of `currency`.

    Attributes
    ----------
    product_id, zone, price_group
        Whose; the group is the one that it had then.
    at
        UTC microseconds since 1970-01-01.
    regular, offered
        Before any reduction, and really asked; both 0 from where it is not offered.
    currency, basis
        In which money; "gross" or "net".
    time_zone
        Of the shop, IANA: days are counted on its clock. Empty where it was not recorded.
    source, reference
        Who told, and in which batch or data.
    """

    product_id: str
    zone: str
    price_group: str
    at: int
    regular: int
    offered: int
    currency: str
    basis: str
    time_zone: str
    source: Source
    reference: str

    def shows(self, regular: int, offered: int) -> bool:
        """Whether these prices were seen on the shelf, not only sent there."""
        return self.source is not Source.PUBLISHED and (self.regular, self.offered) == (regular, offered)


_NAMES = tuple(entry.name for entry in fields(Mark))
_PARTS = ("recorded_at", *_NAMES)
_COLUMNS = tuple(PRICE_MARKS.c[name] for name in _NAMES)


def instant(at: str | dt.datetime) -> int:
    """Return a moment with its zone (text: ISO 8601) as UTC microseconds since 1970-01-01."""
    moment = dt.datetime.fromisoformat(at) if isinstance(at, str) else at
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(at: int) -> dt.datetime:
    """Return the moment of an instant, in UTC."""
    return _EPOCH + at * _MICROSECOND


def record(connection: Connection, at: str, marks: Iterable[Mark]) -> int:
    """Append marks inside of a write transaction that was opened `at` (ISO 8601); return how many."""
    chain = Chain(connection, MARK_CHAIN)
    seq, previous = chain.held()
    rows: list[dict[str, Any]] = []
    for mark in marks:
        seq, before = seq + 1, previous
        values = {**asdict(mark), "source": mark.source.value}
        previous = link(before, at, *(str(values[name]) for name in _NAMES))
        rows.append({**values, "seq": seq, "recorded_at": at, "previous": before, "hash": previous})
    if rows:
        connection.execute(insert(PRICE_MARKS), rows)
        chain.extend(seq, previous)
    return len(rows)


def unknown(connection: Connection, marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Return those of imported marks that say something new: not told for the same instant before."""
    table = PRICE_MARKS.c
    columns = (table.product_id, table.zone, table.at, table.regular, table.offered)
    query = select(*columns).where(table.source == Source.IMPORTED.value).order_by(table.seq)
    known = {(name, zone, at): prices for name, zone, at, *prices in connection.execute(query)}
    return tuple(
        mark
        for mark in marks
        if known.get((mark.product_id, mark.zone, mark.at)) != [mark.regular, mark.offered]
    )


def history(connection: Connection, product_id: str) -> tuple[Mark, ...]:
    """Return the marks of a product in all zones, in the order in which they were recorded."""
    return _of(connection, _ordered(select(*_COLUMNS).where(PRICE_MARKS.c.product_id == product_id)))


def last(connection: Connection, product_ids: Sequence[str]) -> Mapping[tuple[str, str], Mark]:
    """Return the newest mark of each of these products, by product and zone."""
    table, found = PRICE_MARKS.c, dict[tuple[str, str], Mark]()
    place = func.row_number().over(
        partition_by=(table.product_id, table.zone), order_by=(table.at.desc(), table.seq.desc())
    )
    for some in in_parts(product_ids):
        ranked = select(*_COLUMNS, place.label("place")).where(table.product_id.in_(some)).subquery()
        for mark in _of(connection, select(ranked).where(ranked.c.place == 1)):
            found[mark.product_id, mark.zone] = mark
    return found


_NEWEST = Statement(
    select(*_COLUMNS)
    .where(PRICE_MARKS.c.product_id == bindparam("product"), PRICE_MARKS.c.zone == bindparam("where"))
    .order_by(PRICE_MARKS.c.at.desc(), PRICE_MARKS.c.seq.desc())
    .limit(1)
)


def newest(connection: Connection, product_id: str, zone: str) -> Mark | None:
    """Return the newest mark of a product in a zone: one step down an index, however long its history is."""
    rows = _NEWEST.rows(connection, product=product_id, where=zone)
    return _mark(dict(zip(_NAMES, rows[0], strict=True))) if rows else None


def clock(connection: Connection) -> str | None:
    """Return the shop's time zone (IANA) as recorded last; None where it never was."""
    told = select(PRICE_MARKS.c.time_zone).where(PRICE_MARKS.c.time_zone != "")
    return connection.execute(told.order_by(PRICE_MARKS.c.seq.desc()).limit(1)).scalar_one_or_none()


def standing(
    connection: Connection, since: int, until: int, currency: str, basis: str
) -> Mapping[tuple[str, str, str], tuple[PriceMark, ...]]:
    """Return the one history of every product, as far as it tells what stood within a time.

    The price seen last before that time is where a history may begin: it counts whatever came before it.

    Parameters
    ----------
    connection
        To the store.
    since, until
        First instant, and the first one after the time, UTC microseconds.
    currency, basis
        Marks in another money or on another basis are left out.

    Returns
    -------
    Mapping
        By price group (the newest of the product), product and zone.
    """
    table = PRICE_MARKS.c
    own = (table.currency == currency) & (table.basis == basis) & (table.at < until)
    shelved = (table.source != Source.PUBLISHED.value) & (table.offered > 0)
    seen = own & shelved & (table.at <= since)
    what = (table.product_id, table.zone)
    begins = select(*what, func.max(table.at).label("at")).where(seen).group_by(*what).subquery()
    same = (begins.c.product_id == table.product_id) & (begins.c.zone == table.zone)
    columns = (*what, table.price_group, table.at, table.regular, table.offered, table.source)
    query = select(*columns).join_from(PRICE_MARKS, begins, same, isouter=True)
    query = query.where(own & (table.at >= func.coalesce(begins.c.at, table.at))).order_by(table.seq)
    told: dict[tuple[str, str], tuple[list[PriceMark], list[bool]]] = defaultdict(lambda: ([], []))
    group: dict[tuple[str, str], str] = {}
    for product, zone, named, at, regular, offered, source in connection.execute(query):
        marks, was_seen = told[product, zone]
        marks.append(PriceMark(at, regular, offered))
        was_seen.append(source != Source.PUBLISHED.value)
        group[product, zone] = named
    return {(group[one], *one): proven(*both) for one, both in told.items()}


def merged(marks: Sequence[Mark]) -> tuple[PriceMark, ...]:
    """Return the one history that all sources tell of a product in a zone.

    Only marks in the money and on the basis of the newest one are compared; a shop that changes either
    begins a new history.
    """
    if not marks:
        return ()
    last = max(marks, key=lambda mark: mark.at)
    own = [m for m in marks if (m.currency, m.basis) == (last.currency, last.basis)]
    said = [PriceMark(m.at, m.regular, m.offered) for m in own]
    return proven(said, [m.source is not Source.PUBLISHED for m in own])


def verify(connection: Connection) -> int:
    """Return the length of the chain of prices.

    Raises
    ------
    ArtifactError
        Naming the first row that is not what was recorded.
    """
    return Chain(connection, MARK_CHAIN).verify(PRICE_MARKS, "chain of prices", _PARTS, "product_id")


def _ordered(query: Select[Any]) -> Select[Any]:
    return query.order_by(PRICE_MARKS.c.seq)


def _of(connection: Connection, query: Select[Any]) -> tuple[Mark, ...]:
    return tuple(_mark(row) for row in connection.execute(query).mappings())


def _mark(row: Mapping[Any, Any]) -> Mark:
    values: dict[str, Any] = {name: row[name] for name in _NAMES}
    values["source"] = Source(row["source"])
    return Mark(**values)
