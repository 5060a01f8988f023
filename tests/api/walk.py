"""A page of the documentation walked as it is written: its commands and settings, each command timed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.api.server import served
from tests.api.walk_shop import SMALL, TODAY, Size, write_walk
from tests.api.walk_woo import write_woo_walk

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Page:
    """A tutorial, and the invented shop with which it is walked."""

    name: str
    write: Callable[[Path, Size], Path]
    listing: str

    @property
    def text(self) -> str:
        return (ROOT / "docs" / self.name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a page: what it said, and how long it took (seconds of wall time)."""

    command: str
    said: str
    seconds: float


PAGES = (
    Page("tutorial.md", write_walk, "products_export.csv"),
    Page("tutorial-woocommerce.md", write_woo_walk, "wc-product-export.csv"),
)


def walk(
    page: Page,
    folder: Path,
    size: Size = SMALL,
    accept: tuple[str, ...] | None = None,
    settings: str = "",
) -> list[Step]:
    """Walk a page in an empty folder; after its second round the platform shows what was published.

    `accept` names the failed checks of the model that are accepted, None: those of the page; `settings` are
    set beside those of the page, as TOML.
    """
    exports = page.write(folder / "exports", size)
    steps: list[Step] = []
    for kind, body in re.findall(r"```(sh|toml)\n(.*?)```", _accepting(page.text, accept), re.DOTALL):
        if kind == "toml":
            place = folder / "shop" / "shop.toml"
            place.write_text(_set(_set(place.read_text(), body), settings))
            continue
        for line in body.strip().splitlines():
            begun = time.perf_counter()
            said = _approve(line, folder) if " serve " in line else _run(line, folder)
            steps.append(Step(line, said, time.perf_counter() - begun))
            if published(folder).exists():
                (folder / "shop" / "inbox" / page.listing).write_bytes(published(folder).read_bytes())
    assert exports.is_dir()
    return steps


def _accepting(text: str, accept: tuple[str, ...] | None) -> str:
    if accept is None:
        return text
    text = re.sub(r"accept_failed = \[.*?\]", f"accept_failed = {json.dumps(accept)}", text)
    return re.sub(r" --accept-failed \S+", f" --accept-failed {','.join(accept)}" if accept else "", text)


def published(folder: Path) -> Path:
    """Return the file that a walk publishes."""
    return folder / "shop" / "cycles" / str(TODAY) / "published" / f"{TODAY}-001-publish.csv"


def _run(line: str, folder: Path) -> str:
    """Run a command of the page in a folder; `tarifa` is this one."""
    words = shlex.split(line)
    words = [sys.executable, "-m", "api.cli.main", *words[1:]] if words[0] == "tarifa" else ["sh", "-c", line]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _set(text: str, settings: str) -> str:
    """Return the shop file with the settings that the page tells to change."""
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


def _approve(line: str, folder: Path) -> str:
    """Serve as the page says, and approve over HTTP everything that waits."""
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
        done = client.post("/v1/approvals/bulk", json={**asked, "etag": shown["etag"]})
        assert done.status_code == 200, done.text
    return str(shown["count"])
