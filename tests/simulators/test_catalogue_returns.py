"""Return rates by hand: which sales are old enough, which returns were known, and what is assumed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.errors import DataError
from simulators.contract.catalogue import build_catalogue
from simulators.contract.panel import build_panel
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, orders, write_shop
from tests.simulators.test_elasticities import certain_model

RETURNS = "order_id,line_id,returned_at,quantity,refund\n"
# A window of 14 days: of 31 March, sales up to 16 March are old enough.
WINDOW = SHOP + "[returns]\nexpected_share = 0.2\nwindow_days = 14\n[returns.by_category]\nhats = 0.4\n"
ORDERS = orders(
    "o1,1,2025-03-03,paid,,A,4,10,10,40,gross",
    "o2,1,2025-03-16,paid,,A,6,10,10,60,gross",
    "o3,1,2025-03-17,paid,,A,90,10,10,900,gross",
    "o4,1,2025-03-03,cancelled,,A,50,10,10,500,gross",
    "o5,1,2025-03-24,paid,,B,2,5,5,10,gross",
)


def _rates(folder: Path, shop: str = WINDOW, returns: str = "", day: str = "2025-03-31") -> Floats:
    tables = {"orders": ORDERS, **({"returns": RETURNS + returns} if returns else {})}
    with open_source(write_shop(folder, shop, **tables), today=TODAY) as source:
        panel = build_panel(source)
        model = certain_model(panel)
        return build_catalogue(source, panel, model, as_of=dt.date.fromisoformat(day)).return_rate


def test_only_old_sales_and_known_returns_count(tmp_path: Path) -> None:
    back = (
        "o1,1,2025-03-10,1,10\no1,1,2025-03-12,1,10\n"  # two of four, in two parcels
        "o2,1,2025-03-30,1,10\no2,1,2025-03-31,3,30\n"  # one of six; the other three were not known yet
        "o3,1,2025-03-20,80,800\n"  # a young sale, whatever came back of it
    )
    # Shoes: (2 + 1) / (4 + 6). No old sale of hats: the assumption for hats.
    np.testing.assert_allclose(_rates(tmp_path / "d", returns=back), [0.3, 0.4])


def test_without_a_table_the_shop_files_shares_hold(tmp_path: Path) -> None:
    np.testing.assert_allclose(_rates(tmp_path / "d"), [0.2, 0.4])


def test_a_category_of_which_nothing_came_back_returns_nothing(tmp_path: Path) -> None:
    np.testing.assert_allclose(_rates(tmp_path / "d", returns="o3,1,2025-03-20,80,800\n"), [0.0, 0.4])


def test_everything_back_is_not_quite_everything(tmp_path: Path) -> None:
    back = "o1,1,2025-03-10,4,40\no2,1,2025-03-20,6,60\n"
    np.testing.assert_allclose(_rates(tmp_path / "d", returns=back), [0.99, 0.4])


def test_a_series_without_a_price_by_then_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A has no price before 2025-03-03"):
        _rates(tmp_path / "d", day="2025-03-03")


def test_profit_of_a_unit_counts_what_comes_back(tmp_path: Path) -> None:
    with open_source(write_shop(tmp_path / "d", WINDOW, orders=ORDERS), today=TODAY) as source:
        panel = build_panel(source)
        found = build_catalogue(source, panel, certain_model(panel), as_of=dt.date(2025, 3, 31))
    # A at 10.00 with a fifth of it tax: 8.00 net, cost 60 % of it, and a fifth of the units comes back.
    shelf = found.price.astype(np.float64)
    np.testing.assert_allclose(found.unit_profit(shelf), [0.8 * (800 - 480), 0.6 * (400 - 240)])
    kept = replace(found, return_rate=np.zeros(2))
    np.testing.assert_allclose(kept.unit_profit(shelf), [320, 160])


def test_a_day_inside_a_week_hides_what_was_sold_later_in_it(tmp_path: Path) -> None:
    """As of Wednesday 12 March nobody knows Thursday's price, neither of A, sold before, nor of B, never."""
    text = orders(
        "o1,1,2025-03-03,paid,,A,1,10,10,10,gross",
        "o2,1,2025-03-13,paid,,A,1,20,15,15,gross",
        "o3,1,2025-03-13,paid,,B,1,5,5,5,gross",
        "o4,1,2025-03-20,paid,,A,1,10,10,10,gross",
    )
    with open_source(write_shop(tmp_path / "d", orders=text), today=TODAY) as source:
        panel = build_panel(source)
        model = certain_model(panel)
        with pytest.raises(DataError, match="B has no price before 2025-03-12"):
            build_catalogue(source, panel, model, as_of=dt.date(2025, 3, 12))
        first = np.array([0])
        found = build_catalogue(source, panel.take(first), model.take(first), as_of=dt.date(2025, 3, 12))
        later = build_catalogue(source, panel, model, as_of=dt.date(2025, 3, 14))
    assert found.price.tolist() == [1000]
    assert found.recent.tolist() == [[1000] * 5]
    assert later.price.tolist() == [2000, 500]
    assert later.recent[0].tolist() == [1500, 1000, 1000, 1000, 1000]
