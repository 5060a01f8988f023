from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pricing.customers import CUSTOMER_FEATURES, Customers, unknown
from pricing.errors import DataError, UsageError
from simulators.contract.tables import open_source
from simulators.customers.features import CUSTOMER_TABLES, build_customers
from simulators.customers.redemption import day_number
from tests.simulators.shops import TODAY, orders, write_shop

AS_OF = "2025-06-01"
LINES = (
    # 28 May: 16.00 on A, reduced from 20.00, and 5.00 on B; tax 25 % included.
    "o1,1,2025-05-28 10:00,paid,c1,A,2,10.00,8.00,16.00,gross",
    "o1,2,2025-05-28 10:00,paid,c1,B,1,5.00,5.00,5.00,gross",
    # 18 May: net price; 1.00 off the whole order by a coupon, and 4.00 net came back.
    "o2,1,2025-05-18 12:00,paid,c1,A,1,11.00,11.00,11.00,net",
    "o3,1,2025-05-10 12:00,paid,c1,A,1,10.00,10.00,10.00,gross",
    "o4,1,2025-05-30 12:00,cancelled,c1,A,9,10.00,10.00,90.00,gross",
    "o5,1,2025-05-30 12:00,paid,c2,A,1,10.00,10.00,10.00,gross",
    # A year ago: tenure still reads it, nothing else does. Three years ago: nobody does.
    "o6,1,2024-05-01 12:00,paid,c1,B,1,10.00,10.00,10.00,gross",
    "o7,1,2022-05-01 12:00,paid,c1,B,1,10.00,10.00,10.00,gross",
)
EVENTS = (
    "c1,s1,2025-05-20 10:00,view,A,", "c1,s1,2025-05-20 10:05,cart_add,A,", "c1,s1,2025-05-20 10:06,search,,",
    "c1,s2,2025-05-29 00:00,cart_add,A,k", "c1,s2,2025-05-29 00:00,cart_add,B,k",
    "c1,s3,2025-05-30 00:00,cart_remove,B,k",  # one A is left in it, on the third day before
    "c1,s4,2025-05-01 10:00,email_open,,", "c1,s4,2025-05-01 10:01,email_click,,",
    "c1,s5,2025-01-01 10:00,view,A,",  # more than 90 days
    "c1,s6,2024-01-01 10:00,email_open,,", "c1,s7,2025-06-01 00:00,view,A,",  # too old; the day itself
    "c2,s8,2025-05-20 10:00,view,A,", ",s9,2025-05-20 10:00,cart_add,A,",
)  # fmt: skip
HEADER = "customer_id,session_id,at,event,product_id,cart_id\n"
YES = "customer_id,purpose,granted,at,text_version,source\nc1,personal_offers,true,2025-01-01,1,web\n"
TABLES = {
    "discounts": "order_id,line_id,kind,amount,funded_by\no2,,coupon,1.00,shop\no2,,shipping,9.00,shop\n",
    "returns": "order_id,line_id,returned_at,quantity,refund\no2,1,2025-05-20,1,4.00\n"
    "o3,1,2025-06-02,1,9.00\n",
    "events": HEADER + "\n".join(EVENTS) + "\n",
    "campaigns": "campaign_id,kind,starts_at,ends_at\nm,mailer,2025-05-05,2025-07-15\n",
    "coupons": "coupon_id,campaign_id,scope,amount,valid_from,valid_to\n"
    "k1,m,line,2.00,2025-05-05,2025-07-15\n"
    "k2,,line,2.00,2025-05-05,2025-07-15\n",
    "coupon_exposures": "customer_id,coupon_id,campaign_id,at,holdout\nc1,,m,2025-05-05,\n"
    "c1,k2,,2025-05-06,\n"
    "c1,k2,,2025-02-06,\nc1,k2,,2025-05-07,true\n",
    "redemptions": "customer_id,coupon_id,campaign_id,at,status\nc1,k1,,2025-05-18,redeemed\n"
    "c1,k2,,2025-06-01,redeemed\nc1,k2,,2025-05-20,reversed\n",
    "customers": "customer_id,group\nc1,retail\nc3,retail\n",
    "consents": YES,
}  # fmt: skip


