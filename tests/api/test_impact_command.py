"""`tarifa impact` from a data folder to a workbook, and the holdout in `recommend`."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.cli.serve import desk_of
from api.cli.session import Session
from api.impact_page import render_impact
from api.impact_workbook import workbook_bytes
from api.texts import texts
from policies.impact.report import Impact, measure
from pricing.errors import SettingsError
from pricing.trial import Design, Trial
from simulators.contract.realised import AMOUNTS
from tests.api.shop import SHOP
from tests.policies.trials import planned, raised, realised, weeks_of

START, PAST, WEEKS, PRODUCTS = "2024-05-20", 20, 6, 36
SETTINGS = SHOP.replace("[cost_assumption]\ndefault = 0.6\n", "")


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def _plain(result: Result) -> str:
    return " ".join(result.output.split())


def _json(*words: object) -> dict[str, Any]:
    result = _call(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _shop(folder: Path, weeks: int, higher: Collection[str] = ()) -> Path:
    """Write a shop whose products cost 6.00 and sell at 10.00; those in `higher` at 11.00 in the trial."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.toml").write_text(SETTINGS)
    rng = np.random.default_rng(3)
    head = (
        "order_id,line_id,ordered_at,status,product_id,quantity,regular_price,offered_price,paid,price_basis"
    )
    rows = [head]
    for p in range(PRODUCTS):
        units = rng.poisson(40 + 5 * p, PAST + WEEKS)
        for week in range(weeks):
            name, day = f"p{p:02d}", dt.date(2024, 1, 1) + dt.timedelta(weeks=week, days=p % 7)
            price = 1100 if name in higher and week >= PAST else 1000
            paid = f"{price * units[week] / 100:.2f}"
            rows.append(
                f"o{p}-{week},1,{day},paid,{name},{units[week]},{price / 100},{price / 100},{paid},gross"
            )
    last = dt.date(2024, 1, 1) + dt.timedelta(weeks=weeks, days=-1)
    rows.append(f"end,1,{last},paid,p00,1,10,10,10,gross")
    (folder / "orders.csv").write_text("\n".join(rows) + "\n")
    names = [f"p{p:02d}" for p in range(PRODUCTS)]
    (folder / "products.csv").write_text(
        "product_id,category,kind\n" + "".join(f"{n},=cat{i % 3},merchandise\n" for i, n in enumerate(names))
    )
    costs = "".join(f"{n},2024-01-01,6\n" for n in names)
    (folder / "costs.csv").write_text("product_id,valid_from,unit_cost\n" + costs)
    return folder


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A plan from the first 20 weeks, and the shop with what it treated sold dearer for six weeks more."""
    root = tmp_path_factory.mktemp("impact")
    _json("impact", "plan", _shop(root / "early", PAST), "--out", root / "plan.json", "--periods", WEEKS)
    plan = Trial.from_bytes((root / "plan.json").read_bytes(), "plan.json")
    on = {u.group for u in plan.units if plan.clusters[u.cluster].treated[0]}
    return root / "plan.json", _shop(root / "later", PAST + WEEKS, on)


def test_the_plan_says_what_will_happen_before_it_does(trial: tuple[Path, Path], tmp_path: Path) -> None:
    said = _json(
        "impact", "plan", trial[1].with_name("early"), "--out", tmp_path / "p.json", "--periods", WEEKS
    )
    assert said["digest"] == Trial.from_bytes(trial[0].read_bytes(), "").digest
    assert (said["start"], said["end"], said["clusters"]) == (START, "2024-07-01", PRODUCTS)
    assert 6 <= said["clusters_held"] <= 8
    assert 0 < said["precision"]["detectable"] < said["precision"]["treated"]
    shown = _call(
        "impact", "plan", trial[1].with_name("early"), "--out", tmp_path / "p.json", "--periods", WEEKS
    )
    assert said["digest"] in "".join(shown.stdout.split())


def test_the_report_finds_the_gain_and_says_so_in_three_forms(
    trial: tuple[Path, Path], tmp_path: Path
) -> None:
    """A higher price at the same sales: 1.00 / 1.21 more on every unit, of 10 / 1.21 - 6.00 before."""
    out = tmp_path / "report"
    found = _json("impact", "report", *trial, "--out", out)
    truth = (1.0 / 1.21) / (10.0 / 1.21 - 6.0)
    share = found["effect_share"]
    assert share["lower"] <= truth <= share["upper"]
    assert share["value"] == pytest.approx(truth, abs=0.03)
    assert (found["verdict"], found["caveats"]) == ("paid", ["planned_late", "divided"])
    assert (found["held_moved"], found["treated_still"]) == (0, 0)
    page = (out / "impact.html").read_text()
    assert "It paid" in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    kept = json.loads((out / "impact.json").read_text())
    assert kept == {name: value for name, value in found.items() if name != "report"}
    book = openpyxl.load_workbook(out / "impact.xlsx")
    assert book.sheetnames == ["Summary", "Months", "Categories", "Price groups", "Method"]
    # What an accountant adds up: net sales less costs of both sides is what the orders say.
    rows = list(book["Months"].iter_rows(min_row=2, values_only=True))
    profit = sum(float(str(row[3 + len(AMOUNTS)])) for row in rows)
    assert profit == pytest.approx(_books(trial[1]), abs=0.1)


def _books(folder: Path) -> float:
    lines = [row.split(",") for row in (folder / "orders.csv").read_text().splitlines()[1:]]
    late = [row for row in lines if row[2] >= START]
    return sum(float(row[8]) / 1.21 - 6.0 * float(row[5]) for row in late)


def test_before_anything_happened_there_is_a_report_that_tells_nothing(
    trial: tuple[Path, Path], tmp_path: Path
) -> None:
    found = _json("impact", "report", trial[0], trial[1].with_name("early"), "--out", tmp_path / "report")
    assert (found["verdict"], found["effect_share"], found["months"]) == ("cannot_tell", None, [])
    assert found["caveats"][:2] == ["too_early", "nothing_measured"]
    assert "Nothing could be estimated" in (tmp_path / "report" / "impact.html").read_text()
    summary = openpyxl.load_workbook(tmp_path / "report" / "impact.xlsx")["Summary"]
    assert (summary["B2"].value, summary["B3"].value) == ("cannot tell yet", None)


def test_what_a_shop_calls_its_categories_is_never_a_formula(
    trial: tuple[Path, Path], tmp_path: Path
) -> None:
    _json("impact", "report", *trial, "--out", tmp_path / "report")
    book = openpyxl.load_workbook(tmp_path / "report" / "impact.xlsx")
    cell = book["Categories"]["A2"]
    assert (cell.value, cell.data_type) == ("=cat0", "s")


def test_the_report_is_spanish_for_who_reads_spanish(trial: tuple[Path, Path], tmp_path: Path) -> None:
    result = _call("impact", "report", *trial, "--out", tmp_path / "report", "--language", "es")
    assert result.exit_code == 0, result.output
    assert "Ha valido la pena" in result.stdout
    assert openpyxl.load_workbook(tmp_path / "report" / "impact.xlsx").sheetnames[0] == "Resumen"


def test_a_changed_plan_is_refused(trial: tuple[Path, Path], tmp_path: Path) -> None:
    body = json.loads(trial[0].read_bytes())
    body["worth"] = -10_000_000
    (tmp_path / "plan.json").write_text(json.dumps(body))
    result = _call("impact", "report", tmp_path / "plan.json", trial[1], "--out", tmp_path / "report")
    assert result.exit_code == 4
    assert "changed after it was written" in _plain(result)
    assert not (tmp_path / "report").exists()


def test_a_plan_that_began_is_not_written_over(trial: tuple[Path, Path], tmp_path: Path) -> None:
    place, early = tmp_path / "plan.json", trial[1].with_name("early")
    place.write_bytes(trial[0].read_bytes())
    again = ("impact", "plan", early, "--out", place, "--periods", WEEKS)
    assert _call(*again).exit_code == 0  # the same plan, the same bytes
    assert place.read_bytes() == trial[0].read_bytes()
    result = _call(*again, "--seed", 1)
    assert result.exit_code == 2
    assert "holds a plan whose trial began" in _plain(result)
    place.write_text("my notes")
    assert _call(*again).exit_code == 2
    assert place.read_text() == "my notes"
    ahead = tmp_path / "ahead.json"
    _json("impact", "plan", early, "--out", ahead, "--start", "2999-01-01")
    _json("impact", "plan", early, "--out", ahead, "--start", "2999-01-01", "--seed", 1)  # not begun yet


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--worth", "much"), 2, "--worth much"),
        (("--start", "soon"), 2, "is no day"),
        (("--holdout", "0.9"), 2, "not a share"),
        (("--zones", "moon"), 2, "Nothing was sold in the zone moon"),
        (("--design", "switchback"), 5, "are too few"),
        (("--design", "switchback", "--periods", "9"), 2, "not an even number"),
        (("--data", "x"), 2, "is no run"),
    ],
)
def test_wrong_wishes_are_told(
    trial: tuple[Path, Path], tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    early = trial[1].with_name("early")
    result = _call("impact", "plan", early, "--out", tmp_path / "plan.json", *words)
    assert (result.exit_code, told in _plain(result)) == (code, True), result.output
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe\x00", b"PK\x03\x04"])
def test_other_files_are_no_plans(trial: tuple[Path, Path], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    result = _call("impact", "report", tmp_path / "plan.json", trial[1], "--out", tmp_path / "r")
    assert (result.exit_code, "no plan of a trial" in _plain(result)) == (4, True), result.output
    assert _call("impact", "report", tmp_path, trial[1], "--out", tmp_path / "r").exit_code == 4


def _found(share: float, **wish: object) -> Impact:
    profit = weeks_of(2)
    plan = planned(profit, **wish)
    return measure(plan, realised(raised(profit, plan, share)), 199)


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_same_report_gives_the_same_bytes(language: str) -> None:
    found = _found(0.3)
    said = texts(language)
    assert workbook_bytes(found, said) == workbook_bytes(found, said)
    assert render_impact(found, said) == render_impact(found, said)
    other = openpyxl.load_workbook(io.BytesIO(workbook_bytes(found, said)))
    assert len(list(other.worksheets[3].iter_rows())) == 1 + len(found.trial.units)


def test_what_is_held_out_keeps_its_price_in_recommend(run_folder: Path, tmp_path: Path) -> None:
    """The shop of the other tests: 12 products, half of them held out from the day it is fitted until."""
    plan, out = tmp_path / "plan.json", tmp_path / "r.parquet"
    words = ("--start", "2024-09-02", "--holdout", "0.5", "--periods", 8)
    said = _json("impact", "plan", run_folder, "--out", plan, *words)
    assert said["units"] == 12
    free = _json("recommend", run_folder, "--policy", "resolve", "--out", out)
    assert free["trial"] is None
    wanted = {row["price_group"]: row for row in pq.read_table(out).to_pylist()}
    made = _json("recommend", run_folder, "--policy", "resolve", "--out", out, "--plan", plan)
    assert (made["trial"], made["held"]) == (said["digest"], 6)
    assert made["provenance_digest"] != free["provenance_digest"]
    held = {group for group, _ in Trial.from_bytes(plan.read_bytes(), "").held("2024-09-02")}
    moved = 0
    for row in pq.read_table(out).to_pylist():
        before = wanted[row["price_group"]]
        if row["price_group"] not in held:
            assert row["recommended_price"] == before["recommended_price"]
        else:
            assert row["recommended_price"] == row["current_price"]
            assert "held_out" in row["reason_codes"]
            assert "limited_by_rule" not in row["reason_codes"]
            if before["recommended_price"] != row["current_price"]:
                moved += 1
                assert row["binding_guardrail"] is not None
    assert moved > 0
    result = _call("recommend", run_folder, "--policy", "resolve", "--out", out, "--plan", plan)
    assert "Held out by the trial" in result.stdout


def test_serve_holds_the_same_prices(run_folder: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    words = ("--start", "2024-09-02", "--holdout", "0.5", "--periods", 8)
    said = _json("impact", "plan", run_folder, "--out", plan, *words)
    session = Session(texts("en"), as_json=True)
    desk = desk_of(session, run_folder, "resolve", str(tmp_path / "s.sqlite3"), None, plan=plan)
    with contextlib.closing(desk.store):
        assert desk.shelf.trial is not None
        assert desk.shelf.trial.digest == said["digest"]
        assert desk.shelf.guardrails.held is not None
        assert (desk.shelf.guardrails.held > 0).sum() == 6


def test_a_switchback_cannot_run_where_only_some_prices_may_move(run_folder: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from api.runs import open_shelf

    profit = weeks_of(1)
    shelf = open_shelf(run_folder)
    plan = planned(profit, design=Design.SWITCHBACK, block=2, washout=1)
    series = shelf.catalogue.series
    pairs = zip(plan.units, series.group, series.zone, strict=False)
    units = sorted((replace(u, group=g, zone=z) for u, g, z in pairs), key=lambda u: (u.group, u.zone))
    names = sorted({unit.cluster for unit in units})
    plan = replace(
        plan, start=shelf.catalogue.as_of, since="2024-01-01",
        units=tuple(replace(unit, cluster=names.index(unit.cluster)) for unit in units),
        clusters=tuple(plan.clusters[name] for name in names),
    )  # fmt: skip
    few = replace(shelf.corridor.settings, max_share_moved=0.5)
    tight = replace(shelf, trial=plan, corridor=replace(shelf.corridor, settings=few))
    with pytest.raises(SettingsError, match="switchback cannot run"):
        _ = tight.guardrails
    held = replace(shelf, trial=plan).held
    assert held is not None
    assert set(held.tolist()) <= {0, 1000}  # back to the price of before the trial, not today's
    assert (held == 1000).any()


def test_another_shops_plan_holds_nothing_here(
    trial: tuple[Path, Path], run_folder: Path, tmp_path: Path
) -> None:
    profit = weeks_of(1)
    (tmp_path / "other.json").write_bytes(planned(profit).to_bytes())
    words = ("--policy", "static", "--out", tmp_path / "r.parquet", "--plan", tmp_path / "other.json")
    result = _call("recommend", run_folder, *words)
    assert (result.exit_code, "none of the price groups" in _plain(result)) == (4, True)
    assert _call("recommend", run_folder, *words[:-1], tmp_path / "none.json").exit_code == 4
