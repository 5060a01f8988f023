"""Imports of the exports in ``exports/``: invented content in the platforms' own shapes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from pricing.pseudonyms import pseudonym
from simulators.contract.shop_file import ShopFile, Zone
from simulators.importers.platform import Platform, custom_name
from simulators.importers.platform_identity import custom_key
from simulators.importers.platform_import import Imported, Request, import_platform
from simulators.importers.platforms import platform_named, recognise

EXPORTS = Path(__file__).parent / "exports"
LISTED = dt.datetime(2025, 4, 10, 12, tzinfo=dt.UTC)
TODAY = dt.date(2025, 6, 1)
SHOP = ShopFile(
    contract=1,
    currency="EUR",
    time_zone="Europe/Madrid",
    zones=(Zone("es", "ES", 0.21, prices_include_tax=True),),
)


def bring(
    source: Path,
    out: Path,
    *,
    before: Path | None = None,
    listed_at: dt.datetime = LISTED,
    shop: ShopFile = SHOP,
    platform: Platform | None = None,
) -> Imported:
    """Import what lies at a place; all share one key beside `out`."""
    files = recognise(source)
    chosen = platform or platform_named(files[0].platform)
    return import_platform(chosen, Request(files, out, shop, out.parent / "key", listed_at, TODAY, before))


def rows(folder: Path, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a table in the order of its file: amounts as floats, times in UTC."""
    table = cast("Any", pq).read_table(folder / f"{name}.parquet")
    found = [table.column(column).to_pylist() if column in table.column_names else None for column in columns]
    return [
        tuple(None if cells is None else _plain(cells[i]) for cells in found) for i in range(table.num_rows)
    ]


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M}" if isinstance(value, dt.datetime) else value


def explained(imported: Imported) -> dict[tuple[str, str], tuple[int, int, dict[str, int], int]]:
    """Return (platform, ours, differences by kind, unexplained) by month and measure."""
    return {
        (entry.month, entry.measure): (
            entry.platform,
            entry.ours,
            {difference.kind: difference.amount for difference in entry.differences},
            entry.unexplained,
        )
        for entry in imported.reconciliation.months
    }


def custom(key_file: Path, name: str, platform: str = "shopify") -> str:
    """Return the key under which a line is kept whose name somebody typed in."""
    key = key_file.read_bytes()
    return custom_key(platform, custom_name(name, lambda own: pseudonym(key, own)))


def content(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
