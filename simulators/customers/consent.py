"""Whose behaviour may be read one by one: the last answer in the consents table, and the one at the time."""

from __future__ import annotations

from simulators.contract.engine import literal

__all__ = ["agreed"]


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
    answers = f"FROM consents AS a WHERE a.purpose = {literal(purpose)} AND a.customer_id = {customer}"
    last = f'coalesce((SELECT arg_max(a.granted, a."at") {answers}), false)'
    if at is None:
        return last
    return f'{last} AND coalesce((SELECT arg_max(a.granted, a."at") {answers} AND a."at" <= {at}), false)'
