"""Forms of the response to the regular price, compared: for the terminal and for the report alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.texts import Texts

__all__ = ["forms_told"]


def forms_told(forms: Iterable[Mapping[str, Any]], texts: Texts) -> list[tuple[str, str, str]]:
    """Return a row a form, in words: its name, its held-out gain with its error, and its weight.

    Parameters
    ----------
    forms
        The `forms` of a run's report, as report.json holds them.
    texts
        In the reader's language.

    Returns
    -------
    Nothing where there was nothing to compare: prices may have followed demand, and the elasticity was taken
    to be constant.
    """
    rows = list(forms)
    if len(rows) < 2:
        return []
    return [
        (texts.text("form", row["name"]), _gain(row, texts), texts.percent(float(row["weight"])))
        for row in rows
    ]


def _gain(row: Mapping[str, Any], texts: Texts) -> str:
    if row["name"] == "constant":
        return "–"
    gain = texts.number(float(row["gain"]), 1, signed=True)
    error = row["standard_error"]
    return gain if error is None else f"{gain} ± {texts.number(float(error), 1)}"
