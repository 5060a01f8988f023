"""The parts of a portrait of customers, by hand on small folders."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pricing.errors import DataError, UsageError
from simulators.contract.tables import Source, open_source
from simulators.customers.open_carts import find_open_carts
from simulators.customers.portrait import PORTRAIT_TABLES, Portrait, Wish, draw_portrait
from simulators.customers.portrait_sums import (
    cluster_slices,
    contrasts,
    coupon_tops,
    group_slices,
    likely_less_slice,
    top_share,
    total,
)
from simulators.customers.portrait_tables import portrait_id, portrait_tables
from simulators.customers.segments import Group
from tests.api.people_shop import EVENTS, people_tables, write_people_shop
from tests.simulators.shops import SHOP, TODAY, orders, write_shop
from tests.simulators.test_customers_abandonment import TRUTH

PURPOSE = "personal_offers"
AS_OF = "2024-08-12"


@contextmanager
def opened(folder: Path) -> Generator[Source]:
    with open_source(folder, today=TODAY, only=PORTRAIT_TABLES) as source:
        yield source


def drawn(folder: Path, wish: Wish | None = None) -> Portrait:
    with opened(folder) as source:
        return draw_portrait(source, PURPOSE, wish or Wish(), lambda _what, _share: None)


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Portrait:
    return drawn(write_people_shop(tmp_path_factory.mktemp("people")))


YES = "customer_id,purpose,granted,at,text_version,source\n"
LINES = (
    "o1,1,2025-05-28 12:00,paid,c1,A,2,10.00,8.00,16.00,gross",
    "o2,1,2025-05-18 12:00,paid,c1,A,1,11.00,11.00,11.00,net",
    "o3,1,2024-01-10 12:00,paid,c1,A,1,10.00,10.00,10.00,gross",  # more than a year ago
    "o4,1,2025-05-20 12:00,paid,c2,B,1,10.00,10.00,10.00,gross",
    "o5,1,2025-05-20 12:00,cancelled,c1,B,1,10.00,10.00,10.00,gross",
    "o6,1,2025-06-01 12:00,paid,c1,A,1,10.00,10.00,10.00,gross",  # the day itself
)


def small(folder: Path, **changed: str) -> Path:
    answers = YES + "c1,personal_offers,true,2025-01-01,1,web\nc2,personal_offers,false,2025-01-01,1,web\n"
    tables = {"orders": orders(*LINES), "consents": answers, **changed}
    return write_shop(folder, **tables)


def test_worth_by_hand(tmp_path: Path) -> None:
    found = drawn(small(tmp_path), Wish(as_of="2025-06-01", days=28))
    assert found.customers.customer == ("c1", "c2")
    # Tax 25 %: 12.80 and 11.00 net. Cost .6 of the net regular price: 2 x 4.80 and 6.60.
    assert found.worth.revenue.tolist() == [1280 + 1100, 0]
    assert found.worth.profit.tolist() == [1280 - 960 + 1100 - 660, 0]
    assert found.worth.cost_assumed
    assert found.worth.profit_share == 1.0
    assert np.isnan(found.worth.orders_share)  # the rest is one person's, who refused
    assert total(found).revenue is None
    assert (found.group[1], found.scores[1].tolist()) == (Group.NOT_KNOWN, [0, 0, 0])


def test_costs_that_nobody_knows_are_not_invented(tmp_path: Path) -> None:
    shop = SHOP.split("[cost_assumption]")[0]
    folder = small(tmp_path)
    (folder / "shop.toml").write_text(shop)
    found = drawn(folder, Wish(as_of="2025-06-01", days=28))
    assert not found.worth.has_profit
    assert total(found).profit is None
    tables = portrait_tables(found, "0" * 12)
    assert tables["customer_profiles"]["profit"].to_pylist() == [None]


def test_a_share_of_sales_is_told_where_it_tells_of_nobody(tmp_path: Path) -> None:
    more = [f"x{i},1,2025-05-20 12:00,paid,,B,1,10.00,10.00,10.00,gross" for i in range(9)]
    found = drawn(small(tmp_path, orders=orders(*LINES, *more)), Wish(as_of="2025-06-01", days=28))
    assert found.worth.orders_share == pytest.approx((16 + 11 * 1.25) / (16 + 11 * 1.25 + 10 + 90))


TOUCHES = (
    "c1,s1,2025-05-31 12:00,cart_add,A,k1",
    "c1,s1,2025-05-31 18:00,cart_add,A,k1",  # the last touch counts
    "c1,s2,2025-05-30 00:00,cart_add,B,",  # no cart_id
    "c1,s3,2025-05-10 00:00,cart_add,A,k3",  # more than 14 days
    "c2,s4,2025-05-31 12:00,cart_add,A,k4",  # refused
    ",s5,2025-05-31 20:00,cart_add,A,k5",
    "c1,s6,2025-05-31 12:00,cart_add,A,k6",
    "c1,s6,2025-05-31 13:00,cart_remove,A,k6",  # emptied
)


def test_open_carts_by_hand(tmp_path: Path) -> None:
    events = EVENTS + "".join(f"{touch}\n" for touch in TOUCHES)
    folder = small(tmp_path, events=events, orders=orders(LINES[0], LINES[3], LINES[5]))
    with opened(folder) as source:
        draw_portrait(source, PURPOSE, Wish(as_of="2025-06-01", days=28), lambda _what, _share: None)
        found = find_open_carts(source, TRUTH)
    assert (found.customer, found.cart) == (("c1", "c1"), ("k1", ""))
    assert found.hours.tolist() == [6.0, 48.0]
    assert found.value.tolist() == [1600.0, 1000.0]
    assert (found.others, found.others_value) == (1, 800.0)
    yes = np.ones(2, dtype=np.bool_)
    assert found.bought == pytest.approx(TRUTH.still_bought(found.hours, yes, found.value))


def test_who_refused_is_in_no_row_of_any_table(portrait: Portrait) -> None:
    refused = {f"u{c:03d}" for c in range(108, 120)}
    assert refused < set(portrait.customers.customer)
    tables = portrait_tables(portrait, "0" * 12)
    assert set(tables) == {"customer_profiles", "next_products", "coupon_relevance", "open_carts"}
    for name, table in tables.items():
        assert table.num_rows > 0, name
        assert not refused & set(table["customer_id"].to_pylist()), name
    assert len(tables["customer_profiles"]) == 108


def test_profiles_say_what_the_parts_found(portrait: Portrait) -> None:
    outlook = portrait.outlook
    assert outlook is not None
    rows = portrait_tables(portrait, "0" * 12)["customer_profiles"].to_pylist()
    by_name = {row["customer_id"]: row for row in rows}
    for i in (0, 7, 40):
        row, name = by_name[outlook.customer[i]], outlook.customer[i]
        place = portrait.customers.customer.index(name)
        assert row["returns"] == outlook.back[i]
        assert row["returns_lower"] <= row["returns"] <= row["returns_upper"]
        assert row["segment"] == portrait.group[place].value
        assert row["revenue"] == portrait.worth.revenue[place]
        assert row["next_order"] == dt.date(2024, 8, 11) + dt.timedelta(days=int(outlook.next_day[i]))
        assert (
            row["days_since_order"]
            == (dt.date(2024, 8, 12) - dt.date(1970, 1, 1)).days - outlook.last_visit[i]
        )
    assert {row["as_of"] for row in rows} == {dt.date(2024, 8, 12)}


def test_groups_and_clusters_add_up_to_everybody(portrait: Portrait) -> None:
    whole = total(portrait)
    assert whole.customers == int(portrait.shopped.sum()) == sum(p.customers for p in group_slices(portrait))
    assert whole.revenue == int(portrait.worth.revenue.sum())
    clusters = cluster_slices(portrait)
    assert [part.customers for part in clusters] == [54, 54]
    assert sum(part.revenue or 0 for part in clusters) == whole.revenue
    assert sum(part.revenue_share or 0 for part in clusters) == pytest.approx(1.0)
    few = [part for part in group_slices(portrait) if part.customers < 10]
    assert few
    assert all(part.revenue is None and part.profit_share is None for part in few)
    assert all(np.isnan([part.order_days, part.days_since, part.returns]).all() for part in few)
    less = likely_less_slice(portrait)
    assert less is not None
    assert less.customers == whole.likely_less


def test_the_kinds_of_the_shop_are_told_apart_by_what_they_differ_in(portrait: Portrait) -> None:
    often, seldom = contrasts(portrait)
    assert {"interval", "basket_size"} < {contrast.feature for contrast in often}
    of = {contrast.feature: contrast for contrast in often}
    assert of["basket_size"].own == pytest.approx(3.0, abs=0.01)
    assert of["basket_size"].others == pytest.approx(1.0, abs=0.01)
    assert of["interval"].own < 7 < of["interval"].others
    assert [c.feature for c in seldom] == [c.feature for c in often]


def test_the_top_fifth_by_hand(portrait: Portrait) -> None:
    revenue = sorted(portrait.worth.revenue[portrait.shopped].tolist(), reverse=True)
    found = top_share(portrait)
    assert found is not None
    assert found[0] == pytest.approx(sum(revenue[: len(revenue) // 5]) / sum(revenue))


def test_coupons_go_to_those_who_buy_such_goods(portrait: Portrait) -> None:
    relevance = portrait.relevance
    assert relevance is not None
    assert (set(relevance.coupons.name), relevance.for_all) == ({"shoes10", "hats10"}, ("all5",))  # old: over
    first = [relevance.coupons.name[int(place)] for place in relevance.coupons.best[:, 0]]
    kind = {name: int(name[1:]) % 2 for name in relevance.customer}
    right = sum((c == "hats10") == bool(kind[n]) for n, c in zip(relevance.customer, first, strict=True))
    assert right > 100  # of 108: even customers buy shoes, odd ones hats
    assert (np.diff(relevance.coupons.probability, axis=1) <= 0).all()
    assert (np.diff(relevance.products.probability, axis=1) <= 1e-12).all()
    tops = coupon_tops(relevance)
    assert [top.coupon for top in tops] == ["hats10", "shoes10"] or tops[0].customers >= tops[1].customers


def test_lists_are_judged_as_counting_by_hand_does(portrait: Portrait) -> None:
    """Own most-bought and best sellers, made from the CSV itself."""
    relevance = portrait.relevance
    assert relevance is not None
    check = relevance.check
    assert check is not None
    since = dt.date(2024, 7, 15)
    own: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[tuple[str, str], str] = {}
    sold: Counter[str] = Counter()
    target: dict[str, set[str]] = defaultdict(set)
    for line in people_tables()["orders"].splitlines()[1:]:
        _, _, at, _, name, product, *_ = line.split(",")
        day = dt.date.fromisoformat(at[:10])
        if day < since:
            own[name][product] += 1
            last[name, product] = at[:10]
            sold[product] += day >= since - dt.timedelta(days=28)
        elif int(name[1:]) < 108:
            target[name].add(product)
    best = [product for product, _ in sorted(sold.items(), key=lambda item: (-item[1], item[0]))]
    popular = [len(target[name] & set(best[:10])) for name in target]
    mine: list[int] = []
    for name, goods in target.items():
        ranked = sorted(own[name], key=lambda p: (-own[name][p], *(-ord(c) for c in last[name, p]), p))
        listed = [*ranked, *(product for product in best if product not in ranked)][:10]
        mine.append(len(goods & set(listed)))
    assert (check.since, check.customers) == ("2024-07-15", len(target))
    assert check.targets == sum(map(len, target.values()))
    assert check.hits[1] == pytest.approx(np.mean(popular), abs=0.05)  # ties by yearly sales, not by name
    assert check.hits[2] == pytest.approx(np.mean(mine), abs=0.05)
    assert all(0 < r <= 1 for r in (*check.recall, *check.ndcg))


def test_a_report_is_named_by_its_data_and_what_was_asked(portrait: Portrait) -> None:
    wishes = (Wish(), Wish(seed=1), Wish(top=3))
    ids = {portrait_id(portrait, wish, purpose) for wish in wishes for purpose in (PURPOSE, None)}
    assert len(ids) == 6


def test_who_is_erased_and_what_is_too_old_changes_nobody_else(tmp_path: Path, portrait: Portrait) -> None:
    """An order of two and a half years ago is not read; models are fitted on one customer fewer."""
    tables = {
        name: "\n".join(line for line in text.splitlines() if "u005" not in line and "k5-" not in line) + "\n"
        for name, text in people_tables().items()
    }
    tables["orders"] += "o-old,1,2022-01-01 10:00,paid,u000,A,1,10.00,10.00,10.00,gross\n"
    found = drawn(write_people_shop(tmp_path, **tables))
    assert "u005" not in found.customers.customer
    kept = [i for i, name in enumerate(portrait.customers.customer) if name != "u005"]
    assert found.worth.revenue.tolist() == portrait.worth.revenue[kept].tolist()
    assert found.customers.values.tobytes() == portrait.customers.values[kept].tobytes()
    assert found.outlook is not None
    assert portrait.outlook is not None
    there = [i for i, name in enumerate(portrait.outlook.customer) if name != "u005"]
    np.testing.assert_array_equal(found.outlook.usual, portrait.outlook.usual[there])


@pytest.mark.parametrize("day", ["2024-08-13", "2023-12-31", "2024-01-01", "soon"])
def test_a_day_outside_the_data_is_refused(tmp_path: Path, day: str) -> None:
    with pytest.raises(UsageError, match=r"is not among the days|is no day"):
        drawn(write_people_shop(tmp_path), Wish(as_of=day))


def test_nothing_sold_is_nothing_to_tell(tmp_path: Path) -> None:
    text = people_tables(4)["orders"].replace(",paid,u", ",cancelled,u")
    with pytest.raises(DataError, match="No order was paid"):
        drawn(write_people_shop(tmp_path, orders=text))


def test_parts_that_cannot_be_told_say_why_and_the_others_go_on(tmp_path: Path) -> None:
    found = drawn(small(tmp_path), Wish(as_of="2025-06-01", days=28))
    assert set(found.untold) == {"clusters", "carts", "relevance"}
    assert "at least 30" in found.untold["clusters"].why
    assert found.untold["carts"].what == "This shop has no events table."
    assert found.outlook is not None
    assert found.outlook_check is None
    assert all(a != b for a, b in pairwise(sorted(found.untold)))