def known(folder: Path, purpose: str | None = "personal_offers", **changed: str) -> Customers:
    tables = {"orders": orders(*LINES), **TABLES, **changed}
    with open_source(write_shop(folder, **tables), today=TODAY, only=CUSTOMER_TABLES) as source:
        return build_customers(source, AS_OF, purpose)


def test_features_by_hand(tmp_path: Path) -> None:
    found = known(tmp_path)
    assert found.customer == ("c1", "c2", "c3")
    assert found.consented.tolist() == [True, False, False]
    assert found.as_of == day_number(AS_OF)
    net = np.array([1600 / 1.25, 500 / 1.25, 1100 - 100 - 400, 1000 / 1.25])  # 1280, 400, 600, 800
    reduced = net[0] + net[2]
    gaps = np.array([8.0, 10.0])
    cv = (2 * gaps.std() / gaps.mean() + 3) / 5
    expected = {
        "recency": np.log(1 + 4),
        "tenure": np.log(1 + day_number(AS_OF) - day_number("2024-05-01")),
        "frequency": np.log(1 + 3),
        "monetary": np.log(1 + net.sum()),
        "basket_value": np.log(1 + net.sum() / 3),
        "basket_size": np.log(1 + 4 / 3),
        "categories": np.log(1 + 2),
        "interval": np.log((18 + 28) / 3),
        "regularity": 1 / (1 + cv),
        "discount_share": (3 * reduced / net.sum() + 0.4) / 5,
        "coupon_share": (1 + 0.3) / 11,
        "views": np.log(1 + 2),
        "cart_adds": np.log(1 + 3),
        "email_opens": np.log(2),
        "email_clicks": np.log(2),
        # s1 of the 20th ended with the order of the 28th; k is open, touched two days ago.
        "abandonment": (1 + 1.4) / (2 + 2),
        "cart_waiting": 1 / (1 + 2),
        "offers": np.log(1 + 2),  # k2 of February is too old, that of the 7th was withheld
        "redeemed_share": (1 + 0.2) / (2 + 4),
    }
    assert tuple(expected) == tuple(feature.name for feature in CUSTOMER_FEATURES)
    assert dict(zip(expected, found.values[0].tolist(), strict=True)) == pytest.approx(expected)
    assert found.values[1:].tolist() == [unknown().tolist()] * 2


def test_a_refusal_and_a_first_visit_look_the_same(tmp_path: Path) -> None:
    asked = known(tmp_path / "none", consents=YES.replace("true", "false"))
    assert asked.values.tobytes() == np.tile(unknown(), (3, 1)).tobytes()
    # c3 agreed and there is no row of them: the unknown visitor again, to the last bit.
    agreed = known(tmp_path / "c3", consents=YES + "c3,personal_offers,true,2025-01-01,1,web\n")
    assert agreed.consented.tolist() == [True, False, True]
    assert agreed.values[2].tobytes() == unknown().tobytes()


def test_a_yes_and_a_no_at_one_moment_are_a_no(tmp_path: Path) -> None:
    header, yes = YES.splitlines()
    no = yes.replace("true", "false")
    for name, answers in (("first", (yes, no)), ("last", (no, yes))):
        many = [f"x{i},personal_offers,true,2025-01-01,1,web" for i in range(98)]
        found = known(tmp_path / name, consents="\n".join((header, *answers, *many)) + "\n")
        assert not found.consented.any()


