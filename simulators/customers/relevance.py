"""What each customer would care for: next products and coupons, and whether such lists came true.

Relevance predicts purchases. It does not say that a coupon pays: who would have bought anyway comes first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.errors import DataError, NotIdentified
from simulators.contract.engine import literal
from simulators.contract.tables import Source
from simulators.customers.outlook_check import Gain, gain
from simulators.customers.ranking import RankingModel, coupon_relevance, fit_ranking, next_products
from simulators.customers.ranking_pairs import Pairs, bought_between, build_pairs

__all__ = ["TOP", "Ranked", "Relevance", "RelevanceCheck", "find_relevance"]

TOP = 10
"""Places that recall and NDCG look at."""

_FITTED_ON, _BATCH, _FEW = 5000, 20_000, 30

Origin = tuple[Pairs, Bools]
"""Candidates on a day, and which of them were bought in the days from it on."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best of something for N customers.

    Attributes
    ----------
    name
        M names of what is ranked.
    best
        int64 [N, K]; places in `name`, best first, -1 for none.
    probability
        float64 [N, K]; that the customer buys it, or something that it is good for; 0 for none.
    """

    name: tuple[str, ...]
    best: Ints
    probability: Floats


@dataclass(frozen=True, slots=True)
class RelevanceCheck:
    """Lists of ten made before the last days, and what was bought in them.

    Attributes
    ----------
    since, days
        First of those days, as an ISO date, and how many.
    customers, targets
        Customers told apart then who bought a product that was known, and how many such products.
    hits, recall, ndcg
        Means over those customers by who made the list: ours, popularity, own most-bought. Hits are the
        products of a list that were bought.
    gains
        Of our NDCG over the other two.
    """

    since: str
    days: int
    customers: int
    targets: int
    hits: tuple[float, float, float]
    recall: tuple[float, float, float]
    ndcg: tuple[float, float, float]
    gains: tuple[Gain, ...]


@dataclass(frozen=True, slots=True)
class Relevance:
    """Next products and coupons of N customers.

    Attributes
    ----------
    customer
        N pseudonyms, ascending.
    products, coupons
        What is ranked highest.
    days
        Within which a purchase counts.
    for_all
        Coupons in force that are good for everything, so that nothing tells one customer's from another's.
    check
        What such lists were worth; None where too little was bought to say.
    """

    customer: tuple[str, ...]
    products: Ranked
    coupons: Ranked
    days: int
    for_all: tuple[str, ...]
    check: RelevanceCheck | None


def find_relevance(
    source: Source,
    customer: Sequence[str],
    as_of: str,
    purpose: str | None,
    days: int,
    top: int,
    told: Callable[[float], None],
) -> Relevance:
    """Rank products and coupons for customers.

    Parameters
    ----------
    source
        The shop's tables, open; those of :data:`simulators.customers.ranking_pairs.PAIR_TABLES`, coupons and
        coupon_products are read.
    customer
        Pseudonyms, ascending, of customers who agreed; those of whom nothing was bought are left out.
    as_of
        ISO date, first day not read.
    purpose
        As in :func:`simulators.customers.features.build_customers`.
    days
        Within which a purchase counts.
    top
        How many of each are kept.
    told
        Told the share that is done.

    Raises
    ------
    NotIdentified
        If the data do not reach back twice as many days, or too little was bought again.
    """
    if not customer:
        raise NotIdentified(
            "No customer agreed, so nothing can be said of what one would care for.",
            todo="Ask for consent; see docs/customers.md.",
        )
    origins: list[Origin] = []
    for back in (3, 2, 1):  # the latest one last: its tables are what the check reads
        origins = _with(source, origins, (_back(as_of, days, back), _back(as_of, days, back - 1)), purpose)
        told(0.2 * (4 - back))
    if len(origins) < 2:
        raise NotIdentified(
            f"The data do not reach {2 * days} days back.",
            why="What is bought next is learned from two stretches of the past.",
            todo="Hand over more of the past, or take a shorter --horizon.",
        )
    check = _check(source, origins, days)
    model = fit_ranking(origins[-2:][::-1], days, as_of)
    told(0.6)
    covers, for_all = _coupons(source, as_of)
    found: list[tuple[tuple[str, ...], Ranked, Ranked]] = []
    for start in range(0, max(len(customer), 1), _BATCH):
        found.append(_batch(source, model, (customer[start : start + _BATCH], as_of, purpose), covers, top))
        told(0.6 + 0.4 * min((start + _BATCH) / max(len(customer), 1), 1.0))
    names = tuple(name for part in found for name in part[0])
    return Relevance(
        names, _joined([p[1] for p in found], top), _joined([p[2] for p in found], top), days, for_all, check
    )


def _with(source: Source, origins: list[Origin], span: tuple[str, str], purpose: str | None) -> list[Origin]:
    """Add what was known on a day and bought until another; nothing where nothing was sold before."""
    day, until = span
    try:
        pairs = build_pairs(source, day, purpose, at_most=_FITTED_ON)
    except DataError:
        return origins
    return [*origins, (pairs, bought_between(source, pairs, day, until))]


def _back(day: str, days: int, times: int) -> str:
    return (dt.date.fromisoformat(day) - dt.timedelta(days=days * times)).isoformat()


def _batch(
    source: Source,
    model: RankingModel,
    asked: tuple[Sequence[str], str, str | None],
    covers: dict[str, list[str]],
    top: int,
) -> tuple[tuple[str, ...], Ranked, Ranked]:
    customer, day, purpose = asked
    pairs = build_pairs(source, day, purpose, among=customer)
    p = model.probability(pairs)
    best = next_products(pairs, p, top)[1:]  # the first is nobody
    score = {(int(r), int(c)): float(v) for r, c, v in zip(pairs.row, pairs.column, p, strict=True)}
    chance = np.array(
        [[score[n + 1, int(c)] if c >= 0 else 0.0 for c in row] for n, row in enumerate(best)]
    ).reshape(best.shape)
    names = pairs.customer[1:]
    relevant = coupon_relevance(pairs, p, covers, names)
    order = np.argsort(-relevant, axis=1, kind="stable")[:, :top]
    likely = np.take_along_axis(relevant, order, axis=1)
    wide = np.full((len(names), top), -1, dtype=np.int64)
    wide[:, : order.shape[1]] = np.where(likely > 0.0, order, -1)
    chances = np.zeros((len(names), top))
    chances[:, : order.shape[1]] = likely + 0.0  # never a negative nought
    return names, Ranked(pairs.product, best, chance), Ranked(tuple(covers), wide, chances)


def _joined(parts: Sequence[Ranked], top: int) -> Ranked:
    """Put batches below each other, their names on one axis."""
    names = tuple(sorted({name for part in parts for name in part.name}))
    place = {name: i for i, name in enumerate(names)}
    best = [np.array([*(place[n] for n in part.name), -1], dtype=np.int64)[part.best] for part in parts]
    empty = [np.zeros((0, top), dtype=np.int64)]
    return Ranked(
        names,
        np.concatenate([*empty, *best]),
        np.concatenate([np.zeros((0, top)), *(p.probability for p in parts)]),
    )


def _coupons(source: Source, as_of: str) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Return the products of each coupon in force on the day, and those that are good for everything."""
    day = f"DATE {literal(as_of)}"
    live = f"valid_from < {day} + 1 AND valid_to > {day}"
    rows = source.engine.rows(
        f"""
        SELECT DISTINCT coupon_id, coalesce(c.product_id, p.product_id) AS product_id
        FROM coupons JOIN coupon_products AS c USING (coupon_id)
            LEFT JOIN products AS p ON c.product_id IS NULL AND p.category = c.category
        WHERE {live} ORDER BY ALL
        """
    )
    covers: dict[str, list[str]] = {}
    for coupon, product in rows:
        covers.setdefault(str(coupon), [])
        if product is not None:
            covers[str(coupon)].append(str(product))
    others = source.engine.rows(
        f"SELECT DISTINCT coupon_id FROM coupons ANTI JOIN coupon_products USING (coupon_id) WHERE {live} "
        "ORDER BY coupon_id"
    )
    return covers, tuple(str(row[0]) for row in others)


