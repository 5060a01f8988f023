"""``tarifa train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import DataError

if TYPE_CHECKING:
    from api.cli.session import Told
    from policies.serve.artifact import StoredPolicy
    from policies.serve.shelf import Shelf

__all__ = ["TRAINING_WORLDS", "train_folder", "train_policy"]

TRAINING_WORLDS = 256
"""Posterior draws 0 to 255 are the worlds to train in; simulations use others."""


def train_policy(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    policy: Annotated[str, typer.Option(help="ppo, or static, resolve, thompson: those are planned.")],
    out: Annotated[Path, typer.Option(help="Policy folder to write.")],
    products: Annotated[
        int, typer.Option(help="ppo: products to learn on; it decides for all others too.", min=1)
    ] = 64,
    rollouts: Annotated[int, typer.Option(help="ppo: whole episodes played and learned from.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="ppo: everything random follows from it.", min=0)] = 0,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Train or plan a policy in sampled worlds and write it as a folder of plain arrays.

    Example: tarifa train run --policy ppo --out policy
    """

    def work(session: Session) -> Outcome:
        return train_folder(session, run, policy, out, products=products, rollouts=rollouts, seed=seed)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def train_folder(
    session: Session, run: Path, policy: str, out: Path, *, products: int, rollouts: int, seed: int
) -> Outcome:
    """Train a policy on a run folder and write it."""
    from api.policies import POLICY_FILE, POLICY_KIND, POLICY_VERSION, TRAINING_FILE, make_policy
    from api.runs import open_shelf
    from simulators.folders import claim

    trained: list[list[str]] = []
    with claim(out, POLICY_KIND, version=POLICY_VERSION) as draft, session.progress("train") as told:
        told("reading the run", 0.0)
        shelf = open_shelf(run)
        if policy == "ppo":
            some = _some(shelf, products)
            series = some.catalogue.series
            trained = [list(pair) for pair in zip(series.group, series.zone, strict=True)]
            made = _learned(some, rollouts, seed, told)
        else:
            told("planning", 0.2)
            made = make_policy(policy, shelf)
        (draft / POLICY_FILE).write_bytes(made.to_bytes())
        facts = {"policy": made.name, "version": made.version, "seed": seed, "trained_on": trained}
        (draft / TRAINING_FILE).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    document = {"out": str(out), "policy": made.name, "version": made.version, "products": len(trained)}
    how = (
        f"trained on {len(trained):,} products" if trained else f"planned for {len(shelf.catalogue):,} series"
    )
    return Outcome(document, (f"{made.name} {made.version[:12]}, {how}; written to {out}",))


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


def _learned(shelf: Shelf, rollouts: int, seed: int, told: Told) -> StoredPolicy:
    from policies.train.ppo import PPOSettings, train_ppo
    from simulators.market import sample_worlds

    worlds = sample_worlds(shelf.model, shelf.catalogue, TRAINING_WORLDS)
    return train_ppo(
        shelf.scenario,
        worlds,
        seed=seed,
        settings=PPOSettings(rollouts=rollouts),
        progress=lambda done, all_: told(f"episode {done} of {all_}", done / all_),
    )
