"""A shop platform's export to a data folder: read, resolved, joined to what was before, reconciled."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pricing.errors import ArtifactError, DataError, UsageError
from pricing.pseudonyms import pseudonym
from simulators.contract.engine import Engine, file_literal, open_engine
from simulators.contract.files import find_files, open_table_file
from simulators.contract.shop_file import SHOP_FILE, ShopFile, render_shop_file
from simulators.contract.tables import open_source
from simulators.folders import MARKER, claim, read_folder
from simulators.importers.complete_journey import ImportedTable
from simulators.importers.platform import STATUSES, Export, ExportFile, Platform, Reading, custom_name
from simulators.importers.platform_identity import Known, catalogue_of, custom_key
from simulators.importers.platform_merge import WRITTEN, join, put_listings
from simulators.importers.platform_orders import Left, Taken, take_orders
from simulators.importers.platform_reconciliation import Reconciliation, reconcile_platform
from simulators.importers.price_endings import price_endings
from simulators.importers.pseudonyms import read_key
from simulators.importers.spreadsheets import write_table

__all__ = ["IDENTITY", "RECONCILIATION", "Imported", "Request", "import_platform"]

_ALIASES = "product_aliases"
_TABLE_ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".ods", ".parquet", ".tsv", ".txt", ".xls", ".xlsx")
IDENTITY, RECONCILIATION = "platform.json", "reconciliation.json"
"""Files of the data folder beside its tables: which platform it is of, and how its totals compare."""


@dataclass(frozen=True, slots=True)
class Request:
    """One import.

    Attributes
    ----------
    files
        What was recognised, all of one platform.
    out
        The data folder to write.
    shop
        Its settings; a shop.toml that already lies in `out` stays as it is.
    key_file
        Key of the customers' pseudonyms; made if it does not exist, never inside `out`.
    listed_at
        When the product export was made: from then on its prices, costs and counts are known.
    today
        For the check of future dates; see :func:`simulators.contract.tables.open_source`.
    before
        Data folder of an earlier import, which this one continues; it is read only.
    fresh
        Whether the settings are new: then those that the shop's own prices give away are filled in.
    """

    files: tuple[ExportFile, ...]
    out: Path
    shop: ShopFile
    key_file: Path
    listed_at: dt.datetime
    today: dt.date | dt.datetime
    before: Path | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import wrote.

    Attributes
    ----------
    platform
        Its name.
    tables
        Of the contract, and the ledger.
    orders
        What the lines of the orders were.
    repeated_skus
        SKUs that several listings share; their order lines were resolved by variant or name.
    unknown_statuses
        Words of the platform for the status of an order that nobody knows; such orders are drafts.
    not_read
        Files that lie beside the export and were not read: tables of which the platform's own say the same,
        and whatever was not recognised.
    price_endings
        Found in the shop's prices and written into shop.toml; empty where none were.
    reconciliation
        The platform's totals beside those of the tables.
    """

    platform: str
    tables: tuple[ImportedTable, ...]
    orders: Taken
    repeated_skus: tuple[str, ...]
    unknown_statuses: tuple[str, ...]
    not_read: tuple[str, ...]
    price_endings: tuple[str, ...]
    reconciliation: Reconciliation

    @property
    def unknown(self) -> tuple[Left, ...]:
        """Products that order lines name and no listing holds."""
        return self.orders.left


def import_platform(platform: Platform, request: Request) -> Imported:
    """Write a platform's export as a data folder; the same files, settings and key give the same bytes.

    Raises
    ------
    DataError
        If a file cannot be read, there is no order, or the settings contradict the orders.
    UsageError
        If `out` holds something else, is the folder that is continued, or the key would lie inside it.
    ArtifactError
        If `before` is no data folder of this platform, or was made with another key.
    """
    out, before = request.out, request.before
    _refuse_itself(out, before)
    with claim(out, "data", editable=(SHOP_FILE,)) as draft, open_engine() as engine:
        key = read_key(request.key_file, out)
        identity = _identity(platform.name, request.shop.currency, key)
        if before is not None:
            _require_same(before, identity)
        reading = Reading(request.shop, lambda own: pseudonym(key, own), request.listed_at)
        told = _with_custom(_told_aliases(engine, request), platform.name, reading)
        export = platform.read(request.files, reading)
        catalogue = catalogue_of(platform.name, export.listings, _known(engine, before, told), reading.hide)
        taken = take_orders(engine, export.orders, catalogue, request.shop.money, platform.name)
        _require_orders(engine, request)
        words = _unknown_statuses(engine)
        put_listings(engine, catalogue, taken.left, request.shop, request.listed_at, told)
        rows = join(engine, before, draft)
        _carry_over(before, draft)
        own = _write_beside(request, key, draft)
        endings = _endings(engine, request.shop) if request.fresh else ()
        shop = replace(request.shop, price_endings=endings) if endings else request.shop
        (draft / SHOP_FILE).write_text(render_shop_file(shop), encoding="utf-8")
        (draft / IDENTITY).write_text(json.dumps(asdict(identity), indent=2) + "\n", encoding="utf-8")
        found = _reconciled(draft, request)
    tables = tuple(ImportedTable(name, count, _behind(export, name)) for name, count in rows)
    repeated = tuple(sorted(catalogue.repeated))
    beside = _not_read(request.files)
    return Imported(platform.name, (*tables, *own), taken, repeated, words, beside, endings, found)


