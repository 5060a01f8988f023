"""A platform's JSON export, page by page, typed; mistakes are named by file and place.

A file is one page of an API (read whole, as APIs give at most some hundred objects a page) or JSON Lines, one
object a line (streamed).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

from pricing.errors import DataError
from simulators.importers.export_rows import amount_of, moment_of

__all__ = ["Node", "head_of", "objects_of"]

_HEAD = 1 << 20
_LARGEST_PAGE = 256 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """One JSON object.

    Attributes
    ----------
    place
        File and object, for messages.
    fields
        As parsed; numbers with a point are exact decimals.
    """

    place: str
    fields: Mapping[str, object]

    def text(self, name: str) -> str:
        """Return a field as text; empty where it is missing or null."""
        found = self.fields.get(name)
        if isinstance(found, bool):
            return "true" if found else "false"
        return f"{found}".strip() if isinstance(found, str | int | Decimal) else ""

    def flag(self, name: str) -> bool:
        """Return whether a field is true."""
        return self.fields.get(name) is True

    def amount(self, name: str) -> Decimal:
        """Return a decimal amount; 0 where it is missing. Raises :class:`DataError` for anything else."""
        return amount_of(self.text(name), f"{self.place}, {name}")

    def amount_or_none(self, name: str) -> Decimal | None:
        """Return a decimal amount, None where it is missing."""
        return self.amount(name) if self.text(name) else None

    def moment(self, name: str) -> dt.datetime:
        """Return a time; raises :class:`DataError` where it is none or has no zone."""
        return moment_of(self.text(name), f"{self.place}, {name}")

    def moment_or_none(self, name: str) -> dt.datetime | None:
        """Return a time, None where it is missing."""
        return self.moment(name) if self.text(name) else None

    def node(self, name: str) -> Node:
        """Return an object; one without fields where it is missing."""
        return Node(f"{self.place}, {name}", _fields(self.fields.get(name)))

    def nodes(self, name: str) -> tuple[Node, ...]:
        """Return the objects of a list; none where it is missing."""
        return tuple(
            Node(f"{self.place}, {name} {i}", _fields(entry))
            for i, entry in enumerate(_list(self.fields.get(name)), 1)
        )

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list."""
        return tuple(entry for entry in _list(self.fields.get(name)) if isinstance(entry, str))


def head_of(path: Path) -> str:
    """Return the beginning of a text file, empty where it is no UTF-8 text."""
    with path.open("rb") as stream:
        return stream.read(_HEAD).decode("utf-8-sig", errors="ignore")


def objects_of(path: Path, *keys: str) -> Iterator[Node]:
    """Yield the objects of a page or of JSON Lines.

    Parameters
    ----------
    path
        The file.
    keys
        Keys under which a page may hold its list (``orders``) or its one object (``order``).

    Raises
    ------
    DataError
        If it is not JSON, holds no such list, or is a page of more than 256 MB.
    """
    if path.suffix.lower() == ".jsonl":
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    place = f"{path.name}, line {number}"
                    yield from _listed(_parsed(line, place), place, keys)
        return
    if path.stat().st_size > _LARGEST_PAGE:
        raise DataError(
            f"{path.name} is larger than {_LARGEST_PAGE >> 20} MB.",
            why="A page of an API is read whole.",
            todo="Export it in pages, or as JSON Lines (.jsonl), one order a line.",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text.", todo="Export it again.") from error
    yield from _listed(_parsed(text, path.name), path.name, keys)


def _parsed(text: str, place: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place} is not valid JSON.", why=f"{error}.", todo="Export it again; it may be cut off."
        ) from error


def _refused(word: str) -> object:
    raise ValueError(f"{word} is no number of JSON")


def _listed(found: object, place: str, keys: tuple[str, ...]) -> Iterator[Node]:
    fields = _fields(found)
    fields = _fields(fields["data"]) if "data" in fields else fields  # an answer of a GraphQL API
    inside = next((fields[key] for key in keys if key in fields), found)
    joined = _fields(inside)
    if "nodes" in joined:
        inside = joined["nodes"]
    elif "edges" in joined:
        inside = [_fields(edge).get("node") for edge in _list(joined["edges"])]
    entries = cast("list[object]", inside) if isinstance(inside, list) else [inside]
    for i, entry in enumerate(entries, 1):
        if not _fields(entry):
            raise DataError(f"{place}: entry {i} is no object with fields.", todo="Export it again.")
        yield Node(f"{place}, entry {i}", _fields(entry))


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
