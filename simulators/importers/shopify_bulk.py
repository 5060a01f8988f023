"""The output of a bulk operation of Shopify's GraphQL Admin API: its lines put back under their orders.

Every object of a connection is a line of its own and names the object that it was under by ``__parentId``. A
parent comes before its children, but not right before them: since API version 2026-01 lines are not grouped
unless the query asks for it. So a first pass notes where the lines of each order begin, and a second one
reads them; what is held in memory is places, not orders.

A bulk query may not ask for a connection within a list, so it cannot tell which lines a refund was for: such
orders have repayments without lines. Pages of the refunded orders beside it tell them.

Source: shopify.dev, "Perform bulk operations with the GraphQL Admin API" and the changelog "Bulk operations
group objects default changed to false"; objects Order, LineItem, ShippingLine, ProductVariant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from pricing.errors import DataError
from simulators.importers.export_json import Node, head_of, nodes_in, objects_of

__all__ = ["bulk_kind", "bulk_objects", "nodes_of"]

_ROOTS: Final = ("Order", "Product")
_UNDER: Final[Mapping[str, str]] = {
    "LineItem": "lineItems", "ShippingLine": "shippingLines", "ProductVariant": "variants",
}  # fmt: skip
"""Connection by the kind of its objects; other kinds (metafields, pictures) are passed over."""


def bulk_kind(path: Path) -> str:
    """Return what a bulk operation was about, ``Order`` or ``Product``; empty for other files.

    Its first line is one of those without what belongs to it, which elsewhere is never left out.
    """
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return ""
    first = next((line for line in head_of(path).splitlines() if line.strip()), "")
    try:
        (node,) = nodes_in(first, path.name)
    except (DataError, ValueError):
        return ""
    return _kind(node) if _kind(node) in _ROOTS and not node.fields.keys() & _UNDER.values() else ""


def nodes_of(path: Path, *keys: str) -> Iterator[Node]:
    """Yield the objects of a page, of JSON Lines or of a bulk operation, as :func:`objects_of` has them."""
    return bulk_objects(path) if bulk_kind(path) else objects_of(path, *keys)


def bulk_objects(path: Path) -> Iterator[Node]:
    """Yield the orders or products of a bulk operation, each with what belongs to it.

    Parameters
    ----------
    path
        JSON Lines.

    Raises
    ------
    DataError
        If a line is no JSON, or names a parent that is not there.
    """
    with path.open("rb") as stream:
        for places in _begins(path).values():
            root, *children = [_line(path, number, place, stream) for number, place in places]
            under: dict[str, list[Mapping[str, object]]] = {}
            for child in children:
                under.setdefault(_UNDER[_kind(child)], []).append(child.fields)
            yield Node(root.place, {**root.fields, **under})


def _begins(path: Path) -> Mapping[str, list[tuple[int, int]]]:
    """Return (line, byte) of each object that stands by itself, and of those under it, by its id."""
    begins: dict[str, list[tuple[int, int]]] = {}
    deeper: set[str] = set()
    place = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                node = _parsed(path, number, line)
                parent = node.text("__parentId")
                if not parent:
                    begins[node.text("id")] = [(number, place)]
                elif parent not in begins and parent not in deeper:
                    raise DataError(
                        f"{node.place} belongs to {parent}, which is not in the file.",
                        why="A parent comes before what belongs to it; the file was cut or sorted.",
                        todo="Download the result of the bulk operation again.",
                    )
                else:
                    deeper.add(node.text("id"))
                    if parent in begins and _kind(node) in _UNDER:
                        begins[parent].append((number, place))
            place += len(line)
    return begins


def _line(path: Path, number: int, place: int, stream: BinaryIO) -> Node:
    stream.seek(place)
    return _parsed(path, number, stream.readline())


def _parsed(path: Path, number: int, line: bytes) -> Node:
    """Return one line; raises :class:`DataError` for one that is no JSON, or no object with an id."""
    place = f"{path.name}, line {number}"
    try:
        (node,) = nodes_in(line.decode("utf-8-sig"), place)
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{place} is no JSON object.", todo="Export it again; it may be cut off.") from error
    if not node.text("id"):
        raise DataError(
            f"{place} has no id.",
            why="Only its id says what it is: an order, a line, what was paid for shipping.",
            todo="Ask for `id` of everything in the query.",
        )
    return node


def _kind(node: Node) -> str:
    """Return the kind of an object: ``LineItem`` of ``gid://shopify/LineItem/301``."""
    return node.text("id").rpartition("/")[0].rpartition("/")[2]
