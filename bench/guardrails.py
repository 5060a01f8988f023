"""Random decisions under random guardrails against brute force: ``python -m bench.guardrails``.

Prints counts by status, binding rule and relaxed rule, so that one sees that the rare cases occurred, and
exits 1 on any difference.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter

from pricing.guardrails import Rule, Status
from tests.pricing.comparison import differences, labels


def main(count: int, seed: int) -> int:
    """Compare `count` decisions, starting with random shop `seed`; returns the number of differences."""
    status: Counter[str] = Counter()
    binding: Counter[str] = Counter()
    relaxed: Counter[str] = Counter()
    wrong, done, began = 0, 0, time.perf_counter()
    for shop in itertools.count(seed):
        for record, difference in differences(shop):
            done += 1
            status[record.status.label] += 1
            binding["none" if record.binding is None else record.binding.label] += 1
            relaxed.update(labels(record.relaxed))
            if difference:
                wrong += 1
                if wrong <= 10:
                    print(f"shop {shop}, {record.group}, run {record.run}: {difference}")
        if done >= count:
            break
    print(f"{done} decisions in {shop - seed + 1} shops, {time.perf_counter() - began:.1f} s")
    print("status       ", {s.label: status[s.label] for s in Status})
    print("binding rule ", {name: binding[name] for name in ["none", *(r.label for r in Rule)]})
    print("relaxed rule ", {r.label: relaxed[r.label] for r in Rule if not r.hard})
    print(f"differences from brute force, hard rules broken: {wrong}")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="least number of decisions")
    parser.add_argument("--seed", type=int, default=0, help="first random shop")
    asked = parser.parse_args()
    sys.exit(1 if main(asked.count, asked.seed) else 0)
