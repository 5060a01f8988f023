"""Sheets of costs and stock in the inbox: read each week as somebody confirmed it once, or refused."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.cycle.loop import Home
from pricing.errors import DataError, UsageError
from simulators.importers.platform_import import IDENTITY
from simulators.importers.sheet_additions import Names, add_sheets, names_in
from simulators.importers.sheet_grid import COSTS, STOCK, Meaning, Words
from simulators.importers.sheet_readings import confirmed_reading, read_again
from simulators.importers.sheets import Sheet

__all__ = ["join_sheets", "sheets_in"]

_MEANINGS = {meaning.name: meaning for meaning in (COSTS, STOCK)}


def sheets_in(home: Home) -> Mapping[str, Path]:
    """Return the newest sheet of each kind: the one file in the folder `costs` of the inbox, and in `stock`.

    Raises
    ------
    DataError
        If a folder holds several, or nobody has confirmed how such sheets are read.
    """
    found: dict[str, Path] = {}
    for kind in _MEANINGS:
        folder = home.inbox / kind
        lying = sorted(folder.iterdir()) if folder.is_dir() else []
        files = [path for path in lying if path.is_file() and not path.name.startswith((".", "~$"))]
        if len(files) > 1:
            raise DataError(
                f"{folder} holds {len(files)} sheets.",
                why="Nobody can tell which one counts.",
                todo="Keep the newest one there; what earlier ones said is in the data of earlier cycles.",
            )
        for path in files:
            confirmed_reading(home.folder, kind, path)
            found[kind] = path
    return found


def join_sheets(
    home: Home, exports: Path, data: Path, sheets: Mapping[str, Path], today: dt.date, now: dt.datetime
) -> list[Mapping[str, Any]]:
    """Write a data folder: imported exports, and what sheets of costs and stock say; return what they said.

    Parameters
    ----------
    home
        Keeps how each kind of sheet was confirmed to be read.
    exports, data
        Folder that was imported; folder to write.
    sheets
        File by kind.
    today
        Day on which the cycle goes round. A row without a day holds from when its file was last written,
        but from no later day.
    now
        The clock.

    Raises
    ------
    UsageError
        If the exports are no shop platform's.
    DataError
        As :func:`simulators.importers.sheet_readings.read_again`, or if a row contradicts what is known.
    """
    if not (exports / IDENTITY).is_file():
        raise UsageError(
            f"{home.inbox} holds sheets of {' and '.join(sheets)} beside tables of your own.",
            why="Such tables are read anew each time, so what earlier sheets said would be lost.",
            todo="Give tables costs and inventory with all their days, see docs/data-contract.md.",
        )
    names = names_in(exports, now)
    read: list[tuple[Meaning, Sheet]] = []
    for kind, path in sheets.items():
        meaning, confirmed = _MEANINGS[kind], confirmed_reading(home.folder, kind, path)
        words = _words(names, path, today)
        read.append((meaning, read_again(path, meaning, words, names.product_of, confirmed)))
    added = add_sheets(exports, data, read, now)
    return [
        {
            "kind": meaning.name,
            "file": sheet.path.name,
            "rows": entry.rows,
            "known": entry.known,
            "left": dict(sorted(Counter(left.why.value for left in sheet.left).items())),
        }
        for (meaning, sheet), entry in zip(read, added, strict=True)
    ]


def _words(names: Names, path: Path, today: dt.date) -> Words:
    """Return what is known of a sheet before it is read."""
    shop = names.shop
    written = dt.datetime.fromtimestamp(path.stat().st_mtime, zoneinfo.ZoneInfo(shop.time_zone)).date()
    zones = tuple(zone.id for zone in shop.zones)
    unseen = min(names.unseen, today + dt.timedelta(days=1))
    return Words({}, shop.currency, zones, min(written, today), unseen)
