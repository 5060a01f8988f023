"""A shop's customers in one piece: who they are, who is worth what, who will come less, what they care for.

It puts together what the modules beside it find, on the same customers and the same day. What one part
cannot tell is None beside the reason, and the others go on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from pricing.arrays import Bools, Floats
from pricing.customers import Customers
from pricing.errors import DataError, NotIdentified, UsageError
from simulators.contract.order_lines import day_window, define_order_lines
from simulators.contract.tables import Source
from simulators.customers.abandonment import AbandonmentModel, build_spells, fit_abandonment
from simulators.customers.features import CUSTOMER_TABLES, build_customers
from simulators.customers.open_carts import CartCheck, OpenCarts, check_carts, find_open_carts
from simulators.customers.outlook import Outlook, choose_horizon, look_ahead
from simulators.customers.outlook_check import OutlookCheck, check_outlook
from simulators.customers.redemption import day_number
from simulators.customers.relevance import Relevance, find_relevance
from simulators.customers.segments import Clusters, Group, cluster, groups, rfm_scores
from simulators.customers.visit_effects import fit_large
from simulators.customers.visits import ShoppingDays, build_shopping_days
from simulators.customers.worth import Worth, build_worth

__all__ = ["KEPT", "PORTRAIT_TABLES", "Carts", "Portrait", "Wish", "draw_portrait"]

PORTRAIT_TABLES = tuple(dict.fromkeys((*CUSTOMER_TABLES, "costs", "campaigns", "coupon_products")))
"""What :func:`draw_portrait` reads: `only` of :func:`simulators.contract.tables.open_source`."""

KEPT = 730
"""Days with an order that are read, as long as the register keeps recency and tenure."""

_HIDDEN_CARTS = 28

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes
    ----------
    as_of
        ISO date, first day not read; empty: the day after the last paid order.
    days
        How far to look ahead; 0: as the shop's own rhythm says.
    top
        Products and coupons kept of each customer.
    seed
        Of clusters and of simulated days.
    """

    as_of: str = ""
    days: int = 0
    top: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Carts:
    """Carts that wait, the hazards, and what came of them on days that the fit did not see."""

    open: OpenCarts
    model: AbandonmentModel
    check: CartCheck | None


@dataclass(frozen=True, slots=True)
class Portrait:
    """What is told of N customers.

    Attributes
    ----------
    customers
        All N, those who did not agree among them as unknown visitors.
    group, worth
        Of each, by :mod:`simulators.customers.segments` and :mod:`simulators.customers.worth`.
    scores
        int64 [N, 3]; of recency, frequency and money.
    clusters, outlook, outlook_check, carts, relevance
        None where the data cannot tell; `untold` says why.
    untold
        By part: what an error said.
    currency, as_of, first_day
        ISO 4217 code, ISO dates: first day not read; first day of a paid order.
    days, seed
        How far was looked ahead; of everything random.
    fingerprint
        Of the data.
    """

    customers: Customers
    group: tuple[Group, ...]
    scores: np.ndarray
    worth: Worth
    clusters: Clusters | None
    outlook: Outlook | None
    outlook_check: OutlookCheck | None
    carts: Carts | None
    relevance: Relevance | None
    untold: dict[str, NotIdentified | DataError]
    currency: str
    as_of: str
    first_day: str
    days: int
    seed: int
    fingerprint: str

    @property
    def shopped(self) -> Bools:
        """Bool [N]; who agreed and had an order in the last 365 days."""
        return np.array([group is not Group.NOT_KNOWN for group in self.group], dtype=np.bool_)

    def returning(self) -> Floats:
        """Return the probability [N] of a day with an order, NaN where there is no outlook."""
        out: Floats = np.full(len(self.customers), np.nan)
        if self.outlook is not None:
            place = {name: i for i, name in enumerate(self.customers.customer)}
            out[[place[name] for name in self.outlook.customer]] = self.outlook.back
        return out


