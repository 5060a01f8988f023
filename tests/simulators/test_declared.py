"""What a shop file declares wrongly: each refusal names the setting and, where it can, what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pricing.errors import SettingsError
from pricing.schema import TABLES
from simulators.contract.checking import check
from simulators.contract.declared import check_attributes, check_columns, check_date_format
from simulators.contract.shop_file import parse_shop_file, read_shop_file
from simulators.contract.tables import open_source
from tests.simulators.shops import GOOD_LINE, SHOP, TODAY, orders, write_shop


def _told(settings: str, *, top: bool = False) -> SettingsError:
    text = SHOP.replace("quarantine_share", f"{settings}\nquarantine_share", 1) if top else SHOP + settings
    with pytest.raises(SettingsError) as caught:
        parse_shop_file(text)
    return caught.value


@pytest.mark.parametrize(
    ("settings", "what", "todo"),
    [
        ("timezone = 1", "timezone is not a setting of shop.toml.", "Did you mean time_zone?"),
        ("week_begin = 1", "week_begin is not a setting of shop.toml.", "Did you mean week_start?"),
        ("xyz = 1", "xyz is not a setting of shop.toml.", "Known here: contract, currency"),
        ('week_start = "Sunday"', "week_start = 'Sunday' is not one of monday", "Correct shop.toml."),
        ('grain = "hour"', "grain = 'hour' is not one of week, day.", "Correct shop.toml."),
        ('price_endings = [""]', "price_endings = [''] are not last digits", "Write them like"),
        ('price_endings = [".49", "x9"]', "are not last digits of equal number", "Write them like"),
        ('price_endings = ".49"', "price_endings = '.49' is not list of text.", "Correct shop.toml."),
        ("business_price_lists = [1]", "business_price_lists[0] = 1 is not text.", "Correct shop.toml."),
        ("reconciliation_tolerance = 2", "reconciliation_tolerance = 2.0 is outside", "Correct shop.toml."),
        ('decimal_separator = ";"', "decimal_separator = ';' is not one of auto", "Correct shop.toml."),
        ('date_format = "dd/mm/yyyy"', "date_format = 'dd/mm/yyyy' is no format of a day.", "%d/%m/%Y"),
        ('date_format = "%Q"', "date_format = '%Q' is no format of a day.", "%d/%m/%Y"),
        ('date_format = "%d/%m"', "date_format = '%d/%m' is no format of a day.", "%d/%m/%Y"),
        ('date_format = "%d/%m/%Y %"', "is no format of a day.", "%d/%m/%Y"),
    ],
)
def test_settings_of_the_top_level(settings: str, what: str, todo: str) -> None:
    error = _told(settings, top=True)
    assert what in error.what
    assert todo in error.todo


@pytest.mark.parametrize(
    ("settings", "what", "todo"),
    [
        ("[guardrail]\n", "guardrail is not a setting", "Did you mean guardrails?"),
        (
            "[guardrails]\nmargin_flor = 1",
            "guardrails.margin_flor is not a setting",
            "guardrails.margin_floor?",
        ),
        ("[guardrails]\nladder_size = 2", "guardrails.ladder_size = 2 is outside 3 to 200.", "shop.toml"),
        ('[guardrails]\nkill_switch = "no"', "guardrails.kill_switch = 'no' is not true or false.", "shop"),
        ("[fees]\nshare = 1.4", "fees.share = 1.4 is outside 0.0 to 1.0.", "shop.toml"),
        ("[fees]\nper_unit = -1", "fees.per_unit = -100 is outside", "shop.toml"),
        ("[fees]\nper_unit = 1e30", "is outside 0 to", "shop.toml"),
        ("[fees]\nper_unit = inf", "fees.per_unit: 'Infinity' is not a decimal amount.", "1234.50"),
        ("[returns]\nexpected_share = 1", "returns: expected_share = 1.0 is outside", "shop.toml"),
        ('[returns.by_category]\nshoes = "x"', "returns.by_category.shoes = 'x' is not number.", "shop.toml"),
        ('[[guardrails.bounds]]\ncategory = "c"\nmin_price = 1e20', "(c): min_price = ", "shop.toml"),
        ('[[guardrails.bounds]]\ncategory = "c"\nmax_price = -1', "(c): max_price = -100 is outside", "shop"),
        (
            "[[guardrails.bounds]]\nmin_price = 1",
            "does not say guardrails.bounds[0].category.",
            "It means: Cat",
        ),
        ('[[totals]]\nmonth = "2025-13"', "totals: '2025-13' is not a month.", ""),
        ("[[totals]]\nmonth = 2025-03-01", "totals[0].month = ", "shop.toml"),
        ('[[totals]]\nmonth = "2025-03"\n[[totals]]\nmonth = "2025-03"', "2025-03 is there twice.", "Keep"),
        ('[columns.ordres]\nx = "y"', "columns.ordres is not a table", "Did you mean orders?"),
        ('[columns.orders]\nquantitty = "y"', "columns.orders.quantitty is not a column", "mean quantity?"),
        ('[constants.prices]\nbasis = "net"', "constants.prices.basis is not a column", "price_basis?"),
        ('[columns.orders]\npaid = " "', "columns.orders.paid is empty.", "Name your column"),
        ('[columns.orders]\npaid = "T"\nquantity = "t"', "t is to be both paid and quantity.", "Leave one"),
        ('[columns]\norders = "x"', "columns.orders = 'x' is not table", "shop.toml"),
        (
            '[attributes]\norders = ["x"]',
            "attributes.orders: that table takes no further",
            "customers, products",
        ),
        ('[attributes]\nproducts = ["Colour", "colour"]', "products: colour is there twice", ""),
        ('[attributes]\nproducts = [""]', "attributes.products: a column without a name.", ""),
    ],
)
def test_settings_of_sections(settings: str, what: str, todo: str) -> None:
    error = _told(settings)
    assert what in error.what
    assert todo in error.todo


@pytest.mark.parametrize("zone", ["", " es", "es ", "\t", "\u00a0es"])
def test_a_zone_that_no_row_could_name(zone: str) -> None:
    text = SHOP.replace('id = "es"', f"id = {zone!r}".replace("'", '"').replace("\\xa0", "\\u00a0"))
    with pytest.raises(SettingsError, match="is empty or has blanks around it"):
        parse_shop_file(text)


TAKEN = sorted(
    {name for table in TABLES for name in table.names}
    | {"n", "t", "size", "_row", "_reason", "Zone", "Gross", "RATE", "until"}
)


def test_no_further_column_has_a_name_that_is_taken() -> None:
    for name in TAKEN:
        with pytest.raises(
            SettingsError, match=r"attributes\.customers: .* repeats a column of the contract"
        ):
            check_attributes({"customers": (name,)})
    check_attributes({"customers": ("household_size", "n_cars"), "products": ("select", "a'b", 'a"b')})


def test_further_columns_of_any_other_name_are_read(tmp_path: Path) -> None:
    own = ["select", "a'b", 'a"b', "color", "order", "COUNT(*)", "season", "día"]
    header = ",".join(
        '"' + name.replace('"', '""') + '"' for name in ["product_id", "category", "kind", *own]
    )
    folder = write_shop(
        tmp_path / "d",
        SHOP + f"[attributes]\nproducts = {json.dumps(own)}\n",
        orders=orders(GOOD_LINE),
        products=f"{header}\nA,c,merchandise,{','.join(str(i) for i in range(len(own)))}\n",
        prices="product_id,valid_from,regular_price,offered_price,price_basis\nA,2025-03-01,9,9,gross\n",
        costs="product_id,valid_from,unit_cost\nA,2025-01-01,4\n",
    )
    with open_source(folder, today=TODAY) as source:
        assert source.engine.row("SELECT * FROM products")[-len(own) :] == tuple(
            str(i) for i in range(len(own))
        )
        report = check(source)
    assert report.prices is not None
    assert report.prices.series == 1


def test_what_is_right_passes() -> None:
    check_date_format("")
    for text in ("%d/%m/%Y", "%m/%d/%Y", "%-d.%-m.%Y", "%Y%m%d", "%d-%b-%Y", "%d.%m.%y"):
        check_date_format(text)
    check_columns("columns", {"orders": {"order_id": "a", "line_id": "b"}}, {})
    check_columns("constants", {"orders": {"status": "paid", "zone": "paid"}}, {})
    check_columns("columns", {"customers": {"age": "Edad"}}, {"customers": ("age",)})


def test_a_shop_file_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_shop_file(tmp_path / "shop.toml")
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="There is no"):
        read_shop_file(tmp_path / "file" / "shop.toml")
    with pytest.raises(SettingsError, match="cannot be read: File name too long"):
        read_shop_file(tmp_path / ("long" * 100))
    with pytest.raises(SettingsError, match="not a currency code"):
        read_shop_file(tmp_path / "file")
