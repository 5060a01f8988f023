"""A CSV file whose cells can be changed without touching anything else.

The file stays the bytes that it is. Only where a cell lies is worked out (RFC 4180 and what shops really
export: any separator, any line end, quotes inside unquoted cells, no line end after the last row), and a
change replaces the bytes of that cell. So encoding, byte-order mark, quoting, line ends, column order and
every cell that is not meant stay as they were, byte for byte. It works on bytes because separators, quotes
and line ends are ASCII in every encoding that shops export except UTF-16, which is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pricing.errors import DataError

__all__ = ["SEPARATORS", "Cells"]

SEPARATORS = (",", ";", "\t", "|")
"""Separators that are tried."""

_MARK = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_END = re.compile(rb"\r\n|\n|\r")
_QUOTED = rb'"[^"]*(?:""[^"]*)*"(?!")'


@dataclass(frozen=True, slots=True)
class Cells:
    """A file and where its cells lie.

    Attributes
    ----------
    content
        Its bytes.
    separator
        Between cells.
    encoding
        What cells are read as: "utf-8", or "cp1252" where the file is not that.
    spans
        First byte of every cell and the one after its last, quotes included, row by row; row 0 is the header.
    header
        Names of the columns, without space around them.
    """

    content: bytes
    separator: str
    encoding: str
    spans: tuple[tuple[tuple[int, int], ...], ...]
    header: tuple[str, ...]

    @staticmethod
    def of(content: bytes, wanted: Sequence[str]) -> Cells:
        """Read a file by the separator under which its header holds most of the `wanted` names.

        Raises
        ------
        DataError
            If it is empty, UTF-16, or a quoted cell is not closed or goes on after its quote.
        """
        if content.startswith(_WIDE):
            raise DataError(
                "The file is UTF-16.", todo="Save it as CSV UTF-8, or export it again from the shop."
            )
        if not content.removeprefix(_MARK).strip():
            raise DataError("The file is empty.", todo="Export the products again.")
        try:
            content.decode("utf-8")
            encoding = "utf-8"
        except UnicodeDecodeError:
            encoding = "cp1252"
        header = {one: _header(content, one, encoding) for one in SEPARATORS}
        separator = max(SEPARATORS, key=lambda one: len(header[one] & set(wanted)))
        spans = _rows(content, separator)
        names = tuple(_said(content[start:end], encoding).strip() for start, end in spans[0])
        return Cells(content, separator, encoding, spans, names)

    def __len__(self) -> int:
        """Return the number of rows, the header included."""
        return len(self.spans)

    def text(self, row: int, column: int) -> str:
        """Return what a cell says; empty where the row ends before it."""
        if column >= len(self.spans[row]):
            return ""
        return _said(self.content[slice(*self.spans[row][column])], self.encoding)

    def whole(self, row: int) -> bool:
        """Return whether a row has as many cells as the header; one that has not may have shifted."""
        return len(self.spans[row]) == len(self.header)

    def replaced(self, edits: Mapping[tuple[int, int], str]) -> bytes:
        """Return the bytes with some cells changed, by (row, column); everything else is as it was.

        A cell that was quoted stays so; another is quoted only if its new text needs it. A cell that already
        says the text is not touched.
        """
        parts: list[bytes] = []
        done = 0
        for row, column in sorted(edits):
            text = edits[row, column]
            if self.text(row, column) == text:
                continue
            start, end = self.spans[row][column]
            parts += [self.content[done:start], self._written(text, self.content[start:end])]
            done = end
        return b"".join([*parts, self.content[done:]])

    def _written(self, text: str, before: bytes) -> bytes:
        needs = any(sign in text for sign in (self.separator, '"', "\r", "\n"))
        if before.startswith(b'"') or needs:
            text = '"' + text.replace('"', '""') + '"'
        return text.encode(self.encoding)


def _said(raw: bytes, encoding: str) -> str:
    text = raw.decode(encoding, errors="replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') and len(text) > 1 else text


def _header(content: bytes, separator: str, encoding: str) -> set[str]:
    try:
        spans, _ = _row(content, _begin(content), separator, 1)
    except DataError:
        return set()
    return {_said(content[start:end], encoding).strip() for start, end in spans}


def _begin(content: bytes) -> int:
    return len(_MARK) if content.startswith(_MARK) else 0


def _rows(content: bytes, separator: str) -> tuple[tuple[tuple[int, int], ...], ...]:
    rows: list[tuple[tuple[int, int], ...]] = []
    place = _begin(content)
    while place < len(content):
        spans, place = _row(content, place, separator, len(rows) + 1)
        rows.append(spans)
    return tuple(rows)


def _row(content: bytes, place: int, separator: str, number: int) -> tuple[tuple[tuple[int, int], ...], int]:
    """Return the spans of the row that starts at `place`, and where the next one starts."""
    sign, cell = separator.encode(), _cell(separator)
    spans: list[tuple[int, int]] = []
    while True:
        found = cell.match(content, place)
        if found is None:
            raise _broken(number, "a quoted cell is not closed")
        spans.append(found.span())
        place = found.end()
        if content.startswith(sign, place):
            place += 1
            continue
        end = _END.match(content, place)
        if end is not None:
            return tuple(spans), end.end()
        if place == len(content):
            return tuple(spans), place
        raise _broken(number, "a quoted cell goes on after its closing quote")


@cache
def _cell(separator: str) -> re.Pattern[bytes]:
    return re.compile(_QUOTED + rb'|(?!")[^\r\n' + re.escape(separator.encode()) + rb"]*")


def _broken(number: int, what: str) -> DataError:
    return DataError(
        f"Row {number} of the file: {what}.",
        why="Where its cells end cannot be told, so no price in it can be changed safely.",
        todo="Export the products again from the shop, and do not save the file from a spreadsheet.",
    )
