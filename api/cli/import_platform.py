"""``tarifa import`` of a shop platform's own export: recognised, confirmed, imported, reconciled."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import RenderableType
from rich.markup import escape

from api.cli.grid import grid
from api.cli.session import Outcome, Session
from pricing.errors import DataError, UsageError
from pricing.money import Currency

if TYPE_CHECKING:
    from api.texts import Texts
    from simulators.contract.shop_file import ShopFile
    from simulators.importers.platform import ExportFile
    from simulators.importers.platform_import import Imported
    from simulators.importers.platform_reconciliation import Measure, Reconciliation

__all__ = ["import_export", "recognised"]

_LABELS = {"shopify": "Shopify", "woocommerce": "WooCommerce"}

_SHOWN = 20
"""Products without a listing that are listed; the JSON holds all."""


def recognised(source: Path, before: Path | None) -> tuple[ExportFile, ...]:
    """Return the files of a platform's export; none where the orders beside them are the contract's.

    Raises
    ------
    DataError
        If there are products of a platform and no orders at all, and nothing is continued.
    """
    from simulators.contract.files import find_export
    from simulators.importers.platforms import recognise

    files = recognise(source)
    if before is not None or any(file.holds == "orders" for file in files):
        return files
    taken = {file.path for file in files}
    if files and not [path for name, path in find_export(source) if name == "orders" and path not in taken]:
        folder = source if source.is_dir() else source.parent
        others = sorted(path.name for path in folder.glob("*.csv") if path not in taken)
        raise DataError(
            f"{source} holds {files[0].path.name}, an export of {_LABELS[files[0].platform]}, and no orders.",
            why=f"Nothing is known of this shape: {', '.join(others)}." if others else "",
            todo="Export the orders too, with columns as docs/imports.md names them, and put them beside it.",
        )
    return ()


def _key_for(out: Path, before: Path | None, key_file: Path | None) -> Path:
    """Return the key of the pseudonyms; a folder that continues another one gets a copy of its key beside it.

    Raises
    ------
    UsageError
        If the key of the folder that is continued is nowhere to be found.
    """
    from simulators.folders import write_file

    own = Path(f"{out.resolve()}.key")
    if key_file is not None or before is None or own.exists():
        return key_file or own
    theirs = Path(f"{before.resolve()}.key")
    if not theirs.is_file():
        raise UsageError(
            f"The key of {before} does not lie beside it.",
            why="With another key the same customer would have two names.",
            todo="Give it with --key-file.",
        )
    write_file(own, theirs.read_bytes(), secret=True)
    return own


def _listed_when(files: tuple[ExportFile, ...], said: str | None) -> dt.datetime:
    """Return when the export was made: as the caller says, or when its newest file was last written.

    Raises
    ------
    UsageError
        If what the caller says is no time.
    """
    if said is None:
        of_products = [file.path for file in files if file.holds == "products"]
        newest = max(path.stat().st_mtime for path in of_products or [file.path for file in files])
        return dt.datetime.fromtimestamp(int(newest), dt.UTC)
    try:
        found = dt.datetime.fromisoformat(said)
    except ValueError as error:
        raise UsageError(f"{said!r} is no time.", todo="Write it like 2025-03-03T10:15+01:00.") from error
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def import_export(
    session: Session,
    files: tuple[ExportFile, ...],
    out: Path,
    shop: ShopFile,
    key_file: Path | None,
    *,
    yes: bool,
    listed_at: str | None,
    before: Path | None,
    fresh: bool,
) -> Outcome:
    """Import a recognised export, once somebody has agreed to what it was recognised as."""
    from simulators.importers.platform_import import Request, import_platform
    from simulators.importers.platforms import platform_named

    listed = _listed_when(files, listed_at)
    _confirm(session, files, listed, yes=yes)
    key = _key_for(out, before, key_file)
    request = Request(files, out, shop, key, listed, dt.datetime.now(dt.UTC), before, fresh)
    with session.progress("import") as told:
        told("reading orders", 0.1)
        imported = import_platform(platform_named(files[0].platform), request)
    return Outcome(_document(out, files, listed, imported), _shown(session, out, imported, shop))


def _confirm(session: Session, files: tuple[ExportFile, ...], listed: dt.datetime, *, yes: bool) -> None:
    texts = session.texts
    rows = [(escape(file.path.name), _LABELS[file.platform], file.shape) for file in files]
    header = tuple(texts.text("import", code) for code in ("file", "platform", "shape"))
    session.err.print(grid(texts.text("import", "recognised"), header, rows))
    if any(file.holds == "products" for file in files):
        session.err.print(texts.text("import", "listed_at", when=f"{listed:%Y-%m-%d %H:%M} UTC"))
    if not yes and not (session.talks and typer.confirm(texts.text("import", "right"), err=True)):
        raise UsageError(
            "What the files were recognised as was not confirmed; nothing was imported.",
            todo="Say yes with --yes, or give other files.",
        )


def _document(
    out: Path, files: tuple[ExportFile, ...], listed: dt.datetime, imported: Imported
) -> dict[str, object]:
    return {
        "data": str(out),
        "platform": imported.platform,
        "files": [{"file": file.path.name, "holds": file.holds, "shape": file.shape} for file in files],
        "listed_at": listed.isoformat(),
        "tables": [asdict(entry) for entry in imported.tables],
        "columns": {},
        "lines": dict(imported.orders.found),
        "empty_lines": imported.orders.empty_lines,
        "unlisted": [
            {
                "product_id": left.product_id,
                "name": left.name,
                "kind": left.kind,
                "how": left.how.value,
                "lines": left.lines,
                "units": float(left.units),
            }
            for left in imported.unknown
        ],
        "repeated_skus": list(imported.repeated_skus),
        "unknown_statuses": list(imported.unknown_statuses),
        "not_read": list(imported.not_read),
        "price_endings": list(imported.price_endings),
        "reconciliation": imported.reconciliation.to_json(),
    }


def _shown(session: Session, out: Path, imported: Imported, shop: ShopFile) -> tuple[RenderableType, ...]:
    texts = session.texts
    rows = [(entry.name, texts.number(entry.rows), ", ".join(entry.not_stored)) for entry in imported.tables]
    header = tuple(texts.text("import", code) for code in ("table", "rows", "left_behind"))
    parts: list[RenderableType] = [
        grid(texts.text("import", "imported", out=escape(str(out))), header, rows, right=(1,))
    ]
    if imported.unknown:
        parts.append(_left(session, imported))
    if imported.repeated_skus:
        parts.append(
            texts.text("import", "repeated", skus=escape(", ".join(imported.repeated_skus[:_SHOWN])))
        )
    if imported.unknown_statuses:
        words = escape(", ".join(imported.unknown_statuses))
        parts.append(texts.text("import", "statuses", words=words))
    if imported.not_read:
        parts.append(_beside(texts, imported.not_read))
    parts.append(_reconciled(session, imported.reconciliation, shop.money))
    parts += [
        texts.text(
            "import",
            "other_currency",
            month=texts.day(o.month, "month"),
            currency=o.currency,
            orders=texts.number(o.orders),
            total=o.total,
        )
        for o in imported.reconciliation.other_currencies
    ]
    if imported.reconciliation.unexplained:
        parts.append(texts.text("import", "unexplained_left"))
    if imported.price_endings:
        parts.append(texts.text("import", "endings", endings=", ".join(imported.price_endings)))
    parts.append(texts.text("import", "next", place=escape(str(out / "shop.toml"))))
    return tuple(parts)


def _beside(texts: Texts, names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    some = ", ".join(names[:_SHOWN]) + (f", ... ({texts.number(more)})" if more > 0 else "")
    return texts.text("import", "not_read", files=escape(some))


def _left(session: Session, imported: Imported) -> RenderableType:
    texts = session.texts
    rows = [
        (
            escape(left.name),
            escape(left.product_id),
            texts.text("resolution", left.how.value),
            texts.number(left.lines),
        )
        for left in imported.unknown[:_SHOWN]
    ]
    header = tuple(texts.text("import", code) for code in ("name", "key", "taken_as", "lines"))
    title = texts.text("import", "unlisted", count=texts.number(len(imported.unknown)))
    return grid(title, header, rows, right=(3,))


def _reconciled(session: Session, found: Reconciliation, money: Currency) -> RenderableType:
    texts = session.texts
    rows = [_row(session, entry, money) for entry in found.months]
    header = tuple(
        texts.text("import", code)
        for code in ("month", "measure", "theirs", "ours", "because", "unexplained")
    )
    title = texts.text("import", "reconciliation", currency=money.code)
    return grid(title, header, rows, right=(2, 3, 5))


def _row(session: Session, entry: Measure, money: Currency) -> tuple[str, ...]:
    texts = session.texts
    because = ", ".join(
        f"{texts.text('difference', d.kind)} {texts.amount(d.amount, money)}" for d in entry.differences
    )
    return (
        texts.day(entry.month, "month"),
        texts.text("compared", entry.measure),
        texts.amount(entry.platform, money),
        texts.amount(entry.ours, money),
        because,
        texts.amount(entry.unexplained, money),
    )
