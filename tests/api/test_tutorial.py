"""The tutorial is walked as it is written: its commands, its settings, its addresses."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.server import served
from tests.api.walk_shop import TODAY, write_walk

TEXT = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
STEPS = re.findall(r"```(sh|toml)\n(.*?)```", TEXT, re.DOTALL)


def _run(line: str, folder: Path) -> str:
    """Run a command of the tutorial in a folder; `tarifa` is this one."""
    words = shlex.split(line)
    words = [sys.executable, "-m", "api.cli.main", *words[1:]] if words[0] == "tarifa" else ["sh", "-c", line]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _set(text: str, settings: str) -> str:
    """Return the shop file with the settings that the tutorial tells to change."""
    section = ""
    for line in settings.splitlines():
        entry = line.partition("#")[0].strip()
        if entry.startswith("["):
            section = entry
        elif entry:
            name = entry.partition(" =")[0]
            start = text.index(f"\n{section}\n") if section else 0
            place = text.index(f"\n{name} = ", start) + 1
            text = text[:place] + entry + text[text.index("\n", place) :]
    return text


def test_the_walk_from_an_export_to_a_price_that_arrived(tmp_path: Path) -> None:
    exports = write_walk(tmp_path / "exports")
    assert f"--today {TODAY}" in TEXT
    before = (exports / "products_export.csv").read_bytes()
    cycled = 0
    for kind, body in STEPS:
        if kind == "toml":
            place = tmp_path / "shop" / "shop.toml"
            place.write_text(_set(place.read_text(), body))
            continue
        for line in body.strip().splitlines():
            if " serve " in line:
                _approve(line, tmp_path)
                continue
            said = _run(line, tmp_path)
            if " cycle " in line:
                cycled += 1
                _after_cycle(cycled, said, tmp_path, before)
    assert cycled == 3
    assert "No price will be moved yet" in (tmp_path / "readiness.html").read_text()


def _approve(line: str, folder: Path) -> None:
    """Serve as the tutorial says, and approve over HTTP everything that waits."""
    words = shlex.split(line)
    with (
        served(
            folder / words[2], folder / "shop" / "store.sqlite3", *words[5:], "--policy", "resolve"
        ) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        assert client.get("/desk").status_code == 200
        asked = {"selection": {"states": ["pending"]}, "action": "approve"}
        shown = client.post("/v1/approvals/preview", json=asked).json()
        assert shown["count"] >= 1
        done = client.post("/v1/approvals/bulk", json={**asked, "etag": shown["etag"]})
        assert done.status_code == 200, done.text


def _after_cycle(times: int, said: str, folder: Path, before: bytes) -> None:
    published = folder / "shop" / "cycles" / str(TODAY) / "published" / f"{TODAY}-001-publish.csv"
    if times == 1:
        assert "wait for approval" in said
        assert not published.exists()
    elif times == 2:
        assert "Price changes published" in said
        after = published.read_bytes()
        assert after != before
        assert len(after.splitlines()) == len(before.splitlines())
        changed = sum(a != b for a, b in zip(after.splitlines(), before.splitlines(), strict=True))
        assert changed >= 1
        (folder / "shop" / "inbox" / "products_export.csv").write_bytes(after)
    else:
        assert "confirmed" in said


@pytest.mark.parametrize("name", ["imports.md", "cycle.md", "api.md", "impact.md"])
def test_what_the_tutorial_refers_to_exists(name: str) -> None:
    assert f"({name}" in TEXT
    assert (Path(__file__).parents[2] / "docs" / name).is_file()
