"""Prices of the same product elsewhere as an instrument: by hand, from tables, and on known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pricing.arrays import Floats
from pricing.errors import DataError, SettingsError
from pricing.evidence import Identification, PriceKind
from pricing.panel import Panel, Series
from simulators.contract.other_zones import other_zone_prices
from simulators.contract.panel import build_panel
from simulators.contract.shop_file import parse_shop_file
from simulators.contract.tables import open_source
from simulators.demand.elasticities import elasticities
from simulators.demand.fit import Fit, fit
from tests.simulators.shops import SHOP, TODAY, orders, write_shop

ZONES = """[[zones]]
id = "fr"
country = "FR"
tax_rate = 0.25
prices_include_tax = true
"""
TWO = SHOP.replace("[cost_assumption]", ZONES + "[cost_assumption]")
LOCAL = TWO.replace("contract = 1", "contract = 1\ndemand_shocks_are_local = true")


def series(*pairs: tuple[str, str]) -> Series:
    n = len(pairs)
    return Series(tuple(p for p, _ in pairs), tuple(z for _, z in pairs), ("c",) * n, ("",) * n, ("",) * n)


def test_the_others_mean_by_hand() -> None:
    price = np.array([[100.0, 100.0], [np.nan, 200.0], [400.0, 50.0], [70.0, 80.0]])
    found = other_zone_prices(series(("a", "x"), ("a", "y"), ("a", "z"), ("b", "x")), price)
    log = np.log
    expected = [
        [log(400.0), 0.5 * (log(200.0) + log(50.0))],
        [0.5 * (log(100.0) + log(400.0)), 0.5 * (log(100.0) + log(50.0))],
        [log(100.0), 0.5 * (log(100.0) + log(200.0))],
        [np.nan, np.nan],
    ]
    np.testing.assert_allclose(found, expected)


LINES = orders(
    "o1,1,2025-03-03 10:00,paid,c1,A,1,10.00,10.00,10.00,gross,es",
    "o2,1,2025-03-11 10:00,paid,c1,A,1,12.00,12.00,12.00,gross,es",
    "o3,1,2025-03-11 10:00,paid,c1,A,1,20.00,20.00,20.00,gross,fr",
    "o4,1,2025-03-18 10:00,paid,c1,B,1,5.00,5.00,5.00,gross,es",
).replace("price_basis\n", "price_basis,zone\n")


def built(folder: Path, shop: str, **tables: str) -> Panel:
    with open_source(write_shop(folder, shop, orders=LINES, **tables), today=TODAY) as source:
        return build_panel(source)


def test_declared_in_the_shop_file_they_are_read_from_the_prices(tmp_path: Path) -> None:
    panel = built(tmp_path, LOCAL)
    assert panel.instrument_names == ("other_zone_prices",)
    assert panel.instruments is not None
    at = {pair: i for i, pair in enumerate(zip(panel.series.group, panel.series.zone, strict=True))}
    nothing, ten, twelve, twenty = np.nan, np.log(1000.0), np.log(1200.0), np.log(2000.0)
    # Nobody knows a price before it is first recorded: in France that is the second week.
    np.testing.assert_allclose(panel.instruments[at["A", "es"], :, 0], [nothing, twenty, twenty])
    np.testing.assert_allclose(panel.instruments[at["A", "fr"], :, 0], [ten, twelve, twelve])
    assert np.isnan(panel.instruments[at["B", "es"]]).all(), "it has no other zone"


def test_undeclared_they_are_none(tmp_path: Path) -> None:
    assert built(tmp_path, TWO).instruments is None


def test_they_stand_beside_the_shops_own(tmp_path: Path) -> None:
    own = "at,zone,name,value\n2025-03-03,es,freight,1.5\n"
    panel = built(tmp_path, LOCAL, instruments=own)
    assert panel.instrument_names == ("freight", "other_zone_prices")
    assert panel.instruments is not None
    assert panel.instruments.shape[2] == 2


def test_a_name_taken_is_refused(tmp_path: Path) -> None:
    own = "at,zone,name,value\n2025-03-03,es,other_zone_prices,1.5\n"
    with pytest.raises(DataError, match="other_zone_prices"):
        built(tmp_path, LOCAL, instruments=own)


def test_one_zone_has_no_others() -> None:
    with pytest.raises(SettingsError, match="only zone"):
        parse_shop_file(SHOP.replace("contract = 1", "contract = 1\ndemand_shocks_are_local = true"))


PRODUCTS, WEEKS, ELASTICITY, CHASE = 60, 60, -2.0, 0.4


def sold_in_two_zones(seed: int, *, declared: bool) -> Panel:
    """Return a shop whose cost nobody recorded, and whose prices in each zone chase that zone's demand."""
    rng = np.random.default_rng(seed)

    def walk(*shape: int, sd: float, keep: float) -> Floats:
        out = np.zeros(shape)
        for t in range(1, shape[-1]):
            out[..., t] = keep * out[..., t - 1] + rng.normal(0.0, sd, shape[:-1])
        return out

    cost = np.repeat(walk(PRODUCTS, WEEKS, sd=0.03, keep=0.97)[:, None], 2, axis=1)
    shock = walk(PRODUCTS, 2, WEEKS, sd=0.14, keep=0.7)
    log_price = np.log(1000.0) + cost + CHASE * shock + rng.normal(0.0, 0.02, shock.shape)
    mean = np.exp(3.0 + ELASTICITY * (log_price - np.log(1000.0)) + shock)
    units = rng.poisson(mean).astype(np.float64).reshape(-1, WEEKS)
    price = np.exp(log_price).reshape(-1, WEEKS)
    n, zeros = 2 * PRODUCTS, np.zeros_like(units)
    who = series(*((f"p{i:02d}", zone) for i in range(PRODUCTS) for zone in ("es", "fr")))
    return Panel(
        series=who,
        periods=np.datetime64("2024-01-01") + 7 * np.arange(WEEKS),
        days=np.full(WEEKS, 7),
        units=units,
        on_sale=np.ones((n, WEEKS), dtype=np.bool_),
        offered=price,
        regular=price,
        feature=zeros,
        display=zeros,
        in_stock=zeros + 1.0,
        traffic=np.ones(WEEKS),
        currency="EUR",
        instruments=other_zone_prices(who, price)[..., None] if declared else None,
        instrument_names=("other_zone_prices",) if declared else (),
    )


