"""Rows that nobody changes afterwards: each holds the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, select, update

from api.storage.tables import CHAIN, GENESIS
from pricing.errors import ArtifactError

__all__ = ["Chain", "canonical", "link"]

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Chain:
    """The last link of a chain (:data:`api.storage.tables.CHAIN`), as seen over a connection."""

    connection: Connection
    number: int

    def end(self) -> tuple[int, str]:
        """Return place and hash of the last row."""
        columns = select(CHAIN.c.seq, CHAIN.c.hash).where(CHAIN.c.id == self.number)
        seq, digest = self.connection.execute(columns).one()
        return int(seq), str(digest)

    def held(self) -> tuple[int, str]:
        """Return the same, holding the chain until the transaction ends."""
        self.connection.execute(update(CHAIN).where(CHAIN.c.id == self.number).values(id=self.number))
        return self.end()

    def extend(self, seq: int, digest: str) -> None:
        """Say which row is the last one now."""
        last = update(CHAIN).where(CHAIN.c.id == self.number).values(seq=seq, hash=digest)
        self.connection.execute(last)

    def verify(self, rows: Table, name: str, parts: Sequence[str], about: str = "decision_id") -> int:
        """Return the length of the chain.

        Parameters
        ----------
        rows
            Where its rows are: `seq`, `previous`, `hash`, the columns `parts` and `about`.
        name
            What people call it.
        parts
            Columns that the hash of a row covers, in their order.
        about
            Column that says what a row is about.

        Raises
        ------
        ArtifactError
            Naming the first row that is not what was recorded.
        """
        previous, seq = GENESIS, 0
        query = select(rows).order_by(rows.c.seq).execution_options(yield_per=_AT_ONCE)
        for row in self.connection.execute(query).mappings():
            seq += 1
            expected = link(previous, *(str(row[part]) for part in parts))
            if row["seq"] != seq or row["previous"] != previous or row["hash"] != expected:
                raise _broken(f"Row {row['seq']} of the {name} ({row[about]})")
            previous = expected
        end = self.end()
        if end != (seq, previous):
            raise _broken(f"The end of the {name} (row {end[0]}, found {seq})")
        return seq


def canonical(content: Mapping[str, object]) -> str:
    """Return JSON of which there is only one for the same content."""
    return json.dumps(dict(content), sort_keys=True, separators=(",", ":"), allow_nan=False)


def link(previous: str, *parts: str) -> str:
    """Return the hash of a row with these parts, which follows the row whose hash is `previous`."""
    return hashlib.sha256("\n".join((previous, *parts)).encode()).hexdigest()


def _broken(what: str) -> ArtifactError:
    """Return what is said of a row that is not what was recorded."""
    return ArtifactError(
        f"{what} is not what was recorded.",
        why="Its hash does not follow from the rows before it: the store was changed from outside.",
        todo="Restore the store from a backup.",
    )
