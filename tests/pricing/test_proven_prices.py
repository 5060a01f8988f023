"""Marks of several sources as one history: by hand, and against a slow one that asks at every instant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.prior_price import Known, PriceHistory, PriceMark, prior_price, proven
from simulators.contract.local_time import local_time
from tests.pricing.prior_price_oracle import Change, prior, random_history

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Told:
    """A change, and whether it was seen on the shelf or only sent there."""

    change: Change
    seen: bool


def _kept(*told: tuple[int, int, bool]) -> list[tuple[int, int]]:
    marks = [PriceMark(at, price, price) for at, price, _ in told]
    return [(mark.at, mark.offered) for mark in proven(marks, [seen for _, _, seen in told])]


def test_a_price_that_was_lowered_counts_at_once_and_one_that_was_raised_when_it_is_seen() -> None:
    assert _kept((1, 10, True), (5, 8, False)) == [(1, 10), (5, 8)]
    assert _kept((1, 10, True), (5, 12, False)) == [(1, 10)]
    assert _kept((1, 10, True), (5, 12, False), (9, 12, True)) == [(1, 10), (9, 12)]
    assert _kept((5, 12, False)) == [(5, 12)]
    assert _kept((1, 0, True), (5, 12, False)) == [(1, 0), (5, 12)], (
        "where nothing was offered nothing is raised"
    )


def test_a_change_that_is_told_twice_and_out_of_order_is_one_change() -> None:
    assert _kept((5, 8, False), (6, 8, True), (1, 10, True)) == [(1, 10), (5, 8), (6, 8)]
    assert _kept((1, 10, True), (5, 12, False), (7, 8, False), (8, 10, False)) == [(1, 10), (7, 8)]


def _standing(told: Sequence[Told], place: int) -> int | None:
    """Return the price on the tag after the change at a place (of those sorted by time), asked backwards."""
    if place < 0:
        return None
    change, before = told[place].change, _standing(told, place - 1)
    raised = before is not None and change.price is not None and change.price > before
    return before if raised and not told[place].seen else change.price


def _oracle(told: Sequence[Told]) -> list[Change]:
    """Return what stood after every change; one that was not seen yet changes nothing, not even a gap."""
    ordered = sorted(told, key=lambda one: one.change.at)
    return [Change(one.change.at, _standing(ordered, place)) for place, one in enumerate(ordered)]


def compare_told(seeds: range) -> tuple[int, dict[str, int]]:
    """Return how many random histories of several sources differ from the oracle, and which answers came."""
    wrong, answers = 0, dict.fromkeys((known.label for known in Known), 0)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        changes, at, zone = random_history(rng)
        told = [Told(change, bool(rng.random() < 0.5)) for change in changes]
        told += [replace(one, seen=True) for one in told if rng.random() < 0.3]  # told twice
        answer = _asked(told, at, zone)
        answers[answer[0]] += 1
        wrong += answer != prior(_oracle(told), at, zone)
    return wrong, answers


def _asked(told: Sequence[Told], at: dt.datetime, zone: ZoneInfo) -> tuple[str, int]:
    marks = [
        PriceMark((one.change.at - _EPOCH) // dt.timedelta(microseconds=1), *[one.change.price or 0] * 2)
        for one in told
    ]
    history = PriceHistory.of([proven(marks, [one.seen for one in told])])
    moment = (at - _EPOCH) // dt.timedelta(microseconds=1)
    found = prior_price(history, np.array([0]), np.array([moment]), local_time(zone.key))
    return Known(int(found.known[0])).label, int(found.lowest[0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9))
def test_random_histories_of_several_sources_are_what_asking_at_every_instant_gives(seed: int) -> None:
    """50 histories an example; bench/prior_price.py does more."""
    wrong, answers = compare_told(range(seed, seed + 50))
    assert wrong == 0
    assert min(answers["told"], answers["short"]) > 0
