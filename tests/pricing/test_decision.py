from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from pricing.arrays import Bools
from pricing.decision import SCHEMA, Decisions, decide, recorded_rules
from pricing.errors import ArtifactError, UsageError
from pricing.guardrails import Guardrails, GuardrailSettings, Rule, Status
from pricing.policy import Choice, Policy
from pricing.randomness import uniforms
from pricing.situation import Situation
from tests.pricing.small_shop import LADDER, Draws, Mixed, Wants, catalogue, menu, situation, standing_at


def _decide(here: Situation, policy: Policy, *, seed: int = 1, **settings: object) -> Decisions:
    rules = Guardrails(here.catalogue, here.menu, GuardrailSettings(**settings))  # type: ignore[arg-type] # by name
    return decide(here, rules, policy, seed=seed, runs=np.arange(len(here.state.price)), fingerprint="data")


def test_a_decision_by_hand() -> None:
    here = situation(catalogue((100,)), menu(1))
    record = _decide(here, Wants((120,))).record(0, 0)
    assert (record.current_price, record.price, record.menu) == (100, 110, LADDER)
    assert record.allowed == (False, True, True, True, True, True, False)
    assert [r != 0 for r in record.rejections] == [True, False, False, False, False, False, True]
    assert (record.status, record.relaxed, record.binding) == (Status.OPEN, 0, Rule.MAX_CHANGE)
    assert (record.propensity, record.draw, record.probabilities[5]) == (1.0, None, 1.0)
    assert (record.group, record.zone, record.period, record.run) == ("p0", "z", 17_000, 0)
    assert record.decision_id[16:] == f"{17_000:08x}{0:08x}"
    assert (record.policy, record.model_fingerprint, record.personalised) == ("wants", "data", False)


def test_bits_of_an_older_record_keep_their_meaning() -> None:
    rules = (Rule.KILL_SWITCH, Rule.MAP_PRICE, Rule.PRIOR_PRICE, Rule.PRICE_ENDING)
    assert recorded_rules(sum(int(rule.bit) for rule in rules), SCHEMA) == rules
    # Without `prior_price`: below cost was bit 4, price endings were bit 13.
    assert recorded_rules(1 | 1 << 3 | 1 << 4 | 1 << 13, 1) == (
        Rule.KILL_SWITCH, Rule.MAP_PRICE, Rule.BELOW_COST, Rule.PRICE_ENDING,
    )  # fmt: skip
    assert recorded_rules(0, 1) == ()


def test_nothing_binds_where_the_unconstrained_choice_is_made() -> None:
    assert _decide(situation(catalogue((100,)), menu(1)), Wants((105,))).record(0, 0).binding is None


def test_nothing_binds_where_a_rule_gave_way_to_the_unconstrained_choice() -> None:
    record = _decide(situation(catalogue((100,), unit_cost=115), menu(1)), Wants((120,))).record(0, 0)
    assert (record.price, record.status, record.binding) == (120, Status.RELAXED, None)


def test_blocked_publishes_nothing_and_names_the_rules() -> None:
    record = _decide(situation(catalogue((100,), unit_cost=500), menu(1)), Mixed()).record(0, 0)
    assert record.price is None
    assert np.isnan(record.propensity)
    assert record.status == Status.BLOCKED
    assert record.binding == Rule.BELOW_COST
    assert not any(record.allowed)
    assert all(rejection & int(Rule.BELOW_COST.bit) for rejection in record.rejections)
    assert record.probabilities == (0.0,) * 7


def test_a_whole_shop_may_be_blocked() -> None:
    made = _decide(situation(catalogue((100, 100), unit_cost=500), menu(2)), Mixed(), max_share_moved=0.5)
    assert made.index.tolist() == [[-1, -1]]
    assert made.price.tolist() == [[100, 100]]


def test_variants_at_two_prices_are_not_dragged_over_the_kill_switch() -> None:
    here = situation(catalogue((100, 110), variant_of=0), menu(2))
    assert _decide(here, Wants((80, 80)), kill_switch=True).price.tolist() == [[100, 110]]


def test_variants_take_what_most_of_them_want_and_draw_alike() -> None:
    here = situation(catalogue((100,) * 3, variant_of=0), menu(3), batch=40)
    assert _decide(here, Wants((110, 90, 110))).price[0].tolist() == [110, 110, 110]
    mixed = _decide(here, Mixed())
    assert (mixed.price == mixed.price[:, :1]).all()
    assert len(np.unique(mixed.price)) > 1
    assert (mixed.probabilities == mixed.probabilities[:, :1]).all()


