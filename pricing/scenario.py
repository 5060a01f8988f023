"""The scenario: everything about a run that is decided before it starts and that policies may know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.catalogue import Catalogue
from pricing.demand import Conditions, DemandParameters, spilled
from pricing.errors import DataError, UsageError
from pricing.guardrails import Guardrails
from pricing.menu import Menu
from pricing.model import REGULAR, DemandModel
from pricing.rivals import Rivals
from pricing.situation import Situation, myopic_log_price
from pricing.standing import UNVALIDATED, Standing
from pricing.transition import State

__all__ = ["MEMORY", "Scenario"]

MEMORY = 0.8
"""Share of the remembered price that survives a period unless told otherwise.

Hardie, Johnson and Fader (Marketing Science 1993) estimate .83 by purchase occasion, Briesch et al.
(Journal of Consumer Research 1997) .6 to .8. Without reference effects it changes no demand.
"""

_SHUT = -4.0
"""Log traffic of a weekday on which the shop never sold: next to nothing, finite for every coefficient."""


@dataclass(frozen=True)
class Scenario:
    """A pricing problem over a fixed horizon of T periods for N series.

    It holds beliefs, not the truth: the posterior mean of the demand model. Which world is real is a
    matter of the market.

    Attributes
    ----------
    guardrails
        The rules, with the catalogue and the menu that they were made for.
    beliefs
        Posterior mean demand, float64 [N] each.
    elasticity_sd
        float64 [N]; posterior sd of the regular-price elasticity.
    rivals
        Who stands in for whom among the N series.
    conditions
        Promotions and traffic of each of the T periods; rival prices follow from the prices, see
        :meth:`planned`.
    receipts
        float64 [T, N]; units that arrive at the end of each period.
    first_day
        First day of the first period, days since 1970-01-01.
    period_days
        7 for weeks, 1 for days.
    memory
        Share of the remembered price that survives a period, 0-1.
    standing
        Of the model that is believed: under which passport the problem was made.
    """

    guardrails: Guardrails
    beliefs: DemandParameters
    elasticity_sd: Floats
    rivals: Rivals
    conditions: tuple[Conditions, ...]
    receipts: Floats
    first_day: int
    period_days: int = 7
    memory: float = MEMORY
    standing: Standing = UNVALIDATED

    def __post_init__(self) -> None:
        if not self.conditions:
            raise UsageError("A scenario without periods decides nothing.", todo="Ask for a horizon >= 1.")
        expected = (len(self.conditions), len(self.catalogue))
        if self.receipts.shape != expected:
            raise DataError(f"Scenario.receipts has shape {self.receipts.shape}, not {expected}.")
        if not 0.0 <= self.memory <= 1.0:
            raise UsageError(f"memory = {self.memory} is not a share between 0 and 1.")

    @property
    def catalogue(self) -> Catalogue:
        """The N series."""
        return self.guardrails.catalogue

    @property
    def menu(self) -> Menu:
        """Their ladders [N, K]."""
        return self.guardrails.menu

    @property
    def horizon(self) -> int:
        """Number of periods T."""
        return len(self.conditions)

    @cached_property
    def myopic(self) -> Floats:
        """float64 [N]; see :func:`pricing.situation.myopic_log_price`."""
        return myopic_log_price(self.beliefs, self.catalogue)

    @staticmethod
    def of(
        model: DemandModel,
        guardrails: Guardrails,
        *,
        horizon: int,
        first_day: int,
        conditions: Sequence[Conditions] | None = None,
        receipts: Floats | None = None,
        memory: float = MEMORY,
        standing: Standing = UNVALIDATED,
    ) -> Scenario:
        """Build a scenario from a fitted model; its series may be more than those of the catalogue.

        Parameters
        ----------
        model
            Posterior over at least the series of the catalogue.
        guardrails
            The rules for a catalogue and its menu.
        horizon
            Periods T, at least 1.
        first_day
            First day of the first period, days since 1970-01-01.
        conditions
            T plans; None means no promotions and mean traffic. What the calendar expects is added.
        receipts
            float64 [T, N]; None means that nothing arrives.
        memory, standing
            See :class:`Scenario`.
        """
        catalogue = guardrails.catalogue
        own = model.take(model.rows(catalogue.series))
        plan = (Conditions.plain(len(catalogue)),) * horizon if conditions is None else tuple(conditions)
        if len(plan) != horizon:
            raise UsageError(f"{len(plan)} plans of promotions were given for {horizon} periods.")
        beliefs = DemandParameters.of(own.mean, own, catalogue)
        rivals = own.rivals.at(catalogue.log_price - beliefs.log_reference)
        if own.weekday is not None or own.cycle is not None:
            plan = _through_the_calendar(own, plan, first_day)
        return Scenario(
            guardrails=guardrails,
            beliefs=spilled(beliefs, rivals, catalogue),
            elasticity_sd=np.linalg.norm(REGULAR @ own.factor, axis=-1),
            rivals=rivals,
            conditions=plan,
            receipts=np.zeros((horizon, len(catalogue))) if receipts is None else receipts,
            first_day=first_day,
            period_days=model.period_days,
            memory=memory,
            standing=standing,
        )

    @cached_property
    def base_profit(self) -> float:
        """Expected net profit of the first period if every price stays, minor units: the scale of rewards.

        Its absolute value, and at least one minor unit, so that a shop that loses money has a scale too.
        """
        situation = self.situation(State.start(self.catalogue, 1), 0)
        keep = np.full((1, len(self.catalogue)), -1, dtype=np.int64)
        return max(abs(float(situation.profit_of(keep).sum())), 1.0)

    def planned(self, period: int, log_price: Floats) -> Conditions:
        """Return the conditions of a period at regular shelf prices exp(`log_price`), float64 [..., N]."""
        told = self.conditions[period]
        if not self.rivals.any:
            return told
        found = self.rivals.index(log_price + told.depth - self.beliefs.log_reference)
        return replace(told, rivals=told.rivals + found)

    def take(self, index: Ints) -> Scenario:
        """Return the scenario of the series at `index`, with the same rules for them.

        The others stay at their prices in force, less the discounts that are planned for them.
        """
        whole, count = self.guardrails, len(self.catalogue)
        menu = Menu(*(getattr(whole.menu, f.name)[index] for f in fields(Menu)))
        return replace(
            self,
            guardrails=Guardrails(
                whole.catalogue.take(index),
                menu,
                whole.settings,
                held=None if whole.held is None else whole.held[index],
            ),
            beliefs=DemandParameters(
                *(getattr(self.beliefs, f.name)[..., index] for f in fields(self.beliefs))
            ),
            elasticity_sd=self.elasticity_sd[index],
            rivals=self.rivals.take(index),
            conditions=tuple(_part(c, self.rivals, index, count) for c in self.conditions),
            receipts=self.receipts[:, index],
        )

    def situation(self, state: State, period: int) -> Situation:
        """Return what is known before the prices of a period are set, for a batch.

        Parameters
        ----------
        state
            Where the batch stands, arrays [B, N].
        period
            0 to T - 1; T is the end, where no period is left and the last plan is still shown.
        """
        return Situation(
            catalogue=self.catalogue,
            menu=self.menu,
            state=state,
            conditions=self.planned(min(period, self.horizon - 1), np.log(state.price.astype(np.float64))),
            beliefs=self.beliefs,
            elasticity_sd=self.elasticity_sd,
            myopic=self.myopic,
            period=self.first_day + period * self.period_days,
            periods_left=self.horizon - period,
            horizon=self.horizon,
        )


def _part(conditions: Conditions, rivals: Rivals, index: Ints, count: int) -> Conditions:
    """Return the conditions of some series; what is planned for the others adds to the rival prices."""
    told = {f.name: np.asarray(getattr(conditions, f.name)) for f in fields(conditions)}
    wide = {name: np.broadcast_to(values, (*values.shape[:-1], count)) for name, values in told.items()}
    gone = wide["depth"].copy()
    gone[..., index] = 0.0
    wide["rivals"] = wide["rivals"] + rivals.index(gone) - rivals.index(np.zeros(count))
    return Conditions(**{name: values[..., index] for name, values in wide.items()})


def _through_the_calendar(
    model: DemandModel, plan: tuple[Conditions, ...], first_day: int
) -> tuple[Conditions, ...]:
    rows = np.arange(len(model.series), dtype=np.int64)
    day = first_day + model.period_days * np.arange(len(plan), dtype=np.int64)
    expected = model.traffic_on(rows, day[:, None])
    expected = np.where(np.isnan(expected), _SHUT, expected)
    season = model.season_on(rows, day[:, None])
    return tuple(replace(c, traffic=c.traffic + expected[t], season=season[t]) for t, c in enumerate(plan))
