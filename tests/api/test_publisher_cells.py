"""The cell editor against Python's own CSV reader, and amounts in every style, on random files."""

from __future__ import annotations

import csv
import io
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.publishers.cells import SEPARATORS, Cells
from api.publishers.numerals import Numerals
from pricing.errors import DataError
from pricing.money import Currency

_SIGNS = ["a", "é", "€", "🏺", " ", ",", ";", "\t", "|", '"', ".", "\r\n", "\n", "0"]
_TEXT = st.lists(st.sampled_from(_SIGNS), max_size=6).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_cell_is_the_only_difference(data: st.DataObject) -> None:
    """Any quoting, separator and line end: the reader sees the new text there and nothing else changed."""
    width, height = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 4))
    rows = data.draw(
        st.lists(st.lists(_TEXT, min_size=width, max_size=width), min_size=height, max_size=height)
    )
    separator, end = data.draw(st.sampled_from(SEPARATORS)), data.draw(st.sampled_from(["\r\n", "\n"]))
    header = [f"name{i}" for i in range(width)]
    out = io.StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if data.draw(st.booleans()) else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting).writerows([header, *rows])
    content = out.getvalue().encode()
    content = (b"\xef\xbb\xbf" if data.draw(st.booleans()) else b"") + content
    content = content.removesuffix(end.encode()) if data.draw(st.booleans()) else content
    cells = Cells.of(content, header)
    assert (cells.separator, cells.header) == (separator, tuple(header))
    assert [[cells.text(r, c) for c in range(width)] for r in range(1, len(cells))] == _read(
        content, separator
    )[1:]
    assert cells.replaced({}) == content
    place = (data.draw(st.integers(1, height)), data.draw(st.integers(0, width - 1)))
    text = data.draw(_TEXT)
    changed = cells.replaced({place: text})
    expected = _read(content, separator)
    expected[place[0]][place[1]] = text
    assert _read(changed, separator) == expected
    start, stop = cells.spans[place[0]][place[1]]
    assert changed[:start] == content[:start]
    assert changed.endswith(content[stop:])
    back = Cells.of(changed, header).replaced({place: cells.text(*place)})
    assert _read(back, separator) == _read(content, separator)


def _read(content: bytes, separator: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=separator))


_STYLES: list[tuple[list[str], str | None, dict[str, Any]]] = [
    (["29.04", "5"], None, {"29.04": 2904, "5": 500}),
    (["29,04"], None, {"1.299,5": 129950, "1299": 129900}),
    (["1,299.00"], None, {"1,299.00": 129900, ".5": 50}),
    (["1 299,00"], None, {"1 299,00": 129900}),
    (["1.234.567"], None, {"1.234.567": 123456700, "3,5": 350}),
    (["1'299.50"], None, {"1'299.50": 129950}),
    (["29.0000"], None, {"29.0000": 2900}),
    (["1.299"], ",", {"1.299": 129900}),
    (["12"], ".", {"12.30": 1230}),
]


@pytest.mark.parametrize(("cells", "decimal", "amounts"), _STYLES)
def test_amounts_are_read_in_the_style_of_the_file(
    cells: list[str], decimal: str | None, amounts: dict[str, int]
) -> None:
    numerals = Numerals.of(cells, Currency.of("EUR"), decimal)
    assert {text: numerals.read(text) for text in amounts} == amounts


@pytest.mark.parametrize(
    ("cells", "minor", "like", "written"),
    [
        (["29.04"], 2904, "5", "29.04"),
        (["29.04"], 3000, "5", "30"),
        (["29.04"], 3000, "5.5", "30.0"),
        (["29.04"], 3005, "5.5", "30.05"),
        (["29.0000"], 3005, "29.0000", "30.0500"),
        (["1,299.00"], 100000, "999.00", "1,000.00"),
        (["1,299.00"], 100000, "1999.00", "1000.00"),
        (["1.299,00"], 99900, "1.299,00", "999,00"),
        (["29,04"], 5, "29,04", "0,05"),
    ],
)
def test_amounts_are_written_in_the_style_of_the_cell(
    cells: list[str], minor: int, like: str, written: str
) -> None:
    assert Numerals.of(cells, Currency.of("EUR")).write(minor, like) == written


@pytest.mark.parametrize(
    "cells", [[], ["29"], ["1.299"], ["29.04", "29,04"], ["1.299,00", "1,299.00"], ["free"]]
)
def test_what_may_be_read_two_ways_is_not_read(cells: list[str]) -> None:
    with pytest.raises(DataError, match="decimal sign"):
        Numerals.of(cells, Currency.of("EUR"))


@pytest.mark.parametrize(
    "text",
    ["", "free", "1.2.3", "12.345", "1,29.00", ",5", "1e3", "٢", "$5", "5 EUR", "1,,000", "2 9.04", "29. 04"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        Numerals.of(["1,299.00"], Currency.of("EUR")).read(text)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from([".", ","]), st.sampled_from(["", " ", "'"])
)
def test_what_is_written_is_read_again(old: int, new: int, decimal: str, grouping: str) -> None:
    euro = Currency.of("EUR")
    numerals = Numerals(euro, decimal, grouping)
    like = numerals.write(old, f"0{decimal}00")
    assert numerals.read(like) == old
    assert numerals.read(numerals.write(new, like)) == new
