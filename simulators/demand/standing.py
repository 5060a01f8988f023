"""Where a fit stands as its periods end: all that an update with later periods starts from.

A demand model keeps of the drifting level what the coming weeks may be expected to have of it. To go on from
there, more is needed: coefficients and the last drift apart, with what is known of them together. That is the
filtered state of a linear state-space model (Durbin and Koopman, Time Series Analysis by State Space Methods,
2012, chapter 4), here with Laplace's approximation of the negative binomial. Shared shocks to come are one
variance around their expected mean: what lasts of them is in the levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing.archive import pack, unpack
from pricing.arrays import Floats
from pricing.errors import ArtifactError
from pricing.model import COEFFICIENTS
from pricing.panel import Panel
from simulators.demand.design import log_traffic
from simulators.demand.drift import Drift
from simulators.demand.irls import laplace_mean
from simulators.demand.posterior import Evidence, Parameters, chunks, counted, laplace
from simulators.demand.seasons import Seasons
from simulators.demand.shocks import outlook
from simulators.demand.weekdays import weekday_means

__all__ = ["Standing", "mean_log_traffic", "standing"]

_KIND, _VERSION = "standing", 1
_TRAFFIC = COEFFICIENTS.index("traffic")


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of N series after T periods, with K coefficients (those of a price control included).

    Attributes
    ----------
    mean
        float64 [N, K + 1]; of the coefficients and of the drift in the last period.
    covariance
        float64 [N, K + 1, K + 1].
    prior_covariance
        float64 [G, K, K]; of a series' coefficients around the mean of its category.
    drift
        Process of the drifting level.
    period_variance
        Of the log shock that all series share in a period, given the traffic.
    traffic_slope
        Mean coefficient of log traffic over the shop.
    traffic_mean
        Mean of log daily traffic over the periods seen, where traffic stands for 0; None if it is not used.
    periods
        int; periods seen, T.
    traffic_by_weekday
        Seven numbers, Monday first; mean of log daily traffic on that weekday over `traffic_mean`. Empty
        where periods are weeks, or the fit looked for no weekdays.
    traffic_by_cycle
        Coefficients of the waves of the model's `cycle_days` in what that leaves of log traffic; empty
        without.
    traffic_scale
        What log traffic is multiplied by before it enters; 1 where periods are weeks.
    """

    mean: Floats
    covariance: Floats
    prior_covariance: Floats
    drift: Drift
    period_variance: float
    traffic_slope: float
    traffic_mean: float | None
    periods: int
    traffic_by_weekday: tuple[float, ...] = ()
    traffic_by_cycle: tuple[float, ...] = ()
    traffic_scale: float = 1.0

    def to_bytes(self) -> bytes:
        """Serialise without pickle; the same state gives the same bytes."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        facts = {name: getattr(self, name) for name in _FACTS}
        drift = {"survival": self.drift.survival, "variance": self.drift.variance}
        return pack(_KIND, _VERSION, arrays, {**facts, "drift": drift})

    @staticmethod
    def from_bytes(content: bytes) -> Standing:
        """Read what :meth:`to_bytes` wrote; raises :class:`pricing.errors.ArtifactError`."""
        arrays, meta = unpack(_KIND, _VERSION, content)
        try:
            facts: dict[str, Any] = {**arrays, **meta, "drift": Drift(**meta["drift"])}
            for name in ("traffic_by_weekday", "traffic_by_cycle"):
                facts[name] = tuple(facts.get(name, ()))
            return Standing(**facts)
        except (LookupError, TypeError) as error:
            raise ArtifactError(
                "This archive does not hold where a fit stands.",
                why=f"{type(error).__name__}: {error}.",
                todo="Fit again with `tarifa fit`.",
            ) from error


_ARRAYS = ("mean", "covariance", "prior_covariance")
_FACTS = (
    "period_variance", "traffic_slope", "traffic_mean", "periods", "traffic_by_weekday", "traffic_by_cycle",
    "traffic_scale",
)  # fmt: skip


def standing(evidence: Evidence, found: Parameters, panel: Panel, seasons: Seasons) -> Standing:
    """Return where a fit stands.

    Parameters
    ----------
    evidence, found
        What was seen, and the parameters at their modes.
    panel
        The training panel of the same series, for its traffic.
    seasons
        From what the fit measured traffic.
    """
    traffic, week = log_traffic(panel), seasons.week
    by_day = () if week is None else tuple(float(value) for value in weekday_means(panel, traffic))
    shared = outlook(found.shocks, evidence.period_days)
    means: list[Floats] = []
    covariances: list[Floats] = []
    for rows in chunks(len(evidence.units)):
        here = laplace(evidence, found, rows)
        (y, seen), X = counted(evidence, found, rows), evidence.X[rows]
        mean, level = laplace_mean(here, y, seen, X, found.size[rows], found.drift)
        mean[:, 0] += shared.lift[evidence.category[rows]] + np.log1p(-found.absence[rows])
        means.append(np.concatenate([mean, level[:, -1:]], axis=1))
        covariances.append(_joint(here.covariance, here.pull[:, -1], here.own[:, -1]))
    return Standing(
        np.concatenate(means),
        np.concatenate(covariances),
        found.population.prior_covariance,
        found.drift,
        shared.period_variance,
        float(found.population.mean[_TRAFFIC]),
        mean_log_traffic(panel) if traffic.any() else None,
        len(panel.periods),
        by_day,
        () if seasons.cycle is None else tuple(float(value) for value in seasons.cycle.traffic),
        1.0 if week is None else week.scale,
    )


def _joint(V: Floats, pull: Floats, own: Floats) -> Floats:
    """Return the covariance [n, K + 1, K + 1] of coefficients, V [n, K, K], and a drift ``u - pull'b``."""
    beside = -np.matmul(V, pull[..., None])[..., 0]
    out = np.empty((len(V), V.shape[1] + 1, V.shape[1] + 1))
    out[:, :-1, :-1] = V
    out[:, :-1, -1] = out[:, -1, :-1] = beside
    out[:, -1, -1] = own - np.einsum("nk,nk->n", beside, pull)
    return out


def mean_log_traffic(panel: Panel) -> float:
    """Return the mean of log daily traffic over the periods that are covered and have any."""
    covered = (panel.days > 0) & (panel.traffic > 0.0)
    return float(np.log(panel.traffic[covered] / panel.days[covered]).mean())
