"""``tarifa train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.session import AcceptFailed, AsJson, Debug, Language, Outcome, Restart, Session, carry_out, named
from api.standing_texts import standing_shown
from pricing.errors import DataError

if TYPE_CHECKING:
    from api.cli.session import Told
    from policies.serve.artifact import StoredPolicy
    from policies.serve.shelf import Shelf
    from policies.train.ppo import PPOSettings
    from pricing.arrays import Floats
    from simulators.unfinished import Pieces

__all__ = ["LEARNING_FILE", "TRAINING_WORLDS", "train_folder", "train_policy"]

TRAINING_WORLDS = 256
"""Posterior draws 0 to 255 are the worlds to train in; simulations use others."""

LEARNING_FILE = "learning.png"
"""Picture in the folder of a policy that learns: how it learnt, beside policies that need no learning."""

_STATE = "state"
"""Piece of unfinished work that holds the training after its last whole episode."""

_COMPARED = 16
"""Training worlds in which the picture compares what was learnt with what needs no learning."""

_LIBRARIES = ("numpy", "torch", "stable-baselines3", "tarifa")


def train_policy(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    policy: Annotated[str, typer.Option(help="ppo, or static, resolve, thompson: those are planned.")],
    out: Annotated[Path, typer.Option(help="Policy folder to write.")],
    products: Annotated[
        int, typer.Option(help="ppo: products to learn on; it decides for all others too.", min=1)
    ] = 64,
    rollouts: Annotated[int, typer.Option(help="ppo: whole episodes played and learned from.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="ppo: everything random follows from it.", min=0)] = 0,
    accept_failed: AcceptFailed = "",
    *,
    restart: Restart = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Train or plan a policy in sampled worlds and write it as a folder of plain arrays.

    A training that was stopped goes on where it stopped when the same command is given again, and ends in the
    same bytes. A run whose passport failed is refused until each failed check is accepted by its name; the
    folder says under which passport it was trained.

    Example: tarifa train run --policy ppo --out policy
    """

    def work(session: Session) -> Outcome:
        return train_folder(
            session, run, policy, out, products=products, rollouts=rollouts, seed=seed, restart=restart,
            accepted=named(accept_failed),
        )  # fmt: skip

    carry_out(work, as_json=as_json, language=language, debug=debug)


