from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from api.charts import Axis, Bar, band_chart, curve_chart, histogram, interval_chart
from api.report import Findings, render_report
from api.texts import texts

SVG = "{http://www.w3.org/2000/svg}"


def _svg(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own chart


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
