"""What holds of any panel: no unit is lost, prices lie between those of the lines, rows may be split."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from pricing.panel import Panel
from simulators.contract.panel import build_panel
from simulators.contract.price_moves import MIN_LEVELS, MIN_LOG_RANGE, PriceMoves, price_moves
from simulators.contract.tables import open_source
from tests.simulators.shops import PRODUCTS, SHOP, TODAY, orders, write_shop

FIRST = np.datetime64("2025-03-03")
PROMPT = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example opens a whole shop: a failure is told as found, for shrinking it would take minutes."""


@dataclass(frozen=True)
class Line:
    """One order line; `price` and `regular` in cents."""

    day: int
    product: str
    quantity: int
    price: int
    regular: int
    status: str = "paid"

    def text(self, number: int) -> str:
        paid, at = self.quantity * self.price / 100, FIRST + self.day
        return (
            f"o{number},1,{at},{self.status},,{self.product},{self.quantity},"
            f"{self.regular / 100:.2f},{self.price / 100:.2f},{paid:.2f},gross"
        )


_LINES = st.lists(
    st.builds(
        lambda day, product, quantity, price, off, status: Line(
            day, product, quantity, price, price + off, status
        ),
        st.integers(0, 34),
        st.sampled_from("AB"),
        st.integers(2, 12),
        st.integers(50, 5000),
        st.integers(0, 500),
        st.sampled_from(("paid", "paid", "paid", "cancelled", "test")),
    ),
    min_size=1,
    max_size=60,
).filter(lambda lines: any(line.status == "paid" for line in lines))


def _panel(folder: Path, lines: list[Line], shop: str = SHOP) -> Panel:
    text = orders(*(line.text(i) for i, line in enumerate(lines)))
    with open_source(write_shop(folder, shop, orders=text), today=TODAY) as source:
        return build_panel(source)


