"""``tarifa validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out

if TYPE_CHECKING:
    from simulators.demand.validate import Validation

__all__ = ["validate_folder", "validate_run", "validation_document"]


def validate_run(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Compare what the run predicts with the periods that its fit did not see.

    A run that was fitted on everything says so and makes a holdout of its own: its last fifth.

    Example: tarifa validate run
    """

    def work(session: Session) -> Outcome:
        return validate_folder(session, run)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def validate_folder(session: Session, run: Path) -> Outcome:
    """Validate the run of a folder."""
    import simulators.run

    with session.progress("validate") as told:
        told("reading the run", 0.1)
        found = simulators.run.validate_run(simulators.run.load_run(run), told)
    return Outcome(validation_document(found), _shown(found))


def validation_document(found: Validation) -> dict[str, object]:
    """Return a validation as JSON-able values."""
    from dataclasses import asdict

    document = asdict(found)
    document["totals"] = {
        "periods": [str(day) for day in found.totals.periods],
        **{
            name: [float(value) for value in getattr(found.totals, name)]
            for name in ("actual", "expected", "lower", "upper")
        },
    }
    return document


def _shown(found: Validation) -> tuple[RenderableType, ...]:
    title = f"{found.series:,} series, {found.periods} periods from {found.until}"
    rows = (
        ("WMAPE", f"{found.wmape:.3f}", f"{found.naive_wmape:.3f}"),
        ("Poisson deviance", f"{found.deviance:.2f}", f"{found.naive_deviance:.2f}"),
        ("bias", f"{found.bias:+.1%}", ""),
        ("bias where the price moved over 10 %", _known(f"{found.bias_moved:+.1%}"), ""),
        ("sales inside their 90 % interval", f"{found.coverage:.1%}", ""),
        ("shop totals inside their 90 % band", f"{found.covered_totals:.0%}", ""),
        ("negative response to regular price", f"{found.negative_regular:.1%}", ""),
        ("negative response to discounts", f"{found.negative_depth:.1%}", ""),
        (
            "slope of actual on predicted price effects",
            _known(f"{found.lift.slope:.2f} ± {found.lift.standard_error:.2f}"),
            "",
        ),
        ("what price effects explain, log likelihood a unit", _known(f"{found.lift.gain:.4f}"), ""),
    )
    table = grid(title, ("measure", "model", "mean of last 8"), rows, right=(1, 2))
    if not found.own_holdout:
        return (table,)
    note = (
        "This run had no periods after its --until: its last fifth was held out, and a model fitted on the "
        "rest is what was validated."
    )
    return (note, table)


def _known(shown: str) -> str:
    """Return a figure, or that there is none: where no price moved its effect cannot be measured."""
    return "no price moved" if "nan" in shown else shown
