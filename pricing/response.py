"""Forms of the response to the regular price: an elasticity need not be the same at every price.

Beside the constant elasticity there are two bends, both 0 at the reference price and straight lines far from
it, so that no price in the support makes them explode:

* `curve`: demand that is more (below 0) or less elastic at high prices than at low ones. Linear and
  exponential demand, and shoppers who choose by logit or probit, bend so.
* `threshold`: small differences move less (below 0) or more than large ones do (Gupta and Cooper, Journal of
  Consumer Research 1992; Han, Gupta and Lehmann, Journal of Retailing 2001).

A form lets some of the bends be other than 0. Which form holds is not known; :class:`ResponseForms` keeps how
likely each is, and what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.arrays import Bools, Floats, Ints
from pricing.randomness import label_hash, normals, uniforms

__all__ = ["BENDS", "FORMS", "ResponseForms", "arc_of_bends", "bend_slopes", "bends"]

BENDS = ("curve", "threshold")
"""Names of the bends, in the order of every axis of length 2 below."""

FORMS: tuple[tuple[str, tuple[bool, bool]], ...] = (
    ("constant", (False, False)),
    ("curve", (True, False)),
    ("threshold", (False, True)),
    ("curve_threshold", (True, True)),
)
"""Each form's name, and which bends it lets be other than 0."""

_SCALE = 0.05
"""Log distance from the reference price at which a threshold has three quarters of its slope. Thresholds of
5 % are what is found of brands (Han, Gupta and Lehmann 2001, 2 to 6 %)."""
_ARC = (np.log(0.9), np.log(1.1))
_STREAM = label_hash("response form")
_PLACE = 0x666F726D
"""Last key word of a form's own uniform ("form")."""


def bends(x: Floats) -> tuple[Floats, Floats]:
    """Return regressors of `curve` and `threshold`, for x = log(R / R0) of any shape.

    With s = .05 they are ``x**2 / (|x| + s)`` and ``x |x| / (|x| + s)``.
    """
    odd = x * np.abs(x) / (np.abs(x) + _SCALE)
    return np.abs(odd), odd


def bend_slopes(x: Floats) -> tuple[Floats, Floats]:
    """Return the derivatives of :func:`bends`, of the shape of x."""
    far = np.abs(x)
    odd = far * (far + 2.0 * _SCALE) / (far + _SCALE) ** 2
    return np.sign(x) * odd, odd


def arc_of_bends(x: Floats) -> tuple[Floats, Floats]:
    """Return the slopes of :func:`bends` between 10 % below and 10 % above x, of the shape of x."""
    down, up = _ARC
    (low_curve, low_threshold), (high_curve, high_threshold) = bends(x + down), bends(x + up)
    return (high_curve - low_curve) / (up - down), (high_threshold - low_threshold) / (up - down)


@dataclass(frozen=True, slots=True)
class ResponseForms:
    """What is known of the bends that all series of a shop share, a mixture over :data:`FORMS`.

    Attributes
    ----------
    weight
        float64 [F]; probabilities of the first F of :data:`FORMS`.
    mean, covariance
        float64 [F, 2], [F, 2, 2]; normal posterior of the bends under each form. A bend that a form holds at
        0 has next to no variance there, not none: the matrices stay invertible.
    """

    weight: Floats
    mean: Floats
    covariance: Floats

    @property
    def centre(self) -> Floats:
        """float64 [2]; mean of the mixture."""
        out: Floats = self.weight @ self.mean
        return out

    @property
    def spread(self) -> Floats:
        """float64 [2, 2]; covariance of the mixture."""
        away = self.mean - self.centre
        each = self.covariance + away[:, :, None] * away[:, None, :]
        out: Floats = np.einsum("f,fij->ij", self.weight, each)
        return out

    @property
    def free(self) -> Bools:
        """Bool [F, 2]; which bends each form lets be other than 0."""
        return np.array([free for _, free in FORMS[: len(self.weight)]])

    @property
    def bent(self) -> Bools:
        """Bool [2]; which bends are other than 0 in any form."""
        return np.asarray(self.free.any(axis=0))

    def draws(self, numbers: Ints, seed: int) -> Floats:
        """Return the bends of each draw, float64 [D, 2]; one follows from (seed, number) alone.

        A draw is a world: it has one form, the same for all its series; what that form holds at 0 is 0.
        """
        keys = np.empty((len(numbers), 4), dtype=np.uint64)
        keys[:, 0], keys[:, 1] = _STREAM >> 32, _STREAM & 0xFFFFFFFF
        keys[:, 2], keys[:, 3] = numbers.astype(np.uint64), _PLACE
        form = np.searchsorted(np.cumsum(self.weight)[:-1], uniforms(keys, seed), side="right")
        z = normals(np.array([_STREAM], dtype=np.uint64), numbers, len(BENDS), seed)[:, 0]
        factor = np.asarray(np.linalg.cholesky(self.covariance), dtype=np.float64)
        # Term by term: the bits of a draw follow from it alone, whatever others are made beside it.
        out: Floats = self.mean[form]
        for k in range(len(BENDS)):
            out = out + factor[form, :, k] * z[:, k, None]
        return np.where(self.free[form], out, 0.0)
