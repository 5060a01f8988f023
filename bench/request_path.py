"""Import time and memory of the request path, each in a fresh process; fails where a bound is broken.

The bound is on processor time, which is wall time on an idle core; the wall time of this run, with whatever
else the machine was doing, stands beside it.

.venv/bin/python bench/request_path.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

SECONDS, MEGABYTES, TIMES = 0.6, 90.0, 7
FORBIDDEN = (
    "torch", "stable_baselines3", "gymnasium", "statsmodels", "pandas", "numba", "pyarrow", "duckdb", "scipy",
    "simulators", "envs",
)  # fmt: skip
_PROBE = """
import sys, time
start, cpu = time.perf_counter(), time.process_time()
import api.coupons.routes, api.prices.routes, api.redemptions.routes
took, used = time.perf_counter() - start, time.process_time() - cpu
with open("/proc/self/status") as status:
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
print(used, took, kilobytes / 1024, *(name for name in sys.modules if "." not in name))
"""


def main() -> int:
    """Measure, print, and return 0 where both bounds hold."""
    seconds: list[float] = []
    walls: list[float] = []
    megabytes: list[float] = []
    loaded: set[str] = set()
    for _ in range(TIMES):
        said = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
        used, took, memory, *modules = said.stdout.split()
        seconds.append(float(used))
        walls.append(float(took))
        megabytes.append(float(memory))
        loaded |= set(modules) & set(FORBIDDEN)
    middle, wall, most = statistics.median(seconds), statistics.median(walls), max(megabytes)
    rows = (
        (f"import, processor, median of {TIMES}", f"{middle:.3f} s", f"<= {SECONDS} s", middle <= SECONDS),
        ("import, wall, median", f"{wall:.3f} s", "", True),
        ("resident memory, largest", f"{most:.1f} MB", f"<= {MEGABYTES} MB", most <= MEGABYTES),
        ("heavy modules loaded", ", ".join(sorted(loaded)) or "none", "none", not loaded),
    )
    for name, found, bound, good in rows:
        print(f"{name:34} {found:>14} {bound:>12}  {'pass' if good else 'FAIL'}")
    return 0 if all(good for *_, good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
