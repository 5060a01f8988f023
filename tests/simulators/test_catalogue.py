from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.errors import DataError, SettingsError
from pricing.model import COEFFICIENTS, DemandModel
from pricing.panel import Series
from simulators.contract.catalogue import build_catalogue
from simulators.contract.panel import build_panel
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

AS_OF = dt.date(2025, 3, 24)
# Weeks from 3, 10, 17 March and one after the decision. Prices hold 25 % tax.
ORDERS = orders(
    "o1,1,2025-03-03,paid,,A,1,10,8,8,gross",
    "o2,1,2025-03-10,paid,,A,1,12,12,12,gross",
    "o3,1,2025-03-10,paid,,A,1,12,12,12,gross",
    "o4,1,2025-03-11,paid,,A,1,11,11,11,gross",
    "o5,1,2025-03-17,paid,,B,2,5,5,10,gross",
    "o6,1,2025-03-25,paid,,A,1,99,99,99,gross",
    "o7,1,2025-03-10,paid,,B2,1,6,6,6,gross",
)
PRODUCTS = (
    "product_id,parent_id,category,kind,map_price,max_price,fixed_price\n"
    "A,,shoes,merchandise,7.5049,20,\nB,P,hats,merchandise,,,5\nB2,P,hats,merchandise,,,\n"
)
RICH = (
    SHOP.replace("default = 0.6", "default = 0.6\n[cost_assumption.shares]\nhats = 0.5")
    + """
[fees]
share = 0.02
per_unit = 0.10
[returns]
expected_share = 0.1
window_days = 7
[[guardrails.bounds]]
category = "shoes"
min_price = 9.00
"""
)


def _model(series: Series) -> DemandModel:
    """Return a model that was shown less of A than the tables hold: 11.00 to 12.50, tax included."""
    n, c = len(series), len(COEFFICIENTS)
    return DemandModel(
        series=series,
        mean=np.zeros((n, c)),
        factor=np.tile(np.eye(c), (n, 1, 1)),
        dispersion=np.ones(n),
        absence=np.zeros(n),
        reference_price=np.full(n, 1000.0),
        support_low=np.array([1100, 500, 600]),
        support_high=np.array([1250, 500, 600]),
        depth_low=np.zeros(n),
        identified_by=np.array([[2, 3], [4, 4], [4, 4]], dtype=np.int8),
        category=np.zeros(n, dtype=np.int64),
        rival_group=np.full(n, -1, dtype=np.int64),
        rival_weight=np.ones(n),
        rival_outside_weight=np.zeros(n),
        category_shock_sd=np.zeros(1),
        period_shock_sd=0.0,
        category_names=("category",),
        prior_mean=np.zeros((2, c)),
        prior_covariance=np.tile(np.eye(c), (2, 1, 1)),
        prior_log_size=1.0,
        prior_log_size_sd=0.5,
        prior_absence=0.0,
        period_days=7,
        until=str(AS_OF),
        fingerprint="f",
        seed=0,
    )


def _catalogue(folder: Path, shop: str = RICH, as_of: dt.date = AS_OF, **tables: str) -> Catalogue:
    everything = {"orders": ORDERS, "products": PRODUCTS, **tables}
    with open_source(write_shop(folder, shop, **everything), today=TODAY) as source:
        panel = build_panel(source)
        return build_catalogue(source, panel, _model(panel.series), as_of=as_of)


