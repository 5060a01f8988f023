"""A portrait of customers in words: what the terminal and the page of `tarifa customers report` say alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from api.segments_told import clusters_told, group_told
from api.texts import Texts
from pricing.errors import DataError, NotIdentified
from pricing.money import Currency
from simulators.customers.open_carts import usual_cart
from simulators.customers.outlook_check import Gain, OutlookCheck
from simulators.customers.portrait import Carts, Portrait
from simulators.customers.portrait_sums import (
    Slice,
    cluster_slices,
    contrasts,
    coupon_tops,
    group_slices,
    likely_less_slice,
    top_share,
    total,
)
from simulators.customers.relevance import Relevance
from simulators.customers.segments import Group
from simulators.customers.worth import FEW

__all__ = [
    "SEGMENT_COLUMNS",
    "ClusterTold", "cart_hours", "cart_lines", "cluster_tells", "cluster_why", "coupon_rows", "ground_told",
    "headlines", "outlook_lines", "relevance_lines", "relevance_rows", "segment_rows", "untold_lines",
]  # fmt: skip

SEGMENT_COLUMNS = (
    "group", "customers", "share", "revenue_share", "profit_share_column", "each", "order_days", "days_since",
    "returns", "less_column",
)  # fmt: skip
"""What the cells of :func:`segment_rows` are called, by code."""

_SECTION = "customers"
_HOURS = (0.0, 1.0, 4.0, 24.0, 72.0, 168.0)
_DAY = 24.0
_COUPONS = 10
_BEYOND_CHANCE = 3.0
"""Standard deviations; chance alone makes as many in 3 of 1,000 checks."""


@dataclass(frozen=True, slots=True)
class ClusterTold:
    """A cluster in words: its line, what sets it apart, and what it brings."""

    line: str
    apart: tuple[str, ...]
    brings: str


def ground_told(portrait: Portrait, purpose: str | None, texts: Texts) -> list[str]:
    """Return who is read, on what ground, and how much of the shop that is."""
    word, customers, worth = partial(texts.text, _SECTION), portrait.customers, portrait.worth
    agreed = int(customers.consented.sum())
    lines = [word("ground_panel", known=texts.number(len(customers)))]
    if purpose is not None:
        others = texts.number(len(customers) - agreed)
        known = texts.number(len(customers))
        lines = [word("ground", purpose=purpose, agreed=texts.number(agreed), known=known, others=others)]
        if agreed == len(customers):
            lines = [word("ground_all", purpose=purpose, known=known)]
    if worth.orders_share < 0.9995:  # not where it is NaN
        lines.append(word("sales_share", share=texts.percent(worth.orders_share)))
    if not worth.has_profit:
        lines.append(word("no_profit"))
    elif worth.profit_share < 0.995 and worth.revenue.any():
        lines.append(word("profit_share", share=texts.percent(worth.profit_share)))
    return [*lines, *([word("cost_assumed")] if worth.has_profit and worth.cost_assumed else [])]


def headlines(portrait: Portrait, texts: Texts) -> list[str]:
    """Return who brings the money, who returns and who will come less, a sentence each."""
    word, top, found = partial(texts.text, _SECTION), top_share(portrait), list[str]()
    if top is not None:
        revenue = texts.percent(top[0])
        found.append(
            word("top", revenue=revenue)
            if top[1] is None
            else word("top_profit", revenue=revenue, profit=texts.percent(top[1]))
        )
    outlook, likely_less = portrait.outlook, likely_less_slice(portrait)
    if outlook is not None and likely_less is not None:
        back, count = texts.number(float(outlook.back.sum())), texts.number(len(outlook))
        found.append(word("back", days=texts.number(portrait.days), back=back, customers=count))
        found.append(_less(likely_less, portrait, texts))
    return found or [word("nobody")]


def _less(likely_less: Slice, portrait: Portrait, texts: Texts) -> str:
    word, count = partial(texts.text, _SECTION), texts.number(likely_less.customers)
    days = texts.number(portrait.days)
    if not likely_less.customers:
        return word("none_less")
    if likely_less.revenue is None or likely_less.revenue_share is None:
        return word("few_less", count=count, days=days)
    revenue = texts.money(likely_less.revenue, Currency.of(portrait.currency))
    share = texts.percent(likely_less.revenue_share, 1)
    return word("likely_less", count=count, days=days, revenue=revenue, share=share)


def segment_rows(portrait: Portrait, texts: Texts) -> list[tuple[str, ...]]:
    """Return a row a group and one of all: what it is, customers, shares, money and habits a customer."""
    rows = [
        (group_told(Group(part.name), texts), *_cells(part, portrait, texts))
        for part in group_slices(portrait)
    ]
    return [*rows, (texts.text(_SECTION, "all"), *_cells(total(portrait), portrait, texts))] if rows else []


def _cells(part: Slice, portrait: Portrait, texts: Texts) -> tuple[str, ...]:
    money = Currency.of(portrait.currency)
    each = "–"
    if part.revenue is not None:
        each = texts.amount(round(part.revenue / max(part.customers, 1)), money)
    return (
        texts.number(part.customers),
        texts.percent(part.share),
        _percent(part.revenue_share, texts),
        _percent(part.profit_share, texts),
        each,
        _count(part.order_days, texts),
        _count(part.days_since, texts),
        _percent(part.returns, texts),
        "–" if portrait.outlook is None else texts.number(part.likely_less),
    )


def _percent(share: float | None, texts: Texts) -> str:
    return "–" if share is None or math.isnan(share) else texts.percent(share)


def _count(value: float, texts: Texts) -> str:
    return "–" if math.isnan(value) else texts.number(value)


def cluster_why(portrait: Portrait, texts: Texts) -> str:
    """Return how the clusters were found, or that there are none to tell of."""
    clusters = portrait.clusters
    if clusters is None:
        return ""
    if len(clusters.count) == 1:
        return texts.text(_SECTION, "one_kind")
    return texts.text(
        _SECTION,
        "kinds",
        count=texts.number(len(clusters.count)),
        stability=texts.number(clusters.stability, 2),
        silhouette=texts.number(clusters.silhouette, 2),
    )


def cluster_tells(portrait: Portrait, texts: Texts) -> list[ClusterTold]:
    """Return the clusters in words; none where there is but one."""
    clusters, apart = portrait.clusters, contrasts(portrait)
    if clusters is None or not apart:
        return []
    found: list[ClusterTold] = []
    lines = clusters_told(clusters, texts)
    for line, part, others in zip(lines, cluster_slices(portrait), apart, strict=True):
        brings = ""
        if part.revenue_share is not None:
            brings = texts.text(
                _SECTION,
                "brings" if part.profit_share is not None else "brings_revenue",
                customers=texts.number(part.customers),
                revenue=texts.percent(part.revenue_share),
                profit=_percent(part.profit_share, texts),
            )
        told = (_contrast(c.feature, c.own, c.others, portrait, texts) for c in others)
        found.append(ClusterTold(line, tuple(told), brings))
    return found


def _contrast(feature: str, own: float, others: float, portrait: Portrait, texts: Texts) -> str:
    def told(value: float) -> str:
        if feature.endswith("_share"):
            return texts.percent(value)
        if feature == "basket_value":
            return texts.money(round(value), Currency.of(portrait.currency))
        return texts.number(value, 1 if value < 10 else 0)

    return texts.text("customer_contrast", feature, own=told(own), others=told(others))


def outlook_lines(portrait: Portrait, texts: Texts) -> list[str]:
    """Return what came of an outlook on hidden days; empty where there is none."""
    if portrait.outlook is None:
        return []
    word, check = partial(texts.text, _SECTION), portrait.outlook_check
    if check is None:
        return [word("unchecked", days=texts.number(portrait.days))]
    came = {"expected": texts.number(check.expected), "came": texts.number(check.came)}
    lines = [
        word(
            "checked",
            days=texts.number(check.days),
            since=texts.day(_iso(check.since)),
            customers=texts.number(check.customers),
            **came,
        )
    ]
    lines += _off(check.off, texts)
    lines += [_better(found, check, texts) for found in check.gains]
    lines.append(word("inside", inside=texts.percent(check.inside)))
    came_less = {"came_less": texts.number(check.came_less), "comes_less": texts.number(check.comes_less)}
    lines += [word("came_less", **came_less), *_off(check.less_off, texts)]
    if check.likely_less < FEW:
        lines.append(word("likely_less_few"))
    else:
        shares = {
            "right": texts.percent(check.likely_less_right),
            "found": _percent(check.likely_less_found, texts),
        }
        lines.append(word("likely_less_checked", count=texts.number(check.likely_less), **shares))
    return lines


def _off(deviations: float, texts: Texts) -> list[str]:
    """Say so where chance alone hardly makes what came lie so far from what was expected."""
    if abs(deviations) < _BEYOND_CHANCE:
        return []
    return [texts.text(_SECTION, "too_high" if deviations < 0.0 else "too_low")]


def _iso(day: int) -> str:
    return str(np.datetime64(day, "D"))


def _better(found: Gain, check: OutlookCheck, texts: Texts) -> str:
    """Say how much smaller the squared error was, as a share of the simpler way's."""
    whole = check.tenths.brier + found.value
    share = texts.percent(found.value / whole, signed=False) if whole > 0 else ""
    code = f"{'better' if found.better else 'no_better'}_{found.over}"
    return texts.text(_SECTION, code, share=share)


