"""From a fitted run to its shelf: who is on sale when training ends, at what price, cost and limits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from api.check_document import checked
from policies.serve.past import NAMES_FILE, SHOP_FILE, names_to_bytes, shop_to_bytes
from policies.serve.shelf import Corridor, Shelf
from pricing.arrays import Bools
from pricing.errors import DataError
from pricing.panel import Panel
from simulators.contract.catalogue import build_catalogue
from simulators.contract.names import group_names
from simulators.contract.plans import build_plans
from simulators.contract.tables import Source
from simulators.demand.newcomers import newcomers
from simulators.run import Run

__all__ = ["HORIZON", "build_shelf", "past_files"]

HORIZON = 13
"""Periods that planning policies look ahead: a quarter of weeks."""


def build_shelf(
    source: Source, run: Run, *, horizon: int = HORIZON, known_until: dt.date | None = None
) -> Shelf:
    """Gather what a run knows of the shop, and what the shop plans, as its training ends.

    Series that were on sale in the last period of training are on the shelf, and so are newcomers that have
    a price and a cost by then; what has left the assortment is not priced.

    Parameters
    ----------
    source
        The session in which the run was fitted.
    run
        The run.
    horizon
        Periods that planning policies look ahead.
    known_until
        See :func:`simulators.contract.catalogue.build_catalogue`.

    Raises
    ------
    DataError
        If nothing is on sale, or a series lacks a price or a cost.
    """
    training = run.training
    index = np.flatnonzero(training.on_sale[:, -1] | _arriving(source, training)).astype(np.int64)
    if not index.size:
        raise DataError(
            f"No product was on sale in the last period before {run.origin.until}.",
            why="There is nothing to price.",
            todo="Check exit_at in products, or give an earlier --until.",
        )
    as_of = dt.date.fromisoformat(run.origin.until)
    model = run.model.take(index)
    catalogue = build_catalogue(source, training.take(index), model, as_of=as_of, known_until=known_until)
    plans = build_plans(source, catalogue.series, as_of=as_of)
    section = source.shop.guardrails
    rules, reviewed = source.shop.corridor, source.shop.reviewed
    corridor = Corridor(rules, section.ladder_size, section.ladder_reach, horizon, reviewed)
    return Shelf(run.model, catalogue, corridor, plans, "")


def past_files(source: Source, shelf: Shelf, check: Mapping[str, Any] | None) -> Mapping[str, bytes]:
    """Return what a run folder keeps for people: names, the shop's clocks, what a check finds.

    `check` is the document of a check of the same data; None: they are checked now.
    """
    known, priced = group_names(source), set(shelf.catalogue.series.group)
    return {
        NAMES_FILE: names_to_bytes({group: known[group] for group in known if group in priced}),
        SHOP_FILE: shop_to_bytes(source.shop.time_zone, checked(source) if check is None else check),
    }


def _arriving(source: Source, training: Panel) -> Bools:
    """Return which series have a price and no sale yet, bool [N]; one without a cost waits for it."""
    fresh = newcomers(training)
    if source.shop.cost_assumption is None and training.cost is not None:
        fresh &= np.isfinite(training.cost[:, -1])
    return fresh
