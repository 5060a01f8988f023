"""The GraphQL Admin API tells the same orders as the REST API, so the same rows come of them."""

from __future__ import annotations

from pathlib import Path

from pricing.pseudonyms import pseudonym
from tests.simulators.platform_folders import EXPORTS, bring, rows

LINE = ("line_id", "ordered_at", "status", "customer_id", "channel", "product_id", "quantity", "paid")
BACK = ("line_id", "returned_at", "quantity", "refund", "restocked")


def test_an_order_is_the_same_from_either_interface(tmp_path: Path) -> None:
    answer = bring(EXPORTS / "shopify_graphql", tmp_path / "graphql")
    bring(EXPORTS / "shopify_json_later", tmp_path / "rest")
    assert rows(tmp_path / "graphql", "orders", *LINE)[:2] == rows(tmp_path / "rest", "orders", *LINE)[:2]
    assert rows(tmp_path / "graphql", "returns", *BACK) == rows(tmp_path / "rest", "returns", *BACK)[:1]
    columns = ("order_id", "total", "tax", "shipping", "shipping_tax", "discounts", "version")
    assert rows(tmp_path / "graphql", "platform_orders", *columns)[0] == (
        "#2001", 59.29, 10.29, 4.84, 0.84, 6.05, "2025-04-02T07:00:00+00:00"
    )  # fmt: skip
    assert answer.reconciliation.unexplained == 0


def test_what_only_this_interface_tells(tmp_path: Path) -> None:
    data = tmp_path / "data"
    bring(EXPORTS / "shopify_graphql", data)
    assert rows(data, "discounts", "order_id", "line_id", "kind", "coupon_id", "amount")[2:] == [
        ("#2010", "330", "automatic", None, 2.42)
    ]
    assert rows(data, "costs", "product_id", "unit_cost") == [("TEE-M", 8.0), ("TEE-S", 8.0)]
    assert rows(data, "inventory", "product_id", "on_hand") == [
        ("TEE-M", 7.0), ("TEE-S", 12.0), ("taza-azul", 5.0)
    ]  # fmt: skip
    kinds = dict(rows(data, "products", "product_id", "kind"))
    assert kinds == {
        "TEE-M": "merchandise", "TEE-S": "merchandise", "GIFT-25": "gift_card", "taza-azul": "merchandise",
    }  # fmt: skip
    key = (tmp_path / "key").read_bytes()
    customers = dict(rows(data, "orders", "order_id", "customer_id"))
    assert customers["#2010"] == pseudonym(key, "shopify:customer:7001")
