from __future__ import annotations

import string

import pytest

from api.texts import LANGUAGES, negotiate, texts
from pricing.errors import TarifaError, UsageError
from pricing.evidence import Identification
from pricing.guardrails import Rule, Status
from pricing.recommendation import Reason


def _errors(kind: type[TarifaError] = TarifaError) -> set[str]:
    return {kind.code}.union(*(_errors(child) for child in kind.__subclasses__()))


CODES = {
    "reason": {reason.value for reason in Reason},
    "rule": {rule.label for rule in Rule},
    "status": {status.label for status in Status},
    "identified_by": {how.label for how in Identification},
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_text_and_every_text_a_code(language: str) -> None:
    sections = texts(language).sections
    for section, codes in CODES.items():
        assert set(sections[section]) == codes
    assert _errors() <= set(sections["problem"])
    assert all(text.strip() for section in sections.values() for text in section.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_agree_on_codes_and_on_what_is_filled_in(language: str) -> None:
    def slots(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)}

    first, other = texts(LANGUAGES[0]).sections, texts(language).sections
    assert {s: set(codes) for s, codes in first.items()} == {s: set(codes) for s, codes in other.items()}
    for section, codes in first.items():
        for code, text in codes.items():
            assert slots(text) == slots(other[section][code]), f"{section}.{code}"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("es", "es"),
        ("es-MX,en;q=0.8", "es"),
        ("fr, es;q=0.5, en;q=0.6", "en"),
        ("fr-CH, fr;q=0.9", "en"),
        ("en;q=0, es;q=0.1", "es"),
        ("*", "en"),
        ("es;q=high, ;;=,", "en"),
        ("es;q=2", "en"),
        ("ES", "es"),
    ],
)
def test_the_header_chooses(header: str | None, language: str) -> None:
    assert negotiate(header) == language


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UsageError, match="'fr'"):
        texts("fr")


def test_values_are_filled_in() -> None:
    english = texts("en")
    text = english.text("reason", "limited_by_rule", rule=english.text("rule", "below_cost"))
    assert text == "A rule stopped the price earlier: below cost."
