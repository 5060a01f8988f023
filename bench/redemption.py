"""Who redeems a coupon: Complete Journey split at 2017-09-15, ours beside a plain logit.

    python -m bench.redemption [--data DIR] [--json FILE]

An offer is one household x one campaign it was exposed to; it is redeemed if the household uses at least one
coupon of the campaign. Offers made before 2017-09-15 train, with what had come of them by then; later offers
are predicted, each from what was known of the household on the day before its exposure. Nothing of the later
offers was used to choose features, priors or calibration: those were chosen on campaigns of May to September,
each predicted from the ones before it.

Complete Journey ends on 2017-12-31, while five of the later campaigns run on for up to two months. A logit
that knows nothing of it promises redemptions that nobody could have recorded. Ours is asked the question that
the data can answer, redeemed *by the end of the data*; both are also judged on the campaigns that were over.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.stats import rankdata

from pricing.arrays import Bools, Floats
from simulators.contract.tables import open_source
from simulators.customers.offers import OFFER_TABLES, Offers, build_offers
from simulators.customers.redemption import day_number, fit_redemption, predict_redemption
from simulators.importers.complete_journey import import_complete_journey

_SPLIT, _END = "2017-09-15", "2018-01-01"
_PUBLISHED = (0.829, 0.290, 1.25)
"""AUC, log loss and predicted over actual of the reference, as measured before this bench was written."""
_WITHIN = 0.10


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    model: str
    auc: float
    log_loss: float
    ratio: float
    auc_over: float
    log_loss_over: float
    ratio_over: float


def main() -> int:
    """Run the bench; 1 where the reference is not reproduced within 10 %."""
    options = _options()
    offers = _offers(options.data)
    later = offers.day >= day_number(_SPLIT)
    redeemed = offers.redeemed < day_number(_END)
    over = later & (offers.ends <= day_number(_END))
    model = fit_redemption(offers, _SPLIT)
    ours = predict_redemption(model, offers, _END)
    plain = _reference(offers)
    window = model.seen_share(offers.elapsed(day_number(_END)))
    rows = [
        _row(name, predicted, redeemed, later, over)
        for name, predicted in (
            ("logit on history and affinity", plain),
            ("the same, told when the data end", plain * window),
            ("tarifa, not told when the data end", ours.ever),
            ("tarifa", ours.by_horizon),
        )
    ]
    base = float(redeemed[later].mean())
    print(f"{int(later.sum())} later offers, {int(redeemed[later].sum())} redeemed ({base:.1%}); ", end="")
    print(f"{int(over.sum())} of campaigns that were over")
    _print(rows)
    fair = plain * window
    gain, error = _gain(
        ours.by_horizon[later], fair[later], redeemed[later], np.array(offers.customer)[later]
    )
    print(f"log loss below the logit told when the data end: {gain:.4f} +- {error:.4f} (s.e. by household)")
    print(f"calibration {model.calibration.round(3)}, learned on {model.calibrated_on} redeemed offers")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    found = (rows[0].auc, rows[0].log_loss, rows[0].ratio)
    missed = any(abs(a / b - 1.0) > _WITHIN for a, b in zip(found, _PUBLISHED, strict=True))
    if missed:
        print(f"FAILED: the reference was {_PUBLISHED} and is {found} here")
    return int(missed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--json", type=Path, help="also write the table here")
    return parser.parse_args()


def _offers(data: Path | None) -> Offers:
    if data is None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "data"
            import_complete_journey(made, Path(folder) / "pseudonyms.key")
            return _offers(made)
    with open_source(data, today=dt.date(2100, 1, 1), only=OFFER_TABLES) as source:
        return build_offers(source, purpose=None)


def _reference(offers: Offers) -> Floats:
    """Fit statsmodels' Logit on log redemptions so far, coupon share and affinity; predict every offer."""
    split = day_number(_SPLIT)
    _, household = np.unique(np.array(offers.customer), return_inverse=True)
    used = np.zeros(len(offers))
    for i in range(len(offers)):
        used[i] = int(((household == household[i]) & (offers.redeemed < offers.day[i])).sum())
    X = sm.add_constant(np.column_stack([np.log1p(used), offers.features[:, 0], offers.features[:, 2]]))
    train = offers.day < split
    seen = (offers.redeemed < split).astype(np.float64)
    fitted = sm.Logit(seen[train], X[train]).fit(disp=0)
    return np.asarray(fitted.predict(X), dtype=np.float64)


def _row(name: str, p: Floats, redeemed: Bools, later: Bools, over: Bools) -> Row:
    return Row(name, *_scores(p[later], redeemed[later]), *_scores(p[over], redeemed[over]))


def _scores(p: Floats, y: Bools) -> tuple[float, float, float]:
    """Return AUC (Mann-Whitney), mean log loss, predicted over actual redemptions."""
    ones, ranks = int(y.sum()), rankdata(p)
    auc = (float(ranks[y].sum()) - ones * (ones + 1) / 2) / (ones * (len(y) - ones))
    loss = -float(np.where(y, np.log(p), np.log1p(-p)).mean())
    return auc, loss, float(p.sum()) / ones


def _gain(ours: Floats, other: Floats, y: Bools, household: NDArray[np.str_]) -> tuple[float, float]:
    """Return the mean log loss saved an offer, and its standard error clustered by household."""
    saved = np.where(y, np.log(ours / other), np.log1p(-ours) - np.log1p(-other))
    mean = float(saved.mean())
    _, place = np.unique(household, return_inverse=True)
    sums = np.bincount(place, saved - mean)
    return mean, float(np.sqrt((sums**2).sum())) / len(saved)


def _print(rows: list[Row]) -> None:
    print(f"{'':36}{'all later campaigns':^27}{'those that were over':^27}")
    print(f"{'model':36}" + f"{'AUC':>8}{'log loss':>10}{'pred/act':>9}" * 2)
    print(
        f"{'reference, as measured before':36}{_PUBLISHED[0]:8.3f}{_PUBLISHED[1]:10.3f}{_PUBLISHED[2]:9.2f}"
    )
    for row in rows:
        print(
            f"{row.model:36}{row.auc:8.3f}{row.log_loss:10.3f}{row.ratio:9.2f}"
            f"{row.auc_over:8.3f}{row.log_loss_over:10.3f}{row.ratio_over:9.2f}"
        )


if __name__ == "__main__":
    sys.exit(main())
