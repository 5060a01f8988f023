"""Notebooks are read, not kept: they run on the small shop from top to bottom, and git holds no output."""

from __future__ import annotations

import ast
import base64
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.api import conftest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PACKAGES = {"pricing", "simulators", "envs", "policies", "api"}
MOST_LINES = 11
"""Lines of a cell besides its imports."""

shop_folder, run_folder = conftest.shop_folder, conftest.run_folder


def _read(path: Path) -> Any:
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call] # its own


def _code(path: Path) -> list[Any]:
    return [cell for cell in _read(path).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_git_holds_no_output(path: Path) -> None:
    nbformat.validate(_read(path))
    for cell in _code(path):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert not cell.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_calls_public_functions_and_does_no_work_of_its_own(path: Path) -> None:
    for cell in _code(path):
        lines = [
            line for line in cell.source.splitlines() if line and not line.startswith(("import", "from"))
        ]
        assert len(lines) <= MOST_LINES, cell.source
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.While | ast.Lambda)
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in PACKAGES:
                names = [alias.name for alias in node.names]
                module = __import__(str(node.module), fromlist=names)
                assert set(names) <= set(module.__all__)
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")


def test_the_first_look_runs_from_top_to_bottom(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARIFA_RUN", str(run_folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    book = _read(ROOT / "notebooks" / "first_look.ipynb")
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    found: list[Any] = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    pictures = [out.data["image/png"] for out in found if "image/png" in out.get("data", {})]
    assert len(pictures) == 3
    assert all(len(base64.b64decode(picture)) > 10_000 for picture in pictures)
    assert not [out for out in found if out.get("name") == "stderr"], "a warning is an answer left out"
    assert "12 prices to set" in found[0].text
    assert "recommended_price" in found[-1].data["text/html"]


def test_do_coupons_pay_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    book = _read(ROOT / "notebooks" / "do_coupons_pay.ipynb")
    NotebookClient(book, timeout=240, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    found: list[Any] = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    pictures = [out.data["image/png"] for out in found if "image/png" in out.get("data", {})]
    assert len(pictures) == 4
    assert not [out for out in found if out.get("name") == "stderr"], "a warning is an answer left out"
    assert "10% were held out" in found[0].text
    assert "no_propensity" in found[-1].text
    assert "may a coupon be given on this? False" in found[-1].text
