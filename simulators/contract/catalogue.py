"""The catalogue as of a day: prices, costs, limits and stock of every series, nothing known only later."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np

from pricing.arrays import Bools, Dates, Floats, Ints
from pricing.catalogue import NO_LIMIT, Catalogue
from pricing.errors import DataError, MissingCost, SettingsError
from pricing.evidence import PriceKind
from pricing.model import DemandModel
from pricing.panel import Panel, Series
from simulators.contract.carried import carried
from simulators.contract.engine import Engine, literal, quoted
from simulators.contract.order_lines import gross_factor
from simulators.contract.price_index import shown_prices
from simulators.contract.shop_file import ShopFile
from simulators.contract.tables import Source

__all__ = ["build_catalogue", "cost_shares", "return_rates"]

_RECENT = {7: 5, 1: 30}
"""Periods that cover the last 30 days, by days of a period."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """How shelf prices relate to gross and net ones; float64 [N] each."""

    basis: str
    net_share: Floats
    gross_share: Floats


def build_catalogue(
    source: Source,
    panel: Panel,
    model: DemandModel,
    *,
    as_of: dt.date,
    known_until: dt.date | None = None,
) -> Catalogue:
    """Gather what is known of every series before `as_of`; what it costs and shows, as of the decision.

    The price in force is the one in the prices table, else the regular price nearest the price index of the
    last period with a sale: one that a shelf really showed. Costs are the
    last ones known; a group in which a product has none takes the shop file's assumption as a whole, and
    is marked. Support and what identifies the response are the model's own: what it was never shown is not
    acted on.

    Parameters
    ----------
    source
        The session in which :func:`simulators.contract.panel.build_panel` made the panel.
    panel
        That panel, or some of its series (N).
    model
        Demand of the same N series in the same order.
    as_of
        First day whose sales are not known yet.
    known_until
        First day on which posted prices, costs and stock are not known yet, where prices are decided later
        than `as_of`; absent: the same day.

    Raises
    ------
    DataError
        If a series has no price before `as_of`, or two fixed prices.
    MissingCost
        If a series has no cost and the shop file assumes none.
    SettingsError
        If zones disagree on whether shelf prices include tax.
    """
    engine, shop, known = source.engine, source.shop, known_until or as_of
    stop = panel.position(np.datetime64(as_of))
    where = _positions(engine, panel.series)
    shelf = _shelf(shop, panel.series)
    regular, offered = _shown(source, panel, where, stop, as_of)
    price = _whole(_in_force(source, where, regular[:, -1], known) / shelf.gross_share)
    _require_price(panel.series, price, as_of)
    unit_cost, assumed = _costs(source, where, panel.series, price * shelf.net_share, known)
    lowest, highest, fixed = _limits(engine, where)
    floors, ceilings = _bounds(shop, panel.series)
    return Catalogue(
        series=panel.series,
        currency=shop.currency,
        exponent=shop.money.exponent,
        basis=shelf.basis,
        as_of=as_of.isoformat(),
        price=price,
        unit_cost=unit_cost,
        cost_assumed=assumed,
        net_share=shelf.net_share,
        gross_share=shelf.gross_share,
        fee_share=np.full_like(shelf.net_share, shop.fees.share),
        fee_unit=np.full_like(price, shop.fees.per_unit),
        return_rate=return_rates(source, panel.series, as_of),
        support_low=_whole(model.support_low / shelf.gross_share),
        support_high=_whole(model.support_high / shelf.gross_share),
        floor_price=floors,
        ceiling_price=ceilings,
        map_price=lowest,
        max_price=highest,
        fixed_price=fixed,
        variant_of=_variants(engine, where, enabled=shop.guardrails.variant_equality),
        periods_since_change=_since_change(_whole(regular / shelf.gross_share[:, None])),
        identified_by=model.identified_by[:, PriceKind.REGULAR],
        stock=_stock(engine, where, known),
        recent=_recent(_whole(offered / shelf.gross_share[:, None]), _RECENT[shop.period_days]),
    )


def _whole(price: Floats) -> Ints:
    return np.where(np.isfinite(price), np.rint(price), 0).astype(np.int64)


def _positions(engine: Engine, series: Series) -> Ints:
    """Return the session's number of each series, int64 [N]."""
    rows = engine.rows("SELECT price_group, zone, n FROM series")
    numbers = {(str(group), str(zone)): int(n) for group, zone, n in rows}
    return np.array([numbers[pair] for pair in zip(series.group, series.zone, strict=True)], dtype=np.int64)


def _scattered(engine: Engine, sql: str, empty: float, names: tuple[str, ...], where: Ints) -> list[Floats]:
    """Return columns of a query by series number `n`, in the order of `where`; float64 [N] each."""
    size = engine.count("SELECT count(*) FROM series")
    found = engine.arrays(sql)
    columns: list[Floats] = []
    for name in names:
        values = np.full(size, empty)
        values[found["n"].astype(np.int64)] = found[name]
        columns.append(values[where])
    return columns


