"""The passport: every check of one demand model, as a document whose bytes follow from the run alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pricing.archive import digest
from pricing.errors import ArtifactError
from simulators.passport.thresholds import threshold
from simulators.passport.verdict import Check, Figure, Reason, Table, Verdict

__all__ = ["Passport"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Passport:
    """How far a demand model may be trusted with prices.

    Attributes
    ----------
    run_id
        Of the run; see :attr:`simulators.run.Run.identifier`.
    fingerprint
        Of the data that it was fitted on.
    until
        First day that the judged model had not seen, ISO.
    own_holdout
        The run saw all its data; a model of its first four fifths was judged in its place.
    series, periods
        Series still sold, and held-out periods, that it was judged on.
    quick
        Fewer origins, series and worlds than a full passport takes.
    seed
        Of samples and simulations.
    versions
        (package, version) of what fitted the run, and of the classifier.
    checks
        In reading order.
    """

    run_id: str
    fingerprint: str
    until: str
    own_holdout: bool
    series: int
    periods: int
    quick: bool
    seed: int
    versions: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Codes of the checks that failed, in reading order."""
        return tuple(c.code for c in self.checks if c.verdict is Verdict.FAILED)

    @property
    def verdict(self) -> Verdict:
        """Failed if any check is, else passed if any did."""
        if self.failed:
            return Verdict.FAILED
        passed = any(c.verdict is Verdict.PASSED for c in self.checks)
        return Verdict.PASSED if passed else Verdict.NOT_APPLICABLE

    def check(self, code: str) -> Check:
        """Return a check by its code; raises KeyError where there is none."""
        for found in self.checks:
            if found.code == code:
                return found
        raise KeyError(code)

    def document(self) -> Mapping[str, object]:
        """Return it as JSON-able values, `digest` left out; a number that is none is null."""
        return {
            "version": _VERSION,
            "run_id": self.run_id,
            "fingerprint": self.fingerprint,
            "until": self.until,
            "own_holdout": self.own_holdout,
            "series": self.series,
            "periods": self.periods,
            "quick": self.quick,
            "seed": self.seed,
            "versions": [list(pair) for pair in self.versions],
            "verdict": self.verdict.value,
            "failed": list(self.failed),
            "checks": [_check(found) for found in self.checks],
        }

    def to_bytes(self) -> bytes:
        """Return canonical JSON: keys sorted, no space, UTF-8; neither clock nor path is in it."""
        text = json.dumps(
            self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`to_bytes`, in hexadecimal: the name under which it travels."""
        return digest(self.to_bytes())

    @staticmethod
    def from_bytes(content: bytes) -> Passport:
        """Read what :meth:`to_bytes` wrote.

        Raises
        ------
        ArtifactError
            If it is no passport, of a newer schema, or its verdict does not follow from its checks.
        """
        try:
            values: dict[str, Any] = json.loads(content)
            if int(values["version"]) > _VERSION:
                raise ArtifactError(
                    f"This passport has schema {values['version']}; this Tarifa reads up to {_VERSION}.",
                    todo="Update Tarifa.",
                )
            found = _passport(values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                "This is not a readable passport.",
                why=f"{type(error).__name__}: {error}.",
                todo="Make it again with `tarifa validate`.",
            ) from error
        if found.to_bytes() != content:
            raise ArtifactError(
                "This passport was changed by hand: its bytes do not follow from what it says.",
                todo="Make it again with `tarifa validate`.",
            )
        return found


def _passport(values: Mapping[str, Any]) -> Passport:
    return Passport(
        run_id=str(values["run_id"]),
        fingerprint=str(values["fingerprint"]),
        until=str(values["until"]),
        own_holdout=bool(values["own_holdout"]),
        series=int(values["series"]),
        periods=int(values["periods"]),
        quick=bool(values["quick"]),
        seed=int(values["seed"]),
        versions=tuple((str(name), str(number)) for name, number in values["versions"]),
        checks=tuple(_read_check(found) for found in values["checks"]),
    )


def _check(found: Check) -> Mapping[str, object]:
    return {
        "code": found.code,
        "verdict": found.verdict.value,
        "reason": None if found.reason is None else found.reason.value,
        "figures": [_figure(found.code, figure) for figure in found.figures],
        "table": {
            "columns": list(found.table.columns),
            "rows": [[v if isinstance(v, str) else _number(v) for v in row] for row in found.table.rows],
        },
    }


def _figure(code: str, figure: Figure) -> Mapping[str, object]:
    limit = threshold(code, figure.name)
    return {
        "name": figure.name,
        "value": _number(figure.value),
        "error": _number(figure.error),
        "low": _number(figure.low),
        "high": _number(figure.high),
        "source": None if limit is None else limit.source.value,
        "verdict": figure.verdict.value,
        "reason": None if figure.reason is None else figure.reason.value,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read_check(values: Mapping[str, Any]) -> Check:
    table: Mapping[str, Any] = values["table"]
    rows = tuple(
        tuple(v if isinstance(v, str) else _float(v, math.nan) for v in row) for row in table["rows"]
    )
    return Check(
        str(values["code"]),
        Verdict(values["verdict"]),
        tuple(_read_figure(found) for found in values["figures"]),
        _read_reason(values["reason"]),
        Table(tuple(str(name) for name in table["columns"]), rows),
    )


def _read_figure(values: Mapping[str, Any]) -> Figure:
    return Figure(
        str(values["name"]),
        _float(values["value"], math.nan),
        _float(values["error"], math.nan),
        _float(values["low"], -math.inf),
        _float(values["high"], math.inf),
        Verdict(values["verdict"]),
        _read_reason(values["reason"]),
    )


def _read_reason(value: str | None) -> Reason | None:
    return None if value is None else Reason(value)


def _float(value: float | None, missing: float) -> float:
    return missing if value is None else float(value)
