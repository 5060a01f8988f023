"""What a customer buys next: the probability of each candidate product, and so of what a coupon is good for.

A logit on the customer's own rhythm (how often, how lately, whether it is due again), on how the product
comes back for others, on the subcategory, and on what sells. It predicts purchases, not what a coupon would
add to them: relevance says which coupon a customer would care for, never whether it pays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pricing.archive import pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.errors import ArtifactError, NotIdentified, UsageError
from simulators.customers.logistic import fit_logistic
from simulators.customers.ranking_pairs import UNKNOWN, Pairs

__all__ = [
    "PAIR_FEATURES",
    "RankingModel",
    "coupon_relevance",
    "fit_ranking",
    "next_products",
    "pair_features",
]

PAIR_FEATURES = (
    "own", "times", "once", "season", "half_year", "lately", "share", "share_season", "share_lately",
    "expected", "since", "since_squared", "due", "due_squared", "again", "pace", "sold7_own", "sold28_own",
    "sold91_own", "sold7_new", "sold28_new", "sold91_new", "kin_new", "kin_lately_new", "kin_share",
    "kin_since", "kin_gap", "visits", "basket",
)  # fmt: skip
"""Order of the K axis; see :func:`pair_features`."""

_SLOPE_PRECISION, _LEVEL_PRECISION = 1.0, 1e-6
_LEAST = 50
_KIND, _VERSION = "ranking-model", 1


@dataclass(frozen=True, slots=True)
class RankingModel:
    """Fitted logit.

    Attributes
    ----------
    centre, scale
        float64 [K]; what standardises a feature.
    mean
        float64 [1 + K]; level and slopes.
    horizon
        int; days within which a purchase counts.
    as_of
        str; ISO date, first day that the fit did not see.
    fingerprint
        str; of the data.
    """

    centre: Floats
    scale: Floats
    mean: Floats
    horizon: int
    as_of: str
    fingerprint: str

    def probability(self, pairs: Pairs) -> Floats:
        """Return the probability [n] that each candidate is bought within `horizon` days."""
        z = (pair_features(pairs) - self.centre) / self.scale
        out: Floats = expit(self.mean[0] + z @ self.mean[1:])
        return out

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same model gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {"centre": self.centre, "scale": self.scale, "mean": self.mean}
        meta = {"horizon": self.horizon, "as_of": self.as_of, "fingerprint": self.fingerprint}
        return pack(_KIND, _VERSION, arrays, {**meta, "features": list(PAIR_FEATURES)})

    @staticmethod
    def from_bytes(content: bytes) -> RankingModel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            if tuple(meta.pop("features")) != PAIR_FEATURES:
                raise ArtifactError("This ranking model reads other features.", todo="Fit the model again.")
            named: dict[str, Any] = {**arrays, **meta}
            return RankingModel(**named)
        except (LookupError, TypeError) as error:
            raise ArtifactError(
                "This ranking-model archive does not hold what a ranking model is made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit the model again.",
            ) from error


def pair_features(pairs: Pairs) -> Floats:
    """Return the regressors float64 [n, K] in the order of :data:`PAIR_FEATURES`.

    Of what the customer has bought: logs of how often, of purchases decayed with half-lives of 28, 91 and 182
    days, of those as shares of the customer's visits, of the days since, of those over the usual interval
    (the customer's own, shrunk to the product's by one), of the odds that it is bought again. Of the rest:
    logs of sales in 7, 28 and 91 days and of what else was bought of the subcategory.
    """
    k = pairs.known
    own = (k["n"] > 0).astype(np.float64)
    new = 1.0 - own
    interval = (np.where(k["n"] > 1, k["tenure"] - k["since"], 0.0) + k["pace"]) / np.maximum(k["n"], 1.0)
    due = np.log(np.clip(k["since"] / interval, 0.02, 50.0))
    since = np.log(np.maximum(k["since"], 1.0)) - 3.0
    kin_gap = np.maximum(k["since"] - k["kin_since"], 0.0)
    season = k["season"] / (k["visits_season"] + 0.5)
    columns = (
        own,
        own * np.log(k["n"] + 0.5),
        own * (k["n"] == 1),
        own * np.log(k["season"] + 0.05),
        own * np.log(k["half_year"] + 0.05),
        own * np.log(k["lately"] + 0.05),
        own * np.log(k["n"] / np.maximum(k["visits"], 1.0) + 0.01),
        own * np.log(season + 0.01),
        own * np.log(k["lately"] / (k["visits_lately"] + 0.5) + 0.03),
        own * np.log(season * k["visits28"] + 0.02),
        own * since,
        own * since**2,
        own * due,
        own * due**2,
        own * np.log(k["again"] / (1.0 - k["again"])),
        own * np.log(interval),
        *(own * np.log1p(k[name]) for name in ("sold7", "sold28", "sold91")),
        *(new * np.log1p(k[name]) for name in ("sold7", "sold28", "sold91")),
        new * np.log(k["kin_season"] + 0.1),
        new * np.log(k["kin_lately"] + 0.1),
        own * np.log(k["season"] / np.maximum(k["kin_season"], 1e-6) + 0.02),
        own * np.log(np.maximum(k["kin_since"], 1.0)),
        own * np.log1p(kin_gap),
        np.log(k["visits28"] + 0.5),
        np.log(k["lines"] / np.maximum(k["visits"], 1.0) + 0.5),
    )
    return np.stack(columns, axis=1)


def fit_ranking(origins: Sequence[tuple[Pairs, Bools]], horizon: int, as_of: str) -> RankingModel:
    """Fit on candidates as they stood on earlier days, with what was bought of them since.

    Parameters
    ----------
    origins
        Candidates and which of them were bought within `horizon` days of their day, all before `as_of`.
    horizon
        Days.
    as_of
        ISO date, first day that the fit does not see.

    Raises
    ------
    UsageError
        If an origin's days were not over by `as_of`.
    NotIdentified
        If fewer than 50 candidates were bought.
    """
    late = [p.day for p, _ in origins if np.datetime64(p.day) + horizon > np.datetime64(as_of)]
    if late:
        raise UsageError(f"{horizon} days from {late[0]} are not over by {as_of}.")
    bought = np.concatenate([y for _, y in origins])
    if bought.sum() < _LEAST:
        raise NotIdentified(
            f"Only {int(bought.sum())} products that customers might buy were bought within {horizon} days.",
            why=f"What comes next is told from at least {_LEAST} of them.",
            todo="Hand over more of the past, or ask for consent.",
        )
    told = [p.row > p.customer.index(UNKNOWN) for p, _ in origins]
    X = np.concatenate([pair_features(p)[t] for (p, _), t in zip(origins, told, strict=True)])
    y = np.concatenate([y[t] for (_, y), t in zip(origins, told, strict=True)])
    centre, spread = X.mean(axis=0), X.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    design = np.concatenate([np.ones((len(X), 1)), (X - centre) / scale], axis=1)
    precision = np.full(design.shape[1], _SLOPE_PRECISION)
    precision[0] = _LEVEL_PRECISION
    found = fit_logistic(design, y, np.ones(len(y)), precision)
    return RankingModel(centre, scale, found.mean, horizon, as_of, origins[0][0].fingerprint)


def next_products(pairs: Pairs, score: Floats, k: int = 10) -> Ints:
    """Return the places [N, k] on the product axis of each customer's best candidates; -1 for none.

    Best first. Ties go to the earlier product, so the order of rows does not matter.
    """
    order = np.lexsort((pairs.column, -score, pairs.row))
    row = pairs.row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    out: Ints = np.full((len(pairs.customer), k), -1, dtype=np.int64)
    best = rank < k
    out[row[best], rank[best]] = pairs.column[order][best]
    return out


def coupon_relevance(
    pairs: Pairs, probability: Floats, coupons: Mapping[str, Sequence[str]], customer: Sequence[str]
) -> Floats:
    """Return the probability [n, K] that each customer buys something that each coupon is good for.

    ``1 - prod (1 - p)`` over the customer's candidates that it covers, as if those were bought independently.

    Parameters
    ----------
    pairs, probability
        Candidates, and the probability [pairs] that each is bought.
    coupons
        K coupons with the products that each covers, "no coupon" not among them.
    customer
        n pseudonyms; who is not among the pairs is the unknown visitor.
    """
    place = {name: i for i, name in enumerate(pairs.product)}
    covers = np.zeros((len(coupons), len(pairs.product)), dtype=np.bool_)
    for row, products in zip(covers, coupons.values(), strict=True):
        row[[place[name] for name in products if name in place]] = True
    stay = np.log1p(-np.minimum(probability, 1.0 - 1e-12))
    N = len(pairs.customer)
    sums = [np.bincount(pairs.row, np.where(row[pairs.column], stay, 0.0), N) for row in covers]
    rows = {name: i for i, name in enumerate(pairs.customer)}
    chosen = np.array([rows.get(name, rows[UNKNOWN]) for name in customer], dtype=np.int64)
    out: Floats = -np.expm1(np.array(sums, dtype=np.float64).reshape(len(coupons), N).T[chosen])
    return out
