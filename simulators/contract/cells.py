"""From a cell as it was written to a typed value, as DuckDB SQL, and the reason where that fails.

Every expression takes the raw cell and yields the typed value or NULL; a raw cell that is not NULL and a
typed value that is makes a bad row with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from pricing.columns import Column, ColumnType
from pricing.errors import DataError
from simulators.contract.engine import Engine, literal, quoted
from simulators.contract.files import TableFile
from simulators.contract.shop_file import ShopFile

__all__ = ["LARGEST", "SQL_TYPES", "Cell", "Notation", "as_text", "detect_notation", "typed_cell"]

SQL_TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.UNIT_PRICE: "DOUBLE",
    ColumnType.MONEY: "BIGINT",
    ColumnType.SHARE: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.TIME: "TIMESTAMP",
}
"""How a column is held in the session: money in minor units (a unit price may be a fraction of one), times
in the shop's local time."""

_NUMERIC = (
    ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.UNIT_PRICE, ColumnType.MONEY, ColumnType.SHARE,
)  # fmt: skip
LARGEST = 10**12
"""Largest number of a cell, in its own unit: beyond it an export is broken, and sums would lose cents."""

_EXACT = "DECIMAL(26, 8)"
_NO_NUMBERS = ("BOOLEAN", "INTERVAL")
"""Types that DuckDB would count as 0 and 1, or not at all."""

_YES = "('true', 't', 'yes', 'y', '1', 'si', 'sí', 'verdadero')"
_NO = "('false', 'f', 'no', 'n', '0', 'falso')"
_POINT = r"^[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d*)?([eE][+-]?\d+)?$"
_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?$"
_FIRST, _LAST = "TIMESTAMP '0001-01-01'", "TIMESTAMP '9999-12-31 23:59:59.999999'"
"""Between them lies every day that a calendar of four digits can write."""

