"""``tarifa simulate``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from api.cli.grid import grid
from api.cli.session import AcceptFailed, AsJson, Debug, Language, Outcome, Restart, Session, carry_out, named
from api.standing_texts import standing_shown
from api.texts import Texts
from pricing.errors import NotIdentified, UsageError
from pricing.money import Currency

if TYPE_CHECKING:
    from api.cli.session import Told
    from api.tables import Simulated
    from policies.compare import Difference
    from policies.rollout import Outcome as Rolled
    from policies.serve.artifact import StoredPolicy
    from policies.serve.shelf import Shelf
    from pricing.arrays import Ints
    from pricing.standing import Standing
    from simulators.market import Differences
    from simulators.unfinished import Work

__all__ = ["HELD_OUT", "SIMULATION_KIND", "simulate_folder", "simulate_policies"]

HELD_OUT = 10_000
"""First posterior draw that simulations use as a world: no policy was planned or trained on it."""

SIMULATION_KIND = "simulation"

_MOST_WORLDS = 8
"""Worlds of a piece at most: what is lost where a long simulation is stopped."""

_MOST_DECISIONS = 1_000_000
"""Decisions that one simulation may keep: they are held in memory until they are written."""


def simulate_policies(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    policies: Annotated[str, typer.Option(help="Names or policy folders, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    seeds: Annotated[int, typer.Option(help="Sampled worlds, each with its own noise.", min=2)] = 64,
    horizon: Annotated[int, typer.Option(help="Periods to simulate.", min=1, max=520)] = 13,
    reference: Annotated[
        str | None, typer.Option(help="Policy to compare with; default: resolve, else the first.")
    ] = None,
    products: Annotated[
        int | None,
        typer.Option(help="At most so many products, evenly spread; default: all that may move.", min=1),
    ] = None,
    workers: Annotated[int, typer.Option(help="Worker processes; 0: one a core.", min=0)] = 0,
    accept_failed: AcceptFailed = "",
    *,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="Also write every decision, with its menu and probabilities.")
    ] = False,
    restart: Restart = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Let policies price the shop in sampled worlds that none of them has seen, and compare them in pairs.

    Products whose price no policy may move are left out: they bring the same under all. A simulation that was
    stopped goes on where it stopped when the same command is given again (with --decisions it starts anew).
    A run whose passport failed is refused until each failed check is accepted by its name.

    Example: tarifa simulate run --policies incumbent,static,resolve --horizon 13 --out simulation
    """

    def work(session: Session) -> Outcome:
        return simulate_folder(
            session, run, named(policies), out, seeds, horizon, accepted=named(accept_failed),
            reference=reference, products=products, workers=workers, decisions=decisions, restart=restart,
        )  # fmt: skip

    carry_out(work, as_json=as_json, language=language, debug=debug)


