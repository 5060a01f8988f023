"""``tarifa import``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.grid import grid
from api.cli.import_platform import import_export, recognised
from api.cli.import_sheets import (
    Columns,
    Dates,
    Day,
    Decimal,
    Kinds,
    SheetName,
    SheetOptions,
    add_sheet,
)
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import DataError, UsageError

if TYPE_CHECKING:
    from simulators.contract.shop_file import ShopFile
    from simulators.importers.complete_journey import ImportedTable

__all__ = ["COMPLETE_JOURNEY", "Answers", "import_data", "import_folder"]

COMPLETE_JOURNEY = "complete-journey"
"""Source that stands for the Complete Journey grocery data, from its installed package."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the caller says about the shop where no shop.toml does.

    Attributes
    ----------
    currency, time_zone, country, tax_rate, prices_include_tax
        See `docs/shop-file.md`; None where nothing was said.
    yes
        Suggested columns, or what files were recognised as, are accepted.
    before
        Data folder of an earlier import that this one continues.
    listed_at
        When a platform's product export was made.
    """

    currency: str | None
    time_zone: str | None
    country: str | None
    tax_rate: float | None
    prices_include_tax: bool | None
    yes: bool
    before: Path | None = None
    listed_at: str | None = None


def import_data(
    source: Annotated[
        str,
        typer.Argument(
            help="An export of Shopify or WooCommerce (file or folder), complete-journey, a folder of "
            "tables, a CSV, Excel or Parquet file of orders, tables beside it too, or with --as a sheet."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Data folder to write.")],
    shop: Annotated[
        Path | None,
        typer.Option(help="shop.toml to use; default: the one in --out, in SOURCE, or beside it."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Key of customers' pseudonyms, outside the data; default: OUT.key.")
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            help="Data folder of an earlier import, which stays as it is: OUT holds its orders too, those of "
            "SOURCE restated, and what changed of prices, costs and stock as history."
        ),
    ] = None,
    listed_at: Annotated[
        str | None,
        typer.Option(
            help="When the platform's product export was made, like 2025-03-03T10:15+01:00; default: when "
            "its file was last written."
        ),
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Without a shop.toml: ISO 4217, like EUR.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Without a shop.toml: like Europe/Madrid.")] = None,
    country: Annotated[str | None, typer.Option(help="Without a shop.toml: ISO 3166, like ES.")] = None,
    tax_rate: Annotated[
        float | None, typer.Option(help="Without a shop.toml: tax as a share of the net price, like 0.21.")
    ] = None,
    kinds: Kinds = None,
    day: Day = None,
    decimal: Decimal = None,
    dates: Dates = None,
    sheet: SheetName = None,
    column: Columns = None,
    *,
    prices_include_tax: Annotated[
        bool | None,
        typer.Option(
            "--prices-include-tax/--prices-without-tax", help="Without a shop.toml: what the shelf shows."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept what was found out, without asking.")] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Turn a shop's exports into a data folder: allow-listed columns, customers as pseudonyms, shop.toml.

    A shop platform's own export is recognised by its headers, shown, and reconciled with the platform's
    totals; with --before it continues an earlier import. Of other tables your own column names are matched
    to the contract's and shown. On a terminal you are asked, elsewhere nothing is imported without --yes
    (exit code 2).

    Example: tarifa import orders.csv --out data --currency EUR --time-zone Europe/Madrid --country ES
    --tax-rate 0.21 --prices-include-tax
    """

    def work(session: Session) -> Outcome:
        if kinds is not None:
            columns = tuple(column or ())
            options = SheetOptions(kinds, before, day, decimal, dates, sheet, columns, yes)
            return add_sheet(session, Path(source), out, options)
        said = Answers(currency, time_zone, country, tax_rate, prices_include_tax, yes, before, listed_at)
        return import_folder(session, source, out, shop, key_file, said)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def import_folder(
    session: Session, source: str, out: Path, shop: Path | None, key_file: Path | None, said: Answers
) -> Outcome:
    """Import a source into a data folder."""
    from simulators.importers.complete_journey import import_complete_journey
    from simulators.importers.spreadsheets import import_spreadsheets

    key = key_file or Path(f"{out.resolve()}.key")
    if source == COMPLETE_JOURNEY:
        with session.progress("import") as told:
            told("reading the package", 0.1)
            written = import_complete_journey(out, key)
        return _outcome(out, written, {})
    place = Path(source)
    if not place.exists():
        raise UsageError(
            f"There is no file or folder {source}.", todo=f"Check the path, or give {COMPLETE_JOURNEY}."
        )
    files = recognised(place, said.before)
    if files:
        known = _known_settings(place, out, shop, said)
        return import_export(
            session,
            files,
            out,
            known or _new_settings(session, said),
            key_file,
            yes=said.yes,
            listed_at=said.listed_at,
            before=said.before,
            fresh=known is None,
        )
    if said.before is not None:
        raise UsageError(
            f"{source} is no export of a shop platform that is known.",
            why="--before continues an import from such a one.",
            todo="Leave --before out, or give the platform's own export.",
        )
    _require_products(place)
    settings = _known_settings(place, out, shop, said) or _new_settings(session, said)
    mapped = _mapped(session, place, settings, said)
    with session.progress("import") as told:
        told("reading tables", 0.1)
        written = import_spreadsheets(place, out, mapped, key)
    return _outcome(out, written, mapped.columns)


