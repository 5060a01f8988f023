"""Import time and memory of the request path, each in a fresh process; fails where a bound is broken.

The bound is on processor time, which is wall time on an idle core; the wall time of this run, with whatever
else the machine was doing, stands beside it. Python keeps what it compiled, so the bound is on every start
but the first: the first, and every one where PYTHONDONTWRITEBYTECODE forbids that, stands beside it too. So
does what everybody imports who serves over HTTP and keeps a database, which tells how quick the machine was.

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


def imported(modules: str, cache: str | None) -> Imported:
    """Import in a fresh process; what is compiled is kept in `cache`, None: nowhere."""
    own = {"PYTHONDONTWRITEBYTECODE": "1"} if cache is None else {"PYTHONPYCACHEPREFIX": cache}
    kept = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    called = {name: value for name, value in os.environ.items() if name not in kept} | own
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
        turns = [
            (imported(_OURS, cache), imported(_OTHERS, cache), imported(_OURS, None)) for _ in range(TIMES)
        ]
    ours, others, anew = zip(*turns, strict=True)
    middle, reference, first = (statistics.median(one.used for one in some) for some in (ours, others, anew))
    wall, most = statistics.median(one.took for one in ours), max(one.megabytes for one in (*ours, *anew))
    loaded = frozenset[str]().union(*(one.packages for one in ours)) & set(FORBIDDEN)
    rows = (
        (f"import, processor, median of {TIMES}", f"{middle:.3f} s", f"<= {SECONDS} s", middle <= SECONDS),
        ("import, wall, median", f"{wall:.3f} s", "", True),
        ("the same, nothing compiled before", f"{first:.3f} s", "", True),
        ("others' packages alone", f"{reference:.3f} s", "", True),
        ("resident memory, largest", f"{most:.1f} MB", f"<= {MEGABYTES} MB", most <= MEGABYTES),
        ("heavy modules loaded", ", ".join(sorted(loaded)) or "none", "none", not loaded),
    )
    for name, found, bound, good in rows:
        print(f"{name:34} {found:>14} {bound:>12}  {'pass' if good else 'FAIL'}")
    return 0 if all(good for *_, good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
