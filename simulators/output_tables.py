"""Tables that other programs read and write: scenarios in, predictions and elasticities out, as Parquet."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.parquet

from pricing.arrays import Dates, Floats
from pricing.columns import ColumnType
from pricing.errors import DataError
from pricing.evidence import Identification, PriceKind
from pricing.outputs import ELASTICITIES, PREDICTIONS, SCENARIO
from simulators.demand.elasticities import Elasticities
from simulators.demand.forecast import Forecast
from simulators.demand.scenario import Scenario, periods_ahead
from simulators.output_schema import arrow_schema, declared_table, table_bytes
from simulators.run import Run

__all__ = [
    "elasticities_table",
    "predictions_table",
    "read_scenario",
    "refuse_contradictions",
    "scenario_from_table",
    "table_bytes",
]

pa: Any = pyarrow
pq: Any = pyarrow.parquet
"""Untyped libraries, said to be so once."""

_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?", re.ASCII)
_MIDNIGHT = dt.time()


def read_scenario(path: Path, exponent: int) -> tuple[Any, Scenario]:
    """Read a scenario file.

    Parameters
    ----------
    path
        Parquet with the columns of :data:`pricing.outputs.SCENARIO`; prices are decimal amounts, gross.
    exponent
        Decimals of the currency's minor unit.

    Returns
    -------
    The table as read (a pyarrow Table, other columns kept) and what it asks.

    Raises
    ------
    DataError
        If the file is no Parquet table, empty, misses a column or has one of a wrong type, or a cell cannot
        be what its column says.
    """
    try:
        table: Any = pq.ParquetFile(path).read()
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.", todo="Check --scenario.") from error
    except (pa.ArrowException, OSError) as error:
        todo = "Write it as Parquet."
        if path.suffix.lower() == ".csv":
            todo += f" In DuckDB: COPY (FROM '{path.name}') TO '{path.stem}.parquet'."
        raise DataError(f"{path} is not a readable Parquet file.", why=f"{error}", todo=todo) from error
    return table, scenario_from_table(table, exponent, path.name)


def scenario_from_table(table: Any, exponent: int, name: str = "scenario") -> Scenario:
    """Read a scenario from a pyarrow Table; see :func:`read_scenario`. `name` is what errors call it."""
    _refuse_columns([str(column) for column in table.column_names], name)
    if not table.num_rows:
        raise DataError(f"{name} has no rows.", todo="Give at least one row to predict.")
    scale = 10.0**exponent
    return Scenario(
        product=_texts(table, "product_id", name),
        zone=_texts(table, "zone", name),
        period_start=_dates(table, "period_start", name),
        offered=_numbers(table, "offered_price", name) * scale,
        regular=_numbers(table, "regular_price", name) * scale,
        feature=_numbers(table, "feature", name),
        display=_numbers(table, "display", name),
    )


def predictions_table(table: Any, scenario: Scenario, forecast: Forecast, run: Run) -> Any:
    """Return the scenario's own rows and columns with what is predicted, as a pyarrow Table.

    Columns of the scenario keep their place. Those that :data:`pricing.outputs.PREDICTIONS` declares too are
    written as declared (`zone` filled in where the product has only one, numbers predicted anew), the
    others as they are; what the scenario lacks follows in the order declared. So a table of predictions is
    itself a scenario, and predicting it again changes nothing.

    Raises
    ------
    DataError
        If a row states another currency, price basis or period end than the run's, or a channel.
    """
    only = dict(zip(run.model.series.group, run.model.series.zone, strict=True))
    zones = [zone or only[product] for product, zone in zip(scenario.product, scenario.zone, strict=True)]
    end = scenario.period_start + np.timedelta64(run.model.period_days, "D")
    refuse_contradictions(table, scenario, run)
    said = declared_table(
        PREDICTIONS,
        int(table.num_rows),
        {
            "run_id": run.identifier,
            "product_id": list(scenario.product),
            "zone": zones,
            "channel": None,
            "currency": run.origin.currency,
            "period_start": scenario.period_start.astype("datetime64[D]"),
            "period_end": end.astype("datetime64[D]"),
            "price_basis": "gross",
            "periods_ahead": periods_ahead(run.model, scenario),
            "expected_units": forecast.expected,
            "lower": forecast.lower,
            "upper": forecast.upper,
            "units_lower": forecast.units_lower,
            "units_upper": forecast.units_upper,
        },
    )
    given = list(table.column_names)
    names = [*given, *(column for column in PREDICTIONS.names if column not in given)]
    parts = [said if column in PREDICTIONS.names else table for column in names]
    schema = pa.schema(
        [part.schema.field(column) for part, column in zip(parts, names, strict=True)],
        metadata=arrow_schema(PREDICTIONS).metadata,
    )
    return pa.Table.from_arrays(
        [part.column(column) for part, column in zip(parts, names, strict=True)], schema=schema
    )


def elasticities_table(found: Elasticities, run: Run) -> Any:
    """Return the contract's elasticities table, two rows a series, as a pyarrow Table."""
    n, kinds = len(found.series), len(PriceKind)
    rows = n * kinds
    numbers = (
        "at_price", "elasticity", "lower", "upper",
        "sensitivity_lower", "sensitivity_upper", "support_low", "support_high",
    )  # fmt: skip
    return declared_table(
        ELASTICITIES,
        rows,
        {
            "run_id": run.identifier,
            "product_id": [group for group in found.series.group for _ in PriceKind],
            "zone": [zone for zone in found.series.zone for _ in PriceKind],
            "channel": None,
            "currency": run.origin.currency,
            "period_start": np.full(rows, np.datetime64(str(run.panel.periods[0]), "D")),
            "period_end": np.full(rows, np.datetime64(run.origin.until, "D")),
            "price_basis": "gross",
            "kind": [kind.label for kind in PriceKind] * n,
            "identified_by": [Identification(int(code)).label for code in found.identified_by.ravel()],
            **{name: getattr(found, name).ravel() for name in numbers},
        },
    )


