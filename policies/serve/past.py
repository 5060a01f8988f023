"""What a run remembers of the shop, for people: names, its clocks, what its tables tell, what was sold when.

No decision reads it. A run folder keeps it beside the shelf; an older one has no names, and one that was
written without its panel has no history: whoever shows it says so.
"""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError
from pricing.panel import Panel

__all__ = ["NAMES_FILE", "SHOP_FILE", "Past", "Seen", "names_to_bytes", "shop_to_bytes"]

NAMES_FILE = "names.json"
"""The file of a run folder that says what people call the price groups."""

SHOP_FILE = "shop.json"
"""The file of a run folder that says where the shop is, and what a check found in its tables."""

_SCHEMA = 1
_Found = TypeVar("_Found")


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
    time_zone
        IANA name of the shop's; UTC where the run does not say.
    check
        What a check of its tables found, as `tarifa check --json` prints it; None where it was not kept.
    """

    names: tuple[str, ...]
    panel: tuple[Panel, Ints] | None
    gross_share: Floats
    time_zone: str = "UTC"
    check: Mapping[str, Any] | None = None

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
    def from_files(
        catalogue: Catalogue, panel: bytes | None, names: bytes | None, shop: bytes | None = None
    ) -> Past:
        """Read the past from the bytes of its files, None where a run has none.

        Raises
        ------
        ArtifactError
            If a file is not what it is called.
        """
        found = None if panel is None else Panel.from_bytes(panel)
        past = Past.of(catalogue, found, None if names is None else _names(names))
        if shop is None:
            return past
        zone, check = _shop(shop)
        return replace(past, time_zone=zone, check=check)

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


def shop_to_bytes(time_zone: str, check: Mapping[str, Any] | None) -> bytes:
    """Serialise a shop's time zone, and what a check of its tables found; the same give the same bytes."""
    body = {"schema": _SCHEMA, "time_zone": time_zone, "check": check}
    return (json.dumps(body, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n").encode()


def _shop(content: bytes) -> tuple[str, Mapping[str, Any] | None]:
    def read(body: dict[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
        zone, check = str(body["time_zone"]), body["check"]
        zoneinfo.ZoneInfo(zone)
        return zone, None if check is None else dict[str, Any](check)

    return _read(SHOP_FILE, content, read)


def _names(content: bytes) -> Mapping[str, str]:
    def read(body: dict[str, Any]) -> Mapping[str, str]:
        return {str(group): str(name) for group, name in dict[Any, Any](body["names"]).items()}

    return _read(NAMES_FILE, content, read)


def _read(name: str, content: bytes, read: Callable[[dict[str, Any]], _Found]) -> _Found:
    """Return what a file holds; raises :class:`ArtifactError` where it is not what it is called."""
    try:
        body: dict[str, Any] = json.loads(content)
        schema, found = int(body["schema"]), read(body)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{name} is not readable.",
            why=f"{type(error).__name__}: {error}.",
            todo="Fit again with `tarifa fit`.",
        ) from error
    if schema > _SCHEMA:
        raise ArtifactError(
            f"{name} has schema {schema}; this Tarifa reads up to {_SCHEMA}.", todo="Update Tarifa."
        )
    return found


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
