from __future__ import annotations

import numpy as np
import pytest

from pricing.errors import UsageError
from pricing.model import COEFFICIENTS
from pricing.transition import State
from simulators.worlds import toy_scenario, toy_shop


def test_the_same_seed_gives_the_same_shop_byte_for_byte() -> None:
    one, two, other = toy_shop(7, 5), toy_shop(7, 5), toy_shop(7, 6)
    assert one[0].to_bytes() == two[0].to_bytes()
    assert one[1].to_bytes() == two[1].to_bytes()
    assert one[0].to_bytes() != other[0].to_bytes()


def test_the_shop_is_what_its_docstring_says() -> None:
    shop, model = toy_shop(500, 0, stock_periods=3.0)
    assert (shop.price % 10 == 9).all()
    assert shop.price.min() >= 99
    assert shop.price.max() <= 1999
    assert ((shop.unit_cost / shop.price > 0.49) & (shop.unit_cost / shop.price < 0.76)).all()
    regular = model.mean[:, COEFFICIENTS.index("regular")]
    assert ((regular >= -3.6) & (regular <= -1.3)).all()
    assert abs(regular.mean() + 2.2) < 0.1
    np.testing.assert_allclose(shop.stock, np.exp(model.mean[:, 0]) * 3.0, atol=0.5)
    assert np.isinf(toy_shop(2, 0)[0].stock).all()


def test_every_rule_is_active_and_every_product_may_move() -> None:
    scenario, _ = toy_scenario()
    opened = scenario.guardrails.admit(State.start(scenario.catalogue, 1))
    assert (opened.allowed.sum(axis=-1) >= 2).all()
    assert (opened.rejections > 0).any()


def test_a_shop_without_products_is_refused() -> None:
    with pytest.raises(UsageError, match="sells nothing"):
        toy_shop(0, 1)