@pytest.mark.parametrize(
    ("answers", "read"),
    [
        ("c2,personal_offers,true,2025-05-31 23:59,1,web\n", True),
        ("c2,personal_offers,true,2025-06-01,1,web\n", False),  # not yet on the day before
        ("c2,personal_offers,true,2025-01-01,1,web\nc2,personal_offers,false,2025-06-20,1,web\n", False),
        ("c2,newsletter,true,2025-01-01,1,web\n", False),
    ],
)
def test_consent_must_hold_then_and_still(tmp_path: Path, answers: str, *, read: bool) -> None:
    assert known(tmp_path, consents=YES + answers).consented.tolist() == [True, read, False]


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("c1,personal_offers,maybe,2025-03-01,1,web", False),
        ("c1,personal_offers,,2025-03-01,1,web", False),
        ("c1,personal_offers,false,2025-03-01,,web", False),  # nobody knows about which text
        ("c1,personal_offers,false,2025-03-01,1,", False),
        ("c1,personal_offers,false,soon,1,web", False),
        ("c1,personal_offers,false,,1,web", False),
        ("c1,personal_offers,false,2055-03-01,1,web", False),  # still to come
        ("c1,personal_offers,false,1900-01-01,1,web", False),  # an empty date, written as a number
        ("c1,,false,2025-03-01,1,web", False),  # about any purpose
        ("c1,personal_offers,maybe,2025-01-01,1,web", False),  # at the very moment of the yes
        ("c1,personal_offers,maybe,2024-12-31,1,web", True),  # the yes came later
        ("c1,newsletter,maybe,2025-03-01,1,web", True),
        ("c1,personal_offers,true,2025-01-01,2,shop", True),  # the same yes twice
        (",personal_offers,false,2025-03-01,1,web", True),  # nobody knows whose
    ],
)
def test_an_answer_that_makes_no_sense_is_a_no(tmp_path: Path, answer: str, *, read: bool) -> None:
    """One bad row of a hundred, which the shop file allows: the customer's earlier yes must not stand."""
    many = "".join(f"x{i},personal_offers,true,2025-01-01,1,web\n" for i in range(98))
    assert known(tmp_path, consents=f"{YES}{many}{answer}\n").consented.tolist() == [read, False, False]


def test_after_an_answer_that_makes_no_sense_a_yes_counts_again(tmp_path: Path) -> None:
    many = "".join(f"x{i},personal_offers,true,2025-01-01,1,web\n" for i in range(97))
    for name, place, read in (("dated", "2025-03-01", True), ("undated", "soon", False)):
        answers = f"c1,personal_offers,maybe,{place},1,web\nc1,personal_offers,true,2025-04-01,1,web\n"
        assert known(tmp_path / name, consents=YES + many + answers).consented[0] == read


def test_what_is_too_old_or_still_to_come_changes_nothing(tmp_path: Path) -> None:
    before = known(tmp_path / "a")
    fewer = [line for line in LINES if not line.startswith(("o7", "o4"))]
    more = (*fewer, "o8,1,2025-06-01 00:00,paid,c1,B,7,99.00,50.00,350.00,gross")
    seen = [e for e in EVENTS if not e.startswith(("c1,s5", "c1,s6", "c1,s7"))]
    seen.append("c1,s9,2025-06-02 00:00,purchase,A,k")
    after = known(tmp_path / "b", orders=orders(*more), events=HEADER + "\n".join(seen) + "\n")
    assert after.values.tobytes() == before.values.tobytes()


def test_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (
        known(tmp_path / "a"),
        known(tmp_path / "b", orders=orders(*LINES[::-1]), events=HEADER + "\n".join(EVENTS[::-1]) + "\n"),
    )
    assert one.values.tobytes() == other.values.tobytes()


def test_a_research_panel_needs_no_answers(tmp_path: Path) -> None:
    found = known(tmp_path, None, consents=YES)
    assert found.consented.all()
    assert found.column("frequency").tolist() == [np.log(4), np.log(2), 0.0]


def test_a_shop_without_customers_is_told(tmp_path: Path) -> None:
    lines = orders(*(line.replace(",c1,", ",,").replace(",c2,", ",,") for line in LINES))
    folder = write_shop(tmp_path, orders=lines)
    with open_source(folder, today=TODAY) as source, pytest.raises(DataError, match="No customer is known"):
        build_customers(source, AS_OF)


def test_a_word_is_no_day_and_a_shop_of_orders_alone_is_enough(tmp_path: Path) -> None:
    with open_source(write_shop(tmp_path), today=TODAY) as source:
        with pytest.raises(UsageError, match="'soon' is no day"):
            build_customers(source, "soon")
        found = build_customers(source, AS_OF)
    assert (found.customer, found.consented.tolist()) == (("c1",), [False])
    assert found.values.tobytes() == unknown().tobytes()
