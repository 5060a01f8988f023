"""Some of the series of a scenario or of worlds: what a learner is trained on and what it never saw."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from pricing.arrays import Floats, Ints
from pricing.demand import Conditions, DemandParameters
from pricing.guardrails import Guardrails
from pricing.menu import Menu
from pricing.scenario import Scenario
from simulators.market import Worlds

__all__ = ["parameters_of", "scenario_of", "worlds_of"]


def scenario_of(scenario: Scenario, index: Ints) -> Scenario:
    """Return the scenario of the series at `index`, with the same rules for them."""
    whole, count = scenario.guardrails, len(scenario.catalogue)
    menu = Menu(*(getattr(whole.menu, field.name)[index] for field in fields(Menu)))
    return replace(
        scenario,
        guardrails=Guardrails(whole.catalogue.take(index), menu, whole.settings),
        beliefs=parameters_of(scenario.beliefs, index),
        elasticity_sd=scenario.elasticity_sd[index],
        rivals=scenario.rivals.take(index),
        conditions=tuple(
            Conditions(*(_spread(getattr(c, field.name), count)[..., index] for field in fields(Conditions)))
            for c in scenario.conditions
        ),
        receipts=scenario.receipts[:, index],
    )


def worlds_of(worlds: Worlds, index: Ints) -> Worlds:
    """Return the same worlds for the series at `index`."""
    return replace(
        worlds,
        parameters=parameters_of(worlds.parameters, index),
        category=worlds.category[index],
        rivals=worlds.rivals.take(index),
    )


def parameters_of(parameters: DemandParameters, index: Ints) -> DemandParameters:
    """Return the demand of the series at `index`, whatever leads the series axis."""
    return DemandParameters(*(getattr(parameters, field.name)[..., index] for field in fields(parameters)))


def _spread(values: Floats, count: int) -> Floats:
    array = np.asarray(values)
    return np.broadcast_to(array, (*array.shape[:-1], count))