def test_a_catalogue_by_hand(tmp_path: Path) -> None:
    found = _catalogue(tmp_path / "d")
    assert found.series.group == ("A", "B", "B2")
    assert (found.currency, found.exponent, found.basis, found.as_of) == ("EUR", 2, "gross", "2025-03-24")
    # The median line of the last week with a sale, not the mean 11.67, and not the 99.00 sold later.
    assert found.price.tolist() == [1200, 500, 600]
    # Net price 9.60, 4.00, 4.80; shoes cost 60 %, hats 50 % of it.
    assert found.unit_cost.tolist() == [576, 200, 240]
    assert found.cost_assumed.all()
    np.testing.assert_allclose(found.net_share, 0.8)
    np.testing.assert_allclose(found.gross_share, 1.0)
    np.testing.assert_allclose(found.fee_share, 0.02)
    assert found.fee_unit.tolist() == [10, 10, 10]
    # The model's, not the 10.00 that the orders hold too.
    assert found.support_low.tolist() == [1100, 500, 600]
    assert found.support_high.tolist() == [1250, 500, 600]
    assert found.floor_price.tolist() == [900, 0, 0]
    assert found.ceiling_price.tolist() == [NO_LIMIT] * 3
    assert found.map_price.tolist() == [751, 0, 0]
    assert found.max_price.tolist() == [2000, NO_LIMIT, NO_LIMIT]
    assert found.fixed_price.tolist() == [0, 500, 0]
    assert found.variant_of.tolist() == [0, 1, 1]
    # A moved from 10.00 to 12.00 in the second week and stood in the third: one whole period since.
    assert found.periods_since_change.tolist() == [1, 2, 2]
    assert found.recent[0].tolist() == [1200, 1200, 800, 800, 800]
    np.testing.assert_allclose(found.return_rate, 0.1)
    assert np.isinf(found.stock).all()
    assert found.identified_by.tolist() == [2, 4, 4]


def test_only_what_was_known_by_then_counts(tmp_path: Path) -> None:
    found = _catalogue(
        tmp_path / "d",
        costs="product_id,valid_from,unit_cost\nA,2025-01-01,3\nA,2025-03-23,3.5\nA,2025-03-24,9\n",
        inventory="product_id,at,on_hand\nA,2025-03-20,7\nA,2025-03-24,1\n",
        returns="order_id,line_id,returned_at,quantity,refund\no1,1,2025-03-20,1,8\no2,1,2025-03-25,1,12\n",
        prices="product_id,valid_from,regular_price,offered_price,price_basis\nA,2025-03-20,10.4,10.4,net\n"
        "A,2025-03-24,50,50,net\n",
    )
    assert found.unit_cost.tolist() == [350, 200, 240]
    assert found.cost_assumed.tolist() == [False, True, True]
    assert found.stock[0] == 7
    # Shoes sold before 17 March: four, of which one had come back; the second return is not known yet.
    np.testing.assert_allclose(found.return_rate, [0.25, 0, 0])
    assert found.price[0] == 1300


def test_net_shelf_prices(tmp_path: Path) -> None:
    found = _catalogue(
        tmp_path / "d", RICH.replace("prices_include_tax = true", "prices_include_tax = false")
    )
    assert found.basis == "net"
    assert found.price.tolist() == [960, 400, 480]
    # The model's support is gross, the shelf is net: 11.00 / 1.25 and 12.50 / 1.25.
    assert found.support_low.tolist() == [880, 400, 480]
    assert found.support_high.tolist() == [1000, 400, 480]
    np.testing.assert_allclose(found.gross_share, 1.25)
    np.testing.assert_allclose(found.net_share, 1.0)
    assert found.unit_cost.tolist() == [576, 200, 240]


def test_what_is_missing_or_contradictory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="B has no price before 2025-03-04"):
        _catalogue(tmp_path / "a", as_of=dt.date(2025, 3, 4))
    with pytest.raises(DataError, match=r"A has no cost.*cost_assumption"):
        _catalogue(tmp_path / "b", SHOP[: SHOP.index("[cost_assumption]")])
    with pytest.raises(SettingsError, match="not a column of products"):
        _catalogue(tmp_path / "c", SHOP + 'by = "department"\n')
    zone = '[[zones]]\nid = "us"\ncountry = "US"\ntax_rate = 0.0\nprices_include_tax = false\n'
    with pytest.raises(SettingsError, match="some shelf prices include tax"):
        _catalogue(tmp_path / "d", SHOP + zone)
    grouped = PRODUCTS.replace("product_id,", "product_id,price_group,").replace("\nA,", "\nA,,")
    clash = grouped.replace("\nB,P,hats,merchandise,,,5", "\nB,H,P,hats,merchandise,,,5").replace(
        "\nB2,P,hats,merchandise,,,", "\nB2,H,P,hats,merchandise,,,6"
    )
    with pytest.raises(DataError, match="B and B2 share a price group and have different fixed prices"):
        _catalogue(tmp_path / "e", products=clash)
