"""Worlds of some of the series: what a learner is trained on and what it never saw."""

from __future__ import annotations

from dataclasses import fields, replace

from pricing.arrays import Ints
from pricing.demand import DemandParameters
from simulators.market import Worlds

__all__ = ["parameters_of", "worlds_of"]


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
