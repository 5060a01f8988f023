"""A bulk operation tells the same orders and products as pages do, but for the lines that came back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pricing.errors import DataError
from simulators.importers.platforms import recognise
from tests.simulators.platform_folders import EXPORTS, bring, content, explained, rows

PAGES = EXPORTS / "shopify_graphql"
BACK = ("line_id", "returned_at", "quantity", "refund", "restocked")
Lines = list[dict[str, Any]]


def _entries(connection: Any) -> Lines:
    return connection.get("nodes") or [edge["node"] for edge in connection.get("edges", ())]


def _torn(kind: str) -> Lines:
    """Return the answer in ``exports/shopify_graphql`` as a bulk operation would give it."""
    found = json.loads((PAGES / f"{kind}.json").read_text())["data"][kind]
    lines: Lines = []
    for root in _entries(found):
        below: Lines = [{"id": f"gid://shopify/Metafield/{root['id'][-4:]}"}]
        for connection in ("lineItems", "shippingLines", "variants"):
            below += _entries(root.pop(connection, {}))
        for child in below:
            child.setdefault("id", f"gid://shopify/ShippingLine/{root['id'][-4:]}")
            child["__parentId"] = root["id"]
        for refund in root.get("refunds", ()):  # a list, so no connection may be asked for below it
            refund["totalRefundedSet"] = _entries(refund.pop("transactions"))[0]["amountSet"]
            del refund["refundLineItems"], refund["orderAdjustments"]
        lines += [root, *below, {"id": "gid://shopify/Deep/1", "__parentId": below[0]["id"]}]
    return lines


def _write(folder: Path, kind: str, lines: Lines) -> None:
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps(line).replace("/", "\\/") + "\n" for line in lines)
    (folder / f"bulk-{kind}.jsonl").write_text(text)


def _ungrouped(lines: Lines) -> Lines:
    """Return roots first and the others, mixed, after them, as since API version 2026-01."""
    others = [line for line in lines if "__parentId" in line]
    mixed = sorted(others, key=lambda line: ("Deep" in line["id"], line["id"][::-1]))
    return [line for line in lines if "__parentId" not in line] + mixed


def _bulk(folder: Path, shape: Callable[[Lines], Lines] = list) -> Path:
    for kind in ("orders", "products"):
        _write(folder, kind, shape(_torn(kind)))
    return folder


def _rows(folder: Path, name: str) -> list[str]:
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT t::VARCHAR FROM '{folder}/{name}.parquet' AS t").fetchall()
    return sorted(str(row[0]) for row in found)


@pytest.mark.parametrize("shape", [list, _ungrouped])
def test_it_tells_the_same_but_for_what_came_back(tmp_path: Path, shape: Callable[[Lines], Lines]) -> None:
    bring(PAGES, tmp_path / "pages")
    source = _bulk(tmp_path / "in", shape)
    assert [file.holds for file in recognise(source)] == ["orders", "products"]
    imported = bring(source, tmp_path / "bulk")
    for name in ("orders", "discounts", "products", "prices", "costs", "inventory", "product_aliases"):
        assert _rows(tmp_path / "bulk", name) == _rows(tmp_path / "pages", name), name
    assert content(tmp_path / "pages").keys() - content(tmp_path / "bulk").keys() == {"returns.parquet"}
    assert imported.reconciliation.unexplained == 0
    # A tee for 21.78, a code taken off, and 4.84 for shipping went back; which lines, the file does not say.
    assert explained(imported)["2025-04", "refunds"] == (26_62, 0, {"without_lines": 26_62}, 0)


def test_pages_of_the_refunded_orders_beside_it_tell_what_came_back(tmp_path: Path) -> None:
    folder = _bulk(tmp_path / "in")
    (folder / "a-page.json").write_bytes((PAGES / "orders.json").read_bytes())
    bring(folder, tmp_path / "data")
    bring(PAGES, tmp_path / "pages")
    assert rows(tmp_path / "data", "returns", *BACK) == rows(tmp_path / "pages", "returns", *BACK)


def _without_its_first(lines: Lines) -> Lines:
    return [*(line for line in lines[1:] if "__parentId" not in line), *lines[1:]]


def _without_ids(lines: Lines) -> Lines:
    return [*lines, {"__parentId": lines[0]["id"]}]


@pytest.mark.parametrize(
    ("spoil", "what"), [(_without_its_first, "which is not in the file"), (_without_ids, "has no id")]
)
def test_a_file_that_was_cut_or_asked_for_too_little_is_refused(
    tmp_path: Path, spoil: Callable[[Lines], Lines], what: str
) -> None:
    _write(tmp_path / "in", "orders", spoil(_torn("orders")))
    with pytest.raises(DataError, match=what):
        bring(tmp_path / "in", tmp_path / "data")


@pytest.mark.parametrize(("end", "what"), [('{"id": "gid://sh', "not valid JSON"), ("5", "no object")])
def test_a_line_that_is_cut_off_is_named(tmp_path: Path, end: str, what: str) -> None:
    _write(tmp_path / "in", "orders", _torn("orders"))
    place = tmp_path / "in" / "bulk-orders.jsonl"
    last = len(place.read_text().splitlines()) + 1
    place.write_text(place.read_text() + end)
    with pytest.raises(DataError, match=what) as caught:
        bring(tmp_path / "in", tmp_path / "data")
    assert f"bulk-orders.jsonl, line {last}" in caught.value.what
