"""``tarifa coupons fairness``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import DataError

if TYPE_CHECKING:
    from policies.fairness import Group, Interval

__all__ = ["fairness_of", "report_fairness"]


def report_fairness(
    given: Annotated[
        str,
        typer.Argument(
            help="What was given: allocations of `tarifa coupons allocate` (Parquet or CSV), or the store of "
            "`tarifa serve`: a file or the URL of a database."
        ),
    ],
    groups: Annotated[
        Path,
        typer.Argument(help="Who belongs where: CSV or Parquet with customer_id and the column of --by."),
    ],
    by: Annotated[str, typer.Option(help="Column that names the audit group.")] = "group",
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Compare what audit groups are offered: rates and values with intervals, and the four-fifths rule.

    Of a store: who was ever offered a coupon among those for whom one was decided, and what coupons took
    off for them. Groups may be what no offer may ever read, age or sex for instance: they are read here and
    kept nowhere.

    Example: tarifa coupons fairness allocations.parquet groups.csv --by age_band
    """

    def work(session: Session) -> Outcome:
        return fairness_of(session, given, groups, by)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def fairness_of(session: Session, given: str, groups: Path, by: str) -> Outcome:
    """Compare the groups of a file by what was allocated, or served."""
    import numpy as np

    from policies.fairness import by_group

    known = _columns(groups, ("customer_id", by))
    labels = {
        str(name): str(group)
        for name, group in zip(known["customer_id"], known[by], strict=True)
        if name is not None and group is not None
    }
    served = not given.endswith((".parquet", ".csv"))
    names, offered, value = _served(given, labels) if served else _allocated(Path(given))
    found = by_group(names, np.array(offered, dtype=np.bool_), np.array(value, dtype=np.float64), labels)
    document = {"by": by, "served": served, "groups": [_told(group) for group in found]}
    return Outcome(document, (_grid(session, found, by),))


Given = tuple[list[str], list[bool], list[float]]
"""Customers, whether they got an offer, and its value to them, minor units."""


def _allocated(path: Path) -> Given:
    table = _columns(path, ("customer_id", "coupon_id", "expected_cost"))
    offered = [bool(name) for name in table["coupon_id"]]
    value = [float(cost or 0.0) for cost in table["expected_cost"]]
    return [str(name) for name in table["customer_id"]], offered, value


def _served(store: str, labels: Mapping[str, str]) -> Given:
    """Read a store: those who have a group, since visitors that nobody knows look like anybody else."""
    from api.storage.ledger_looked_at import looked_at
    from api.storage.offers_told import received

    with looked_at(store) as connection:
        rows = [row for row in received(connection) if row.customer_id in labels]
    return (
        [row.customer_id for row in rows],
        [row.offered for row in rows],
        [float(row.taken_off) for row in rows],
    )


def _columns(path: Path, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Read columns of a CSV or Parquet file; CSV as text."""
    import duckdb

    try:
        read = "read_parquet(?)" if path.suffix == ".parquet" else "read_csv(?, all_varchar = true)"
        with duckdb.connect() as connection:
            chosen = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
            rows = connection.execute(f"SELECT {chosen} FROM {read}", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise DataError(
            f"{path} cannot be read as a table with {', '.join(names)}.",
            why=str(error).splitlines()[0],
            todo="Give a CSV or Parquet file with these columns.",
        ) from error
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _told(group: Group) -> Mapping[str, object]:
    """Return a group as programs read it: intervals as estimate, lower and upper end, null where none is."""
    share = group.share
    parts = {"rate": share.rate, "value": share.value, "ratio": group.ratio}
    ends = {
        name: [None if math.isnan(end) else end for end in (of.estimate, of.lower, of.upper)]
        for name, of in parts.items()
    }
    counts = {"customers": share.customers, "offered": share.offered}
    return {"group": group.name, **counts, **ends, "flag": group.flag.value}


def _grid(session: Session, found: tuple[Group, ...], by: str) -> Any:
    texts = session.texts
    heads = [texts.text("fairness", name) for name in ("customers", "rate", "value", "ratio", "says")]
    rows = [
        (
            group.name or texts.text("fairness", "none"),
            texts.number(group.share.customers),
            _interval(group.share.rate, 1),
            _interval(group.share.value, 0),
            _interval(group.ratio, 2),
            texts.text("fairness", group.flag.value),
        )
        for group in found
    ]
    return grid(texts.text("fairness", "title"), [by, *heads], rows, right=(1, 2, 3, 4))


def _interval(of: Interval, digits: int) -> str:
    if math.isnan(of.estimate):
        return ""
    scale, unit = (100.0, " %") if digits == 1 else (1.0, "")
    middle = f"{of.estimate * scale:.{digits}f}{unit}"
    if math.isnan(of.lower):
        return middle
    return f"{middle} ({of.lower * scale:.{digits}f} - {of.upper * scale:.{digits}f})"
