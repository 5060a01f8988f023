"""Ready means: every policy that is served has decided, and a failure to get there is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.prices.service import Ask, Desk
from api.readiness import Readiness
from policies.serve.artifact import NAMES
from policies.serve.incumbent import Incumbent
from policies.serve.journey import recommend, recommend_each
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from policies.serve.stored import Stored
from pricing.errors import ArtifactError, BusyError, UnknownProduct
from pricing.policy import Choice, Policy
from tests.api.runs import open_desk, toy_shelf, write_run


class Counting:
    """A policy that counts how often it is asked."""

    def __init__(self, inner: Policy) -> None:
        self.inner, self.asked = inner, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def choose(self, *given: Any) -> Choice:
        self.asked += 1
        return self.inner.choose(*given)


def test_once_all_have_decided_no_request_waits_for_a_policy(tmp_path: Path) -> None:
    desk = open_desk(write_run(tmp_path / "run", toy_shelf()), tmp_path / "d.sqlite3")
    counted = {name: Counting(policy) for name, policy in desk.policies.items()}
    desk = Desk(desk.shelf, counted, desk.default, desk.store)
    desk.decide_all()
    asked = {name: policy.asked for name, policy in counted.items()}
    assert min(asked.values()) > 0
    for name in counted:
        desk.answer(Ask(("toy00001",), None, None, name, 100))
        desk.answer(Ask(None, None, None, name, 100))
    assert {name: policy.asked for name, policy in counted.items()} == asked


def test_several_policies_together_decide_as_each_alone() -> None:
    shelf = toy_shelf()
    policies: tuple[Policy, ...] = (Incumbent(), Static.of(shelf.scenario), Resolve.of(shelf.scenario))
    for together, policy in zip(recommend_each(shelf, policies), policies, strict=True):
        alone = recommend(shelf, policy)
        series = range(len(alone))
        assert list(together.written(series)) == list(alone.written(series))


def test_written_out_side_by_side_or_one_by_one_is_the_same() -> None:
    shelf = toy_shelf(300)
    made = recommend(shelf, Static.of(shelf.scenario), draws=20)
    order = [int(i) for i in np.random.default_rng(0).permutation(300)]
    for series, (row, record) in zip(order, made.written(order), strict=True):
        assert record == made.decisions.record(0, series)
        assert row == made.row(series)
        assert row.decision_id == record.decision_id == made.ids[series]
        assert made.place[row.decision_id] == series


def test_what_is_still_opening_is_busy_and_what_failed_says_why() -> None:
    def foreign() -> None:
        raise UnknownProduct("made for other series")

    readiness = Readiness(foreign)
    with pytest.raises(BusyError):
        readiness.require()
    readiness.start()
    readiness.wait(10)
    with pytest.raises(UnknownProduct, match="other series"):
        readiness.require()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_that_nobody_foresaw_is_not_waited_for() -> None:
    def broken() -> None:
        raise ZeroDivisionError("secret")

    readiness = Readiness(broken)
    readiness.start()
    readiness.wait(10)
    with pytest.raises(ArtifactError, match="nobody foresaw") as found:
        readiness.require()
    assert "secret" not in str(found.value)


def test_every_policy_of_ours_says_what_kind_it_is() -> None:
    kinds = {policy.NAME: policy.KIND for policy in Stored.__subclasses__()}
    assert set(kinds) == set(NAMES)
    assert set(kinds.values()) == {"rule", "planner", "bandit", "learned"}
