"""The tutorials are walked as they are written, from each platform's fixtures to a price that arrived."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.api.walk import PAGES, ROOT, Page, published, walk
from tests.api.walk_shop import TODAY


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_walk_from_an_export_to_a_price_that_arrived(page: Page, tmp_path: Path) -> None:
    assert f"--today {TODAY}" in page.text
    steps = walk(page, tmp_path)
    assert int(next(step.said for step in steps if " serve " in step.command)) >= 1
    said = [step.said for step in steps if " cycle " in step.command]
    assert len(said) == 3
    assert "wait for approval" in said[0]
    assert "Price changes published" not in said[0]
    assert "Price changes published" in said[1]
    assert "confirmed" in said[2]
    assert "No price will be moved yet" in (tmp_path / "readiness.html").read_text()
    before, after = (
        place.read_bytes().splitlines(keepends=True)
        for place in (tmp_path / "exports" / page.listing, published(tmp_path))
    )
    changed = sum(a != b for a, b in zip(after, before, strict=True))
    assert 1 <= changed < len(before)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_tutorial_refers_to_exists(page: Page) -> None:
    named = set(re.findall(r"\]\(([a-z-]+\.md)", page.text))
    assert named >= {"imports.md", "cycle.md", "api.md", "impact.md"}
    assert all((ROOT / "docs" / name).is_file() for name in named)
