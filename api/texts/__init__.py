"""Texts apart from codes: what the edge says to a reader, in the reader's language.

Codes (of reasons, rules, statuses, evidence and errors) are stable and go to tables and other programs; these
texts go to people and may be improved at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pricing.errors import UsageError

__all__ = ["LANGUAGES", "Texts", "negotiate", "texts"]

LANGUAGES = ("en", "es")
"""Languages that every text exists in; the first is the one of a reader who states no preference."""


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

    def text(self, section: str, code: str, **values: str) -> str:
        """Return a text with its `values` filled in; raises KeyError for a code without a text."""
        return self.sections[section][code].format(**values)


@cache
def texts(language: str) -> Texts:
    """Return the texts of a language; raises :class:`UsageError` for one that does not exist here."""
    if language not in LANGUAGES:
        raise UsageError(
            f"There are no texts in {language!r}.", todo=f"Choose one of {', '.join(LANGUAGES)}."
        )
    content = resources.files("api.texts").joinpath(f"{language}.json").read_text(encoding="utf-8")
    return Texts(language, json.loads(content))


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
