"""The 30-day prior price: by hand at every edge, and against a slow second implementation."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import DataError
from pricing.prior_price import Known, PriceHistory, PriceMark, PriorPrice, prior_price, window_start
from simulators.contract.local_time import local_time
from tests.pricing.prior_price_oracle import Change, prior, random_history

_MADRID = ZoneInfo("Europe/Madrid")
_CLOCK = local_time("Europe/Madrid")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def micro(text: str, zone: dt.tzinfo = _MADRID) -> int:
    return (dt.datetime.fromisoformat(text).replace(tzinfo=zone) - _EPOCH) // dt.timedelta(microseconds=1)


def marks(*told: tuple[str, int]) -> list[PriceMark]:
    return [PriceMark(micro(when), price, price) for when, price in told]


def asked(history: PriceHistory, at: str, product: int = 0) -> tuple[str, int, int]:
    found = prior_price(history, np.array([product]), np.array([micro(at)]), _CLOCK)
    return Known(int(found.known[0])).label, int(found.price[0]), int(found.lowest[0])


_CASES: dict[str, tuple[tuple[tuple[str, int], ...], tuple[str, int, int]]] = {
    # announced on 2026-07-31 09:00; the window starts on 2026-07-01 09:00
    "a brief dip resets the reference": (
        (("2026-01-01", 1000), ("2026-07-10", 700), ("2026-07-10T01:00", 1000)), ("told", 700, 700)),
    "a price that still stood at the start counts": (
        (("2026-01-01", 700), ("2026-07-01T09:00:01", 1000)), ("told", 700, 700)),
    "one that ended at the start does not": (
        (("2026-01-01", 700), ("2026-07-01T09:00", 1000)), ("told", 1000, 1000)),
    "the reduced price itself does not": (
        (("2026-01-01", 1000), ("2026-07-31T09:00", 700)), ("told", 1000, 1000)),
    "a price of a microsecond before does": (
        (("2026-01-01", 1000), ("2026-07-31T08:59:59.999999", 700)), ("told", 700, 700)),
    "of one instant the last recorded wins": (
        (("2026-01-01", 1000), ("2026-07-10", 500), ("2026-07-10", 900)), ("told", 900, 900)),
    "a later record may take effect earlier": (
        (("2026-01-01", 1000), ("2026-07-20", 900), ("2026-07-10", 800)), ("told", 800, 800)),
    "twenty seconds are an offer": (
        (("2026-01-01", 1000), ("2026-07-10T10:00:10", 500), ("2026-07-10T10:00:30", 900)),
        ("told", 500, 500)),
    "a gap has no price": (
        (("2026-01-01", 500), ("2026-06-01", 0), ("2026-07-10", 900)), ("told", 900, 900)),
    "not offered in the window at all": (
        (("2026-01-01", 500), ("2026-06-01", 0), ("2026-08-10", 900)), ("not_offered", 0, 0)),
    "a newcomer has none, and at most this": (
        (("2026-07-02", 900), ("2026-07-09", 800)), ("short", 0, 800)),
    "known not to be offered is no history either": (
        (("2026-01-01", 0), ("2026-07-02", 900)), ("short", 0, 900)),
    "no record": ((), ("short", 0, 0)),
    "a record of the future": ((("2026-09-01", 900),), ("short", 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_edges_by_hand(name: str) -> None:
    told, expected = _CASES[name]
    assert asked(PriceHistory.of([marks(*told)]), "2026-07-31T09:00") == expected


def test_the_window_is_never_shorter_than_thirty_days_or_thirty_times_24_hours() -> None:
    def starts(at: str) -> str:
        start = int(window_start(np.array([micro(at)]), _CLOCK)[0])
        return (_EPOCH + dt.timedelta(microseconds=start)).astimezone(_MADRID).isoformat()

    # Clocks went forward on 29 March: 30 calendar days are 719 hours, so 720 hours are counted.
    assert starts("2026-04-10T12:00") == "2026-03-11T11:00:00+01:00"
    # They went back on 25 October: 30 calendar days are 721 hours.
    assert starts("2026-11-10T12:00") == "2026-10-11T12:00:00+02:00"
    # 02:30 on 29 March never was: the earlier instant that it could mean. On 25 October it was twice: the
    # first.
    assert starts("2026-04-28T02:30") == "2026-03-29T01:30:00+01:00"
    assert starts("2026-11-24T02:30") == "2026-10-25T02:30:00+02:00"
    assert starts("2026-07-31T09:00") == "2026-07-01T09:00:00+02:00"


def test_histories_are_asked_together_and_do_not_mix() -> None:
    history = PriceHistory.of(
        [marks(("2026-01-01", 1000)), [], marks(("2026-01-01", 300), ("2026-07-20", 250))]
    )
    product, at = np.array([2, 1, 0, 2]), np.array([micro(f"2026-0{m}-30") for m in (7, 7, 7, 3)])
    found = prior_price(history, product, at, _CLOCK)
    assert found.price.tolist() == [250, 0, 1000, 300]
    assert found.known.tolist() == [Known.TOLD, Known.SHORT, Known.TOLD, Known.TOLD]
    none = prior_price(history, product[:0], at[:0], _CLOCK)
    assert (none.price.size, none.lowest.size, none.known.size) == (0, 0, 0)


def test_recording_adds_and_never_changes() -> None:
    before = PriceHistory.of([marks(("2026-01-01", 1000)), marks(("2026-01-01", 300))])
    after = before.record(0, PriceMark(micro("2026-07-20"), 1000, 800))
    assert (asked(before, "2026-07-31"), asked(after, "2026-07-31")) == (
        ("told", 1000, 1000),
        ("told", 800, 800),
    )
    assert asked(after, "2026-07-31", 1) == ("told", 300, 300)
    assert (len(after), after.start.tolist(), after.offered.tolist()) == (2, [0, 2, 3], [1000, 800, 300])


@pytest.mark.parametrize("wrong", [(0, 5, 0), (0, 0, 5), (0, -5, -5), (0, 5, 2**62), (2**62, 5, 5)])
def test_what_is_no_price_or_instant_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="cannot hold"):
        PriceMark(*wrong)
    with pytest.raises(DataError, match="cannot hold"):
        PriceHistory(np.array([0, 1]), *(np.array([part]) for part in wrong))


def test_a_question_about_nobody_is_refused() -> None:
    history = PriceHistory.of([[]])
    for product in (-1, 1):
        with pytest.raises(DataError, match="none of 1"):
            prior_price(history, np.array([product]), np.array([0]), _CLOCK)
    with pytest.raises(DataError, match="belong"):
        PriceHistory(np.array([0, 2]), *(np.array([1]) for _ in range(3)))
    with pytest.raises(DataError, match="years"):
        window_start(np.array([2**62]), _CLOCK)


def as_history(changes: list[Change]) -> list[PriceMark]:
    return [
        PriceMark((c.at - _EPOCH) // dt.timedelta(microseconds=1), c.price or 0, c.price or 0)
        for c in changes
    ]


def compare(seeds: range) -> tuple[int, dict[str, int]]:
    """Return how many random histories differ from the oracle, and how often each answer came."""
    drawn = [random_history(np.random.default_rng(seed)) for seed in seeds]
    expected = [prior(*one) for one in drawn]
    history = PriceHistory.of([as_history(changes) for changes, _, _ in drawn])
    at = np.array([(when - _EPOCH) // dt.timedelta(microseconds=1) for _, when, _ in drawn])
    wrong: int = 0
    answers = dict.fromkeys((known.label for known in Known), 0)
    for zone in {zone for _, _, zone in drawn}:
        own = np.array([i for i, one in enumerate(drawn) if one[2] is zone], dtype=np.int64)
        found = prior_price(history, own, at[own], local_time(zone.key))
        for place, i in enumerate(own):
            told = _told(found, place)
            answers[told[0]] += 1
            wrong += int(told != expected[int(i)])
    return wrong, answers


def _told(found: PriorPrice, place: int) -> tuple[str, int]:
    known = Known(int(found.known[place]))
    assert int(found.price[place]) == (int(found.lowest[place]) if known is Known.TOLD else 0)
    return known.label, int(found.lowest[place])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_random_histories_are_what_a_slow_reading_of_the_tag_gives(seed: int) -> None:
    """100 histories an example; bench/prior_price.py does 100,000."""
    wrong, answers = compare(range(seed, seed + 100))
    assert wrong == 0
    assert min(answers["told"], answers["short"]) > 0
