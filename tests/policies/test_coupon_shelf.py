"""What a coupon shelf keeps ready so that no request waits: digests, places of goods, all draws at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.serve import uplift_offers
from policies.serve.coupon_shelf import CouponShelf
from policies.serve.realised_use import Correction
from policies.serve.uplift_offers import UpliftOffers
from pricing.arrays import Bools
from pricing.coupon_book import Goods
from pricing.coupon_decision import decide_offers
from pricing.coupon_rules import CouponSettings, OfferSituation
from pricing.coupons import CouponMenu
from pricing.errors import UsageError
from pricing.policy import Choice
from tests.api.coupon_counter import customers, model, shelf
from tests.pricing.test_coupon_decision import MENU, situation

_WORTH = np.array([[0.0, 0.0], [0.0, 50.0], [-10.0, 0.0]])


def test_a_column_that_came_later_leaves_the_shelves_of_before_as_they_were() -> None:
    """Decisions name the fingerprint: where no coupon is for known customers only, nothing may change."""
    made = shelf()
    before = made.fingerprint
    assert "known_only" not in str(made.book._parts())
    coupons = tuple(replace(coupon, known_only=True) for coupon in made.book.coupons)
    closed = replace(made, book=replace(made.book, coupons=coupons))
    assert closed.fingerprint != before
    assert "known_only" in str(closed.book._parts())
    assert CouponShelf.from_bytes(closed.to_bytes()).book.coupons == coupons
    assert CouponShelf.from_bytes(made.to_bytes()).book.coupons == made.book.coupons


def test_a_fingerprint_is_of_all_that_a_decision_follows_from() -> None:
    made = shelf(draws=4)
    again = CouponShelf.from_bytes(made.to_bytes())
    assert again.fingerprint == made.fingerprint
    policy, known = made.policy, customers()
    changes: tuple[tuple[str, Any], ...] = (
        ("seed", 8), ("margin_floor", 0.1), ("holdout_share", 0.2), ("reservation_seconds", 1),
        ("replan_decisions", 1), ("replan_seconds", 1), ("settings", CouponSettings(kill_switch=True)),
        ("book", replace(made.book, fee_unit=1)), ("book", replace(made.book, currency="USD")),
        ("customers", replace(customers(), as_of=1)),
        ("customers", replace(known, values=known.values + known.consented[:, None])),
        ("policy", replace(policy, shadow=np.array([0.0, 1.0, 0.0]))),
        ("policy", replace(policy, correction=Correction.none(3))),
        ("policy", replace(policy, coefficients=None)),
        ("policy", replace(policy, model=replace(policy.model, after_days=1))),
        ("policy", replace(policy, model=replace(policy.model, mean=2.0 * _WORTH))),
    )  # fmt: skip
    other = [replace(made, **{name: value}) for name, value in changes]
    found = {one.fingerprint for one in (made, *other)}
    assert len(found) == 1 + len(other)
    assert {one.policy.version for one in other[:11]} == {policy.version}
    assert len({one.policy.version for one in other[11:]} | {policy.version}) == 6


def test_a_digest_compresses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model of a real shop takes seconds to compress, and a digest would depend on what did it."""
    before, again = shelf().fingerprint, shelf()
    monkeypatch.delattr("pricing.archive._write")
    assert again.fingerprint == before
    with pytest.raises(NameError):
        again.to_bytes()


@given(st.data())
def test_goods_are_found_by_name(data: st.DataObject) -> None:
    names = tuple(sorted(data.draw(st.sets(st.text(max_size=4), max_size=8))))
    asked = data.draw(st.lists(st.sampled_from([*names, "none of them"]), max_size=6))
    flat = np.zeros(len(names))
    goods = Goods(names, names, flat == 0.0, flat, flat > 0.0)
    wanted = [names.index(name) if name in names else -1 for name in asked]
    assert goods.rows(asked).tolist() == wanted


