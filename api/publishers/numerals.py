"""Amounts as a file writes them: decimal sign, thousands, number of decimals; read and written exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pricing.errors import DataError
from pricing.money import Currency

__all__ = ["Numerals"]

_SPACES = " \u00a0\u202f'’"
_PLAIN = re.compile(r"-?\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Numerals:
    """How one file writes amounts of one currency.

    Attributes
    ----------
    currency
        Which money.
    decimal
        "." or ",".
    grouping
        Sign between thousands; empty for none.
    """

    currency: Currency
    decimal: str
    grouping: str

    @staticmethod
    def of(cells: Iterable[str], currency: Currency, decimal: str | None = None) -> Numerals:
        """Tell how amounts are written from those that are there.

        A sign counts as decimal where it comes last of two, or stands once before another number of digits
        than three, and as thousands where it comes first of two or several times. One sign before three
        digits may be either and says nothing.

        Parameters
        ----------
        cells
            Amounts of the file; others are passed over.
        currency
            Which money.
        decimal
            The decimal sign where it is known.

        Raises
        ------
        DataError
            If the cells contradict each other or `decimal`, or nothing tells the decimal sign.
        """
        told: set[str] = set() if decimal is None else {decimal}
        grouped: set[str] = set()
        unsure: set[str] = set()
        for cell in cells:
            signs = [sign for sign in cell if sign in ".,"]
            grouped |= {sign for sign in cell.strip() if sign in _SPACES and _looks_grouped(cell, sign)}
            if len(set(signs)) == 2:
                told.add(signs[-1])
                grouped.add(signs[0])
            elif len(signs) > 1:
                grouped.add(signs[0])
            elif signs:
                sure = len(cell.strip()) - cell.strip().index(signs[0]) - 1 != 3
                (told if sure else unsure).add(signs[0])
        if not told and not currency.exponent and not grouped:
            told = {"." if "." not in unsure else ","}
        if not told and grouped & {".", ","}:
            told = {"," if "." in grouped else "."}
        if len(told) != 1 or told & grouped:
            raise _untold(told, unsure)
        (sign,) = told
        grouped |= unsure - told if currency.exponent != 3 else set()
        return Numerals(currency, sign, min(grouped, default=""))

    def read(self, cell: str) -> int:
        """Return an amount in minor units; raises :class:`DataError` for what is none or too fine."""
        whole, mark, rest = cell.strip().partition(self.decimal)
        signs = {sign for sign in whole if sign in _SPACES or sign in ".,"}
        groups = whole.split(min(signs)) if signs else [whole]
        apart = 0 < len(groups[0]) < 4 and all(len(group) == 3 for group in groups[1:])
        if len(signs) > 1 or (signs and not apart):
            raise DataError(f"{cell!r} is not an amount.")
        return self.currency.parse("".join(groups) + ("." + rest if mark else ""))

    def write(self, minor: int, like: str) -> str:
        """Return an amount in the style of the cell that it replaces.

        It keeps that cell's number of decimals where those are enough, and thousands as that cell, or the
        file, sets them apart.
        """
        decimals = len(like.strip().partition(self.decimal)[2])
        whole, _, cents = self.currency.decimal(minor).partition(".")
        cents = cents.rstrip("0")
        if cents and len(cents) > decimals:
            decimals = max(decimals, self.currency.exponent)
        cents = cents.ljust(decimals, "0")
        style = (
            self.grouping if self.grouping and (self.grouping in like or _short(like, self.decimal)) else ""
        )
        if style:
            whole = f"{int(whole):,}".replace(",", style)
        return whole + (self.decimal + cents if cents else "")


def _short(like: str, decimal: str) -> bool:
    """Return whether a cell is too small to show whether it sets thousands apart."""
    return len(like.strip().partition(decimal)[0]) < 4


def _looks_grouped(cell: str, sign: str) -> bool:
    head, *groups = cell.strip().split(sign)
    return _PLAIN.fullmatch(head) is not None and all(re.match(r"\d{3}(\D|$)", group) for group in groups)


def _untold(told: set[str], unsure: set[str]) -> DataError:
    if len(told) > 1 or (told and told & {".", ","}):
        what = "The prices of the file contradict each other about the decimal sign."
    else:
        what = "Nothing in the file tells its decimal sign" + (
            f": {' and '.join(sorted(unsure))} may be either." if unsure else "."
        )
    return DataError(
        what, why="A price read the wrong way is wrong a thousandfold.", todo="Say which one it is."
    )
