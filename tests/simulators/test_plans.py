"""Plans read from tables, by hand: what counts, how much of a period it covers, what nobody could know."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.arrays import Floats
from pricing.errors import ArtifactError, DataError
from pricing.plans import Plans
from simulators.contract.carried import carried
from simulators.contract.panel import build_panel
from simulators.contract.plans import LONGEST, build_plans
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

AS_OF = dt.date(2025, 3, 24)  # a Monday: the coming weeks begin on 24 and 31 March, 7 April, ...
SET_IN_ADVANCE = SHOP.replace(
    "contract = 1", "contract = 1\npromotion_calendar_set_in_advance = true\nbusiness_price_lists = ['trade']"
)
# A and A2 are one price group; B stands alone.
PRODUCTS = (
    "product_id,price_group,category,kind\n"
    "A,AA,shoes,merchandise\nA2,AA,shoes,merchandise\nB,,hats,merchandise\n"
)
ORDERS = orders(
    "o1,1,2025-03-03,paid,,A,1,10,10,10,gross",
    "o2,1,2025-03-10,paid,,B,1,5,5,5,gross",
    "o3,1,2025-03-18,paid,,A2,1,10,10,10,gross",
)
PROMOTIONS = "product_id,starts_at,ends_at,kind,share\n"
PRICES = "product_id,price_list,valid_from,valid_to,regular_price,offered_price,price_basis\n"
RECEIPTS = "product_id,expected_at,quantity,ordered_at\n"


def _plans(folder: Path, shop: str = SET_IN_ADVANCE, **tables: str) -> Plans:
    everything = {"orders": ORDERS, "products": PRODUCTS, **tables}
    with open_source(write_shop(folder, shop, **everything), today=TODAY) as source:
        return build_plans(source, build_panel(source).series, as_of=AS_OF)


def _dense(values: Floats) -> list[list[float]]:
    return [[round(float(x), 12) for x in row] for row in values]


def test_promotions_cover_a_share_of_products_days_and_sales(tmp_path: Path) -> None:
    found = _plans(
        tmp_path / "d",
        promotions=PROMOTIONS
        + "A,2025-03-24,2025-03-31,feature,\n"  # one of the two products, the whole week
        + "A2,2025-03-20,2025-03-26,feature,0.5\n"  # the other: two of its days to come, half of the sales
        + "B,2025-04-07,2025-04-21,display,0.25\n"  # two whole weeks
        + "B,2025-03-24,2025-03-31,email,1\n"  # no effect of e-mails is modelled
        + "B,2025-03-10,2025-03-24,feature,1\n",  # over when the first week begins
    )
    assert found.periods == 4
    assert _dense(found.feature) == [[round((1 + 0.5 * 2 / 7) / 2, 12), 0], [0, 0], [0, 0], [0, 0]]
    assert _dense(found.display) == [[0, 0], [0, 0], [0, 0.25], [0, 0.25]]
    assert not found.depth.any()
    assert not found.receipts.any()
    assert found.promoted().tolist() == [True, False]
    assert (found.declared, found.left_out) == (True, 0)


def test_a_reduction_is_a_share_of_the_regular_price_for_as_long_as_it_stands(tmp_path: Path) -> None:
    found = _plans(
        tmp_path / "d",
        prices=PRICES
        + "B,,2025-03-01,,5,5,gross\n"
        + "B,,2025-03-31,2025-04-07,5,4,gross\n"  # a fifth off for a week, then nothing is posted
        + "A,,2025-03-20,2025-03-26,10,5,gross\n"  # half off, two days, one product of two
        + "A2,,2025-03-24,,10,12,gross\n"  # dearer than regular is no reduction
        + "B,trade,2025-03-24,,5,1,gross\n",  # not for retail customers
    )
    assert _dense(np.expm1(found.depth)) == [[round(-0.5 * 2 / 7 / 2, 12), 0], [0, -0.2]]


def test_a_price_stands_until_the_next_one(tmp_path: Path) -> None:
    table = PRICES + "B,,2025-03-20,,5,4,net\n"
    assert np.allclose(_plans(tmp_path / "a", prices=table).depth[:, 1], np.log(0.8))
    assert _plans(tmp_path / "a", prices=table).periods == LONGEST
    ended = _plans(tmp_path / "b", prices=table + "B,,2025-04-07,,5,5,net\n")
    assert _dense(np.expm1(ended.depth)) == [[0, -0.2], [0, -0.2]]


def test_lists_of_prices_count_alike(tmp_path: Path) -> None:
    lists = "B,web,2025-03-24,2025-03-31,5,4,gross\nB,shop,2025-03-20,,5,5,gross\n"
    assert _dense(np.expm1(_plans(tmp_path / "d", prices=PRICES + lists).depth)) == [[0, -0.1]]


def test_deliveries_count_in_their_week_if_they_were_ordered_by_then(tmp_path: Path) -> None:
    found = _plans(
        tmp_path / "d",
        SHOP,
        receipts=RECEIPTS
        + "A,2025-03-24,4,2025-03-01\n"
        + "A2,2025-03-30,3,\n"
        + "B,2025-04-01,5,2025-03-23\n"
        + "B,2025-04-01,90,2025-03-24\n"  # ordered on the day of the decision: not known yet
        + "B,2025-03-23,70,\n",  # due before: if it came, it is in the stock that was counted
    )
    assert _dense(found.receipts) == [[7, 0], [0, 5]]
    assert not found.depth.any()


def test_what_is_not_declared_in_advance_is_counted_and_left_out(tmp_path: Path) -> None:
    tables = {
        "promotions": PROMOTIONS
        + "A,2025-03-24,2025-03-31,feature,\nB,2025-04-07,2025-04-14,display,\n"
        + "B,2025-03-01,2025-03-24,display,\n",
        "prices": PRICES + "B,,2025-03-20,,5,4,gross\nA,,2025-03-20,,10,10,gross\n",
        "receipts": RECEIPTS + "A,2025-03-24,4,\n",
    }
    found = _plans(tmp_path / "d", SHOP, **tables)
    assert (found.declared, found.left_out) == (False, 3)
    for values in (found.depth, found.feature, found.display):
        assert not values.any()
    assert found.receipts.tolist() == [[4, 0]]


def test_plans_say_what_the_panel_will_say_once_the_periods_are_over(tmp_path: Path) -> None:
    """Planned and measured promotion are one number, or the model would be asked about something else."""
    tables = {
        "orders": ORDERS + "o4,1,2025-04-05,paid,,C,1,7,7,7,gross\no5,1,2025-03-03,paid,,C,1,7,7,7,gross\n",
        "products": PRODUCTS + "C,,hats,merchandise\n",
        "promotions": PROMOTIONS
        + "A,2025-03-26,2025-04-03,feature,0.7\nA2,2025-03-24,2025-04-07,feature,\n"
        + "B,2025-03-27,2025-03-29,display,\n",
        "prices": PRICES
        + "A,,2025-03-20,2025-04-07,10,8,gross\nA2,,2025-03-20,2025-04-07,10,9,gross\n"
        + "B,,2025-03-20,2025-03-27,5,5,gross\nB,,2025-03-27,2025-04-07,5,4,gross\n",
    }
    planned = _plans(tmp_path / "d", SET_IN_ADVANCE, **tables)
    with open_source(write_shop(tmp_path / "d", SET_IN_ADVANCE, **tables), today=TODAY) as source:
        panel = build_panel(source)
    first = panel.position(np.datetime64(AS_OF))
    offered, regular = carried(panel)
    # The panel's last week ends with the last order, on Saturday; plans cover all of it.
    np.testing.assert_allclose(planned.feature[0], panel.feature[:, first])
    np.testing.assert_allclose(planned.display[0], panel.display[:, first])
    np.testing.assert_allclose(planned.depth[0], np.log(offered / regular)[:, first], atol=1e-12)
    assert (planned.feature[0] > 0).tolist() == [True, False, False]
    assert (planned.display[0] > 0).tolist() == [False, True, False]
    assert (planned.depth[0] < 0).tolist() == [True, True, False]


_LATER = {
    "orders": "o9,1,2025-03-24,paid,,B,9,5,3,27,gross\no8,1,2025-05-01,paid,,A,9,10,3,27,gross\n",
    "returns": "o3,1,2025-03-25,1,10\n",
    "inventory": "B,2025-03-24,3\n",
    "costs": "B,2025-03-24,4\n",
    "receipts": "B,2025-04-01,90,2025-03-24\n",
}
_EARLIER = {
    "orders": ORDERS,
    "returns": "order_id,line_id,returned_at,quantity,refund\no1,1,2025-03-05,1,10\n",
    "inventory": "product_id,at,on_hand\nB,2025-03-20,7\n",
    "costs": "product_id,valid_from,unit_cost\nB,2025-03-01,3\n",
    "receipts": RECEIPTS + "B,2025-04-01,5,2025-03-01\n",
}
_PLANNED = {
    "promotions": PROMOTIONS + "A,2025-03-24,2025-03-31,feature,\nB,2025-04-07,2025-04-14,display,\n",
    "prices": PRICES + "B,,2025-03-31,2025-04-07,5,4,gross\n",
}


@settings(max_examples=8, deadline=None)
@given(later=st.sets(st.sampled_from(sorted(_LATER))))
def test_what_was_recorded_later_changes_no_byte_of_the_plans(
    tmp_path_factory: pytest.TempPathFactory, later: set[str]
) -> None:
    tables = {name: text + (_LATER[name] if name in later else "") for name, text in _EARLIER.items()}
    found = _plans(tmp_path_factory.mktemp("later") / "d", SET_IN_ADVANCE, **tables, **_PLANNED)
    known = _plans(tmp_path_factory.mktemp("known") / "d", SET_IN_ADVANCE, **_EARLIER, **_PLANNED)
    assert found.to_bytes() == known.to_bytes()
    assert found.receipts[1].tolist() == [0, 5]


def test_plans_survive_their_bytes_and_refuse_others() -> None:
    rng = np.random.default_rng(0)
    plans = Plans(
        -rng.random((2, 3)), rng.random((2, 3)), rng.random((2, 3)), rng.random((2, 3)) * 9, True, 0
    )
    again = Plans.from_bytes(plans.to_bytes())
    assert again.to_bytes() == plans.to_bytes()
    assert (again.receipts == plans.receipts).all()
    assert Plans.none(3, left_out=4).take(np.array([0])).left_out == 4
    for wrong in ({"depth": -plans.depth}, {"feature": plans.feature + 1}, {"receipts": plans.receipts[:1]}):
        with pytest.raises(DataError):
            Plans(**({n: getattr(plans, n) for n in plans.__dataclass_fields__} | wrong))
    with pytest.raises(ArtifactError):
        Plans.from_bytes(b"no archive")


def test_beyond_what_is_planned_periods_are_plain() -> None:
    plans = Plans(
        *(np.array([[-0.5, 0.0]]), *(np.array([[0.25, 0.0]]),) * 2, np.array([[0.0, 3.0]])), True, 0
    )
    first, second = plans.conditions(2)
    assert (first.depth.tolist(), first.feature.tolist(), first.traffic.tolist()) == (
        [-0.5, 0],
        [0.25, 0],
        [0, 0],
    )
    for values in (second.depth, second.feature, second.display):
        assert not values.any()
    assert plans.arriving(2).tolist() == [[0, 3], [0, 0]]
    assert len(plans.conditions(1)) == 1
    assert plans.take(np.array([1])).promoted().tolist() == [False]