def _seen(count: int) -> OfferSituation:
    """Return customers whose recency differs, offered none, ten, and a coupon that no model knows."""
    made = situation(count)
    named = [replace(c, coupon_id=name) for c, name in zip(MENU.coupons, ("ten", "stranger"), strict=True)]
    features = np.random.default_rng(3).uniform(0.0, 7.0, (2, count, 1))
    return replace(
        made,
        menu=CouponMenu.of(named),
        features=features,
        feature_names=("recency",),
        personal=frozenset[str](),
    )


def one_by_one(policy: UpliftOffers, seen: OfferSituation, allowed: Bools) -> Choice:
    """Return what each draw chooses, one customer and draw at a time."""
    place = [policy.model.offers.index(name) if name in policy.model.offers else -1 for name in seen.menu.ids]
    assert policy.coefficients is not None
    out = np.zeros((*allowed.shape[:2], len(policy.coefficients)), dtype=np.int64)
    for b, n, d in np.ndindex(out.shape):
        z = policy.model.basis.standardised(seen.features[b, n][None])
        X = policy.model.basis.expand(z)[0] * policy.model.basis.scale_of(z)[0]
        worth = [float(X @ policy.coefficients[d, k]) if k >= 0 else -np.inf for k in place]
        out[b, n, d] = max(
            (k for k in range(len(worth)) if allowed[b, n, k]), key=lambda k: (worth[k], -k), default=0
        )
    counts = np.stack([(out == k).mean(axis=-1) for k in range(allowed.shape[-1])], axis=-1)
    return Choice(probabilities=counts, components=out)


@pytest.mark.parametrize("cells", [1, 17, 1 << 20])
def test_all_draws_at_once_choose_as_one_by_one(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplift_offers, "_CELLS", cells)
    fitted = replace(model(_WORTH), covariance=np.einsum("kl,pq->kplq", np.diag([0.0, 900, 900]), np.eye(2)))
    policy, seen = UpliftOffers.of(fitted, 30, 5), _seen(6)
    allowed = np.random.default_rng(4).random((2, 6, 3)) < 0.7
    allowed[..., 0] = True
    found, wanted = policy.choose(seen, allowed), one_by_one(policy, seen, allowed)
    assert found.components is not None
    assert wanted.components is not None
    assert found.components.tolist() == wanted.components.tolist()
    assert np.array_equal(found.over(3), wanted.over(3))
    assert set(np.unique(found.components)) == {0, 1}, "never what the model does not know"


class Counting:
    """A policy that counts how often it is asked."""

    name, version, reads = "counting", "1", ()

    def __init__(self) -> None:
        self.asked = 0

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        del situation
        self.asked += 1
        return Choice(index=allowed.shape[-1] - 1 - np.argmax(allowed[..., ::-1], axis=-1))


def test_where_nothing_stands_against_it_a_choice_is_made_once() -> None:
    free = situation(2)
    more: dict[str, Any] = {"seed": 1, "runs": np.arange(2), "fingerprint": ""}
    for kill_switch, asked, binding in ((False, 1, -1), (True, 2, 0)):
        policy = Counting()
        made = decide_offers(free, CouponSettings(kill_switch=kill_switch), policy, **more)
        assert (policy.asked, made.binding.tolist()) == (asked, [[binding] * 2] * 2)


def test_a_rehearsal_leaves_nothing_to_make() -> None:
    made = CouponShelf.from_bytes(shelf(draws=4).to_bytes())
    assert not {"fingerprint", "identified"} & vars(made).keys()
    made.rehearse()
    assert {"fingerprint", "identified"} <= vars(made).keys()
    assert {"menu", "payers"} <= vars(made.book).keys()
    nowhere = replace(made, book=replace(made.book, zones=()))
    with pytest.raises(UsageError, match="no zone"):
        nowhere.rehearse()


def test_a_book_without_coupons_holds_nobody_out() -> None:
    made = shelf(holdout=0.5)
    empty = replace(made, book=replace(made.book, coupons=()))
    empty.rehearse()
    assert empty.book.payers[0] == ()
