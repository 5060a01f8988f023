from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest

from pricing.errors import DataError, NotIdentified, UsageError
from pricing.panel import Series
from simulators.customers.basket_fit import fit_baskets
from simulators.customers.basket_lines import Baskets, Shelf
from simulators.customers.basket_running import repeat_share
from simulators.customers.basket_totals import individual_share, reconcile, unit_totals
from simulators.customers.baskets import BasketModel, Visits, simulate_baskets
from tests.simulators.basket_truth import CATEGORIES, EACH, FIRST_DAY, appeal, shelf, shoppers

WEEKS, HOUSEHOLDS = 26, 40
LATER = FIRST_DAY + 7 * WEEKS


@pytest.fixture(scope="module")
def real() -> Baskets:
    return shoppers(HOUSEHOLDS, WEEKS)


@pytest.fixture(scope="module")
def model(real: Baskets) -> BasketModel:
    return fit_baskets(shelf(), real, appeal(WEEKS))


def visits_of(baskets: Baskets) -> Visits:
    return Visits(baskets.customer, baskets.household, baskets.day)


def later(names: tuple[str, ...], weeks: int = 4) -> Visits:
    visited = np.zeros((len(names), weeks * 7), dtype=np.bool_)
    visited[:, ::2] = True
    return Visits.of(names, visited, LATER)


def share_with(baskets: Baskets, category: int) -> np.ndarray:
    """Return the share of each household's baskets that hold a category."""
    inside = np.unique(baskets.visit[shelf().category[baskets.product] == category])
    H = len(baskets.customer)
    count = np.bincount(baskets.household[inside], minlength=H)
    return np.asarray(count / np.bincount(baskets.household, minlength=H))


def digest(baskets: Baskets) -> str:
    arrays = (getattr(baskets, f.name) for f in fields(baskets) if f.name != "customer")
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_the_shelf_by_hand() -> None:
    series = Series(("b", "a", "d"), ("z",) * 3, ("y", "x", "x"), ("1", "2", "1"), ("",) * 3)
    found, row = Shelf.of(series)
    assert found.product == ("d", "a", "b")
    assert found.categories == ("x", "y")
    assert row.tolist() == [2, 1, 0]
    assert found.category_start.tolist() == [0, 2, 3]
    assert found.subcategory_start.tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match="2 zones"):
        Shelf.of(replace(series, zone=("z", "z", "other")))


def test_every_basket_is_a_set_of_products(model: BasketModel, real: Baskets) -> None:
    made = simulate_baskets(model, visits_of(real), appeal(WEEKS), 1, acquainted=False)
    assert np.bincount(made.visit, minlength=len(made.day)).min() >= 1
    pairs = made.visit * 100 + made.product
    assert (np.diff(pairs) > 0).all()  # ascending, and no product twice
    assert made.units.min() >= 1


def test_the_population_is_found_again(model: BasketModel, real: Baskets) -> None:
    made = simulate_baskets(model, visits_of(real), appeal(WEEKS), 2, acquainted=False)
    assert made.lines / len(made.day) == pytest.approx(real.lines / len(real.day), rel=0.08)
    assert (made.units > 1).mean() == pytest.approx(0.25, abs=0.02)
    fans = share_with(made, 0)
    assert np.sort(fans)[:10].mean() < 0.25  # half want category 0 nearly always, half hardly ever
    assert np.sort(fans)[-10:].mean() > 0.75
    assert fans.mean() == pytest.approx(share_with(real, 0).mean(), abs=0.15)


def test_known_households_stay_who_they_are(model: BasketModel) -> None:
    made = simulate_baskets(model, later(model.customer), appeal(WEEKS + 4), 3)
    fans = share_with(made, 0)
    assert fans[1::2].mean() > 0.8
    assert fans[::2].mean() < 0.2


def test_favourites_are_bought_again(model: BasketModel, real: Baskets) -> None:
    """A favourite is drawn with .7 + .3 / 4 = .775 in truth; without loyalty it would be one in four."""
    made = simulate_baskets(model, later(model.customer), appeal(WEEKS + 4), 4)
    bought = np.zeros((HOUSEHOLDS, len(shelf())))
    np.add.at(bought, (real.household[real.visit], real.product), 1.0)
    best = bought.reshape(HOUSEHOLDS, CATEGORIES, EACH).argmax(axis=2)
    category = shelf().category[made.product]
    hit = best[made.household[made.visit], category] == made.product - EACH * category
    assert 0.5 < hit.mean() < 0.9


def test_the_same_seed_gives_the_same_bytes_in_any_company(model: BasketModel) -> None:
    names = (*model.customer[:5], "unknown")
    all_, few = later(names), later(names[:2])
    one = simulate_baskets(model, all_, appeal(WEEKS + 4), 5)
    assert digest(one) == digest(simulate_baskets(model, all_, appeal(WEEKS + 4), 5))
    alone = simulate_baskets(model, few, appeal(WEEKS + 4), 5)
    both = one.of(np.arange(6) < 2)
    assert digest(replace(both, customer=())) == digest(replace(alone, customer=()))
    other = simulate_baskets(model, all_, appeal(WEEKS + 4), 5, draw=1)
    assert digest(one) != digest(other)
    assert digest(one) != digest(simulate_baskets(model, all_, appeal(WEEKS + 4), 6))


