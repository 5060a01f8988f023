"""What outcomes say, in the reader's language: for the end of a cycle and for its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from api.texts import Texts
from simulators.outcome_check import LEAST_DECISIONS, LEAST_PERIODS, LEVEL, Check, Figure

__all__ = ["check_of", "outcomes_told"]


def check_of(content: Mapping[str, Any]) -> Check:
    """Return what the step of a cycle recorded."""
    found = {entry.name: content[entry.name] for entry in fields(Check)}
    for name in ("units_share", "profit_share", "units_bias", "profit_bias"):
        found[name] = None if found[name] is None else Figure(**found[name])
    return Check(**found)


def outcomes_told(found: Check, texts: Texts) -> tuple[str, ...]:
    """Return what outcomes say, a sentence each."""
    word = partial(texts.text, "outcomes")
    if not found.decisions:
        return (word("none"),)
    counts = {name: texts.number(getattr(found, name)) for name in ("decisions", "compared", "periods")}
    told = [word("count", **counts), word("endings", listed=_listed("ending", found.endings, texts))]
    if found.left_out:
        told.append(word("left", listed=_listed("left_out", found.left_out, texts)))
    if found.units_share and found.profit_share:
        told.append(
            word(
                "inside",
                level=texts.percent(LEVEL),
                compared=counts["compared"],
                units=texts.number(found.units_inside),
                profit=texts.number(found.profit_inside),
                units_share=_share(found.units_share, texts),
                profit_share=_share(found.profit_share, texts),
            )
        )
    for name in ("units_bias", "profit_bias"):
        figure: Figure | None = getattr(found, name)
        if figure is not None:
            told.append(word(name, value=_bias(figure, texts)))
    if found.units_share is None or found.units_share.lower is None:
        least = {"periods": LEAST_PERIODS, "decisions": LEAST_DECISIONS}
        told.append(word("few", **{name: texts.number(count) for name, count in least.items()}))
    return (*told, word("limits"))


def _listed(section: str, counts: Mapping[str, int], texts: Texts) -> str:
    found = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(
        texts.text("outcomes", "entry", what=texts.text(section, code), count=texts.number(count))
        for code, count in found
    )


def _share(figure: Figure, texts: Texts) -> str:
    value = texts.percent(figure.value, 1)
    if figure.lower is None or figure.upper is None:
        return value
    ends = {"lower": texts.percent(figure.lower, 1), "upper": texts.percent(figure.upper, 1)}
    return texts.text("outcomes", "between", value=value, **ends)


def _bias(figure: Figure, texts: Texts) -> str:
    value = texts.percent(figure.value, 1, signed=True)
    if figure.lower is None or figure.upper is None:
        return value
    code = "no_bias" if figure.lower <= 0.0 <= figure.upper else "bias"
    lower, upper = (texts.percent(end, 1, signed=True) for end in (figure.lower, figure.upper))
    return texts.text("outcomes", code, value=value, lower=lower, upper=upper)
