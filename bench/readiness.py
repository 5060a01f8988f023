"""Whether what `tarifa check` expects is what a fit leaves, and what each missing table really costs.

    python -m bench.readiness [--seed 100] [--products 3000] [--json FILE]

A young shop (:mod:`bench.readiness_shop`) is checked, fitted and compared with its truth, as it is and with a
table left out at a time. Widths are half of the 90 % interval of the elasticity to the regular price.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.readiness_shop import Young, draw_young, write_young
from pricing.arrays import Bools, Floats
from pricing.evidence import Identification, PriceKind
from simulators.contract.checking import check_and_look
from simulators.contract.tables import open_source
from simulators.demand.elasticities import elasticities
from simulators.readiness import Readiness, readiness
from simulators.run import fit_run

_LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
_DECLARED = "promotion_calendar_set_in_advance = true"
_CASES = ("", "prices", "promotions", "declaration", "costs", "inventory")
_WITHIN = 4.0 / 3.0


@dataclass(frozen=True)
class Class:
    """One class of evidence: how the promised width compares with that obtained, median and quartiles."""

    name: str
    products: int
    promised: float
    obtained: float
    ratio: float
    low: float
    high: float
    within_a_third: float
    holds: float


@dataclass(frozen=True)
class Case:
    """A shop without one table."""

    without: str
    check_seconds: float
    fit_seconds: float
    may_move: bool
    expected_movable: int
    movable: int
    width: float
    sensitivity: float
    error: float
    bias: float
    holds: float
    classes: tuple[Class, ...]


def main() -> None:
    """Run the bench and print it."""
    options = _options()
    shop = draw_young(options.seed, options.products)
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as folder:
        data = write_young(shop, Path(folder))
        for without in options.cases.split(","):
            cases.append(_case(shop, data, without.replace("all", "")))
            _print(cases[-1])
    if options.json:
        options.json.write_text(json.dumps([asdict(case) for case in cases], indent=1) + "\n")


def _case(shop: Young, data: Path, without: str) -> Case:
    folder = data.with_name("without")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(data, folder)
    if without == "declaration":
        text = (folder / "shop.toml").read_text()
        (folder / "shop.toml").write_text(text.replace(_DECLARED, _DECLARED.replace("true", "false")))
    elif without:
        (folder / f"{without}.parquet").unlink()
    began = time.perf_counter()
    with open_source(folder, today=_LATER) as source:
        _, looked = check_and_look(source)
        if looked is None:
            raise SystemExit("The invented shop breaks the data contract.")
        ready, checked = readiness(source, looked), time.perf_counter()
        run = fit_run(source, seed=1)
    took = time.perf_counter()
    found = elasticities(run.model, run.training)
    kind = int(PriceKind.REGULAR)
    place = {name: i for i, name in enumerate(found.series.group)}
    order = np.array([place[one.price_group] for one in ready.products if one.price_group in place])
    truth = shop.elasticity[np.array([int(name[1:]) for name in found.series.group])]
    lower, upper = found.lower[:, kind], found.upper[:, kind]
    holds = (lower <= truth) & (truth <= upper)
    return Case(
        without=without,
        check_seconds=checked - began,
        fit_seconds=took - checked,
        may_move=ready.may_move,
        expected_movable=ready.movable,
        movable=int((found.identified_by[:, kind] <= Identification.PROMO_CONTROLLED).sum()),
        width=float(np.median(upper - lower) / 2.0),
        sensitivity=float(
            np.median(found.sensitivity_upper[:, kind] - found.sensitivity_lower[:, kind]) / 2.0
        ),
        error=float(np.sqrt(((found.elasticity[:, kind] - truth) ** 2).mean())),
        bias=float((found.elasticity[:, kind] - truth).mean()),
        holds=float(holds.mean()),
        classes=_classes(ready, ((upper - lower) / 2.0)[order], holds[order], set(place)),
    )


def _classes(ready: Readiness, width: Floats, holds: Bools, known: set[str]) -> tuple[Class, ...]:
    some = [one for one in ready.products if one.price_group in known]
    promised = np.array([one.half_width for one in some])
    name, out = np.array([one.evidence for one in some]), list[Class]()
    for which in ("enough", "too_few", "none"):
        at = name == which
        if not at.any():
            continue
        ratio = width[at] / promised[at]
        near = (ratio < _WITHIN) & (ratio > 1.0 / _WITHIN)
        low, middle, high = map(float, np.quantile(ratio, (0.25, 0.5, 0.75)))
        out.append(
            Class(
                which,
                int(at.sum()),
                float(np.median(promised[at])),
                float(np.median(width[at])),
                middle,
                low,
                high,
                float(near.mean()),
                float(holds[at].mean()),
            )
        )
    return tuple(out)


def _print(case: Case) -> None:
    print(
        f"without {case.without or 'nothing'}: check {case.check_seconds:.0f} s, "
        f"fit {case.fit_seconds:.0f} s; "
        f"{case.expected_movable} prices expected to move, {case.movable} may; median +-{case.width:.2f} "
        f"(sensitivity +-{case.sensitivity:.2f}), holds {case.holds:.3f}, error {case.error:.2f}, "
        f"bias {case.bias:+.2f}",
        flush=True,
    )
    for one in case.classes:
        print(
            f"    {one.name}: {one.products} products, promised +-{one.promised:.2f}, obtained "
            f"+-{one.obtained:.2f}, ratio {one.ratio:.2f} ({one.low:.2f} to {one.high:.2f}), within a third "
            f"{one.within_a_third:.2f}, holds {one.holds:.3f}",
            flush=True,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--cases", default=",".join(case or "all" for case in _CASES))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
