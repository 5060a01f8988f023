"""A fit says at the terminal what its instruments do, and that weak ones are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from simulators.known_truth.draw import World, draw_world
from simulators.known_truth.specification import Information, WorldSpec
from simulators.known_truth.tables import write_world


@pytest.fixture(scope="module")
def world() -> World:
    spec = WorldSpec(3, kappa=0.3, information=Information.INSTRUMENT, products=120, weeks=40)
    return draw_world(spec)


def fitted(world: World, folder: Path, *words: str) -> str:
    write_world(world, folder / "data")
    result = CliRunner().invoke(app, ["fit", str(folder / "data"), "--out", str(folder / "run"), *words])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_a_strong_instrument_is_shown_and_used(world: World, tmp_path: Path) -> None:
    shown = fitted(world, tmp_path)
    assert "instrument cost" in shown
    assert "instruments used, F" in shown
    stage = json.loads((tmp_path / "run" / "report.json").read_text())["first_stage"]
    assert not stage["refused"]
    assert f"{stage['strength']:.1f}" in shown
    assert f"+{stage['slopes'][0]:.3f}" in shown


def test_a_weak_instrument_is_said_to_be_refused(world: World, tmp_path: Path) -> None:
    backwards = replace(world, cost=world.cost[::-1])  # each product has another one's cost
    shown = fitted(backwards, tmp_path, "--language", "es")
    assert "instrumentos débiles rechazados, F" in shown
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["first_stage"]["refused"]
    assert {how for kind, how, count in report["identified"] if count} == {"not_identified"}
