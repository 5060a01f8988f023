from __future__ import annotations

import os
from pathlib import Path

import pytest

from pricing.errors import UsageError
from pricing.schema import TABLES, table
from simulators.contract.reference_pages import (
    contract_tables,
    output_tables,
    refreshed,
    scenario_table,
    setting_tables,
)
from simulators.contract.shop_file import parse_shop_file, shop_settings

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    ("data-contract.md", "tables", contract_tables()),
    ("data-contract.md", "scenario", scenario_table()),
    ("data-contract.md", "outputs", output_tables()),
    ("shop-file.md", "settings", setting_tables()),
)


@pytest.mark.parametrize(("page", "part", "content"), PAGES)
def test_generated_parts_are_fresh(page: str, part: str, content: str) -> None:
    path = DOCS / page
    fresh = refreshed(path.read_text(encoding="utf-8"), part, content)
    if os.environ.get("TARIFA_REFRESH_PAGES") == "1":
        path.write_text(fresh, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == fresh, f"{page} is stale; it says itself how to refresh it"


def test_every_table_column_and_setting_is_documented() -> None:
    contract = (DOCS / "data-contract.md").read_text(encoding="utf-8")
    for entry in TABLES:
        assert f"### {entry.name}" in contract
        for column in entry.columns:
            assert f"| **{column.name}** |" in contract or f"| {column.name}? |" in contract
    shop = (DOCS / "shop-file.md").read_text(encoding="utf-8")
    for setting in shop_settings():
        assert f"| `{setting.path}` |" in shop


def test_the_shop_file_of_the_page_works() -> None:
    page = (DOCS / "shop-file.md").read_text(encoding="utf-8")
    least, names = (block.split("```")[0] for block in page.split("```toml")[1:3])
    assert parse_shop_file(least + names).columns["orders"]["order_id"] == "Pedido"


def test_the_schema_is_consistent() -> None:
    assert len({entry.name for entry in TABLES}) == len(TABLES)
    assert [entry.name for entry in TABLES if entry.required] == ["orders", "products"]
    for entry in TABLES:
        assert len(set(entry.names)) == len(entry.names)
        for name in (*entry.key, *(name for group in entry.one_of for name in group)):
            assert entry.column(name).name == name
        for column in entry.columns:
            assert column.meaning.endswith(".") or column.meaning.endswith("...")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no table order"):
        table("order")
    with pytest.raises(UsageError, match="orders has no column colour"):
        table("orders").column("colour")
    with pytest.raises(UsageError, match="no part"):
        refreshed("a page", "tables", "")