@settings(max_examples=6, deadline=None, phases=PROMPT)
@given(_LINES)
def test_no_unit_is_lost_and_prices_are_those_of_the_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line]
) -> None:
    panel = _panel(tmp_path_factory.mktemp("shop") / "d", lines)
    sold = [line for line in lines if line.status == "paid"]
    assert panel.units.sum() == sum(line.quantity for line in sold)
    cells: dict[tuple[str, int], list[Line]] = defaultdict(list)
    start = int((panel.periods[0] - FIRST).astype(int))
    for line in sold:
        cells[line.product, (line.day - start) // 7].append(line)
    for (product, t), found in cells.items():
        n = panel.series.group.index(product)
        prices = [line.price for line in found]
        assert panel.units[n, t] == sum(line.quantity for line in found)
        assert min(prices) - 1e-7 <= panel.offered[n, t] <= max(prices) + 1e-7
        assert panel.offered[n, t] == pytest.approx(np.exp(np.mean(np.log(prices))))
        assert panel.regular[n, t] >= panel.offered[n, t] - 1e-7
        assert panel.on_sale[n, t]
    empty = np.ones(panel.units.shape, dtype=np.bool_)
    for product, t in cells:
        empty[panel.series.group.index(product), t] = False
    assert np.isnan(panel.offered[empty]).all()
    assert panel.units[empty].sum() == 0
    days = [line.day for line in sold]
    assert panel.days.sum() == max(days) - min(days) + 1


@settings(max_examples=5, deadline=None, phases=PROMPT)
@given(_LINES, st.randoms(use_true_random=False))
def test_splitting_every_line_and_shuffling_rows_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    split = [replace(line, quantity=part) for line in lines for part in (1, line.quantity - 1)]
    chance.shuffle(split)
    whole, parts = _panel(folder / "d", lines), _panel(folder / "e", split)
    assert whole.series == parts.series
    for name in ("periods", "days", "units", "on_sale", "in_stock"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    for name in ("offered", "regular"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), rtol=1e-13)


def test_weeks_are_the_sums_of_their_days(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    lines = [
        Line(int(rng.integers(0, 35)), "AB"[i % 2], int(rng.integers(1, 9)), 500 + i, 600 + i)
        for i in range(120)
    ]
    lines += [Line(0, "A", 1, 500, 500), Line(34, "B", 1, 500, 500)]
    weeks = _panel(tmp_path / "d", lines)
    days = _panel(tmp_path / "e", lines, SHOP.replace("[[zones]]", 'grain = "day"\n[[zones]]', 1))
    assert (weeks.units.shape, days.units.shape) == ((2, 5), (2, 35))
    np.testing.assert_array_equal(weeks.units, days.units.reshape(2, 5, 7).sum(axis=2))
    np.testing.assert_array_equal(weeks.traffic, days.traffic.reshape(5, 7).sum(axis=1))
    np.testing.assert_array_equal(weeks.days, days.days.reshape(5, 7).sum(axis=1))
    count = np.zeros((2, 35))
    for line in lines:
        count["AB".index(line.product), line.day] += 1.0
    total: Floats = np.where(count > 0, count * np.log(days.offered), 0.0).reshape(2, 5, 7).sum(axis=2)
    np.testing.assert_allclose(np.log(weeks.offered), total / count.reshape(2, 5, 7).sum(axis=2))


def test_two_members_of_a_group_in_stock_by_hand(tmp_path: Path) -> None:
    products = "product_id,price_group,category,kind\nA,G,shoes,merchandise\nB,G,shoes,merchandise\n"
    counts = (
        "product_id,at,on_hand,stocked_out\n"
        "A,2025-03-03,5,\nA,2025-03-05,0,\n"  # ran out half-way through the first two days of week one
        "A,2025-03-12,0,\n"  # sold in week two and gone at its only count; out in week three, without a count
        "B,2025-03-19,3,yes\n"  # on hand and not to be bought; carried back to weeks one and two
    )
    text = orders(*(Line(day, "A", 1, 500, 500).text(day) for day in (0, 7, 20)))
    folder = write_shop(tmp_path / "d", orders=text, products=products, inventory=counts)
    with open_source(folder, today=TODAY) as source:
        panel = build_panel(source)
    np.testing.assert_allclose(panel.in_stock, [[0.5 / 7, 0.5, 0.0]])
    assert panel.short is not None
    assert panel.short.tolist() == [[False, True, False]]


def test_as_many_were_sold_as_had_been_counted_by_hand(tmp_path: Path) -> None:
    counts = (
        "product_id,at,on_hand,stocked_out\n"
        "A,2025-03-03,2,\n"  # two are sold in week one: demand may have been more
        "A,2025-03-10,3,\n"  # one of three
        "A,2025-03-17,1,\nA,2025-03-18,4,\nA,2025-03-19,4,\n"  # the one sold at once, then four of four
        "B,2025-03-03,9,yes\nB,2025-03-10,2,yes\nB,2025-03-17,2,no\n"  # said to have run out or not
    )
    sold = [(0, "A"), (3, "A"), (7, "A"), (14, "A"), *[(16, "A")] * 4, (5, "B"), (14, "B"), (15, "B")]
    text = orders(*(Line(day, name, 1, 500, 500).text(i) for i, (day, name) in enumerate(sold)))
    products = "product_id,category,kind\nA,shoes,merchandise\nB,shoes,merchandise\n"
    with open_source(
        write_shop(tmp_path / "d", orders=text, products=products, inventory=counts), today=TODAY
    ) as source:
        panel = build_panel(source)
    assert panel.short is not None
    assert panel.short.tolist() == [[True, False, False], [True, False, False]]
    np.testing.assert_allclose(panel.in_stock, [[1.0, 1.0, (0.5 + 1.0 + 2.5) / 7], [1.0, 0.0, 1.0]])


def test_counts_that_are_often_outsold_do_not_tell_what_ran_out(tmp_path: Path) -> None:
    sold = [0, 7, 8, 14, 15]
    text = orders(*(Line(day, "A", 1, 500, 500).text(i) for i, day in enumerate(sold)))
    counts = "product_id,at,on_hand\nA,2025-03-03,1\nA,2025-03-10,{}\nA,2025-03-17,2\n"
    for counted, short in ((1, [False] * 3), (2, [True] * 3)):
        folder = write_shop(
            tmp_path / str(counted),
            orders=text,
            products="product_id,category,kind\nA,shoes,merchandise\n",
            inventory=counts.format(counted),
        )
        with open_source(folder, today=TODAY) as source:
            found = build_panel(source).short
        assert found is not None
        assert found.tolist() == [short]


def test_price_moves_count_periods_levels_and_range_by_hand(tmp_path: Path) -> None:
    lines = [
        Line(0, "A", 1, 1000, 1000), Line(1, "A", 9, 900, 1000), Line(2, "A", 1, 1000, 1000),  # median 10.00
        Line(7, "A", 1, 1000, 1000), Line(14, "A", 1, 1100, 1100), Line(21, "A", 1, 1210, 1210),
        Line(21, "A", 5, 1, 1, "cancelled"), Line(0, "B", 2, 700, 900), Line(28, "B", 2, 700, 800),
    ]  # fmt: skip
    text = orders(*(line.text(i) for i, line in enumerate(lines)))
    with open_source(write_shop(tmp_path / "d", orders=text), today=TODAY) as source:
        build_panel(source)
        whole = price_moves(source, 2)
        middle = price_moves(source, 2, start=1, stop=3)
    assert whole.selling_periods.tolist() == [4, 2]
    assert whole.levels.tolist() == [
        3,
        1,
    ]  # of the shelf price; the regular one of B did move
    np.testing.assert_allclose(whole.log_range, [np.log(1.21), 0.0])
    assert (whole.first.tolist(), whole.last.tolist()) == ([0, 0], [3, 4])
    assert whole.never.tolist() == [False, True]
    assert middle.selling_periods.tolist() == [2, 0]
    assert middle.levels.tolist() == [2, 0]
    assert (middle.first.tolist(), middle.last.tolist()) == ([1, -1], [2, -1])
    np.testing.assert_allclose(middle.log_range, [np.log(1.1), 0.0])


@pytest.mark.parametrize(
    ("period_days", "periods", "levels", "log_range", "enough"),
    [
        (7, 26, MIN_LEVELS, MIN_LOG_RANGE, True),
        (7, 25, MIN_LEVELS, MIN_LOG_RANGE, False),
        (7, 26, MIN_LEVELS - 1, 1.0, False),
        (7, 26, 9, MIN_LOG_RANGE - 1e-9, False),
        (1, 182, MIN_LEVELS, MIN_LOG_RANGE, True),
        (1, 181, MIN_LEVELS, MIN_LOG_RANGE, False),
    ],
)
def test_what_is_enough_history(
    period_days: int, periods: int, levels: int, log_range: float, enough: bool
) -> None:
    one = np.ones(1, dtype=np.int64)
    moves = PriceMoves(one * periods, one * levels, np.array([log_range]), 0 * one, one, period_days)
    assert moves.enough.tolist() == [enough]


def test_the_fingerprint_knows_content_from_place(tmp_path: Path) -> None:
    def fingerprint(name: str, shop: str = SHOP, only: tuple[str, ...] = (), **tables: str) -> str:
        with open_source(write_shop(tmp_path / name, shop, **tables), today=TODAY, only=only) as source:
            return source.fingerprint

    first = fingerprint("a")
    top, zones = SHOP.split("[[zones]]", 1)
    reordered = "\n".join(reversed(top.strip().splitlines())) + "\n[[zones]]" + zones
    assert fingerprint("b", reordered) == first, "the order of settings says nothing"
    assert fingerprint("c", SHOP + "[fees]\nshare = 0.0\n") == first, "a default said aloud says nothing"
    assert fingerprint("d", only=("orders", "products")) == first, "what is read is not what is there"
    swapped = PRODUCTS.replace("A,shoes", "B,shoes").replace("B,hats", "A,hats")
    others = [
        fingerprint("e", SHOP.replace("Europe/Madrid", "Europe/Lisbon")),
        fingerprint("f", products=swapped),
        fingerprint("g", products=PRODUCTS.replace("\n", "\r\n")),
        fingerprint("h", costs="product_id,valid_from,unit_cost\nA,2025-01-01,4\n"),
        fingerprint(
            "i", prices="product_id,valid_from,unit_cost\nA,2025-01-01,4\n", only=("orders", "products")
        ),
    ]
    assert len({first, *others}) == len(others) + 1
