"""The WooCommerce publisher against a real HTTP server, also one that answers badly or not at all."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.publishers.calls import Calls
from api.publishers.changes import Identity, LineState, Market, PriceChange, Refusal, Tag, undone
from api.publishers.woocommerce_rest import WooCommerceKeys, WooCommerceRest, woocommerce_client
from pricing.errors import RefusedError, SettingsError
from tests.api.woo_server import KEY, SECRET, WooServer, running

MARKET = Market("es", "EUR", "gross")
KEYS = WooCommerceKeys(KEY, SECRET)
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
PRODUCTS: tuple[dict[str, Any], ...] = (
    {"id": 11, "sku": "A", "regular_price": "29.04"},
    {"id": 12, "sku": "B", "regular_price": "10"},
    {"id": 13, "sku": "C", "regular_price": "8.50", "sale_price": "7.00"},
    {"id": 14, "sku": "D, big", "regular_price": "5.00"},
    {"id": 15, "sku": "TWIN", "regular_price": "5.00"},
    {"id": 16, "sku": "TWIN", "regular_price": "6.00"},
    {"id": 20, "sku": "V", "type": "variable"},
    {"id": 21, "sku": "V-1", "type": "variation", "parent_id": 20, "regular_price": "12.90"},
    {"id": 22, "sku": "", "type": "variation", "parent_id": 20, "regular_price": "12.90"},
)


def change(product: str, now: int, new: int, **more: Any) -> PriceChange:
    return PriceChange(product, "es", "EUR", "gross", now, new, **more)


@dataclass
class Shop:
    server: WooServer
    slept: list[float] = field(default_factory=list)
    clients: list[httpx.Client] = field(default_factory=list)

    def publisher(self, market: Market = MARKET, keys: WooCommerceKeys = KEYS) -> WooCommerceRest:
        client = woocommerce_client(self.server.address, keys, seconds=2.0)
        self.clients.append(client)
        return WooCommerceRest(Calls(client, self.slept.append, lambda: NOON), market)

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def price(self, number: int) -> str:
        return str(self.server.products[number]["regular_price"])


@pytest.fixture
def shop() -> Iterator[Shop]:
    with running(*PRODUCTS) as server:
        made = Shop(server)
        yield made
        made.close()


ASKED = [
    change("A", 2904, 3000),
    change("B", 1000, 1050),
    change("V-1", 1290, 1350),
    change("blue", 1290, 1350, known_as=Identity(platform_id="20/22")),
    change("D, big", 500, 550),
]


def test_dry_run_publish_read_back_again_and_undo(shop: Shop) -> None:
    rest = shop.publisher()
    seen = rest.preview(ASKED)
    assert seen.count(LineState.CHANGE) == 5
    assert [(c.name, c.before, c.after) for c in seen.lines[1].cells] == [("regular_price", "10", "10.50")]
    assert (seen.lines[3].where, shop.server.writes) == ("products/20/variations/22", 0)
    done = rest.publish(ASKED, key="week-1")
    assert (done.count(LineState.PUBLISHED), shop.server.writes) == (5, 5)
    assert [shop.price(n) for n in (11, 12, 21, 22, 14)] == ["30.00", "10.50", "13.50", "13.50", "5.50"]
    assert all(reading.equal for reading in rest.read_back(ASKED))
    again = rest.publish(ASKED, key="week-1")
    assert (again.count(LineState.UNCHANGED), shop.server.writes) == (5, 5)
    back = rest.publish(undone(ASKED, done), key="undo")
    assert back.count(LineState.PUBLISHED) == 5
    assert [shop.price(n) for n in (11, 12, 21)] == ["29.04", "10.00", "12.90"]
    writes = [asked for asked in shop.server.asked if not asked.startswith("GET")]
    assert writes[:2] == ["POST products/batch", "POST products/20/variations/batch"]


def test_lines_that_cannot_be_published_stop_nobody(shop: Shop) -> None:
    shop.server.refuses = {12}
    asked = [
        change("A", 2904, 3000), change("B", 1000, 1050), change("C", 850, 900), change("TWIN", 500, 600),
        change("V", 1000, 1100), change("nobody", 1, 2), change("V-1", 1300, 1350),
        change("D, big", 500, 550),
        change("gone", 1, 2, known_as=Identity(platform_id="999")),
        change("odd", 1, 2, known_as=Identity(platform_id="11/../12")),
    ]  # fmt: skip
    lines = shop.publisher().publish(asked, key="k").lines
    assert [line.why for line in lines] == [
        None, Refusal.REJECTED, Refusal.REDUCTION_RUNNING, Refusal.DUPLICATE, Refusal.NO_PRICE,
        Refusal.MISSING, Refusal.CHANGED_SINCE, None, Refusal.MISSING, Refusal.MISSING,
    ]  # fmt: skip
    assert lines[1].detail == "Invalid price [31m."
    assert (shop.price(11), shop.price(12), shop.price(14)) == ("30.00", "10", "5.50")


def test_a_reduction_begins_and_ends_with_its_fields(shop: Shop) -> None:
    asked = [
        change("A", 2904, 2904, offered_new=2500, prior_price=2904),
        change("C", 850, 900, offered_new=900),
    ]
    done = shop.publisher().publish(asked, key="k")
    assert done.count(LineState.PUBLISHED) == 2
    assert shop.server.products[11]["sale_price"] == "25.00"
    assert (shop.price(13), shop.server.products[13]["sale_price"]) == ("9.00", "")
    assert done.lines[1].before == Tag(850, 700)
    shop.server.products[12]["date_on_sale_to"] = "2026-02-01T00:00:00"
    dated = change("B", 1000, 1000, offered_new=900, prior_price=1000)
    assert shop.publisher().preview([dated]).lines[0].why is Refusal.SALE_DATES


def test_a_busy_shop_is_waited_for(shop: Shop) -> None:
    shop.server.trouble = {"GET products": [429], "POST products/batch": [503, 429, 502]}
    done = shop.publisher().publish(ASKED, key="k")
    assert done.count(LineState.PUBLISHED) == 5
    assert shop.slept == [2.0, 0.5, 2.0, 2.0]


@pytest.mark.parametrize("wrong", ["cut", "drop", "html", "silent"])
def test_a_call_without_a_usable_answer_is_made_again_or_read_back(shop: Shop, wrong: str) -> None:
    shop.server.trouble = {"POST products/batch": [wrong]}
    done = shop.publisher().publish(ASKED, key="k")
    assert done.count(LineState.PUBLISHED) == 5
    assert all(reading.equal for reading in shop.publisher().read_back(ASKED))


@pytest.mark.parametrize(("wrong", "why"), [("drop", Refusal.UNREACHABLE), ("cut", None)])
def test_a_shop_that_dies_in_the_middle_leaves_every_line_told(
    shop: Shop, wrong: str, why: Refusal | None
) -> None:
    """The batch of plain products never gets an answer; what is known of each line is read again."""
    shop.server.trouble = {"POST products/batch": [wrong] * 4}
    done = shop.publisher().publish(ASKED, key="k")
    assert [line.why for line in done.lines] == [why, why, None, None, why]
    assert [line.state is LineState.PUBLISHED for line in done.lines] == [
        r.equal for r in shop.publisher().read_back(ASKED)
    ]
    assert shop.publisher().publish(ASKED, key="k").count(LineState.FAILED) == 0
    assert [shop.price(n) for n in (11, 12, 21, 22, 14)] == ["30.00", "10.50", "13.50", "13.50", "5.50"]


def test_a_shop_that_is_gone_is_not_waited_for_batch_after_batch() -> None:
    products = [
        {"id": 100 + i, "sku": f"V{i}", "type": "variation", "parent_id": 500 + i, "regular_price": "5.00"}
        for i in range(30)
    ]
    with running(*products) as server:
        shop = Shop(server)
        for i in range(30):
            server.trouble[f"PUT products/{500 + i}/variations/{100 + i}"] = ["drop"] * 9
            server.trouble[f"GET products/{500 + i}/variations"] = ["drop"] * 9
        lines = shop.publisher().publish([change(f"V{i}", 500, 600) for i in range(30)], key="k").lines
        assert [line.why for line in lines[:3]] == [Refusal.UNTOLD, Refusal.UNTOLD, Refusal.UNREACHABLE]
        assert all("not sent" in line.detail for line in lines[2:])
        assert server.writes == 0
        shop.close()


def test_a_price_that_the_shop_answers_otherwise_is_not_called_published(shop: Shop) -> None:
    shop.server.trouble = {"PUT products/11": ["other"]}
    line = shop.publisher().publish(ASKED[:1], key="k").lines[0]
    assert (line.state, line.why, line.detail) == (LineState.FAILED, Refusal.UNTOLD, "the shop answers 100")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 500, 301])
def test_a_batch_that_is_refused_goes_line_by_line(shop: Shop, status: int) -> None:
    shop.server.trouble = {"POST products/batch": [status], "PUT products/12": [400]}
    done = shop.publisher().publish(ASKED, key="k")
    assert [line.why for line in done.lines] == [None, Refusal.REJECTED, None, None, None]
    assert done.lines[1].detail == "HTTP 400 not now"


def test_another_currency_basis_or_key_sends_nothing(shop: Shop) -> None:
    for market, said in (
        (replace(MARKET, currency="USD"), "currency"),
        (replace(MARKET, basis="net"), "include_tax"),
    ):
        with pytest.raises(RefusedError, match=said):
            shop.publisher(market).publish(ASKED, key="k")
    with pytest.raises(RefusedError, match="401"):
        shop.publisher(keys=WooCommerceKeys("ck_other", "cs_other")).preview(ASKED)
    assert shop.server.writes == 0


def test_a_lookup_that_fails_fails_its_lines(shop: Shop) -> None:
    shop.server.trouble = {"GET products": ["html"]}
    lines = shop.publisher().preview(ASKED).lines
    assert [line.why for line in lines] == [Refusal.CANNOT_READ] * 3 + [Refusal.CANNOT_READ, None]


def test_keys_are_read_and_never_shown(shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = WooCommerceKeys.of({"TARIFA_WOOCOMMERCE_KEY": KEY, "TARIFA_WOOCOMMERCE_SECRET": SECRET})
    file = tmp_path / "keys.toml"
    file.write_text(f'key = "{KEY}"\nsecret = "{SECRET}"\n')
    file.chmod(0o600)
    assert keys == WooCommerceKeys.of({}, file) == KEYS
    for environment, path in (({}, None), ({"TARIFA_WOOCOMMERCE_KEY": "k"}, None), ({}, tmp_path / "none")):
        with pytest.raises(SettingsError, match="key"):
            WooCommerceKeys.of(environment, path)
    file.write_text(f"key = {SECRET}")
    with pytest.raises(SettingsError, match="no TOML") as caught:
        WooCommerceKeys.of({}, file)
    assert SECRET not in f"{caught.value} {caught.value.__cause__}"
    caplog.set_level(logging.DEBUG)
    shop.server.trouble = {"PUT products/11": [400]}
    publisher = shop.publisher()
    said = f"{keys!r} {publisher!r} {publisher.publish(ASKED[:1], key='k')!r} {caplog.text}"
    assert KEY not in said
    assert SECRET not in said
    for address in ("http://shop.example", "ftp://localhost", "shop.example", "https://", "https://["):
        with pytest.raises(SettingsError, match="address"):
            woocommerce_client(address, keys)
