"""Under which passport something was made: what a demand model's judgement says, and what was accepted of it.

`tarifa validate` judges a demand model and issues its passport (:mod:`simulators.passport`). Whatever is made
on the model afterwards (environments, trained policies, simulations, decisions) carries a :class:`Standing`:
the passport's digest, its verdict, and the failed checks that somebody accepted, each by its name. A passport
that failed is refused otherwise; a model without one is used, and never without saying so.

A passport is read here from its bytes alone, so that serving needs nothing of what issued it. It is not
signed: what is found out is a file that was changed, not one that was made up whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pricing.archive import digest
from pricing.errors import ArtifactError, FailedChecks, FingerprintError, UsageError

__all__ = [
    "NOT_VALIDATED",
    "UNVALIDATED",
    "FailedCheck",
    "FailedFigure",
    "Judgement",
    "Standing",
    "Verdict",
    "refuse_acceptance",
]

_VERSION = 1
"""Newest schema of passports that is read here."""

NOT_VALIDATED = "not_validated"
"""What is said in place of a verdict where there is no passport."""

_ROUNDED = 1e-5
"""Relative error of a figure as a passport keeps it: verdicts were reached on the exact one."""

_AGAIN = "Make it again with `tarifa validate`."


class Verdict(Enum):
    """What a figure, a check or a whole passport says of a model."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of a demand model where something is made on it.

    Attributes
    ----------
    passport
        SHA-256 of its passport; None where it was not validated.
    verdict
        Of the passport as a whole; None where there is none.
    accepted
        Codes of the failed checks, in the passport's order; all of them, and each was accepted by its name.
    quick
        The passport was made in a hurry: a full one sees more, and may fail where this one did not.
    """

    passport: str | None
    verdict: Verdict | None
    accepted: tuple[str, ...] = ()
    quick: bool = False

    @property
    def word(self) -> str:
        """The verdict as a code: ``passed``, ``failed``, ``not_applicable`` or ``not_validated``."""
        return NOT_VALIDATED if self.verdict is None else self.verdict.value

    def document(self) -> Mapping[str, object]:
        """Return it as JSON-able values; :meth:`of` reads them."""
        return {
            "passport": self.passport,
            "verdict": self.word,
            "accepted": list(self.accepted),
            "quick": self.quick,
        }

    @staticmethod
    def of(document: Mapping[str, Any], place: str) -> Standing:
        """Read what :meth:`document` returned; `place` names where it was written, for messages.

        Raises
        ------
        ArtifactError
            If it is something else.
        """
        try:
            word, passport = str(document["verdict"]), document["passport"]
            if word == NOT_VALIDATED:
                return UNVALIDATED
            accepted = tuple(map(str, document["accepted"]))
            return Standing(str(passport), Verdict(word), accepted, bool(document["quick"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{place} does not say under which passport it was made.",
                why=f"{type(error).__name__}: {error}.",
                todo="Make it again.",
            ) from error


UNVALIDATED = Standing(None, None)
"""Nobody has checked the model."""


@dataclass(frozen=True, slots=True)
class FailedFigure:
    """A figure that broke its limits; `low` and `high` are infinite where there is none."""

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it with what is allowed in brackets, in words of no language."""
        if math.isinf(self.high):
            return f"{self.name} {self.value:g} [>= {self.low:g}]"
        if math.isinf(self.low):
            return f"{self.name} {self.value:g} [<= {self.high:g}]"
        return f"{self.name} {self.value:g} [{self.low:g} .. {self.high:g}]"


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that failed, with the figures that made it fail."""

    code: str
    figures: tuple[FailedFigure, ...]

    def __str__(self) -> str:
        """Return its code and figures, in words of no language."""
        return f"{self.code} ({'; '.join(map(str, self.figures))})"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a passport says that matters to those who use its model.

    Attributes
    ----------
    passport
        SHA-256 of its bytes.
    run_id, fingerprint
        Of the run that it is about, and of that run's data.
    verdict
        Of the whole.
    judged
        Number of checks that either passed or failed.
    failed
        The checks that failed, in the passport's order.
    quick
        It was made in a hurry.
    """

    passport: str
    run_id: str
    fingerprint: str
    verdict: Verdict
    judged: int
    failed: tuple[FailedCheck, ...]
    quick: bool

    @staticmethod
    def from_bytes(content: bytes, place: str) -> Judgement:
        """Read the bytes of a ``passport.json``.

        Parameters
        ----------
        content
            As `tarifa validate` wrote them.
        place
            Where they lie, for messages.

        Raises
        ------
        ArtifactError
            If they are no passport, of a newer schema, not as they are written, or contradict themselves: a
            verdict has to follow from the checks, and a check from its figures.
        """
        try:
            values: dict[str, Any] = json.loads(content)
            if int(values["version"]) > _VERSION:
                raise ArtifactError(
                    f"{place}: this passport has schema {values['version']}; this Tarifa reads {_VERSION}.",
                    todo="Update Tarifa.",
                )
            found, whole = _judgement(values, digest(content)), _canonical(values) == content
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ArtifactError(
                f"{place} is no readable passport.", why=f"{type(error).__name__}: {error}.", todo=_AGAIN
            ) from error
        if not whole or found is None:
            raise ArtifactError(
                f"{place} was changed by hand: its verdicts do not follow from what it says.", todo=_AGAIN
            )
        return found

    def require_of(self, run_id: str, fingerprint: str, run: str) -> None:
        """Refuse a passport of another run.

        Parameters
        ----------
        run_id, fingerprint
            Of the run and of its data.
        run
            Where the run lies, for messages.

        Raises
        ------
        FingerprintError
            If it was issued for another model or other data.
        """
        if (self.run_id, self.fingerprint) != (run_id, fingerprint):
            raise FingerprintError(
                f"The passport beside {run} is of another run.",
                why=f"It was issued for run {self.run_id}; this is run {run_id}, fitted again or elsewhere.",
                todo=f"Judge this one: `tarifa validate {run}`.",
            )

    def accept(self, names: Sequence[str], run: str) -> Standing:
        """Return the standing under which work on the run goes on.

        Parameters
        ----------
        names
            Codes of failed checks that are accepted; each of them, in any order.
        run
            Where the run lies, for messages.

        Raises
        ------
        UsageError
            If a name is that of no failed check.
        FailedChecks
            If a failed check is not named.
        """
        failed = tuple(found.code for found in self.failed)
        strange = [name for name in dict.fromkeys(names) if name not in failed]
        if strange:
            raise UsageError(
                f"--accept-failed names what did not fail in the passport of {run}: {', '.join(strange)}.",
                why="A failed check is accepted by its own name, by somebody who has seen it.",
                todo=f"Failed are: {', '.join(failed)}." if failed else "Nothing failed: leave it out.",
            )
        if set(failed) - set(names):
            told = ", ".join(map(str, self.failed))
            raise FailedChecks(
                f"{len(failed)} of {self.judged} checks failed in the passport of {run}: {told}.",
                why="Whatever is made on this model rests on them; in brackets is what is allowed.",
                todo=f"Fit on better data, or accept each by its name: --accept-failed {','.join(failed)}",
            )
        return Standing(self.passport, self.verdict, failed, self.quick)