def cart_lines(carts: Carts, portrait: Portrait, texts: Texts) -> list[str]:
    """Return what waits, what is expected of it, and what came on hidden days."""
    word, money, found = partial(texts.text, _SECTION), Currency.of(portrait.currency), carts.open
    value = texts.money(round(float(found.value.sum())), money)
    counts = {"count": texts.number(len(found)), "expected": texts.number(found.expected, 1)}
    lines = [
        word("carts_few", **counts) if len(found) < FEW else word("carts", value=value, **counts),
        word("carts_call", hours=_hours(usual_cart(carts.model, np.zeros(1))[1], texts)),
    ]
    if found.others:
        worth = texts.money(round(found.others_value), money)
        lines.insert(1, word("carts_others", count=texts.number(found.others), value=worth))
    if carts.check is None:
        return [*lines, word("carts_unchecked")]
    check = carts.check
    lines.append(
        word(
            "carts_checked",
            since=texts.day(_iso(check.since)),
            touches=texts.number(check.touches),
            expected=texts.number(check.expected),
            bought=texts.number(check.bought),
        )
    )
    lines += _off(check.off, texts)
    return [*lines, word("carts_better" if check.gain.better else "carts_no_better")]


def cart_hours(carts: Carts, texts: Texts) -> list[tuple[str, str]]:
    """Return how likely a cart of usual value is bought after so long without a touch."""
    chance, _ = usual_cart(carts.model, np.array(_HOURS))
    return [(_hours(h, texts), texts.percent(float(p), 1)) for h, p in zip(_HOURS, chance, strict=True)]


