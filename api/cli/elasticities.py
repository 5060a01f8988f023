"""``tarifa elasticities``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out

__all__ = ["elasticities_file", "write_elasticities"]


def write_elasticities(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Write every product's elasticities with intervals, what identifies them, and where they hold.

    Example: tarifa elasticities run --out elasticities.parquet
    """

    def work(session: Session) -> Outcome:
        return elasticities_file(session, run, out)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def elasticities_file(session: Session, run: Path, out: Path) -> Outcome:
    """Write the elasticities of a run folder."""
    import numpy as np

    from pricing.evidence import Identification, PriceKind
    from simulators.demand.elasticities import elasticities
    from simulators.folders import write_file
    from simulators.output_tables import elasticities_table, table_bytes
    from simulators.run import load_run

    with session.progress("elasticities") as told:
        told("reading the run", 0.1)
        loaded = load_run(run)
        found = elasticities(loaded.model, loaded.training)
        told("writing", 0.8)
        write_file(out, table_bytes(elasticities_table(found, loaded)))
    texts = session.texts
    title = texts.text("elasticities", "title", count=texts.number(2 * len(found.series)), place=str(out))
    shown: list[tuple[str, ...]] = []
    rows: list[dict[str, object]] = []
    for kind in PriceKind:
        for how in Identification:
            chosen = found.identified_by[:, kind] == how
            if chosen.any():
                middle = float(np.median(found.elasticity[chosen, kind]))
                rows.append(
                    {
                        "kind": kind.label,
                        "identified_by": how.label,
                        "products": int(chosen.sum()),
                        "median": middle,
                    }
                )
                names = (texts.text("price_kind", kind.label), texts.text("identified_by", how.label))
                shown.append((*names, texts.number(int(chosen.sum())), texts.number(middle, 2, signed=True)))
    columns = ("price", "identified_by", "products", "median")
    table = grid(title, [texts.text("elasticities", code) for code in columns], shown, right=(2, 3))
    return Outcome({"out": str(out), "run_id": loaded.identifier, "elasticities": rows}, (table,))
