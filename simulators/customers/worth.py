"""What each customer who agreed was worth in the last year, and how much of the shop that speaks of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Ints
from pricing.customers import Customers
from pricing.errors import MissingCost
from simulators.contract.engine import Engine
from simulators.contract.tables import Source
from simulators.uplift.line_profits import define_line_profits

__all__ = ["FEW", "Worth", "build_worth"]

FEW = 10
"""Of fewer people than this nothing is added up that could be taken for one of them."""

_YEAR = 365


@dataclass(frozen=True, slots=True)
class Worth:
    """What N customers brought in the 365 days before `as_of`.

    Attributes
    ----------
    revenue
        int64 [N]; net of tax, discounts and refunds, minor units; 0 of who did not agree.
    profit
        int64 [N]; of that, less unit costs and fees, minor units; empty where costs are not known.
    cost_assumed
        Whether some costs are the shop file's assumption.
    profit_share
        Share of `revenue` whose profit is known: goods sold by weight without a unit, and bundles, have none.
    orders_share
        Share of the shop's paid retail sales that these customers made; NaN where so few are left out that
        it would tell of them, or nothing was sold.
    """

    revenue: Ints
    profit: Ints
    cost_assumed: bool
    profit_share: float
    orders_share: float

    @property
    def has_profit(self) -> bool:
        """Whether profit is told."""
        return len(self.profit) == len(self.revenue)


def build_worth(source: Source, customers: Customers) -> Worth:
    """Add up what customers brought.

    Parameters
    ----------
    source
        The shop's tables, open; the view ``order_lines`` is there.
    customers
        As :func:`simulators.customers.features.build_customers` found them in `source`.

    Raises
    ------
    SettingsError
        If the shop file assumes costs by a column that products do not have.
    """
    revenue: Ints = np.rint(np.expm1(customers.column("monetary"))).astype(np.int64)
    agreed = [name for name, yes in zip(customers.customer, customers.consented, strict=True) if yes]
    source.engine.register("worth_customers", {"customer_id": agreed})
    day = f"(DATE '1970-01-01' + {customers.as_of})"
    share = _orders_share(source.engine, day, int((~customers.consented).sum()))
    try:
        assumed = define_line_profits(source)
    except MissingCost:
        nothing: Ints = np.zeros(0, dtype=np.int64)
        return Worth(revenue, nothing, cost_assumed=False, profit_share=0.0, orders_share=share)
    found = source.engine.arrays(
        f"""
        SELECT customer_id, sum(round(profit * 1000)::HUGEINT)::DOUBLE / 1000 AS profit,
            sum(round(revenue * 1000)::HUGEINT)::DOUBLE / 1000 AS revenue
        FROM line_profits JOIN worth_customers USING (customer_id)
        WHERE "at" < {day} AND "at" >= {day} - {_YEAR} GROUP BY customer_id ORDER BY customer_id
        """
    )
    place = {name: i for i, name in enumerate(customers.customer)}
    rows = np.array([place[str(name)] for name in found["customer_id"]], dtype=np.int64)
    profit: Ints = np.zeros(len(customers), dtype=np.int64)
    profit[rows] = np.rint(np.asarray(found["profit"], dtype=np.float64)).astype(np.int64)
    known = float(np.asarray(found["revenue"], dtype=np.float64).sum())
    total = float(revenue.sum())
    return Worth(
        revenue=revenue,
        profit=profit,
        cost_assumed=assumed,
        profit_share=min(max(known / total, 0.0), 1.0) if total > 0.0 else 0.0,
        orders_share=share,
    )


def _orders_share(engine: Engine, day: str, others: int) -> float:
    mine, paid, nobody = engine.row(
        f"""
        SELECT sum(o.paid * gross) FILTER (w.customer_id IS NOT NULL), sum(o.paid * gross),
            count(DISTINCT order_id) FILTER (o.customer_id IS NULL)
        FROM order_lines AS o LEFT JOIN worth_customers AS w USING (customer_id)
        WHERE o.status = 'paid' AND o.day < {day} AND o.day >= {day} - {_YEAR}
            AND (apart IS NULL OR apart IN ('bundle', 'no_posted_price'))
        """
    )
    if not paid or 0 < others + int(nobody) < FEW:
        return float("nan")
    return float(mine or 0.0) / float(paid)
