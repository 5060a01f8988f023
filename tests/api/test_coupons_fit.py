"""`tarifa coupons fit` and `evaluate`: in both languages, as JSON, and what a hostile folder meets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from pricing.uplift import UpliftModel
from simulators.known_truth.coupon_shop import Assignment, CouponSpec, draw_coupon_shop
from simulators.known_truth.coupon_tables import write_coupon_shop


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("coupons")
    for way in (Assignment.RANDOMISED, Assignment.TARGETED):
        write_coupon_shop(draw_coupon_shop(CouponSpec(3, way, 2000)), home / way)
    return home


def _run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["coupons", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output


def _json(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_run(*words, "--json"))
    return found


def test_fit_then_judge_on_what_came_later(shops: Path) -> None:
    model = shops / "early.npz"
    fit = _json("fit", shops / "randomised", "--out", model, "--until", "2023-08-01", "--window", 14)
    assert fit["identified_by"] == ["experiment"] * 5
    assert [effect["offer"] for effect in fit["effects"]] == ["off05", "off10", "off15", "off20"]
    assert fit["exposures"] == 2000
    assert UpliftModel.from_bytes(model.read_bytes()).as_of == fit["as_of"] == "2023-07-04"
    found = _json("evaluate", model, shops / "randomised")
    assert (found["exposures"], found["seen_by_the_model"], found["since"]) == (2000, False, "2023-07-04")
    assert [entry["policy"] for entry in found["policies"]] == ["model", "nobody", *["everybody"] * 4]
    assert found["gate"] == (found["policies"][0]["gain"]["lower"] > 0.0)


def test_its_own_log_is_no_judge_and_a_picture_is_drawn_of_it(shops: Path) -> None:
    model = shops / "whole.npz"
    drawn = [shops / f"{place}.png" for place in range(2)]
    first = _json("fit", shops / "randomised", "--out", model, "--plot", drawn[0])
    said = _run("fit", shops / "randomised", "--out", model, "--plot", drawn[1])
    assert first["plot"] == str(drawn[0])
    assert "Picture:" in said
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    assert drawn[0].read_bytes().startswith(b"\x89PNG")
    assert [round(one["share"], 1) for one in first["reach"]] == [round(0.1 * i, 1) for i in range(1, 11)]
    assert first["reach"][-1]["gain"]["lower"] < first["reach"][-1]["gain"]["upper"]
    found = _json("evaluate", model, shops / "randomised", "--since", "2023-01-01")
    assert found["seen_by_the_model"]
    assert not found["gate"]
    assert "flattering" in _run("evaluate", model, shops / "randomised", "--since", "2023-01-01")
    said = " ".join(_run("evaluate", model, shops / "randomised", code=3).split())
    for part in ("No exposure to a coupon can be read", "Since 2023-", "fit with --until"):
        assert part in said, "all of them are older than what the model has not seen"


@pytest.mark.parametrize(("language", "words"), [("en", "not identified"), ("es", "no está identificado")])
def test_without_a_lottery_it_says_so_and_proposes_one(shops: Path, language: str, words: str) -> None:
    model = shops / f"{language}.npz"
    said = " ".join(_run("fit", shops / "targeted", "--out", model, "--language", language).split())
    assert words in said
    assert "2,000" in said or "2.000" in said
    assert UpliftModel.from_bytes(model.read_bytes()).may_act == (True, False, False, False, False)
    drawn = shops / f"{language}.png"
    told = _json("fit", shops / "targeted", "--out", model, "--half-width", "0.50", "--plot", drawn)
    assert (told["plot"], told["reach"], drawn.exists()) == (None, [], False), "there is nothing to draw"
    narrow = told["holdout"]
    assert narrow["half_width"] == 50.0
    assert narrow["reached"] <= 50.0
    assert "not a lottery" in _run("evaluate", model, shops / "targeted", "--since", "2023-01-01", code=5)


def test_wrong_words_and_files_are_refused_in_words(shops: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "m.npz")
    assert "is no day" in _run("fit", shops / "randomised", *out, "--until", "July", code=2)
    assert "is not above 0" in _run("fit", shops / "randomised", *out, "--half-width", "-1", code=2)
    (tmp_path / "junk.npz").write_bytes(b"not a model")
    assert "not a readable" in _run("evaluate", tmp_path / "junk.npz", shops / "randomised", code=4)
    _run("fit", tmp_path / "nowhere", *out, code=3)
    assert not (tmp_path / "m.npz").exists()
