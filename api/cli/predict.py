"""``tarifa predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out

__all__ = ["predict_file", "predict_scenario"]


def predict_scenario(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    scenario: Annotated[
        Path,
        typer.Option(
            help="Parquet file: product_id, zone?, period_start (first day of a period from --until on), "
            "offered_price, regular_price?, feature?, display?; prices with tax; absent: as last known."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Parquet file to write: the same rows in the same order.")],
    *,
    widen: Annotated[
        bool, typer.Option("--widen", help="Also answer for prices that nobody has ever seen.")
    ] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Predict sales of a plan, row by row, with intervals of the mean and of sales.

    Example: tarifa predict run --scenario plan.parquet --out predictions.parquet
    """

    def work(session: Session) -> Outcome:
        return predict_file(session, run, scenario, out, widen=widen)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def predict_file(session: Session, run: Path, scenario: Path, out: Path, *, widen: bool) -> Outcome:
    """Predict the rows of a scenario file by a run folder."""
    from simulators.demand.predict import last_known, predict
    from simulators.demand.scenario import periods_ahead
    from simulators.folders import write_file
    from simulators.output_tables import (
        predictions_table,
        read_scenario,
        refuse_contradictions,
        table_bytes,
    )
    from simulators.run import load_run

    with session.progress("predict") as told:
        told("reading the run", 0.1)
        loaded = load_run(run)
        table, asked = read_scenario(scenario, loaded.origin.exponent)
        refuse_contradictions(table, asked, loaded)
        told("predicting", 0.6)
        found = predict(loaded.model, last_known(loaded.training), asked, widen=widen)
        told("writing", 0.9)
        write_file(out, table_bytes(predictions_table(table, asked, found, loaded)))
    rows, units = len(asked.product), float(found.expected.sum())
    number = session.texts.number
    text = session.texts.text(
        "predict", "done", rows=number(rows), units=number(units, 1), place=escape(str(out))
    )
    document = {
        "out": str(out),
        "run_id": loaded.identifier,
        "rows": rows,
        "expected_units": units,
        "periods_ahead": int(periods_ahead(loaded.model, asked).max()),
    }
    return Outcome(document, (text,))
