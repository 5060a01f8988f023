"""Realised net profit: what each price group really earned in each period, added up where the orders lie.

The definition is pricing's own (:meth:`pricing.catalogue.Catalogue.unit_profit`), taken of what happened: net
price after all discounts that the shop funded, less cost and fees, of units that stayed sold. Recent sales
have returns to come, and those are taken off as expected.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.panel import Panel, Series
from simulators.contract.apportioning import define_order_discounts
from simulators.contract.carried import carried
from simulators.contract.catalogue import cost_shares, return_rates
from simulators.contract.engine import Engine
from simulators.contract.panel import build_panel
from simulators.contract.tables import Source

__all__ = ["AMOUNTS", "Realised", "build_realised", "define_funded", "realised_of"]

AMOUNTS = ("sales", "refunds", "costs", "fees", "to_come")
"""Net sales after discounts that the shop funded; then, each taken off them: what was paid back, unit costs,
fees, and the profit of returns that are still to be expected."""


@dataclass(frozen=True)
class Realised:
    """Net profit of N units in T periods.

    Attributes
    ----------
    series
        Who the units are: price groups in zones.
    parent
        Their parent product, empty for none; length N.
    periods, days
        datetime64[D] [T], first days; int64 [T], days of each that the data cover.
    on_sale
        bool [N, T].
    regular
        float64 [N, T]; regular shelf price, minor units, the last one carried on; NaN where none is known.
    assumed
        bool [N]; its cost is the shop file's assumption, frozen at prices before `frozen`.
    months
        Months of the local calendar, like ``2025-03``, ascending.
    unit, period, month
        int64 [R] each; R cells in which something was sold.
    amounts
        float64 [R, 5]; :data:`AMOUNTS` in minor units.
    currency, fingerprint
        ISO 4217 code; of the data.
    until
        ISO date, the day after the last one with a paid order.
    """

    series: Series
    parent: tuple[str, ...]
    periods: Dates
    days: Ints
    on_sale: Bools
    regular: Floats
    assumed: Bools
    months: tuple[str, ...]
    unit: Ints
    period: Ints
    month: Ints
    amounts: Floats
    currency: str
    fingerprint: str
    until: str

    @property
    def net(self) -> Floats:
        """float64 [R]; net profit of each cell, minor units."""
        return np.asarray(self.amounts[:, 0] - self.amounts[:, 1:].sum(axis=1))

    @property
    def profit(self) -> Floats:
        """float64 [N, T]; net profit, minor units."""
        return self._spread(self.net)

    @property
    def revenue(self) -> Floats:
        """float64 [N, T]; net sales less what was paid back so far, minor units."""
        return self._spread(np.asarray(self.amounts[:, 0] - self.amounts[:, 1]))

    def _spread(self, cells: Floats) -> Floats:
        out = np.zeros(self.on_sale.shape)
        np.add.at(out, (self.unit, self.period), cells)
        return out


def build_realised(source: Source, frozen: dt.date) -> Realised:
    """Add up the net profit of every price group and zone.

    Net sales are what was paid, plus what a maker paid of discounts, less tax. A unit that came back takes
    its refund, its cost (unless it could not be sold again) and its fees with it. Of what was sold within the
    return window the share that is still to be expected back is taken off too: the category's, by how long
    returns have taken so far. A cost is the one in force on the day, the first known before that. Where the
    shop file assumes costs as a share of the price, that is the price before `frozen`: a cost that rose with
    the price would hide what the price does.

    Parameters
    ----------
    source
        The shop's tables, open.
    frozen
        Day before which prices are taken for assumed costs: the first of a trial.

    Raises
    ------
    DataError
        As :func:`simulators.contract.panel.build_panel`.
    MissingCost
        If a product has no cost and the shop file assumes none.
    """
    return realised_of(source, build_panel(source), frozen)


def realised_of(
    source: Source, panel: Panel, frozen: dt.date, assumed_cost: Floats | None = None
) -> Realised:
    """Add up the net profit of a panel that was just built from `source`; see :func:`build_realised`.

    Where a cost is assumed, `assumed_cost` (float64 [N, T], minor units) is it; NaN and None: as there.
    """
    engine = source.engine
    define_funded(engine)
    last = engine.row("SELECT max(covered_to)::VARCHAR FROM periods")[0]
    parents = engine.rows("SELECT coalesce(min(parent_id), '') FROM members GROUP BY n ORDER BY n")
    stated = np.full(panel.units.shape, np.nan) if assumed_cost is None else assumed_cost
    assumed = _define_costs(source, panel.series, frozen, stated)
    _define_returns(source, panel.series, dt.date.fromisoformat(last))
    fees = source.shop.fees
    found = engine.arrays(_LEDGER.format(share=float(fees.share), unit=float(fees.per_unit), last=last))
    months, month = np.unique(found["month"].astype(str), return_inverse=True)
    rates = {zone.id: 1.0 if zone.prices_include_tax else 1.0 + zone.tax_rate for zone in source.shop.zones}
    shelf = np.array([rates[zone] for zone in panel.series.zone])[:, None]
    return Realised(
        series=panel.series,
        parent=tuple(str(row[0]) for row in parents),
        periods=panel.periods,
        days=panel.days,
        on_sale=panel.on_sale,
        regular=carried(panel)[1] / shelf,
        assumed=assumed,
        months=tuple(months.tolist()),
        unit=found["n"].astype(np.int64),
        period=found["t"].astype(np.int64),
        month=month.astype(np.int64),
        amounts=np.stack([found[name].astype(np.float64) for name in AMOUNTS], axis=1),
        currency=panel.currency,
        fingerprint=source.fingerprint,
        until=last,
    )  # fmt: skip


def define_funded(engine: Engine) -> None:
    """Create ``funded`` (_row, amount): what a line brings beside what was paid for it, in its price basis.

    A maker's part of its discounts, less its part of the order's discounts that the shop funded. It needs
    the view ``order_lines`` (:func:`simulators.contract.order_lines.define_order_lines`).
    """
    define_order_discounts(engine)
    engine.run(_FUNDED)


_FUNDED = """
CREATE OR REPLACE TABLE funded AS
WITH whole AS (
    SELECT order_id, sum(CASE WHEN funded_by = 'maker' THEN amount ELSE 0 END) / sum(amount) AS share
    FROM discounts WHERE line_id IS NULL AND kind <> 'shipping' GROUP BY order_id HAVING sum(amount) > 0
), own AS (
    SELECT order_id, line_id, sum(amount) AS amount FROM discounts
    WHERE line_id IS NOT NULL AND funded_by = 'maker' AND kind <> 'shipping' GROUP BY ALL
)
SELECT o._row, coalesce(own.amount, 0) - coalesce(d.amount, 0) * (1 - coalesce(share, 0)) AS amount
FROM order_lines AS o LEFT JOIN order_discounts AS d USING (_row) LEFT JOIN whole USING (order_id)
    LEFT JOIN own USING (order_id, line_id)
