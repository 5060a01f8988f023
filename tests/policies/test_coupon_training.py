from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from envs.coupon_runs import toy_problem
from policies.bandits.experience import Shop
from policies.bandits.network import NetworkOffers
from policies.train.offers import OfferTraining, train_dqn_offers, train_ppo_offers
from pricing.errors import UsageError
from simulators.coupons.shop_floor import ShopFloor
from simulators.coupons.worlds import crowd_of, customer_keys

PROBLEM = toy_problem()
SMALL = OfferTraining(interactions=200, copies=10, hidden=(8,), batch_size=100, epochs=1)
Train = Callable[..., NetworkOffers]


def shop() -> Shop:
    crowd = crowd_of(PROBLEM.habits, PROBLEM.truths.take(np.array([0])), np.array([0]), customer_keys(30))
    return Shop.of(ShopFloor.of(crowd, PROBLEM.menu, PROBLEM.horizon))


@pytest.mark.parametrize("train", [train_ppo_offers, train_dqn_offers])
def test_training_is_reproducible_and_leaves_no_trace(train: Train) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one, two = (train(PROBLEM, shop(), seed=3, how=SMALL) for _ in range(2))
    assert one.version == two.version
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert [w.shape[1] for w in one.weights] == [8, len(PROBLEM.menu)]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="1 or more"):
        OfferTraining(interactions=0)
