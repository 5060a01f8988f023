"""Whose behaviour may be read one by one: the last answer in the consents table, and the one at the time.

An answer that makes no sense (neither yes nor no, no purpose, no text that it is about, a day still to come)
is a bad row, and nobody can tell that it was not a no. So it counts as one: from its moment on, and where
that cannot be read, after every other answer; without a purpose, about every purpose.
"""

from __future__ import annotations

from simulators.contract.engine import literal
from simulators.contract.row_rules import BEGINNING, DUPLICATE

__all__ = ["agreed"]

_ANSWERS = f"""
SELECT customer_id, purpose, granted AND _reason IS NULL AS yes,
    CASE WHEN "at" >= TIMESTAMP {literal(str(BEGINNING))} THEN "at" ELSE 'infinity'::TIMESTAMP END AS said
FROM typed_consents WHERE _reason IS NULL OR NOT suffix(_reason, {literal(DUPLICATE)})
"""


def agreed(purpose: str | None, customer: str, at: str | None = None) -> str:
    """Return an SQL condition: the customer's last answer about `purpose` is yes.

    Parameters
    ----------
    purpose
        As in the consents table; no answer is no consent. None: the caller has another ground to read every
        household's history (a research panel that agreed to take part).
    customer
        SQL of the customer's pseudonym.
    at
        SQL of a moment at which the answer must have been yes as well; None for no such moment.
    """
    if purpose is None:
        return "true"
    about = literal(purpose)
    answers = f"({_ANSWERS}) AS a WHERE coalesce(a.purpose, {about}) = {about} AND a.customer_id = {customer}"
    yes = "max(a.said) FILTER (a.yes)"
    no = "coalesce(max(a.said) FILTER (NOT a.yes), '-infinity'::TIMESTAMP)"
    last = f"coalesce((SELECT {yes} > {no} FROM {answers}), false)"
    if at is None:
        return last
    return f"{last} AND coalesce((SELECT {yes} > {no} FROM {answers} AND a.said <= {at}), false)"
