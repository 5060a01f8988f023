"""Import time and memory of the request path, each in a fresh process; fails where a bound is broken.

The bound is on processor time, which is wall time on an idle core; the wall time of this run, with whatever
else the machine was doing, stands beside it. The bounded processes inherit the environment as it is: where
PYTHONDONTWRITEBYTECODE is set and nothing was compiled before, they compile. Beside them, without a bound:
a start that finds all of it compiled by an earlier one, and what everybody imports who serves over HTTP and
keeps a database, which tells how quick the machine was.

.venv/bin/python -m bench.request_path
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

SECONDS, MEGABYTES, TIMES = 0.6, 90.0, 7
FORBIDDEN = (
    "torch", "stable_baselines3", "gymnasium", "statsmodels", "pandas", "numba", "pyarrow", "duckdb", "scipy",
    "simulators", "envs",
)  # fmt: skip
_PROBE = """
import sys, time
start, cpu = time.perf_counter(), time.process_time()
import {modules}
took, used = time.perf_counter() - start, time.process_time() - cpu
with open("/proc/self/status") as status:
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
print(used, took, kilobytes / 1024, *(name for name in sys.modules if "." not in name))
"""


_OURS = "api.coupons.routes, api.prices.routes, api.redemptions.routes"
_OTHERS = "numpy, sqlalchemy, pydantic, fastapi"


@dataclass(frozen=True)
class Imported:
    """One process: seconds of processor and of wall time, megabytes, and the packages that were loaded."""

    used: float
    took: float
    megabytes: float
    packages: frozenset[str]


def imported(modules: str, cache: str | None = None) -> Imported:
    """Import in a fresh process that inherits this one's environment; `cache` keeps what it compiles."""
    called = dict(os.environ)
    if cache is not None:
        called.pop("PYTHONDONTWRITEBYTECODE", None)
        called["PYTHONPYCACHEPREFIX"] = cache
    code = _PROBE.format(modules=modules)
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=called
    )
    used, took, memory, *packages = said.stdout.split()
    return Imported(float(used), float(took), float(memory), frozenset(packages))


def main() -> int:
    """Measure, print, and return 0 where both bounds hold."""
    with tempfile.TemporaryDirectory() as cache:
        imported(_OURS, cache)
        turns = [(imported(_OURS), imported(_OURS, cache), imported(_OTHERS)) for _ in range(TIMES)]
    ours, again, others = zip(*turns, strict=True)
    middle, later, alone = (statistics.median(one.used for one in some) for some in (ours, again, others))
    wall, most = statistics.median(one.took for one in ours), max(one.megabytes for one in (*ours, *again))
    loaded = frozenset[str]().union(*(one.packages for one in ours)) & set(FORBIDDEN)
    rows = (
        (f"import, processor, median of {TIMES}", f"{middle:.3f} s", f"<= {SECONDS} s", middle <= SECONDS),
        ("import, wall, median", f"{wall:.3f} s", "", True),
        ("with what an earlier start compiled", f"{later:.3f} s", "", True),
        ("others' packages alone", f"{alone:.3f} s", "", True),
        ("resident memory, largest", f"{most:.1f} MB", f"<= {MEGABYTES} MB", most <= MEGABYTES),
        ("heavy modules loaded", ", ".join(sorted(loaded)) or "none", "none", not loaded),
    )
    for name, found, bound, good in rows:
        print(f"{name:36} {found:>14} {bound:>12}  {'pass' if good else 'FAIL'}")
    return 0 if all(good for *_, good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