def _shelf(shop: ShopFile, series: Series) -> _Shelf:
    bases = {zone.prices_include_tax for zone in shop.zones}
    if len(bases) > 1:
        raise SettingsError(
            "zones: some shelf prices include tax and some do not.",
            why="One run compares prices of all zones, which needs one basis.",
            todo="Run the zones of each basis apart.",
        )
    rates = {zone.id: zone.tax_rate for zone in shop.zones}
    with_tax = 1.0 + np.array([rates[zone] for zone in series.zone])
    one = np.ones(len(with_tax))
    return _Shelf("gross", 1.0 / with_tax, one) if bases == {True} else _Shelf("net", one, with_tax)


def _shown(source: Source, panel: Panel, where: Ints, stop: int, as_of: dt.date) -> tuple[Floats, Floats]:
    """Return regular and offered prices that shelves showed, carried; gross float64 [N, stop]."""
    found = source.engine.arrays(f"SELECT * FROM {shown_prices(as_of)}")
    size = source.engine.count("SELECT count(*) FROM series")
    back = np.full(size, -1, dtype=np.int64)
    back[where] = np.arange(len(where))
    row, t = back[found["n"].astype(np.int64)], found["t"].astype(np.int64)
    keep = (row >= 0) & (t < stop)
    past = panel.between(0, max(stop, 1))
    # A period that is not over by then holds prices of days to come: only its lines so far are known.
    known = _over(past, source.shop.period_days) <= np.datetime64(as_of)
    sold = {name: np.where(known, getattr(past, name), np.nan) for name in ("regular", "offered")}
    for name, price in sold.items():
        price[row[keep], t[keep]] = found[name][keep]
    offered, regular = carried(replace(past, regular=sold["regular"], offered=sold["offered"]))
    return regular, offered


def _over(panel: Panel, step: int) -> Dates:
    """Return the day after the last one that the data cover of each period, datetime64[D] [T]."""
    days = np.where(panel.periods == panel.periods[0], step, panel.days)  # the first may begin late
    return np.asarray(panel.periods + days.astype("timedelta64[D]"))


def _in_force(source: Source, where: Ints, last: Floats, as_of: dt.date) -> Floats:
    """Return the gross regular price in force just before `as_of`: posted, else the last one seen."""
    lists = ", ".join(literal(name) for name in (" ", *source.shop.business_price_lists))
    posted = _scattered(
        source.engine,
        f"""
        SELECT n, quantile_disc(price, 0.5) AS price FROM (
            SELECT n, CASE price_basis WHEN 'net' THEN 1 + rate ELSE 1 END * regular_price AS price
            FROM prices JOIN members AS m USING (product_id, zone)
                JOIN {gross_factor(source.shop)} AS z USING (zone)
            WHERE valid_from < DATE '{as_of}' AND coalesce(valid_to >= DATE '{as_of}', true)
                AND coalesce(price_list, '') NOT IN ({lists})
            QUALIFY row_number() OVER (PARTITION BY n, product_id ORDER BY valid_from DESC, prices._row) = 1
        ) GROUP BY n
        """,
        np.nan,
        ("price",),
        where,
    )[0]
    return np.where(np.isnan(posted), last, posted)


def _require_price(series: Series, price: Ints, as_of: dt.date) -> None:
    bad = np.flatnonzero(price <= 0)
    if bad.size:
        raise DataError(
            f"{series.group[int(bad[0])]} has no price before {as_of}.",
            why="What nobody has seen cannot be moved.",
            todo="Leave it out of the run, or take a later day.",
        )


def _costs(
    source: Source, where: Ints, series: Series, net_price: Floats, as_of: dt.date
) -> tuple[Ints, Bools]:
    known = _scattered(
        source.engine,
        f"""
        SELECT n, CASE WHEN count(cost) = count(*) THEN sum(cost ORDER BY product_id) / count(*) END AS cost
        FROM members LEFT JOIN (
            SELECT product_id, arg_max(unit_cost, valid_from) AS cost FROM costs
            WHERE valid_from < DATE '{as_of}' GROUP BY product_id
        ) USING (product_id) GROUP BY n
        """,
        np.nan,
        ("cost",),
        where,
    )[0]
    assumed = np.isnan(known)
    cost = np.where(assumed, net_price * cost_shares(source, where, series, assumed), known)
    return np.ceil(cost - 1e-6).astype(np.int64), np.asarray(assumed, dtype=np.bool_)


def cost_shares(source: Source, where: Ints, series: Series, assumed: Bools) -> Floats:
    """Return the share of the net price that the shop file assumes a unit costs, float64 [N].

    Parameters
    ----------
    source
        The session in which the panel was made.
    where, series
        Numbers there of N series, int64 [N], and who they are.
    assumed
        bool [N]; which of them have no cost of their own; without any no assumption is needed.

    Raises
    ------
    MissingCost
        If one is assumed and the shop file assumes none.
    SettingsError
        If the shop file assumes by a column that products do not have.
    """
    assumption = source.shop.cost_assumption
    if assumption is None:
        if assumed.any():
            raise MissingCost(
                f"{series.group[int(np.argmax(assumed))]} has no cost.",
                why="Profit needs one.",
                todo="Add it to the costs table, or state [cost_assumption] in shop.toml.",
            )
        return np.zeros(len(where))
    declared = {name for name, _ in source.engine.columns("SELECT * FROM members")}
    if assumption.by not in declared:
        raise SettingsError(
            f"cost_assumption.by = {assumption.by!r} is not a column of products.",
            todo="Name category, subcategory, brand or a declared attribute.",
        )
    rows = source.engine.rows(
        f"SELECT n, min_by({quoted(assumption.by)}, product_id) FROM members GROUP BY n ORDER BY n"
    )
    shares = np.array([assumption.shares.get(str(label), assumption.default) for _, label in rows])
    return np.asarray(shares[where], dtype=np.float64)


