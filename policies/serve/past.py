"""What a run remembers of the shop, for people to look at: names, and what was sold at which price.

No decision reads it. A run folder keeps it beside the shelf; an older one has no names, and one that was
written without its panel has no history: whoever shows it says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError
from pricing.panel import Panel

__all__ = ["NAMES_FILE", "Past", "Seen", "names_to_bytes"]

NAMES_FILE = "names.json"
"""The file of a run folder that says what people call the price groups."""

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one series, oldest first.

    Attributes
    ----------
    days
        datetime64[D] [T]; first day of each period.
    on_sale
        bool [T]; it was in the assortment. Elsewhere nothing below means anything.
    units
        float64 [T]; units sold.
    regular, offered
        float64 [T]; regular and offered shelf price, minor units, mean of the period; NaN where unknown.
    """

    days: Dates
    on_sale: Bools
    units: Floats
    regular: Floats
    offered: Floats


@dataclass(frozen=True)
class Past:
    """Names and history of N series.

    Attributes
    ----------
    names
        What people call each; empty where nobody said.
    panel
        Its periods before the decision, and the rows of the N series in it; None where it was not kept.
    gross_share
        float64 [N]; gross price as a multiple of the shelf price, as the catalogue has it today.
    """

    names: tuple[str, ...]
    panel: tuple[Panel, Ints] | None
    gross_share: Floats

    @staticmethod
    def of(catalogue: Catalogue, panel: Panel | None = None, names: Mapping[str, str] | None = None) -> Past:
        """Gather what is known of a catalogue's series before its day.

        Parameters
        ----------
        catalogue
            N series.
        panel
            Of at least these series, as observed; None where it was not kept.
        names
            By price group.

        Raises
        ------
        ArtifactError
            If the panel lacks a series of the catalogue.
        """
        known = names or {}
        labels = tuple(known.get(group, "") for group in catalogue.series.group)
        if panel is None:
            return Past(labels, None, catalogue.gross_share)
        before = panel.between(0, panel.position(np.datetime64(catalogue.as_of)))
        return Past(labels, (before, _rows(before, catalogue)), catalogue.gross_share)

    @staticmethod
    def from_files(catalogue: Catalogue, panel: bytes | None, names: bytes | None) -> Past:
        """Read the past from the bytes of its files, None where a run has none.

        Raises
        ------
        ArtifactError
            If a file is not what it is called.
        """
        found = None if panel is None else Panel.from_bytes(panel)
        return Past.of(catalogue, found, None if names is None else _names(names))

    def seen(self, series: int) -> Seen | None:
        """Return what was seen of one series; None where the run did not keep it."""
        if self.panel is None:
            return None
        panel, rows = self.panel
        row, share = int(rows[series]), float(self.gross_share[series])
        return Seen(
            panel.periods,
            panel.on_sale[row],
            panel.units[row],
            np.asarray(panel.regular[row] / share),
            np.asarray(panel.offered[row] / share),
        )


def names_to_bytes(names: Mapping[str, str]) -> bytes:
    """Serialise names by price group; the same names give the same bytes."""
    body = {"schema": _SCHEMA, "names": dict(names)}
    return (json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _names(content: bytes) -> Mapping[str, str]:
    try:
        body: dict[str, Any] = json.loads(content)
        schema, found = int(body["schema"]), dict[Any, Any](body["names"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{NAMES_FILE} is not readable.",
            why=f"{type(error).__name__}: {error}.",
            todo="Fit again with `tarifa fit`.",
        ) from error
    if schema > _SCHEMA:
        raise ArtifactError(
            f"{NAMES_FILE} has schema {schema}; this Tarifa reads up to {_SCHEMA}.", todo="Update Tarifa."
        )
    return {str(group): str(name) for group, name in found.items()}


def _rows(panel: Panel, catalogue: Catalogue) -> Ints:
    place = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    wanted = list(zip(catalogue.series.group, catalogue.series.zone, strict=True))
    missing = [pair for pair in wanted if pair not in place]
    if missing:
        raise ArtifactError(
            f"The panel lacks {missing[0][0]} ({missing[0][1]}), which the catalogue prices.",
            todo="Fit again with `tarifa fit`.",
        )
    return np.array([place[pair] for pair in wanted], dtype=np.int64)