def test_what_is_not_on_sale_is_not_bought(model: BasketModel) -> None:
    offered = appeal(WEEKS + 4)
    units = offered.units.copy()
    units[0] = 0.0
    made = simulate_baskets(model, later(model.customer), replace(offered, units=units), 7)
    assert 0 not in made.product


def test_totals_are_those_of_the_aggregate_model(model: BasketModel) -> None:
    """Nothing of what is expected here was ever bought: category 2 twice, one product three times."""
    offered = appeal(WEEKS + 4)
    visits = later(tuple(f"n{i}" for i in range(150)))
    units = np.full_like(offered.units, 45.0)
    units[8:12] *= 2.0
    units[20] *= 3.0
    wanted = replace(offered, units=units)
    share = np.full(CATEGORIES, 0.8)
    settled, _ = reconcile(model, visits, wanted, share, 8, rounds=20, worlds=2)
    worlds = [simulate_baskets(model, visits, settled, 9, draw=d) for d in range(8)]
    made = np.mean([unit_totals(shelf(), world, settled)[:, WEEKS:] for world in worlds], axis=0)
    target = 0.8 * units[:, WEEKS:]
    assert made.sum() == pytest.approx(target.sum(), rel=0.02)
    by_category = made.reshape(CATEGORIES, -1).sum(axis=1)
    assert by_category == pytest.approx(target.reshape(CATEGORIES, -1).sum(axis=1), rel=0.1)
    by_product = made.sum(axis=1)
    assert by_product == pytest.approx(target.sum(axis=1), rel=0.25)


def test_dearer_baskets_answer_as_the_aggregate_model_does(model: BasketModel) -> None:
    visits = later(tuple(f"n{i}" for i in range(100)))
    offered = replace(appeal(WEEKS + 4), units=np.full((24, WEEKS + 4), 45.0))
    dearer = replace(offered, units=offered.units * 1.1**-2.0)
    share = np.ones(CATEGORIES)
    before, after = (reconcile(model, visits, a, share, 10, rounds=14)[0] for a in (offered, dearer))
    units = [simulate_baskets(model, visits, a, 11).units.sum() for a in (before, after)]
    assert np.log(units[1] / units[0]) / np.log(1.1) == pytest.approx(-2.0, abs=0.25)


def test_the_share_of_those_who_may_be_read_by_hand(real: Baskets) -> None:
    one = real.of(np.arange(HOUSEHOLDS) == 0)
    own = np.bincount(one.product, one.units, 24).reshape(CATEGORIES, EACH).sum(axis=1)
    rest = np.zeros(24)
    rest[0] = 3.0 * own[0]
    shop = own.sum() / (own.sum() + rest.sum())
    found = individual_share(shelf(), one, rest)
    assert found[0] == pytest.approx((own[0] + 5.0 * shop) / (4.0 * own[0] + 5.0))
    assert found[1] == pytest.approx((own[1] + 5.0 * shop) / (own[1] + 5.0))


def test_who_is_unknown_is_like_somebody_who_shops_as_often(model: BasketModel) -> None:
    """Known rates are made to run from .05 to .8 a day, and so do those of whom each unknown one is like."""
    rate = np.repeat([0.05, 0.8], HOUSEHOLDS // 2)
    level = np.repeat([-1.5, 1.5], HOUSEHOLDS // 2)
    size = replace(model.size, level=level, level_sd=np.full(HOUSEHOLDS, 1e-6))
    split = replace(model, rate=rate, size=size)
    visited = np.zeros((40, 28), dtype=np.bool_)
    visited[:20, ::14] = True
    visited[20:, :22] = True
    visits = Visits.of(tuple(f"n{i:02}" for i in range(40)), visited, LATER)
    made = simulate_baskets(split, visits, appeal(WEEKS + 4), 13)
    lines = np.bincount(made.visit, minlength=len(made.day))
    seldom = made.household < 20
    assert lines[~seldom].mean() > lines[seldom].mean() + 0.3


def test_it_repeats_itself_as_much_as_households_do(model: BasketModel, real: Baskets) -> None:
    made = simulate_baskets(model, visits_of(real), appeal(WEEKS), 12, acquainted=False)
    assert repeat_share(made) == pytest.approx(repeat_share(real), abs=0.03)


def test_mistakes_are_told(model: BasketModel, real: Baskets) -> None:
    with pytest.raises(UsageError, match="before the fit ended"):
        simulate_baskets(model, visits_of(real), appeal(WEEKS), 1)
    with pytest.raises(UsageError, match="draw is 256"):
        simulate_baskets(model, later(model.customer), appeal(WEEKS + 4), 1, draw=256)
    with pytest.raises(DataError, match="lies in no period"):
        simulate_baskets(model, later(model.customer, weeks=6), appeal(WEEKS + 4), 1)
    with pytest.raises(NotIdentified, match="too little"):
        fit_baskets(shelf(), real.before(FIRST_DAY + 1), appeal(WEEKS))


def test_baskets_before_a_day(real: Baskets) -> None:
    early = real.before(FIRST_DAY + 10)
    assert early.day.max() == FIRST_DAY + 9
    assert early.visit.max() == len(early.day) - 1
    assert early.customer == real.customer