def _check(source: Source, origins: Sequence[Origin], days: int) -> RelevanceCheck | None:
    """Judge lists as they would have been made at the latest origin, by a model that had not seen it."""
    again = origins[-1][0]
    since = again.day
    try:
        model = fit_ranking(origins[:-1][::-1], days, since)
    except NotIdentified:
        return None
    rows, products, target = _targets(source, again, _back(since, days, -1))
    asked = np.unique(rows)
    if len(asked) < _FEW:
        return None
    place = {name: i for i, name in enumerate(products)}
    ours = np.array([*(place[name] for name in again.product), -1], dtype=np.int64)[
        next_products(again, model.probability(again), TOP)[asked]
    ]
    lists = (ours, *_simpler(source, again, place, asked))
    scores = [_scores(top, asked, target, len(products)) for top in lists]
    return RelevanceCheck(
        since=since,
        days=days,
        customers=len(asked),
        targets=len(target),
        hits=_means([score[2] for score in scores]),
        recall=_means([score[0] for score in scores]),
        ndcg=_means([score[1] for score in scores]),
        gains=tuple(
            gain(name, scores[0][1] - score[1])
            for name, score in zip(("popularity", "own_most"), scores[1:], strict=True)
        ),
    )


def _means(scores: Sequence[Floats]) -> tuple[float, float, float]:
    ours, popular, own = (float(score.mean()) for score in scores)
    return ours, popular, own


