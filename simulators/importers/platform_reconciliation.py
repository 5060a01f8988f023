"""A platform's own totals beside those of the tables made of it, by month, every difference by its kind.

``ours`` is what :func:`simulators.contract.reconciliation.reconcile` says, the figures of ``tarifa check``.
The differences are worked out order by order from the totals that the platform printed (:data:`LEDGER`),
each from amounts of its own; what they leave over is `unexplained`, and never becomes a difference of some
kind.

========= ============================================ ==============================================
measure   the platform's                               ours
========= ============================================ ==============================================
total     what customers owed, tax and shipping in it  shelf price x quantity less discounts, with tax
discounts all discounts                                taken off below the shelf price, with tax
refunds   money that left the shop                     refunds of lines that came back, with tax
tax       tax on orders, before any refund             tax in what was sold less what came back
demand    ours of total                                the part that is retail demand for goods
========= ============================================ ==============================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from simulators.contract.engine import Engine, literal
from simulators.contract.order_lines import APART, define_order_lines
from simulators.contract.reconciliation import MonthReconciled, reconcile
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source
from simulators.importers.platform_differences import DEMAND, FINE, PRINTED, define_differences

__all__ = [
    "KINDS",
    "MEASURES",
    "Difference",
    "Measure",
    "OtherCurrency",
    "Reconciliation",
    "reconcile_platform",
]

MEASURES: Final = ("total", "discounts", "refunds", "tax", "demand")

KINDS: Final = (
    "shipping", "tips", "fees", "cancelled", "test", "draft", "without_lines", "adjusted", "returned",
    "tax_on_top", "other_tax", "quarantined", "rounding", *(reason for reason in APART
    if reason not in ("cancelled", "test", "draft")),
)  # fmt: skip
"""Why a platform's total and ours differ. ``without_lines``: paid back, and the export does not say for what.
``adjusted``: paid back beyond the lines that came back, or kept back from them. ``returned``: tax that went
back with goods. ``tax_on_top``: tax on discounts that are stated without it. ``other_tax``: tax charged at
another rate than the zone's in shop.toml. ``quarantined``: rows that the check sets aside. ``rounding``: at
most a minor unit a line and one for the order. The others are what is set apart
(:data:`simulators.contract.order_lines.APART`)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of the platform's total that is not ours, of one kind.

    Attributes
    ----------
    kind
        One of :data:`KINDS`.
    amount
        The platform's less ours, minor units.
    """

    kind: str
    amount: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One total of one month of the shop's calendar, minor units.

    Attributes
    ----------
    month
        Like ``2025-03``. Orders count when they were placed, refunds when they were made (or, where the
        export does not say, when their order was placed).
    measure
        One of :data:`MEASURES`.
    platform, ours
        What each says.
    differences
        By kind, in the order of :data:`KINDS`.
    unexplained
        platform - ours - all differences.
    """

    month: str
    measure: str
    platform: int
    ours: int
    differences: tuple[Difference, ...]
    unexplained: int


@dataclass(frozen=True, slots=True)
class OtherCurrency:
    """Orders of one month in another currency than the shop's; they are in no other figure.

    Attributes
    ----------
    month, currency
        When and which.
    orders
        How many.
    total
        What customers owed, a decimal amount of that currency.
    """

    month: str
    currency: str
    orders: int
    total: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All months of a data folder.

    Attributes
    ----------
    currency, exponent
        Of the amounts.
    months
        Ascending by month, then in the order of :data:`MEASURES`.
    other_currencies
        What is set apart.
    """

    currency: str
    exponent: int
    months: tuple[Measure, ...]
    other_currencies: tuple[OtherCurrency, ...]

    @property
    def unexplained(self) -> int:
        """Sum of what is unexplained in any month and measure, without its sign, minor units."""
        return sum(abs(entry.unexplained) for entry in self.months)

    def to_json(self) -> dict[str, object]:
        """Return it for programs, amounts in minor units."""
        return {**asdict(self), "unexplained": self.unexplained}


def reconcile_platform(source: Source) -> Reconciliation:
    """Compare the totals that a platform printed with those of the tables.

    Parameters
    ----------
    source
        A data folder that a platform's import wrote, open.
    """
    engine, shop = source.engine, source.shop
    define_order_lines(source)
    books = {entry.month: entry for entry in reconcile(source)}
    define_differences(source)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for month, measure, kind, amount in engine.rows(
        "SELECT month, measure, kind, sum(amount)::BIGINT FROM differences GROUP BY ALL ORDER BY ALL"
    ):
        found.setdefault((str(month), str(measure)), {})[str(kind)] = int(amount)
    printed = {(str(month), str(name)): int(amount) for month, name, amount in engine.rows(PRINTED)}
    demand = {str(month): int(amount) for month, amount in engine.rows(DEMAND)}
    rows: list[Measure] = []
    for month in sorted({month for month, _ in printed} | books.keys()):
        ours = _ours(books.get(month), demand.get(month, 0))
        for measure in MEASURES:
            theirs = ours["total"] if measure == "demand" else printed.get((month, measure), 0)
            rows.append(_measure(month, measure, theirs, ours[measure], found.get((month, measure), {})))
    return Reconciliation(shop.currency, shop.money.exponent, tuple(rows), _other_currencies(engine, shop))


def _ours(books: MonthReconciled | None, demand: int) -> Mapping[str, int]:
    if books is None:
        return dict.fromkeys(MEASURES, 0)
    return {
        "total": books.gross - books.discounts,
        "discounts": books.discounts,
        "refunds": books.returns,
        "tax": books.tax,
        "demand": demand,
    }


def _measure(month: str, measure: str, theirs: int, ours: int, fine: Mapping[str, int]) -> Measure:
    """Round to minor units; what rounding itself leaves over is rounding, and nothing else is."""
    amounts = {kind: round(amount / FINE) for kind, amount in fine.items() if kind != "rounding"}
    left = theirs - ours - sum(fine.values()) / FINE
    unexplained = round(left) if abs(left) > 1 else 0
    amounts["rounding"] = theirs - ours - unexplained - sum(amounts.values())
    kinds = tuple(Difference(kind, amounts[kind]) for kind in KINDS if amounts.get(kind))
    return Measure(month, measure, theirs, ours, kinds, unexplained)


def _other_currencies(engine: Engine, shop: ShopFile) -> tuple[OtherCurrency, ...]:
    rows = engine.rows(
        "SELECT month, currency, count(*), sum(total) FROM platform_orders "
        f"WHERE currency <> {literal(shop.currency)} GROUP BY ALL ORDER BY ALL"
    )
    return tuple(
        OtherCurrency(str(month), str(currency), int(orders), f"{total.normalize():f}")
        for month, currency, orders, total in rows
    )
