"""The trial: who is held out of new prices, and when, drawn once and written down before anything happens.

A trial is the registered plan of a roll-out. Its digest is the SHA-256 of all it says, so whoever keeps those
64 letters finds out a plan that was changed later. Units are price groups in a zone, never people. Units of
one cluster (a category, or a part of one; variants) are always treated or held together, so that what a
price takes from its neighbours stays inside the cluster. A cluster is decided block by block: a parallel
trial has one block, which is the whole time; a switchback alternates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from pricing.arrays import Bools, Ints
from pricing.errors import ArtifactError

__all__ = ["OUTSIDE", "Cluster", "Design", "Precision", "Trial", "Unit"]

OUTSIDE = -1
"""Cluster of a unit that is never treated: its zone is not part of the roll-out."""

_SCHEMA = 1
_AGAIN = "Take the file that `tarifa impact plan` wrote, or make a new plan for a time that has not begun."


class Design(Enum):
    """How treated and untreated are told apart."""

    PARALLEL = "parallel"
    SWITCHBACK = "switchback"


@dataclass(frozen=True, slots=True)
class Unit:
    """A price group in a zone.

    Attributes
    ----------
    group, zone, category
        Who it is.
    cluster
        Index of its cluster, :data:`OUTSIDE` for none.
    before
        Net profit a period before the trial, minor units.
    price
        Regular shelf price in force as it was planned, minor units: what it goes back to whenever a
        switchback holds it.
    """

    group: str
    zone: str
    category: str
    cluster: int
    before: int
    price: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Units that are decided together.

    Attributes
    ----------
    name
        For people: what its units share.
    treated
        For each block, whether they get new prices.
    stratum
        For each block, within which stratum that was drawn; strata are numbered through the whole trial.
    """

    name: str
    treated: tuple[bool, ...]
    stratum: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Precision:
    """How small an effect the trial can be expected to see, judged by the past.

    Attributes
    ----------
    baseline
        Net profit a month of all clusters before the trial, minor units.
    treated
        Of that, what clusters and blocks with new prices stand for.
    detectable
        Effect on these, minor units a month, that would be seen in four of five such trials.
    windows, periods
        Stretches of the past it was judged by, and periods of each.
    """

    baseline: int
    treated: int
    detectable: int
    windows: int
    periods: int


