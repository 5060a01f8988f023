"""The price index: one price a period for a series that sells on several shelves.

A shop's stores and channels charge different prices for one product, and a price is recorded only where
something sold. The mean price of a period therefore moves when another store happened to sell, though no
shelf changed. That movement answers to nothing, and a demand model that is told it finds price responses
too weak (on a year of grocery data the mean regular-price elasticity was -0.8 from means and -1.2 from the
index). So each order line is compared with its own shelf only: the Jevons index (the unweighted geometric
mean of price relatives; ILO, Consumer Price Index Manual, 2020, chapter 8) of the lines of a period, each
relative to the mean of its shelf, at the level of the series. A shelf is one product in one channel.

The means are those of the time before the end of training. A shelf that appears later says nothing of how
its prices relate to the others' and counts only where nothing else sold. With one shelf the index is the
geometric mean of the lines' prices.
"""

from __future__ import annotations

import datetime as dt

from simulators.contract.engine import Engine

__all__ = ["TO_LEVEL", "define_price_index", "price_index", "shown_prices"]

TO_LEVEL = "coalesce(exp(1e-12 * (level - base)), 1)"
"""SQL of the factor from a shelf's price to the level of its series; 1 for a shelf that is not known."""


def define_price_index(engine: Engine, until: str | None) -> None:
    """Create the view ``priced_lines`` and the tables ``priced_cells``, ``shelves`` and ``levels``.

    A product that names its channels has one more shelf, without a name, for prices that stand in all.

    Logarithms and quantities are summed as whole trillionths, so that no sum depends on the order of its
    terms, and lines need to be read only once: ``priced_cells`` holds the sums of each shelf and period, and
    everything else is made of them.

    Parameters
    ----------
    engine
        A session with ``order_lines``, ``series`` and ``periods``.
    until
        ISO date, exclusive: shelves are compared by the periods that end on or before it. None: by all.
    """
    before = "true" if until is None else f"ends <= DATE '{until}'"
    engine.run(
        """
        CREATE OR REPLACE VIEW priced_lines AS
        SELECT n, t, ends, day, product_id, coalesce(channel, '') AS channel, offered, regular,
            round(1e12 * ln(offered))::BIGINT AS log_offered,
            round(1e12 * ln(regular))::BIGINT AS log_regular,
            round(1e12 * quantity)::HUGEINT AS quantity
        FROM (
            SELECT n, t, ends, day, product_id, channel, quantity, offered_price * gross AS offered,
                coalesce(regular_price, offered_price) * gross AS regular
            FROM order_lines JOIN series USING (price_group, zone) JOIN periods ON period = periods.start
            WHERE apart IS NULL
        )
        """
    )
    engine.run(
        "CREATE OR REPLACE TABLE priced_cells AS SELECT n, t, ends, product_id, channel, "
        "sum(log_offered) AS log_offered, sum(log_regular) AS log_regular, sum(quantity) AS quantity, "
        "count(*) AS lines FROM priced_lines GROUP BY ALL"
    )
    engine.run(
        f"""
        CREATE OR REPLACE TABLE shelves AS
        WITH sold AS (
            SELECT n, product_id, channel, sum(log_regular) AS total, sum(lines) AS lines
            FROM priced_cells WHERE {before} GROUP BY n, product_id, channel
        ), wanted AS (
            FROM sold UNION ALL
            SELECT n, product_id, '', sum(total), sum(lines) FROM sold
            GROUP BY n, product_id HAVING NOT bool_or(channel = '')
        )
        SELECT n, product_id, channel, round(total / lines)::BIGINT AS base FROM wanted
        """
    )
    engine.run(
        "CREATE OR REPLACE TABLE levels AS SELECT n, round(coalesce("
        f"sum(log_regular) FILTER ({before}) / sum(lines) FILTER ({before}), sum(log_regular) / sum(lines)"
        "))::BIGINT AS level FROM priced_cells GROUP BY n"
    )


def price_index(before: dt.date | None = None) -> str:
    """Return SQL of a table (n, t, offered, regular) of gross prices, from lines sold before a day.

    Parameters
    ----------
    before
        First day whose lines do not count; None counts all.
    """
    cells = "priced_cells"
    if before is not None:
        cells = f"(SELECT *, 1 AS lines FROM priced_lines WHERE day < DATE '{before}')"
    offered, regular = (
        f"exp(1e-12 * (any_value(level) + coalesce("
        f"sum(log_{name} - lines * base) / sum(lines) FILTER (base IS NOT NULL), "
        f"sum(log_{name} - lines * level) / sum(lines)))) AS {name}"
        for name in ("offered", "regular")
    )
    return (
        f"(SELECT n, t, {offered}, {regular} FROM {cells} "
        f"LEFT JOIN shelves USING (n, product_id, channel) JOIN levels USING (n) GROUP BY n, t)"
    )


def shown_prices(before: dt.date) -> str:
    """Return SQL of a table (n, t, offered, regular): the price shown in a period nearest its index.

    A price in force must be one that a shelf really showed, and an index over shelves may be none. Of two
    prices equally near it is the lower.

    Parameters
    ----------
    before
        First day that is not known yet.
    """
    offered, regular = (
        f"min_by(l.{name}, (round(1e6 * abs(ln(l.{name} / i.{name}))), l.{name})) AS {name}"
        for name in ("offered", "regular")
    )
    return (
        f"(SELECT n, t, {offered}, {regular} FROM priced_lines AS l JOIN {price_index(before)} AS i "
        f"USING (n, t) WHERE day < DATE '{before}' GROUP BY n, t)"
    )
