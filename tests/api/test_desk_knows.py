"""What a run knows: the same of its tables as `tarifa check` tells, and prior prices with what they cost."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal
from typer.testing import CliRunner

from api.cli.main import app
from api.prior_told import prior_cost_told, prior_told
from api.runs import open_shelf, read_past
from api.texts import texts
from bench.desk_shop import desk_shelf
from policies.serve.past import SHOP_FILE, Past, shop_to_bytes
from pricing.errors import ArtifactError
from pricing.money import Currency
from pricing.plans import Plans
from tests.api.client import Client, serving
from tests.api.desk import SERIES, desk_of, rows, send
from tests.api.shop import write_shop

EUR = Currency.of("EUR")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("knows") / "shop")


def _cells(page: str) -> list[str]:
    """Return what stands in the cells of all tables of a page."""
    found = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in found]


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_desk_tells_what_the_page_of_check_tells(
    shop: Path, tmp_path: Path, portal: BlockingPortal, language: str
) -> None:
    place = tmp_path / "ready.html"
    call = ["check", str(shop), "--page", str(place), "--language", language, "--json"]
    document = json.loads(CliRunner().invoke(app, call).stdout)
    desk = desk_of(tmp_path)
    desk.past = replace(desk.past, check=document)
    client = serving(desk, portal)
    shown = client.get("/desk/readiness", headers={"Accept-Language": language}).text
    wanted, found = _cells(place.read_text()), _cells(shown)
    assert len(wanted) > 60
    assert found[-len(wanted) :] == wanted
    word = texts(language).sections["readiness"]
    assert all(html.escape(word[one["code"]]) in shown for one in document["readiness"]["switches"])
    assert "style=" not in shown


def test_a_run_that_was_fitted_knows_its_tables_and_its_clocks(shop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["fit", str(shop), "--out", str(run)])
    assert result.exit_code == 0, result.output
    checked = json.loads(CliRunner().invoke(app, ["check", str(shop), "--json"]).stdout)
    past = read_past(run, open_shelf(run).catalogue)
    assert past.check is not None
    assert past.check["readiness"] == checked["readiness"]
    assert past.check["answers"] == checked["answers"]
    written = json.loads((run / SHOP_FILE).read_bytes())["time_zone"]
    assert past.time_zone == written
    assert f'time_zone = "{written}"' in (shop / "shop.toml").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not readable"),
        (b'{"schema": 1}', "not readable"),
        (b'{"schema": 1, "time_zone": "Mars/Olympus", "check": null}', "not readable"),
        (b'{"schema": 9, "time_zone": "UTC", "check": null}', "reads up to 1"),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        Past.from_files(desk_shelf(2).catalogue, None, None, content)


def test_a_run_without_a_check_says_where_it_is_told(tmp_path: Path, portal: BlockingPortal) -> None:
    client = serving(desk_of(tmp_path), portal)
    assert "This run keeps no check of its tables." in client.get("/desk/readiness").text
    past = Past.from_files(desk_shelf(2).catalogue, None, None, shop_to_bytes("Asia/Tokyo", None))
    assert (past.time_zone, past.check) == ("Asia/Tokyo", None)


def test_the_prior_price_is_told_with_what_it_costs(tmp_path: Path, portal: BlockingPortal) -> None:
    desk = desk_of(tmp_path)
    client = serving(desk, portal)
    send(client, "/desk/rounds")
    decision, _ = rows(client.get("/desk").text)[0]
    page = _told(client, decision)
    found: Any = client.get(f"/v1/recommendations/{decision}").json()
    place = desk.shelf.catalogue.series.group.index(found["price_group"])
    lowest = int(desk.shelf.catalogue.recent[place].min())
    assert f"Lowest price of the last 30 days: {lowest / 100:.2f}\u00a0EUR." in page
    assert f"a reduction is counted from {found['prior_price']['minor'] / 100:.2f}\u00a0EUR or less" in page
    off = replace(desk.shelf.corridor, settings=replace(desk.shelf.corridor.settings, prior_price=False))
    desk.shelf = replace(desk.shelf, corridor=off)
    assert "Lowest price of the last 30 days" not in _told(client, decision)


def _told(client: Client, decision: str) -> str:
    return html.unescape(client.get(f"/desk/products/{decision}").text)


def test_a_planned_reduction_says_what_keeping_to_the_rule_costs() -> None:
    shelf = desk_shelf(SERIES)
    depth = np.zeros((1, SERIES))
    depth[0, 3] = np.log(0.9)
    nothing = np.zeros((1, SERIES))
    shelf = replace(shelf, plans=Plans(depth, nothing, nothing, nothing, declared=True, left_out=0))
    row = {"recommended_price": 500, "prior_price": 450, "prior_price_until": "2024-02-07"}
    costs = prior_told({**row, "prior_price_cost": 1234}, shelf, 3, EUR, texts("en"))
    assert costs[1].startswith("A reduction of 10% is planned")
    assert costs[2].startswith("Keeping to that costs 12.34\u00a0EUR of expected profit")
    assert costs[3] == "Announced up to 7 February 2024, a reduction is counted from 4.50\u00a0EUR or less."
    free = prior_told({**row, "prior_price_cost": 0}, shelf, 3, EUR, texts("en"))
    assert free[2] == "Keeping to that costs nothing at this price."
    blocked = prior_told({"recommended_price": None, "prior_price": None}, shelf, 3, EUR, texts("en"))
    assert len(blocked) == 2
    assert len(prior_told({**row, "prior_price_cost": 0}, shelf, 4, EUR, texts("en"))) == 2
    assert len(prior_told(row, shelf, None, EUR, texts("en"))) == 1


def test_the_report_sums_what_the_rule_costs() -> None:
    rows_ = [{"prior_price_cost": cost} for cost in (0, 250, None, 1000)]
    (line,) = prior_cost_told(rows_, EUR, texts("en"))
    assert "costs 12.50\u00a0EUR of expected profit, for 2 products" in line
    assert prior_cost_told(rows_[:1], EUR, texts("en")) == ()
