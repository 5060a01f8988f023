"""What a check found, as one document: what --json prints, and what a run keeps for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from simulators.contract.checking import CheckReport, check_and_look
from simulators.contract.tables import Source
from simulators.readiness import Readiness, readiness

__all__ = ["check_document", "checked"]


def check_document(report: CheckReport, ready: Readiness | None) -> dict[str, Any]:
    """Return the document of a check, and of the readiness where it could look at prices (JSON-able)."""
    return {**report.to_json(), "readiness": None if ready is None else asdict(ready)}


def checked(source: Source) -> dict[str, Any]:
    """Check an open source and return the document; errors as `check_and_look` of the contract."""
    report, looked = check_and_look(source)
    return check_document(report, None if looked is None else readiness(source, looked))
