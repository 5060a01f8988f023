from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pricing.errors import DataError
from pricing.redemption import OFFER_FEATURES
from simulators.contract.tables import open_source
from simulators.customers.offers import NEVER, Offers, build_offers
from simulators.customers.redemption import day_number
from tests.simulators.shops import TODAY, orders, write_shop

PRODUCTS = (
    "product_id,category,subcategory,kind\nA,shoes,boots,merchandise\nB,shoes,boots,merchandise\n"
    "C,hats,,merchandise\n"
)
LINES = (
    "o1,1,2025-03-03 10:00,paid,c1,A,2,10.00,8.00,16.00,gross",
    "o1,2,2025-03-03 10:00,paid,c1,C,1,5.00,5.00,3.50,gross",
    "o2,1,2025-03-04 23:30,paid,c1,B,1,20.00,20.00,19.00,gross",
    "o3,1,2025-03-04 12:00,paid,c2,C,1,5.00,5.00,5.00,gross",
    "o4,1,2025-03-04 12:00,cancelled,c2,A,1,10.00,10.00,10.00,gross",
)
TABLES = {
    "products": PRODUCTS,
    "discounts": "order_id,line_id,kind,amount,funded_by\no1,2,coupon,1.00,maker\no1,2,coupon,0.50,shop\n"
    "o2,1,loyalty,1.00,shop\n",
    "campaigns": "campaign_id,kind,starts_at,ends_at\nm,mailer,2025-03-05,2025-03-15\n"
    "n,flyer,2025-03-06,2025-03-16\n",
    "coupons": "coupon_id,campaign_id,scope,amount,percent,valid_from,valid_to\n"
    "k1,m,line,2.00,,2025-03-05,2025-03-15\nk2,m,line,,0.20,2025-03-05,2025-03-15\n"
    "k3,n,line,,,2025-03-06,2025-03-16\n",
    "coupon_products": "campaign_id,coupon_id,product_id,category\nm,k1,A,\n,k2,B,\nn,k3,,hats\n",
    "coupon_exposures": "customer_id,coupon_id,campaign_id,at,holdout\nc1,,m,2025-03-05,\n"
    "c1,k3,,2025-03-06,\nc2,,m,2025-03-05,\nc2,,n,2025-03-06,true\n",
    "redemptions": "customer_id,coupon_id,campaign_id,at,status\nc1,k1,,2025-03-07,redeemed\n"
    "c1,k1,m,2025-03-06,reversed\nc2,k1,m,2025-03-15,redeemed\n",
}


def offers(folder: Path, purpose: str | None = None, **changed: str) -> Offers:
    tables = {"orders": orders(*LINES), **TABLES, **changed}
    with open_source(write_shop(folder, **tables), today=TODAY) as source:
        return build_offers(source, purpose)


def test_offers_by_hand(tmp_path: Path) -> None:
    found = offers(tmp_path)
    # c2 was chosen to receive nothing of n: no offer.
    assert found.customer == ("c1", "c2", "c1")
    assert found.campaign == ("m", "m", "n")
    assert found.kind == ("mailer", "mailer", "flyer")
    assert found.day.tolist() == [day_number(d) for d in ("2025-03-05", "2025-03-05", "2025-03-06")]
    assert found.ends.tolist() == [day_number(d) for d in ("2025-03-15", "2025-03-15", "2025-03-16")]
    # The reversed redemption does not count, nor does one after the end; a coupon's only campaign is its own.
    assert found.redeemed.tolist() == [day_number("2025-03-07"), NEVER, NEVER]
    assert (found.first_day, found.last_day) == (day_number("2025-03-03"), day_number("2025-03-04"))


def test_features_by_hand(tmp_path: Path) -> None:
    found = offers(tmp_path).features
    # c1 bought on two days, one of them with a coupon, on one line; c2 on one, without.
    share = np.log1p(10 * np.array([1.3 / 10, 0.3 / 9, 1.3 / 10]))
    # m covers A and B: c1 bought each once (c2's order was cancelled); n covers hats, which c1 bought once.
    # 2.00 off, and 20 % of the 20.00 at which B sold: mean 3.00. n's coupon says nothing.
    expected = {
        "coupon_share": share,
        "recent_coupons": np.log([2.0, 1.0, 2.0]),
        "affinity": np.log([3.0, 1.0, 2.0]),
        "subcategory_affinity": np.log([3.0, 1.0, 2.0]),
        "face_value": np.array([np.log(300.0), np.log(300.0), np.nan]),
    }
    assert tuple(expected) == OFFER_FEATURES
    np.testing.assert_allclose(found, np.stack(list(expected.values()), axis=1))


def test_nothing_of_the_day_itself_or_later_is_known(tmp_path: Path) -> None:
    later = (
        "o5,1,2025-03-05 00:10,paid,c1,A,1,99.00,99.00,94.00,gross",
        "o6,1,2025-03-20 09:00,paid,c2,B,1,99.00,99.00,94.00,gross",
    )
    discounts = TABLES["discounts"] + "o5,1,coupon,5.00,shop\no6,1,coupon,5.00,shop\n"
    before = offers(tmp_path / "before")
    after = offers(tmp_path / "after", orders=orders(*LINES, *later), discounts=discounts)
    mailer = np.array(before.campaign) == "m"
    np.testing.assert_array_equal(after.features[mailer], before.features[mailer])
    assert after.features[2, 0] > before.features[2, 0]  # on 6 March, 5 March is known


def test_only_households_that_agreed_count(tmp_path: Path) -> None:
    header = "customer_id,purpose,granted,at,text_version,source\n"
    answers = (
        "c1,personal_offers,true,2025-03-05 12:00,1,web\n"  # after its exposure to m, before that to n
        "c2,personal_offers,true,2025-01-01,1,web\nc2,personal_offers,false,2025-06-01,1,web\n"  # withdrawn
        "c2,newsletter,true,2025-06-02,1,web\n"
    )
    found = offers(tmp_path, "personal_offers", consents=header + answers)
    assert list(zip(found.customer, found.campaign, strict=True)) == [("c1", "n")]


def test_a_session_may_be_asked_twice(tmp_path: Path) -> None:
    folder = write_shop(tmp_path, orders=orders(*LINES), **TABLES)
    with open_source(folder, today=TODAY) as source:
        first, again = build_offers(source, None), build_offers(source, None)
    assert first.customer == again.customer
    np.testing.assert_array_equal(first.features, again.features)


def test_without_consents_nobody_agreed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No household was offered a coupon") as caught:
        offers(tmp_path, "personal_offers")
    assert "consented to personal_offers" in caught.value.why


def test_a_coupon_of_no_single_campaign_is_refused(tmp_path: Path) -> None:
    coupons = TABLES["coupons"].replace("k3,n,", "k3,,")
    with pytest.raises(DataError, match="coupon_exposures, row 3: coupon k3"):
        offers(tmp_path, coupons=coupons)
    redemptions = "customer_id,coupon_id,campaign_id,at\nc1,k1,gone,2025-03-07\n"
    with pytest.raises(DataError, match="redemptions, row 2: coupon k1"):
        offers(tmp_path / "other", redemptions=redemptions)
