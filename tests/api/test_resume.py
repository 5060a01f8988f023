"""Commands that take long, stopped and given again: the same bytes, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from simulators.folders import MARKER

TRAIN = ("train", "{run}", "--policy", "ppo", "--products", "4", "--rollouts", "12", "--out", "{out}")
SIMULATE = (
    "simulate", "{run}", "--policies", "incumbent,static,resolve,thompson", "--seeds", "24",
    "--horizon", "8", "--workers", "2", "--out", "{out}",
)  # fmt: skip


def _words(words: tuple[str, ...], run: Path, out: Path) -> list[str]:
    return [word.format(run=run, out=out) for word in words]


def _call(words: tuple[str, ...], run: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, [*_words(words, run, out), *more])


def _work(out: Path) -> Path:
    return out.with_name(f".{out.name}.tarifa-work")


def _pieces(out: Path) -> dict[str, int]:
    """Return the pieces kept so far, by name: when each was written."""
    if not _work(out).is_dir():
        return {}
    with os.scandir(_work(out)) as found:
        return {f.name: f.stat().st_mtime_ns for f in found if not f.name.startswith(".")}


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.005)


@contextmanager
def _stopped_by(
    sent: signal.Signals, words: tuple[str, ...], run: Path, out: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command, wait for two changes of what it keeps, let the test look, and stop it."""
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", "api.cli.main", *_words(words, run, out)]
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        seen = list[dict[str, int]]()

        def moved() -> bool:
            now = _pieces(out)
            if len(now) > 1 and now not in seen:
                seen.append(now)
            return len(seen) > 1

        _wait(process, moved)
        yield process
        process.send_signal(sent)
        assert process.wait(30) != 0


def _bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def trained(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a training brings that nothing stops."""
    out = tmp_path_factory.mktemp("whole") / "policy"
    assert _call(TRAIN, run_folder, out).exit_code == 0
    assert not _work(out).exists()
    return _bytes(out)


def test_a_killed_training_goes_on_to_the_same_bytes(
    run_folder: Path, tmp_path: Path, trained: dict[str, bytes]
) -> None:
    out = tmp_path / "policy"
    with _stopped_by(signal.SIGKILL, TRAIN, run_folder, out):
        second = _call(TRAIN, run_folder, out, "--json")
        assert second.exit_code == 6
        assert "in use by another process" in json.loads(second.stdout)["error"]["what"]
    assert not out.exists(), "unfinished work must not look finished"
    other = _call(TRAIN, run_folder, out, "--seed", "1", "--rollouts", "13", "--json")
    error = json.loads(other.stdout)["error"]
    assert (other.exit_code, error["code"]) == (2, "usage")
    assert error["why"] == "It differs in seed: 0 then, 1 now; settings.rollouts: 12 then, 13 now."
    for words in (
        ("fit", str(run_folder.with_name("shop"))),
        ("train", str(run_folder), "--policy", "static"),
    ):
        refused = _call((*words, "--out", "{out}"), run_folder, out)
        assert refused.exit_code == 2
        assert "unfinished work of another call" in " ".join(refused.stderr.split())
    kept = _pieces(out)
    assert sorted(kept) == ["recipe.json", "state"]
    assert _call(TRAIN, run_folder, out).exit_code == 0
    assert _bytes(out) == trained
    assert [p.name for p in tmp_path.iterdir()] == ["policy"]


def test_a_training_stopped_by_its_user_goes_on_too(
    run_folder: Path, tmp_path: Path, trained: dict[str, bytes]
) -> None:
    out = tmp_path / "policy"
    for sent in (signal.SIGINT, signal.SIGTERM):
        with _stopped_by(sent, TRAIN, run_folder, out):
            pass
        assert not out.exists()
    assert _call(TRAIN, run_folder, out).exit_code == 0
    assert _bytes(out) == trained


def test_damaged_work_is_refused_and_restart_throws_it_away(
    run_folder: Path, tmp_path: Path, trained: dict[str, bytes]
) -> None:
    out = tmp_path / "policy"
    with _stopped_by(signal.SIGKILL, TRAIN, run_folder, out):
        pass
    state = _work(out) / "state"
    content = state.read_bytes()
    state.write_bytes(content[:-7])
    refused = _call(TRAIN, run_folder, out)
    assert refused.exit_code == 4
    assert "--restart" in refused.stderr
    (_work(out) / "recipe.json").write_text("[")
    assert _call(TRAIN, run_folder, out).exit_code == 4
    assert _call(TRAIN, run_folder, out, "--restart").exit_code == 0
    assert _bytes(out) == trained


def test_what_needs_no_learning_has_no_curve(run_folder: Path, tmp_path: Path) -> None:
    planned = tmp_path / "static"
    words = ("train", "{run}", "--policy", "static", "--out", "{out}")
    assert _call(words, run_folder, planned).exit_code == 0
    assert sorted(_bytes(planned)) == ["policy.npz", MARKER, "training.json"]


def test_the_curve_lies_beside_the_policy(trained: dict[str, bytes]) -> None:
    assert trained["learning.png"].startswith(b"\x89PNG")
    facts = json.loads(trained["training.json"])
    assert [len(row) for row in facts["curve"]] == [2] * 12
    assert sorted(facts["over_keeping"]) == ["ppo", "re-solve", "static"]
    assert all(0.5 < ratio < 2.0 for ratio in facts["over_keeping"].values())


def test_a_killed_simulation_goes_on_to_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "simulation"
    assert _call(SIMULATE, run_folder, whole, "--workers", "1").exit_code == 0
    with _stopped_by(signal.SIGKILL, SIMULATE, run_folder, out):
        assert _call(SIMULATE, run_folder, out).exit_code == 6
    assert not out.exists()
    kept = _pieces(out)
    assert len(kept) > 1
    other = _call(SIMULATE, run_folder, out, "--seeds", "25", "--json")
    error = json.loads(other.stdout)["error"]
    assert (other.exit_code, error["why"]) == (2, "It differs in seeds: 24 then, 25 now.")
    assert _pieces(out) == kept
    assert _call(SIMULATE, run_folder, out, "--workers", "1").exit_code == 0
    assert _bytes(out) == _bytes(whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["simulation", "whole"]
