"""The panel recomputed from the raw lines in pandas, by other means: an independent second opinion."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas  # noqa: ICN001 - `pd` is the same library, said once to be untyped
import pytest

from pricing.arrays import Floats
from pricing.panel import Panel
from simulators.contract.panel import build_panel
from simulators.contract.shop_file import read_shop_file
from simulators.contract.tables import open_source
from simulators.importers.spreadsheets import import_spreadsheets
from tests.simulators.formats import write_table
from tests.simulators.shops import SHOP, TODAY, write_shop

pd: Any = pandas

RATES = {"es": 0.25, "pt": 0.5}
PRODUCTS = ("A", "B", "C", "D")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Shop:
    """A random shop: its settings and its tables as pandas frames."""

    settings: str
    zone: str
    grain: str
    week_start: str
    tables: dict[str, Any]


def _shop(seed: int, zone: str, grain: str, week_start: str) -> Shop:
    rng = np.random.default_rng(seed)
    text = SHOP.replace("Europe/Madrid", zone).replace(
        "[cost_assumption]",
        '[[zones]]\nid = "pt"\ncountry = "PT"\ntax_rate = 0.5\nprices_include_tax = true\n[cost_assumption]',
    )
    text = text.replace("[[zones]]", f'grain = "{grain}"\nweek_start = "{week_start}"\n[[zones]]', 1)
    tables = {
        "orders": _orders(rng),
        "products": pd.DataFrame(
            {
                "product_id": [*PRODUCTS, "K"],
                "category": ["x", "x", "y", "y", "z"],
                "kind": ["merchandise"] * 4 + ["gift_card"],
                "launch_at": ["2025-02-01", "", "2025-03-20", "", ""],
                "exit_at": ["", "2025-04-10", "2025-04-20", "", ""],
            }
        ),
        "promotions": _promotions(rng),
        "inventory": _inventory(rng),
    }
    return Shop(text, zone, grain, week_start, tables)


def _orders(rng: np.random.Generator, count: int = 400) -> Any:
    # March 2025 has both changes of the clocks: the 9th in New York, the 30th in Madrid.
    moments = pd.Timestamp("2025-02-20", tz="UTC") + pd.to_timedelta(
        rng.integers(0, 65 * 86400, count), unit="s"
    )
    price = rng.integers(100, 2000, count)
    quantity = rng.choice([1, 2, 3, 0.5, 1.25], count)
    return pd.DataFrame(
        {
            "order_id": [f"o{i}" for i in rng.integers(0, count // 2, count)],
            "line_id": np.arange(count),
            "ordered_at": [m.isoformat() for m in moments],
            "status": rng.choice(["paid", "paid", "paid", "cancelled", "test"], count),
            "product_id": rng.choice([*PRODUCTS, "K"], count),
            "zone": rng.choice(["es", "pt", ""], count),
            "quantity": quantity,
            "regular_price": (price + rng.choice([0, 100], count)) / 100,
            "offered_price": price / 100,
            "paid": np.floor(price * quantity) / 100,
            "price_basis": rng.choice(["gross", "net"], count),
            "channel": rng.choice(["", "web", "store"], count),
        }
    )


def _promotions(rng: np.random.Generator) -> Any:
    """Promotions that do not overlap: one of each kind a product, zone and month."""
    rows = []
    for product, zone, month, kind in itertools.product(PRODUCTS, RATES, (2, 3, 4), ("feature", "display")):
        if rng.random() < 0.5:
            start, end = rng.integers(1, 12), rng.integers(13, 28)
            share = round(float(rng.random()), 3)
            rows.append((product, zone, f"2025-0{month}-{start:02d}", f"2025-0{month}-{end}", kind, share))
    return pd.DataFrame(rows, columns=["product_id", "zone", "starts_at", "ends_at", "kind", "share"])


def _inventory(rng: np.random.Generator) -> Any:
    days = pd.date_range("2025-02-20", periods=60).strftime("%Y-%m-%d")
    rows = [
        (product, zone, day, int(rng.integers(0, 3)))
        for product in PRODUCTS[:2]
        for zone in RATES
        for day in rng.choice(days, 20, replace=False)
    ]
    return pd.DataFrame(rows, columns=["product_id", "zone", "at", "on_hand"])


def _panel(folder: Path, shop: Shop) -> Panel:
    texts = {name: str(frame.to_csv(index=False)) for name, frame in shop.tables.items()}
    with open_source(write_shop(folder, shop.settings, **texts), today=TODAY) as source:
        assert source.bad_rows() == ()
        return build_panel(source)


def _period(days: Any, shop: Shop) -> Any:
    """Return the first day of the period of each local day, by pandas' own arithmetic of weeks."""
    if shop.grain == "day":
        return days
    anchor = WEEKDAYS[WEEKDAYS.index(shop.week_start) - 1][
        :3
    ].upper()  # a pandas week is named by its last day
    return days.dt.to_period(f"W-{anchor}").dt.start_time