def _require_products(source: Path) -> None:
    """Refuse a single file without the products that its rows name."""
    from simulators.contract.files import find_export

    if "products" not in dict(find_export(source)) and not source.is_dir():
        raise DataError(
            f"There is no products table beside {source}.",
            why="Orders name products; what they are stands there.",
            todo="Put products.csv, products.xlsx or products.parquet into the same folder; a sheet of "
            "costs or stock for a shop that is imported already needs --as and --before.",
        )


def _known_settings(source: Path, out: Path, shop: Path | None, said: Answers) -> ShopFile | None:
    from simulators.contract.shop_file import SHOP_FILE, read_shop_file

    folder = source if source.is_dir() else source.parent
    before = None if said.before is None else said.before / SHOP_FILE
    for place in (shop, out / SHOP_FILE, before, folder / SHOP_FILE):
        if place is not None and (place == shop or place.is_file()):
            return read_shop_file(place)
    return None


def _new_settings(session: Session, said: Answers) -> ShopFile:
    return _shop_of(_asked(session, said) if session.talks else said)


def _asked(session: Session, said: Answers) -> Answers:
    """Ask for what was not said; only ever called where somebody can answer."""
    session.err.print("There is no shop.toml yet. Five questions:")
    return replace(
        said,
        currency=said.currency or typer.prompt("Currency (ISO 4217)", err=True),
        time_zone=said.time_zone or typer.prompt("Time zone, like Europe/Madrid", err=True),
        country=said.country or typer.prompt("Country (two letters)", err=True),
        tax_rate=typer.prompt("Tax as a share of the net price, like 0.21", type=float, err=True)
        if said.tax_rate is None
        else said.tax_rate,
        prices_include_tax=typer.confirm("Do shelf prices include tax?", err=True)
        if said.prices_include_tax is None
        else said.prices_include_tax,
    )


def _shop_of(said: Answers) -> ShopFile:
    from pricing.schema import CONTRACT_VERSION
    from simulators.contract.shop_file import ShopFile, Zone

    currency, time_zone, country = said.currency, said.time_zone, said.country
    rate, with_tax = said.tax_rate, said.prices_include_tax
    if currency is None or time_zone is None or country is None or rate is None or with_tax is None:
        missing = [
            f"--{name.replace('_', '-')}"
            for name in ("currency", "time_zone", "country", "tax_rate", "prices_include_tax")
            if getattr(said, name) is None
        ]
        raise UsageError(
            f"There is no shop.toml, and not said: {', '.join(missing)}.",
            why="Without currency, time zone and tax nobody knows what a price leaves.",
            todo="Give these options, or a shop.toml with --shop.",
        )
    zone = Zone("shop", country, rate, prices_include_tax=with_tax)
    return ShopFile(contract=CONTRACT_VERSION, currency=currency, time_zone=time_zone, zones=(zone,))


def _mapped(session: Session, source: Path, shop: ShopFile, said: Answers) -> ShopFile:
    """Return the settings with the suggested columns, once somebody has agreed to them."""
    suggested = _suggested(source, shop)
    if not suggested:
        return shop
    rows = [(name, own, column) for name, columns in suggested.items() for column, own in columns.items()]
    table = grid("Suggested columns", ("table", "your column", "column of the contract"), rows)
    session.err.print(table)
    if not said.yes and not (session.talks and typer.confirm("Is this right?", err=True)):
        text = "\n".join(
            f"[columns.{name}]\n" + "\n".join(f'{column} = "{own}"' for column, own in columns.items())
            for name, columns in suggested.items()
        )
        raise UsageError(
            "The columns were not confirmed; nothing was imported.",
            todo=f"Say yes with --yes, or write your own map into shop.toml and give it with --shop:\n{text}",
        )
    names = {*shop.columns, *suggested}
    merged = {name: {**suggested.get(name, {}), **shop.columns.get(name, {})} for name in sorted(names)}
    return replace(shop, columns=merged)


def _suggested(source: Path, shop: ShopFile) -> dict[str, dict[str, str]]:
    """Return (contract column: own column) by table, where no map and no equal name says it already."""
    from pricing.schema import table
    from simulators.contract.engine import open_engine
    from simulators.contract.files import find_export, open_table_file
    from simulators.contract.tables import columns_of, places_of
    from simulators.importers.suggestions import suggest_columns

    found: dict[str, dict[str, str]] = {}
    with open_engine() as engine:
        for name, path in find_export(source):
            file = open_table_file(engine, name, path)
            places = places_of(columns_of(table(name), shop), file, shop)
            free = [own for own in file.header if own not in places.values()]
            guesses = {s.column: s.own for s in suggest_columns(name, free) if s.column not in places}
            if guesses:
                found[name] = guesses
    return found


def _outcome(
    out: Path, written: tuple[ImportedTable, ...], columns: Mapping[str, Mapping[str, str]]
) -> Outcome:
    rows = [(entry.name, f"{entry.rows:,}", ", ".join(entry.not_stored)) for entry in written]
    table = grid(f"Imported into {out}", ("table", "rows", "columns left behind"), rows, right=(1,))
    document = {
        "data": str(out),
        "tables": [asdict(entry) for entry in written],
        "columns": {name: dict(found) for name, found in columns.items()},
    }
    return Outcome(
        document, (table, f"Read {out / 'shop.toml'} now: costs and guardrails are yours to state.")
    )
