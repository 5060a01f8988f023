"""The core of platform imports by itself: a made-up platform whose orders are drawn or written here."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import ArtifactError, DataError
from simulators.contract.tables import open_source
from simulators.folders import claim
from simulators.importers.platform import (
    STATUSES,
    Discount,
    Export,
    ExportFile,
    Line,
    Listing,
    Order,
    Platform,
    Refund,
    ReturnedLine,
    Totals,
    contract_status,
)
from simulators.importers.platform_identity import Known, Resolution, catalogue_of
from simulators.importers.platform_import import Imported, Request, import_platform
from tests.simulators.platform_folders import LISTED, SHOP, TODAY, explained, rows

AT = dt.datetime(2025, 3, 3, 10, tzinfo=dt.UTC)
CENT = Decimal("0.01")


def listing(sku: str, *, key: str = "", **said: Any) -> Listing:
    return Listing(keys=(f"made:variant:{key or sku}",), own_id=f"own-{key or sku}", sku=sku,
                   names=(said.pop("name", sku),), name=said.pop("name", sku), **said)  # fmt: skip


def line(sku: str = "A", name: str = "A", *, keys: tuple[str, ...] = (), **said: Any) -> Line:
    fields: dict[str, Any] = {
        "line_id": "1", "quantity": Decimal(1), "price": Decimal("12.10"), "paid": Decimal("12.10"), **said,
    }  # fmt: skip
    return Line(keys=keys, sku=sku, name=name, **fields)


def order(*lines: Line, total: str = "12.10", **said: Any) -> Order:
    fields: dict[str, Any] = {
        "order_id": "1", "ordered_at": AT, "status": "paid", "status_word": "paid", "currency": "EUR",
        "price_basis": "gross", "totals": Totals(Decimal(total)), **said,
    }  # fmt: skip
    return Order(lines=lines, **fields)


def bring(
    orders: list[Order], out: Path, *listings: Listing, before: Path | None = None, at: dt.datetime = LISTED
) -> Imported:
    def read(_files: object, _reading: object) -> Export:
        return Export("made", listings, iter(orders))

    file = ExportFile(out.parent / "orders.json", "made", "orders", "made up")
    made = Platform("made", lambda _path: None, read)
    request = Request((file,), out, SHOP, out.parent / "key", at, TODAY, before)
    return import_platform(made, request)


def test_every_word_for_a_status_means_one_of_the_contract() -> None:
    assert set(STATUSES.values()) <= {"paid", "cancelled", "draft"}
    assert contract_status("paid", test=True, cancelled=True) == "test"
    assert contract_status("paid", cancelled=True) == "cancelled"
    assert contract_status("refunded") == "paid"
    assert contract_status("never heard of") == "draft"


@pytest.mark.parametrize(
    ("sold", "product", "how"),
    [
        (line("", "Mug", keys=("made:variant:B",)), "B", Resolution.LISTED),
        (line("A", "whatever"), "A", Resolution.LISTED),
        (line("twice", "Red"), "own-red", Resolution.NAME),
        (line("twice", "Green"), "made:name:Green", Resolution.UNKNOWN),
        (line("", "same"), "made:name:same", Resolution.UNKNOWN),
        (line("", "A"), "A", Resolution.NAME),
        (line("gone", "Gone"), "gone", Resolution.UNLISTED),
        (line("", "Gone", keys=("made:variant:9",)), "made:variant:9", Resolution.UNLISTED),
        (line("old", "Old"), "A", Resolution.ALIAS),
        (line("before", "B"), "before", Resolution.LISTED),
        (line("", "Engraving", kind="service"), "made:name:Engraving", Resolution.UNKNOWN),
    ],
)
def test_a_line_finds_its_product_or_says_that_it_does_not(sold: Line, product: str, how: Resolution) -> None:
    catalogue = catalogue_of(
        "made",
        [
            listing("A"), listing("B"), listing("twice", key="red", name="Red"),
            listing("twice", key="blue", name="Blue"), listing("", key="x", name="same"),
            listing("", key="y", name="same"),
        ],
        Known({"old": ((AT - dt.timedelta(days=1), "A"),)}, frozenset({"before"})), str,
    )  # fmt: skip
    found = catalogue.resolve(sold, AT)
    assert (found.product_id, found.how) == (product, how)
    assert catalogue.repeated == {"twice"}


def test_an_alias_means_its_product_from_its_day_on() -> None:
    catalogue = catalogue_of("made", [listing("A")], Known({"old": ((AT, "A"),)}), str)
    assert catalogue.resolve(line("old"), AT).product_id == "A"
    assert catalogue.resolve(line("old"), AT - dt.timedelta(seconds=1)).how is Resolution.UNLISTED


def test_two_products_never_share_an_identity() -> None:
    catalogue = catalogue_of("made", [listing("A"), listing("", key="A2")], Known(), str)
    again = catalogue_of(
        "made", [listing("A"), listing("A", key="A2")], Known({"made:variant:A": ((AT, "A"),)}), str
    )
    assert list(catalogue.listed) == ["A", "own-A2"]
    assert list(again.listed) == ["A", "own-A2"]


def test_the_last_statement_of_an_order_holds_whole(tmp_path: Path) -> None:
    first = order(line(), line("B", line_id="2"), total="24.20", version="2025-03-04")
    older = order(line("C"), version="2025-03-03")
    same = order(line("D", quantity=Decimal("1.250")), version="2025-03-04", total="15.13",
                 totals=Totals(Decimal("15.13")))  # fmt: skip
    same = replace(same, lines=(replace(same.lines[0], paid=Decimal("15.13")),))
    bring([first, older, same], tmp_path / "data", listing("A"))
    assert rows(tmp_path / "data", "orders", "product_id", "quantity", "paid") == [("D", 1.25, 15.13)]


def test_two_orders_of_one_name_are_refused(tmp_path: Path) -> None:
    found = [order(line(), source_id="1"), order(line(), source_id="2")]
    with pytest.raises(DataError, match="Two orders are called 1"):
        bring(found, tmp_path / "data", listing("A"))
    bring(found[:1], tmp_path / "data", listing("A"))
    with pytest.raises(DataError, match="Two orders are called 1"):
        bring(found[1:], tmp_path / "next", listing("A"), before=tmp_path / "data")


def test_a_price_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"A costs -1\.00"):
        bring([order(line())], tmp_path / "data", listing("A", price=Decimal("-1.00")))
    assert not (tmp_path / "data").exists()


def test_a_weight_times_a_price_is_paid_in_whole_cents(tmp_path: Path) -> None:
    sold = line(quantity=Decimal("0.75"), paid=Decimal("9.075"), unit="kg")
    imported = bring([order(sold, total="9.08")], tmp_path / "data", listing("A"))
    assert rows(tmp_path / "data", "orders", "quantity", "unit", "paid") == [(0.75, "kg", 9.08)]
    assert explained(imported)[("2025-03", "total")] == (908, 909, {"rounding": -1}, 0)


def test_addresses_in_names_and_codes_never_reach_the_disk(tmp_path: Path) -> None:
    sold = line("", "For ana@example.com")
    found = order(
        sold, discounts=(Discount("coupon", Decimal(1), coupon_id="bo@example.com"),), total="11.10"
    )
    imported = bring([found], tmp_path / "data", listing("A"))
    assert [left.name for left in imported.unknown] == ["For [e-mail]"]
    for path in (tmp_path / "data").iterdir():
        assert b"example.com" not in path.read_bytes()
    assert rows(tmp_path / "data", "orders", "product_id") == [("made:name:For [e-mail]",)]


def test_returns_need_a_day_and_refunds_are_explained_by_kind(tmp_path: Path) -> None:
    back = ReturnedLine("1", Decimal(1), Decimal("12.10"), restocked=True)
    refunds = (
        Refund(Decimal("14.10"), AT, (back,), shipping=Decimal(3), adjusted=Decimal(-1)),
        Refund(Decimal(5)),
        Refund(Decimal("12.10"), None, (back,)),
    )
    sold = line(quantity=Decimal(3), paid=Decimal("36.30"))
    imported = bring([order(sold, total="36.30", refunds=refunds)], tmp_path / "data", listing("A"))
    assert rows(tmp_path / "data", "returns", "line_id", "quantity", "refund") == [("1", 1.0, 12.1)]
    assert explained(imported)[("2025-03", "refunds")] == (
        3120, 1210, {"shipping": 300, "without_lines": 1710, "adjusted": -100}, 0
    )  # fmt: skip


def test_tax_on_a_refund_is_told_apart_where_it_is_on_top(tmp_path: Path) -> None:
    back = ReturnedLine("1", Decimal(1), Decimal(100))
    sold = line(price=Decimal(100), paid=Decimal(100), quantity=Decimal(1))
    usual = Refund(Decimal(121), AT, (back,), lines_tax=Decimal(21))
    reduced = Refund(Decimal(110), AT, (back,), lines_tax=Decimal(10))
    lost = Refund(Decimal(90), AT, (replace(back, refund=Decimal(80)),), lines_tax=Decimal(10))
    for number, refund in enumerate((usual, reduced, lost)):
        totals = Totals(refund.amount, tax=refund.lines_tax)
        found = order(sold, price_basis="net", totals=totals, refunds=(refund,))
        imported = bring([found], tmp_path / f"{number}", listing("A"))
        theirs, ours, kinds, left = explained(imported)[("2025-03", "refunds")]
        assert theirs == ours + sum(kinds.values()) + left
        assert (kinds, left) == ({"other_tax": {0: 0, 1: -1100, 2: -680}[number]} if number else {}, 0)


def test_a_refund_that_does_not_add_up_stays_unexplained(tmp_path: Path) -> None:
    back = ReturnedLine("1", Decimal(1), Decimal("12.10"))
    found = order(line(), refunds=(Refund(Decimal(20), AT, (back,)),))
    assert explained(bring([found], tmp_path / "data", listing("A")))[("2025-03", "refunds")] == (
        2000, 1210, {}, 790
    )  # fmt: skip


def test_rows_that_the_check_sets_aside_are_a_kind_of_their_own(tmp_path: Path) -> None:
    found = [
        order(line(), order_id="1"),
        order(line(), order_id="2", zone="moon"),
        order(line(), order_id="3"),
    ]
    imported = bring(found, tmp_path / "data", listing("A"))
    assert explained(imported)[("2025-03", "total")] == (3630, 2420, {"quarantined": 1210}, 0)


def test_what_a_sheet_corrected_stays_until_the_platform_says_something_new(tmp_path: Path) -> None:
    found, week = [order(line())], dt.timedelta(days=7)
    bring(found, tmp_path / "a", listing("A", cost=Decimal(8)))
    with claim(tmp_path / "b", "data", editable=("shop.toml",)) as draft:
        shutil.copytree(tmp_path / "a", draft, dirs_exist_ok=True)
        (draft / "tarifa.json").unlink()
        said = f"('A', TIMESTAMPTZ '{LISTED - week}', 9.5), ('A', TIMESTAMPTZ '{LISTED + week}', 7.5)"
        duckdb.execute(
            f"COPY (SELECT * FROM (VALUES {said}) AS v (product_id, valid_from, unit_cost)) "
            f"TO '{draft}/costs.parquet'"
        )
    bring(found, tmp_path / "c", listing("A", cost=Decimal(8)), before=tmp_path / "b", at=LISTED + 2 * week)
    bring(found, tmp_path / "d", listing("A", cost=Decimal(6)), before=tmp_path / "c", at=LISTED + 3 * week)
    assert [cost for (cost,) in rows(tmp_path / "c", "costs", "unit_cost")] == [9.5, 7.5]
    assert [cost for (cost,) in rows(tmp_path / "d", "costs", "unit_cost")] == [9.5, 7.5, 6.0]


def test_another_currency_is_never_continued_nor_mixed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No order of this export is in EUR"):
        bring([order(line(), currency="USD")], tmp_path / "data", listing("A"))
    with pytest.raises(DataError, match="There are no orders"):
        bring([], tmp_path / "data", listing("A"))
    bring([order(line()), order(line(), order_id="2", currency="USD")], tmp_path / "data", listing("A"))
    assert rows(tmp_path / "data", "orders", "order_id") == [("1",)]
    dollars = replace(SHOP, currency="USD")
    file = ExportFile(tmp_path / "orders.json", "made", "orders", "made up")
    made = Platform("made", lambda _path: None, lambda _f, _r: Export("made", (), iter([order(line())])))
    with pytest.raises(ArtifactError, match="is in EUR, not in USD"):
        import_platform(
            made,
            Request((file,), tmp_path / "b", dollars, tmp_path / "key", LISTED, TODAY, tmp_path / "data"),
        )


@st.composite
def _orders(draw: st.DrawFn) -> list[Order]:
    """Draw orders as a platform books them: tax rounded line by line, discounts never above what is paid."""
    net = draw(st.booleans())
    found: list[Order] = []
    for number in range(draw(st.integers(1, 6))):
        lines: list[Line] = []
        discounts: list[Discount] = []
        for place in range(1, draw(st.integers(1, 4)) + 1):
            price, quantity = draw(st.integers(1, 9999)) * CENT, Decimal(draw(st.integers(1, 4)))
            off = (
                draw(st.integers(0, int(price * quantity * 100))) * CENT
                if draw(st.booleans())
                else Decimal(0)
            )
            lines.append(line(f"S{place}", line_id=f"{place}", quantity=quantity, price=price,
                              paid=price * quantity - off))  # fmt: skip
            discounts.append(Discount("automatic", off, f"{place}"))
        goods = sum((entry.paid for entry in lines), Decimal(0))
        whole = draw(st.integers(0, int(goods * 100))) * CENT if draw(st.booleans()) else Decimal(0)
        shipping, tips = draw(st.integers(0, 999)) * CENT, draw(st.integers(0, 500)) * CENT
        rate = Decimal("0.21")
        share = (goods - whole) / goods if goods else Decimal(0)
        factor = rate if net else rate / (1 + rate)
        tax = sum((round(entry.paid * share * factor, 2) for entry in lines), Decimal(0))
        ship_tax = round(shipping * factor, 2)
        totals = Totals(
            total=goods - whole + shipping + tips + (tax + ship_tax if net else 0),
            tax=tax + ship_tax,
            shipping=shipping,
            shipping_tax=ship_tax if draw(st.booleans()) else None,
            discounts=sum((entry.amount for entry in discounts), whole),
            tips=tips,
        )
        status = draw(st.sampled_from(("paid", "paid", "paid", "cancelled", "test", "draft")))
        found.append(
            order(*lines, order_id=f"{number}", status=status, price_basis="net" if net else "gross",
                  totals=totals, discounts=(*discounts, Discount("coupon", whole)))
        )  # fmt: skip
    return found


@settings(max_examples=12, deadline=None)
@given(_orders())
def test_whatever_a_platform_books_is_explained_to_the_cent(orders: list[Order]) -> None:
    with TemporaryDirectory() as place:
        out = Path(place) / "data"
        imported = bring(orders, out, *(listing(f"S{i}", price=Decimal(5)) for i in range(1, 5)))
        assert imported.reconciliation.unexplained == 0
        for entry in imported.reconciliation.months:
            kinds = {difference.kind: difference.amount for difference in entry.differences}
            assert entry.platform == entry.ours + sum(kinds.values())
            assert abs(kinds.get("rounding", 0)) <= 5 * len(orders)
            assert not {"other_tax", "quarantined"} & kinds.keys()
        with open_source(out, today=TODAY, shop=SHOP) as source:
            assert not source.bad_rows()