def _require_orders(engine: Engine, request: Request) -> None:
    found = engine.count("SELECT count(*) FROM new_platform_orders")
    if not found and (request.before is None or any(file.holds == "orders" for file in request.files)):
        raise DataError("There are no orders in this export.", todo="Export the orders too.")
    if found and not engine.count("SELECT count(*) FROM new_orders"):
        raise DataError(
            f"No order of this export is in {request.shop.currency}.",
            why="Only orders in the shop's own currency become its tables.",
            todo="Check `currency` in shop.toml.",
        )


def _unknown_statuses(engine: Engine) -> tuple[str, ...]:
    rows = engine.rows(
        "SELECT DISTINCT status_word FROM new_platform_orders WHERE status = 'draft' ORDER BY status_word"
    )
    return tuple(str(word) for (word,) in rows if word is not None and word not in STATUSES)


def _beside(files: tuple[ExportFile, ...]) -> tuple[tuple[str, Path], ...]:
    """Return the tables of the contract that lie beside an export, by name."""
    taken = {file.path for file in files}
    folders = sorted({file.path.parent for file in files})
    tables = [entry for folder in folders for entry in find_files(folder)]
    return tuple((name, path) for name, path in tables if path not in taken)


def _not_read(files: tuple[ExportFile, ...]) -> tuple[str, ...]:
    """Return the names of the files beside an export that look like tables and are not read, ascending."""
    read = {file.path for file in files}
    read |= {path for name, path in _beside(files) if name not in WRITTEN or name == _ALIASES}
    lying = (path for folder in {file.path.parent for file in files} for path in folder.iterdir())
    return tuple(
        sorted(
            path.name
            for path in lying
            if path.is_file() and path.suffix.lower() in _TABLE_ENDINGS and path not in read
        )
    )


def _endings(engine: Engine, shop: ShopFile) -> tuple[str, ...]:
    """Return the endings of the regular prices: of posted ones where there are any, else of order lines."""
    for table in ("new_prices", "new_orders"):
        rows = engine.rows(
            f"SELECT round(max(coalesce(regular_price, offered_price)) * {shop.money.scale})::BIGINT "
            f"FROM {table} WHERE coalesce(regular_price, offered_price) > 0 GROUP BY product_id"
        )
        if rows:
            return price_endings([int(price) for (price,) in rows], shop.money.exponent)
    return ()


def _write_beside(request: Request, key: bytes, draft: Path) -> tuple[ImportedTable, ...]:
    """Write the tables that a platform does not export and the shop gives itself: promotions, traffic, ..."""
    with open_engine(on_disk=False) as engine:
        return tuple(
            write_table(engine, open_table_file(engine, name, path), request.shop, key, draft)
            for name, path in _beside(request.files)
            if name not in WRITTEN
        )


def _refuse_itself(out: Path, before: Path | None) -> None:
    if before is not None and before.resolve() == out.resolve():
        raise UsageError(
            f"{out} is the folder that is to be continued.",
            why="An earlier folder stays as it is, so that every run made of it can be made again.",
            todo="Give another place with --out.",
        )


@dataclass(frozen=True, slots=True)
class _Identity:
    """What tells whether two folders are of one shop; nobody gets at the key by its check."""

    platform: str
    currency: str
    key_check: str


def _identity(platform: str, currency: str, key: bytes) -> _Identity:
    check = hmac.new(key, b"tarifa: which key is this", hashlib.sha256).hexdigest()[:16]
    return _Identity(platform, currency, check)


