"""Time of a fit with 200 posterior draws, Complete Journey, 1,000 products and all that qualify.

    python -m bench.fit_time [--data DIR]

Targets: 3 s for 1,000 products, 10 s for 4,000.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from bench.demand import FIRST, UNTIL, selected
from simulators.demand.fit import fit
from simulators.run import training_panel

_DRAWS = 200
_TARGETS = ((1_000, 3.0), (4_000, 10.0))


def main() -> int:
    """Run the bench; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    panel = selected(parser.parse_args().data, fast=False).between(FIRST, UNTIL)
    every, until = np.random.default_rng(1).permutation(len(panel.series)), str(panel.periods[-1])
    met = True
    for count, target in _TARGETS:
        some = panel.take(np.sort(every[:count]))
        training = training_panel(some, UNTIL - FIRST)
        began = time.perf_counter()
        found = fit(training, until=until, fingerprint="bench", seed=1, calendar_in_advance=True)
        draws = found.model.draws(_DRAWS)
        took = time.perf_counter() - began
        met &= took <= target
        verdict = "met" if took <= target else "MISSED"
        said = f"{len(some.series):,} products, {len(draws)} draws: {took:.1f} s"
        print(f"{said}; target {target:.0f} s: {verdict}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
