from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from pricing.errors import UsageError
from pricing.panel import Panel
from simulators.contract.carried import carried
from simulators.contract.panel import build_panel
from simulators.contract.price_moves import price_moves
from simulators.contract.tables import Source, open_source
from simulators.importers.complete_journey import import_complete_journey

TODAY = dt.date(2026, 1, 1)


@pytest.fixture(scope="module")
def source(complete_journey: Path) -> Generator[Source, None, None]:
    with open_source(complete_journey, today=TODAY) as opened:
        yield opened


@pytest.fixture(scope="module")
def panel(source: Source) -> Panel:
    return build_panel(source)


def test_every_row_arrives(source: Source) -> None:
    rows = {loaded.table.name: loaded.rows for loaded in source.tables}
    assert rows["orders"] == 1_469_307
    assert rows["products"] == 92_331
    assert rows["coupons"] == 981
    assert rows["redemptions"] == 2_102
    assert rows["customers"] == 2_469
    assert not any(loaded.ignored for loaded in source.tables)


def test_dirty_rows_are_named_and_nothing_else_is(source: Source) -> None:
    counts = {(bad.table, bad.reason): bad.count for bad in source.bad_rows()}
    assert counts[("orders", "quantity: not positive")] == 8_869
    assert counts[("coupon_products", "product_id: not in products")] == 16
    assert not any("paid: not offered_price" in reason for _, reason in counts)
    assert sum(counts.values()) < 0.01 * 1_469_307


def test_weeks_are_the_packages_own(panel: Panel) -> None:
    assert [str(panel.periods[t]) for t in (0, 1, -1)] == ["2016-12-26", "2017-01-02", "2017-12-25"]
    assert len(panel.periods) == 53
    assert int(panel.days[0]) == 1


def test_about_3990_products_pass_the_field_notes_filter(source: Source, panel: Panel) -> None:
    moves = price_moves(source, len(panel.series), start=1, stop=43)
    whole = price_moves(source, len(panel.series))
    chosen = moves.enough & (moves.first < 10) & (whole.last >= 36)
    assert 3_950 <= int(chosen.sum()) <= 4_030


def test_the_panel_is_complete_and_promotion_is_a_share(panel: Panel) -> None:
    offered, regular = carried(panel)
    assert not np.isnan(offered).any()
    assert (regular >= offered - 0.5).all()
    assert float(panel.feature.max()) <= 1.0
    assert 0.02 < float((panel.feature > 0).mean()) < 0.2
    assert (panel.units[~panel.on_sale] == 0).all()
    assert (panel.in_stock == 1).all()


def test_households_are_pseudonyms_and_stores_are_channels(source: Source) -> None:
    (shape,) = source.engine.rows("SELECT min(length(customer_id)), max(length(customer_id)) FROM customers")
    assert shape == (32, 32)
    assert source.engine.count("SELECT count(DISTINCT customer_id) FROM orders") == 2_469
    assert source.engine.count("SELECT count(DISTINCT channel) FROM orders") > 300


def test_coupons_are_split_into_the_makers_and_the_shops_money(source: Source) -> None:
    found = dict(source.engine.rows("SELECT funded_by, sum(amount)::BIGINT FROM discounts GROUP BY 1"))
    assert found["maker"] > found["shop"] > 0


def test_the_same_key_gives_the_same_bytes(complete_journey: Path, tmp_path: Path) -> None:
    import_complete_journey(tmp_path / "again", complete_journey.parent / "complete-journey.key")
    for path in sorted(complete_journey.iterdir()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_key_may_not_lie_in_the_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inside the data folder"):
        import_complete_journey(tmp_path / "data", tmp_path / "data" / "key")


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"\.\[demo\]"):
        import_complete_journey(tmp_path / "data", tmp_path / "key")