def fitted(panel: Panel) -> Fit:
    return fit(panel, until="2025-02-24", fingerprint="x", seed=1, calendar_in_advance=False)


def test_where_shocks_are_local_they_take_the_bias_away() -> None:
    bare, told = (sold_in_two_zones(3, declared=declared) for declared in (False, True))
    blind, seeing = fitted(bare), fitted(told)
    assert elasticities(blind.model, bare).elasticity[:, PriceKind.REGULAR].mean() > ELASTICITY + 0.8
    found = elasticities(seeing.model, told)
    regular = found.elasticity[:, PriceKind.REGULAR]
    assert abs(regular.mean() - ELASTICITY) < 0.35
    lower, upper = found.lower[:, PriceKind.REGULAR], found.upper[:, PriceKind.REGULAR]
    inside = (lower < ELASTICITY) & (upper > ELASTICITY)
    assert inside.mean() > 0.8
    told_by = set(seeing.model.identified_by[:, PriceKind.REGULAR].tolist())
    assert Identification.INSTRUMENT in told_by
    assert set(blind.model.identified_by[:, PriceKind.REGULAR].tolist()) == {Identification.NOT_IDENTIFIED}
    stage = seeing.report.first_stage
    assert stage is not None
    assert (stage.names, stage.refused) == (("other_zone_prices",), False)