def draw_portrait(
    source: Source,
    purpose: str | None,
    wish: Wish,
    told: Callable[[str, float], None],
) -> Portrait:
    """Describe a shop's customers.

    Parameters
    ----------
    source
        The shop's tables, open; :data:`PORTRAIT_TABLES` are read.
    purpose
        As in :func:`simulators.customers.features.build_customers`.
    wish
        What is asked for.
    told
        Told what is being done and the share that is done.

    Raises
    ------
    TooManyBadRows
        If a table has more bad rows than the shop file allows.
    DataError
        If nothing was sold, or no customer is known.
    UsageError
        If `as_of` is no day of the data, or `days` is below 1.
    """
    told("customers", 0.1)
    first, as_of = _window(source, wish)
    customers = build_customers(source, as_of, purpose)
    scores = rfm_scores(customers)
    told("worth", 0.15)
    worth = build_worth(source, customers)
    untold: dict[str, NotIdentified | DataError] = {}
    told("behaviour", 0.2)
    clusters = _or_none("clusters", untold, lambda: cluster(customers, wish.seed))
    told("who returns", 0.25)
    shopping = _or_none("outlook", untold, lambda: _shopping(source, customers, as_of, purpose))
    days = wish.days or (28 if shopping is None else choose_horizon(shopping))
    outlook, checked = _outlook(shopping, untold, (as_of, days, wish.seed))
    told("carts", 0.5)
    carts = _or_none("carts", untold, lambda: _carts(source, as_of, purpose))
    told("what comes next", 0.55)
    agreed = [n for n, yes in zip(customers.customer, customers.consented, strict=True) if yes]
    relevance = _or_none(
        "relevance",
        untold,
        lambda: find_relevance(
            source, agreed, as_of, purpose, days, wish.top, lambda s: told("what comes next", 0.55 + 0.4 * s)
        ),
    )
    return Portrait(
        customers=customers, group=groups(scores), scores=scores, worth=worth, clusters=clusters,
        outlook=outlook, outlook_check=checked, carts=carts, relevance=relevance, untold=untold,
        currency=source.shop.currency, as_of=as_of, first_day=first, days=days, seed=wish.seed,
        fingerprint=source.fingerprint,
    )  # fmt: skip


def _window(source: Source, wish: Wish) -> tuple[str, str]:
    """Return the first day with a paid order and the first day not to be read."""
    source.require_clean()
    define_order_lines(source)
    first, end = day_window(source.engine)
    if not first:
        raise DataError(
            "No order was paid.", why="Customers are told by what they bought.", todo="Hand over orders."
        )
    as_of = wish.as_of or end
    if day_number(as_of) > day_number(end) or day_number(as_of) <= day_number(first):
        raise UsageError(
            f"{as_of} is not among the days of the data.",
            why=f"Paid orders are from {first} to the day before {end}.",
            todo="Give a day between them as --as-of, or leave it out.",
        )
    if wish.days < 0 or wish.top < 1:
        raise UsageError("Days and places are counted from 1.")
    return first, as_of


def _or_none(part: str, untold: dict[str, NotIdentified | DataError], make: Callable[[], T]) -> T | None:
    """Return what is made, or None and the reason why the data cannot tell."""
    try:
        return make()
    except (NotIdentified, DataError) as error:
        untold[part] = error
        return None


def _shopping(source: Source, customers: Customers, as_of: str, purpose: str | None) -> ShoppingDays:
    """Read the days of customers who agreed, within what the register keeps; business customers are apart."""
    since = (dt.date.fromisoformat(as_of) - dt.timedelta(days=KEPT)).isoformat()
    shopping = build_shopping_days(source, purpose, since, as_of)
    retail = {
        name
        for name, yes, days in zip(
            customers.customer, customers.consented, customers.column("tenure"), strict=True
        )
        if yes and days > 0.0
    }
    rows = np.array([i for i, name in enumerate(shopping.customer) if name in retail], dtype=np.int64)
    if not len(rows):
        raise DataError(
            "No customer who agreed has an order of retail goods.",
            why=f"Only orders of the last {KEPT} days are read.",
            todo="Ask for consent; see docs/customers.md.",
        )
    width = day_number(as_of) - shopping.first_day
    visited = np.zeros((len(rows), width), dtype=np.bool_)
    visited[:, : shopping.visited.shape[1]] = shopping.visited[rows]
    return replace(shopping, customer=tuple(shopping.customer[int(i)] for i in rows), visited=visited)


def _outlook(
    shopping: ShoppingDays | None,
    untold: dict[str, NotIdentified | DataError],
    asked: tuple[str, int, int],
) -> tuple[Outlook | None, OutlookCheck | None]:
    as_of, days, seed = asked
    if shopping is None:
        return None, None
    end = day_number(as_of)

    def ahead(day: int) -> Outlook:
        return look_ahead(fit_large(shopping, day), shopping, days, seed)

    now = _or_none("outlook", untold, lambda: ahead(end))
    if now is None or end - 2 * days < shopping.first_day:
        return now, None
    try:
        return now, check_outlook(ahead(end - days), shopping)
    except NotIdentified:
        return now, None


def _carts(source: Source, as_of: str, purpose: str | None) -> Carts:
    if not source.has("events"):
        raise NotIdentified(
            "This shop has no events table.",
            why="Which carts wait, and how long, is told from cart_add, cart_remove, checkout and purchase.",
            todo="Export them as events (customer_id, session_id, at, event, product_id, cart_id); see "
            "docs/customers.md.",
        )
    spells = build_spells(source, as_of, purpose)
    model = fit_abandonment(spells)
    found = find_open_carts(source, model)
    since = (dt.date.fromisoformat(as_of) - dt.timedelta(days=_HIDDEN_CARTS)).isoformat()
    return Carts(found, model, check_carts(source, spells, since, purpose))
