"""Announced reductions against the prior price, by hand; the shop is in Madrid, tax 25 %."""

from __future__ import annotations

from pathlib import Path

from simulators.contract.announced import AnnouncedReductions, Claim, announced_reductions
from simulators.contract.tables import open_source
from tests.simulators.shops import SHOP, TODAY, write_shop

_HEADER = (
    "product_id,channel,price_list,valid_from,valid_to,regular_price,offered_price,price_basis,"
    "announced_reduction\n"
)


def _found(folder: Path, *rows: str, shop: str = SHOP) -> AnnouncedReductions:
    prices = _HEADER + "".join(f"{row}\n" for row in rows)
    with open_source(write_shop(folder / "d", shop, prices=prices), today=TODAY) as source:
        return announced_reductions(source)


def test_a_claim_above_the_lowest_price_of_thirty_days_is_told_with_its_row(tmp_path: Path) -> None:
    found = _found(
        tmp_path,
        "A,,,2025-01-01,,10.00,10.00,gross,",
        "A,,,2025-02-01,2025-02-02,10.00,7.00,gross,no",
        "A,,,2025-02-02,,10.00,10.00,gross,no",
        "A,,,2025-02-20,,10.00,6.00,gross,yes",
        "A,,,2025-04-01,,10.00,9.00,gross,no",
        "A,,,2025-05-20,,9.00,8.00,gross,yes",
        "A,,,2025-05-27,,9.50,8.00,gross,yes",
        "A,,,2025-06-01,,9.00,8.50,gross,yes",
    )
    # 20 February: 7.00 stood on the 1st. 27 May: the same reduction as of 20 May, now claiming more. June:
    # 8.00 stood.
    assert found == AnnouncedReductions(4, 0, (
        Claim(5, "A", "es", "2025-02-20T00:00:00", 1000, 600, 700, reduced=True),
        Claim(8, "A", "es", "2025-05-27T00:00:00", 950, 800, 900, reduced=True),
        Claim(9, "A", "es", "2025-06-01T00:00:00", 900, 850, 800, reduced=False),
    ))  # fmt: skip


def test_a_record_that_does_not_reach_back_is_not_judged_unless_it_contradicts(tmp_path: Path) -> None:
    found = _found(
        tmp_path,
        "A,,,2025-03-01,,10.00,10.00,gross,no",
        "A,,,2025-03-10,,10.00,9.00,gross,yes",
        "B,,,2025-03-01,,10.00,9.00,gross,no",
        "B,,,2025-03-10,,10.00,8.00,gross,yes",
        "A,web,,2025-03-10,,10.00,9.00,gross,yes",
    )
    assert (found.rows, found.untold) == (3, 2)
    assert [(c.row, c.product_id, c.prior_price) for c in found.claims] == [(5, "B", 900)]


def test_shelves_tax_gaps_and_business_lists(tmp_path: Path) -> None:
    shop = SHOP.replace('currency = "EUR"', 'currency = "EUR"\nbusiness_price_lists = ["trade"]')
    found = _found(
        tmp_path,
        "A,,,2025-01-01,2025-01-05,8.00,4.00,net,no",  # 5.00 with tax, and then not on sale for a while
        "A,,,2025-01-20,,8.00,8.00,net,no",
        "A,,,2025-02-10,,8.00,6.40,net,yes",
        "A,web,,2025-01-01,,5.00,5.00,gross,no",  # another channel
        "A,,trade,2025-01-01,,10.00,10.00,gross,no",
        "A,,trade,2025-02-10,,90.00,10.00,gross,yes",
        shop=shop,
    )
    # 10.00 stood from 20 January, and 5.00 ended 36 days before.
    assert found == AnnouncedReductions(1, 0, ())


def test_without_announced_reductions_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert _found(tmp_path, "A,,,2025-01-01,,10.00,8.00,gross,no") == AnnouncedReductions(0, 0, ())
    with open_source(write_shop(tmp_path / "none"), today=TODAY) as source:
        assert announced_reductions(source) == AnnouncedReductions(0, 0, ())