def _hours(hours: float, texts: Texts) -> str:
    if hours >= 2 * _DAY:
        return texts.text(_SECTION, "days_long", count=texts.number(hours / _DAY))
    return texts.text(_SECTION, "hours_long", count=texts.number(hours, 0 if hours == round(hours) else 2))


def relevance_lines(relevance: Relevance, texts: Texts) -> list[str]:
    """Return what lists of ten were worth on hidden days, and what relevance does not say."""
    word, check = partial(texts.text, _SECTION), relevance.check
    lines: list[str] = [word("lists_unchecked")]
    if check is not None:
        ours, popular, own = (texts.number(hits, 1) for hits in check.hits)
        values = {"ours": ours, "popular": popular, "own": own}
        days, since = texts.number(check.days), texts.day(check.since)
        count = texts.number(check.customers)
        lines = [word("lists_checked", days=days, since=since, customers=count, **values)]
        lines += [word(f"lists_{'better' if g.better else 'no_better'}_{g.over}") for g in check.gains]
    if not relevance.coupons.name:
        lines.append(word("no_coupons"))
    if relevance.for_all:
        lines.append(word("for_all", count=texts.number(len(relevance.for_all))))
    return [*lines, word("not_uplift")]


def relevance_rows(relevance: Relevance, texts: Texts) -> list[tuple[str, ...]]:
    """Return recall, NDCG and hits by who made the list; empty where nothing was checked."""
    check = relevance.check
    if check is None:
        return []
    names = [texts.text(_SECTION, name) for name in ("list_ours", "list_popularity", "list_own_most")]
    return [
        (name, texts.number(hits, 2), texts.number(recall, 3), texts.number(ndcg, 3))
        for name, hits, recall, ndcg in zip(names, check.hits, check.recall, check.ndcg, strict=True)
    ]


def coupon_rows(relevance: Relevance, texts: Texts) -> list[tuple[str, ...]]:
    """Return the coupons that lead most lists: how many, and how likely those customers buy such goods."""
    return [
        (top.coupon, texts.number(top.customers), texts.percent(top.probability))
        for top in coupon_tops(relevance)[:_COUPONS]
    ]


def untold_lines(error: NotIdentified | DataError, texts: Texts) -> list[str]:
    """Return why a part cannot be told and what to do about it."""
    said = (texts.reworded(text) for text in (error.what, error.why, error.todo))
    return [text for text in said if text]
