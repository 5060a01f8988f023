"""From tables with plans to recommendations that know of them: one shop, with and without its declaration."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.planned import plans_told
from api.runs import open_shelf
from api.texts import texts
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend
from policies.serve.shelf import Shelf
from pricing.recommendation import Reason
from pricing.transition import State
from tests.api.shop import FIRST, PRODUCTS, WEEKS, write_shop

UNTIL = 33
"""Weeks that the fit sees. The shop advertises product p in week w where w + p is a multiple of seven."""

ADVERTISED = [f"p{p:02d}" for p in range(PRODUCTS) if (UNTIL + p) % 7 == 0]


def _day(week: int) -> str:
    return (FIRST + dt.timedelta(weeks=week)).isoformat()


def _run(folder: Path, *, name: str = "data") -> Result:
    return CliRunner().invoke(
        app,
        ["fit", str(folder / name), "--out", str(folder / f"run-{name}"), "--until", _day(UNTIL), "--json"],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A declared shop, fitted; the same without the declaration; the same with nothing recorded later."""
    place = tmp_path_factory.mktemp("planned")
    data = write_shop(place / "data")
    undeclared = write_shop(place / "undeclared")
    text = (data / "shop.toml").read_text()
    (undeclared / "shop.toml").write_text(text.replace("set_in_advance = true", "set_in_advance = false"))
    known = write_shop(place / "known")
    lines = (data / "orders.csv").read_text().splitlines()
    (known / "orders.csv").write_text(
        "\n".join([lines[0], *(line for line in lines[1:] if line.split(",")[2] < _day(UNTIL))]) + "\n"
    )
    for name in ("data", "undeclared", "known"):
        result = _run(place, name=name)
        assert result.exit_code == 0, result.output
    return place


def _shelf(folder: Path, name: str = "data") -> Shelf:
    return open_shelf(folder / f"run-{name}")


def _units(shelf: Shelf, *, plain: bool = False) -> dict[str, float]:
    """Return log units of the coming period by group; `plain` takes what is promoted out of it."""
    scenario, nothing = shelf.scenario, np.zeros(len(shelf.catalogue))
    if plain:
        bare = (replace(c, depth=nothing, feature=nothing, display=nothing) for c in scenario.conditions)
        scenario = replace(scenario, conditions=tuple(bare))
    situation = scenario.situation(State.start(shelf.catalogue, 1), 0)
    return dict(zip(shelf.catalogue.series.group, situation.log_units_now[0].tolist(), strict=True))


def test_an_advertised_product_sells_by_the_exponential_of_its_coefficient_more(folder: Path) -> None:
    declared, undeclared = _shelf(folder), _shelf(folder, "undeclared")
    assert ADVERTISED == ["p02", "p09"]
    groups = declared.catalogue.series.group
    effect = dict(zip(groups, declared.scenario.beliefs.feature.tolist(), strict=True))
    # The two fits differ: what identifies a price lets its response bend. The undeclared week is plain.
    assert _units(undeclared) == _units(undeclared, plain=True)
    plan, plain = _units(declared), _units(declared, plain=True)
    for group in groups:
        expected = effect[group] if group in ADVERTISED else 0.0
        assert plan[group] - plain[group] == pytest.approx(expected, abs=1e-12)
    assert all(effect[group] != 0.0 for group in ADVERTISED)


def test_every_way_to_a_recommendation_says_so(folder: Path) -> None:
    out = folder / "recommendations.parquet"
    call = ["recommend", str(folder / "run-data"), "--policy", "incumbent", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, call)
    told = json.loads(result.stdout)
    assert (told["promoted"], told["plans_left_out"]) == (2, 0)
    shown = CliRunner().invoke(app, [*call[:-1], "--language", "es"])
    assert "promocionan o rebajan 2 productos" in " ".join(shown.stdout.split())
    made = recommend(_shelf(folder), Incumbent())
    rows = [made.row(i) for i in range(len(made))]
    assert [row.price_group for row in rows if Reason.PROMOTION_PLANNED in row.reasons] == ADVERTISED


def test_without_the_declaration_the_week_is_plain_and_the_rows_are_counted(folder: Path) -> None:
    shelf = _shelf(folder, "undeclared")
    coming = sum((week + p) % 7 == 0 for week in range(UNTIL, WEEKS) for p in range(PRODUCTS))
    assert shelf.plans.left_out == coming == PRODUCTS
    made = recommend(shelf, Incumbent())
    assert not any(Reason.PROMOTION_PLANNED in made.row(i).reasons for i in range(len(made)))
    again = CliRunner().invoke(
        app, ["fit", str(folder / "undeclared"), "--out", str(folder / "again"), "--until", _day(UNTIL)]
    )
    assert f"{coming} rows about promotions and reductions to come are left out" in " ".join(
        again.stdout.split()
    )


def test_what_was_sold_later_changes_no_byte_of_the_shelf(folder: Path) -> None:
    declared, known = _shelf(folder).files(), _shelf(folder, "known").files()
    assert dict(declared) == dict(known)


def test_nothing_planned_is_nothing_told() -> None:
    assert plans_told(0, 0, texts("en")) == ()
    (both, rows) = plans_told(1200, 3, texts("en"))
    assert "1,200 products" in both
    assert rows.startswith("3 rows")
