"""Who comes back: Complete Journey, the visit hazard beside BG/NBD on the same held-out weeks.

    python -m bench.churn [--data DIR]

Fitted on shopping days before 2017-10-02, asked for a visit within 7, 14, 28, 56 and 84 days from then: AUC,
Brier score, log loss and the mean gap between predicted and observed shares by tenths. BG/NBD (Fader, Hardie,
Lee, Marketing Science 2005) is fitted by maximum likelihood with scipy on frequency, recency and age.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, logsumexp

from pricing.arrays import Floats
from simulators.contract.tables import open_source
from simulators.customers.churn import reliability, shopped_within, when_back
from simulators.customers.redemption import day_number
from simulators.customers.visits import ShoppingDays, build_shopping_days, fit_visits
from simulators.importers.complete_journey import import_complete_journey

_SPLIT, _HORIZONS = "2017-10-02", (7, 14, 28, 56, 84)


def main() -> int:
    """Run the bench; 1 where the hazard's tenths are off by more than 3 points on average at any horizon."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    options = parser.parse_args()
    shopping = _shopping(options.data)
    split = day_number(_SPLIT)
    model = fit_visits(shopping, split)
    returning = when_back(model, max(_HORIZONS))
    place = {name: i for i, name in enumerate(shopping.customer)}
    before = shopping.visited[[place[n] for n in model.customer], : split - shopping.first_day]
    first, last = np.argmax(before, axis=1), before.shape[1] - 1 - np.argmax(before[:, ::-1], axis=1)
    x, t, T = before.sum(axis=1) - 1.0, (last - first).astype(float), (before.shape[1] - first).astype(float)
    found = _bg_nbd(x, t, T)
    print(f"{len(x)} households; BG/NBD r, alpha, a, b = {found.round(3)}")
    print(
        f"{'days':>5}{'came':>8}  {'model':10}{'AUC':>8}{'Brier':>8}{'log loss':>10}{'gap':>8}{'mean p':>8}"
    )
    worst = 0.0
    for days in _HORIZONS:
        came = shopped_within(shopping, returning, days)
        for name, p in (("tarifa", returning.within(days)), ("BG/NBD", _within(found, x, t, T, days))):
            r = reliability(p, came)
            print(
                f"{days:5d}{came.mean():8.3f}  {name:10}{r.auc:8.4f}{r.brier:8.4f}{r.log_loss:10.4f}", end=""
            )
            print(f"{r.error:8.4f}{p.mean():8.3f}")
            worst = max(worst, r.error) if name == "tarifa" else worst
    print(f"tenths off by at most {100 * worst:.1f} points on average (to reach: 3)")
    return int(worst > 0.03)


def _shopping(data: Path | None) -> ShoppingDays:
    if data is None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "data"
            import_complete_journey(made, Path(folder) / "pseudonyms.key")
            return _shopping(made)
    only = ("orders", "products", "consents")
    with open_source(data, today=dt.date(2100, 1, 1), only=only) as source:
        return build_shopping_days(source, purpose=None)


def _log_likelihood(theta: Floats, x: Floats, t: Floats, T: Floats) -> Floats:
    """Equation (6) of the paper, in logs."""
    r, alpha, a, b = np.exp(theta)
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    alive = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + T)
    gone = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t)
    out: Floats = common + logsumexp([alive, np.where(x > 0, gone, -np.inf)], axis=0)
    return out


def _bg_nbd(x: Floats, t: Floats, T: Floats) -> Floats:
    """Return r, alpha, a, b by maximum likelihood."""
    fitted = minimize(lambda theta: -_log_likelihood(theta, x, t, T).mean(), np.zeros(4), method="BFGS")
    out: Floats = np.exp(fitted.x)
    return out


def _within(found: Floats, x: Floats, t: Floats, T: Floats, days: int) -> Floats:
    """Return the probability of a purchase in the next days: alive, times one minus the gamma's zero term."""
    r, alpha, a, b = found
    odds = a / (b + np.maximum(x, 1) - 1) * ((alpha + T) / (alpha + t)) ** (r + x)
    alive = np.where(x > 0, 1.0 / (1.0 + odds), 1.0)
    out: Floats = alive * (1.0 - ((alpha + T) / (alpha + T + days)) ** (r + x))
    return out


if __name__ == "__main__":
    sys.exit(main())
