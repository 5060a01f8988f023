from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.publishers.changes import Refusal
from api.texts import LANGUAGES, negotiate, texts
from pricing.errors import TarifaError, UsageError
from pricing.evidence import Identification, PriceKind
from pricing.guardrails import Rule, Status
from pricing.money import Currency
from pricing.outcomes import Ending, LeftOut
from pricing.recommendation import Reason
from pricing.schema import TABLES
from simulators.contract.order_lines import APART
from simulators.customers.segments import Group, Trait
from simulators.importers.platform_identity import Resolution
from simulators.importers.platform_reconciliation import KINDS, MEASURES

ROOT = Path(__file__).parents[2]
PACKAGES = ("pricing", "simulators", "envs", "policies", "api")


def _errors(kind: type[TarifaError] = TarifaError) -> set[str]:
    return {kind.code}.union(*(_errors(child) for child in kind.__subclasses__()))


CODES = {
    "reason": {reason.value for reason in Reason},
    "rule": {rule.label for rule in Rule},
    "status": {status.label for status in Status},
    "identified_by": {how.label for how in Identification},
    "note": {reason.value for reason in Reason},
    "price_kind": {kind.label for kind in PriceKind},
    "apart": set(APART),
    "compared": set(MEASURES),
    "difference": set(KINDS),
    "resolution": {how.value for how in Resolution},
    "ending": {word.value for word in Ending},
    "left_out": {word.value for word in LeftOut},
    "publish_why": {why.value for why in Refusal},
    "segment": {group.value for group in Group},
    "trait": {trait.value for trait in Trait},
    "unlock": {table.name for table in TABLES if not table.required},
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
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

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


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_tables_cost_the_same_when_missing(language: str) -> None:
    told = list(texts(language).sections["unlock"].values())
    assert len(set(told)) == len(told)


def test_the_report_uses_every_text_it_has_and_has_every_text_it_uses() -> None:
    template = (ROOT / "api" / "templates" / "report.html").read_text()
    code = (ROOT / "api" / "report.py").read_text()
    used = set(re.findall(r"""\bt\(["'](\w+)["']""", template))
    used |= set(re.findall(r"""text\(\s*"report",\s*"(\w+)\"""", code))
    assert used == set(texts("en").sections["report"])


def test_figures_are_written_as_the_reader_writes_them() -> None:
    english, spanish, euro = texts("en"), texts("es"), Currency.of("EUR")
    assert (english.number(1234.5, 1), spanish.number(1234.5, 1)) == ("1,234.5", "1.234,5")
    assert (english.number(-1234567), spanish.number(-1234567)) == ("-1,234,567", "-1.234.567")
    assert (english.number(2.5, 2, signed=True), spanish.number(2.5, 2, signed=True)) == ("+2.50", "+2,50")
    assert english.number(-0.0001, 2) == "0.00"
    assert english.percent(0.1234, 1, signed=True) == "+12.3%"
    assert spanish.percent(0.1234) == "12\N{NO-BREAK SPACE}%"
    assert english.money(-123456789, euro) == "-1,234,567.89\N{NO-BREAK SPACE}EUR"
    assert spanish.money(123456789, euro, signed=True) == "+1.234.567,89\N{NO-BREAK SPACE}EUR"
    assert spanish.amount(-5, euro) == "-0,05"
    assert spanish.amount(1234, Currency.of("JPY")) == "1.234"


def test_days_are_written_as_the_reader_writes_them() -> None:
    english, spanish = texts("en"), texts("es")
    assert (english.day("2025-03-09"), spanish.day("2025-03-09")) == ("9 March 2025", "9 de marzo de 2025")
    assert (english.day("2025-03-09", "short_date"), spanish.day("2025-01-09", "short_date")) == (
        "9 Mar",
        "9 ene",
    )
    assert (english.day("2025-12", "month"), spanish.day("2025-12", "month")) == (
        "December 2025", "diciembre de 2025",
    )  # fmt: skip
    # A span of days does not hold its end.
    assert english.span("2025-10-27", "2025-11-03") == "27 October – 2 November 2025"
    assert spanish.span("2025-12-29", "2026-01-05") == "29 de diciembre de 2025 – 4 de enero de 2026"
    assert spanish.span("2025-12-29", "2025-12-30") == "29 de diciembre de 2025"


def test_a_known_sentence_is_said_in_the_readers_language_with_what_it_names() -> None:
    bad = "orders.csv: 3 of 4 rows are bad, for example row 2 (paid: negative; 2 such rows)."
    assert texts("en").reworded(bad) == bad
    assert texts("es").reworded(bad) == (
        "orders.csv: 3 de 4 filas son malas, por ejemplo la fila 2 (paid: negativo; 2 filas así)."
    )
    assert texts("es").reworded("The moon is full.") == "The moon is full."
    assert texts("es").reworded("a/shop.toml: shop.toml names no zone.") == (
        "a/shop.toml: shop.toml no nombra ninguna zona."
    )
    assert texts("es").reworded("") == ""


def _sentences() -> Iterator[str]:
    """Yield every text of the packages' code, what is filled in as {}."""
    for path in sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
                yield re.sub(r"(\{\})+", "{}", "".join(str(part) for part in parts))


def test_every_known_sentence_is_still_said_somewhere() -> None:
    """A message that is reworded in the code and not here would silently stay English."""
    said = set(_sentences())
    for code, template in texts("en").sections["sentence"].items():
        bare = re.sub(r"\{\w+\}", "{}", template)
        if bare not in said:  # a bad row's reason is put together from its columns and what is wrong
            _, _, wrong = bare.partition(": ")
            assert wrong, f"sentence.{code} is said no more; say it anew in every language"
            assert any(text == wrong or f": {wrong}" in text for text in said), code