def refuse_acceptance(names: Sequence[str], run: str) -> None:
    """Refuse names of failed checks where there is no passport; raises :class:`UsageError`."""
    if names:
        raise UsageError(
            f"--accept-failed names {', '.join(names)}, but nobody has checked {run}: it has no passport.",
            why="What failed is not known.",
            todo=f"Run `tarifa validate {run}` first, or leave it out.",
        )


def _canonical(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _judgement(values: Mapping[str, Any], passport: str) -> Judgement | None:
    """Return what a passport says, None where it contradicts itself."""
    checks: list[dict[str, Any]] = list(values["checks"])
    verdicts = [Verdict(check["verdict"]) for check in checks]
    figures = [[_figure(figure) for figure in check["figures"]] for check in checks]
    codes = [str(check["code"]) for check in checks]
    pairs = list(zip(codes, verdicts, strict=True))
    failed = [code for code, verdict in pairs if verdict is Verdict.FAILED]
    whole = next((v for v in (Verdict.FAILED, Verdict.PASSED) if v in verdicts), Verdict.NOT_APPLICABLE)
    sound = all(_follows(*pair) for pair in zip(verdicts, figures, strict=True))
    named = len(set(codes)) == len(codes) and values["failed"] == failed and all(map(_plain, codes))
    if not sound or not named or Verdict(values["verdict"]) is not whole:
        return None
    broken = {
        code: tuple(figure for verdict, figure in found if verdict is Verdict.FAILED)
        for code, found in zip(codes, figures, strict=True)
    }
    return Judgement(
        passport=passport,
        run_id=str(values["run_id"]),
        fingerprint=str(values["fingerprint"]),
        verdict=whole,
        judged=sum(verdict is not Verdict.NOT_APPLICABLE for verdict in verdicts),
        failed=tuple(FailedCheck(code, broken[code]) for code in failed),
        quick=bool(values["quick"]),
    )


def _figure(values: Mapping[str, Any]) -> tuple[Verdict, FailedFigure]:
    low, high = values["low"], values["high"]
    figure = FailedFigure(
        str(values["name"]),
        math.nan if values["value"] is None else float(values["value"]),
        -math.inf if low is None else float(low),
        math.inf if high is None else float(high),
    )
    return Verdict(values["verdict"]), figure


def _follows(verdict: Verdict, figures: Sequence[tuple[Verdict, FailedFigure]]) -> bool:
    """Whether a check's verdict follows from its figures, and each figure's from its limits."""
    for said, figure in figures:
        slack = _ROUNDED * abs(figure.value)
        if said is Verdict.PASSED and not figure.low - slack <= figure.value <= figure.high + slack:
            return False
        if said is Verdict.FAILED and not (
            figure.value < figure.low + slack or figure.value > figure.high - slack
        ):
            return False
    limited = {said for said, figure in figures if math.isfinite(figure.low) or math.isfinite(figure.high)}
    order = (Verdict.FAILED, Verdict.NOT_APPLICABLE, Verdict.PASSED)
    return verdict is next((v for v in order if v in limited), Verdict.NOT_APPLICABLE)


def _plain(code: str) -> bool:
    """Whether a code can be given on a command line among others."""
    return code.isidentifier() and code.isascii()
