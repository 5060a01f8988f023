"""What an adversary who wants to tell simulated baskets from real ones looks at.

Fixed before the basket model was tuned. Everything is computed in the same way of either kind: prices are the
posted ones of the product's week, and what is known of a household is what its own earlier baskets, real or
simulated, show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from simulators.customers.basket_lines import Baskets, Shelf

__all__ = ["Labels", "alone", "basket_features", "household_features"]

_OF_HISTORY = ("repeat", "days_since", "soon_", "times_", "before", "usual", "in_last", "gap")

_TOP_CATEGORIES = 40


@dataclass(frozen=True)
class Labels:
    """What is known of J products in T weeks.

    Attributes
    ----------
    price, depth
        float64 [J, T]; posted shelf price, and log of it over the regular one.
    promoted
        bool [J, T]; in the mailer or on display.
    popularity
        float64 [J]; log of units sold to the training households.
    private
        bool [J]; the shop's own brand.
    first_day
        int64 [T].
    top
        int64; the categories that most training baskets hold.
    """

    price: Floats
    depth: Floats
    promoted: Bools
    popularity: Floats
    private: Bools
    first_day: Ints
    top: Ints


def alone(names: list[str]) -> Ints:
    """Return the places of the features that the basket itself shows, without its household's history."""
    return np.array([i for i, n in enumerate(names) if not any(word in n for word in _OF_HISTORY)])


def basket_features(baskets: Baskets, shelf: Shelf, labels: Labels) -> tuple[Floats, list[str]]:
    """Return features [V, F] of every basket, and their names."""
    V = len(baskets.day)
    v, j, q = baskets.visit, baskets.product, baskets.units.astype(np.float64)
    day = baskets.day[v]
    t = np.searchsorted(labels.first_day, day, side="right") - 1
    price, depth = labels.price[j, t], labels.depth[j, t]
    category = shelf.category[j]
    n = np.bincount(v, minlength=V)
    some = np.maximum(n, 1)

    def mean(x: Floats) -> Floats:
        return np.bincount(v, x, V) / some

    def largest(x: Floats) -> Floats:
        out = np.zeros(V)
        np.maximum.at(out, v, x)
        return out

    out: dict[str, Floats] = {"lines": n.astype(np.float64), "units": np.bincount(v, q, V)}
    revenue = np.bincount(v, q * price, V)
    regular = np.bincount(v, q * price * np.exp(-depth), V)
    out |= {"revenue": revenue, "discount_share": 1.0 - revenue / np.maximum(regular, 1e-9)}
    out |= {
        "discounted_lines": mean((depth < -0.02) * 1.0),
        "mean_depth": mean(depth),
        "deepest": -largest(-depth),
    }
    out |= {"promoted_lines": mean(labels.promoted[j, t] * 1.0)}
    out |= {"mean_units": mean(q), "most_units": largest(q), "multiple": mean((q > 1) * 1.0)}
    out |= {"mean_price": mean(price), "dearest": largest(price), "cheapest": -largest(-price + 1e6) + 1e6}
    out |= {
        "mean_popularity": mean(labels.popularity[j]),
        "least_popular": -largest(-labels.popularity[j] + 100) + 100,
    }
    out |= {"private": mean(labels.private[j] * 1.0)}
    out |= _composition(v, category, shelf.subcategory[j], n, V, len(shelf.categories), labels.top)
    out |= _history(baskets, category, shelf.subcategory[j], n, revenue)
    out |= {
        "weekday": ((baskets.day + 3) % 7).astype(np.float64),
        "week": (baskets.day - labels.first_day[0]) // 7.0,
    }
    return np.stack(list(out.values()), axis=1), list(out)