def _limits(engine: Engine, where: Ints) -> tuple[Ints, Ints, Ints]:
    """Return MAP, maximum and fixed price of each group: the strictest of its products'."""
    clash = engine.rows(
        "SELECT min(product_id), max(product_id) FROM members GROUP BY n "
        "HAVING count(DISTINCT fixed_price) > 1 ORDER BY n LIMIT 1"
    )
    if clash:
        raise DataError(
            f"{clash[0][0]} and {clash[0][1]} share a price group and have different fixed prices.",
            todo="Correct fixed_price or price_group in products.",
        )
    lowest, highest, fixed = _scattered(
        engine,
        "SELECT n, coalesce(ceil(max(map_price)), 0) AS lowest, floor(min(max_price)) AS highest, "
        "coalesce(round(max(fixed_price)), 0) AS fixed FROM members GROUP BY n",
        0.0,
        ("lowest", "highest", "fixed"),
        where,
    )
    ceiling = np.where(np.isnan(highest), float(NO_LIMIT), highest).astype(np.int64)
    return lowest.astype(np.int64), ceiling, fixed.astype(np.int64)


def _bounds(shop: ShopFile, series: Series) -> tuple[Ints, Ints]:
    bounds = {entry.category: entry for entry in shop.guardrails.bounds}
    floors = [bounds[c].min_price if c in bounds else 0 for c in series.category]
    highest = [bounds[c].max_price if c in bounds else None for c in series.category]
    ceilings = [int(NO_LIMIT) if price is None else price for price in highest]
    return np.array(floors, dtype=np.int64), np.array(ceilings, dtype=np.int64)


def _variants(engine: Engine, where: Ints, *, enabled: bool) -> Ints:
    """Return one number for all series of one parent and zone; a series alone has its own."""
    own = np.arange(len(where), dtype=np.int64)
    if not enabled:
        return own
    rows = engine.rows(
        "SELECT n, min(parent_id), zone FROM members WHERE parent_id IS NOT NULL GROUP BY n, zone ORDER BY n"
    )
    parents = {int(n): (str(parent), str(zone)) for n, parent, zone in rows}
    first: dict[tuple[str, str], int] = {}
    for i, n in enumerate(where):
        if int(n) in parents:
            own[i] = first.setdefault(parents[int(n)], i)
    return own


def _since_change(regular: Ints) -> Ints:
    """Return whole periods since the price last moved, the periods seen where it never did."""
    same = regular == regular[:, -1:]
    run = np.argmin(same[:, ::-1], axis=1).astype(np.int64)
    return np.where(same.all(axis=1), np.int64(regular.shape[1]), run) - 1


def _recent(offered: Ints, count: int) -> Ints:
    """Return the last `count` prices, newest first; a shorter history repeats its first price."""
    newest = offered[:, ::-1][:, :count]
    return np.pad(newest, ((0, 0), (0, count - newest.shape[1])), mode="edge")


def return_rates(source: Source, series: Series, as_of: dt.date) -> Floats:
    """Return expected shares of units that come back, from sales old enough to have come back."""
    expected = source.shop.returns
    seen: dict[str, float] = {}
    if source.has("returns"):
        rows = source.engine.rows(
            f"""
            SELECT category, sum(coalesce(back, 0) ORDER BY _row) / sum(quantity ORDER BY _row)
            FROM order_lines LEFT JOIN (SELECT order_id, line_id, sum(quantity) AS back FROM returns
                WHERE returned_at < DATE '{as_of}' GROUP BY order_id, line_id) USING (order_id, line_id)
            WHERE apart IS NULL AND day < DATE '{as_of}' - {expected.window_days} GROUP BY category
            """
        )
        seen = {str(category): min(float(share), 0.99) for category, share in rows}
    fallback = expected.by_category
    return np.array(
        [seen.get(c, fallback.get(c, expected.expected_share)) for c in series.category], dtype=np.float64
    )


def _stock(engine: Engine, where: Ints, as_of: dt.date) -> Floats:
    """Return units on hand at the last count of each product; inf for a group that is not counted."""
    return _scattered(
        engine,
        f"""
        SELECT n, sum(on_hand ORDER BY product_id) AS stock FROM (
            SELECT n, m.product_id, arg_max(on_hand, "at") AS on_hand
            FROM inventory JOIN members AS m USING (product_id, zone)
            WHERE "at" < DATE '{as_of}' GROUP BY n, m.product_id
        ) GROUP BY n
        """,
        np.inf,
        ("stock",),
        where,
    )[0]
