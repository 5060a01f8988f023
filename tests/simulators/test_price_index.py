"""Prices are compared shelf by shelf: which store sold moves nothing, a change of price everything."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pricing.panel import Panel
from simulators.contract.panel import build_panel
from simulators.contract.price_index import shown_prices
from simulators.contract.tables import open_source
from tests.simulators.shops import TODAY, write_shop

HEADER = (
    "order_id,line_id,ordered_at,status,product_id,channel,quantity,"
    "regular_price,offered_price,paid,price_basis"
)
MONDAY = np.datetime64("2025-03-03")


def line(week: int, channel: str, regular: float, offered: float | None = None, product: str = "A") -> str:
    price = regular if offered is None else offered
    at = MONDAY + 7 * week
    return f"{at},1,{at},paid,{product},{channel},1,{regular},{price},{price},gross"


def table(*lines: str) -> str:
    numbered = (f"{i}-{text}" for i, text in enumerate(lines))
    return "\n".join([HEADER, *numbered]) + "\n"


def panel_of(folder: Path, *lines: str, until: str | None = None, **tables: str) -> Panel:
    with open_source(write_shop(folder, orders=table(*lines), **tables), today=TODAY) as source:
        return build_panel(source, until)


def test_which_store_sold_moves_nothing(tmp_path: Path) -> None:
    """A dear and a cheap store, neither of which ever changes a price; their mean moves every week."""
    dear, cheap = line(0, "north", 12), line(0, "south", 8)
    lines = [
        dear,
        cheap,
        line(1, "north", 12),
        line(2, "south", 8),
        line(3, "south", 8),
        line(3, "north", 12),
    ]
    panel = panel_of(tmp_path / "d", *lines)
    # Level: three lines each, so the geometric mean of 12.00 and 8.00.
    np.testing.assert_allclose(panel.regular, np.full((1, 4), np.sqrt(1200 * 800)), rtol=1e-11)
    np.testing.assert_allclose(panel.offered, panel.regular, rtol=1e-11)


def test_units_add_up_exactly_in_any_order(tmp_path: Path) -> None:
    """One after the other, 0.1 + 0.2 + 0.3 is 0.6000000000000001 and backwards 0.6."""
    lines = [
        line(0, "north", 10).replace(",1,10,10,10,", f",{q},10,10,{10 * q:.2f},") for q in (0.1, 0.2, 0.3)
    ]
    ahead = panel_of(tmp_path / "ahead", *lines)
    back = panel_of(tmp_path / "back", *reversed(lines))
    assert ahead.units.tolist() == back.units.tolist() == [[0.6]]


def test_a_change_of_price_and_a_discount_arrive_whole_whoever_sold(tmp_path: Path) -> None:
    panel = panel_of(
        tmp_path / "d",
        line(0, "north", 12),
        line(0, "south", 8),
        line(1, "north", 12 * 1.1),
        line(1, "south", 8 * 1.1),
        line(2, "south", 8, 6),
        line(2, "north", 12, 9),
        line(3, "north", 12, 9),
    )
    # Shelf means (geometric): north 12 * 1.1 ** (1/4), south 8 * 1.1 ** (1/3).
    drift = np.sqrt(1.1 ** (1 / 4) * 1.1 ** (1 / 3))
    np.testing.assert_allclose(panel.regular[0, 1] / panel.regular[0, 0], 1.1, rtol=1e-6)
    np.testing.assert_allclose(panel.regular[0, 2] / panel.regular[0, 0], 1.0, rtol=1e-6)
    np.testing.assert_allclose((panel.offered / panel.regular)[0], [1.0, 1.0, 0.75, 0.75], rtol=1e-6)
    np.testing.assert_allclose(panel.regular[0, 3] / panel.regular[0, 0], 1.1 ** (-1 / 4) * drift, rtol=1e-6)


def test_a_store_that_opens_after_training_counts_only_where_nothing_else_sold(tmp_path: Path) -> None:
    until = str(MONDAY + 14)
    panel = panel_of(
        tmp_path / "d",
        line(0, "north", 12),
        line(1, "north", 12),
        line(2, "north", 12),
        line(2, "new", 3),
        line(3, "new", 3),
        until=until,
    )
    np.testing.assert_allclose(panel.regular[0], [1200, 1200, 1200, 300], rtol=1e-11)


def test_products_of_one_group_are_compared_with_themselves(tmp_path: Path) -> None:
    products = "product_id,price_group,category,kind\nA,G,x,merchandise\nB,G,x,merchandise\n"
    panel = panel_of(
        tmp_path / "d",
        line(0, "", 10),
        line(0, "", 20, product="B"),
        line(1, "", 20, product="B"),
        line(2, "", 10),
        products=products,
    )
    np.testing.assert_allclose(panel.regular[0], np.full(3, np.sqrt(1000 * 2000)), rtol=1e-11)


def test_posted_prices_stand_at_the_level_of_the_lines(tmp_path: Path) -> None:
    """Posted for one channel, for all, and for a channel in which nothing was ever sold."""
    sold = (line(0, "north", 12), line(0, "south", 8), line(4, "north", 12), line(4, "south", 8))
    posted = (
        "product_id,channel,valid_from,valid_to,regular_price,offered_price,price_basis\n"
        "A,north,2025-03-10,2025-03-17,12,6,gross\n"
        "A,south,2025-03-17,2025-03-24,8.8,8.8,gross\n"
        "A,,2025-03-24,2025-03-31,10,10,gross\n"
    )
    panel = panel_of(tmp_path / "d", *sold, prices=posted)
    level = np.sqrt(1200 * 800)
    np.testing.assert_allclose(panel.regular[0], [level, level, 1.1 * level, 1000, level], rtol=1e-6)
    np.testing.assert_allclose(panel.offered[0, 1], level / 2, rtol=1e-6)


def test_the_price_in_force_is_one_that_a_shelf_showed(tmp_path: Path) -> None:
    lines = [line(0, "north", 12), line(0, "south", 8), line(1, "north", 12), line(1, "south", 8)]
    lines += [line(1, "south", 8, 7), line(2, "north", 99)]
    with open_source(write_shop(tmp_path / "d", orders=table(*lines)), today=TODAY) as source:
        build_panel(source)
        day = dt.date.fromisoformat(str(MONDAY + 14))
        shown = source.engine.rows(f"SELECT * FROM {shown_prices(day)} ORDER BY n, t")
    assert [(n, t) for n, t, _, _ in shown] == [(0, 0), (0, 1)], "the third week is not known yet"
    assert all(regular in (800, 1200) for _, _, _, regular in shown)
    assert [offered for _, _, offered, _ in shown][1] in (700, 800, 1200)


_SALES = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(("north", "south", "web", "")), st.integers(500, 1500)),
    min_size=4,
    max_size=30,
)


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(_SALES)
def test_the_index_is_the_one_computed_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, sales: list[tuple[int, str, int]]
) -> None:
    """Against plain Python, and the training part against a shop that has no later line at all."""
    sales = [(0, "north", 1000), (5, "north", 1000), *sales]
    folder = tmp_path_factory.mktemp("shop")
    cut, until = 3, str(MONDAY + 21)
    whole = panel_of(folder / "d", *(line(w, c, p / 100) for w, c, p in sales), until=until)
    early = panel_of(folder / "e", *(line(w, c, p / 100) for w, c, p in sales if w < cut), until=until)
    seen = early.regular.shape[1]
    np.testing.assert_array_equal(whole.regular[:, :seen], early.regular)

    log = {c: [np.log(p) for w, k, p in sales if k == c and w < cut] for c in ("north", "south", "web", "")}
    base = {c: np.mean(values) for c, values in log.items() if values}
    if "" not in base:
        base[""] = np.mean([v for values in log.values() for v in values])
    level = np.mean([v for values in log.values() for v in values])
    for t in range(6):
        cell = [(c, np.log(p)) for w, c, p in sales if w == t]
        known = [v - base[c] for c, v in cell if c in base] or [v - level for _, v in cell]
        expected = np.exp(level + np.mean(known)) if cell else np.nan
        np.testing.assert_allclose(whole.regular[0, t], expected, rtol=1e-9)