@dataclass(frozen=True)
class Trial:
    """A plan of a roll-out.

    Attributes
    ----------
    design
        Parallel or switchback.
    made_on
        ISO date on which it was written.
    seed
        The draw follows from it.
    data
        Fingerprint of the data it was made from.
    currency
        ISO 4217 code.
    since, start
        ISO dates: first day of the periods before, and of the first period of the trial.
    periods, period_days
        Length of the trial, and of a period.
    block, washout
        Periods of a block, and how many of its first ones are not measured.
    worth
        Least effect, minor units a month, that counts as having paid.
    precision
        What it can be expected to see.
    units
        In ascending (group, zone) order.
    clusters
        In the order of their index.
    """

    design: Design
    made_on: str
    seed: int
    data: str
    currency: str
    since: str
    start: str
    periods: int
    period_days: int
    block: int
    washout: int
    worth: int
    precision: Precision
    units: tuple[Unit, ...]
    clusters: tuple[Cluster, ...]

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault:
            raise ArtifactError("This plan does not describe a trial.", why=fault, todo=_AGAIN)

    @property
    def end(self) -> str:
        """ISO date, the first day after the trial."""
        return str(np.datetime64(self.start, "D") + self.periods * self.period_days)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.periods // self.block

    @cached_property
    def cluster_of(self) -> Ints:
        """int64 [N]; cluster of each unit, :data:`OUTSIDE` for none."""
        return np.array([unit.cluster for unit in self.units], dtype=np.int64)

    @cached_property
    def treated(self) -> Bools:
        """Bool [C, K]; which clusters get new prices in which block."""
        return np.array([cluster.treated for cluster in self.clusters], dtype=np.bool_)

    @cached_property
    def stratum(self) -> Ints:
        """int64 [C, K]; within which stratum that was drawn."""
        return np.array([cluster.stratum for cluster in self.clusters], dtype=np.int64)

    @cached_property
    def divided(self) -> bool:
        """Whether a category of a zone lies in several clusters.

        Then what a new price takes from its neighbours may cross from treated to held.
        """
        places = {(u.category, u.zone, u.cluster) for u in self.units if u.cluster != OUTSIDE}
        return len(places) > len({place[:2] for place in places})

    def began(self, today: str) -> bool:
        """Return whether its first day has come on `today`, an ISO date."""
        return today >= self.start

    def held(self, day: str) -> Mapping[tuple[str, str], int]:
        """Return what is held out in the period that begins on `day`, by (group, zone).

        The value is the price to go back to, 0 for whatever is in force: in a parallel trial nothing that is
        held was ever moved. Before the trial and after it nothing is held.
        """
        since = (np.datetime64(day, "D") - np.datetime64(self.start, "D")).astype(np.int64)
        block = int(since) // (self.period_days * self.block)
        if not 0 <= block < self.blocks:
            return {}
        back = self.design is Design.SWITCHBACK
        return {
            (unit.group, unit.zone): unit.price if back and unit.cluster != OUTSIDE else 0
            for unit in self.units
            if unit.cluster == OUTSIDE or not self.clusters[unit.cluster].treated[block]
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything it says."""
        return _digest(_body(self))

    def to_bytes(self) -> bytes:
        """Serialise as JSON, its digest with it; the same trial gives the same bytes."""
        document = {"digest": self.digest, **_body(self)}
        return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_bytes(content: bytes, place: str) -> Trial:
        """Read what :meth:`to_bytes` wrote; `place` names the file in errors.

        Raises
        ------
        ArtifactError
            If it is something else, or was changed.
        """
        try:
            body = json.loads(content)
            said, schema = str(body.pop("digest")), int(body["schema"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(place, error) from error
        if said != _digest(body):
            raise ArtifactError(
                f"{place} was changed after it was written.",
                why=f"What it says gives {_digest(body)[:12]}, and it was registered as {said[:12]}.",
                todo=_AGAIN,
            )
        if schema > _SCHEMA:
            raise ArtifactError(
                f"{place} has schema {schema}; this Tarifa reads plans up to {_SCHEMA}.",
                todo="Update Tarifa.",
            )
        try:
            return _read(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unreadable(place, error) from error


def _unreadable(place: str, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"{place} is no plan of a trial.", why=f"{type(error).__name__}: {error}.", todo=_AGAIN
    )


def _body(trial: Trial) -> Mapping[str, Any]:
    body = asdict(trial)
    body["design"] = trial.design.value
    body["units"] = [list(asdict(unit).values()) for unit in trial.units]
    body["clusters"] = [
        [c.name, "".join("01"[on] for on in c.treated), list(c.stratum)] for c in trial.clusters
    ]
    return {"schema": _SCHEMA, **body}


def _read(body: Mapping[str, Any]) -> Trial:
    facts: dict[str, Any] = {name: value for name, value in body.items() if name != "schema"}
    facts["design"] = Design(facts["design"])
    facts["precision"] = Precision(**facts["precision"])
    facts["units"] = tuple(Unit(*unit) for unit in facts["units"])
    facts["clusters"] = tuple(
        Cluster(str(name), tuple(letter == "1" for letter in treated), tuple(map(int, stratum)))
        for name, treated, stratum in facts["clusters"]
    )
    return Trial(**facts)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(body), sort_keys=True).encode()).hexdigest()


def _fault(trial: Trial) -> str:
    """Return what contradicts itself, empty where nothing does."""
    if min(trial.periods, trial.block, trial.period_days) < 1 or trial.periods % trial.block:
        return f"{trial.periods} periods are not whole blocks of {trial.block}."
    found = {unit.cluster for unit in trial.units} - {OUTSIDE}
    names = [(unit.group, unit.zone) for unit in trial.units]
    faults = (
        (not 0 <= trial.washout < trial.block, f"A washout of {trial.washout} leaves nothing of a block."),
        (not trial.clusters or not trial.units, "It has no units."),
        (
            any({len(c.treated), len(c.stratum)} != {trial.blocks} for c in trial.clusters),
            f"A cluster is not decided for each of {trial.blocks} blocks.",
        ),
        (found != set(range(len(trial.clusters))), "Units and clusters do not match."),
        (names != sorted(set(names)), "A unit is named twice, or units are not in order."),
        (
            bool(np.datetime64(trial.since, "D") >= np.datetime64(trial.start, "D")),
            "It begins before its past does.",
        ),
    )
    return next((fault for holds, fault in faults if holds), "")
