from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pricing.archive import pack, unpack
from pricing.errors import ArtifactError, DataError, NotIdentified, UsageError
from simulators.contract.tables import open_source
from simulators.customers.ranking import (
    PAIR_FEATURES,
    RankingModel,
    coupon_relevance,
    fit_ranking,
    next_products,
    pair_features,
)
from simulators.customers.ranking_pairs import PAIR_TABLES, UNKNOWN, Pairs, bought_between, build_pairs
from tests.simulators.shops import TODAY, orders, write_shop

PRODUCTS = (
    "product_id,category,subcategory,kind\nA,shoes,boots,merchandise\nB,shoes,boots,merchandise\n"
    "C,hats,,merchandise\nG,cards,,gift_card\n"
)
CONSENTS = "customer_id,purpose,granted,at,text_version,source\nc1,personal_offers,true,2024-01-01,1,web\n"
LINES = (
    "o1,1,2025-03-01 10:00,paid,c1,A,2,10.00,8.00,16.00,gross",
    "o1,2,2025-03-01 10:00,paid,c1,A,1,10.00,8.00,8.00,gross",
    "o2,1,2025-05-04 10:00,paid,c1,A,1,10.00,10.00,10.00,gross",
    "o3,1,2025-05-25 10:00,paid,c1,B,1,20.00,20.00,20.00,gross",
    "o4,1,2025-05-30 10:00,paid,c2,C,1,5.00,5.00,5.00,gross",
    "o5,1,2025-05-31 10:00,paid,,C,1,5.00,5.00,5.00,gross",
    "o6,1,2025-05-31 10:00,paid,c1,G,1,5.00,5.00,5.00,gross",
    "o7,1,2025-06-01 00:00,paid,c1,C,1,5.00,5.00,5.00,gross",
    "o8,1,2024-05-01 00:00,paid,c1,C,1,5.00,5.00,5.00,gross",
)
DAY = "2025-06-01"


def pairs(folder: Path, *lines: str, day: str = DAY) -> tuple[Pairs, np.ndarray]:
    tables = {"products": PRODUCTS, "consents": CONSENTS}
    with open_source(
        write_shop(folder, orders=orders(*lines), **tables), today=TODAY, only=PAIR_TABLES
    ) as source:
        found = build_pairs(source, day)
        return found, bought_between(source, found, day, "2025-06-29")


def by_pair(found: Pairs) -> dict[tuple[str, str], int]:
    codes = zip(found.row.tolist(), found.column.tolist(), strict=True)
    return {(found.customer[r], found.product[c]): i for i, (r, c) in enumerate(codes)}


def test_pairs_by_hand(tmp_path: Path) -> None:
    found, bought = pairs(tmp_path, *LINES)
    place = by_pair(found)
    # c1's own A and B, and C which sells; c2 refused and is nobody; the gift card is no product.
    assert set(place) == {("c1", p) for p in "ABC"} | {(UNKNOWN, p) for p in "ABC"}
    assert [
        found.customer[r] + found.product[c]
        for r, c in zip(found.row[bought], found.column[bought], strict=True)
    ] == ["c1C"]
    a, c = found.known[place["c1", "A"]], found.known[place["c1", "C"]]
    assert (a["n"], a["since"], a["tenure"]) == (2, 28, 92)  # two lines of a day are one purchase
    assert a["lately"] == pytest.approx(0.5 + 0.5 ** (92 / 28), abs=2e-6)
    assert a["season"] == pytest.approx(0.5 ** (28 / 91) + 0.5 ** (92 / 91), abs=2e-6)
    assert (a["sold7"], a["sold28"], a["sold91"]) == (0, 1, 1)
    assert (c["n"], c["sold7"], c["sold28"]) == (0, 2, 2)
    assert (a["visits"], a["visits28"], a["lines"]) == (3, 2, 3)
    assert a["kin_since"] == 7  # B is of the same subcategory
    assert a["kin_season"] == pytest.approx(a["season"] + 0.5 ** (7 / 91), abs=2e-6)
    # A was bought earlier and in the last 28 days again; its subcategory's share is (1 + 2) / (1 + 20).
    assert a["again"] == pytest.approx((1 + 10 * 3 / 21) / 11)
    assert a["pace"] == pytest.approx((64 + 5 * 64) / 6)  # one gap of 64 days, in the whole shop too
    nobody = found.known[place[UNKNOWN, "C"]]
    assert (nobody["n"], nobody["visits"], nobody["kin_season"], nobody["sold28"]) == (0, 0, 0, 2)


def test_features_by_hand(tmp_path: Path) -> None:
    found, _ = pairs(tmp_path, *LINES)
    place = by_pair(found)
    features = pair_features(found)
    a = dict(zip(PAIR_FEATURES, features[place["c1", "A"]].tolist(), strict=True))
    interval = (92 - 28 + 64) / 2
    assert (a["own"], a["once"], a["sold28_new"]) == (1.0, 0.0, 0.0)
    assert a["times"] == pytest.approx(np.log(2.5))
    assert a["due"] == pytest.approx(np.log(28 / interval))
    assert a["pace"] == pytest.approx(np.log(interval))
    assert a["share"] == pytest.approx(np.log(2 / 3 + 0.01))
    assert a["kin_gap"] == pytest.approx(np.log(22))
    new = dict(zip(PAIR_FEATURES, features[place["c1", "C"]].tolist(), strict=True))
    assert (new["own"], new["times"], new["since"], new["again"]) == (0.0, 0.0, 0.0, 0.0)
    assert new["sold28_new"] == pytest.approx(np.log(3))