def test_stored_draws_stay_logged_where_the_catalogue_has_variants() -> None:
    alone = _decide(situation(catalogue((100,) * 3), menu(3), batch=50), Draws())
    paired = _decide(situation(catalogue((100,) * 3, variant_of=[0, 1, 1]), menu(3), batch=50), Draws())
    assert (alone.draw[:, 0] == paired.draw[:, 0]).all()
    assert (alone.price[:, 0] == paired.price[:, 0]).all()
    assert (paired.draw >= 0).all()
    assert paired.probabilities[0, 1].tolist() == [0.0, 0.25, 0.0, 0.25, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("policy", [Mixed(), Draws()])
def test_propensities_are_the_frequencies_over_seeds(policy: Policy) -> None:
    here = situation(catalogue((100,)), menu(1), batch=20_000)
    made = _decide(here, policy, seed=11)
    expected = made.probabilities[0, 0]
    counts = np.bincount(made.index[:, 0], minlength=len(LADDER))
    open_ = expected > 0
    assert counts[~open_].sum() == 0
    assert stats.chisquare(counts[open_], expected[open_] * counts.sum()).pvalue > 0.001
    assert (made.propensity[:, 0] == expected[made.index[:, 0]]).all()


def test_the_draw_follows_from_the_seed_and_the_id_alone() -> None:
    here = situation(catalogue((100,) * 5), menu(5), batch=6)
    made = _decide(here, Mixed(), seed=3)
    words = np.array(
        [[int(made.record(2, 4).decision_id[i : i + 8], 16) for i in (0, 8, 16, 24)]], dtype=np.uint64
    )
    below = np.cumsum(made.probabilities[2, 4])
    assert made.index[2, 4] == int((below <= uniforms(words, 3)[0]).sum())
    assert (_decide(here, Mixed(), seed=4).index != made.index).any()


def test_the_joint_step_puts_all_weight_on_the_price_in_force() -> None:
    made = _decide(situation(catalogue((100,) * 4), menu(4)), Draws(), max_share_moved=0.25)
    refused = (made.admission.allowed.sum(axis=-1) == 1)[0]
    assert refused.sum() == 3
    assert (made.propensity[0, refused] == 1.0).all()
    assert (made.price[0, refused] == 100).all()


@dataclass(frozen=True)
class _Broken:
    choice: Choice
    name: str = "broken"
    version: str = "1"
    reads: tuple[str, ...] = ()

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        assert situation.state.price.shape == allowed.shape[:2]
        return self.choice


_HALF = np.where(np.array([LADDER]) == 100, 0.5, 0.0)[None]


@pytest.mark.parametrize(
    "choice",
    [
        Choice(index=np.array([[6]])),
        Choice(index=np.array([[-1]])),
        Choice(probabilities=_HALF),
        Choice(probabilities=np.full((1, 1, 7), 1 / 7)),
        Choice(probabilities=np.full((1, 1, 7), np.nan)),
        Choice(probabilities=_HALF * 4 - np.where(np.array([LADDER]) == 105, 1.0, 0.0)),
    ],
    ids=["not allowed", "nothing", "half", "everything", "no number", "negative"],
)
def test_a_policy_that_breaks_the_protocol_is_refused(choice: Choice) -> None:
    with pytest.raises(ArtifactError, match="broken"):
        _decide(situation(catalogue((100,)), menu(1)), _Broken(choice))


def test_a_choice_that_says_nothing_is_refused() -> None:
    with pytest.raises(ArtifactError, match="neither"):
        _decide(situation(catalogue((100,)), menu(1)), _Broken(Choice()))


@pytest.mark.parametrize("runs", [[0], [0, -1], [0, 2**32]])
def test_run_numbers_fit_the_batch(runs: list[int]) -> None:
    here = situation(catalogue((100,)), menu(1), batch=2)
    rules = Guardrails(here.catalogue, here.menu, GuardrailSettings())
    with pytest.raises(UsageError, match="Run numbers"):
        decide(here, rules, Mixed(), seed=1, runs=np.array(runs), fingerprint="f")


def test_the_context_hash_notices_everything_that_was_known() -> None:
    shop = catalogue((100, 100))
    here = situation(shop, menu(2))
    beliefs, state, conditions = here.beliefs, here.state, here.conditions
    others = [
        here,
        standing_at(here, (105, 100)),
        replace(here, period=17_007),
        replace(here, periods_left=12),
        replace(here, elasticity_sd=np.array([0.4, 0.3])),
        replace(here, beliefs=replace(beliefs, regular=beliefs.regular - 0.1)),
        replace(here, state=replace(state, stock=np.array([[5.0, 5.0]]))),
        replace(here, conditions=replace(conditions, display=np.array([0.5, 0.0]))),
        replace(here, catalogue=replace(shop, unit_cost=shop.unit_cost + 1)),
    ]
    hashes = [_decide(each, Mixed()).record(0, 0).context_hash for each in others]
    hashes.append(_decide(here, Mixed(), max_change=0.05).record(0, 0).context_hash)
    assert len(set(hashes)) == len(hashes)
    assert _decide(here, Mixed(), seed=2).record(0, 0).context_hash == hashes[0]