def simulate_folder(
    session: Session,
    run: Path,
    names: tuple[str, ...],
    out: Path,
    seeds: int,
    horizon: int,
    *,
    accepted: tuple[str, ...] = (),
    reference: str | None = None,
    products: int | None = None,
    workers: int = 0,
    decisions: bool = False,
    restart: bool = False,
) -> Outcome:
    """Simulate policies on a run folder, from where an earlier call was stopped, and write the comparison."""
    from api.policies import trained_on
    from api.runs import open_shelf, run_id
    from simulators.unfinished import resumable

    if not names:
        raise UsageError("--policies names none.", todo="Give for example incumbent,static,resolve.")
    with resumable(out, SIMULATION_KIND) as work, session.progress("simulate") as told:
        told("reading the run", 0.0)
        shelf = _shelf(open_shelf(run, accepted), horizon, products)
        if decisions:
            _refuse_too_many(len(names) * seeds * horizon * len(shelf.catalogue))
        rolled, trained, differ = _rolled(
            shelf, names, seeds, workers or os.cpu_count() or 1, told, work, keep=decisions, restart=restart
        )
        seen = {pair for name in names for pair in trained_on(name)}
        series = shelf.catalogue.series
        unseen = [i for i, pair in enumerate(zip(series.group, series.zone, strict=True)) if pair not in seen]
        against = reference or ("resolve" if "resolve" in names else rolled[0].policy)
        tables = _comparisons(rolled, against, len(series), unseen)
        about = _about(shelf, run_id(run), trained)
        facts = {
            "run_id": about.run_id,
            "series": len(series),
            "worlds": seeds,
            "horizon": horizon,
            "currency": shelf.catalogue.currency,
            "reference": against,
            "worlds_differ": asdict(differ),
            **_found(about, tables),
        }
        (work.draft / "simulation.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
        _write_tables(work.draft, rolled, about, decisions=decisions)
    money = Currency.of(shelf.catalogue.currency)
    texts = session.texts
    what = partial(texts.text, "simulate", "what", worlds=texts.number(seeds), horizon=texts.number(horizon))
    shown = [
        _grid(what(which=texts.text("simulate", which, count=texts.number(count))), found, money, texts)
        for which, count, found in tables
    ]
    written = texts.text("simulate", "written", place=escape(str(out)))
    apart = texts.text("simulate", "differ", **{n: texts.number(v, 2) for n, v in asdict(differ).items()})
    standing = standing_shown(shelf.standing, texts, trained)
    return Outcome({**facts, "out": str(out)}, (*shown, apart, written, *standing))


def _found(
    about: Simulated, tables: tuple[tuple[str, int, tuple[Difference, ...]], ...]
) -> dict[str, object]:
    """Return under which passports it was simulated, and how the policies compare, JSON-able."""
    return {
        "standing": about.standing.document(),
        "trained_under": {release: found.document() for release, found in about.trained.items()},
        "comparisons": [
            {"which": which, "products": count, "policies": [asdict(d) for d in found]}
            for which, count, found in tables
        ],
    }


def _shelf(shelf: Shelf, horizon: int, products: int | None) -> Shelf:
    from dataclasses import replace

    import numpy as np

    movable = shelf.movable()
    if not movable.size:
        raise NotIdentified(
            "No product's price may move: the data identify no response to it.",
            why="Every policy would do the same.",
            todo="Vary prices, add a promotions table and declare its calendar, or set "
            "guardrails.act_on_prior; then fit again.",
        )
    count = movable.size if products is None else min(products, movable.size)
    places = np.unique(np.linspace(0, movable.size - 1, count).round().astype(np.int64))
    longer = replace(shelf, corridor=replace(shelf.corridor, horizon=horizon))
    return longer.take(movable[places])


def _refuse_too_many(count: int) -> None:
    if count > _MOST_DECISIONS:
        raise UsageError(
            f"{count:,} decisions are more than --decisions keeps ({_MOST_DECISIONS:,}).",
            todo="Ask for fewer --products, --seeds or periods, or leave --decisions out.",
        )


def _rolled(
    shelf: Shelf,
    names: tuple[str, ...],
    seeds: int,
    workers: int,
    told: Told,
    work: Work,
    *,
    keep: bool,
    restart: bool,
) -> tuple[tuple[Rolled, ...], dict[str, Standing], Differences]:
    """Roll out what is not done yet; every block is kept as soon as it is there, unless decisions are.

    Returns the outcomes, by release the standings of the models that policies were trained on, and how far
    the worlds lie apart.
    """
    from api.jobs import ProcessPool
    from api.policies import open_policy, trained_under
    from policies.rollout import BlockResult, Plan, blocks_of, roll_out
    from policies.serve.journey import release_name
    from simulators.market import sample_worlds

    told("making policies", 0.02)
    policies = [open_policy(name, shelf) for name in names]
    under = {
        release_name(made.name, made.version): trained_under(name)
        for name, made in zip(names, policies, strict=True)
    }
    trained = {release: found for release, found in under.items() if found is not None}
    pieces = work.resume(_recipe(shelf, policies, trained, seeds, decisions=keep), restart=restart)
    worlds = sample_worlds(shelf.model, shelf.catalogue, seeds, first=HELD_OUT, rivals=shelf.scenario.rivals)
    plan = Plan(
        shelf.scenario, worlds, 1, shelf.model.seed, shelf.model.fingerprint,
        block=min(max(seeds // 4, 1), _MOST_WORLDS), keep_decisions=keep,
    )  # fmt: skip
    found = {place: pieces.read(f"{place:06d}") for place in range(len(blocks_of(plan, policies)))}
    with ProcessPool(workers) as pool:
        rolled = roll_out(
            plan,
            policies,
            pool,
            progress=lambda done, all_: told("selling", 0.1 + 0.9 * done / all_),
            done={place: BlockResult.from_bytes(content) for place, content in found.items() if content},
            keep=None if keep else lambda place, result: pieces.write(f"{place:06d}", result.to_bytes()),
        )
    return rolled, trained, worlds.differences


def _recipe(
    shelf: Shelf,
    policies: list[StoredPolicy],
    trained: Mapping[str, Standing],
    seeds: int,
    *,
    decisions: bool,
) -> dict[str, object]:
    """Return all that a rollout, and what is said of it, follows from."""
    import platform
    from importlib.metadata import version

    return {
        "run": shelf.digest,
        "passport": shelf.standing.passport,
        "trained_under": {release: found.passport for release, found in trained.items()},
        "policies": {f"{place}, {made.name}": made.version for place, made in enumerate(policies, 1)},
        "series": len(shelf.catalogue),
        "seeds": seeds,
        "horizon": shelf.corridor.horizon,
        "decisions": decisions,
        "versions": {name: version(name) for name in ("numpy", "scipy", "tarifa")},
        "machine": platform.machine(),
    }


def _comparisons(
    rolled: tuple[Rolled, ...], reference: str, count: int, unseen: list[int]
) -> tuple[tuple[str, int, tuple[Difference, ...]], ...]:
    """Return which products, how many, and how the policies compare on them."""
    import numpy as np

    from policies.compare import compare

    every = ("all", count, compare(rolled, reference))
    if not 0 < len(unseen) < count:
        return (every,)
    some: Ints = np.array(unseen, dtype=np.int64)
    return every, ("unseen", len(unseen), compare(rolled, reference, some))


def _grid(title: str, found: tuple[Difference, ...], money: Currency, texts: Texts) -> Table:
    word, reference = partial(texts.text, "simulate"), found[0].reference
    level = texts.text("word", "interval")
    over, share = word("over", reference=reference), word("share", reference=reference)
    header = (word("policy"), word("profit"), over, level, share, level, word("wins"))

    def amount(value: float) -> str:
        return texts.amount(round(value), money)

    rows = [
        (
            d.policy,
            amount(d.profit),
            amount(d.money.estimate),
            f"{amount(d.money.lower_90)} .. {amount(d.money.upper_90)}",
            texts.number(d.percent.estimate, 2),
            f"{texts.number(d.percent.lower_90, 2)} .. {texts.number(d.percent.upper_90, 2)}",
            texts.percent(d.wins),
        )
        for d in found
    ]
    return grid(title, header, rows, right=(1, 2, 3, 4, 5, 6))


def _about(shelf: Shelf, name: str, trained: Mapping[str, Standing]) -> Simulated:
    from api.tables import Simulated

    catalogue, scenario = shelf.catalogue, shelf.scenario
    return Simulated(
        name,
        catalogue.currency,
        catalogue.basis,
        scenario.first_day,
        scenario.period_days,
        shelf.standing,
        trained,
    )


def _write_tables(draft: Path, rolled: tuple[Rolled, ...], about: Simulated, *, decisions: bool) -> None:
    """Write profit and units of every policy, run and period, and the decisions where they are asked for."""
    from api.tables import decisions_table, rollouts_table
    from simulators.output_tables import table_bytes

    (draft / "rollouts.parquet").write_bytes(table_bytes(rollouts_table(rolled, about)))
    if decisions:
        (draft / "decisions.parquet").write_bytes(table_bytes(decisions_table(rolled, about)))