def _targets(source: Source, pairs: Pairs, until: str) -> tuple[Ints, tuple[str, ...], Ints]:
    """Return whose [m] and all products sold before, and what each bought then, as row * products + place."""
    engine = source.engine
    products = tuple(str(row[0]) for row in engine.rows("SELECT product_id FROM product_pace ORDER BY ALL"))
    engine.register("asked_customers", {"customer_id": pairs.customer, "row": [*range(len(pairs.customer))]})
    engine.register("asked_products", {"product_id": products, "col": [*range(len(products))]})
    found = engine.arrays(
        f"""
        SELECT DISTINCT "row", col FROM order_lines JOIN asked_customers USING (customer_id)
            JOIN asked_products USING (product_id)
        WHERE status = 'paid' AND (apart IS NULL OR apart IN ('bundle', 'no_posted_price'))
            AND day >= DATE {literal(pairs.day)} AND day < DATE {literal(until)} ORDER BY ALL
        """
    )
    row = np.asarray(found["row"], dtype=np.int64)
    return row, products, row * len(products) + np.asarray(found["col"], dtype=np.int64)


def _simpler(source: Source, pairs: Pairs, place: dict[str, int], asked: Ints) -> tuple[Ints, Ints]:
    """Return the best sellers of 28 days, and each one's own most-bought with those after them."""
    engine = source.engine
    popular = [
        place[str(row[0])]
        for row in engine.rows(
            f"SELECT product_id FROM product_pace ORDER BY sold28 DESC, sold DESC, product_id LIMIT {2 * TOP}"
        )
    ]
    rows = engine.rows(
        f"""
        SELECT customer_id, product_id FROM (
            SELECT customer_id, product_id, row_number() OVER (PARTITION BY customer_id
                ORDER BY count(*) DESC, min(age), product_id) AS rank
            FROM bought_days JOIN told_apart USING (customer_id) GROUP BY customer_id, product_id
        ) WHERE rank <= {TOP} ORDER BY customer_id, rank
        """
    )
    own: dict[str, list[int]] = {}
    for customer, product in rows:
        own.setdefault(str(customer), []).append(place[str(product)])
    out = np.full((2, len(asked), TOP), -1, dtype=np.int64)
    for n, i in enumerate(asked):
        mine = own.get(pairs.customer[int(i)], [])
        filled = [*mine, *(code for code in popular if code not in mine)][:TOP]
        out[0, n, : len(popular[:TOP])] = popular[:TOP]
        out[1, n, : len(filled)] = filled
    return out[0], out[1]


def _scores(top: Ints, asked: Ints, target: Ints, M: int) -> tuple[Floats, Floats, Floats]:
    """Return recall, NDCG and hits [U] of lists [U, TOP] (Jarvelin, Kekalainen, ACM TOIS 2002)."""
    hit = np.isin(asked[:, None] * M + top, target) & (top >= 0)
    n = np.bincount(target // M, minlength=int(asked.max()) + 1)[asked]
    worth = 1.0 / np.log2(np.arange(2, TOP + 2))
    ideal = np.cumsum(worth)[np.minimum(n, TOP) - 1]
    return hit.sum(axis=1) / n, (hit * worth).sum(axis=1) / ideal, hit.sum(axis=1).astype(np.float64)
