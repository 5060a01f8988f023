from __future__ import annotations

import pytest

from pricing.errors import BusyError
from pricing.executor import Executor, InProcess


def square(value: int) -> int:
    return value * value


def test_it_answers_in_order_skips_what_is_done_and_tells_progress() -> None:
    executor: Executor = InProcess()
    told = list[tuple[int, int]]()
    found = executor.submit(square, [1, 2, 3], progress=lambda *k: told.append(k), done={1: -4})
    assert list(found) == [1, -4, 9]
    assert told == [(2, 3), (3, 3)]


def test_cancelled_it_stops_before_the_next_item() -> None:
    executor = InProcess()
    found = executor.submit(square, [1, 2])
    assert next(found) == 1
    executor.cancel()
    with pytest.raises(BusyError, match="before item 1 of 2"):
        next(found)
    assert list(executor.submit(square, [1, 2], done={0: 1, 1: 4})) == [1, 4]
