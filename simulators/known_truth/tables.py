"""A world as the tables of the data contract: what an analyst of that shop would be handed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pricing.arrays import Bools, Ints
from pricing.schema import CONTRACT_VERSION
from simulators.contract.shop_file import SHOP_FILE, CostAssumption, ShopFile, Zone, render_shop_file
from simulators.folders import claim
from simulators.known_truth.draw import World
from simulators.known_truth.specification import Information

__all__ = ["FIRST_DAY", "product_ids", "write_world"]

FIRST_DAY = np.datetime64("2023-01-02")
_COST_SHARE = 0.65
_PREFACE = "An invented shop whose truth is known: docs/worlds.md.\n"


def product_ids(count: int) -> list[str]:
    """Return the identifiers of N products, in order."""
    return [f"P{i:05d}" for i in range(count)]


def write_world(world: World, out: Path) -> None:
    """Write the data folder of a world; nothing of the truth is in it.

    Raises
    ------
    UsageError
        If `out` holds something else.
    """
    tables = {
        "orders": _orders(world),
        "products": _products(world),
        "prices": _posted(world),
        "promotions": _promotions(world),
    }
    if world.spec.information is Information.INSTRUMENT:
        tables["costs"] = _costs(world)
    if world.spec.information is Information.STOCKOUTS:
        tables["inventory"] = _inventory(world)
    with claim(out, "data", editable=(SHOP_FILE,)) as draft:
        for name, table in tables.items():
            cast("Any", pq).write_table(table, draft / f"{name}.parquet")
        (draft / SHOP_FILE).write_text(render_shop_file(_shop(world), _PREFACE.strip()), encoding="utf-8")


def _shop(world: World) -> ShopFile:
    return ShopFile(
        contract=CONTRACT_VERSION,
        currency="EUR",
        time_zone="Europe/Madrid",
        week_start="monday",
        promotion_calendar_set_in_advance=world.spec.kappa == 0.0,
        zones=(Zone("shop", "ES", 0.0, prices_include_tax=True),),
        cost_assumption=None
        if world.spec.information is Information.INSTRUMENT
        else CostAssumption(default=_COST_SHARE, by="category", shares={}),
    )


def _table(columns: Mapping[str, Any]) -> Any:
    return cast("Any", pa).table(dict(columns))


def _named(world: World, n: Ints) -> list[str]:
    names = product_ids(world.spec.products)
    return [names[i] for i in n.tolist()]


def _places(chosen: Bools) -> tuple[Ints, Ints]:
    n, t = np.nonzero(chosen)
    return np.asarray(n, dtype=np.int64), np.asarray(t, dtype=np.int64)


def _orders(world: World) -> Any:
    by_day = np.moveaxis(world.daily, 0, 2)
    week, weekday, product = np.nonzero(by_day)
    n, t = np.asarray(product, dtype=np.int64), np.asarray(week, dtype=np.int64)
    quantity, day = by_day[week, weekday, product], np.asarray(weekday, dtype=np.int64)
    offered, regular = world.offered[n, t], world.regular[n, t]
    at = (FIRST_DAY + 7 * t + day).astype("datetime64[s]") + np.timedelta64(12, "h")
    return _table(
        {
            "order_id": [f"o{i}" for i in range(len(n))],
            "line_id": ["1"] * len(n),
            "ordered_at": at,
            "status": ["paid"] * len(n),
            "product_id": _named(world, n),
            "quantity": quantity,
            "regular_price": regular / 100.0,
            "offered_price": offered / 100.0,
            "paid": quantity * offered / 100.0,
            "price_basis": ["gross"] * len(n),
        }
    )


def _products(world: World) -> Any:
    count = world.spec.products
    return _table(
        {
            "product_id": product_ids(count),
            "category": [f"category {g}" for g in world.category],
            "subcategory": [f"subcategory {g}" for g in world.nest],
            "kind": ["merchandise"] * count,
            "launch_at": np.full(count, FIRST_DAY),
        }
    )


def _posted(world: World) -> Any:
    moved = np.ones(world.regular.shape, dtype=np.bool_)
    moved[:, 1:] = (np.diff(world.regular, axis=1) != 0) | (np.diff(world.offered, axis=1) != 0)
    moved[:, 1:] |= world.tested[:, 1:] | (world.tested[:, 1:] != world.tested[:, :-1])
    n, t = _places(moved)
    tested = world.tested[n, t]
    return _table(
        {
            "product_id": _named(world, n),
            "valid_from": FIRST_DAY + 7 * t,
            "regular_price": world.regular[n, t] / 100.0,
            "offered_price": world.offered[n, t] / 100.0,
            "price_basis": ["gross"] * len(n),
            "source": np.where(tested, "experiment", "rule"),
            "propensity": cast("Any", pa).array(np.where(tested, 0.2, 1.0), mask=~tested),
        }
    )


def _promotions(world: World) -> Any:
    (n, t), (m, s) = _places(world.feature), _places(world.display)
    starts = FIRST_DAY + 7 * np.concatenate([t, s])
    return _table(
        {
            "product_id": _named(world, np.concatenate([n, m])),
            "starts_at": starts,
            "ends_at": starts + 7,
            "kind": ["feature"] * len(n) + ["display"] * len(m),
        }
    )


def _costs(world: World) -> Any:
    count, weeks = world.cost.shape
    n, t = _places(np.ones((count, weeks), dtype=np.bool_))
    return _table(
        {
            "product_id": _named(world, n),
            "valid_from": FIRST_DAY + 7 * t,
            "unit_cost": np.rint(_COST_SHARE * world.usual[n] * np.exp(world.cost[n, t])) / 100.0,
        }
    )


def _inventory(world: World) -> Any:
    count, weeks = world.cost.shape
    n, day = _places(np.ones((count, weeks * 7), dtype=np.bool_))
    return _table(
        {"product_id": _named(world, n), "at": FIRST_DAY + day, "on_hand": world.on_hand.reshape(-1)}
    )
