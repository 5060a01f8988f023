from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner

from api.charts import Axis, Bar, band_chart, curve_chart, histogram, interval_chart
from api.cli.main import app
from api.report import Findings, render_report
from api.texts import texts

SVG = "{http://www.w3.org/2000/svg}"


def _json(*words: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [*(str(word) for word in words), "--json"])
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def _svg(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own chart


@pytest.fixture(scope="module")
def findings(shop_folder: Path, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    out = tmp_path_factory.mktemp("report")
    _json("elasticities", run_folder, "--out", out / "e.parquet")
    _json("recommend", run_folder, "--policy", "resolve", "--out", out / "r.parquet")
    words = ("--policies", "incumbent,static", "--seeds", 3, "--horizon", 2, "--workers", 1)
    _json("simulate", run_folder, *words, "--out", out / "sim")
    check = _json("check", shop_folder, "--quarantine", out / "bad")
    files = (out / "sim", out / "e.parquet", out / "r.parquet")
    validation = _json("validate", run_folder, "--quick", "--out", out / "passport")
    return Findings(run_folder, check, validation, *files)


def test_the_page_stands_alone_and_says_what_was_found(findings: Findings) -> None:
    page = render_report(findings, texts("en"))
    assert not re.search(r"<script|<link|src=|href=|url\(|@import", page)
    assert "Costs are assumed" in page
    assert page.count("<svg") >= 4
    assert render_report(findings, texts("en")) == page
    assert "12 prices change" in page


def test_the_page_is_well_formed(findings: Findings) -> None:
    class Nesting(HTMLParser):
        open: list[str] = []  # noqa: RUF012 - one parser, one page

        def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - its signature
            if tag not in ("meta", "br", "line", "circle", "rect", "polyline", "polygon"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag in self.open:
                assert self.open.pop() == tag

    parser = Nesting()
    parser.feed(render_report(findings, texts("en")))
    assert parser.open == []


def test_charts_put_numbers_where_they_belong() -> None:
    ramp, plain = np.arange(1.0, 6.0), Axis("what & where", "{:g}".format)
    band = _svg(band_chart(list("abcde"), ramp, ramp, ramp - 1, ramp + 1, plain))
    heights = [float(dot.attrib["cy"]) for dot in band.iter(f"{SVG}circle")]
    assert heights == sorted(heights, reverse=True), "a larger number stands higher"
    bars = _svg(histogram(np.array([-3.0, -1.0, -1.0, 7.0]), -4.0, 0.0, (plain, plain), bins=4))
    tall = [float(bar.attrib["height"]) for bar in bars.iter(f"{SVG}rect")]
    assert tall == pytest.approx([0.0, tall[1], 0.0, 3 * tall[1]], abs=0.2)
    assert tall[1] > 10.0
    rows = [Bar("a < b", "1", 1.0, 0.5, 1.5), Bar("b", "2", 2.0, 1.0, 3.0)]
    intervals = _svg(interval_chart(rows, 0.0, plain))
    left, right = (float(dot.attrib["cx"]) for dot in intervals.iter(f"{SVG}circle"))
    assert left < right
    assert "a < b" in [text.text for text in intervals.iter(f"{SVG}text")], "a policy's name is no markup"
    curve = (ramp, ramp * 2, ramp, ramp * 3)
    found = _svg(curve_chart(curve, 2.0, 4.0, (1.0, 5.0), (plain, plain)))
    now, chosen = (float(dot.attrib["cx"]) for dot in found.iter(f"{SVG}circle"))
    assert now < chosen


def test_no_label_of_a_chart_runs_out_of_its_picture() -> None:
    ramp, money = np.arange(1.0, 6.0), Axis("price", "{:.2f}".format)
    curve = (ramp * 1000, ramp * 2, ramp, ramp * 3)
    found = _svg(curve_chart(curve, 2000.0, 4000.0, (1000.0, 5000.0), (money, money)))
    wide = float(found.attrib["viewBox"].split()[2])
    for text in found.iter(f"{SVG}text"):
        x, half = float(text.attrib["x"]), 3.5 * len(text.text or "")  # 7 units a letter at 12 units
        start = {"end": x - 2 * half, "mid": x - half}.get(text.attrib["class"].split()[-1], x)
        assert -1.0 <= start <= wide - 2 * half + 1.0, text.text
