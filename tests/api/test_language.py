"""What a pricing manager reads in Spanish is Spanish: report, check, tables and the most common mistakes."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.report import Findings, render_report
from api.texts import texts
from pricing.schema import TABLES
from tests.api.shop import write_shop

CONTRACT = {table.name for table in TABLES} | {column.name for table in TABLES for column in table.columns}
"""Words that stay as they are in every language: names of tables and columns."""


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _plain(text: str) -> str:
    return " ".join(text.split())


def _english(*sections: str) -> Iterator[str]:
    """Yield the English wording that must not show: what stands between the slots, where it is no name."""
    english, spanish = texts("en").sections, texts("es").sections
    theirs = _plain(" ".join(text for found in spanish.values() for text in found.values())).lower()
    for section in sections or english:
        for text in english[section].values():
            for words, _, _, _ in string.Formatter().parse(text):
                part = _plain(words).strip(" .,;:()").lower()
                if (
                    len(part) >= 4
                    and part not in CONTRACT
                    and not re.search(rf"\b{re.escape(part)}\b", theirs)
                ):
                    yield part


def _shown(page: str) -> str:
    """Return the words of a page that a reader sees."""

    class Words(HTMLParser):
        found: list[str] = []  # noqa: RUF012 - one parser, one page
        hidden = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.hidden = tag == "style"
            self.found += [value or "" for name, value in attrs if name == "data-name"]

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                self.found.append(data)

    parser = Words()
    parser.feed(page)
    return _plain(" ".join(parser.found)).lower()


def _among(shown: str, parts: Iterator[str]) -> set[str]:
    return {part for part in parts if re.search(rf"\b{re.escape(part)}\b", shown)}


def test_no_english_label_is_in_a_spanish_report(findings: Findings) -> None:
    spanish, english = (_shown(render_report(findings, texts(language))) for language in ("es", "en"))
    assert _among(spanish, _english()) == set()
    assert len(_among(english, _english())) > 60, "the same look at the English page finds what it looks for"


def test_a_spanish_report_writes_figures_and_days_in_spanish(findings: Findings) -> None:
    page = render_report(findings, texts("es"))
    assert '<html lang="es">' in page
    assert re.search(r"Precios: \d+ de [a-z]+ – \d+ de [a-z]+ de \d{4}", page)
    assert re.search(r"\d,\d\d\N{NO-BREAK SPACE}EUR", page)
    assert not re.search(r"\d\.\d\d\N{NO-BREAK SPACE}EUR", page)
    assert not re.search(r">[+-]?\d+\.(?!\d{3}[^\d])\d+", page), "a decimal point"


def test_no_english_label_is_in_a_spanish_check(tmp_path: Path) -> None:
    data = write_shop(tmp_path / "shop")
    with (data / "orders.csv").open("a") as orders:
        orders.write("o9,1,2024-03-01 12:00:00,paid,p99,1,2.00,2.00,2.00,gross\n")
        orders.write("o8,1,2024-03-01 12:00:00,paid,p01,-1,2.00,2.00,2.00,gross\n")
        orders.write("o7,1,2024-03-01 12:00:00,cancelled,p01,1,2.00,2.00,2.00,gross\n")
        orders.write("o6,1,2034-03-01 12:00:00,paid,p01,1,2.00,2.00,2.00,gross\n")
        orders.write("o5,1,soon,paid,p01,1,2.00,2.00,2.00,gross\n")
    spanish, english = (_call("check", data, "--language", language) for language in ("es", "en"))
    assert spanish.exit_code == english.exit_code == 0
    sections = ("check", "apart", "question", "because", "unlock", "sentence")
    assert _among(_plain(spanish.stdout).lower(), _english(*sections)) == set()
    assert len(_among(_plain(english.stdout).lower(), _english(*sections))) > 15
    for words in (
        "product_id: no figura en products",
        "quantity: no es positivo",
        "en el futuro",
        "cancelado",
    ):
        assert words in spanish.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "RUN", "--quick", "--out", "OUT/passport"),
        ("elasticities", "RUN", "--out", "OUT/e.parquet"),
        ("recommend", "RUN", "--policy", "static", "--out", "OUT/r.parquet"),
        (
            "simulate", "RUN", "--policies", "incumbent,static", "--seeds", "2", "--horizon", "1",
            "--workers", "1", "--out", "OUT/sim",
        ),
    ],
)  # fmt: skip
def test_no_english_label_is_in_a_spanish_table(
    words: tuple[str, ...], run_folder: Path, tmp_path: Path
) -> None:
    said = [word.replace("RUN", str(run_folder)).replace("OUT", str(tmp_path)) for word in words]
    spanish, english = (_call(*said, "--language", language) for language in ("es", "en"))
    assert spanish.exit_code == english.exit_code == 0, spanish.stderr
    assert _among(_plain(spanish.stdout).lower(), _english()) == set()
    assert len(_among(_plain(english.stdout).lower(), _english())) >= 3


def _shop(change: Callable[[Path], object]) -> Callable[[Path], tuple[object, ...]]:
    def prepared(folder: Path) -> tuple[object, ...]:
        data = write_shop(folder / "shop")
        change(data)
        return ("check", data)

    return prepared


def _replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda data: (data / name).write_text((data / name).read_text().replace(old, new))


MISTAKES: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "no folder": lambda folder: ("check", folder / "nowhere"),
    "no run": lambda folder: ("validate", folder / "nowhere"),
    "no source": lambda folder: ("import", folder / "nowhere", "--out", folder / "out"),
    "no shop file": _shop(lambda data: (data / "shop.toml").unlink()),
    "broken shop file": _shop(_replaced("shop.toml", "contract = 1", "contract = ")),
    "unknown setting": _shop(_replaced("shop.toml", "price_endings", "price_ending")),
    "missing setting": _shop(_replaced("shop.toml", 'currency = "EUR"', "")),
    "wrong setting": _shop(_replaced("shop.toml", "margin_floor = 0.05", 'margin_floor = "low"')),
    "no orders": _shop(lambda data: (data / "orders.csv").unlink()),
    "empty orders": _shop(lambda data: (data / "orders.csv").write_bytes(b"")),
    "header only": _shop(lambda data: (data / "products.csv").write_text("product_id,category,kind\n")),
    "no column": _shop(_replaced("orders.csv", "price_basis", "basis")),
    "too many bad rows": _shop(_replaced("orders.csv", ",paid,p0", ",paid,x0")),
    "unclear numbers": _shop(
        lambda data: (data / "costs.csv").write_text(
            'product_id,valid_from,unit_cost\np00,2024-01-01,"1,234"\n'
        )
    ),
    "unclear days": _shop(
        lambda data: (data / "costs.csv").write_text("product_id,valid_from,unit_cost\np00,03/04/2024,1\n")
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_common_mistake_is_explained_in_spanish(mistake: str, tmp_path: Path) -> None:
    words = MISTAKES[mistake](tmp_path)
    told = {}
    for language in ("en", "es"):
        result = _call(*words, "--language", language, "--json")
        assert result.exit_code in (2, 3, 4), result.output
        error = json.loads(result.stdout).get("error")
        told[language] = error or {"what": result.stderr}  # a check prints its report, then what is wrong
    assert set(told["en"]) == set(told["es"])
    for name in ("title", "what", "todo"):
        assert told["es"].get(name, "-") != told["en"].get(name, ""), f"{name} stays English"
    why = told["en"].get("why", "")
    known = why.startswith(("Nothing runs", "Every row")) or not why
    assert known or told["es"]["why"] != why


def test_an_error_in_spanish_has_spanish_headings(tmp_path: Path) -> None:
    result = _call("check", tmp_path / "nowhere", "--language", "es")
    expected = (
        f"Los datos incumplen el contrato: No existe la carpeta de datos {tmp_path / 'nowhere'}. "
        "Qué hacer: Revise la ruta, o importe antes los datos."
    )
    # A terminal breaks lines where the length of the path makes it.
    assert "".join(result.stderr.split()) == "".join(expected.split())