@dataclass(frozen=True)
class Reference:
    """What pandas finds, by (product, zone) and period."""

    periods: list[Any]
    days: list[int]
    units: Any
    offered: Any
    regular: Any
    orders: Any
    lines: Any


def _reference(shop: Shop) -> Reference:
    lines = shop.tables["orders"].copy()
    local = pd.to_datetime(lines.ordered_at, utc=True, format="ISO8601").dt.tz_convert(shop.zone)
    lines["day"] = local.dt.tz_localize(None).dt.normalize()
    lines["zone"] = lines.zone.replace("", "es")
    paid = lines[lines.status == "paid"]
    first, last = paid.day.min(), paid.day.max()
    lines["period"] = _period(lines.day, shop)
    step = pd.Timedelta(days=1 if shop.grain == "day" else 7)
    periods = list(pd.date_range(_period(pd.Series([first]), shop)[0], last, freq=step))
    days = [
        int((min(start + step, last + pd.Timedelta(days=1)) - max(start, first)) / pd.Timedelta(days=1))
        for start in periods
    ]
    sold = lines[(lines.status == "paid") & (lines.product_id != "K")].copy()
    gross = np.where(sold.price_basis == "net", 1 + sold.zone.map(RATES), 1.0)
    for name in ("offered", "regular"):
        sold[f"log_{name}"] = np.log(100 * sold[f"{name}_price"] * gross)
    units = sold.groupby(["product_id", "zone", "period"]).quantity.sum()
    orders = lines[lines.status == "paid"].groupby("period").order_id.nunique()
    return Reference(periods, days, units, _index(sold, "offered"), _index(sold, "regular"), orders, sold)


def _index(sold: Any, name: str) -> Any:
    """Jevons: the geometric mean of each line's price relative to its shelf, at the level of the series."""
    series = sold.groupby(["product_id", "zone"])
    shelf = sold.groupby(["product_id", "zone", "channel"]).log_regular.transform("mean")
    relative = sold[f"log_{name}"] - shelf + series.log_regular.transform("mean")
    return np.exp(relative.groupby([sold.product_id, sold.zone, sold.period]).mean())


def _table(values: Any, panel: Panel, periods: list[Any], empty: float) -> Floats:
    index = pd.MultiIndex.from_tuples(zip(panel.series.group, panel.series.zone, strict=True))
    wide = values.unstack("period").reindex(index=index, columns=periods)  # noqa: PD010 - one value a cell
    return np.asarray(wide.fillna(empty).to_numpy(), dtype=np.float64)


SHOPS = [
    (0, "Europe/Madrid", "week", "monday"),
    (1, "America/New_York", "week", "sunday"),
    (2, "Asia/Kolkata", "day", "monday"),
    (3, "Europe/Madrid", "day", "monday"),
    (4, "Australia/Lord_Howe", "week", "thursday"),
    (5, "Pacific/Kiritimati", "week", "saturday"),
]


@pytest.mark.parametrize(("seed", "zone", "grain", "week_start"), SHOPS)
def test_sales_are_what_pandas_adds_up(
    tmp_path: Path, seed: int, zone: str, grain: str, week_start: str
) -> None:
    shop = _shop(seed, zone, grain, week_start)
    panel, found = _panel(tmp_path / "d", shop), _reference(shop)
    pairs = sorted(set(zip(found.lines.product_id, found.lines.zone, strict=True)))
    assert list(zip(panel.series.group, panel.series.zone, strict=True)) == pairs
    assert [str(day) for day in panel.periods] == [str(start.date()) for start in found.periods]
    np.testing.assert_array_equal(panel.days, found.days)
    np.testing.assert_allclose(panel.units, _table(found.units, panel, found.periods, 0.0))
    np.testing.assert_allclose(panel.offered, _table(found.offered, panel, found.periods, np.nan), rtol=1e-9)
    np.testing.assert_allclose(panel.regular, _table(found.regular, panel, found.periods, np.nan), rtol=1e-9)
    np.testing.assert_array_equal(panel.traffic, found.orders.reindex(found.periods).fillna(0))
    np.testing.assert_allclose(panel.feature, _promoted(shop, panel, "feature"), atol=1e-12)
    np.testing.assert_allclose(panel.display, _promoted(shop, panel, "display"), atol=1e-12)
    share, short = _in_stock(shop, panel, found.lines)
    np.testing.assert_allclose(panel.in_stock, share)
    np.testing.assert_array_equal(panel.short, short)
    np.testing.assert_array_equal(panel.on_sale, _on_sale(shop, panel))


def _promoted(shop: Shop, panel: Panel, kind: str) -> Floats:
    """Count promoted days one by one."""
    rows = shop.tables["promotions"].query("kind == @kind")
    on: dict[tuple[str, str, dt.date], float] = {}
    for row in rows.itertuples():
        for day in pd.date_range(row.starts_at, row.ends_at, inclusive="left"):
            on[row.product_id, row.zone, day.date()] = row.share
    first = _covered_from(panel, shop)
    out = np.zeros(panel.units.shape)
    for n, key in enumerate(zip(panel.series.group, panel.series.zone, strict=True)):
        for t, count in enumerate(panel.days):
            days = [first[t] + dt.timedelta(days=i) for i in range(int(count))]
            out[n, t] = sum(on.get((*key, day), 0.0) for day in days) / int(count)
    return out