def train_folder(
    session: Session,
    run: Path,
    policy: str,
    out: Path,
    *,
    products: int,
    rollouts: int,
    seed: int,
    restart: bool = False,
    accepted: tuple[str, ...] = (),
) -> Outcome:
    """Train a policy on a run folder, from where an earlier call was stopped, and write it."""
    from api.policies import POLICY_FILE, POLICY_KIND, POLICY_VERSION, TRAINING_FILE, make_policy
    from api.runs import open_shelf
    from simulators.unfinished import resumable

    facts: dict[str, object] = {"policy": policy, "seed": seed}
    trained: list[list[str]] = []
    with resumable(out, POLICY_KIND, version=POLICY_VERSION) as work, session.progress("train") as told:
        told("reading the run", 0.0)
        shelf = open_shelf(run, accepted)
        recipe = {"run": shelf.digest, "policy": policy, "passport": shelf.standing.passport}
        if policy == "ppo":
            some, how = _some(shelf, products), _settings(rollouts)
            pieces = work.resume({**recipe, **_recipe(how, products, seed)}, restart=restart)
            made, curve = _learned(some, how, seed, pieces, told)
            series = some.catalogue.series
            trained = [list(pair) for pair in zip(series.group, series.zone, strict=True)]
            facts |= _picture(work.draft, some, made, curve, told)
        else:
            work.resume(recipe, restart=restart)
            told("planning", 0.2)
            made = make_policy(policy, shelf)
        (work.draft / POLICY_FILE).write_bytes(made.to_bytes())
        facts |= {"policy": made.name, "version": made.version, "trained_on": trained}
        facts |= {"standing": shelf.standing.document()}
        (work.draft / TRAINING_FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    return _outcome(session, made, len(trained), shelf, out)


def _outcome(session: Session, made: StoredPolicy, trained: int, shelf: Shelf, out: Path) -> Outcome:
    document = {"out": str(out), "policy": made.name, "version": made.version, "products": trained}
    how = f"trained on {trained:,} products" if trained else f"planned for {len(shelf.catalogue):,} series"
    told = (
        f"{made.name} {made.version[:12]}, {how}; written to {out}",
        *standing_shown(shelf.standing, session.texts, {}),
    )
    return Outcome({**document, "standing": shelf.standing.document()}, told)


def _settings(rollouts: int) -> PPOSettings:
    from policies.train.ppo import PPOSettings

    return PPOSettings(rollouts=rollouts)


def _recipe(how: PPOSettings, products: int, seed: int) -> dict[str, object]:
    """Return what, besides the run, the bytes of a training follow from."""
    import platform
    from dataclasses import asdict
    from importlib.metadata import version

    versions = {"python": platform.python_version(), "machine": platform.machine()}
    versions |= {name: version(name) for name in _LIBRARIES}
    return {"products": products, "seed": seed, "settings": asdict(how), "versions": versions}


def _some(shelf: Shelf, most: int) -> Shelf:
    """Return at most `most` of the series that may move, evenly spread over the catalogue."""
    import numpy as np

    movable = shelf.movable()
    if not movable.size:
        raise DataError(
            "No product's price may move: the data identify no response to it.",
            why="There is nothing to learn.",
            todo="Add a promotions table and declare its calendar, or set guardrails.act_on_prior.",
        )
    places = np.unique(np.linspace(0, movable.size - 1, min(most, movable.size)).round().astype(np.int64))
    return shelf.take(movable[places])


def _learned(
    shelf: Shelf, how: PPOSettings, seed: int, pieces: Pieces, told: Told
) -> tuple[StoredPolicy, Floats]:
    """Return what was learnt and its learning curve."""
    from policies.train.ppo import train_ppo
    from simulators.market import sample_worlds

    curves: list[Floats] = []
    made = train_ppo(
        shelf.scenario,
        sample_worlds(shelf.model, shelf.catalogue, TRAINING_WORLDS, rivals=shelf.scenario.rivals),
        seed=seed,
        settings=how,
        progress=lambda done, all_: told(f"episode {done} of {all_}", 0.98 * done / all_),
        checkpoint=lambda state: pieces.write(_STATE, state),
        resume=pieces.read(_STATE),
        learnt=curves.append,
    )
    return made, curves[0]


def _picture(draft: Path, shelf: Shelf, made: StoredPolicy, curve: Floats, told: Told) -> dict[str, object]:
    """Draw the learning curve beside the policies that need no learning, and return its figures."""
    from api.policies import make_policy
    from policies.rollout import Plan, roll_out
    from policies.train.learning_plot import learning_plot
    from pricing.executor import InProcess
    from simulators.market import sample_worlds

    told("comparing", 0.98)
    worlds = sample_worlds(shelf.model, shelf.catalogue, _COMPARED, rivals=shelf.scenario.rivals)
    plan = Plan(shelf.scenario, worlds, 1, shelf.model.seed, shelf.model.fingerprint, block=_COMPARED)
    policies = (make_policy("incumbent", shelf), make_policy("static", shelf), make_policy("resolve", shelf))
    profit = [float(outcome.total.sum()) for outcome in roll_out(plan, (*policies, made), InProcess())]
    kept = profit[0]
    if kept <= 0.0 or not (curve[:, 1] > 0.0).all():
        return {"curve": curve.tolist()}  # the shop loses money as it is: nothing is a percentage of that
    references = {"static": profit[1] / kept, "re-solve": profit[2] / kept}
    (draft / LEARNING_FILE).write_bytes(learning_plot(curve, references, profit[3] / kept))
    return {"curve": curve.tolist(), "over_keeping": {**references, made.name: profit[3] / kept}}
