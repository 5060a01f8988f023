"""What a household buys next: Complete Journey, the last four weeks held out, ours beside four baselines.

    python -m bench.next_purchase [--data DIR] [--json FILE] [--skip-als]

The task: for each household that bought something before 2017-12-04 and something from then to 2017-12-31,
rank the products that were sold before that day; those that it bought in those four weeks are right, repeat
purchases included. Merchandise counts, weighed goods too; fees, gift cards and coupons do not. A product that
was first sold in the held-out weeks is no target, since nothing could rank it. Recall is the share of a
household's targets among its ten, NDCG has gain 1 a target; both are means over households.

Everything was chosen on an inner split, 2017-11-06 to 2017-12-03 predicted from what lay before: our features
and priors, the half-life of the recency-weighted baseline, the window of popularity, the factors, ridge,
weighting and half-life of ALS. The last four weeks are looked at by this command alone. ALS is
`implicit`'s (Hu, Koren, Volinsky, ICDM 2008), may rank what a household has bought, and sees the same days.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy import sparse

from pricing.arrays import Floats, Ints
from simulators.contract.tables import Source, open_source
from simulators.customers.ranking import fit_ranking, next_products
from simulators.customers.ranking_pairs import PAIR_TABLES, UNKNOWN, bought_between, build_pairs
from simulators.importers.complete_journey import import_complete_journey

_INNER, _OUTER, _DAYS, _TOP = "2017-11-06", "2017-12-04", 28, 10
_HALF_LIVES = (14, 28, 56, 84, 120, 182)
_WINDOWS = (7, 28, 91, 365)
_ALS = tuple(product((64, 128, 256), (0.1, 1.0), (0.1, 1.0), (28, 84)))
_ALS_ROUNDS, _BOOTSTRAPS = 15, 10_000


@dataclass(frozen=True)
class Purchases:
    """Distinct (household, product, day) before a day, and what was bought in the four weeks from it.

    Attributes
    ----------
    customer, product
        Names, ascending.
    row, column, age
        int64 [n]; of purchases, age in days.
    target
        int64; ascending codes row * products + column.
    asked
        int64 [U]; households that are ranked for: some purchase on either side.
    """

    customer: tuple[str, ...]
    product: tuple[str, ...]
    row: Ints
    column: Ints
    age: Ints
    target: Ints
    asked: Ints


@dataclass(frozen=True)
class Row:
    """One line of the table: means over households, and what ours is above it with its 95 % interval."""

    model: str
    recall: float
    ndcg: float
    recall_gain: tuple[float, float, float] | None = None
    ndcg_gain: tuple[float, float, float] | None = None


def main() -> int:
    """Run the bench; 1 where ours is not above every baseline with an interval above 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--json", type=Path, help="also write the table here")
    parser.add_argument("--skip-als", action="store_true", help="leave `implicit` out")
    parser.add_argument("--inner", action="store_true", help="show the inner split instead of the last weeks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data
        if data is None:
            data = Path(folder) / "data"
            import_complete_journey(data, Path(folder) / "pseudonyms.key")
        with open_source(data, today=dt.date(2100, 1, 1), only=PAIR_TABLES) as source:
            rows = _compare(source, _INNER if options.inner else _OUTER, als=not options.skip_als)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    gains = [gain for row in rows for gain in (row.recall_gain, row.ndcg_gain) if gain is not None]
    return int(any(low <= 0.0 for _, low, _ in gains))


def _compare(source: Source, day: str, *, als: bool) -> list[Row]:
    ours, bought = _ours(source, day), _purchases(source, day)
    inner = _purchases(source, _INNER)
    window = _WINDOWS[_best(inner, (_popular(inner, w) for w in _WINDOWS))]
    half_life = _HALF_LIVES[_best(inner, (_own(inner, h) for h in _HALF_LIVES))]
    ranked = {
        f"popularity, last {window} days": _popular(bought, window),
        "own most-bought, popularity after": _own(bought, None),
        f"the same, half-life {half_life} days": _own(bought, half_life),
    }
    if als:
        chosen = _ALS[_best(inner, (_als(inner, *setting) for setting in _ALS))]
        ranked[f"implicit ALS {chosen}"] = _als(bought, *chosen)
    targets = np.isin(np.arange(len(bought.customer)), bought.target // len(bought.product))
    print(f"{int(targets.sum())} households, {len(bought.target)} targets, {len(bought.product)} products")
    mine = _scores(bought, _aligned(bought, *ours))
    rows = [Row("tarifa", float(mine[0].mean()), float(mine[1].mean()))]
    for name, top in ranked.items():
        theirs = _scores(bought, top)
        rows.append(
            Row(
                name,
                float(theirs[0].mean()),
                float(theirs[1].mean()),
                _gain(mine[0] - theirs[0]),
                _gain(mine[1] - theirs[1]),
            )
        )
    _print(rows)
    return rows


def _later(day: str, days: int) -> str:
    return str(np.datetime64(day) + days)


def _ours(source: Source, day: str) -> tuple[tuple[str, ...], tuple[str, ...], Ints]:
    """Return households, products and the ten best of each household, fitted on the eight weeks before."""
    origins = []
    for back in (_DAYS, 2 * _DAYS):
        origin = _later(day, -back)
        pairs = build_pairs(source, origin, None)
        origins.append((pairs, bought_between(source, pairs, origin, _later(origin, _DAYS))))
    model = fit_ranking(origins, _DAYS, day)
    now = build_pairs(source, day, None)
    p = model.probability(now)
    told = now.row > now.customer.index(UNKNOWN)
    came = bought_between(source, now, day, _later(day, _DAYS))[told]
    print(
        f"{told.sum()} candidates: {p[told].sum():.0f} purchases expected, {came.sum()} seen; by tenth of p:"
    )
    for tenth in np.array_split(np.argsort(p[told], kind="stable"), 10):
        print(f"  {p[told][tenth].mean():.4f} {came[tenth].mean():.4f}", end="")
    print()
    return now.customer, now.product, next_products(now, p, _TOP)


def _aligned(bought: Purchases, customer: tuple[str, ...], products: tuple[str, ...], top: Ints) -> Ints:
    """Return our ten of each asked household as places on the bench's product axis."""
    place = {name: i for i, name in enumerate(bought.product)}
    column = np.array([place[name] for name in products] + [-1])
    row = {name: i for i, name in enumerate(customer)}
    out: Ints = column[top[[row[bought.customer[i]] for i in bought.asked]]]
    return out


def _purchases(source: Source, day: str) -> Purchases:
    found = source.engine.arrays(
        f"""
        SELECT DISTINCT customer_id, product_id, DATE '{day}' - day AS age FROM order_lines
        WHERE status = 'paid' AND (apart IS NULL OR apart IN ('bundle', 'no_posted_price'))
            AND customer_id IS NOT NULL AND day < DATE '{day}' + {_DAYS}
        """
    )
    customer, row = np.unique(found["customer_id"].astype(str), return_inverse=True)
    goods, column = np.unique(found["product_id"].astype(str), return_inverse=True)
    age = found["age"].astype(np.int64)
    code = row * len(goods) + column
    before = age > 0
    known, sold = np.zeros(len(customer), dtype=np.bool_), np.zeros(len(goods), dtype=np.bool_)
    known[row[before]], sold[column[before]] = True, True
    target = np.unique(code[~before & known[row] & sold[column]])
    order = np.lexsort((age, code))
    order = order[before[order]]
    names = tuple(map(str, customer)), tuple(map(str, goods))
    asked = np.unique(target // len(goods))
    return Purchases(*names, row[order], column[order], age[order], target, asked)


def _popular(bought: Purchases, window: int) -> Ints:
    recent = bought.age <= window
    best = np.argsort(-np.bincount(bought.column[recent], minlength=len(bought.product)), kind="stable")
    return np.tile(best[:_TOP], (len(bought.asked), 1))


def _own(bought: Purchases, half_life: int | None) -> Ints:
    """Rank what a household bought, by days (latest first among equals) or decayed days; then what sells."""
    M = len(bought.product)
    code, place = np.unique(bought.row * M + bought.column, return_inverse=True)
    latest = np.full(len(code), 10**6)
    np.minimum.at(latest, place, bought.age)
    weight = np.ones(len(place)) if half_life is None else 0.5 ** (bought.age / half_life)
    score = np.bincount(place, weight) - 1e-9 * latest
    filler = -np.arange(1, _TOP * 3 + 1) / 1e3
    popular = np.argsort(-np.bincount(bought.column[bought.age <= _DAYS], minlength=M), kind="stable")
    more = (bought.asked[:, None] * M + popular[: _TOP * 3]).ravel()
    fresh = ~np.isin(more, code)
    code = np.concatenate([code, more[fresh]])
    score = np.concatenate([score, np.tile(filler, len(bought.asked))[fresh]])
    order = np.lexsort((code, -score, code // M))
    row = code[order] // M
    first = np.searchsorted(row, bought.asked)
    out: Ints = (code[order] % M)[first[:, None] + np.arange(_TOP)]
    return out


def _als(bought: Purchases, factors: int, ridge: float, alpha: float, half_life: int) -> Ints:
    from implicit.als import AlternatingLeastSquares

    shape = (len(bought.customer), len(bought.product))
    weight = alpha * 0.5 ** (bought.age / half_life)
    seen = sparse.csr_matrix((weight.astype(np.float32), (bought.row, bought.column)), shape=shape)
    model = AlternatingLeastSquares(
        factors=factors,
        regularization=ridge,
        alpha=1.0,
        iterations=_ALS_ROUNDS,
        random_state=1,
        num_threads=1,
    )
    model.fit(seen, show_progress=False)
    best, _ = model.recommend(bought.asked, seen[bought.asked], N=_TOP, filter_already_liked_items=False)
    return np.asarray(best, dtype=np.int64)


def _best(inner: Purchases, tried: Iterator[Ints]) -> int:
    """Return the place of the setting with the best NDCG on the inner split."""
    found = [float(_scores(inner, top)[1].mean()) for top in tried]
    print(f"inner split, NDCG: {' '.join(f'{score:.4f}' for score in found)}", flush=True)
    return int(np.argmax(found))


def _scores(bought: Purchases, top: Ints) -> tuple[Floats, Floats]:
    """Return recall@10 and NDCG@10 of each household, float64 [U]."""
    M = len(bought.product)
    hit = np.isin(bought.asked[:, None] * M + top, bought.target) & (top >= 0)
    n = np.bincount(bought.target // M, minlength=len(bought.customer))[bought.asked]
    gain = 1.0 / np.log2(np.arange(2, _TOP + 2))
    ideal = np.cumsum(gain)[np.minimum(n, _TOP) - 1]
    return hit.sum(axis=1) / n, (hit * gain).sum(axis=1) / ideal


def _gain(difference: Floats) -> tuple[float, float, float]:
    """Return the mean over households and its 95 % bootstrapped interval."""
    rng = np.random.default_rng(1)
    n = len(difference)
    means = [difference[rng.integers(0, n, n)].mean() for _ in range(_BOOTSTRAPS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def _print(rows: list[Row]) -> None:
    print(f"{'model':40}{'recall@10':>10}{'NDCG@10':>10}   ours above it, paired, 95 %: recall, NDCG")
    for row in rows:
        text = f"{row.model:40}{row.recall:10.4f}{row.ndcg:10.4f}"
        for gain in (row.recall_gain, row.ndcg_gain):
            text += f"   {gain[0]:+.4f} [{gain[1]:+.4f}, {gain[2]:+.4f}]" if gain else ""
        print(text)


if __name__ == "__main__":
    sys.exit(main())