def _covered_from(panel: Panel, shop: Shop) -> list[dt.date]:
    starts = [dt.date.fromisoformat(str(day)) for day in panel.periods]
    step = 1 if shop.grain == "day" else 7
    missing = step - int(panel.days[0]) if len(starts) > 1 else 0
    return [starts[0] + dt.timedelta(days=missing), *starts[1:]]


def _in_stock(shop: Shop, panel: Panel, lines: Any) -> tuple[Floats, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Go through the counts of each product, zone and period one by one."""
    counts, paid = shop.tables["inventory"].copy(), lines[lines.status == "paid"]
    counts["at"] = pd.to_datetime(counts["at"])
    counts["period"] = _period(counts["at"], shop)
    shape = panel.units.shape
    share, final, short = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
    keys = list(zip(panel.series.group, panel.series.zone, strict=True))
    for (product, zone, period), cell in counts.sort_values("at").groupby(["product_id", "zone", "period"]):
        t = int(np.searchsorted(panel.periods, period.to_datetime64()))
        if (product, zone) not in keys or t >= shape[1] or panel.periods[t] != period.to_datetime64():
            continue
        n = keys.index((product, zone))
        sales = paid[(paid.product_id == product) & (paid.zone == zone) & (paid.period == period)]
        # Counts of this shop are random, and often outsold: that as many were sold means nothing.
        end = period + pd.Timedelta(days=1 if shop.grain == "day" else 7)
        sells, gone = len(sales) > 0, list(cell.on_hand <= 0)
        moments, there = [period, *cell["at"], end], [(0.5 if sells else 0.0) if gone[0] else 1.0]
        for now, after in zip(gone, [*gone[1:], False], strict=True):
            there.append(0.0 if now else 0.5 if after else 1.0)
        lengths = np.diff([m.timestamp() for m in moments])
        share[n, t] = lengths @ there / lengths.sum()
        final[n, t] = float(not gone[-1])
        short[n, t] = len(cell) == 1 and gone[0] and sells
    known, earlier = np.isfinite(share), pd.DataFrame(share).bfill(axis=1).to_numpy()
    carried = pd.DataFrame(final).ffill(axis=1).fillna(pd.DataFrame(earlier)).fillna(1.0).to_numpy()
    return np.where(short, 1.0, np.where(known, share, carried)), short


def _on_sale(shop: Shop, panel: Panel) -> np.ndarray[Any, np.dtype[np.bool_]]:
    products = shop.tables["products"].set_index("product_id")
    step = np.timedelta64(1 if shop.grain == "day" else 7, "D")
    out = np.zeros(panel.units.shape, dtype=np.bool_)
    for n, group in enumerate(panel.series.group):
        sold = np.flatnonzero(panel.units[n] > 0)
        launch, leave = products.loc[group, ["launch_at", "exit_at"]]
        first = np.datetime64(launch) if launch else panel.periods[sold[0]]
        end = np.datetime64(leave) if leave else panel.periods[sold[-1]] + step
        for t, start in enumerate(panel.periods):
            out[n, t] = (start + step > first and start < end) or panel.units[n, t] > 0
    return out


FORMS = ("csv", "xlsx", "parquet", "semicolons", "imported")


def test_the_panel_does_not_know_the_format_that_it_came_in(tmp_path: Path) -> None:
    shop = _shop(7, "Europe/Madrid", "week", "monday")
    panels: list[Panel] = []
    for form in FORMS:
        folder = write_shop(tmp_path / form, shop.settings)
        for name, frame in shop.tables.items():
            (folder / f"{name}.csv").unlink(missing_ok=True)
            rows = [list(frame.columns), *frame.astype(object).replace("", None).to_numpy().tolist()]
            if form in ("xlsx", "parquet"):
                write_table(folder / f"{name}.{form}", rows)
            elif form == "semicolons":
                frame.to_csv(folder / f"{name}.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
            else:
                frame.sample(frac=1, random_state=3).to_csv(folder / f"{name}.csv", index=False)
        if form == "imported":
            folder = _imported(folder, tmp_path / "data")
        with open_source(folder, today=TODAY) as source:
            assert source.bad_rows() == (), form
            panels.append(build_panel(source))
    for panel in panels[1:]:
        assert panel.series == panels[0].series
        for name in ("periods", "days", "units", "on_sale", "in_stock", "traffic", "feature", "display"):
            np.testing.assert_array_equal(getattr(panel, name), getattr(panels[0], name), name)
        for name in ("offered", "regular"):
            np.testing.assert_allclose(getattr(panel, name), getattr(panels[0], name), rtol=1e-13)


def _imported(folder: Path, out: Path) -> Path:
    import_spreadsheets(folder, out, read_shop_file(folder / "shop.toml"), out.with_name("key"))
    return out
