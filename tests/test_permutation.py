"""Shelf prices cannot see who bought: every personal column permuted, and not one byte of them moves.

The one fact of an account that prices rest on is whether it is a business: business customers are set apart
before demand is counted (docs/data-contract.md). So values are permuted within each kind of account, and the
last test shows that a permutation across kinds would be seen.
"""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api.shelves import build_shelf
from api.tables import recommendations_table
from policies.serve.journey import recommend
from policies.serve.resolve import Resolve
from policies.serve.static import Static
from pricing.customers import unknown
from pricing.schema import TABLES
from simulators.contract.tables import open_source
from simulators.customers.features import build_customers
from simulators.customers.ranking import coupon_relevance, fit_ranking
from simulators.customers.ranking_pairs import bought_between, build_pairs
from simulators.output_tables import table_bytes
from simulators.run import fit_run, run_files
from tests.api.shop import write_shop
from tests.once import once

TODAY = dt.date(2025, 7, 1)
CUSTOMERS, BUSINESS = 40, "c00"
ATTRIBUTES = ("age", "sex", "postcode")
PERSONAL = {t.name: {c.name for c in t.columns if c.personal} for t in TABLES} | {
    "customers": {"customer_id", "first_seen", "jurisdiction", *ATTRIBUTES},
    "consents": {"customer_id", "granted", "at"},
    "redemptions": {"customer_id", "coupon_id"},
}
"""What the contract marks as personal, and what else those tables tell of a person."""


def _write(folder: Path, name: str, header: list[str], rows: list[list[str]]) -> None:
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def _read(folder: Path, name: str) -> tuple[list[str], list[list[str]]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return rows[0], rows[1:]


def _shop(root: Path) -> Path:
    """Write the small shop of the command line, with customers whose columns all differ."""
    folder = write_shop(root / "shop")
    settings = (folder / "shop.toml").read_text()
    names = ", ".join(f'"{name}"' for name in ATTRIBUTES)
    (folder / "shop.toml").write_text(f"{settings}\n[attributes]\ncustomers = [{names}]\n")
    rng = np.random.default_rng(3)
    who = [f"c{i:02d}" for i in range(CUSTOMERS)]
    header, rows = _read(folder, "orders")
    _write(folder, "orders", [*header, "customer_id"], [[*row, str(rng.choice(who))] for row in rows])
    people = [
        [c, f"2023-01-{1 + i % 28:02d}", "business" if c == BUSINESS else "retail", f"E{i}", f"{18 + i}",
         f"s{i % 2}", f"280{i}"] for i, c in enumerate(who)
    ]  # fmt: skip
    _write(folder, "customers", ["customer_id", "first_seen", "group", "jurisdiction", *ATTRIBUTES], people)
    answers = [[c, "personal_offers", str(i % 3 > 0).lower(), f"2023-02-{1 + i % 28:02d}", "1", "web"]
               for i, c in enumerate(who)]  # fmt: skip
    columns = ["customer_id", "purpose", "granted", "at", "text_version", "source"]
    _write(folder, "consents", columns, answers)
    seen = [[c, f"s{i}", "2024-05-01", "cart_add", "p01"] for i, c in enumerate(who)]
    _write(folder, "events", ["customer_id", "session_id", "at", "event", "product_id"], seen)
    _write(folder, "campaigns", ["campaign_id", "kind", "starts_at", "ends_at"],
           [["m", "mailer", "2024-05-01", "2024-06-01"]])  # fmt: skip
    _write(folder, "coupons", ["coupon_id", "campaign_id", "scope", "amount", "valid_from", "valid_to"],
           [[k, "m", "line", "0.50", "2024-05-01", "2024-06-01"] for k in ("k1", "k2")])  # fmt: skip
    given = [[c, f"k{1 + i % 2}", "2024-05-02"] for i, c in enumerate(who)]
    _write(folder, "coupon_exposures", ["customer_id", "coupon_id", "at"], given)
    _write(folder, "redemptions", ["customer_id", "coupon_id", "at"], given[::2])
    return folder


def _permuted(shop: Path, target: Path, seed: int, *, across: bool = False) -> Path:
    """Copy a shop with every personal column permuted over the rows of its kind of account."""
    target.mkdir()
    rng = np.random.default_rng(seed)
    (target / "shop.toml").write_bytes((shop / "shop.toml").read_bytes())
    for path in sorted(shop.glob("*.csv")):
        header, rows = _read(shop, path.stem)
        place = header.index("customer_id") if "customer_id" in header else -1
        free = [i for i, row in enumerate(rows) if across or place < 0 or row[place] != BUSINESS]
        for column in sorted(PERSONAL.get(path.stem, set()) & set(header)):
            k = header.index(column)
            moved = [rows[int(i)][k] for i in rng.permutation(np.array(free))]
            for i, value in zip(free, moved, strict=True):
                rows[i][k] = value
        _write(target, path.stem, header, rows)
    return target


def _prices(folder: Path) -> dict[str, bytes]:
    """Return every file of a fit and of two policies' prices, the data's own fingerprint apart."""
    with open_source(folder, today=TODAY) as opened:
        source = replace(opened, folder=Path("shop"), fingerprint="0" * 64)
        run = fit_run(source, seed=3)
        shelf = build_shelf(source, run)
        files = {**run_files(run), **shelf.files()}
    for policy in (Static.of(shelf.scenario), Resolve.of(shelf.scenario)):
        made = recommend(shelf, policy, draws=50)
        table = recommendations_table(made, made.rows(range(len(made))), "run", {})
        files[made.release] = table_bytes(table)
    return files


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "permutation", _shop) / "shop"


