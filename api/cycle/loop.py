"""One cycle: which steps it has, which of them are done, and who may go round.

A cycle is named after the first day of the period that it prices. Each step leaves whole folders or nothing,
and is recorded in the store when it is done; a cycle that was killed goes on where it stood.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from api.storage import cycles
from api.storage.database import Database
from pricing.errors import UsageError
from simulators.contract.shop_file import SHOP_FILE, ShopFile
from simulators.contract.tables import Source
from simulators.folders import lock

__all__ = ["STEPS", "Home", "Step", "carry_on", "cycle_of", "last_order"]


class Step(Enum):
    """What a cycle does, in this order, before people have their say."""

    IMPORT = "import"
    CHECK = "check"
    OUTCOMES = "outcomes"
    LEARN = "learn"
    VALIDATE = "validate"
    RECOMMEND = "recommend"


STEPS = tuple(Step)


@dataclass(frozen=True, slots=True)
class Home:
    """The folder in which a shop's cycles live.

    Attributes
    ----------
    folder
        Holds shop.toml, `inbox` with the newest exports, the store, and a folder for each cycle.
    """

    folder: Path

    @property
    def shop_file(self) -> Path:
        """Settings of the shop."""
        return self.folder / SHOP_FILE

    @property
    def inbox(self) -> Path:
        """Where the newest exports of the platform are put."""
        return self.folder / "inbox"

    @property
    def store(self) -> Path:
        """Decisions, reviews, publications and steps."""
        return self.folder / "store.sqlite3"

    @property
    def key_file(self) -> Path:
        """Key of the customers' pseudonyms."""
        return self.folder / "pseudonyms.key"

    def cycle(self, name: str) -> Path:
        """Return the folder of a cycle."""
        return self.folder / "cycles" / name

    def data(self, name: str) -> Path:
        """Return the data folder of a cycle."""
        return self.cycle(name) / "data"

    def run(self, name: str) -> Path:
        """Return the run folder of a cycle."""
        return self.cycle(name) / "run"

    @contextmanager
    def alone(self) -> Generator[None]:
        """Hold the home; raises :class:`pricing.errors.BusyError` while another process goes round in it."""
        if not self.inbox.is_dir() or not self.shop_file.is_file():
            raise UsageError(
                f"{self.folder} is no home of cycles.",
                why="It needs shop.toml, and a folder inbox with the newest exports.",
                todo="Import once with `tarifa import`, copy its shop.toml here, and make the folder inbox.",
            )
        (self.folder / "cycles").mkdir(exist_ok=True)
        with lock((self.folder / "cycles").resolve()):
            yield


def cycle_of(shop: ShopFile, today: dt.date) -> str:
    """Return the cycle of a day: the first day of the period that it lies in, ISO 8601."""
    if shop.grain == "day":
        return today.isoformat()
    back = (today.weekday() - shop.week_begins) % 7
    return (today - dt.timedelta(days=back)).isoformat()


def last_order(source: Source) -> tuple[dt.date | None, int]:
    """Return the newest local day with a paid order, and the most days in a row ever without one before."""
    newest, quiet = source.engine.row(
        "SELECT max(day), max(day - before) - 1 FROM (SELECT day, lag(day) OVER (ORDER BY day) AS before "
        "FROM (SELECT DISTINCT ordered_at::DATE AS day FROM orders WHERE status = 'paid'))"
    )
    return newest, int(quiet or 0)


def carry_on(database: Database, cycle: str, work: Mapping[Step, Callable[[], Mapping[str, Any]]]) -> None:
    """Do the steps of a cycle that are not done yet, and record each.

    `work` does a step and returns what it found (JSON-able). A step may be done again if the process is
    killed before it is recorded, so it leaves the same when it is.
    """
    for step in STEPS:
        with database.reading() as connection:
            known = cycles.done(connection, cycle)
        if step.value in known:
            continue
        found = work[step]()
        with database.writing() as transaction:
            cycles.put(transaction, cycle, step.value, found)
