"""The bench of known-truth worlds scores as docs/worlds.md says, knows what is attainable, and runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.worlds_bound import attainable
from bench.worlds_cases import OURS, POLICIES, REFERENCES
from bench.worlds_references import double_ml_iv
from bench.worlds_scores import Answer, constant_elasticity, coverage, interval_score, no_response, score
from simulators.known_truth.draw import Truth, draw_world
from simulators.known_truth.specification import WorldSpec

TRUTH = Truth(
    units=np.array([100.0, 200.0]),
    units_up=np.array([80.0, 190.0]),
    units_down=np.array([120.0, 210.0]),
    elasticity=np.array([-2.0, -0.5]),
    units_ahead=np.zeros((2, 4)),
    tested=np.array([True, False]),
)
LIMITS = np.array([-3.0, -2.0]), np.array([-1.0, -1.0])


def test_scores_by_hand() -> None:
    answer = Answer(np.array([0.9, 0.95]), np.array([1.1, 1.05]), np.array([-1.5, 0.5]), *LIMITS)
    found = score(TRUTH, answer)
    # Off by 10 and 0 at the higher price, by 10 and 0 at the lower; 600 units in all.
    assert found.counterfactual == pytest.approx(20.0 / 600.0)
    assert found.coverage == 0.5
    # Widths 2 and 1; the second interval misses by .5, which costs 20 times that.
    assert found.interval == pytest.approx((2.0 + 1.0 + 20.0 * 0.5) / 2.0)
    assert found.bias == pytest.approx(0.75)
    assert found.negative == 0.5
    assert score(TRUTH, answer, TRUTH.tested).counterfactual == pytest.approx(20.0 / 200.0)


def test_an_answer_without_intervals_has_no_coverage() -> None:
    found = score(TRUTH, no_response(2))
    assert found.counterfactual == pytest.approx((20.0 + 10.0 + 20.0 + 10.0) / 600.0)
    assert np.isnan([found.coverage, found.interval]).all()
    assert np.isnan(coverage(np.array([np.nan]), np.array([np.nan]), np.array([0.0])))


def test_a_constant_elasticity_answers_with_powers() -> None:
    answer = constant_elasticity(np.array([-2.0]), np.array([0.5]))
    assert answer.up[0] == pytest.approx(1.1**-2)
    assert answer.down[0] == pytest.approx(0.9**-2)
    assert (answer.lower[0], answer.upper[0]) == (
        pytest.approx(-2.8224, abs=1e-4),
        pytest.approx(-1.1776, abs=1e-4),
    )


def test_the_right_interval_scores_best() -> None:
    truth = np.random.default_rng(2).normal(size=20_000)
    scores = {z: interval_score(np.full(20_000, -z), np.full(20_000, z), truth) for z in (1.0, 1.645, 2.5)}
    assert min(scores, key=lambda z: scores[z]) == 1.645


def test_knowing_more_attains_more_and_longer_histories_help() -> None:
    world = draw_world(WorldSpec(1, products=80))
    known, learned = attainable(world)
    assert known < learned
    longer = attainable(draw_world(WorldSpec(1, products=80, weeks=104)))
    assert longer[0] < known
    # Nothing at all known of a product but its population: errors of .5 around the category's mean.
    errors = np.random.default_rng(3).normal(0.0, 0.5, 80)
    blind = score(world.truth, constant_elasticity(world.truth.elasticity + errors)).counterfactual
    assert learned < 1.1 * blind


def test_an_instrument_that_is_not_there_is_refused() -> None:
    panel = type("NoCosts", (), {"cost": None})()
    with pytest.raises(ValueError, match="costs"):
        double_ml_iv(panel)


def test_the_bench_runs(tmp_path: Path) -> None:
    out, plot = tmp_path / "worlds.json", tmp_path / "worlds.png"
    command = [sys.executable, "-m", "bench.worlds", "--fast", "--json", str(out), "--plot", str(plot)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    for heading in ("To reproduce first", "move for reasons of their own", "costs given", "nothing tells it"):
        assert heading in done.stdout
    assert done.stdout.count("->") == 14
    worlds = json.loads(out.read_text(encoding="utf-8"))["worlds"]
    assert len(worlds) == 16
    assert {name for world in worlds for name in world["scores"]} == {OURS, *REFERENCES}
    for world in worlds:
        assert 0.0 < world["scores"][OURS]["counterfactual"] < 0.2
        if world["ranking"] is not None:
            assert len(world["ranking"]["true"]) == len(POLICIES)
    free = [w["scores"] for w in worlds if w["case"]["table"] == "exogenous"]
    assert all(s[OURS]["counterfactual"] < s["no response"]["counterfactual"] for s in free)
    chasing = {w["case"]["table"]: w for w in worlds if w["case"]["spec"]["kappa"] > 0.0}
    assert chasing["nothing"]["status"] == {"not_identified": 1.0}
    assert chasing["experiment"]["status_tested"] == {"experiment": 1.0}
    assert plot.read_bytes().startswith(b"\x89PNG")
