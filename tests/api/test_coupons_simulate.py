"""`tarifa coupons simulate` from a data folder to a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from api.cli.coupons import simulate
from api.cli.main import app
from policies.bandits.rollout import Rehearsal, roll_out_offers
from pricing.coupon_decision import OfferPolicy
from tests.simulators.shops import orders, write_shop

SMALL = ("--customers", 40, "--seeds", 3, "--horizon", 4, "--levels", "0.05,0.1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty households buy in half of fifteen weeks; twenty of them agreed to personal offers."""
    rng = np.random.default_rng(2)
    lines = []
    for week in range(15):
        for who in np.flatnonzero(rng.random(30) < 0.5).tolist():
            day = np.datetime64("2025-01-06") + 7 * week + int(rng.integers(7))
            count = 1 + int(rng.integers(4))
            paid = f"{8 * count}.00"
            lines.append(f"o{week}-{who},1,{day} 10:00,paid,c{who:02d},A,{count},10.00,8.00,{paid},gross")
    consents = "customer_id,purpose,granted,at,text_version,source\n" + "".join(
        f"c{who:02d},personal_offers,true,2024-12-01 00:00,1,form\n" for who in range(20)
    )
    folder = tmp_path_factory.mktemp("coupons") / "data"
    return write_shop(folder, orders=orders(*lines), consents=consents)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["coupons", "simulate", *map(str, words)], env={"COLUMNS": "200"})


def facts(*words: object) -> dict[str, Any]:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_compares_policies_on_the_shops_own_customers(data: Path, tmp_path: Path) -> None:
    found = facts(data, "--out", tmp_path / "out", *SMALL)
    assert found["households"] == 20, "who did not agree is not read one by one"
    assert found["fitted"]["use_level"] is None, "no exposures: how often coupons are used is assumed"
    assert found["economics"]["cost_assumed"] == 1.0
    lines = {line["policy"]: line for line in found["policies"]}
    assert lines["none"]["more"]["estimate"] == 0.0
    assert (lines["none"]["discount"], lines["none"]["offered"]) == (0.0, 0.0)
    assert 0.5 < lines["random"]["offered"] < 0.8
    assert lines["random"]["discount"] > 0.0
    assert {line["policy"] for line in found["policies"]} == set(simulate._POLICIES.split(","))
    written = json.loads((tmp_path / "out" / "coupons.json").read_text())
    assert written == {name: value for name, value in found.items() if name != "out"}
    assert (tmp_path / "out" / "coupons.png").read_bytes()[:4] == b"\x89PNG"


def test_everybody_of_a_panel_is_read_and_spanish_is_spoken(data: Path, tmp_path: Path) -> None:
    result = call(
        data, "--out", tmp_path / "out", *SMALL, "--panel", "--policies", "none,level-2", "--language", "es"
    )
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "Ajustado con 30 hogares" in said
    assert "Lo que añade un cupón no está en la historia" in said
    assert "level-2" in said


def test_what_farmers_cost_is_told_beside_the_same_run_without_them(data: Path, tmp_path: Path) -> None:
    words = (*SMALL[:2], "--seeds", 2, *SMALL[4:], "--panel", "--policies", "none,level-2")
    honest = facts(data, "--out", tmp_path / "one", *words)
    farmed = facts(data, "--out", tmp_path / "two", *words, "--farming", 0.5)
    assert (honest["farming"]["share"], farmed["farming"]["share"]) == (0.0, 0.5)
    assert [line.pop("lost_to_farming") for line in honest["policies"]] == [None, None]
    none, level = (line.pop("lost_to_farming") for line in farmed["policies"])
    assert none["estimate"] == pytest.approx(0.0, abs=1e-12)
    earned, kept = (found["policies"][1]["profit"] for found in (honest, farmed))
    assert level["estimate"] == pytest.approx(1.0 - kept / earned)
    assert level["estimate"] > 0.0
    shown = call(data, "--out", tmp_path / "three", *words, "--farming", 0.5)
    assert "Profit lost to farming, 50%" in " ".join(shown.output.split())


def test_a_stopped_simulation_goes_on_where_it_stopped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[str] = []

    def stopping(rehearsal: Rehearsal, policy: OfferPolicy) -> Any:
        if len(played) == 3:
            played.append("stopped")
            raise KeyboardInterrupt
        played.append(policy.name)
        return roll_out_offers(rehearsal, policy)

    small = (*SMALL[:2], "--seeds", 2, *SMALL[4:], "--policies", "none,random,lin-ts")
    words = (data, "--out", tmp_path / "one", *small)
    monkeypatch.setattr("policies.bandits.rollout.roll_out_offers", stopping)
    assert call(*words).exit_code == 130
    assert not (tmp_path / "one").exists()
    assert call(*words).exit_code == 0
    assert len(played) == 2 * 3 + 1, "six runs and the stop: nothing was played twice"
    whole = call(data, "--out", tmp_path / "two", *small)
    assert whole.exit_code == 0
    for name in ("coupons.json", "coupons.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policies", "none,magic"), "no coupon policy magic"),
        (("--policies", "random"), "not among the policies"),
        (("--levels", "0.1,0.05"), "ascending"),
        (("--levels", "ten"), "does not hold shares"),
        (("--levels", "nan"), "ascending"),
        (("--faked", "2"), "no share"),
        (("--farming", "-0.1"), "no share"),
        (("--farming", "nan"), "no share"),
        (("--levels", "0.05", "--policies", "none,level-2"), "no coupon policy level-2"),
    ],
)
def test_what_cannot_be_played_is_refused(
    data: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = call(data, "--out", tmp_path / "out", *words)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_shop_without_consents_is_refused(tmp_path: Path) -> None:
    result = call(write_shop(tmp_path / "data"), "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert "consented to personal_offers" in " ".join(result.output.split())