_COMMA_SEEN = r",\d{1,2}$|,\d{4,}$|\.\d{3},|^-?0,"
_POINT_SEEN = r"\.\d{1,2}$|\.\d{4,}$|,\d{3}\.|^-?0\."
_UNCLEAR = r"^-?\d{1,3}[.,]\d{3}$"
_NOT_FINITE = r"^[+-]?(nan|inf|infinity)$"
_ISO_DAY, _CLOCK = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}", r"[ T]+\d{1,2}:\d\d(:\d\d(\.\d+)?)?"
_NAIVE = rf"{_ISO_DAY}({_CLOCK})?$"
_ZONED = rf"{_ISO_DAY}{_CLOCK} ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)$"
_ZONED_TYPES = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
_DAY = r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{4}"


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers and dates are written in one text file.

    Attributes
    ----------
    decimal
        "." or ",".
    date_format
        strptime format of days; empty for ISO 8601.
    """

    decimal: str = "."
    date_format: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """SQL of one column.

    Attributes
    ----------
    column
        The contract's column.
    raw
        Expression of the cell as it was written; ``NULL`` where the file has no such column.
    typed
        Expression of its value, by the column's ``raw`` name.
    reason
        Expression that says what is wrong with it, or NULL.
    """

    column: Column
    raw: str
    typed: str
    reason: str


def as_text(raw: str, kind: str) -> str:
    """Return SQL of a cell as text; a whole number held as a fraction (12.0) is written as what it is (12).

    Where a key is missing in some rows, some programs write all of them as fractions and the missing ones as
    NaN: without this, the same customer would be 12 in one table and 12.0 in another. (DuckDB 2.0 trusts the
    statistics of a Parquet file, which know no NaN, and answers isnan() with false; isfinite() it looks at.)
    """
    if kind not in ("DOUBLE", "FLOAT"):
        return f"{raw}::VARCHAR"
    whole = f"{raw} = floor({raw}) AND abs({raw}) <= {2**53}"
    known = f"WHEN NOT isfinite({raw}) THEN NULL WHEN {whole} THEN {raw}::BIGINT::VARCHAR"
    return f"CASE {known} ELSE {raw}::VARCHAR END"


def typed_cell(column: Column, raw: str, kind: str, notation: Notation, shop: ShopFile) -> Cell:
    """Return the SQL of one column.

    Parameters
    ----------
    column
        The contract's column.
    raw
        Expression of the cell.
    kind
        DuckDB type of that expression.
    notation
        How text is written in its file.
    shop
        Currency, time zone.
    """
    cell, name = quoted(f"raw {column.name}"), quoted(column.name)
    bad: list[tuple[str, str]] = []
    if column.required:
        bad.append((f"{cell} IS NULL", "missing"))
    if column.type is ColumnType.TEXT:
        typed = f"lower({cell})" if column.choices else cell
    elif column.type is ColumnType.TIME:
        typed = _time(cell, kind, notation, shop.time_zone)
        bad.append((f"{cell} IS NOT NULL AND {name} IS NULL", "not a date"))
    elif column.type is ColumnType.BOOLEAN:
        typed = f"CASE WHEN lower({cell}) IN {_YES} THEN true WHEN lower({cell}) IN {_NO} THEN false END"
        bad.append((f"{cell} IS NOT NULL AND {name} IS NULL", "not yes or no"))
    else:
        typed, wrong = _number(column, cell, kind, notation, shop)
        bad += wrong
        bad += _outside(column, name)
    if column.choices:
        words = ", ".join(literal(word) for word in column.choices)
        bad.append((f"{name} NOT IN ({words})", f"not one of {', '.join(column.choices)}"))
    whens = " ".join(f"WHEN {test} THEN {literal(f'{column.name}: {what}')}" for test, what in bad)
    if column.type in (ColumnType.TEXT, ColumnType.BOOLEAN) or kind == "VARCHAR":
        raw = f"nullif(trim({as_text(raw, kind)}), '')"
    return Cell(column, raw, f"({typed})::{SQL_TYPES[column.type]}", f"CASE {whens} END" if whens else "NULL")


def _number(
    column: Column, cell: str, kind: str, notation: Notation, shop: ShopFile
) -> tuple[str, list[tuple[str, str]]]:
    if kind == "VARCHAR":
        finite = f"NOT regexp_matches({cell}, {literal(_NOT_FINITE)}, 'i')"
        shape, clean = (
            (_POINT, f"replace({cell}, ',', '')")
            if notation.decimal == "."
            else (_COMMA, f"replace(replace({cell}, '.', ''), ',', '.')")
        )
        number = f"CASE WHEN regexp_matches({cell}, {literal(shape)}) THEN try_cast({clean} AS DOUBLE) END"
        exact = f"CASE WHEN regexp_matches({cell}, {literal(shape)}) THEN try_cast({clean} AS {_EXACT}) END"
    else:
        own = cell if kind not in _NO_NUMBERS else "NULL"
        finite = f"isfinite(try_cast({own} AS DOUBLE))"
        number, exact = f"try_cast({own} AS DOUBLE)", f"try_cast({own} AS {_EXACT})"
    scale, name = shop.money.scale, quoted(column.name)
    bad = [(f"NOT ({finite})", "not finite"), (f"abs({number}) > {LARGEST}", f"above {LARGEST:,}")]
    exact = f"CASE WHEN abs({number}) <= {LARGEST} THEN {exact} END"
    unread = f"{cell} IS NOT NULL AND {name} IS NULL"
    if column.type is ColumnType.UNIT_PRICE:
        return f"({exact}) * {scale}", [*bad, (unread, "not a number")]
    if column.type is ColumnType.MONEY:
        fraction = f"abs(({exact}) * {scale} - round(({exact}) * {scale})) > 0.0001"
        bad += [(unread, "not a number"), (fraction, f"more decimals than {shop.currency} has")]
        return f"round(({exact}) * {scale})", bad
    if column.type is ColumnType.INTEGER:
        whole = f"CASE WHEN ({exact}) = round({exact}) THEN ({exact}) END"
        return whole, [*bad, (unread, "not a whole number")]
    usual = f"isfinite({number}) AND abs({number}) <= {LARGEST}"
    return f"CASE WHEN {usual} THEN {number} END", [*bad, (unread, "not a number")]


def _outside(column: Column, name: str) -> list[tuple[str, str]]:
    bad: list[tuple[str, str]] = []
    if column.above is not None:
        bad.append(
            (
                f"{name} <= {column.above}",
                "not positive" if column.above == 0 else f"not above {column.above}",
            )
        )
    if column.low is not None:
        bad.append((f"{name} < {column.low}", "negative" if column.low == 0 else f"below {column.low}"))
    if column.high is not None:
        bad.append((f"{name} > {column.high}", f"above {column.high:g}"))
    return bad


def _time(cell: str, kind: str, notation: Notation, zone: str) -> str:
    if kind in _ZONED_TYPES:
        found = f"timezone({literal(zone)}, try_cast({cell} AS TIMESTAMPTZ))"
    elif kind != "VARCHAR":
        found = f"try_cast({cell} AS TIMESTAMP)"
    else:
        found = _moment(cell, notation, zone)
    return f"CASE WHEN {found} BETWEEN {_FIRST} AND {_LAST} THEN {found} END"


def _moment(cell: str, notation: Notation, zone: str) -> str:
    """Return SQL of a time that text tells: ISO 8601 with the year in four digits, or the file's own format.

    The shape is checked because DuckDB would read 03/04/25 as a day of the year 3, and 11:30 PM as 11:30.
    """
    zoned = f"timezone({literal(zone)}, try_cast({cell} AS TIMESTAMPTZ))"
    whens = (
        f"WHEN regexp_matches({cell}, {literal(_ZONED)}) THEN {zoned} "
        f"WHEN regexp_matches({cell}, {literal(_NAIVE)}) THEN try_cast({cell} AS TIMESTAMP)"
    )
    if not notation.date_format:
        return f"CASE {whens} END"
    day = notation.date_format
    formats = ", ".join(literal(day + clock) for clock in ("", " %H:%M", " %H:%M:%S"))
    plain = cell if "/" not in day else f"regexp_replace({cell}, '^(\\d+)[.-](\\d+)[.-]', '\\1/\\2/')"
    year = f"regexp_matches({cell}, '\\d{{4}}')" if "%Y" in day else "true"
    return f"coalesce(CASE WHEN {year} THEN try_strptime({plain}, [{formats}]) END, CASE {whens} END)"


def detect_notation(engine: Engine, file: TableFile, read: dict[str, Column], shop: ShopFile) -> Notation:
    """Find out how a text file writes numbers and days, from all of its values.

    Parameters
    ----------
    engine, file
        The session and the file.
    read
        Contract column by the file's own column name.
    shop
        Its `decimal_separator` and `date_format` decide where they are set.

    Raises
    ------
    DataError
        If the values allow two readings (``1,234`` or ``03/04/2025`` throughout): nothing is guessed.
    """
    texts = [name for name, kind in zip(file.header, file.types, strict=True) if kind == "VARCHAR"]
    numbers = [name for name in texts if name in read and read[name].type in _NUMERIC]
    times = [name for name in texts if name in read and read[name].type is ColumnType.TIME]
    said = shop.decimal_separator
    decimal = _decimal(engine, file, numbers) if said == "auto" else said
    return Notation(decimal, shop.date_format or _date_format(engine, file, times))


def _decimal(engine: Engine, file: TableFile, numbers: list[str]) -> str:
    """Return the decimal mark that the values of all number columns together allow."""
    seen: dict[str, str] = {}
    for name in numbers:
        cell = f"trim({quoted(name)}::VARCHAR)"
        for mark, shape in ((",", _COMMA_SEEN), (".", _POINT_SEEN), ("?", _UNCLEAR)):
            if engine.count(f"SELECT bool_or(regexp_matches({cell}, {literal(shape)})) FROM {file.relation}"):
                seen.setdefault(mark, name)
    if "," in seen and "." in seen:
        raise DataError(
            f"{file.path.name} has decimal commas (column {seen[',']}) and decimal points ({seen['.']}).",
            todo="Export it again with one of them.",
        )
    if "?" in seen and len(seen) == 1:
        raise DataError(
            f"{file.path.name}: nobody can tell whether the mark in the column {seen['?']} groups thousands.",
            why="1,234 may be a thousand or a little more than one.",
            todo='Set decimal_separator = "," or "." in shop.toml.',
        )
    return "," if "," in seen else "."


def _date_format(engine: Engine, file: TableFile, times: list[str]) -> str:
    for name in times:
        cell = f"trim({quoted(name)}::VARCHAR)"
        seen = f"FROM {file.relation} WHERE regexp_matches({cell}, {literal(_DAY)})"
        parts = f"regexp_extract({cell}, '^(\\d+)[/.-](\\d+)', ['a', 'b'])"
        first, second = engine.row(f"SELECT max({parts}.a::INT), max({parts}.b::INT) {seen}")
        if first is None:
            continue
        if first > 12 >= second:
            return "%d/%m/%Y"
        if second > 12 >= first:
            return "%m/%d/%Y"
        raise DataError(
            f"{file.path.name}: nobody can tell day from month in the column {name}.",
            todo='Set date_format = "%d/%m/%Y" (day first) or "%m/%d/%Y" in shop.toml.',
        )
    return ""
