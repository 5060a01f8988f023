"""``tarifa recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from api.cli.grid import grid
from api.cli.session import AcceptFailed, AsJson, Debug, HeldBy, Language, Outcome, Session, carry_out, named
from api.planned import plans_told
from api.standing_texts import standing_shown
from api.texts import Texts
from pricing.money import Currency

if TYPE_CHECKING:
    from policies.serve.journey import Recommendation, Recommended

__all__ = ["recommend_folder", "recommend_prices", "recommendations_shown"]


def recommend_prices(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    policy: Annotated[
        str, typer.Option(help="incumbent, static, resolve, thompson, or a folder that `tarifa train` wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    rows: Annotated[int, typer.Option(help="Most rows to show; the file holds all.", min=0)] = 20,
    accept_failed: AcceptFailed = "",
    plan: HeldBy = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Recommend the coming period's prices of the whole catalogue, behind the shop's guardrails.

    A run whose passport failed is refused until each failed check is accepted by its name; every
    recommendation then says so.

    Example: tarifa recommend run --policy resolve --out recommendations.parquet
    """

    def work(session: Session) -> Outcome:
        return recommend_folder(session, run, policy, out, rows, accepted=named(accept_failed), plan=plan)[0]

    carry_out(work, as_json=as_json, language=language, debug=debug)


def recommend_folder(
    session: Session,
    run: Path,
    policy: str,
    out: Path,
    rows: int,
    *,
    accepted: tuple[str, ...] = (),
    plan: Path | None = None,
) -> tuple[Outcome, Recommended]:
    """Recommend by a run folder and write the table."""
    from api.policies import open_policy, trained_under
    from api.runs import open_shelf, run_id
    from api.tables import recommendations_table
    from policies.serve.journey import recommend
    from simulators.folders import write_file
    from simulators.output_tables import table_bytes

    with session.progress("recommend") as told:
        told("reading the run", 0.05)
        shelf = open_shelf(run, accepted, plan)
        told("making the policy", 0.15)
        chosen = open_policy(policy, shelf)
        told("deciding", 0.4)
        made = recommend(shelf, chosen, trained_under=trained_under(policy))
        told("writing", 0.8)
        found = made.rows(range(len(made)))
        name = run_id(run)
        document = {**_document(made), "run_id": name}
        write_file(out, table_bytes(recommendations_table(made, found, name, document)))
    return Outcome(
        {**document, "out": str(out)}, recommendations_shown(made, found, session.texts, rows)
    ), made


def _document(made: Recommended) -> dict[str, object]:
    return {
        "provenance_digest": made.provenance_digest,
        "release": made.release,
        "valid_from": made.shelf.catalogue.as_of,
        "valid_to": made.valid_to,
        "series": len(made),
        "moved": made.moved,
        "profit_change_minor": round(float(made.assessment.profit_change.sum())),
        "currency": made.shelf.catalogue.currency,
        "at_bound_share": made.at_bound_share,
        "movable": made.movable,
        "driven_by_limits": made.driven_by_limits,
        "shadow_price": float(made.decisions.admission.shadow_price[0]),
        "promoted": int(made.shelf.plans.promoted().sum()),
        "plans_left_out": made.shelf.plans.left_out,
        "trial": None if made.shelf.trial is None else made.shelf.trial.digest,
        "held": 0 if made.shelf.held is None else int((made.shelf.held > 0).sum()),
        "standing": made.shelf.standing.document(),
        "trained_under": None if made.trained_under is None else made.trained_under.document(),
    }


def recommendations_shown(
    made: Recommended, rows: tuple[Recommendation, ...], texts: Texts, most: int
) -> tuple[RenderableType, ...]:
    """Return the largest moves as a table a person can read, and what to make of the run."""
    word = texts.text
    moves = [row for row in rows if row.recommended_price not in (None, row.current_price)]
    moves.sort(key=lambda row: (-row.profit_change, row.price_group, row.zone))
    names = ("price_group", "current_price", "recommended_price", "profit_change", "interval")
    header = [word("word", name) for name in (*names, "probability_of_loss", "limited_by")]
    several = len({row.zone for row in rows}) > 1
    title = f"{made.release}, {texts.span(made.shelf.catalogue.as_of, made.valid_to)}"
    money = Currency.of(made.shelf.catalogue.currency)
    table = grid(
        title,
        header,
        (_cells(row, money, texts, several=several) for row in moves[:most]),
        right=(1, 2, 3, 4, 5),
    )
    told: list[RenderableType] = [
        table if moves else word("word", "still", count=texts.number(len(rows) - made.movable)),
        word("word", "shown", shown=texts.number(min(most, len(moves))), all=texts.number(len(rows))),
        word("word", "moved", moved=texts.number(made.moved), all=texts.number(len(rows))),
        word(
            "word",
            "at_bound",
            count=texts.number(made.movable),
            rest=texts.number(len(rows) - made.movable),
            share=texts.percent(made.at_bound_share, 1),
        ),
    ]
    plans = made.shelf.plans
    if made.shelf.trial is not None and made.shelf.held is not None:
        held = texts.number(int((made.shelf.held > 0).sum()))
        told.append(word("word", "held_out", count=held, digest=made.shelf.trial.digest[:12]))
    told += plans_told(int(plans.promoted().sum()), plans.left_out, texts)
    if made.driven_by_limits:
        from pricing.recommendation import LIMIT_SHARE

        told.append(f"[yellow]{word('word', 'driven_by_limits', limit=texts.percent(LIMIT_SHARE))}[/yellow]")
    trained = {} if made.trained_under is None else {made.release: made.trained_under}
    return (*told, *standing_shown(made.shelf.standing, texts, trained))


def _cells(row: Recommendation, money: Currency, texts: Texts, *, several: bool) -> tuple[str, ...]:
    lower, upper = texts.amount(row.profit_change_lower, money), texts.amount(row.profit_change_upper, money)
    return (
        f"{row.price_group} ({row.zone})" if several else row.price_group,
        texts.amount(row.current_price, money),
        "" if row.recommended_price is None else texts.amount(row.recommended_price, money),
        texts.amount(row.profit_change, money),
        f"{lower} .. {upper}",
        texts.percent(row.probability_of_loss),
        "" if row.binding_guardrail is None else texts.text("rule", row.binding_guardrail.label),
    )
