from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from typer.testing import CliRunner

from api.cli.main import app
from api.report import Findings
from tests.api.shop import write_shop
from tests.once import once

UNTIL = "2024-09-02"


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small data folder and, beside it, its run `shop-run`, made once for all workers."""

    def make(root: Path) -> None:
        data = write_shop(root / "shop")
        result = CliRunner().invoke(
            app, ["fit", str(data), "--out", str(root / "shop-run"), "--until", UNTIL]
        )
        assert result.exit_code == 0, result.output

    return once(tmp_path_factory, "edge", make) / "shop"


@pytest.fixture(scope="session")
def run_folder(shop_folder: Path) -> Path:
    return shop_folder.with_name("shop-run")


@pytest.fixture(scope="session")
def findings(shop_folder: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Return everything that a report of the small shop shows."""
    out = tmp_path_factory.mktemp("findings")
    _json("elasticities", run_folder, "--out", out / "e.parquet")
    _json("recommend", run_folder, "--policy", "resolve", "--out", out / "r.parquet")
    words = ("--policies", "incumbent,static", "--seeds", 3, "--horizon", 2, "--workers", 1)
    _json("simulate", run_folder, *words, "--out", out / "sim")
    check = _json("check", shop_folder, "--quarantine", out / "bad")
    files = (out / "sim", out / "e.parquet", out / "r.parquet")
    validation = _json("validate", run_folder, "--quick", "--out", out / "passport")
    return Findings(run_folder, check, validation, *files)


def _json(*words: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document
