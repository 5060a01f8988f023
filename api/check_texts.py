"""What a check found, in the reader's words: for the terminal and for the report alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.texts import Texts

__all__ = ["AnswerTold", "answers", "missing_tables", "rule_told"]


@dataclass(frozen=True, slots=True)
class AnswerTold:
    """A question about the data, answered.

    Attributes
    ----------
    answerable
        Whether the data can tell.
    question, because
        What a shop wants to know; why the data can tell, or what is missing.
    """

    answerable: bool
    question: str
    because: str


def answers(check: Mapping[str, Any], texts: Texts) -> tuple[AnswerTold, ...]:
    """Return what the data can and cannot answer.

    Parameters
    ----------
    check
        Document of `tarifa check`, as its --json prints it.
    texts
        In the reader's language.
    """
    if not check["answers"]:
        return ()
    days = dt.date.fromisoformat(check["until"]) - dt.date.fromisoformat(check["first_day"])
    figures = {
        "enough": texts.number(check["prices"]["enough"]),
        "series": texts.number(check["prices"]["series"]),
        "days": texts.number(days.days),
    }
    return tuple(
        AnswerTold(
            bool(answer["answerable"]),
            texts.text("question", answer["question"]),
            " ".join(texts.text("because", code, **figures) for code in answer["because"]),
        )
        for answer in check["answers"]
    )


def missing_tables(check: Mapping[str, Any], texts: Texts) -> tuple[tuple[str, str], ...]:
    """Return the tables that the shop has not, each with what is uncertain or impossible without it."""
    return tuple(
        (entry["table"], texts.text("unlock", entry["table"]))
        for entry in check["unlocks"]
        if not entry["present"]
    )


def rule_told(prices: Mapping[str, Any], texts: Texts) -> str:
    """Return what enough price moves are, in words.

    `prices` is what the document of `tarifa check` says under ``prices``.
    """
    return texts.text(
        "check",
        "rule",
        weeks=texts.number(prices["least_weeks"]),
        levels=texts.number(prices["least_levels"]),
        rise=texts.percent(prices["least_rise"]),
    )
