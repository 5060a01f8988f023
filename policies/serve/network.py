"""A learned policy as plain NumPy: one small network that prices every product from its features.

Weights are shared across products, so the number and the order of products do not matter: a policy
trained on some products decides for others (Zaheer et al., "Deep sets", NeurIPS 2017: permutation
equivariance by construction).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from policies.serve.stored import Parts, Stored, policy_bytes
from pricing.arrays import Bools, Floats
from pricing.directed import latent_target
from pricing.errors import ArtifactError
from pricing.features import FEATURES, observe
from pricing.menu import nearest_allowed
from pricing.policy import Choice
from pricing.situation import Situation

__all__ = ["NetworkPolicy", "cell_mass"]

_NAMES = tuple(feature.name for feature in FEATURES)

_BLOCK = 64
"""Rows that are multiplied at once."""


@dataclass(frozen=True)
class NetworkPolicy(Stored):
    """A multilayer perceptron from the features of a product to a latent, tanh between its layers.

    The latent asks for a price as in the environment (:func:`pricing.directed.latent_target`), the nearest
    allowed rung is the action. Served with its mean it is deterministic; served stochastically, the latent
    is normal around the mean, and the propensity of a rung is the mass of the latents that it is
    nearest to.

    Attributes
    ----------
    features
        Names of :data:`pricing.features.FEATURES` that it was trained on, in that order.
    centre, scale
        float64 [F]; a feature is standardised by them and then kept within plus and minus 5.
    weights, biases
        float64 [n_in, n_out] and [n_out] of each layer; the last layer has one output.
    width
        Log price distance of a latent of 1; see :func:`pricing.directed.latent_width`.
    deviation
        Standard deviation of the latent.
    stochastic
        Whether it is served with probabilities.
    trained_on
        How it was trained, in one line.
    """

    NAME: ClassVar[str] = "ppo"
    KIND: ClassVar[str] = "learned"
    features: tuple[str, ...]
    centre: Floats
    scale: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    width: float
    deviation: float
    stochastic: bool = False
    trained_on: str = ""

    def __post_init__(self) -> None:
        self._check_shapes()
        if self.features != _NAMES:
            raise ArtifactError(
                "This policy reads other features than this Tarifa computes.",
                why=f"It was trained on {', '.join(self.features)}.",
                todo="Train it again.",
            )

    def _check_shapes(self) -> None:
        wide = len(self.features)
        fits = self.centre.shape == self.scale.shape == (wide,) and len(self.weights) == len(self.biases) > 0
        for weight, bias in zip(self.weights, self.biases, strict=False):
            fits = fits and weight.ndim == 2 and weight.shape[0] == wide and bias.shape == weight.shape[1:]
            wide = weight.shape[-1]
        fits = fits and all(np.isfinite(a).all() for a in (self.centre, *self.weights, *self.biases))
        fits = fits and bool((np.isfinite(self.scale) & (self.scale > 0.0)).all())
        if not fits or wide != 1 or not self.width > 0.0 or not self.deviation > 0.0:
            raise ArtifactError(
                "The layers of this ppo policy do not fit each other.", todo="Train it again."
            )

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the registered features that it reads."""
        return self.features

    def latent(self, features: Floats) -> Floats:
        """Return the mean latent [B, N] for features [B, N, F], before it is kept within -1 to 1.

        Rows are multiplied by blocks of one size, the last filled with zeros: how a library adds up depends
        on the shape of a product, and no price may depend on how many other products there are.
        """
        *lead, F = features.shape
        rows = math.prod(lead)
        filled = np.zeros((-(-rows // _BLOCK) * _BLOCK, F))
        filled[:rows] = np.clip((features - self.centre) / self.scale, -5.0, 5.0).reshape(rows, F)
        x: Floats = filled.reshape(-1, _BLOCK, F)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.tanh(x @ weight + bias)
        out: Floats = (x @ self.weights[-1] + self.biases[-1]).reshape(-1)[:rows].reshape(lead)
        return out

    def choose(self, situation: Situation, allowed: Bools) -> Choice:
        """Return the nearest allowed rung or its cell masses; see :class:`pricing.policy.Policy`.

        Features are read as the environment shows them: in single precision.
        """
        seen = observe(situation, allowed).astype(np.float32).astype(np.float64)
        mean = self.latent(seen)
        if not self.stochastic:
            target = latent_target(situation, np.clip(mean, -1.0, 1.0), self.width)
            return Choice(index=nearest_allowed(situation.menu, allowed, target))
        now = np.log(situation.state.price.astype(np.float64))
        logs = (situation.menu.log_price - now[..., None]) / self.width
        return Choice(probabilities=cell_mass(logs, allowed, mean, self.deviation))

    def to_bytes(self) -> bytes:
        """Serialise; see :mod:`policies.serve.artifact`."""
        arrays: dict[str, Any] = {"centre": self.centre, "scale": self.scale}
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays |= {f"weight_{place}": weight, f"bias_{place}": bias}
        meta: dict[str, object] = {
            "features": list(self.features), "width": self.width, "deviation": self.deviation,
            "stochastic": self.stochastic, "trained_on": self.trained_on, "layers": len(self.weights),
        }  # fmt: skip
        return policy_bytes(self.name, arrays, meta)

    @staticmethod
    def from_parts(parts: Parts) -> NetworkPolicy:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        layers = range(int(parts.number("layers")))
        return NetworkPolicy(
            features=parts.words("features"),
            centre=parts.array("centre", "f", 1),
            scale=parts.array("scale", "f", 1),
            weights=tuple(parts.array(f"weight_{place}", "f", 2) for place in layers),
            biases=tuple(parts.array(f"bias_{place}", "f", 1) for place in layers),
            width=parts.number("width"),
            deviation=parts.number("deviation"),
            stochastic=bool(parts.meta.get("stochastic")),
            trained_on=str(parts.meta.get("trained_on", "")),
        )


def cell_mass(places: Floats, allowed: Bools, mean: Floats, deviation: float) -> Floats:
    """Return the probability that each rung is the allowed one nearest to a clipped normal latent.

    Cells end half-way between neighbouring allowed rungs; a latent beyond -1 or 1 counts as -1 or 1, as
    in the environment, so its mass falls to the cell that holds that end.

    Parameters
    ----------
    places
        float64 [B, N, K]; latent at which each rung lies, ascending.
    allowed
        bool [B, N, K].
    mean
        float64 [B, N]; of the latent.
    deviation
        Its standard deviation.

    Returns
    -------
    Floats
        float64 [B, N, K]; each row sums to 1, or is 0 where nothing is allowed.
    """
    upper = _boundaries(places, allowed)
    z = (upper - mean[..., None]) / deviation
    below = np.where(upper < -1.0, 0.0, np.where(upper >= 1.0, 1.0, _normal_cdf(z)))
    below = np.where(allowed, below, 0.0)
    before = np.zeros_like(below)
    before[..., 1:] = np.maximum.accumulate(below, axis=-1)[..., :-1]
    return np.where(allowed, below - before, 0.0)


def _boundaries(places: Floats, allowed: Bools) -> Floats:
    """Return the upper end of every allowed rung's cell [B, N, K], inf for the highest."""
    following = np.full(places.shape, np.inf)
    ahead = np.full(places.shape[:-1], np.inf)
    for rung in range(places.shape[-1] - 1, -1, -1):
        following[..., rung] = ahead
        ahead = np.where(allowed[..., rung], places[..., rung], ahead)
    return np.asarray(0.5 * (places + following))


_erf = np.frompyfunc(math.erf, 1, 1)


def _normal_cdf(z: Floats) -> Floats:
    return 0.5 * (1.0 + np.asarray(_erf(z * math.sqrt(0.5)), dtype=np.float64))