def test_later_orders_and_the_order_of_rows_change_nothing(tmp_path: Path) -> None:
    one, _ = pairs(tmp_path / "a", *LINES)
    more = "o9,1,2025-06-20 10:00,paid,c1,A,1,10.00,10.00,10.00,gross"
    other, _ = pairs(tmp_path / "b", more, *LINES[::-1])
    assert other.known.tobytes() == one.known.tobytes()
    assert (other.customer, other.product) == (one.customer, one.product)


def test_a_batch_knows_what_the_whole_knows(tmp_path: Path) -> None:
    consents = CONSENTS + "c2,personal_offers,true,2024-01-01,1,web\n"
    folder = write_shop(tmp_path, orders=orders(*LINES), products=PRODUCTS, consents=consents)
    with open_source(folder, today=TODAY) as source:
        whole = build_pairs(source, DAY)
        batch, few = build_pairs(source, DAY, among=["c2"]), build_pairs(source, DAY, at_most=1)
        with pytest.raises(DataError, match="Nothing was sold"):
            build_pairs(source, "2020-01-01")
    assert (whole.customer, batch.customer, len(few.customer)) == ((UNKNOWN, "c1", "c2"), (UNKNOWN, "c2"), 2)
    places, again = by_pair(whole), by_pair(batch)
    for pair, i in again.items():
        assert batch.known[i] == whole.known[places[pair]]


def world(n: int = 400, seed: int = 1) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """Return pairs whose purchases follow a known logit, the outcomes and their probabilities."""
    rng = np.random.default_rng(seed)
    names = ("n", "since", "tenure", "lately", "season", "half_year", "sold7", "sold28", "sold91", "again",
             "pace", "visits", "visits28", "visits_lately", "visits_season", "lines", "kin_since",
             "kin_lately", "kin_season")  # fmt: skip
    known = np.zeros(20 * n, dtype=[(name, np.float64) for name in names])
    for name in names:
        known[name] = rng.integers(1, 30, 20 * n)
    known["tenure"] += known["since"]
    known["again"] = rng.uniform(0.05, 0.6, 20 * n)
    known["visits"] = known["n"] + rng.integers(0, 30, 20 * n)
    made = Pairs(
        (UNKNOWN, *(f"c{i:03d}" for i in range(n - 1))), tuple(f"p{i:02d}" for i in range(20)),
        np.repeat(np.arange(n), 20), np.tile(np.arange(20), n), known, "2025-01-01", "data",
    )  # fmt: skip
    X = pair_features(made)
    eta = -1.0 + 0.8 * X[:, PAIR_FEATURES.index("again")] - 0.5 * X[:, PAIR_FEATURES.index("since")]
    p = 1.0 / (1.0 + np.exp(-eta))
    return made, rng.random(20 * n) < p, p


def test_the_fit_finds_a_known_logit() -> None:
    made, bought, p = world()
    model = fit_ranking([(made, bought)], 28, "2025-02-01")
    fresh, _, truth = world(seed=2)
    found = model.probability(fresh)
    assert np.corrcoef(found, truth)[0, 1] > 0.97
    assert found.mean() == pytest.approx(truth.mean(), abs=0.02)
    assert RankingModel.from_bytes(model.to_bytes()).to_bytes() == model.to_bytes()
    assert p.mean() == pytest.approx(bought.mean(), abs=0.02)


def test_what_is_not_over_or_too_little_is_refused() -> None:
    made, bought, _ = world(40)
    with pytest.raises(UsageError, match="28 days from 2025-01-01 are not over by 2025-01-28"):
        fit_ranking([(made, bought)], 28, "2025-01-28")
    with pytest.raises(NotIdentified, match="Only 0 products"):
        fit_ranking([(made, np.zeros_like(bought))], 28, "2025-02-01")
    arrays, meta = unpack("ranking-model", 1, fit_ranking([(made, bought)], 28, "2025-02-01").to_bytes())
    for changed in ({**meta, "features": ["age"]}, {"features": list(PAIR_FEATURES)}):
        with pytest.raises(ArtifactError):
            RankingModel.from_bytes(pack("ranking-model", 1, arrays, changed))


def test_the_best_come_first_and_ties_go_to_the_earlier_product() -> None:
    made, _, _ = world(2)
    score = np.zeros(40)
    score[[7, 25]] = 1.0
    assert next_products(made, score, 3).tolist() == [[7, 0, 1], [5, 0, 1]]
    few = replace(made, row=made.row[:2], column=made.column[:2], known=made.known[:2])
    assert next_products(few, score[:2], 3).tolist() == [[0, 1, -1], [-1, -1, -1]]


def test_relevance_by_hand() -> None:
    made, _, _ = world(2)
    p = np.full(40, 0.1)
    p[20], p[21] = 0.5, 0.2  # the known customer's first two
    coupons = {"both": ("p00", "p01"), "one": ("p01", "never sold"), "nothing": ()}
    found = coupon_relevance(made, p, coupons, ["c000", "never seen"])
    assert found == pytest.approx(np.array([[1 - 0.5 * 0.8, 0.2, 0.0], [1 - 0.9**2, 0.1, 0.0]]))
    assert coupon_relevance(made, p, {}, ["c000"]).shape == (1, 0)
