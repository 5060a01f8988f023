"""The uplift model as a noun: what a coupon adds to a customer's net profit, and what it costs.

Everything is *incremental*: the difference to giving the same customer no coupon, which is offer 0 of every K
axis. The likeliest redeemers are often those who would have bought anyway, so a probability of redemption
says what an offer costs and never what it brings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.archive import content_digest, pack, unpack
from pricing.arrays import Floats, Ints
from pricing.errors import ArtifactError, UsageError
from pricing.evidence import Identification

__all__ = ["Basis", "Effects", "UpliftModel"]

_KIND, _VERSION = "uplift-model", 3
_CHUNK = 1 << 15
_MOST_OFF = 2.0
"""Largest share of a purchase's profit that a coupon is believed to take."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What the effect may depend on: features, kept inside what was seen, and products of them.

    Attributes
    ----------
    features
        F names, none twice.
    low, high
        float64 [F]; a value outside is taken to the nearer end: no effect outside what was observed.
    centre, scale
        float64 [F]; what standardises a feature. NaN stands for the centre.
    products
        int64 [R, 3]; which standardised features are multiplied: a square names one twice, and -1 stands for
        none.
    offset
        float64 [R + S]; mean of each product and step over the customers of the fit, taken off it.
    level
        float64 [1 + F]; log of what a customer is expected to spend anyway, over the average, linear in the
        standardised features. Effects are modelled as a share of it: a coupon moves a large customer by more
        money. All 0: effects are modelled in money.
    stepping, edges
        int64, float64 [S]; which standardised feature, and above which value of it a step of 1 is added.
    odds
        float64 [K, Q]; log odds of buying anything under each of K offers, on the Q regressors so far; none
        where there is no such guess.
    worth
        float64 [K, 1 + F]; linear in standardised features: first the log of a purchase's profit before its
        coupon, minor units; then, offer by offer, of the share of it that the coupon takes.
    """

    features: tuple[str, ...]
    low: Floats
    high: Floats
    centre: Floats
    scale: Floats
    products: Ints
    offset: Floats
    level: Floats
    stepping: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    edges: Floats = field(default_factory=lambda: np.zeros(0))
    odds: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    worth: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __len__(self) -> int:
        """P: 1, the features, their products, steps; and the guess of each offer's effect, if any."""
        return self.plain + max(len(self.odds) - 1, 0)

    @property
    def plain(self) -> int:
        """Q: 1, the features, their products, steps."""
        return 1 + len(self.features) + len(self.products) + len(self.edges)

    @property
    def unguessed(self) -> Basis:
        """The same without the guess of effects."""
        return replace(self, odds=np.zeros((0, 0)), worth=np.zeros((0, 0)))

    def design(self, values: Floats) -> Floats:
        """Return the regressors, float64 [N, P], of features [N, F]; raises as :meth:`standardised`."""
        return self.expand(self.standardised(values))

    def scale_of(self, z: Floats) -> Floats:
        """Return what standardised features [N, F] multiply effects by, float64 [N]."""
        out: Floats = np.exp(self.level[0] + z @ self.level[1:])
        return out

    def standardised(self, values: Floats) -> Floats:
        """Return features [N, F] standardised, those outside what was seen at its edge, NaN at the centre.

        Raises
        ------
        UsageError
            If there are not F columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.features):
            raise UsageError(
                f"Features have shape {values.shape}; this model reads {len(self.features)} columns.",
                why=f"In this order: {', '.join(self.features)}.",
            )
        return np.nan_to_num((np.clip(values, self.low, self.high) - self.centre) / self.scale, nan=0.0)

    def expand(self, z: Floats) -> Floats:
        """Return 1, the standardised features [N, F], their products, steps and guesses, float64 [N, P]."""
        out = np.empty((len(z), len(self)))
        out[:, 0] = 1.0
        out[:, 1 : 1 + z.shape[1]] = z
        for r, named in enumerate(self.products.tolist()):
            column = out[:, 1 + z.shape[1] + r]
            np.multiply(z[:, named[0]], z[:, named[1]], out=column)
            if named[2] >= 0:
                column *= z[:, named[2]]
            column -= self.offset[r]
        R = len(self.products)
        for s, (f, edge) in enumerate(zip(self.stepping.tolist(), self.edges.tolist(), strict=True), R):
            np.subtract(z[:, f] > edge, self.offset[s], out=out[:, 1 + z.shape[1] + s])
        if len(self.odds):
            guess, _ = self.guessed(out[:, : self.plain], z)
            np.divide(guess, self.scale_of(z)[:, None], out=out[:, self.plain :])
        return out

    def guessed(self, plain: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return effects as a hurdle model has them, and their slope in an offer's log odds, [N, K - 1] each.

        The profit of a purchase, less what the coupon takes of it, times the chance of one; less that without
        a coupon (Cragg 1971; Mullahy 1986). Of the first Q regressors [N, Q], standardised features [N, F].
        """
        logs = self.worth[:, 0] + z @ self.worth[:, 1:].T
        worth = np.exp(logs[:, :1])
        kept = worth * (1.0 - np.exp(np.minimum(logs[:, 1:], np.log(_MOST_OFF))))
        chance = 0.5 * (1.0 + np.tanh(0.5 * (plain @ self.odds.T)))
        slope = kept * chance[:, 1:] * (1.0 - chance[:, 1:])
        return kept * chance[:, 1:] - worth * chance[:, :1], slope


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What each of K offers would do with each of N customers; column 0 (no coupon) is all 0.

    Attributes
    ----------
    profit, sd
        float64 [N, K]; expected incremental net profit from the first day of the coupon to the last day of
        the window after it, minor units, and the standard deviation of what is not known of it.
    cost
        float64 [N, K]; expected discount that the shop pays, minor units, net of tax: redemption by those who
        would have bought anyway included.
    redemption
        float64 [N, K]; probability that the coupon is used.
    """

    profit: Floats
    sd: Floats
    cost: Floats
    redemption: Floats


@dataclass(frozen=True, eq=False)
class UpliftModel:
    """Incremental profit on a basis of features, with its posterior; redemption and discount beside.

    Of a customer whose features are z, offer k adds ``scale(z) * basis(z) @ mean[k]`` in expectation.

    Attributes
    ----------
    offers
        K names; the first is empty: no coupon.
    basis
        What the P regressors are.
    mean
        float64 [K, P]; posterior mean of the coefficients of incremental profit, minor units; row 0 is 0.
    covariance
        float64 [K, P, K, P]; their posterior covariance.
    redemption
        float64 [K, P]; coefficients of the log odds of redemption.
    discount
        float64 [K, P]; coefficients of the mean discount of a coupon that is used, minor units.
    most
        float64 [K]; largest discount seen, minor units: predictions stay between 0 and it.
    identified_by
        K; what each effect rests on. `PRIOR` and `NOT_IDENTIFIED` are no ground to give a coupon.
    window_days, after_days
        int; length of the coupon's window, and of the time after it that the effect includes.
    currency, as_of, fingerprint
        ISO 4217; ISO date of the first day that the fit did not see; of the data.

    Raises
    ------
    ArtifactError
        If shapes do not fit each other, a number is not finite, or offer 0 has an effect.
    """

    offers: tuple[str, ...]
    basis: Basis
    mean: Floats
    covariance: Floats
    redemption: Floats
    discount: Floats
    most: Floats
    identified_by: tuple[Identification, ...]
    window_days: int
    after_days: int
    currency: str
    as_of: str
    fingerprint: str

    def __post_init__(self) -> None:
        K, P = len(self.offers), len(self.basis)
        shapes = {
            "mean": (K, P), "covariance": (K, P, K, P), "redemption": (K, P), "discount": (K, P), "most": (K,)
        }  # fmt: skip
        wrong = [name for name, shape in shapes.items() if getattr(self, name).shape != shape]
        wrong += [name for name in shapes if not np.isfinite(getattr(self, name)).all()]
        wrong += ["identified_by"] if len(self.identified_by) != K else []
        guess = (self.basis.odds, self.basis.worth)
        if any(map(len, guess)) and tuple(part.shape for part in guess) != (
            (K, self.basis.plain), (K, 1 + len(self.basis.features))
        ):  # fmt: skip
            wrong.append("basis")
        wrong += ["basis"] if not all(np.isfinite(part).all() for part in guess) else []
        wrong += ["offers"] if self.offers[:1] != ("",) or len(set(self.offers)) != K else []
        if wrong or self.mean[0].any() or self.covariance[0].any() or self.most[0] != 0.0:
            raise ArtifactError(
                "This is not an uplift model.",
                why=f"Not as declared: {', '.join(wrong) or 'offer 0, no coupon, has an effect'}.",
                todo="Fit the model again.",
            )

    @property
    def may_act(self) -> tuple[bool, ...]:
        """K; whether an offer may be given on this evidence without an explicit opt-in; no coupon always."""
        return (True, *(kind.may_act for kind in self.identified_by[1:]))

    def profit(self, values: Floats) -> Floats:
        """Return expected incremental net profit, float64 [N, K] in minor units, of features [N, F]."""
        out = np.empty((len(values), len(self.offers)))
        for part, X, scale in self._designs(values):
            np.multiply(X @ self.mean.T, scale[:, None], out=out[part])
        return out

    def used(self, values: Floats) -> Floats:
        """Return the probability that each offer is used, float64 [N, K], of features [N, F]."""
        out = np.zeros((len(values), len(self.offers)))
        for part, X, _ in self._designs(values):
            out[part, 1:] = 0.5 * (1.0 + np.tanh(0.5 * (X @ self.redemption[1:].T)))
        return out

    def predict(self, values: Floats) -> Effects:
        """Return everything that is known of each offer for customers with features [N, F]."""
        N, K = len(values), len(self.offers)
        out = Effects(*(np.zeros((N, K)) for _ in range(4)))
        roots = [_root(self.covariance[k, :, k, :]) for k in range(K)]
        for part, X, scale in self._designs(values):
            np.multiply(X @ self.mean.T, scale[:, None], out=out.profit[part])
            used = 0.5 * (1.0 + np.tanh(0.5 * (X @ self.redemption.T)))
            off = np.clip(X @ self.discount.T, 0.0, self.most)
            out.redemption[part, 1:] = used[:, 1:]
            out.cost[part, 1:] = (used * off)[:, 1:]
            for k in range(1, K):
                out.sd[part, k] = scale * np.sqrt(np.square(X @ roots[k]).sum(axis=1))
        return out

    def draws(self, count: int, rng: np.random.Generator) -> Floats:
        """Return coefficients drawn from the posterior, float64 [D, K, P]."""
        K, P = self.mean.shape
        root = _root(self.covariance.reshape(K * P, K * P))
        return self.mean + (rng.standard_normal((count, K * P)) @ root.T).reshape(count, K, P)

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same model gives the same bytes."""
        return pack(_KIND, _VERSION, *self._parts())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that it holds."""
        return content_digest(_KIND, _VERSION, *self._parts())

    def _parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
        values = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "basis"}
        values |= {f"basis_{part.name}": getattr(self.basis, part.name) for part in fields(self.basis)}
        arrays: dict[str, NDArray[Any]] = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        meta = {name: value for name, value in values.items() if name not in arrays}
        labels = [kind.label for kind in self.identified_by]
        return arrays, {**meta, "identified_by": labels}

    @staticmethod
    def from_bytes(content: bytes) -> UpliftModel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            named: dict[str, Any] = {**arrays, **meta}
            named["offers"] = tuple(map(str, named["offers"]))
            named["identified_by"] = tuple(Identification[str(k).upper()] for k in named["identified_by"])
            named["basis_features"] = tuple(map(str, named["basis_features"]))
            inner = {name: named.pop(f"basis_{name}") for name in (part.name for part in fields(Basis))}
            return UpliftModel(basis=Basis(**inner), **named)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ArtifactError(
                "This uplift-model archive does not hold what an uplift model is made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit the model again.",
            ) from error

    def _designs(self, values: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
        for start in range(0, len(values), _CHUNK):
            part = slice(start, start + _CHUNK)
            z = self.basis.standardised(values[part])
            yield part, self.basis.expand(z), self.basis.scale_of(z)


def _root(covariance: Floats) -> Floats:
    """Return R with R R' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    out: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return out