WHERE own.amount IS NOT NULL OR d.amount IS NOT NULL
"""


def _define_costs(source: Source, series: Series, frozen: dt.date, stated: Floats) -> Bools:
    """Create ``line_costs`` (_row, cost), the net unit cost of a line; return whose is assumed, bool [N]."""
    engine, count = source.engine, len(series)
    lacking = engine.rows("SELECT DISTINCT n FROM members ANTI JOIN costs USING (product_id) ORDER BY n")
    assumed = np.zeros(count, dtype=np.bool_)
    assumed[[int(row[0]) for row in lacking]] = True
    share = cost_shares(source, np.arange(count, dtype=np.int64), series, assumed)
    engine.register(
        "assumptions", {"n": list(range(count)), "assumed": assumed.tolist(), "share": share.tolist()}
    )
    n, t = (place.tolist() for place in np.nonzero(np.isfinite(stated)))
    engine.register("stated_costs", {"n": n, "t": t, "stated": stated[n, t].tolist()})
    engine.run(
        f"""
        CREATE OR REPLACE TABLE line_costs AS
        WITH lines AS (
            SELECT _row, n, periods.t, o.product_id, o.zone, day, quantity,
                coalesce(regular_price, offered_price) * gross / (1 + rate) AS price
            FROM order_lines AS o JOIN series USING (price_group, zone) JOIN periods ON o.period = start
            WHERE apart IS NULL
        ), frozen AS (
            SELECT product_id, zone, coalesce(
                quantile_disc(price, 0.5) FILTER (WHERE day < DATE '{frozen}'),
                arg_min(price, (day, _row))) AS price
            FROM lines GROUP BY ALL
        ), dated AS (
            SELECT product_id, valid_from::DATE AS since, max_by(unit_cost, _row) AS unit_cost
            FROM costs GROUP BY ALL
        ), earliest AS (SELECT product_id, arg_min(unit_cost, since) AS unit_cost FROM dated GROUP BY ALL)
        SELECT l._row,
            CASE WHEN NOT assumed THEN coalesce(d.unit_cost, e.unit_cost)
                ELSE coalesce(s.stated, share * f.price) END AS cost
        FROM lines AS l JOIN assumptions USING (n) JOIN frozen AS f USING (product_id, zone)
            LEFT JOIN stated_costs AS s ON (s.n, s.t) = (l.n, l.t) LEFT JOIN earliest AS e USING (product_id)
            ASOF LEFT JOIN dated AS d ON l.product_id = d.product_id AND l.day >= d.since
        """
    )
    return assumed


def _define_returns(source: Source, series: Series, last: dt.date) -> None:
    """Create ``came_back`` by line, and ``to_expect`` (n, age, share): how much is still to return."""
    engine, window = source.engine, source.shop.returns.window_days
    engine.run(
        "CREATE OR REPLACE TABLE came_back AS SELECT order_id, line_id, sum(quantity) AS back, "
        "sum(refund) AS refund, sum(CASE WHEN restocked THEN 0 WHEN restocked IS NULL THEN 0 ELSE quantity "
        "END) AS lost FROM returns GROUP BY ALL"
    )
    rate = np.minimum(return_rates(source, series, last), 0.99)
    arrived = np.zeros(window + 1)
    if source.has("returns"):
        arrived = _delays(source, window, last)
    left = rate[:, None] * (1.0 - arrived) / (1.0 - rate[:, None] * arrived)
    if source.has("returns"):
        left[:, -1] = 0.0
    n, age = np.indices(left.shape)
    engine.register(
        "to_expect", {"n": n.ravel().tolist(), "age": age.ravel().tolist(), "share": left.ravel().tolist()}
    )


def _delays(source: Source, window: int, last: dt.date) -> Floats:
    """Return the share of returns that have come by each age in days, float64 [window + 1].

    From sales whose window is over; evenly over the window where none of those came back.
    """
    rows = source.engine.rows(
        f"""
        SELECT greatest(least(date_diff('day', day, returned_at::DATE), {window}), 0) AS age,
            sum(r.quantity ORDER BY r._row) AS back
        FROM returns AS r JOIN order_lines AS o USING (order_id, line_id)
        WHERE apart IS NULL AND day < DATE '{last}' - {window} GROUP BY age ORDER BY age
        """
    )
    if not rows:
        return np.linspace(0.0, 1.0, window + 1)
    came = np.zeros(window + 1)
    for age, back in rows:
        came[int(age)] = float(back)
    return np.asarray(np.cumsum(came) / came.sum(), dtype=np.float64)


_LEDGER = """
WITH lines AS (
    SELECT n, t, strftime(day, '%Y-%m') AS month, quantity, cost, rate,
        (paid + coalesce(f.amount, 0)) * gross / (1 + rate) AS sales,
        (paid + coalesce(f.amount, 0)) * gross AS taken,
        coalesce(refund, 0) * gross / (1 + rate) AS refund, least(coalesce(back, 0), quantity) AS back,
        least(coalesce(lost, 0), quantity) AS lost,
        least(greatest(date_diff('day', day, DATE '{last}'), 0), (SELECT max(age) FROM to_expect)) AS age
    FROM order_lines AS o JOIN series USING (price_group, zone) JOIN periods ON o.period = periods.start
        JOIN line_costs USING (_row) LEFT JOIN funded AS f USING (_row)
        LEFT JOIN came_back USING (order_id, line_id)
    WHERE apart IS NULL
), kept AS (
    SELECT n, t, month, sales, refund, cost * (quantity - back + lost) AS costs,
        ({share} * taken + {unit} * quantity) * (1 - back / quantity) AS fees,
        share * (1 - back / quantity) AS still, cost * quantity AS whole,
        {share} * taken + {unit} * quantity AS fee
    FROM lines JOIN to_expect USING (n, age)
)
SELECT n, t, month, {{sums}} FROM (
    SELECT n, t, month, sales, refund AS refunds, costs, fees, still * (sales - whole - fee) AS to_come
    FROM kept
) GROUP BY n, t, month ORDER BY n, t, month
""".replace(
    "{{sums}}", ", ".join(f"sum(round({name} * 10000)::HUGEINT) / 10000.0 AS {name}" for name in AMOUNTS)
)
