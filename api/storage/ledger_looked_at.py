"""The ledger looked at as a whole, for what it says about farming; nothing is written, not even a lock.

It knows whom decisions were about by a number, and keeps no address, device or payment: two cookies of one
person are two holders, and two persons with one account are one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from sqlalchemy import Connection, Engine, create_engine, func, inspect, select, text

from api.storage.database import engine_of, failures
from api.storage.price_marks import instant
from api.storage.sqlite import url_of
from api.storage.tables import (
    CAMPAIGNS,
    HOLDERS,
    OFFER_SUBJECTS,
    OFFERS,
    REDEMPTIONS,
    RESERVATIONS,
    SCHEMA,
    in_parts,
)
from policies.farming import DAY, Asked, Kind, Taken
from pricing.errors import ArtifactError, UsageError

__all__ = ["LedgerSeen", "ledger_seen", "looked_at", "pseudonyms"]

_KINDS = tuple(Kind)
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """Decisions and uses of some days.

    Attributes
    ----------
    since, until
        UTC microseconds: the last event of the ledger, and so many days before it; None where it is empty.
    currency
        Of the uses; None where there is none.
    asked, taken
        What happened, both ends included.
    """

    since: int | None
    until: int | None
    currency: str | None
    asked: Asked
    taken: Taken


@contextmanager
def looked_at(place: str) -> Generator[Connection]:
    """Open a store to read it: a file, or the URL of a database. A service may use it meanwhile.

    Raises
    ------
    UsageError
        If there is no such file.
    ArtifactError
        If it is no store, or of a version that has no ledger of coupons.
    BusyError
        If it cannot be read now.
    """
    engine = _engine(place)
    try:
        with failures(), engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")  # one moment for all that is read
            if not inspect(connection).has_table(OFFER_SUBJECTS.name):
                raise ArtifactError(
                    "This store has no ledger of coupons.",
                    todo="Give the store that coupons are served from.",
                )
            found = connection.execute(text("SELECT version FROM schema_version")).scalar_one()
            if found > SCHEMA:
                raise ArtifactError(
                    f"The store has schema {found}; this Tarifa reads up to {SCHEMA}.", todo="Update Tarifa."
                )
            yield connection
    finally:
        engine.dispose()


def _engine(place: str) -> Engine:
    """Return what opens a store to read; a file that is not there is not made."""
    engine = engine_of(url_of(place))
    if engine.dialect.name != "sqlite":
        return engine
    path = Path(engine.url.database or "")
    if not path.is_file():
        raise UsageError(f"There is no store {place}.", todo="Give the file of `tarifa serve --store`.")
    file = f"file:{quote(str(path.absolute()))}?mode=ro"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(file, uri=True, isolation_level=None))


def ledger_seen(connection: Connection, days: int, currency: str | None = None) -> LedgerSeen:
    """Return decisions and uses of the last `days` days before the last of them.

    Raises
    ------
    UsageError
        If coupons were used in several currencies and none is asked for, or in none that is asked for.
    """
    last = (func.max(OFFER_SUBJECTS.c.at), func.max(REDEMPTIONS.c.redeemed_at))
    ends = [connection.execute(select(one)).scalar() for one in last]
    until = max((int(end) for end in ends if end is not None), default=None)
    since = None if until is None else until - days * DAY
    begin = 0 if since is None else since
    money = _currency(connection, begin, currency)
    return LedgerSeen(since, until, money, _asked(connection, begin), _taken(connection, begin, money or ""))


def pseudonyms(connection: Connection, holders: Sequence[int]) -> dict[int, str]:
    """Return the pseudonyms of holders; who was erased has none."""
    found: dict[int, str] = {}
    for some in in_parts([str(holder) for holder in holders]):
        mine = HOLDERS.c.holder.in_([int(holder) for holder in some])
        rows = connection.execute(select(HOLDERS.c.holder, HOLDERS.c.pseudonym).where(mine))
        found |= {int(holder): str(name) for holder, name in rows}
    return found


def _currency(connection: Connection, since: int, wanted: str | None) -> str | None:
    joined = REDEMPTIONS.join(RESERVATIONS, RESERVATIONS.c.reservation_id == REDEMPTIONS.c.reservation_id)
    joined = joined.join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == RESERVATIONS.c.campaign_id)
    query = select(CAMPAIGNS.c.currency).select_from(joined).where(REDEMPTIONS.c.redeemed_at >= since)
    known = sorted(str(name) for name in connection.execute(query.distinct()).scalars())
    if len(known) > 1 if wanted is None else wanted not in known:
        raise UsageError(
            f"Coupons were used in {', '.join(known) or 'no currency'}.",
            why="Two currencies do not add up.",
            todo="Choose one of them with --currency.",
        )
    return next(iter(known), None) if wanted is None else wanted


def _asked(connection: Connection, since: int) -> Asked:
    about = OFFER_SUBJECTS.c
    joined = OFFER_SUBJECTS.join(OFFERS, OFFERS.c.decision_id == about.decision_id)
    joined = joined.outerjoin(REDEMPTIONS, REDEMPTIONS.c.reservation_id == OFFERS.c.reservation_id)
    columns = (
        about.holder,
        about.at,
        about.given,
        REDEMPTIONS.c.redeemed_at,
        about.content,
        OFFERS.c.content,
    )
    query = (
        select(*columns).select_from(joined).where(about.at >= since).order_by(about.at, about.decision_id)
    )
    rows = connection.execute(query).all()
    return Asked(
        holder=np.array([row[0] for row in rows], dtype=np.int64),
        kind=np.array([_kind(row[4]) for row in rows], dtype=np.int64),
        at=np.array([row[1] for row in rows], dtype=np.int64),
        given=np.array([row[2] for row in rows], dtype=np.bool_),
        used=np.array([row[3] is not None for row in rows], dtype=np.bool_),
        chance=np.array([_chance(row[5]) for row in rows], dtype=np.float64),
    )


def _kind(subject: str) -> int:
    told = json.loads(subject).get("anonymous")
    kind = Kind.NOT_RECORDED if told is None else Kind.ANONYMOUS if told else Kind.NAMED
    return _KINDS.index(kind)


def _chance(content: str) -> float:
    """Return the recorded probability of any offer, from the parts of which it is the sum."""
    try:
        return min(float(sum(json.loads(content)["probabilities"][1:])), 1.0)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            "A decision of this ledger does not say how likely it was.",
            why="The store was changed from outside.",
            todo="Restore the store from a backup.",
        ) from error


def _taken(connection: Connection, since: int, currency: str) -> Taken:
    used = REDEMPTIONS.c
    joined = REDEMPTIONS.join(RESERVATIONS, RESERVATIONS.c.reservation_id == used.reservation_id)
    joined = joined.join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == RESERVATIONS.c.campaign_id)
    joined = joined.outerjoin(HOLDERS, HOLDERS.c.holder == RESERVATIONS.c.holder)
    columns = (RESERVATIONS.c.holder, used.order_id, used.redeemed_at, used.amount, used.taken_back)
    query = select(*columns, HOLDERS.c.recorded_at).select_from(joined)
    query = query.where(used.redeemed_at >= since, CAMPAIGNS.c.currency == currency)
    rows = connection.execute(query.order_by(used.redeemed_at, used.reservation_id)).all()
    orders: dict[str, int] = {}
    return Taken(
        holder=np.array([_NOBODY if row[0] is None else row[0] for row in rows], dtype=np.int64),
        order=np.array([orders.setdefault(row[1], len(orders)) for row in rows], dtype=np.int64),
        at=np.array([row[2] for row in rows], dtype=np.int64),
        discount=np.array([row[3] - row[4] for row in rows], dtype=np.int64),
        back=np.array([row[4] > 0 for row in rows], dtype=np.bool_),
        age=np.array([_age(row[5], row[2]) for row in rows], dtype=np.int64),
    )


def _age(known_since: str | None, at: int) -> int:
    return _NOBODY if known_since is None else max(at - instant(known_since), 0)
