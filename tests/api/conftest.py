from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from tests.api.shop import write_shop

UNTIL = "2024-09-02"


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small data folder and, beside it, its run `shop-run`, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "edge"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "shop-run").exists():
            data = write_shop(root / "shop")
            result = CliRunner().invoke(
                app, ["fit", str(data), "--out", str(root / "shop-run"), "--until", UNTIL]
            )
            assert result.exit_code == 0, result.output
    return root / "shop"


@pytest.fixture(scope="session")
def run_folder(shop_folder: Path) -> Path:
    return shop_folder.with_name("shop-run")
