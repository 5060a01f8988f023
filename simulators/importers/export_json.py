"""A platform's JSON export, page by page, typed; mistakes are named by file and place.

A file is one page of an API (read whole, as APIs give at most some hundred objects a page) or JSON Lines, one
object a line (streamed).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

from pricing.errors import DataError
from simulators.importers.export_rows import amount_of, moment_of

__all__ = ["Node", "head_of", "nodes_in", "objects_of"]

_HEAD = 1 << 20
_BLANK = re.compile(r"\s*")
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

    def numbers(self, name: str) -> tuple[str, ...]:
        """Return the whole numbers of a list, as text."""
        return tuple(f"{entry}" for entry in _list(self.fields.get(name)) if isinstance(entry, int))

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
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield from nodes_in(_text(line, path), f"{path.name}, line {number}", *keys)
        return
    if path.stat().st_size > _LARGEST_PAGE:
        raise DataError(
            f"{path.name} is larger than {_LARGEST_PAGE >> 20} MB.",
            why="A page of an API is read whole.",
            todo="Export it in pages, or as JSON Lines (.jsonl), one order a line.",
        )
    for number, found in enumerate(_values(_text(path.read_bytes(), path), path.name), 1):
        yield from _listed(found, path.name if number == 1 else f"{path.name}, part {number}", keys)


def nodes_in(text: str, place: str, *keys: str) -> Iterator[Node]:
    """Yield the objects of one line; arguments and errors as :func:`objects_of`."""
    for found in _values(text, place):
        yield from _listed(found, place, keys)


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text.", todo="Export it again.") from error


def _values(text: str, place: str) -> Iterator[object]:
    """Yield every value of a text: one page, pages one behind the other, or one object a line."""
    end, length = 0, len(text.rstrip())
    while end < length or not end:
        try:
            found, end = _DECODER.raw_decode(text, cast("re.Match[str]", _BLANK.match(text, end)).end())
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{place} is not valid JSON.", why=f"{error}.", todo="Export it again; it may be cut off."
            ) from error
        yield found


def _refused(word: str) -> object:
    raise ValueError(f"{word} is no number of JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refused)


def _listed(found: object, place: str, keys: tuple[str, ...]) -> Iterator[Node]:
    fields = _fields(found)
    fields = _fields(fields["data"]) if "data" in fields else fields  # an answer of a GraphQL API
    inside = next((fields[key] for key in keys if key in fields), found)
    joined = _fields(inside)
    if "nodes" in joined:
        inside = joined["nodes"]
    elif "edges" in joined:
        inside = [_fields(edge).get("node") for edge in _list(joined["edges"])]
    pages = cast("list[object]", inside) if isinstance(inside, list) else [inside]
    entries = [entry for page in pages for entry in _list(page) or ([] if page == [] else [page])]
    for i, entry in enumerate(entries, 1):
        if not _fields(entry):
            raise DataError(f"{place}: entry {i} is no object with fields.", todo="Export it again.")
        yield Node(f"{place}, entry {i}", _fields(entry))


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
