"""The report of a trial as a workbook for finance: what, how, by month, by category, and who."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Sequence
from functools import partial
from typing import Any

import openpyxl
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from api.impact_told import caveats_told
from api.texts import Texts
from policies.impact.register import MONTH_DAYS
from policies.impact.report import Impact, MonthImpact
from pricing.money import Currency
from pricing.trial import OUTSIDE, Cluster, Unit
from simulators.contract.realised import AMOUNTS

__all__ = ["workbook_bytes"]

_Cell = str | int | float | None
_UNWRITTEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""What a cell of a workbook cannot hold."""

_STAMP = re.compile(rb"(<dcterms:\w+[^>]*>)[^<]*(</dcterms:\w+>)")
"""When a workbook says it was written."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def workbook_bytes(found: Impact, texts: Texts) -> bytes:
    """Return the workbook; the same report gives the same bytes.

    Text stays text: what a shop calls its products is never read as a formula.
    """
    book: Any = openpyxl.Workbook()
    book.remove(book.active)
    word, money = partial(texts.text, "impact_sheet"), Currency.of(found.trial.currency)
    _sheet(
        book,
        word("summary"),
        [word("what"), word("value"), word("note")],
        _summary(found, texts),
        (44, 24, 70),
    )
    names: tuple[str, ...] = ("month", "side", "days", *AMOUNTS, "profit", "effect", "lower", "upper")
    months = [row for month in found.months for row in _month(month, money, texts)]
    _sheet(book, word("months"), [word(name) for name in names], months, (16, 16, *(18,) * 10))
    names = ("category", "side", "count", "before", "after")
    _sheet(
        book,
        word("categories"),
        [word(n) for n in names],
        _categories(found, money, texts),
        (30, 16, 14, 24, 24),
    )
    names = ("zone", "group", "category", "cluster", "side", "before", "price", "moved")
    _sheet(
        book,
        word("units"),
        [word(n) for n in names],
        _units(found, money, texts),
        (14, 26, 26, 36, 16, 22, 18, 14),
    )
    told = [[word(code, **({"currency": money.code} if code == "how_amounts" else {}))] for code in _METHOD]
    _sheet(book, word("method"), [word("method")], told, (120,))
    return _bytes(book)


_METHOD = ("how_profit", "how_effect", "how_interval", "how_rule", "how_amounts")


def _sheet(
    book: Any, name: str, header: Sequence[str], rows: Sequence[Sequence[_Cell]], widths: Sequence[int]
) -> None:
    sheet = book.create_sheet(name)
    for number, row in enumerate((header, *rows), start=1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(number, column)
            if isinstance(value, str):
                cell.value, cell.data_type = _UNWRITTEN.sub("", value), "s"
                cell.alignment = Alignment(wrap_text=True, vertical="top")
            elif value is not None and math.isfinite(value):
                cell.value = value
                cell.number_format = "#,##0" if isinstance(value, int) else "#,##0.00"
            if number == 1:
                cell.font = Font(bold=True)
    for column, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.freeze_panes = "A2"


def _bytes(book: Any) -> bytes:
    """Return the bytes of a workbook without the time at which it was written."""
    raw, out = io.BytesIO(), io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as held, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as plain:
        for name in held.namelist():
            content = held.read(name)
            if name == "docProps/core.xml":
                content = _STAMP.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", content)
            plain.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _amount(minor: float, money: Currency) -> float:
    return round(minor) / money.scale if math.isfinite(minor) else math.nan


def _summary(found: Impact, texts: Texts) -> list[list[_Cell]]:
    word, money = partial(texts.text, "impact_sheet"), Currency.of(found.trial.currency)
    rows: list[list[_Cell]] = [[word("verdict"), word(found.verdict.value), word("how_rule")]]
    amounts = (("effect_month", found.month), ("everywhere", found.everywhere), ("effect_total", found.total))
    for code, three in amounts:
        for name, value in zip((code, "lower", "upper"), three, strict=True):
            rows.append([word(name), _amount(value, money), word(code) if name != code else ""])
    facts: list[list[_Cell]] = [
        [word("treated_before"), _amount(found.treated_before, money), ""],
        [word("periods"), found.measured, texts.span(found.trial.start, found.trial.end)],
        [word("currency"), money.code, ""],
        [word("plan"), found.trial.digest, ""],
        [word("data"), found.data, ""],
    ]
    notes: list[list[_Cell]] = [[word("caveat"), "", told] for _, told in caveats_told(found, texts)]
    return [*rows, *facts, *notes]


def _month(month: MonthImpact, money: Currency, texts: Texts) -> list[list[_Cell]]:
    word = partial(texts.text, "impact_sheet")
    effect: list[_Cell] = [_amount(value, money) for value in (month.effect, month.lower, month.upper)]
    nothing: list[_Cell] = []
    sides = (("treated", month.amounts_treated, effect), ("held", month.amounts_held, nothing))
    return [
        [
            month.month,
            word(side),
            month.days,
            *(_amount(value, money) for value in amounts),
            _amount(profit, money),
            *told,
        ]
        for (side, amounts, told), profit in zip(sides, month.profit, strict=True)
    ]


def _categories(found: Impact, money: Currency, texts: Texts) -> list[list[_Cell]]:
    word = partial(texts.text, "impact_sheet")
    return [
        [row.category, word(side), count, _amount(before, money), _amount(after, money)]
        for row in found.categories
        for side, count, before, after in (
            ("treated", row.treated, row.before_treated, row.after_treated),
            ("held", row.held, row.before_held, row.after_held),
        )
        if count
    ]


def _units(found: Impact, money: Currency, texts: Texts) -> list[list[_Cell]]:
    word, trial = partial(texts.text, "impact_sheet"), found.trial
    month = MONTH_DAYS / trial.period_days
    moved = (found.prices.moved | found.prices.stirred).tolist()
    return [
        [
            unit.zone,
            unit.group,
            unit.category,
            "" if unit.cluster == OUTSIDE else trial.clusters[unit.cluster].name,
            word(_side(unit, trial.clusters)),
            _amount(unit.before * month, money),
            unit.price / money.scale,
            word("yes" if stirred else "no"),
        ]
        for unit, stirred in zip(trial.units, moved, strict=True)
    ]


def _side(unit: Unit, clusters: tuple[Cluster, ...]) -> str:
    if unit.cluster == OUTSIDE:
        return "outside"
    treated = clusters[unit.cluster].treated
    if any(treated) and not all(treated):
        return "alternating"
    return "treated" if all(treated) else "held"
