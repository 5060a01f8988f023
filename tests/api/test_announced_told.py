"""`tarifa check` says which announced reductions claim too much, in words and as JSON; none is set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from tests.simulators.shops import write_shop

PRICES = """product_id,valid_from,regular_price,offered_price,price_basis,announced_reduction
A,2025-01-01,10.00,10.00,gross,no
A,2025-02-01,10.00,7.00,gross,no
A,2025-02-02,10.00,10.00,gross,no
A,2025-02-20,10.00,8.00,gross,yes
"""


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Of 1 announced reductions 1 claim more", "no reduction", "2025-02-20")),
        ("es", ("De 1 rebajas anunciadas, 1 afirman más", "no es una rebaja", "10,00")),
    ],
)
def test_announced_reductions_are_told(tmp_path: Path, language: str, words: tuple[str, ...]) -> None:
    folder = str(write_shop(tmp_path / "d", prices=PRICES))
    result = CliRunner().invoke(app, ["check", folder, "--language", language], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert all(word in said for word in words), said
    told = CliRunner().invoke(app, ["check", folder, "--json"])
    assert json.loads(told.stdout)["announced"] == {
        "rows": 1,
        "untold": 0,
        "claims": [
            {
                "row": 5,
                "product_id": "A",
                "zone": "es",
                "announced_at": "2025-02-20T00:00:00",
                "claimed": 1000,
                "offered": 800,
                "prior_price": 700,
                "reduced": False,
            }
        ],
    }
    assert not (tmp_path / "d.quarantine").exists()
