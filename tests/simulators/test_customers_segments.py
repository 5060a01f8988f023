from __future__ import annotations

import numpy as np
import pytest

from pricing.customers import CUSTOMER_FEATURES, Customers, place_of, unknown, visible
from pricing.errors import NotIdentified
from simulators.customers.segments import CLUSTERED, Group, Trait, cluster, groups, rfm_scores


def shop(consented: np.ndarray | None = None, **columns: list[float] | np.ndarray) -> Customers:
    n = len(next(iter(columns.values())))
    values = np.tile(unknown(), (n, 1))
    for name, column in columns.items():
        values[:, place_of(name)] = column
    yes = np.ones(n, dtype=np.bool_) if consented is None else consented
    return Customers(tuple(f"c{i:04d}" for i in range(n)), visible(values, yes), yes, 20_000, "data")


def reordered(customers: Customers, order: np.ndarray) -> Customers:
    """The same rows under other names."""
    return Customers(
        customers.customer, customers.values[order], customers.consented[order], customers.as_of, "data"
    )


def two_kinds(n: int = 200) -> Customers:
    """Half buys every five days, on discount, in large baskets; half every 60, at regular prices."""
    rng = np.random.default_rng(1)
    often = np.arange(2 * n) % 2 == 0

    def mix(one: float, other: float, sd: float) -> np.ndarray:
        return np.where(often, one, other) + rng.normal(0.0, sd, 2 * n)

    return shop(
        recency=np.log1p(np.where(often, 3, 20)),
        frequency=mix(4.2, 1.6, 0.05),
        basket_size=np.log1p(np.where(often, 12, 4)) + rng.normal(0.0, 0.02, 2 * n),
        basket_value=mix(8.0, 7.0, 0.1),
        interval=np.log(np.where(often, 5, 60)) + rng.normal(0.0, 0.05, 2 * n),
        regularity=mix(0.6, 0.4, 0.02),
        discount_share=mix(0.7, 0.1, 0.02),
        coupon_share=mix(0.2, 0.02, 0.005),
        categories=mix(4.0, 2.0, 0.1),
    )


def test_scores_by_hand() -> None:
    # Ten customers: two a fifth. The three who bought twice share a score: fifths of those who do worse.
    days = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    times = [1, 2, 2, 2, 5, 6, 7, 8, 9, 10]
    found = rfm_scores(shop(recency=np.log1p(days), frequency=np.log1p(times), monetary=np.log1p(times)))
    assert found[:, 0].tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    assert found[:, 1].tolist() == [1, 1, 1, 1, 3, 3, 4, 4, 5, 5]
    assert found[:, 2].tolist() == found[:, 1].tolist()


def test_who_refused_or_never_bought_has_no_score_and_moves_nobody_elses() -> None:
    few = shop(recency=[1.0, 2.0], frequency=[1.0, 2.0], monetary=[5.0, 6.0])
    more = shop(
        np.array([True, True, False, True]),
        recency=[1.0, 2.0, 0.5, 6.0], frequency=[1.0, 2.0, 9.0, 0.0], monetary=[5.0, 6.0, 9.0, 0.0],
    )  # fmt: skip
    assert rfm_scores(more).tolist() == [*rfm_scores(few).tolist(), [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("score", "group"),
    [
        ((5, 4, 4), Group.BEST), ((5, 5, 3), Group.LOYAL), ((3, 4, 5), Group.LOYAL), ((4, 2, 5), Group.NEW),
        ((2, 3, 1), Group.SLIPPING), ((1, 5, 5), Group.SLIPPING), ((1, 2, 5), Group.ASLEEP),
        ((3, 3, 3), Group.REGULAR), ((3, 1, 1), Group.REGULAR), ((5, 3, 5), Group.REGULAR),
        ((0, 0, 0), Group.NOT_KNOWN),
    ],
)  # fmt: skip
def test_groups_by_hand(score: tuple[int, int, int], group: Group) -> None:
    assert groups(np.array([score])) == (group,)


def test_kinds_that_exist_are_found_and_described() -> None:
    found = cluster(two_kinds(), seed=1)
    assert found.count.tolist() == [200, 200]
    assert found.label.tolist() == [0, 1] * 200
    assert found.traits == (
        (Trait.WEEKLY, Trait.MOSTLY_REDUCED, Trait.COUPONS, Trait.LARGE_BASKETS),
        (Trait.SELDOM, Trait.SELDOM_REDUCED, Trait.SMALL_BASKETS),
    )
    assert (found.silhouette > 0.7, found.stability) == (True, 1.0)
    assert np.exp(found.centre[:, CLUSTERED.index("interval")]) == pytest.approx([5, 60], rel=0.02)


def test_the_order_of_rows_changes_no_label() -> None:
    customers = two_kinds()
    order = np.random.default_rng(2).permutation(len(customers))
    one, other = cluster(customers, seed=1), cluster(reordered(customers, order), seed=1)
    assert other.label.tolist() == one.label[order].tolist()
    np.testing.assert_allclose(other.centre, one.centre, rtol=1e-12)
    scores = rfm_scores(customers)
    assert rfm_scores(reordered(customers, order)).tolist() == scores[order].tolist()


def test_customers_who_differ_by_degrees_are_one_cluster() -> None:
    rng = np.random.default_rng(5)
    names = [feature.name for feature in CUSTOMER_FEATURES if feature.name in CLUSTERED]
    found = cluster(shop(**{name: rng.normal(3.0, 0.5, 300) for name in names}), seed=1)
    assert (found.count.tolist(), found.silhouette, found.stability) == ([300], 0.0, 1.0)


def test_who_refused_is_in_no_cluster() -> None:
    customers = two_kinds()
    yes = np.arange(len(customers)) >= 40
    values = visible(customers.values, yes)
    found = cluster(Customers(customers.customer, values, yes, 20_000, "data"), seed=1)
    assert set(found.label[:40].tolist()) == {-1}
    assert found.count.sum() == 360


def test_too_few_customers_are_not_clustered() -> None:
    with pytest.raises(NotIdentified, match="29 customers agreed"):
        cluster(two_kinds().take(np.arange(29)), seed=1)