@pytest.fixture(scope="module")
def prices(shop: Path) -> dict[str, bytes]:
    return _prices(shop)


def test_permuting_every_personal_column_leaves_shelf_prices_byte_identical(
    shop: Path, prices: dict[str, bytes], tmp_path: Path
) -> None:
    other = _permuted(shop, tmp_path / "permuted", 1)
    names = sorted(path.stem for path in shop.glob("*.csv"))
    changed = {name for name in names if _read(shop, name) != _read(other, name)}
    assert changed == {"orders", "customers", "consents", "events", "coupon_exposures", "redemptions"}
    found = _prices(other)
    assert found.keys() == prices.keys()
    assert [name for name in prices if found[name] != prices[name]] == []
    assert len(prices) >= 6


def test_a_permutation_that_moves_business_orders_is_seen(
    shop: Path, prices: dict[str, bytes], tmp_path: Path
) -> None:
    found = _prices(_permuted(shop, tmp_path / "across", 1, across=True))
    assert found["model.npz"] != prices["model.npz"]


def test_a_refusal_leaves_no_trace_in_what_an_offer_reads(shop: Path, tmp_path: Path) -> None:
    """Two shops that differ in what those who refused did, and in nothing else."""
    refused = [row[0] for row in _read(shop, "consents")[1] if row[2] == "false" and row[0] != BUSINESS]
    other = tmp_path / "other"
    other.mkdir()
    for path in shop.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    for name in ("events", "coupon_exposures", "redemptions"):
        header, rows = _read(shop, name)
        _write(other, name, header, [row for row in rows if row[0] not in refused])
    header, rows = _read(shop, "orders")
    place = header.index("customer_id")
    turned = dict(zip(refused, refused[1:] + refused[:1], strict=True))
    swapped = [[*row[:place], turned.get(row[place], row[place])] for row in rows]
    _write(other, "orders", header, swapped)
    found: list[tuple[bytes, ...]] = []
    for folder in (shop, other):
        with open_source(folder, today=TODAY) as source:
            known = build_customers(source, "2024-09-01")
            before = build_pairs(source, "2024-08-01")
            bought = bought_between(source, before, "2024-08-01", "2024-08-15")
            model = fit_ranking([(before, bought)], 14, "2024-09-01")
            now = build_pairs(source, "2024-09-01")
        coupons = {"k1": ("p01", "p02"), "k2": ("p09",)}
        p = model.probability(now)
        relevance = coupon_relevance(now, p, coupons, [*refused, "never seen"])
        assert known.find(refused).tobytes() == np.tile(unknown(), (len(refused), 1)).tobytes()
        assert relevance.tobytes() == np.tile(relevance[-1], (len(refused) + 1, 1)).tobytes()
        assert not set(refused) & set(now.customer)
        found.append((known.values.tobytes(), relevance.tobytes(), model.mean.tobytes()))
    assert found[0] == found[1]
