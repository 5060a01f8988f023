"""Order lines to the weekly panel: time and memory as the lines grow.

    python -m bench.scale [--times 1 10 30] [--data DIR] [--memory 1GB]

Complete Journey is repeated: every order and discount line once more under a new order id for each time, so
that 100 times are 147 million lines of 15.6 million orders, of the same products, stores and weeks. Each
size is opened (every check of the contract) and aggregated in a process of its own, whose peak memory the
system tells. The last two columns are processor and wall time a line over those of the smallest size; 1 is
linear. Other work on the machine lengthens wall time only, so the verdict rests on processor time.

Tables and sessions lie in TMPDIR and are removed; 100 times need up to 15 GB there.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from simulators.contract.panel import build_panel
from simulators.contract.tables import open_source
from simulators.importers.complete_journey import import_complete_journey

LIMIT_GB = 4.0
_DISK_GB_A_TIME = 0.15
"""Disk that one repetition takes, tables and session together."""
_GROWS = 1.1
"""Time a line may grow by so much over the smallest size before the bench says that it is not linear."""
_REPEATED = ("orders", "discounts")


@dataclass(frozen=True)
class Size:
    """What one size cost.

    Attributes
    ----------
    lines
        Order lines.
    open_seconds, panel_seconds, cpu_seconds
        Wall time of :func:`open_source` and of :func:`build_panel`; processor time of both.
    peak_gb, disk_gb
        Peak resident memory of the whole process; largest size of the session's folder at its end.
    units, priced
        Units of the panel and cells with a price, to see that nothing was lost.
    """

    lines: int
    open_seconds: float
    panel_seconds: float
    cpu_seconds: float
    peak_gb: float
    disk_gb: float
    units: float
    priced: int


def main() -> int:
    """Run the bench; 1 where memory or time breaks the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 30], help="repetitions to measure")
    parser.add_argument("--data", type=Path, help="imported Complete Journey folder (default: import it)")
    parser.add_argument("--memory", default="1GB", help="memory limit of the session")
    options = parser.parse_args()
    sizes: list[Size] = []
    with tempfile.TemporaryDirectory(prefix="tarifa-scale-") as name:
        data = options.data or _imported(Path(name))
        for times in sorted(options.times):
            _refuse_small_disk(Path(name), times)
            folder = Path(name) / f"times-{times}"
            _alone(_repeat, data, folder, times)
            sizes.append(_alone(_measure, folder, options.memory))
            shutil.rmtree(folder)
            _print(sizes)
    return _verdict(sizes)


def _imported(folder: Path) -> Path:
    data = folder / "data"
    import_complete_journey(data, folder / "pseudonyms.key")
    return data


def _refuse_small_disk(folder: Path, times: int) -> None:
    free, need = shutil.disk_usage(folder).free / 1e9, times * _DISK_GB_A_TIME
    if free < need:
        sys.exit(f"{times} times need about {need:.0f} GB in {folder.parent}; {free:.0f} GB are free.")


def _alone(task: Callable[..., Any], *arguments: object) -> Any:
    """Run a task in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(task, *arguments).result()


def _repeat(data: Path, folder: Path, times: int) -> None:
    """Copy a data folder with its order lines `times` times, one repetition written after the other."""
    folder.mkdir()
    for path in sorted(data.iterdir()):
        if path.stem not in _REPEATED:
            shutil.copyfile(path, folder / path.name)
    for name in _REPEATED:
        whole = pq.read_table(data / f"{name}.parquet")
        place = whole.column_names.index("order_id")
        with pq.ParquetWriter(folder / f"{name}.parquet", whole.schema, compression="zstd") as writer:
            for k in range(times):
                ids: Any = pc.binary_join_element_wise(whole["order_id"], pa.scalar(f"-{k}" if k else ""), "")
                writer.write_table(whole.set_column(place, whole.schema.field(place), ids), 122_880)


def _measure(folder: Path, memory: str) -> Size:
    began = time.perf_counter()
    with open_source(folder, today=dt.date(2100, 1, 1), memory=memory) as source:
        opened = time.perf_counter()
        panel = build_panel(source)
        built = time.perf_counter()
        lines = next(loaded.rows for loaded in source.tables if loaded.table.name == "orders")
        disk = sum(file.stat().st_size for file in source.engine.folder.rglob("*") if file.is_file())
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Size(
        lines,
        opened - began,
        built - opened,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9,
        disk / 1e9,
        float(panel.units.sum()),
        int((panel.offered > 0.0).sum()),
    )


def _print(sizes: list[Size]) -> None:
    if len(sizes) == 1:
        print(
            f"{'lines':>12}{'open s':>9}{'panel s':>9}{'cpu s':>9}{'peak GB':>9}{'disk GB':>9}"
            f"{'units':>14}{'priced cells':>14}{'cpu a line':>12}{'wall a line':>13}"
        )
    s = sizes[-1]
    print(
        f"{s.lines:12,}{s.open_seconds:9.1f}{s.panel_seconds:9.1f}{s.cpu_seconds:9.1f}{s.peak_gb:9.2f}"
        f"{s.disk_gb:9.2f}{s.units:14,.0f}{s.priced:14,}{_growth(sizes[0], s):12.2f}"
        f"{_seconds(s) / s.lines / (_seconds(sizes[0]) / sizes[0].lines):13.2f}",
        flush=True,
    )


def _growth(first: Size, size: Size) -> float:
    """Return processor time a line over that of the first size."""
    return size.cpu_seconds / size.lines / (first.cpu_seconds / first.lines)


def _seconds(size: Size) -> float:
    return size.open_seconds + size.panel_seconds


def _verdict(sizes: list[Size]) -> int:
    wrong = [f"{s.lines:,} lines took {s.peak_gb:.2f} GB" for s in sizes if s.peak_gb > LIMIT_GB]
    wrong += [
        f"{s.lines:,} lines took {_growth(sizes[0], s):.2f} times as long a line as {sizes[0].lines:,}"
        for s in sizes
        if _growth(sizes[0], s) > _GROWS
    ]
    for line in wrong:
        print(f"MISSED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
