from __future__ import annotations

from pathlib import Path

import pytest

from pricing.errors import SettingsError
from simulators.contract.shop_file import parse_shop_file, read_shop_file, render_shop_file, shop_settings

MINIMAL = """
contract = 1
currency = "EUR"
time_zone = "Europe/Madrid"
[[zones]]
id = "es"
country = "ES"
tax_rate = 0.21
prices_include_tax = true
"""

FULL = (
    MINIMAL.replace(
        "[[zones]]", 'price_endings = [".99", ".49"]\ngrain = "day"\nown_seller_ids = ["us"]\n[[zones]]', 1
    )
    + """
[cost_assumption]
default = 0.7
by = "subcategory"
[cost_assumption.shares]
"Dairy & eggs" = 0.8
[fees]
share = 0.014
per_unit = 0.30
[returns.by_category]
shoes = 0.25
[guardrails]
max_change = 0.15
cool_down_periods = 3
[[guardrails.bounds]]
category = "shoes"
min_price = 19.95
[attributes]
products = ["colour"]
[columns.orders]
order_id = "Pedido"
[constants.orders]
price_basis = "gross"
[[totals]]
month = "2025-03"
net = 1234.50
"""
)


def test_settings_are_read_with_money_in_minor_units() -> None:
    shop = parse_shop_file(FULL)
    assert shop.fees.per_unit == 30
    assert shop.guardrails.bounds[0].min_price == 1995
    assert shop.totals[0].net == 123450
    assert shop.endings.last == (49, 99)
    assert shop.corridor.cool_down == 3
    assert shop.cost_assumption is not None
    assert shop.cost_assumption.shares == {"Dairy & eggs": 0.8}
    assert shop.period_days == 1


@pytest.mark.parametrize(
    ("country", "said", "held"),
    [("ES", "", True), ("NO", "", True), ("US", "", False), ("GB", "", False),
     ("US", "prior_price = true", True), ("ES", "prior_price = false", False)],
)  # fmt: skip
def test_prior_prices_are_held_where_the_law_is_or_as_the_shop_says(
    country: str, said: str, held: bool
) -> None:
    text = MINIMAL.replace('"ES"', f'"{country}"') + f"[guardrails]\n{said}\n"
    assert parse_shop_file(text).corridor.prior_price is held


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_a_rendered_file_reads_back_as_it_was(text: str) -> None:
    shop = parse_shop_file(text)
    assert parse_shop_file(render_shop_file(shop)) == shop


def test_a_rendered_file_explains_every_setting() -> None:
    text = render_shop_file(parse_shop_file(FULL))
    for setting in shop_settings():
        assert f"# {setting.meaning}" in text, setting.path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("time_zone", "timezone", "Did you mean time_zone"),
        (
            "max_change = 0.15",
            "max_chnge = 0.15",
            r"guardrails\.max_chnge.*Did you mean guardrails\.max_change",
        ),
        ("tax_rate = 0.21", "", r"does not say zones\[0\]\.tax_rate"),
        ("tax_rate = 0.21", "tax_rate = 21", "outside 0.0 to 1.0"),
        ("tax_rate = 0.21", "tax_rate = nan", "not a finite number"),
        ("tax_rate = 0.21", 'tax_rate = "21%"', "is not number"),
        ('"EUR"', '"EURO"', "not a currency code"),
        ("Europe/Madrid", "Madrid", "not a known time zone"),
        ("per_unit = 0.30", "per_unit = 0.305", "more decimals than EUR"),
        ("cool_down_periods = 3", "cool_down_periods = -3", "not 0 or more"),
        ("cool_down_periods = 3", "cool_down_periods = true", "is not whole number"),
        ('".49"', '"9"', "equal number"),
        ("contract = 1", "contract = 2", "Update Tarifa"),
        ("contract = 1", "contract = 1\nexponent = 3", "ISO 4217 says 2"),
        ('grain = "day"', 'grain = "month"', "one of week, day"),
        ('order_id = "Pedido"', 'pedido = "Pedido"', "not a column of orders"),
        ("[columns.orders]", "[columns.order]", "not a table"),
        ('["colour"]', '["brand"]', "repeats a column"),
        ("[attributes]\nproducts", "[attributes]\norders", "takes no further columns"),
        ("default = 0.7", "default = 1.7", "outside"),
        ("min_price = 19.95", "min_price = 19.95\nmax_price = 1", "below min_price"),
        ('month = "2025-03"', 'month = "2025-3"', "not a month"),
        ("[fees]", "[fees", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(old: str, new: str, message: str) -> None:
    assert old in FULL
    with pytest.raises(SettingsError, match=message):
        parse_shop_file(FULL.replace(old, new, 1))


def test_zones_are_needed_and_distinct() -> None:
    zone = MINIMAL[MINIMAL.index("[[zones]]") :]
    with pytest.raises(SettingsError, match="does not say zones"):
        parse_shop_file(MINIMAL.replace(zone, ""))
    with pytest.raises(SettingsError, match="names no zone"):
        parse_shop_file(MINIMAL.replace(zone, "zones = []"))
    with pytest.raises(SettingsError, match="not distinct"):
        parse_shop_file(MINIMAL + zone)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    with pytest.raises(SettingsError, match="There is no"):
        read_shop_file(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_shop_file(path)
    path.write_text(MINIMAL + "\n[fee]\n")
    with pytest.raises(SettingsError, match=r"shop\.toml: fee is not a setting.*Did you mean fees"):
        read_shop_file(path)
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert read_shop_file(path).currency == "EUR"


def test_a_number_where_a_section_belongs_is_refused_with_the_section_to_write() -> None:
    lines = MINIMAL.splitlines()
    with pytest.raises(SettingsError, match=r"cost_assumption = .* is not a section") as refused:
        parse_shop_file("\n".join(["cost_assumption = 0.5", *lines]))
    assert "[cost_assumption]" in str(refused.value)
    assert "default" in str(refused.value)
