"""The shelf: what a run knows of the shop when the coming period begins, as bytes and back.

A run folder keeps it beside the model, so that serving needs neither the tables nor the code that read them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from pricing.approval import ApprovalSettings
from pricing.arrays import Ints
from pricing.catalogue import Catalogue
from pricing.errors import ArtifactError, SettingsError
from pricing.evidence import Identification
from pricing.guardrails import Guardrails, GuardrailSettings
from pricing.menu import Endings, candidates
from pricing.model import DemandModel
from pricing.plans import Plans
from pricing.scenario import Scenario
from pricing.standing import UNVALIDATED, Standing
from pricing.trial import Trial

__all__ = ["CATALOGUE_FILE", "CORRIDOR_FILE", "MODEL_FILE", "PLANS_FILE", "Corridor", "Shelf"]

MODEL_FILE, CATALOGUE_FILE, CORRIDOR_FILE = "model.npz", "catalogue.npz", "corridor.json"
"""Files of a run folder that a shelf is read from."""

PLANS_FILE = "plans.npz"
"""The file beside them that holds what the shop plans."""

_SCHEMA = 1
_ACTS = Identification.PROMO_CONTROLLED


@dataclass(frozen=True, slots=True)
class Corridor:
    """Within what prices may move, and how far ahead plans look.

    Attributes
    ----------
    settings
        The guardrails.
    ladder_size, ladder_reach
        See :func:`pricing.menu.candidates`.
    horizon
        Periods that planning policies look ahead, this one included.
    approvals
        What needs a person before it is published.
    """

    settings: GuardrailSettings
    ladder_size: int
    ladder_reach: float
    horizon: int
    approvals: ApprovalSettings = field(default_factory=ApprovalSettings)

    def to_bytes(self) -> bytes:
        """Serialise as JSON; the same corridor gives the same bytes."""
        return (json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=2, sort_keys=True) + "\n").encode()

    @staticmethod
    def from_bytes(content: bytes) -> Corridor:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        try:
            body = json.loads(content)
            schema, found = int(body.pop("schema")), body.pop("settings")
            endings = found.pop("endings")
            settings = GuardrailSettings(
                **found, endings=Endings(tuple(map(int, endings["last"])), int(endings["modulus"]))
            )
            approvals = ApprovalSettings(**body.pop("approvals", {}))
            corridor = Corridor(settings, **body, approvals=approvals)
        except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
            raise ArtifactError(
                f"{CORRIDOR_FILE} is not readable.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit again with `tarifa fit`.",
            ) from error
        if schema > _SCHEMA:
            raise ArtifactError(
                f"{CORRIDOR_FILE} has schema {schema}; this Tarifa reads up to {_SCHEMA}.",
                todo="Update Tarifa.",
            )
        return corridor


@dataclass(frozen=True)
class Shelf:
    """What a run knows of the shop when the coming period begins.

    Attributes
    ----------
    model
        Fitted demand of at least the catalogue's series.
    catalogue
        N series with prices, costs and limits as of that day.
    corridor
        Within what their prices may move.
    plans
        What the shop has decided about the coming periods of the same series.
    digest
        SHA-256 of the run that all this was read from.
    standing
        Of the model: under which passport the run was opened.
    trial
        Plan of a roll-out, which holds some prices; None where there is none.
    lowest
        int64 [N]; lowest price of each series in the 30 days before the coming period, as a record of
        published and imported prices tells it (minor units, 0 where it tells none); None without a record.
    taken
        The shelf that this is a part of, and which of its series; None for a whole one. What is planned and
        charged for the others still matters to their rivals here.
    """

    model: DemandModel
    catalogue: Catalogue
    corridor: Corridor
    plans: Plans
    digest: str
    standing: Standing = UNVALIDATED
    trial: Trial | None = None
    lowest: Ints | None = None
    taken: tuple[Shelf, Ints] | None = None

    def __post_init__(self) -> None:
        if len(self.plans) != len(self.catalogue):
            raise ArtifactError(
                f"The plans are about {len(self.plans)} series, the catalogue about {len(self.catalogue)}.",
                todo="Fit again with `tarifa fit`.",
            )
        if self.lowest is not None and self.lowest.shape != (len(self.catalogue),):
            raise ArtifactError(
                f"Lowest prices of {len(self.lowest)} series do not fit {len(self.catalogue)} series."
            )

    @cached_property
    def held(self) -> Ints | None:
        """int64 [N]; price that the trial holds each series at in the coming period, 0 for none.

        Raises
        ------
        SettingsError
            If prices have to go back together and the shop lets only a share of its catalogue move.
        """
        if self.trial is None:
            return None
        plan, series = self.trial.held(self.catalogue.as_of), self.catalogue.series
        said = [plan.get(pair) for pair in zip(series.group, series.zone, strict=True)]
        back = any(said) and self.corridor.settings.max_share_moved < 1.0
        if back:
            raise SettingsError(
                f"A switchback cannot run with max_share_moved = {self.corridor.settings.max_share_moved:g}.",
                why="When a block ends, all its prices have to go back at once.",
                todo="Set max_share_moved = 1.0 under [guardrails] and fit again, or plan a parallel trial.",
            )
        pairs = zip(said, self.catalogue.price.tolist(), strict=True)
        return np.array([0 if at is None else at or now for at, now in pairs], dtype=np.int64)

    @cached_property
    def beliefs(self) -> DemandModel:
        """The model of exactly the catalogue's series, in their order."""
        return self.model.take(self.model.rows(self.catalogue.series))

    @cached_property
    def guardrails(self) -> Guardrails:
        """The rules of this catalogue and its ladders."""
        corridor = self.corridor
        menu = candidates(
            self.catalogue, corridor.settings.endings, corridor.ladder_size, corridor.ladder_reach, self.held
        )
        return Guardrails(self.catalogue, menu, corridor.settings, held=self.held)

    @cached_property
    def scenario(self) -> Scenario:
        """The coming periods as they are planned, with mean traffic."""
        return self.ahead(self.corridor.horizon)

    def ahead(self, horizon: int) -> Scenario:
        """Return the coming `horizon` periods as they are planned, with mean traffic."""
        if self.taken is not None:
            whole, index = self.taken
            return whole.ahead(horizon).take(index)
        return Scenario.of(
            self.beliefs,
            self.guardrails,
            horizon=horizon,
            first_day=int(np.datetime64(self.catalogue.as_of, "D").astype(np.int64)),
            conditions=self.plans.conditions(horizon),
            receipts=self.plans.arriving(horizon),
            standing=self.standing,
        )

    def movable(self) -> Ints:
        """Return the series that evidence and trial let move, with their variants; int64, ascending.

        All others keep their price under every policy.
        """
        weakest = Identification.PRIOR if self.corridor.settings.act_on_prior else _ACTS
        acts = self.catalogue.identified_by <= weakest
        if self.held is not None:
            acts &= self.held != self.catalogue.price
        groups = self.catalogue.variant_of
        return np.flatnonzero(np.isin(groups, groups[acts])).astype(np.int64)

    def take(self, index: Ints) -> Shelf:
        """Return the shelf of the series at `index`."""
        return replace(
            self,
            catalogue=self.catalogue.take(index),
            plans=self.plans.take(index),
            lowest=None if self.lowest is None else self.lowest[index],
            taken=(self, index),
        )

    def files(self) -> Mapping[str, bytes]:
        """Return what a run folder keeps beside its model."""
        return {
            CATALOGUE_FILE: self.catalogue.to_bytes(),
            CORRIDOR_FILE: self.corridor.to_bytes(),
            PLANS_FILE: self.plans.to_bytes(),
        }

    @staticmethod
    def from_files(model: bytes, catalogue: bytes, corridor: bytes, plans: bytes, digest: str) -> Shelf:
        """Read a shelf from the bytes of its files; raises :class:`pricing.errors.ArtifactError`."""
        return Shelf(
            DemandModel.from_bytes(model),
            Catalogue.from_bytes(catalogue),
            Corridor.from_bytes(corridor),
            Plans.from_bytes(plans),
            digest,
        )
