"""Texts apart from codes: what the edge says to a reader, in the reader's language.

Codes (of reasons, rules, statuses, evidence and errors) are stable and go to tables and other programs; these
texts go to people and may be improved at any time. Figures are written in the reader's notation too: decimal
mark, grouping of thousands, per cent, dates.

Errors and bad rows are the exception: what they say is an English sentence made where the mistake is found,
deep inside, where it can name the row, file or field. :meth:`Texts.reworded` recognises the sentences that
users meet most by their English template (section ``sentence``) and says them in the reader's language; one
that it does not know is shown as it is, under a heading in the reader's language.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pricing.errors import UsageError
from pricing.money import Currency

__all__ = ["LANGUAGES", "Texts", "negotiate", "texts"]

LANGUAGES = ("en", "es")
"""Languages that every text exists in; the first is the one of a reader who states no preference."""

_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language.

    Attributes
    ----------
    language
        One of :data:`LANGUAGES`.
    sections
        Text by section and code.
    """

    language: str
    sections: Mapping[str, Mapping[str, str]]

    def text(self, section: str, code: str, /, **values: str) -> str:
        """Return a text with its `values` filled in; raises KeyError for a code without a text."""
        return self.sections[section][code].format(**values)

    def reworded(self, sentence: str) -> str:
        """Return an English sentence of an error or a bad row in this language, where it is a known one."""
        for code, pattern in _sentences():
            found = pattern.fullmatch(sentence)
            if found:
                values = {name: self.reworded(value) for name, value in found.groupdict().items()}
                return self.text("sentence", code, **values)
        place, mark, rest = sentence.partition(": ")  # a sentence may follow the file it is about
        return place + mark + self.reworded(rest) if mark else sentence

    def number(self, value: float, places: int = 0, *, signed: bool = False) -> str:
        """Return a number with so many decimals, its thousands grouped, and a plus sign where `signed`."""
        shown = round(value, places) + 0.0  # never a negative nought
        whole, _, decimals = f"{shown:{'+' if signed else ''},.{places}f}".partition(".")
        notation = self.sections["notation"]
        whole = whole.replace(",", notation["group"])
        return whole + (notation["decimal"] + decimals if decimals else "")

    def percent(self, share: float, places: int = 0, *, signed: bool = False) -> str:
        """Return a share (0.12) as a percentage."""
        return self.text("notation", "percent", number=self.number(100.0 * share, places, signed=signed))

    def amount(self, minor: int, currency: Currency, *, signed: bool = False) -> str:
        """Return minor units as an amount without its currency."""
        sign = "-" if minor < 0 else "+" if signed and minor > 0 else ""
        whole, _, decimals = currency.decimal(abs(minor)).partition(".")
        decimal = self.sections["notation"]["decimal"]
        return sign + self.number(int(whole)) + (decimal + decimals if decimals else "")

    def money(self, minor: int, currency: Currency, *, signed: bool = False) -> str:
        """Return minor units as an amount with its currency."""
        return f"{self.amount(minor, currency, signed=signed)}\N{NO-BREAK SPACE}{currency.code}"

    def day(self, iso: str, form: str = "date") -> str:
        """Return an ISO date written out.

        `form` is ``date``, ``date_in_year``, ``short_date``, or ``month``, which also takes ``2025-03``.
        """
        day = dt.date.fromisoformat(iso if len(iso) > len("2025-03") else f"{iso}-01")
        names = "short" if form == "short_date" else "month"
        month = self.text("notation", f"{names}_{day.month}")
        return self.text("notation", form, day=str(day.day), month=month, year=str(day.year))

    def span(self, first: str, end: str) -> str:
        """Return the days from `first` to the one before `end` (ISO dates), written out."""
        last = (dt.date.fromisoformat(end) - dt.timedelta(days=1)).isoformat()
        if last <= first:
            return self.day(first)
        form = "date_in_year" if first[:4] == last[:4] else "date"
        return f"{self.day(first, form)} \N{EN DASH} {self.day(last)}"


@cache
def texts(language: str) -> Texts:
    """Return the texts of a language; raises :class:`UsageError` for one that does not exist here."""
    if language not in LANGUAGES:
        raise UsageError(
            f"There are no texts in {language!r}.", todo=f"Choose one of {', '.join(LANGUAGES)}."
        )
    content = resources.files("api.texts").joinpath(f"{language}.json").read_text(encoding="utf-8")
    return Texts(language, json.loads(content))


@cache
def _sentences() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the code and pattern of every known sentence, as English has it."""
    known = texts(LANGUAGES[0]).sections["sentence"]
    return tuple((code, re.compile(_pattern(template), re.DOTALL)) for code, template in known.items())


def _pattern(template: str) -> str:
    parts = _SLOT.split(template)
    literals, slots = parts[::2], parts[1::2]
    filled = "".join(f"{re.escape(text)}(?P<{slot}>.*?)" for text, slot in zip(literals, slots, strict=False))
    return filled + re.escape(literals[-1])


def negotiate(accept_language: str | None) -> str:
    """Return the language that an ``Accept-Language`` header likes best (RFC 9110, 12.5.4).

    A range matches by its primary part (``es-MX`` gets ``es``); whatever cannot be read is ignored, and where
    nothing matches the reader gets the first of :data:`LANGUAGES`.
    """
    best, weight = LANGUAGES[0], 0.0
    for part in (accept_language or "").split(","):
        name, _, parameters = part.strip().partition(";")
        primary = name.strip().lower().split("-")[0]
        language = LANGUAGES[0] if primary == "*" else primary
        liked = _weight(parameters)
        if language in LANGUAGES and liked > weight:
            best, weight = language, liked
    return best


def _weight(parameters: str) -> float:
    key, _, value = parameters.strip().partition("=")
    if not key:
        return 1.0
    try:
        liked = float(value) if key.strip().lower() == "q" else 1.0
    except ValueError:
        return 0.0
    return liked if 0.0 <= liked <= 1.0 else 0.0
