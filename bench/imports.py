"""How long an import takes and how much memory: an invented shop of six months, as each platform exports it.

Each import runs in a process of its own: wall time, processor time, peak resident memory. `--write FOLDER`
only writes the exports.

.venv/bin/python bench/imports.py [products] [orders] [--write FOLDER]
"""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.import_exports import DAYS, FIRST, SHAPES


def bring(folder: Path) -> None:
    """Import one export, and print its seconds, megabytes, lines and what stayed unexplained."""
    from simulators.contract.shop_file import ShopFile, Zone
    from simulators.importers.platform_import import Request, import_platform
    from simulators.importers.platforms import platform_named, recognise

    zone = Zone("es", "ES", 0.21, prices_include_tax=True)
    shop = ShopFile(contract=1, currency="EUR", time_zone="Europe/Madrid", zones=(zone,))
    until, begun = FIRST + dt.timedelta(days=DAYS), time.perf_counter()
    files = recognise(folder)
    out = folder.parent / f"{folder.name}-data"
    request = Request(files, out, shop, folder.parent / "key", until, until)
    imported = import_platform(platform_named(files[0].platform), request)
    seconds, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    lines = next(table.rows for table in imported.tables if table.name == "orders")
    worked, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    left = imported.reconciliation.unexplained
    print(f"{seconds:6.1f} s {worked:6.1f} s {peak:5.0f} MB {lines:8,d} lines, unexplained {left}")


def main() -> None:
    """Write every export and import each, or do what the options say."""
    options = argparse.ArgumentParser()
    options.add_argument("products", type=int, nargs="?", default=3_000)
    options.add_argument("orders", type=int, nargs="?", default=60_000)
    options.add_argument("--write", type=Path)
    options.add_argument("--import", dest="bring", type=Path)
    said = options.parse_args()
    if said.bring:
        bring(said.bring)
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = said.write or Path(temporary)
        for shape, write in SHAPES.items():
            (root / shape).mkdir(parents=True)
            write(root / shape, said.products, said.orders)
            size = sum(path.stat().st_size for path in (root / shape).iterdir()) / 1e6
            if said.write is None:
                print(f"{shape:17s} {size:6.1f} MB", end=" ", flush=True)
                subprocess.run([sys.executable, __file__, "--import", root / shape], check=True)


if __name__ == "__main__":
    main()
