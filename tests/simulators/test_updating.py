"""Runs that are updated: what continues a run, what is refused, and what comes of new products and prices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pricing.errors import ArtifactError, DataError, FingerprintError
from pricing.evidence import Identification
from simulators.contract.tables import open_source
from simulators.demand.validate import validate
from simulators.run import Run, fit_run, load_run, save_run
from simulators.updating import run_digest, update_run
from tests.simulators.shops import PRODUCTS, SHOP, TODAY, orders, write_shop

WEEKS = 40
FIRST = np.datetime64("2024-09-02")
Lines = list[str]


def _lines(weeks: int, products: str = "ABCDEF") -> Lines:
    """Six products, one order a week each; every fifth week prices move by a tenth and sales by a quarter."""
    rng = np.random.default_rng(3)
    out: Lines = []
    for week in range(weeks):
        for p, name in enumerate(products):
            cheap = (week // 5 + p) % 2
            price, mean = (9.0, 10.0) if cheap else (10.0, 8.0)
            out.append(_line(name, week, price, 1 + int(rng.poisson(mean))))
    return out


def _line(name: str, week: int, price: float, quantity: int, day: int = 0) -> str:
    at = FIRST + 7 * week + day
    total = f"{price * quantity:.2f}"
    return f"{name}{week}x{day},1,{at} 10:00,paid,c1,{name},{quantity},{price:.2f},{price:.2f},{total},gross"


def _ended(weeks: int) -> str:
    """Return an order on the Sunday of the last week, which makes that week whole."""
    return _line("A", weeks - 1, 10.0, 1, day=6)


def _shop(folder: Path, lines: Lines, names: str = "ABCDEFGH", **more: str) -> Path:
    kinds = "".join(f"{name},{'shoes' if name in 'ABC' else 'hats'},merchandise\n" for name in names)
    return write_shop(
        folder, **{"orders": orders(*lines), "products": PRODUCTS.splitlines()[0] + "\n" + kinds, **more}
    )


def _fit(folder: Path, until: str | None = None) -> Run:
    with open_source(folder, today=TODAY) as source:
        return fit_run(source, seed=5, until=until)


def _update(run: Run, folder: Path, until: str | None = None) -> Run:
    with open_source(folder, today=TODAY) as source:
        return update_run(run, source, until=until)


@cache
def _fitted(folder: Path) -> Run:
    return _fit(_shop(folder, [*_lines(30), _ended(30)]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _fitted(tmp_path_factory.mktemp("first") / "data")


def test_longer_data_continue_a_run_and_their_lineage_is_kept(run: Run, tmp_path: Path) -> None:
    assert run.origin.until == "2025-03-31"
    data = _shop(tmp_path / "grown", [*_lines(34), _ended(30), _ended(34)])
    made = _update(run, data)
    assert made.origin.until == made.model.until == "2025-04-28"
    assert made.origin.data_name == "grown"
    assert made.lineage is not None
    assert made.standing is not None
    (step,) = made.lineage.updates
    assert (step.parent_run_id, step.parent_digest) == (run.identifier, run_digest(run))
    assert (step.since, step.until, step.fingerprint) == ("2025-03-31", "2025-04-28", made.origin.fingerprint)
    assert (step.report.periods, step.report.cells, step.report.new_series) == (4, 24, 0)
    assert made.standing.periods == made.report.periods == 34
    save_run(tmp_path / "run2", made)
    back = load_run(tmp_path / "run2", fingerprint=made.origin.fingerprint)
    assert back.lineage == made.lineage
    assert back.identifier == made.identifier != run.identifier
    later = _update(back, _shop(tmp_path / "more", [*_lines(36), _ended(30), _ended(34), _ended(36)]))
    assert later.lineage is not None
    assert [update.until for update in later.lineage.updates] == ["2025-04-28", "2025-05-12"]
    assert later.lineage.fitted_run_id == run.identifier
    assert later.fitted_until == "2025-03-31"


def test_the_same_update_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    data = _shop(tmp_path / "grown", [*_lines(32), _ended(30), _ended(32)])
    for name in ("one", "two"):
        save_run(tmp_path / name, _update(run, data))
    for file in ("model.npz", "panel.npz", "report.json", "run.json", "standing.npz", "lineage.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_it_is_close_to_a_fit_of_everything_and_validates_like_one(run: Run, tmp_path: Path) -> None:
    data = _shop(tmp_path / "grown", [*_lines(WEEKS), _ended(30), _ended(36)])
    made, full = _update(run, data, "2025-05-12"), _fit(data, "2025-05-12")
    sd = np.sqrt(np.einsum("nij,nij->ni", full.model.factor, full.model.factor))
    assert np.abs((made.model.mean - full.model.mean) / sd)[:, 1:].max() < 0.7
    assert made.holdout == full.holdout == 4
    ours, theirs = validate(made.model, made.panel), validate(full.model, full.panel)
    assert abs(ours.wmape - theirs.wmape) < 0.02


def test_the_rest_of_a_period_that_had_begun_is_passed_over(tmp_path: Path) -> None:
    begun = _fit(_shop(tmp_path / "begun", _lines(30)))  # its last order is of a Monday
    assert begun.panel.days[-1] == 1
    more = [*_lines(31), _line("B", 29, 10.0, 40, day=3), _ended(31)]
    made = _update(begun, _shop(tmp_path / "grown", more))
    assert made.lineage is not None
    assert made.lineage.updates[0].report.cells == 6
    less = [line for line in more if not line.startswith("B28")]
    with pytest.raises(FingerprintError, match=r"B in 2025-03-17: units was \d+ when .* and is 0 now"):
        _update(begun, _shop(tmp_path / "less", less))


def test_a_new_product_borrows_and_learns_and_one_that_is_gone_stays(run: Run, tmp_path: Path) -> None:
    new = [_line("G", week, 20.0, 50) for week in range(31, 38)]
    lines = [line for line in _lines(38) if line.split("x")[0] not in {f"F{week}" for week in range(30, 38)}]
    made = _update(run, _shop(tmp_path / "grown", [*lines, *new, _ended(30), _ended(38)]))
    assert made.model.series.group == tuple("ABCDEFG")
    assert made.lineage is not None
    assert made.lineage.updates[0].report.new_series == 1
    G, F = 6, 5
    assert made.model.reference_price[G] == pytest.approx(2000.0)
    assert (made.model.support_low[G], made.model.support_high[G]) == (2000, 2000)
    assert abs(made.model.mean[G, 0] - np.log(50.0)) < 0.35
    assert made.model.identified_by[G, 0] == Identification.NOT_IDENTIFIED
    regular = slice(1, 3)
    wide = np.sqrt(np.diagonal(made.model.prior_covariance[made.model.category[G]]))[regular]
    own = np.linalg.norm(made.model.factor[G], axis=1)[regular]
    assert (own > 0.9 * wide).all()  # a price that never moved tells nothing of its effect
    assert made.model.mean[F, 0] < run.model.mean[F, 0] - 0.1  # eight weeks without a sale, like a fit
    assert made.model.dispersion[:6].tolist() == run.model.dispersion.tolist()


def test_a_category_never_seen_is_added(run: Run, tmp_path: Path) -> None:
    new = [_line("Z", week, 5.0, 7) for week in range(30, 34)]
    kinds = PRODUCTS.splitlines()[0] + "\n"
    kinds += "".join(f"{n},{'shoes' if n in 'ABC' else 'hats'},merchandise\n" for n in "ABCDEF")
    data = _shop(
        tmp_path / "grown",
        [*_lines(34), *new, _ended(30), _ended(34)],
        products=kinds + "Z,socks,merchandise\n",
    )
    made = _update(run, data)
    assert made.model.category[-1] == len(run.model.category_shock_sd)
    assert len(made.model.category_shock_sd) == len(run.model.category_shock_sd) + 1
    assert made.standing is not None
    assert len(made.standing.prior_covariance) == len(made.model.category_shock_sd)


def test_prices_seen_since_widen_the_support_and_one_off_prices_do_not(run: Run, tmp_path: Path) -> None:
    assert int(run.model.support_high[0]) == 1000

    def with_prices(*prices: float) -> Lines:
        dear = {f"A{30 + i}x0": _line("A", 30 + i, price, 5) for i, price in enumerate(prices)}
        return [dear.get(line.split(",")[0], line) for line in [*_lines(34), _ended(30), _ended(34)]]

    twice = _update(run, _shop(tmp_path / "twice", with_prices(14.0, 14.0)))
    assert int(twice.model.support_high[0]) == 1400
    once = _update(run, _shop(tmp_path / "once", with_prices(14.0)))
    assert int(once.model.support_high[0]) == 1000
    assert once.lineage is not None
    assert once.lineage.updates[0].report.cells == 23  # the cell at the one-off price is no evidence


Change = Callable[[Lines], Lines]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda lines: lines[6:], FingerprintError, "begin with the period of 2024-09-09"),
        (lambda lines: lines[:150], FingerprintError, "do not reach as far"),
        (lambda lines: [x for x in lines if not x.startswith("A3x")], FingerprintError, "A in .*units was"),
        (lambda lines: [x for x in lines if x[0] != "C"], FingerprintError, "C in es was sold"),
        (lambda lines: [*lines, _line("H", 2, 5.0, 1)], FingerprintError, "traffic|H in es was sold"),
        (lambda lines: [x for x in lines if "2025-04-14" not in x], DataError, "Nothing at all was sold"),
    ],
)
def test_data_that_do_not_continue_the_run_are_refused(
    run: Run, tmp_path: Path, change: Change, error: type[Exception], match: str
) -> None:
    grown = [*_lines(34), _ended(30), _ended(34)]
    with pytest.raises(error, match=match):
        _update(run, _shop(tmp_path / "grown", change(grown)))


def test_a_changed_price_is_named(run: Run, tmp_path: Path) -> None:
    grown = [*_lines(34), _ended(30), _ended(34)]
    i = next(i for i, line in enumerate(grown) if line.startswith("D4x"))
    quantity = int(grown[i].split(",")[6])
    grown[i] = _line("D", 4, 11.0, quantity)
    with pytest.raises(FingerprintError, match=r"D in 2024-09-30: offered was .* and is 1100 now"):
        _update(run, _shop(tmp_path / "grown", grown))


def test_nothing_new_an_earlier_day_and_other_settings_are_refused(run: Run, tmp_path: Path) -> None:
    same = _shop(tmp_path / "same", [*_lines(31), _ended(30)])  # the last week has begun only
    with pytest.raises(DataError, match="no whole period from 2025-03-31 on: there is nothing new"):
        _update(run, same)
    grown = _shop(tmp_path / "grown", [*_lines(34), _ended(30), _ended(34)])
    with pytest.raises(DataError, match="on before 2025-03-31: there is nothing new"):
        _update(run, grown, "2025-03-31")
    with pytest.raises(DataError, match="is no date"):
        _update(run, grown, "soon")
    for name, old, new, said in (
        ("dollars", 'currency = "EUR"', 'currency = "USD"', "currency was EUR .* is USD"),
        ("days", "contract = 1", 'contract = 1\ngrain = "day"', "days of a period was 7 .* is 1"),
    ):
        other = _shop(tmp_path / name, [*_lines(34), _ended(30), _ended(34)])
        (other / "shop.toml").write_text(SHOP.replace(old, new), encoding="utf-8")
        with pytest.raises(FingerprintError, match=said):
            _update(run, other)


def test_a_product_that_moved_to_another_category_is_refused(run: Run, tmp_path: Path) -> None:
    data = _shop(tmp_path / "grown", [*_lines(34), _ended(30), _ended(34)])
    text = (data / "products.csv").read_text().replace("A,shoes", "A,hats")
    (data / "products.csv").write_text(text)
    with pytest.raises(FingerprintError, match=r"A was in the category 'shoes' .* in 'hats' now"):
        _update(run, data)


def test_a_run_without_its_standing_is_refused(run: Run, tmp_path: Path) -> None:
    data = _shop(tmp_path / "grown", [*_lines(34), _ended(30), _ended(34)])
    with pytest.raises(ArtifactError, match="does not say where its fit stood"):
        _update(replace(run, standing=None), data)
