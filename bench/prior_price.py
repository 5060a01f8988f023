"""Random price histories against a slow reading of the tag: ``python -m bench.prior_price``.

Histories lie around days on which clocks change in four time zones, with gaps and several changes within a
minute; others are told by several sources, of which some have seen a price and some only sent it. Prints how
often each answer came, so that one sees that the rare ones occurred, and exits 1 on any difference.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.pricing.test_prior_price import compare
from tests.pricing.test_proven_prices import compare_told

_BLOCK = 10_000


def main(count: int, seed: int) -> int:
    """Compare `count` histories of each kind, starting with number `seed`; returns how many differ."""
    wrong = 0
    for kind, one in (("of one source", compare), ("of several sources", compare_told)):
        differing, answers, began = 0, Counter[str](), time.perf_counter()
        for first in range(seed, seed + count, _BLOCK):
            here, told = one(range(first, min(first + _BLOCK, seed + count)))
            differing += here
            answers.update(told)
        took = time.perf_counter() - began
        print(f"{count} histories {kind}, {differing} differ, {took:.1f} s; {dict(answers)}")
        wrong += differing
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    sys.exit(1 if main(told.count, told.seed) else 0)
