"""Which tables of the contract a shop has; what each unlocks stands in the contract.

What is uncertain without a table is a text for people (section ``unlock`` of :mod:`api.texts`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pricing.schema import TABLES
from simulators.contract.tables import Source

__all__ = ["Unlock", "unlocks"]


@dataclass(frozen=True, slots=True)
class Unlock:
    """One table and what depends on it.

    Attributes
    ----------
    table
        Its name.
    present
        The shop has it.
    unlocks
        What it makes possible.
    """

    table: str
    present: bool
    unlocks: str


def unlocks(source: Source) -> tuple[Unlock, ...]:
    """Return what is unlocked and what is locked, in contract order."""
    return tuple(Unlock(table.name, source.has(table.name), table.unlocks) for table in TABLES)
