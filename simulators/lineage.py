"""Where an updated run comes from: the fit that began it, and every update since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pricing.errors import ArtifactError
from simulators.demand.continuation import UpdateReport

__all__ = ["Lineage", "Update"]


@dataclass(frozen=True, slots=True)
class Update:
    """One update.

    Attributes
    ----------
    parent_run_id, parent_digest
        The run that was updated: its number, and the SHA-256 over the digests of its files.
    since, until
        ISO dates; first day of the new periods, and the first day that the update did not see.
    data_name, fingerprint
        Of the data that the update saw.
    report
        What it found.
    """

    parent_run_id: str
    parent_digest: str
    since: str
    until: str
    data_name: str
    fingerprint: str
    report: UpdateReport


@dataclass(frozen=True, slots=True)
class Lineage:
    """A fit and its updates, the first one first.

    Attributes
    ----------
    fitted_run_id
        The run that was fitted.
    fitted_until
        ISO date; first day that the fit did not see. How the prices of stores and channels relate to each
        other stays as it was learned before it, or the past would change under every update.
    updates
        At least one.
    """

    fitted_run_id: str
    fitted_until: str
    updates: tuple[Update, ...]

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()

    @staticmethod
    def from_bytes(content: bytes) -> Lineage:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        try:
            found = json.loads(content)
            updates = tuple(_update(values) for values in found["updates"])
            return Lineage(str(found["fitted_run_id"]), str(found["fitted_until"]), updates)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                "The run does not say where it comes from.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit again with `tarifa fit`.",
            ) from error


def _update(values: Mapping[str, Any]) -> Update:
    named = {f.name: str(values[f.name]) for f in fields(Update) if f.name != "report"}
    report = UpdateReport(**values["report"])
    return Update(**named, report=report)
