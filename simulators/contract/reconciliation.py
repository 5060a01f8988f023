"""Monthly sales as the tables tell them, beside what the shop's books say."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.contract.apportioning import define_order_discounts
from simulators.contract.shop_file import MonthlyTotals
from simulators.contract.tables import Source

__all__ = ["MonthReconciled", "reconcile"]

_AMOUNTS = ("gross", "discounts", "returns", "tax", "net")
_SUMS = ("gross", "discounts", "returns", "tax", "discounts_apart")


@dataclass(frozen=True, slots=True)
class MonthReconciled:
    """One month of the shop's local calendar, in minor units.

    Attributes
    ----------
    month
        Like ``2025-03``.
    gross
        Shelf price times quantity of paid lines, tax included; third-party sales are not the shop's.
    discounts
        What was taken off below the shelf price, order-level discounts included, tax included.
    returns
        What was paid back in the month, tax included.
    tax
        Tax inside gross - discounts - returns.
    net
        gross - discounts - returns - tax.
    discounts_apart
        Order-level discounts that fell on lines which the shop did not sell: another seller's, or cancelled,
        test and draft ones (:data:`simulators.contract.apportioning.TURNS`), tax included. They are part of
        no other amount; with those inside `discounts` they add up to every order-level discount.
    typed
        What the books say; None where the shop file says nothing.
    differing
        Names of the amounts that differ by more than the shop file's tolerance.
    """

    month: str
    gross: int
    discounts: int
    returns: int
    tax: int
    net: int
    discounts_apart: int
    typed: MonthlyTotals | None
    differing: tuple[str, ...]


def reconcile(source: Source) -> tuple[MonthReconciled, ...]:
    """Add up each month and compare it with the totals typed into the shop file.

    Needs the view ``order_lines`` (:func:`simulators.contract.order_lines.define_order_lines`). A month that
    was typed in but has no rows appears with zeros, so it cannot go unnoticed.
    """
    define_order_discounts(source.engine)
    typed = {entry.month: entry for entry in source.shop.totals}
    found = {str(row[0]): tuple(int(value) for value in row[1:]) for row in source.engine.rows(_MONTHS)}
    return tuple(
        _month(month, found.get(month, (0,) * 5), typed.get(month), source.shop.reconciliation_tolerance)
        for month in sorted(found | typed)
    )


def _month(
    month: str, amounts: tuple[int, ...], typed: MonthlyTotals | None, tolerance: float
) -> MonthReconciled:
    gross, discounts, returns, tax, apart = amounts
    net = gross - discounts - returns - tax
    own = dict(zip(_AMOUNTS, (gross, discounts, returns, tax, net), strict=True))
    differing: list[str] = []
    for name in _AMOUNTS if typed else ():
        said = getattr(typed, name)
        if said is not None and abs(own[name] - said) > tolerance * max(abs(said), 1):
            differing.append(name)
    return MonthReconciled(month, gross, discounts, returns, tax, net, apart, typed, tuple(differing))


def _exact(amount: str) -> str:
    """Sum in ten-thousandths of a minor unit as integers, so that no order of rows changes the result."""
    return f"(sum(round(({amount}) * 10000)::HUGEINT) / 10000.0)"


_OFF = "(offered_price * quantity - paid + coalesce(d.amount, 0)) * gross"
_PAID = "(paid - coalesce(d.amount, 0)) * gross"
_OURS = "status = 'paid' AND coalesce(apart, '') <> 'third_party'"
_MONTHS = f"""
WITH sold AS (
    SELECT strftime(day, '%Y-%m') AS month, {_exact("offered_price * quantity * gross")} AS gross,
        {_exact(_OFF)} AS discounts, {_exact(f"{_PAID} * rate / (1 + rate)")} AS tax
    FROM order_lines LEFT JOIN order_discounts AS d USING (_row) WHERE {_OURS} GROUP BY ALL
), back AS (
    SELECT strftime(returned_at, '%Y-%m') AS month, {_exact("refund * gross")} AS returns,
        -{_exact("refund * gross * rate / (1 + rate)")} AS tax
    FROM returns JOIN order_lines USING (order_id, line_id) WHERE {_OURS} GROUP BY ALL
), elsewhere AS (
    SELECT strftime(day, '%Y-%m') AS month, {_exact("d.amount * gross")} AS discounts_apart
    FROM order_lines JOIN order_discounts AS d USING (_row) WHERE d.amount > 0 AND NOT ({_OURS}) GROUP BY ALL
)
SELECT month, {", ".join(f"round(coalesce(sum({name}), 0))::BIGINT" for name in _SUMS)}
FROM (FROM sold UNION ALL BY NAME FROM back UNION ALL BY NAME FROM elsewhere) GROUP BY month ORDER BY month
"""
