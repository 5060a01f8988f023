"""Product exports of two platforms: only what is meant changes, and everything else says why it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.publishers.changes import Identity, LineState, Market, PriceChange, Refusal, Tag, undone
from api.publishers.product_files import ProductFile
from api.publishers.shopify_csv import shopify_csv
from api.publishers.woocommerce_csv import woocommerce_csv
from pricing.errors import DataError, UsageError
from tests.api.product_exports import SHOPIFY, WOOCOMMERCE

MARKET = Market("es", "EUR", "gross")
Open = Callable[..., ProductFile]


def change(product: str, now: int, new: int, **more: Any) -> PriceChange:
    return PriceChange(product, "es", "EUR", "gross", now, new, **more)


def _only(before: bytes, after: bytes, **swaps: str) -> bool:
    """Whether `after` is `before` with some pieces of text swapped, each once."""
    for old, new in swaps.items():
        assert before.count(old.encode()) == 1, old
        before = before.replace(old.encode(), new.encode())
    return before == after


@pytest.mark.parametrize(("opened", "export"), [(shopify_csv, SHOPIFY), (woocommerce_csv, WOOCOMMERCE)])
def test_where_nothing_changes_the_bytes_are_the_same(opened: Open, export: bytes, tmp_path: Path) -> None:
    file = opened(export, MARKET, tmp_path / "out.csv")
    asked = [change("MUG-L", 2490, 2490), change("JAR-1", 2904, 2904), change("nobody", 1, 2)]
    assert file.edited(asked) == export
    file.publish(asked, key="k")
    assert (tmp_path / "out.csv").read_bytes() == export
    for other in (export.replace(b"\r\n", b"\n"), export + b"\n\n", export.replace(b"\n", b"\r\n")):
        assert opened(other, MARKET).edited(asked) == other


def test_shopify_changes_the_cells_that_are_meant() -> None:
    file = shopify_csv(SHOPIFY, MARKET)
    asked = [
        change("MUG-L", 2490, 2695),
        change("00123", 129900, 135050),
        change("p7", 1500, 1600, known_as=Identity(handle="bowl", options=("Default Title",))),
    ]
    lines = file.preview(asked).lines
    assert [line.state for line in lines] == [LineState.CHANGE] * 3
    assert [(line.where, [(c.name, c.before, c.after) for c in line.cells]) for line in lines] == [
        ("row 2", [("Variant Price", "24.90", "26.95")]),
        ("row 5", [("Variant Price", "1299.00", "1350.50")]),
        ("row 6", [("Variant Price", "15", "16")]),
    ]
    pieces = {",24.90,": ",26.95,", '"1299.00"': '"1350.50"', ",15,15.00,": ",16,15.00,"}
    assert _only(SHOPIFY, file.edited(asked), **pieces)


def test_woocommerce_changes_the_cells_that_are_meant() -> None:
    file = woocommerce_csv(WOOCOMMERCE, MARKET)
    asked = [
        change("JAR-1", 2904, 3000),
        change("blue", 1290, 1300, known_as=Identity(platform_id="104")),
        change("CARO", 129900, 99950),
        change("RARO", 1200, 1600),
    ]
    assert file.preview(asked).count(LineState.CHANGE) == 4
    # Of "RARO" the sale price above the regular one means nothing today; at 16.00 it would be a reduction.
    pieces = {
        '"29,04"': '"30,00"', ";;12,90;VAS;2": ";;13,00;VAS;2", "1.299,00": "999,50",
        ";15,00;12,00;": ";;16,00;",
    }  # fmt: skip
    assert _only(WOOCOMMERCE, file.edited(asked), **pieces)


def test_a_compare_at_price_that_would_become_a_reduction_is_emptied() -> None:
    file = shopify_csv(SHOPIFY, MARKET)
    asked = [change("bowl", 1500, 1400, known_as=Identity(handle="bowl", options=("Default Title",)))]
    assert [c.after for c in file.preview(asked).lines[0].cells] == ["14", ""]


_REFUSED: dict[str, tuple[PriceChange, Refusal]] = {
    "not in the file": (change("nobody", 1, 2), Refusal.MISSING),
    "two rows of one SKU": (change("DUP", 500, 600), Refusal.DUPLICATE),
    "the shop changed it since": (change("MUG-L", 2590, 2695), Refusal.CHANGED_SINCE),
    "another zone": (replace(change("MUG-L", 2490, 2695), zone="fr"), Refusal.OTHER_ZONE),
    "another currency": (replace(change("MUG-L", 2490, 2695), currency="USD"), Refusal.OTHER_CURRENCY),
    "another basis": (replace(change("MUG-L", 2490, 2695), basis="net"), Refusal.OTHER_BASIS),
    "no number": (change("JUG", 500, 600), Refusal.UNREADABLE),
    "no price": (change("MUG-L", 2490, 0), Refusal.NOT_A_PRICE),
    "negative": (change("MUG-L", 2490, -5), Refusal.NOT_A_PRICE),
    "reduced upwards": (change("MUG-L", 2490, 2500, offered_new=2600), Refusal.NOT_A_PRICE),
    "a reduction is running": (change("MUG-XL", 3990, 4290), Refusal.REDUCTION_RUNNING),
    "a reduction without its prior price": (
        change("MUG-L", 2490, 2490, offered_new=1990), Refusal.PRIOR_PRICE_UNKNOWN),
    "not below the prior price": (
        change("MUG-L", 2490, 2490, offered_new=1990, prior_price=1990), Refusal.ABOVE_PRIOR_PRICE),
    "a was price above the prior price": (
        change("MUG-L", 2490, 2490, offered_new=1990, prior_price=2290), Refusal.ABOVE_PRIOR_PRICE),
}  # fmt: skip


@pytest.mark.parametrize("name", _REFUSED)
def test_what_cannot_be_published_is_a_line_with_a_reason_and_stops_nobody(name: str) -> None:
    refused, why = _REFUSED[name]
    file = shopify_csv(SHOPIFY, MARKET)
    good = change("00123", 129900, 135050)
    lines = file.preview([refused, good]).lines
    assert [(line.state, line.why) for line in lines] == [(LineState.FAILED, why), (LineState.CHANGE, None)]
    assert _only(SHOPIFY, file.edited([refused, good]), **{'"1299.00"': '"1350.50"'})


def test_a_row_whose_cells_have_shifted_is_not_touched() -> None:
    """A comma that nobody quoted: what stands under the price is something else."""
    shifted = SHOPIFY.replace(b"MUG-L,410", b"MUG-L,4,10")
    file = shopify_csv(shifted, MARKET)
    lines = file.preview([change("MUG-L", 2490, 2695), change("00123", 129900, 135050)]).lines
    assert [line.why for line in lines] == [Refusal.UNREADABLE, None]


def test_two_changes_of_one_row_are_both_refused() -> None:
    alias = change("other", 2490, 2600, known_as=Identity(sku="MUG-L"))
    for pair in (
        [change("MUG-L", 2490, 2500), alias],
        [change("MUG-L", 2490, 2500), change("MUG-L", 2490, 2600)],
    ):
        lines = shopify_csv(SHOPIFY, MARKET).preview(pair).lines
        assert [line.why for line in lines] == [Refusal.ASKED_TWICE] * 2


def test_reductions_are_begun_ended_and_left_alone() -> None:
    shopify, woo = shopify_csv(SHOPIFY, MARKET), woocommerce_csv(WOOCOMMERCE, MARKET)
    begun = change("MUG-L", 2490, 2490, offered_new=1990, prior_price=2490)
    assert [(c.before, c.after) for c in shopify.preview([begun]).lines[0].cells] == [
        ("24.90", "19.90"),
        ("", "24.90"),
    ]
    ended = change("MUG-XL", 3990, 4190, offered_new=4190)
    assert [(c.before, c.after) for c in shopify.preview([ended]).lines[0].cells] == [
        ("29.9", "41.9"),
        ("39.90", ""),
    ]
    going_on = change("MUG-XL", 3990, 3990, offered_new=2990)
    assert shopify.preview([going_on]).lines[0].state is LineState.UNCHANGED
    begun = change("JAR-1", 2904, 2800, offered_new=2500, prior_price=2800)
    assert [(c.before, c.after) for c in woo.preview([begun]).lines[0].cells] == [
        ("", "25,00"),
        ("29,04", "28,00"),
    ]
    ended = change("VAS-R", 1290, 1290, offered_new=1290)
    assert [(c.before, c.after) for c in woo.preview([ended]).lines[0].cells] == [("9,5", "")]
    dated = change("CARO", 129900, 129900, offered_new=99900, prior_price=129900)
    assert woo.preview([dated]).lines[0].why is Refusal.SALE_DATES
    assert woo.preview([change("VAS", 1290, 1390)]).lines[0].why is Refusal.NO_PRICE


def test_published_read_back_and_undone_gives_the_first_bytes_again(tmp_path: Path) -> None:
    for opened, export, asked in (
        (
            shopify_csv,
            SHOPIFY,
            [change("MUG-L", 2490, 2695), change("nobody", 1, 2), change("00123", 129900, 99900)],
        ),
        (woocommerce_csv, WOOCOMMERCE, [change("JAR-1", 2904, 3190), change("CARO", 129900, 135000)]),
    ):
        target = tmp_path / opened.__name__
        file = opened(export, MARKET, target)
        published = file.publish(asked, key="week-1")
        assert file.publish(asked, key="week-1") == published
        after = target.read_bytes()
        new = opened(after, MARKET, tmp_path / f"{opened.__name__}.back")
        assert [r.equal for r in new.read_back(asked)] == [
            line.state is LineState.PUBLISHED for line in published.lines
        ]
        assert not any(reading.equal for reading in file.read_back(asked))
        again = new.preview(asked)
        assert again.count(LineState.UNCHANGED) == published.count(LineState.PUBLISHED)
        assert new.edited(asked) == after
        back = new.publish(undone(asked, published), key="undo")
        assert back.count(LineState.FAILED) == 0
        assert (tmp_path / f"{opened.__name__}.back").read_bytes() == export


def test_a_reduction_that_was_ended_is_not_announced_again_by_an_undo(tmp_path: Path) -> None:
    ended = [change("MUG-XL", 3990, 4190, offered_new=4190)]
    file = shopify_csv(SHOPIFY, MARKET, tmp_path / "a.csv")
    published = file.publish(ended, key="k")
    assert published.lines[0].before == Tag(3990, 2990)
    back = shopify_csv((tmp_path / "a.csv").read_bytes(), MARKET)
    assert back.preview(undone(ended, published)).lines[0].why is Refusal.PRIOR_PRICE_UNKNOWN
    with pytest.raises(UsageError, match="other changes"):
        undone([], published)


def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        shopify_csv(SHOPIFY, MARKET, target).publish([], key="k")
    assert target.read_text() == "mine"
    with pytest.raises(UsageError, match="No file"):
        shopify_csv(SHOPIFY, MARKET).publish([], key="k")
    for key in ("", "a b", "ñ", "x" * 201):
        with pytest.raises(UsageError, match="key"):
            shopify_csv(SHOPIFY, MARKET, tmp_path / "new.csv").publish([], key=key)
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n", "empty"),
        (SHOPIFY.decode().encode("utf-16"), "UTF-16"),
        (b"a,b\n1,2\n", "no column Handle, Variant SKU"),
        (SHOPIFY.split(b"</ul>")[0], "Row 2 of the file: a quoted cell is not closed"),
        (SHOPIFY.replace(b'</ul>",', b'</ul>"x,'), "goes on after"),
        (SHOPIFY.replace(b"Variant Taxable", b"Variant Price"), "Variant Price twice"),
        (SHOPIFY.replace(b",24.90,", b',"24,90",'), "decimal sign"),
        (b"PK\x03\x04\x00\x00binary", "no column"),
    ],
)
def test_what_is_no_product_export_is_refused_whole(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        shopify_csv(content, MARKET)


def test_other_encodings_stay_what_they_are() -> None:
    old = WOOCOMMERCE.decode().replace("🏺", "ñ").encode("cp1252")
    after = woocommerce_csv(old, MARKET).edited([change("JAR-1", 2904, 3000)])
    assert after == old.replace(b'"29,04"', b'"30,00"')


def test_a_decimal_sign_that_nothing_tells_has_to_be_said() -> None:
    whole = b"ID,SKU,Sale price,Regular price\n1,A,,29\n2,B,,1.299\n"
    with pytest.raises(DataError, match="decimal sign"):
        woocommerce_csv(whole, MARKET)
    file = woocommerce_csv(whole, MARKET, decimal=",")
    assert file.edited([change("A", 2900, 3050), change("B", 129900, 139900)]) == (
        b'ID,SKU,Sale price,Regular price\n1,A,,"30,50"\n2,B,,1.399\n'
    )
    yen = Market("es", "JPY", "gross")
    file = woocommerce_csv(b"ID,SKU,Sale price,Regular price\n1,A,,2900\n", yen)
    asked = [replace(change("A", 2900, 3000), currency="JPY")]
    assert file.edited(asked).endswith(b"1,A,,3000\n")
