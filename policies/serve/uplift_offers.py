"""Offers by what they add: the uplift model as a policy, alone or with the doubt that it has.

An offer is worth its expected incremental profit less what its money is worth elsewhere: the shadow price of
its campaign's budget times what it is expected to draw on it, the chance that it is used times what it takes
off this cart. No coupon is worth nothing, and is what is left where no offer is worth more.

Where offers are used more or less than was predicted, both follow: each use costs what it costs and adds what
it was predicted to add. An offer that nobody uses would else look cheap, and be given to everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.serve.realised_use import Correction
from pricing.archive import content_digest, pack, unpack
from pricing.arrays import Bools, Floats, Ints
from pricing.coupon_rules import OfferSituation
from pricing.errors import ArtifactError, UsageError
from pricing.policy import Choice
from pricing.uplift import UpliftModel

__all__ = ["UpliftOffers"]

_KIND, _VERSION = "uplift-offers", 1

_CELLS = 1 << 20
"""Draws times customers times offers that are compared at once: bounds the memory, not the answer."""


@dataclass(frozen=True, eq=False)
class UpliftOffers:
    """Choose the offer that adds most; with stored draws, each draw chooses and one of them decides.

    With D draws it is Thompson sampling: propensities are exact shares of draws, and the log supports a
    comparison of policies. Without draws the choice is certain and supports none.

    Attributes
    ----------
    model
        What offers add, cost and rest on. Offers of a menu that it does not know are worth nothing.
    shadow
        float64 [K]; what a minor unit of each offer's budget is worth, in the order of `model.offers`; 0
        where no budget binds.
    coefficients
        float64 [D, K, P]; draws of the model's coefficients; None for its mean alone.
    correction
        What realised uses say of predicted ones; None where nothing tells. What a *use* adds stays as it was
        predicted: only a comparison with no coupon tells that.
    """

    model: UpliftModel
    shadow: Floats
    coefficients: Floats | None = None
    correction: Correction | None = None
    name: str = field(default="uplift", init=False)

    def __post_init__(self) -> None:
        K, P = self.model.mean.shape
        if self.shadow.shape != (K,) or not ((self.shadow >= 0.0) & (self.shadow < np.inf)).all():
            raise UsageError(f"A shadow price of each of {K} offers must be 0 or more.")
        if self.realised.use.level.shape != (K,):
            raise UsageError(f"A correction by uses is about {K} offers.")
        drawn = self.coefficients
        if drawn is not None and (drawn.ndim != 3 or not len(drawn) or drawn.shape[1:] != (K, P)):
            raise UsageError(f"Draws have shape {drawn.shape}, not [D, {K}, {P}] with one or more of them.")

    @staticmethod
    def of(model: UpliftModel, draws: int = 0, seed: int = 0) -> UpliftOffers:
        """Make the policy of a model; `draws` of 0 makes a certain choice."""
        drawn = model.draws(draws, np.random.default_rng(seed)) if draws else None
        return UpliftOffers(model, np.zeros(len(model.offers)), drawn)

    @property
    def version(self) -> str:
        """Digest of everything that the choice depends on besides the situation."""
        return self._version

    @cached_property
    def _version(self) -> str:
        return content_digest(_KIND, _VERSION, self._arrays(), {"model": self.model.digest})

    @property
    def reads(self) -> tuple[str, ...]:
        """The features that the model reads."""
        return self.model.basis.features

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the choice; see :class:`pricing.coupon_decision.OfferPolicy`.

        Raises
        ------
        UsageError
            If the situation lacks a feature that the model reads.
        """
        values = self._values(situation)
        runs, count, offers = allowed.shape
        where = {name: k for k, name in enumerate(self.model.offers)}
        place = np.array([where.get(name, -1) for name in situation.menu.ids], dtype=np.int64)
        price, more = np.zeros((runs * count, offers)), np.ones((runs * count, offers))
        if self.shadow.any():
            chance, ratio = self.chance(values)
            charged = self.shadow * self.realised.money * chance
            price = charged[:, place] * situation.discount.reshape(runs * count, offers)
            more = ratio[:, place]
        if self.coefficients is None:
            worth = np.where(place >= 0, self.model.profit(values)[:, place] * more - price, -np.inf)
            return Choice(index=_best(worth.reshape(allowed.shape), allowed))
        open_ = allowed.reshape(runs * count, offers)
        chosen = _chosen(self._regressors(values), self.coefficients, place, more, price, open_)
        shares = _shares(chosen, offers).reshape(allowed.shape)
        return Choice(probabilities=shares, components=chosen.reshape(runs, count, -1))

    @property
    def realised(self) -> Correction:
        """The correction; where nothing tells one, one that changes nothing."""
        return Correction.none(len(self.model.offers)) if self.correction is None else self.correction

    def priced(self, shadow: Floats, correction: Correction) -> UpliftOffers:
        """Return the same policy at other shadow prices; where no budget binds, just as it was fitted."""
        bound = bool(shadow.any())
        return replace(self, shadow=shadow, correction=correction if bound else None)

    def chance(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the chance of use for features [N, F], and what it multiplies profits by: [N, K] each."""
        return self.realised.applied(self.model.used(values))

    def sampled(self, values: Floats) -> Floats:
        """Return profits of N customers as the draws take turns, float64 [N, K]: what choices come from."""
        if self.coefficients is None:
            return self.model.profit(values)
        X, turns = self._regressors(values), len(self.coefficients)
        out = np.empty((len(X), len(self.model.offers)))
        for draw, beta in enumerate(self.coefficients):
            out[draw::turns] = X[draw::turns] @ beta.T
        return out

    def _regressors(self, values: Floats) -> Floats:
        z = self.model.basis.standardised(values)
        return self.model.basis.expand(z) * self.model.basis.scale_of(z)[:, None]

    def columns(self, names: Sequence[str]) -> list[int]:
        """Return where the features that it reads stand; raises :class:`UsageError` where one does not."""
        missing = sorted(set(self.reads) - set(names))
        if missing:
            raise UsageError(
                f"The uplift model reads {missing[0]}, which is not known here.",
                todo="Fit it on registered features of customers.",
            )
        return [names.index(name) for name in self.reads]

    def _values(self, situation: OfferSituation) -> Floats:
        columns = self.columns(situation.feature_names)
        return np.ascontiguousarray(situation.features[..., columns]).reshape(-1, len(columns))

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same policy gives the same bytes."""
        model = np.frombuffer(self.model.to_bytes(), dtype=np.uint8)
        return pack(_KIND, _VERSION, {**self._arrays(), "model": model}, {})

    def _arrays(self) -> dict[str, NDArray[Any]]:
        named = (
            ("shadow", self.shadow),
            ("coefficients", self.coefficients),
            ("correction", None if self.correction is None else self.correction.numbers()),
        )
        return {name: array for name, array in named if array is not None}

    @staticmethod
    def from_bytes(content: bytes) -> UpliftOffers:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, _ = unpack(_KIND, _VERSION, content)
        try:
            model = UpliftModel.from_bytes(arrays["model"].tobytes())
            told = arrays.get("correction")
            correction = None if told is None else Correction.of(told)
            return UpliftOffers(model, arrays["shadow"], arrays.get("coefficients"), correction)
        except (LookupError, UsageError) as error:
            raise ArtifactError(
                "This archive does not hold a policy of offers.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit the model again.",
            ) from error


def _chosen(
    X: Floats, coefficients: Floats, place: Ints, more: Floats, price: Floats, allowed: Bools
) -> Ints:
    """Return the offer that each draw chooses, int64 [N, D].

    Parameters
    ----------
    X
        float64 [N, P]; regressors, scaled.
    coefficients
        float64 [D, L, P]; draws, of the L offers that the model knows.
    place
        int64 [K]; which of them each offer of the menu is, -1 for none.
    more, price
        float64 [N, K]; what they are worth is multiplied with the one, and the other taken off.
    allowed
        bool [N, K].
    """
    N, D = len(X), len(coefficients)
    out, may = np.empty((N, D), dtype=np.int64), allowed & (place >= 0)
    block = max(1, _CELLS // max(1, N * len(place)))
    for start in range(0, D, block):
        some = np.matmul(X, coefficients[start : start + block].transpose(0, 2, 1))
        out[:, start : start + block] = _best(some[..., place] * more - price, may).T
    return out


def _shares(chosen: Ints, offers: int) -> Floats:
    """Return the share of draws that choose each offer, float64 [N, K], of their choices [N, D]."""
    N, D = chosen.shape
    cells = np.arange(N, dtype=np.int64)[:, None] * offers + chosen
    out: Floats = np.bincount(cells.ravel(), minlength=N * offers).reshape(N, offers) / D
    return out


def _best(worth: Floats, allowed: Bools) -> Ints:
    """Return the allowed offer of most worth [..., K]; the first of equals, so no coupon wins a tie."""
    best: Ints = np.argmax(np.where(allowed, worth, -np.inf), axis=-1).astype(np.int64)
    return best