def _composition(
    v: Ints, category: Ints, subcategory: Ints, n: Ints, V: int, C: int, top: Ints
) -> dict[str, Floats]:
    pair, counts = np.unique(v * C + category, return_counts=True)
    of = pair // C
    distinct = np.bincount(of, minlength=V)
    most = np.zeros(V)
    np.maximum.at(most, of, counts)
    finer = np.unique(v * 10_000 + subcategory)
    subs = np.bincount(finer // 10_000, minlength=V)
    some = np.maximum(n, 1)
    share = (counts / some[of]) ** 2
    out = {
        "categories": distinct.astype(np.float64),
        "lines_per_category": n / np.maximum(distinct, 1),
        "lines_per_subcategory": n / np.maximum(subs, 1),
        "most_of_one": most,
        "concentration": np.bincount(of, share, V),
    }
    place = np.full(C, -1)
    place[top] = np.arange(len(top))
    held = np.zeros((V, len(top)))
    kept = place[pair % C] >= 0
    held[of[kept], place[pair % C][kept]] = counts[kept]
    return out | {f"category_{int(c)}": held[:, i] for i, c in enumerate(top)}


def _history(
    baskets: Baskets, category: Ints, subcategory: Ints, n: Ints, revenue: Floats
) -> dict[str, Floats]:
    V, v = len(baskets.day), baskets.visit
    h, day = baskets.household[v], baskets.day[v]
    some = np.maximum(n, 1)

    def mean(x: Floats) -> Floats:
        return np.bincount(v, x, V) / some

    since_c, before_c = _since(h, category, day, v)
    since_p, before_p = _since(h, baskets.product, day, v)
    since_s, before_s = _since(h, subcategory, day, v)
    out = {
        "repeat_products": mean((since_p >= 0) * 1.0),
        "repeat_subcategories": mean((since_s >= 0) * 1.0),
        "repeat_categories": mean((since_c >= 0) * 1.0),
        "days_since_category": _mean_known(v, since_c, V),
        "days_since_product": _mean_known(v, since_p, V),
        "soon_again": mean(((since_c >= 0) & (since_c <= 3)) * 1.0),
        "soon_again_product": mean(((since_p >= 0) & (since_p <= 3)) * 1.0),
        "times_before_product": mean(np.log1p(before_p)),
        "times_before_category": mean(np.log1p(before_c)),
        "times_before_subcategory": mean(np.log1p(before_s)),
    }
    order = np.lexsort((baskets.day, baskets.household))
    hh, dd = baskets.household[order], baskets.day[order]
    first = np.r_[True, hh[1:] != hh[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(V), 0))
    number = np.arange(V) - start
    gap = np.where(first, -1, dd - np.r_[dd[0], dd[:-1]])
    x = {"n": n[order].astype(np.float64), "revenue": revenue[order]}
    found = {"baskets_before": number.astype(np.float64), "gap": gap.astype(np.float64)}
    for name, value in x.items():
        total = np.cumsum(value) - value
        mean_before = np.where(number > 0, (total - total[start]) / np.maximum(number, 1), np.nan)
        found[f"{name}_before"] = np.where(first, np.nan, np.r_[np.nan, value[:-1]])
        found[f"{name}_usual"] = mean_before
        found[f"{name}_over_usual"] = value / np.maximum(mean_before, 1e-9)
    back = np.argsort(order, kind="stable")
    return out | {name: value[back] for name, value in found.items()} | _overlap(baskets, n, order)


def _overlap(baskets: Baskets, n: Ints, order: Ints) -> dict[str, Floats]:
    """Return the share of lines whose product lay in the household's basket before."""
    V, v = len(baskets.day), baskets.visit
    position = np.argsort(order, kind="stable")
    h = baskets.household[v]
    key = np.lexsort((position[v], baskets.product, h))
    same = (h[key][1:] == h[key][:-1]) & (baskets.product[key][1:] == baskets.product[key][:-1])
    next_to = position[v][key][1:] == position[v][key][:-1] + 1
    hit = np.zeros(len(v))
    hit[key[1:]] = same & next_to
    return {"in_last_basket": np.bincount(v, hit, V) / np.maximum(n, 1)}


def _since(h: Ints, label: Ints, day: Ints, v: Ints) -> tuple[Ints, Ints]:
    """Return days since the household's last basket with the label (-1: never), and such baskets before."""
    order = np.lexsort((v, label, h))
    same = (h[order][1:] == h[order][:-1]) & (label[order][1:] == label[order][:-1])
    new_basket = np.r_[True, ~same | (v[order][1:] != v[order][:-1])]
    begin = np.r_[True, ~same]
    run = np.cumsum(new_basket)
    start = np.maximum.accumulate(np.where(begin, run, 0))
    last_day = np.full(len(order), -1)
    previous = np.r_[-1, day[order][:-1]]
    at = np.flatnonzero(new_basket & ~begin)
    value = np.full(len(order), -1)
    value[at] = day[order][at] - previous[at]
    # later lines of the same basket and label share the first one's answer
    head = np.maximum.accumulate(np.where(new_basket, np.arange(len(order)), 0))
    last_day[order] = value[head]
    before = np.zeros(len(order), dtype=np.int64)
    before[order] = run - start
    return last_day, before


def _mean_known(v: Ints, x: Ints, V: int) -> Floats:
    known = x >= 0
    count = np.bincount(v[known], minlength=V)
    return np.where(count > 0, np.bincount(v[known], x[known], V) / np.maximum(count, 1), np.nan)


def household_features(
    baskets: Baskets, shelf: Shelf, labels: Labels, days: int = 91
) -> tuple[Floats, list[str], Ints]:
    """Return features [R, F] of household-quarters with a basket, their names, and their households."""
    X, names = basket_features(baskets, shelf, labels)
    quarter = (baskets.day - labels.first_day[0]) // days
    key = baskets.household * 16 + quarter
    cells, row = np.unique(key, return_inverse=True)
    R = len(cells)
    count = np.bincount(row, minlength=R).astype(np.float64)
    out: dict[str, Floats] = {"baskets": count, "quarter": (cells % 16).astype(np.float64)}
    for i, name in enumerate(names):
        x = np.nan_to_num(X[:, i])
        m = np.bincount(row, x, R) / count
        out[name] = m
        if name in {"lines", "revenue", "categories", "mean_price", "discount_share", "mean_units"}:
            out[f"{name}_sd"] = np.sqrt(np.maximum(np.bincount(row, x**2, R) / count - m**2, 0.0))
    line_row = row[baskets.visit]
    n = np.bincount(line_row, minlength=R).astype(np.float64)
    for name, label in (
        ("products", baskets.product),
        ("subcategories", shelf.subcategory[baskets.product]),
        ("categories", shelf.category[baskets.product]),
    ):
        pair, counts = np.unique(line_row * 100_000 + label, return_counts=True)
        of = pair // 100_000
        out[f"distinct_{name}_share"] = np.bincount(of, minlength=R) / n
        out[f"{name}_concentration"] = np.bincount(of, (counts / n[of]) ** 2, R)
        most = np.zeros(R)
        np.maximum.at(most, of, counts)
        out[f"most_of_one_{name}"] = most
    return np.stack(list(out.values()), axis=1), list(out), cells // 16
