"""The redemption model as a noun: how likely a household is to use a coupon of a campaign it was given.

The unit is an *offer*: one household x one campaign, from the day on which the household was exposed. It is
redeemed if the household uses at least one coupon of the campaign before the campaign ends. What a coupon
*adds* to sales is another question, which targeted offers cannot answer.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.archive import pack, unpack
from pricing.arrays import Floats
from pricing.errors import ArtifactError

__all__ = ["OFFER_FEATURES", "RedemptionModel"]

OFFER_FEATURES = ("coupon_share", "recent_coupons", "affinity", "subcategory_affinity", "face_value")
"""Order of the K axis. All describe a household as it was known *before* the day of exposure:

- ``coupon_share``: ``log(1 + 10 (days + .3) / (all days + 8))``, a shrunken share of the days on which it
  bought, those on which it used a coupon of any kind;
- ``recent_coupons``: log of 1 + order lines with a coupon in the last 56 days;
- ``affinity``: log of 1 + order lines in the last 56 days with products that the campaign's coupons cover;
- ``subcategory_affinity``: the same for products of the subcategories that they cover;
- ``face_value``: log of the mean face value of the campaign's coupons in minor units, NaN where the shop does
  not record it.
"""

_KIND, _VERSION = "redemption-model", 1


@dataclass(frozen=True, slots=True)
class RedemptionModel:
    """A logit of redemption with partial pooling, and the pace at which coupons come in.

    Columns of the two regressions: 1, the K features (standardised), then the G kinds of campaign; the full
    one has the household's history after the features.

    Attributes
    ----------
    kinds
        The G kinds of campaign seen in training, ascending.
    centre, scale
        float64 [K]; what standardises a feature. A feature that was never seen, or never differed, has
        scale 1 and a coefficient that no evidence moved from 0.
    screen
        float64 [1 + K + G]; log odds without history. What a household did beyond it is its history.
    mean, covariance
        float64 [2 + K + G] and its square; log odds with history, and their Laplace covariance.
    campaign_sd
        float; sd of the log odds that the households of one campaign share beyond its kind.
    calibration
        float64 [2]; intercept and slope that map log odds to log odds, learned on campaigns that were
        predicted before they began. (0, 1) where there were too few.
    calibrated_on
        int; redeemed offers behind `calibration`.
    timing
        float64 [Q]; share of redeeming households that have redeemed for the first time by 0, 1/(Q-1), ..., 1
        of the campaign's window. The last is 1.
    as_of
        str; ISO date, first day that the fit did not see.
    fingerprint
        str; of the data that it was fitted on.
    """

    kinds: tuple[str, ...]
    centre: Floats
    scale: Floats
    screen: Floats
    mean: Floats
    covariance: Floats
    campaign_sd: float
    calibration: Floats
    calibrated_on: int
    timing: Floats
    as_of: str
    fingerprint: str

    def screened(self, features: Floats, kind: tuple[str, ...]) -> Floats:
        """Return the probability [n] of redemption without history; features [n, K], kind of length n."""
        return _expit(self.design(features, kind) @ self.screen)

    def probability(self, features: Floats, history: Floats, kind: tuple[str, ...]) -> Floats:
        """Return the calibrated probability of redemption before the campaign ends.

        Parameters
        ----------
        features
            float64 [n, K] in the order of :data:`OFFER_FEATURES`; NaN stands for the training mean.
        history
            float64 [n]; log odds by which the household redeemed more than `screened` expected; 0 for one
            that nothing is known of.
        kind
            n kinds of campaign; one never seen counts as the average kind.

        Returns
        -------
        Floats
            float64 [n]. Multiply by :meth:`seen_share` for redemption before some earlier day.
        """
        a, b = self.calibration
        return _expit(a + b * self.log_odds(features, history, kind))

    def log_odds(self, features: Floats, history: Floats, kind: tuple[str, ...]) -> Floats:
        """Return log odds [n] before calibration; arguments as in :meth:`probability`."""
        return self.design(features, kind, history) @ self.mean

    def seen_share(self, elapsed: Floats) -> Floats:
        """Return the share of redeemers who have redeemed by a share `elapsed` (0-1) of the window."""
        grid: Floats = np.linspace(0.0, 1.0, len(self.timing))
        return np.interp(np.clip(elapsed, 0.0, 1.0), grid, self.timing)

    def design(self, features: Floats, kind: tuple[str, ...], history: Floats | None = None) -> Floats:
        """Return the regressors: [n, 1 + K + G], or [n, 2 + K + G] with a history; missing features are 0."""
        z = np.nan_to_num((features - self.centre) / self.scale, nan=0.0)
        member: Floats = (np.array(kind)[:, None] == np.array(self.kinds)[None, :]).astype(np.float64)
        past = [] if history is None else [history[:, None]]
        return np.concatenate([np.ones((len(z), 1)), z, *past, member], axis=1)

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same model gives the same bytes."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays: dict[str, NDArray[Any]] = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        meta = {name: value for name, value in values.items() if name not in arrays}
        return pack(_KIND, _VERSION, arrays, {**meta, "kinds": list(self.kinds)})

    @staticmethod
    def from_bytes(content: bytes) -> RedemptionModel:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            named: dict[str, Any] = {**arrays, **meta, "kinds": tuple(meta["kinds"])}
            return RedemptionModel(**named)
        except (LookupError, TypeError) as error:
            raise ArtifactError(
                "This redemption-model archive does not hold what a redemption model is made of.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit the model again.",
            ) from error


def _expit(eta: Floats) -> Floats:
    out: Floats = 0.5 * (1.0 + np.tanh(0.5 * eta))
    return out