def _require_same(before: Path, identity: _Identity) -> None:
    folder = read_folder(before, "data")
    if IDENTITY not in dict(folder.digests):
        raise ArtifactError(
            f"{before} was not imported from a shop platform.",
            why="Only such a folder says which order came from where.",
            todo="Import the whole export again, without --before.",
        )
    known = _Identity(**json.loads(folder.read(IDENTITY)))
    if known.platform != identity.platform:
        raise ArtifactError(
            f"{before} is an import from {known.platform}, not from {identity.platform}.",
            todo="Continue it with exports of the same platform.",
        )
    if known.currency != identity.currency:
        raise ArtifactError(
            f"{before} is in {known.currency}, not in {identity.currency}.",
            todo="Give its own shop.toml, or import the whole export again, without --before.",
        )
    if known.key_check != identity.key_check:
        raise ArtifactError(
            f"{before} was made with another key of pseudonyms.",
            why="The same customer would have two names.",
            todo="Give its key with --key-file.",
        )


def _told_aliases(engine: Engine, request: Request) -> tuple[tuple[str, str, dt.datetime], ...]:
    """Return (source_key, product_id, valid_from) of a product_aliases table that lies beside the export."""
    found: list[tuple[str, str, dt.datetime]] = []
    for path in (path for name, path in _beside(request.files) if name == _ALIASES):
        file = open_table_file(engine, _ALIASES, path)
        for column in ("source_key", "product_id", "valid_from"):
            if column not in file.header:
                raise DataError(
                    f"{path.name} has no column {column}.",
                    todo="It needs source_key, product_id and valid_from.",
                )
        rows = engine.rows(
            "SELECT trim(source_key::VARCHAR), trim(product_id::VARCHAR), "
            f"try_cast(valid_from AS TIMESTAMP) FROM {file.relation}"
        )
        for number, (key, product, since) in enumerate(rows, start=2):
            if not key or not product or since is None:
                raise DataError(
                    f"{path.name}, row {number} is not a key, a product and a day like 2025-03-01.",
                    todo="Correct it.",
                )
            found.append((str(key), str(product), since.replace(tzinfo=dt.UTC)))
    return tuple(found)


def _with_custom(
    told: tuple[tuple[str, str, dt.datetime], ...], platform: str, reading: Reading
) -> tuple[tuple[str, str, dt.datetime], ...]:
    """Add the key under which a name is kept where it may be free text: earlier orders hold that one."""
    start = f"{platform}:name:"
    named = (
        (key.removeprefix(start), product, since) for key, product, since in told if key.startswith(start)
    )
    hidden = (
        (custom_key(platform, custom_name(name, reading.hide)), product, since)
        for name, product, since in named
    )
    return (*told, *hidden)


def _known(engine: Engine, before: Path | None, told: tuple[tuple[str, str, dt.datetime], ...]) -> Known:
    rows = list(told)
    products: frozenset[str] = frozenset()
    if before is not None:
        aliases, listed = before / "product_aliases.parquet", before / "products.parquet"
        if aliases.is_file():
            rows += engine.rows(
                "SELECT source_key, product_id, valid_from::TIMESTAMPTZ AT TIME ZONE 'UTC' "
                f"FROM read_parquet({file_literal(aliases)})"
            )
        found = engine.rows(f"SELECT product_id FROM read_parquet({file_literal(listed)})")
        products = frozenset(str(row[0]) for row in found)
    known: dict[str, list[tuple[dt.datetime, str]]] = {}
    for key, product, since in rows:
        known.setdefault(str(key), []).append((since.replace(tzinfo=dt.UTC), str(product)))
    return Known({key: tuple(sorted(meanings)) for key, meanings in known.items()}, products)


def _carry_over(before: Path | None, draft: Path) -> None:
    """Take along what an earlier folder holds beside the tables of the platform."""
    if before is None:
        return
    ours = {f"{name}.parquet" for name in WRITTEN} | {SHOP_FILE, IDENTITY, RECONCILIATION, MARKER}
    for name, _ in read_folder(before, "data").digests:
        if name not in ours:
            shutil.copyfile(before / name, draft / name)


def _reconciled(draft: Path, request: Request) -> Reconciliation:
    with open_source(draft, today=request.today, shop=request.shop) as source:
        found = reconcile_platform(source)
    text = json.dumps(found.to_json(), indent=2, sort_keys=True)
    (draft / RECONCILIATION).write_text(text + "\n", encoding="utf-8")
    return found


def _behind(export: Export, name: str) -> tuple[str, ...]:
    """Return columns of the files that became a table, where nothing of them was read."""
    holds = {"orders": "orders", "products": "products"}.get(name)
    return tuple(
        dict.fromkeys(own for table, columns in export.left_behind if table == holds for own in columns)
    )
