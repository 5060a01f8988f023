"""Rows that nobody changes afterwards: each holds the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, bindparam, select, update

from api.storage.statements import Statement
from api.storage.tables import CHAIN, GENESIS
from pricing.errors import ArtifactError

__all__ = ["Chain", "canonical", "link"]

_AT_ONCE = 500

_OWN = CHAIN.c.id == bindparam("which")
_END = Statement(select(CHAIN.c.seq, CHAIN.c.hash).where(_OWN))
_HOLD = Statement(update(CHAIN).where(_OWN).values(id=CHAIN.c.id))
_EXTEND = Statement(update(CHAIN).where(_OWN).values(seq=bindparam("place"), hash=bindparam("told")))


@dataclass(frozen=True, slots=True)
class Chain:
    """The last link of a chain (:data:`api.storage.tables.CHAIN`), as seen over a connection."""

    connection: Connection
    number: int

    def end(self) -> tuple[int, str]:
        """Return place and hash of the last row."""
        ((seq, digest),) = _END.rows(self.connection, which=self.number)
        return int(seq), str(digest)

    def held(self) -> tuple[int, str]:
        """Return the same, holding the chain until the transaction ends."""
        _HOLD.count(self.connection, which=self.number)
        return self.end()

    def extend(self, seq: int, digest: str) -> None:
        """Say which row is the last one now."""
        _EXTEND.count(self.connection, which=self.number, place=seq, told=digest)

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
