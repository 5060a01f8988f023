"""A million customers from features to an allocations file: ``python -m bench.batch_offers``.

Counted, in a process of its own: starting Python and importing, reading features (20 numbers a customer) and
the stored model, scoring ten offers, drawing the holdout, the checks of the instance, allocation under a
budget, the propensities, and writing the Parquet file whole. Not counted: making the features.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow  # noqa: ICN001 - `pa` is the same library, said once to be untyped
import pyarrow.parquet

from policies.allocation.allocate import allocate
from policies.allocation.holdout import Holdout
from policies.allocation.instance import Cells, Instance, Limit, Schedule
from policies.allocation.scored import ScoredOffers, allocations_table
from pricing.arrays import Floats
from pricing.coupon_rules import held_out
from simulators.folders import write_file
from simulators.output_schema import table_bytes

pa: Any = pyarrow
pq: Any = pyarrow.parquet

FEATURES, OFFERS = 20, 11
"""Numbers known of a customer; ten coupons and none."""

BLOCK = 8192
"""Customers scored at a time, so that what is computed on the way stays in the cache."""


def prepare(folder: Path, count: int, seed: int) -> None:
    """Write features and a stored model."""
    rng = np.random.default_rng(seed)
    names = [f"{a:016x}{b:016x}" for a, b in rng.integers(0, 2**63, (count, 2))]
    columns = {f"f{i:02d}": rng.normal(size=count).astype(np.float32) for i in range(FEATURES)}
    pq.write_table(pa.table({"customer_id": names, **columns}), folder / "features.parquet")
    np.savez(
        folder / "model.npz",
        base=rng.normal(0.0, 0.3, (FEATURES, 1)),
        lift=rng.normal(0.0, 0.08, (FEATURES, OFFERS)),
        level=np.linspace(-0.5, 1.2, OFFERS),
        margin=rng.normal(0.0, 0.1, (FEATURES, 1)),
        face=np.linspace(0.0, 1000.0, OFFERS),
    )


def scores(table: Any, model: Any) -> tuple[Floats, Floats, Floats]:
    """Return value, cost and liability, float64 [N, K]: a linear model of buying, its lift and the margin."""
    columns = [table.column(name).to_numpy() for name in table.column_names[1:]]
    value, cost = np.empty((2, table.num_rows, OFFERS))
    for start in range(0, table.num_rows, BLOCK):
        here = np.column_stack([column[start : start + BLOCK] for column in columns])
        base = here @ model["base"] - 2.0
        lift = np.exp(np.minimum(here @ model["lift"] + model["level"], 3.0)) * (model["face"] > 0.0)
        bought = 1.0 / (1.0 + np.exp(-(base + lift)))
        margin = 3000.0 * np.exp(here @ model["margin"])
        cost[start : start + BLOCK] = paid = bought * model["face"]
        value[start : start + BLOCK] = (bought - bought[:, :1]) * margin - paid
    return value, cost, np.broadcast_to(model["face"], value.shape)


def batch(folder: Path, holdout: float) -> None:
    """Do what is counted; prints how long each step took."""
    steps = [("start", time.perf_counter(), time.process_time())]
    table = pq.read_table(folder / "features.parquet")
    customer = table.column("customer_id").combine_chunks()
    with np.load(folder / "model.npz", allow_pickle=False) as stored:
        model = dict(stored)
    steps.append(("read", time.perf_counter(), time.process_time()))
    value, cost, liability = scores(table, model)
    steps.append(("score", time.perf_counter(), time.process_time()))
    names = customer.to_pylist() if holdout else [""] * len(value)
    campaign = np.array([-1, *[0] * (OFFERS - 1)])
    held = Holdout(holdout, campaign, held_out(names, ["bench"], holdout, 7))
    steps.append(("hold out", time.perf_counter(), time.process_time()))
    eligible = np.ones(value.shape, dtype=np.bool_)
    limits = (Limit("all", 20.0 * len(value), np.ones(OFFERS, dtype=np.bool_)),)
    instance = Instance(value, cost, held.left_open(eligible), limits)
    found = allocate(instance)
    steps.append((f"allocate ({found.engine})", time.perf_counter(), time.process_time()))
    whole = Cells(value, cost, eligible)
    propensity = held.propensity(whole, Schedule.of(limits, OFFERS), found.shadow, found.choice)
    coupons = ("", *(f"c{k}" for k in range(1, OFFERS)))
    offers = ScoredOffers(
        customer, coupons, ("",) * OFFERS, value, cost, liability, eligible,
        np.zeros(len(value), dtype=np.int64), "EUR",
    )  # fmt: skip
    out = allocations_table(offers, found.choice, propensity, "0" * 12, "EUR", {"gap": found.gap})
    write_file(folder / "allocations.parquet", table_bytes(out))
    steps.append(("write", time.perf_counter(), time.process_time()))
    print(f"| start, imports | | {steps[0][2]:.2f} |")
    for (_, wall, busy), (name, wall_after, busy_after) in itertools.pairwise(steps):
        print(f"| {name} | {wall_after - wall:.2f} | {busy_after - busy:.2f} |")
    print(f"| *all* | | *{steps[-1][2]:.2f}* |\ncertified gap {found.gap:.1e}")


def main(count: int, seed: int, holdout: float) -> None:
    """Prepare, then time the whole in a fresh process: once to fill numba's cache, then again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, count, seed)
        command = [sys.executable, "-m", "bench.batch_offers", "--folder", place, "--holdout", str(holdout)]
        print(f"{count:,} customers, {OFFERS - 1} offers, holdout {holdout:g}")
        print("| step | wall s | processor s |\n|---|---|---|")
        subprocess.run(command, env=os.environ, check=True, capture_output=True)
        began = time.perf_counter()
        done = subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        print(done.stdout, end="")
        print(f"everything, the start of Python and imports included: {seconds:.2f} s of wall time")
        rows = pq.read_metadata(folder / "allocations.parquet").num_rows
        size = (folder / "allocations.parquet").stat().st_size
        print(f"{rows:,} rows, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--holdout", type=float, default=0.1)
    parser.add_argument("--folder", type=Path, default=None, help="used by itself")
    asked = parser.parse_args()
    if asked.folder is None:
        main(asked.count, asked.seed, asked.holdout)
    else:
        batch(asked.folder, asked.holdout)
