"""What a reader is told of the standing of the demand model, and of the one that a policy was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.texts import Texts
from pricing.standing import Standing, Verdict

__all__ = ["check_name", "check_names", "standing_lines", "standing_short", "standing_shown"]

_DIGITS = 12
"""Digits of a passport's digest that people are shown."""


def standing_lines(standing: Standing, texts: Texts, trained: Mapping[str, Standing]) -> tuple[str, ...]:
    """Return what there is to say of the model, and of each policy trained on one of another standing.

    Parameters
    ----------
    standing
        Of the model.
    texts
        In the reader's language.
    trained
        Standing of the model that a policy was trained on, by the policy's name.
    """
    others = [
        texts.text("standing", "trained", policy=name, standing=standing_short(found, texts))
        for name, found in trained.items()
        if found != standing
    ]
    hurried = [texts.text("standing", "quick")] if standing.quick else []
    return (texts.text("standing", standing.word, **_values(standing, texts)), *hurried, *others)


def standing_short(standing: Standing, texts: Texts) -> str:
    """Return passport, verdict and what was accepted, in a few words."""
    return texts.text("standing", f"short_{standing.word}", **_values(standing, texts))


def check_names(codes: Sequence[str], texts: Texts) -> str:
    """Return checks as a reader knows them, each with its code."""
    return ", ".join(f"{check_name(code, texts)} ({code})" for code in codes)


def check_name(code: str, texts: Texts) -> str:
    """Return what a check is called; one that this Tarifa does not know keeps its code."""
    return texts.sections["passport_check"].get(code, code)


def standing_shown(standing: Standing, texts: Texts, trained: Mapping[str, Standing]) -> tuple[str, ...]:
    """Return :func:`standing_lines` for a terminal: whatever is less than passed stands out."""
    lines = standing_lines(standing, texts, trained)
    calm = standing.verdict is Verdict.PASSED
    return (lines[0] if calm else _loud(lines[0]), *map(_loud, lines[1:]))


def _loud(line: str) -> str:
    return f"[bold yellow]{line}[/bold yellow]"


def _values(standing: Standing, texts: Texts) -> dict[str, str]:
    return {
        "passport": (standing.passport or "")[:_DIGITS],
        "count": texts.number(len(standing.accepted)),
        "names": check_names(standing.accepted, texts),
    }
