"""A trained network as a coupon policy, in plain NumPy: what learned in the environment decides anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.bandits.experience import Named
from pricing.archive import digest, pack
from pricing.arrays import Bools, Floats
from pricing.coupon_rules import OfferSituation
from pricing.errors import ArtifactError
from pricing.policy import Choice

__all__ = ["NetworkOffers"]

_CLIP = 4.0


@dataclass(frozen=True)
class NetworkOffers(Named):
    """A multilayer perceptron over the features: chances of offers, or the offer that it values most.

    What it asks for and the guardrails refuse becomes no coupon, as in the environment; the chance of no
    coupon is then the sum of theirs, so propensities stay exact.

    Attributes
    ----------
    label
        Short name.
    centre, scale
        float64 [F]; what standardises features.
    weights, biases
        float64 [F, H], [H]; ...; [H, K], [K].
    rectified
        Whether hidden units are rectified (DQN's); else hyperbolic tangents.
    greedy
        Whether the best offer is taken; else one is drawn by the softmax.
    """

    label: str
    centre: Floats
    scale: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    rectified: bool
    greedy: bool

    def __post_init__(self) -> None:
        if not self.weights or len(self.weights) != len(self.biases):
            raise ArtifactError("A network of weights without biases, or without layers, decides nothing.")

    @property
    def name(self) -> str:
        """Short name."""
        return self.label

    @property
    def version(self) -> str:
        """Digest of its weights."""
        arrays = {f"w{i}": w for i, w in enumerate(self.weights)} | {
            f"b{i}": b for i, b in enumerate(self.biases)
        }
        arrays |= {"centre": self.centre, "scale": self.scale}
        return digest(pack("offer-network", 1, arrays, {"how": [self.rectified, self.greedy]}))

    def logits(self, features: Floats) -> Floats:
        """Return log chances up to a constant, or values, float64 [..., K]; features [..., F]."""
        h = np.clip((features - self.centre) / self.scale, -_CLIP, _CLIP)
        for place, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = h @ w + b
            if place < len(self.weights) - 1:
                h = np.maximum(h, 0.0) if self.rectified else np.tanh(h)
        return h

    def choose(self, situation: OfferSituation, allowed: Bools) -> Choice:
        """Return the offer or its chances; see :class:`pricing.coupon_decision.OfferPolicy`."""
        logits = self.logits(situation.features)
        if self.greedy:
            best = np.argmax(logits, axis=-1)
            may = np.take_along_axis(allowed, best[..., None], axis=-1)[..., 0]
            return Choice(index=np.where(may, best, 0).astype(np.int64))
        chances = np.exp(logits - logits.max(axis=-1, keepdims=True))
        chances /= chances.sum(axis=-1, keepdims=True)
        kept = np.where(allowed, chances, 0.0)
        kept[..., 0] += np.where(allowed, 0.0, chances).sum(axis=-1)
        return Choice(probabilities=kept)
