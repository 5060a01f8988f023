from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from pricing.archive import pack
from pricing.arrays import Bools
from pricing.errors import ArtifactError, DataError, NotIdentified
from simulators.contract.tables import open_source
from simulators.customers.redemption import day_number
from simulators.customers.visits import (
    ABSENCES,
    ShoppingDays,
    VisitModel,
    build_shopping_days,
    fit_visits,
    simulate_visits,
)
from tests.simulators.shops import TODAY, orders, write_shop

DAYS = 300
MONDAY = day_number("2025-01-06")


def model(households: int, *, absence: float = 0.0, sd: float = 0.0) -> VisitModel:
    return VisitModel(
        level=-1.5,
        weekday=np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.8, 0.0]),
        absence=np.where(ABSENCES >= 29, absence, 0.0),
        customer=tuple(f"h{i:04}" for i in range(households)),
        effect=np.zeros(households),
        effect_sd=np.full(households, sd),
        population_sd=0.9,
        last_visit=np.full(households, MONDAY - 1),
        as_of=MONDAY,
        fingerprint="f",
    )


def shopping(visited: Bools, first_day: int = MONDAY) -> ShoppingDays:
    names = tuple(f"h{i:04}" for i in range(len(visited)))
    return ShoppingDays(names, visited, first_day, 0, "f")


def test_hazard_by_hand() -> None:
    found = model(1, absence=-1.0)
    assert found.hazard(MONDAY, np.array([1, 28, 29, 400]), np.array(0.5)) == pytest.approx(
        expit(np.array([-1.0, -1.0, -2.0, -2.0]))
    )
    assert found.hazard(MONDAY + 5, np.array([1]), np.zeros(1)) == pytest.approx(expit(-0.7))  # Saturday


def test_the_truth_is_found_again() -> None:
    drawn = simulate_visits(replace(model(600, absence=-1.5), effect_sd=np.full(600, 0.9)), DAYS, 1)
    found = fit_visits(shopping(drawn), MONDAY + DAYS)
    assert found.population_sd == pytest.approx(0.9, abs=0.08)
    assert found.weekday[5] - found.weekday[:5].mean() == pytest.approx(0.8, abs=0.06)
    assert found.absence[-1] - found.absence[:10].mean() == pytest.approx(-1.5, abs=0.3)
    later = found.expected(28).mean()
    again = np.mean([simulate_visits(found, 28, 2, draw=draw).mean() for draw in range(20)])
    assert again == pytest.approx(later, rel=0.01)


def test_expected_visits_are_the_mean_of_many_draws() -> None:
    found = model(1, absence=-2.0)
    hazard = float(expit(-1.5))
    expected = found.expected(40)
    assert expected[0, :5] == pytest.approx(np.full(5, hazard))
    assert expected[0, 5] == pytest.approx(float(expit(-0.7)))
    crowd = simulate_visits(model(20_000, absence=-2.0), 40, 3)
    error = np.sqrt(expected[0] * (1 - expected[0]) / 20_000)
    assert np.abs((crowd.mean(axis=0) - expected[0]) / error).max() < 4.0
    # Who has been away for 29 days comes at a lower hazard: the chance of nobody for 28 days is tiny
    # but the one state that never ends keeps its probability.
    assert expected.sum() == pytest.approx(crowd.sum() / 20_000, rel=0.01)


def test_a_household_is_drawn_alike_in_any_company() -> None:
    many, few = model(50, sd=0.5), model(3, sd=0.5)
    found = simulate_visits(many, 20, 4)
    np.testing.assert_array_equal(simulate_visits(few, 20, 4), found[:3])
    np.testing.assert_array_equal(simulate_visits(many, 20, 4, anonymous=5)[:50], found)
    assert not np.array_equal(simulate_visits(many, 20, 4, draw=1), found)
    assert not np.array_equal(simulate_visits(many, 20, 5), found)


def test_an_anonymous_household_is_a_draw_from_the_population() -> None:
    known = replace(model(200), effect=np.full(200, 3.0))
    drawn = simulate_visits(known, 60, 6, anonymous=4000)
    assert drawn[:200].mean() > 0.7
    rate = drawn[200:].mean(axis=1)
    effects = np.random.default_rng(0).normal(0.0, 0.9, 100_000)
    weekly = (6 * expit(-1.5 + effects) + expit(-0.7 + effects)) / 7
    assert rate.mean() == pytest.approx(weekly.mean(), abs=0.01)
    assert rate.std() == pytest.approx(np.sqrt(weekly.var() + (weekly * (1 - weekly)).mean() / 60), rel=0.06)


def test_households_of_whom_little_is_known_are_pooled() -> None:
    drawn = simulate_visits(replace(model(300), effect_sd=np.full(300, 0.9)), DAYS, 7)
    drawn[0] = False
    drawn[0, -1] = True  # came once, on the last day: nothing is known of its rate
    found = fit_visits(shopping(drawn), MONDAY + DAYS)
    assert found.effect[0] == 0.0
    assert found.effect_sd[0] == pytest.approx(found.population_sd)
    assert found.effect_sd[1:].max() < 0.8 * found.population_sd
    assert found.last_visit[0] == MONDAY + DAYS - 1


def test_the_fit_sees_nothing_from_the_day_on() -> None:
    drawn = simulate_visits(replace(model(80), effect_sd=np.full(80, 0.9)), DAYS, 8)
    other = drawn.copy()
    other[:, 200:] = ~other[:, 200:]
    as_of = MONDAY + 200
    assert fit_visits(shopping(other), as_of).to_bytes() == fit_visits(shopping(drawn), as_of).to_bytes()


def test_bytes_and_back() -> None:
    content = model(3, sd=0.2).to_bytes()
    assert VisitModel.from_bytes(content).to_bytes() == content
    with pytest.raises(ArtifactError, match="does not hold"):
        VisitModel.from_bytes(pack("visit-model", 1, {}, {"customer": []}))


def test_nobody_who_came_back_is_refused() -> None:
    once = np.zeros((4, 10), dtype=np.bool_)
    once[:, 3] = True
    with pytest.raises(NotIdentified, match="came back"):
        fit_visits(shopping(once), MONDAY + 4)


def test_shopping_days_by_hand(tmp_path: Path) -> None:
    lines = (
        "o1,1,2025-03-03 10:00,paid,c1,A,1,10.00,8.00,8.00,gross",
        "o2,1,2025-03-03 18:00,paid,c1,A,1,10.00,8.00,8.00,gross",
        "o3,1,2025-03-05 00:10,paid,c1,A,1,10.00,8.00,8.00,gross",
        "o4,1,2025-03-04 10:00,cancelled,c1,A,1,10.00,8.00,8.00,gross",
        "o5,1,2025-03-04 10:00,paid,c2,A,1,10.00,8.00,8.00,gross",
        "o6,1,2025-03-01 10:00,paid,,A,1,10.00,8.00,8.00,gross",
    )
    consents = "customer_id,purpose,granted,at,text_version,source\nc1,analysis,true,2025-01-01,1,web\n"
    folder = write_shop(tmp_path, orders=orders(*lines), consents=consents)
    with open_source(folder, today=TODAY) as source:
        found = build_shopping_days(source, "analysis")
        assert found.customer == ("c1",)
        assert found.visited.tolist() == [[True, False, True]]
        assert found.first_day == day_number("2025-03-03")
        assert found.anonymous == 1
        assert build_shopping_days(source, None).customer == ("c1", "c2")
        with pytest.raises(DataError, match="No paid order") as caught:
            build_shopping_days(source, "mail")
    assert "2 households have not consented to mail" in caught.value.why
