from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from pricing.archive import pack, unpack
from pricing.errors import ArtifactError, NotIdentified, UsageError
from simulators.contract.tables import open_source
from simulators.customers.abandonment import (
    EDGES,
    AbandonmentModel,
    CartSpells,
    build_spells,
    fit_abandonment,
)
from tests.simulators.shops import TODAY, orders, write_shop

A = len(EDGES) - 1
TRUTH = AbandonmentModel(
    level=-3.0,
    elapsed=np.linspace(1.5, -1.5, A),
    known=0.8,
    value=-0.5,
    centre=8.0,
    scale=1.0,
    as_of="2025-06-01",
    fingerprint="data",
)
HEADER = "customer_id,session_id,at,event,product_id,cart_id\n"
EVENTS = (
    "c1,s1,2025-05-20 10:00,cart_add,A,",
    "c1,s1,2025-05-20 10:30,cart_add,B,",
    "c1,s1,2025-05-20 12:30,checkout,,",
    "c1,s1,2025-05-20 12:35,purchase,,",
    ",s2,2025-05-30 00:00,cart_add,A,k",
    ",s3,2025-05-31 00:00,cart_remove,A,k",  # empty: no cart any more
    "c2,s4,2025-05-20 10:00,cart_add,A,",  # refused: not read
    "c1,s5,2025-05-31 12:00,cart_add,,",  # still waiting on 1 June, of no product by name
    "c1,s6,2024-05-31 12:00,cart_add,A,",  # too old
    "c1,s7,2025-06-01 00:00,checkout,,",
)
LINES = (
    "o1,1,2025-05-01 10:00,paid,c9,A,1,10.00,10.00,10.00,gross",
    "o2,1,2025-05-02 10:00,paid,c9,B,1,5.00,4.00,4.00,gross",
)
CONSENTS = "customer_id,purpose,granted,at,text_version,source\nc1,personal_offers,true,2025-01-01,1,web\n"


def spells(folder: Path, *events: str) -> CartSpells:
    tables = {"events": HEADER + "\n".join(events) + "\n", "consents": CONSENTS}
    with open_source(write_shop(folder, orders=orders(*LINES), **tables), today=TODAY) as source:
        return build_spells(source, "2025-06-01")


def drawn(n: int, seed: int = 1) -> CartSpells:
    """Carts with the hazards of TRUTH, a third of them touched again before anything happened."""
    rng = np.random.default_rng(seed)
    known, value = rng.random(n) < 0.5, np.expm1(rng.normal(8.0, 1.0, n))
    hazard = TRUTH.hazard(known, value)
    came = rng.random((n, A)) < hazard
    first = np.where(came.any(axis=1), np.argmax(came, axis=1), A)
    edges = np.append(EDGES, EDGES[-1] + 24.0)
    hours = edges[first] + rng.random(n) * (edges[np.minimum(first + 1, A + 1)] - edges[first])
    touched = np.where(rng.random(n) < 1 / 3, EDGES[rng.integers(1, A, n)], np.inf)
    bought = (first < A) & (hours <= touched)
    return CartSpells(np.minimum(hours, touched), bought, known, value, "2025-06-01", "data")


def test_spells_by_hand(tmp_path: Path) -> None:
    found = spells(tmp_path, *EVENTS)
    # Ascending by the moment of the touch. k held one A for a day; A and B sold at 10.00 and 4.00.
    assert found.hours.tolist() == [0.5, 2.0, 24.0, 12.0]
    assert found.bought.tolist() == [False, True, False, False]
    assert found.known.tolist() == [True, True, False, True]
    assert found.value.tolist() == [1000.0, 1400.0, 1000.0, 0.0]


def test_events_in_any_order_and_many_at_once_are_the_same_spells(tmp_path: Path) -> None:
    at_once = ("c1,s8,2025-05-25 10:00,cart_add,A,", "c1,s8,2025-05-25 10:00,cart_add,B,")
    one = spells(tmp_path / "a", *EVENTS, *at_once)
    other = spells(tmp_path / "b", *at_once[::-1], *EVENTS[::-1])
    for name in ("hours", "bought", "known", "value"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


def test_the_fit_finds_known_hazards() -> None:
    fitted = fit_abandonment(drawn(40_000))
    known, value = np.array([True, False]), np.expm1([8.0, 9.0])
    truth, found = TRUTH.hazard(known, value), fitted.hazard(known, value)
    assert np.abs(found / truth - 1.0).max() < 0.15
    hours = np.array([0.0, 30.0])
    assert fitted.still_bought(hours, known, value) == pytest.approx(
        TRUTH.still_bought(hours, known, value), abs=0.01
    )
    assert fitted.known == pytest.approx(0.8, abs=0.05)


def test_probabilities_come_true_on_carts_that_the_fit_did_not_see() -> None:
    fitted, later = fit_abandonment(drawn(20_000, 1)), drawn(60_000, 2)
    u = np.random.default_rng(3).random((60_000, A))
    came = np.asarray((u < TRUTH.hazard(later.known, later.value)).any(axis=1), dtype=np.bool_)
    p = 1.0 - fitted.abandoned(np.zeros(60_000), later.known, later.value)
    for tenth in np.array_split(np.argsort(p, kind="stable"), 10):
        assert p[tenth].mean() == pytest.approx(came[tenth].mean(), abs=0.025)


def test_arithmetic_by_hand() -> None:
    flat = replace(TRUTH, level=0.0, elapsed=np.zeros(A), known=0.0, value=0.0)  # a half in each interval
    no, nothing = np.array([False]), np.array([0.0])
    assert flat.hazard(no, nothing) == pytest.approx(expit(np.zeros((1, A))))
    assert flat.abandoned(np.array([0.0]), no, nothing) == pytest.approx(0.5**A)
    # From 168 to 336 hours there is one interval, and from its middle half of one.
    assert flat.abandoned(np.array([168.0]), no, nothing) == pytest.approx(0.5)
    assert flat.abandoned(np.array([252.0]), no, nothing) == pytest.approx(0.5**0.5)
    assert flat.abandoned(np.array([336.0, 900.0]), np.repeat(no, 2), np.zeros(2)).tolist() == [1.0, 1.0]
    assert flat.call_after(no, nothing, 0.4).tolist() == [168.0]
    assert flat.call_after(no, nothing, 0.9).tolist() == [336.0]
    sure = replace(flat, level=-40.0)
    assert sure.call_after(no, nothing).tolist() == [0.0]
    with pytest.raises(UsageError, match="certainty"):
        flat.call_after(no, nothing, 0.0)


def test_bytes_come_back_the_same() -> None:
    content = TRUTH.to_bytes()
    assert AbandonmentModel.from_bytes(content).to_bytes() == content
    arrays, meta = unpack("abandonment-model", 1, content)
    for changed in ({**arrays, "edges": EDGES[1:]}, {"edges": EDGES}):
        with pytest.raises(ArtifactError):
            AbandonmentModel.from_bytes(pack("abandonment-model", 1, changed, meta))


def test_too_few_carts_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotIdentified, match="1 carts were bought and 3 left"):
        fit_abandonment(spells(tmp_path, *EVENTS))
