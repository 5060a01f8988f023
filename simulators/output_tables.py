"""Tables that other programs read and write: scenarios in, predictions and elasticities out, as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.parquet

from pricing.arrays import Floats
from pricing.errors import DataError
from pricing.evidence import Identification, PriceKind
from simulators.demand.elasticities import Elasticities
from simulators.demand.forecast import Forecast
from simulators.demand.predict import Scenario
from simulators.run import Run

__all__ = ["elasticities_table", "predictions_table", "read_scenario", "scenario_from_table", "table_bytes"]

pa: Any = pyarrow
pq: Any = pyarrow.parquet
"""Untyped libraries, said to be so once."""

_REQUIRED = ("product_id", "period_start", "offered_price")
_PREDICTED = ("expected_units", "lower", "upper", "units_lower", "units_upper")
_DAY = "%Y-%m-%d"


def read_scenario(path: Path, exponent: int) -> tuple[Any, Scenario]:
    """Read a scenario file.

    Parameters
    ----------
    path
        Parquet with `product_id`, `period_start`, `offered_price` and, where they are not as last known,
        `zone`, `regular_price`, `feature`, `display`. Prices are decimal amounts, gross.
    exponent
        Decimals of the currency's minor unit.

    Returns
    -------
    The table as read (a pyarrow Table, other columns kept) and what it asks.

    Raises
    ------
    DataError
        If the file is no Parquet table, empty, or misses a column or has one of a wrong type.
    """
    try:
        table: Any = pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.", todo="Check --scenario.") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file.", why=f"{error}", todo="Write it as Parquet."
        ) from error
    return table, scenario_from_table(table, exponent, path.name)


def scenario_from_table(table: Any, exponent: int, name: str = "scenario") -> Scenario:
    """Read a scenario from a pyarrow Table; see :func:`read_scenario`. `name` is what errors call it."""
    present = set(table.column_names)
    missing = [column for column in _REQUIRED if column not in present]
    if missing:
        raise DataError(
            f"{name} has no column {missing[0]}.",
            why=f"A scenario needs {', '.join(_REQUIRED)}.",
            todo="Add it.",
        )
    if not table.num_rows:
        raise DataError(f"{name} has no rows.", todo="Give at least one row to predict.")
    scale = 10.0**exponent
    return Scenario(
        product=_texts(table, "product_id", name, required=True),
        zone=_texts(table, "zone", name, required=False),
        period_start=_dates(table, name),
        offered=_numbers(table, "offered_price", name) * scale,
        regular=_numbers(table, "regular_price", name) * scale,
        feature=_numbers(table, "feature", name),
        display=_numbers(table, "display", name),
    )


def predictions_table(table: Any, scenario: Scenario, forecast: Forecast, run: Run) -> Any:
    """Return the scenario's own rows and columns with what is predicted, as a pyarrow Table.

    Added: `run_id`, `zone` (the product's only one where the scenario names none), `currency`,
    `price_basis` (of the scenario's prices: gross, as shoppers pay them), `period_end`, and the five numbers
    of :class:`simulators.demand.forecast.Forecast`. Columns of those names in the scenario are replaced.
    """
    only = dict(zip(run.model.series.group, run.model.series.zone, strict=True))
    zones = [zone or only[product] for product, zone in zip(scenario.product, scenario.zone, strict=True)]
    end = scenario.period_start + np.timedelta64(run.model.period_days, "D")
    added: dict[str, Any] = {
        "run_id": pa.array([run.identifier] * table.num_rows),
        "zone": pa.array(zones, pa.string()),
        "currency": pa.array([run.origin.currency] * table.num_rows),
        "price_basis": pa.array(["gross"] * table.num_rows),
        "period_end": pa.array(end.astype("datetime64[D]")),
    }
    values = (forecast.expected, forecast.lower, forecast.upper, forecast.units_lower, forecast.units_upper)
    for name, value in zip(_PREDICTED, values, strict=True):
        added[name] = pa.array(value)
    kept = [column for column in table.column_names if column not in added]
    out = table.select(kept)
    for name, column in added.items():
        out = out.append_column(name, column)
    return out


def elasticities_table(found: Elasticities, run: Run) -> Any:
    """Return the contract's elasticities table, two rows a series, as a pyarrow Table; money is int64."""
    n, kinds = len(found.series), len(PriceKind)
    identified = [Identification(int(code)).label for code in found.identified_by.ravel()]
    start = str(run.panel.periods[0])
    columns: dict[str, Any] = {
        "run_id": [run.identifier] * (n * kinds),
        "product_id": [group for group in found.series.group for _ in PriceKind],
        "zone": [zone for zone in found.series.zone for _ in PriceKind],
        "currency": [run.origin.currency] * (n * kinds),
        "period_start": pa.array(np.full(n * kinds, np.datetime64(start))),
        "period_end": pa.array(np.full(n * kinds, np.datetime64(run.origin.until))),
        "price_basis": ["gross"] * (n * kinds),
        "kind": [kind.label for kind in PriceKind] * n,
        "at_price": found.at_price.ravel(),
        "elasticity": found.elasticity.ravel(),
        "lower": found.lower.ravel(),
        "upper": found.upper.ravel(),
        "identified_by": identified,
        "sensitivity_lower": found.sensitivity_lower.ravel(),
        "sensitivity_upper": found.sensitivity_upper.ravel(),
        "support_low": found.support_low.ravel(),
        "support_high": found.support_high.ravel(),
    }
    return pa.table(columns)


def table_bytes(table: Any) -> bytes:
    """Return a pyarrow Table as Parquet; the same table gives the same bytes."""
    out: Any = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return bytes(out.getvalue().to_pybytes())


def _texts(table: Any, column: str, name: str, *, required: bool) -> tuple[str, ...]:
    if column not in table.column_names:
        return ("",) * int(table.num_rows)
    values = table.column(column)
    if pa.types.is_floating(values.type):
        raise DataError(f"{name}: {column} holds fractions, not identifiers.", todo="Write it as text.")
    texts = [None if value is None else str(value) for value in values.to_pylist()]
    if required and None in texts:
        raise DataError(f"Row {texts.index(None) + 1}: {column} is empty.", todo=f"Fill in {column}.")
    return tuple(text or "" for text in texts)


def _numbers(table: Any, column: str, name: str) -> Floats:
    if column not in table.column_names:
        return np.full(int(table.num_rows), np.nan)
    values = table.column(column)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int64())
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise DataError(f"{name}: {column} holds {kind}, not numbers.", todo="Write it as numbers.")
    listed = [np.nan if value is None else float(value) for value in values.to_pylist()]
    return np.array(listed, dtype=np.float64)


def _dates(table: Any, name: str) -> Any:
    values = table.column("period_start")
    texts: list[str | None] = []
    for value in values.to_pylist():
        shown = value.strftime(_DAY) if hasattr(value, "strftime") else value
        texts.append(None if shown is None else str(shown))
    try:
        return np.array(["NaT" if text is None else text for text in texts], dtype="datetime64[D]")
    except ValueError as error:
        raise DataError(
            f"{name}: period_start holds {values.type}, not dates.",
            why=str(error),
            todo="Write dates, or text like 2025-11-03.",
        ) from error
