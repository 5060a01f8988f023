"""Readiness: what a shop is told before anything is fitted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from simulators.folders import MARKER
from tests.api.shop import PRODUCTS, write_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("ready") / "shop")


def _checked(data: Path, *options: str) -> Any:
    result = CliRunner().invoke(app, ["check", str(data), *options, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["readiness"]


def _changed(shop: Path, target: Path, **files: str | None) -> Path:
    """Return the shop with some files other or gone."""
    shutil.copytree(shop, target, ignore=shutil.ignore_patterns(MARKER))
    for name, content in files.items():
        place = target / f"{name}.csv"
        if content is None:
            place.unlink()
        else:
            place.write_text(content)
    return target


def test_products_are_told_by_evidence_with_the_width_to_expect(shop: Path) -> None:
    found = _checked(shop)
    enough, few, none = found["classes"]
    assert (enough["products"], few["products"], none["products"]) == (PRODUCTS, 0, 0)
    assert enough["revenue_share"] == pytest.approx(1.0)
    assert 0.3 < enough["half_width"] < 1.0
    assert none["half_width"] is None
    assert found["may_move"] is True
    assert 0 < found["movable"] <= PRODUCTS
    assert [one["code"] for one in found["switches"]] == ["costs", "prices", "inventory"]
    revenue = [product["revenue"] for product in found["products"]]
    assert revenue == sorted(revenue, reverse=True)


def test_the_width_to_expect_is_about_what_a_fit_leaves(shop: Path, tmp_path: Path) -> None:
    expected = _checked(shop)["classes"][0]["half_width"]
    run, out = tmp_path / "run", tmp_path / "e.parquet"
    for call in (["fit", shop, "--out", run], ["elasticities", run, "--out", out]):
        assert CliRunner().invoke(app, [str(word) for word in call]).exit_code == 0
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(out).to_pylist()
    widths = [(row["upper"] - row["lower"]) / 2.0 for row in rows if row["kind"] == "regular"]
    fitted = sorted(widths)[len(widths) // 2]
    assert 0.75 * expected < fitted < 4.0 / 3.0 * expected


def test_without_anything_that_tells_prices_from_demand_nothing_moves_and_it_says_what_to_do(
    shop: Path, tmp_path: Path
) -> None:
    found = _checked(_changed(shop, tmp_path / "bare", promotions=None))
    assert (found["may_move"], found["movable"]) == (False, 0)
    assert [one["code"] for one in found["switches"]][:2] == ["promotions", "price_test"]
    undeclared = _changed(shop, tmp_path / "undeclared")
    text = (undeclared / "shop.toml").read_text().replace("in_advance = true", "in_advance = false")
    (undeclared / "shop.toml").write_text(text)
    assert _checked(undeclared)["switches"][0]["code"] == "calendar"


def test_where_own_histories_say_too_little_similar_products_may_speak(shop: Path, tmp_path: Path) -> None:
    """Few units: what all tell together is offered, and once it is allowed the page says that prices move."""
    lines = (shop / "orders.csv").read_text().splitlines()
    thin = _changed(shop, tmp_path / "thin", orders="\n".join([lines[0], *lines[1::7]]) + "\n")
    found = _checked(thin)
    assert (found["may_move"], found["similar"]) == (True, False)
    switches = {one["code"]: one["products"] for one in found["switches"]}
    assert switches["similar"] == PRODUCTS - found["movable"] > 0
    settings = (thin / "shop.toml").read_text().replace("[guardrails]", "[guardrails]\nact_on_prior = true")
    (thin / "shop.toml").write_text(settings)
    found = _checked(thin)
    assert found["similar"] is True
    assert "similar" not in [one["code"] for one in found["switches"]]
    result = CliRunner().invoke(app, ["check", str(thin)])
    assert "similar products speak" in " ".join(result.output.split())


def test_a_product_of_one_price_is_as_wide_as_what_is_known_of_any_shop(shop: Path, tmp_path: Path) -> None:
    lines = (shop / "orders.csv").read_text().splitlines()
    kept = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        if cells[4] == "p00":
            cells[6] = cells[7] = "2.00"
            cells[8] = f"{2.0 * int(cells[5]):.2f}"
        kept.append(",".join(cells))
    found = _checked(_changed(shop, tmp_path / "still", orders="\n".join(kept) + "\n", promotions=None))
    none = found["classes"][2]
    assert none["products"] == 1
    assert none["half_width"] > found["classes"][0]["half_width"]
    assert none["test_periods"] > found["classes"][0]["test_periods"]


@pytest.mark.parametrize(
    ("language", "says"), [("en", "What to switch on next"), ("es", "Qué activar ahora")]
)
def test_the_page_is_one_file_in_the_readers_language(
    shop: Path, tmp_path: Path, language: str, says: str
) -> None:
    place = tmp_path / "ready.html"
    result = CliRunner().invoke(app, ["check", str(shop), "--page", str(place), "--language", language])
    assert result.exit_code == 0, result.output
    page = place.read_text()
    assert says in page
    assert f'lang="{language}"' in page
    assert "<script" not in page
    assert "href=" not in page
    assert "src=" not in page
    again = tmp_path / "again.html"
    CliRunner().invoke(app, ["check", str(shop), "--page", str(again), "--language", language])
    assert again.read_bytes() == place.read_bytes()


def test_a_shop_of_bad_rows_alone_is_refused_with_its_reasons(shop: Path, tmp_path: Path) -> None:
    head, line = (shop / "orders.csv").read_text().splitlines()[:2]
    cells = line.split(",")
    for place, value in ((5, "nan"), (7, "-1")):
        spoilt = ",".join([*cells[:place], value, *cells[place + 1 :]])
        bad = _changed(shop, tmp_path / value, orders=f"{head}\n{spoilt}\n")
        page = tmp_path / f"{value}.html"
        for form in ((), ("--json",)):
            result = CliRunner().invoke(app, ["check", str(bad), "--page", str(page), *form])
            assert result.exit_code == 3, result.output
        assert not page.exists()


def test_a_single_order_is_told_what_it_can_tell(shop: Path, tmp_path: Path) -> None:
    orders = "\n".join((shop / "orders.csv").read_text().splitlines()[:2]) + "\n"
    found = _checked(_changed(shop, tmp_path / "one", orders=orders, promotions=None))
    assert [one["products"] for one in found["classes"]] == [0, 0, 1]
    assert (found["may_move"], found["movable"]) == (False, 0)