def _refuse_columns(present: list[str], name: str) -> None:
    known = SCENARIO.names + PREDICTIONS.names
    missing = [column.name for column in SCENARIO.columns if column.required and column.name not in present]
    for column in present:
        near = column.strip().casefold()
        if present.count(column) > 1 or (near != column and near in known):
            says = "is there twice" if present.count(column) > 1 else f"would be read as no {near}"
            raise DataError(f"{name}: column {column!r} {says}.", todo=f"Keep one column {near}, written so.")
    if missing:
        needed = ", ".join(column.name for column in SCENARIO.columns if column.required)
        raise DataError(
            f"{name} has no column {missing[0]}.", why=f"A scenario needs {needed}.", todo="Add it."
        )


def refuse_contradictions(table: Any, scenario: Scenario, run: Run) -> None:
    """Refuse rows of a scenario that state something else than the run is about, rather than overrule them.

    Raises
    ------
    DataError
        For the first row with another currency, price basis or period end, or with a channel.
    """
    for column, holds, why in (
        ("currency", run.origin.currency, "The run's prices are in {}."),
        ("price_basis", "gross", "Scenarios state prices with tax: {}."),
        ("channel", "", "A run predicts the sales of all channels together; leave channel empty."),
    ):
        for number, said in enumerate(_texts(table, column, "scenario"), start=1):
            if said not in ("", holds):
                raise DataError(
                    f"Row {number}: {column} is {said!r}.",
                    why=why.format(holds),
                    todo=f"Correct {column} in the scenario, or leave it out.",
                )
    if "period_end" in table.column_names:
        stated = _dates(table, "period_end", "scenario")
        end = scenario.period_start + np.timedelta64(run.model.period_days, "D")
        wrong = ~np.isnat(stated) & (stated != end)
        if wrong.any():
            first = int(wrong.argmax())
            raise DataError(
                f"Row {first + 1}: period_end is {stated[first]}.",
                why=f"Periods here have {run.model.period_days} days: this one ends before {end[first]}.",
                todo="Correct period_end in the scenario, or leave it out.",
            )


def _texts(table: Any, column: str, name: str) -> tuple[str, ...]:
    """Return a column as texts, an empty one where a cell is null; a required cell may not be empty."""
    if column not in table.column_names:
        return ("",) * int(table.num_rows)
    values = table.column(column)
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(f"{name}: {column} holds {kind}, not identifiers.", todo="Write it as text.")
    texts = ["" if value is None else str(value) for value in values.to_pylist()]
    if "" in texts and SCENARIO.column(column).required:
        raise DataError(f"Row {texts.index('') + 1}: {column} is empty.", todo=f"Fill in {column}.")
    return tuple(texts)


def _is_text(kind: Any) -> bool:
    return any(is_(kind) for is_ in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _numbers(table: Any, column: str, name: str) -> Floats:
    if column not in table.column_names:
        return np.full(int(table.num_rows), np.nan)
    values = table.column(column)
    if pa.types.is_boolean(values.type) and SCENARIO.column(column).type is ColumnType.SHARE:
        values = values.cast(pa.int64())
    kind = values.type
    plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    if not any(is_(kind) for is_ in plain):
        raise DataError(f"{name}: {column} holds {kind}, not numbers.", todo="Write it as numbers.")
    listed = [np.nan if value is None else float(value) for value in values.to_pylist()]
    return np.array(listed, dtype=np.float64)


def _dates(table: Any, column: str, name: str) -> Dates:
    """Return a column as days, NaT where a cell is null."""
    values = table.column(column)
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    read: Callable[[Any], str | None]
    if pa.types.is_date(kind):
        read = str
    elif pa.types.is_timestamp(kind):
        read = _midnight
    elif _is_text(kind) or pa.types.is_null(kind):
        read = _day
    else:
        raise DataError(
            f"{name}: {column} holds {kind}, not dates.", todo="Write dates, or text like 2025-11-03."
        )
    days: list[str] = []
    for number, value in enumerate(values.to_pylist(), start=1):
        day = "NaT" if value is None or value == "" else read(value)
        if day is None:
            raise DataError(
                f"Row {number}: {column} {str(value)!r} is no day.",
                todo="Write dates, timestamps at midnight, or text like 2025-11-03.",
            )
        days.append(day)
    return np.array(days, dtype="datetime64[D]")


def _midnight(moment: dt.datetime) -> str | None:
    return str(moment.date()) if moment.time() == _MIDNIGHT else None


def _day(text: str) -> str | None:
    found = _DAY.fullmatch(text.strip())
    try:
        return str(dt.date.fromisoformat(found[1])) if found else None
    except ValueError:
        return None
