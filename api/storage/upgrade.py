"""What an older store already knows, written down as a newer one keeps it."""

from __future__ import annotations

import json

from sqlalchemy import Connection, select

from api.storage.price_marks import Mark, Source, instant, record
from api.storage.tables import DECISIONS, PUBLICATIONS

__all__ = ["upgrade"]


def upgrade(connection: Connection, version: int, at: str) -> None:
    """Fill tables that a store of an older schema has just been given.

    Parameters
    ----------
    connection
        Inside of the transaction that made them.
    version
        Schema that was found.
    at
        Now, ISO 8601.
    """
    if version < 4:
        record(connection, at, _published(connection))


def _published(connection: Connection) -> list[Mark]:
    """Return the marks of everything that left, and was read back, before marks were kept.

    The shop's time zone is not in such a store; marks to come bring it.
    """
    table = PUBLICATIONS.c
    columns = (*PUBLICATIONS.columns, DECISIONS.c.price_group)
    same = DECISIONS.c.decision_id == table.decision_id
    left = select(*columns).join_from(PUBLICATIONS, DECISIONS, same)
    left = left.where(table.state.in_(("published", "confirmed", "differs")), table.settled_at.is_not(None))
    marks: list[Mark] = []
    for row in connection.execute(left.order_by(table.settled_at, table.batch, table.place)).mappings():
        change = json.loads(row["content"])
        regular = int(change["regular_new"])
        offered = regular if change["offered_new"] is None else int(change["offered_new"])
        for when, source in ((row["settled_at"], Source.PUBLISHED), (row["confirmed_at"], Source.READ_BACK)):
            if when is not None:
                marks.append(
                    Mark(
                        product_id=row["product_id"],
                        zone=row["zone"],
                        price_group=row["price_group"],
                        at=instant(when),
                        regular=regular,
                        offered=offered,
                        currency=change["currency"],
                        basis=change["basis"],
                        time_zone="",
                        source=source,
                        reference=row["batch"],
                    )
                )
    return sorted(marks, key=lambda mark: mark.at)
