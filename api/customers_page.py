"""A portrait of customers as one self-contained HTML page: who they are, what they bring, who returns.

No single customer is on it; those are in the tables beside it.
"""

from __future__ import annotations

import math
from functools import partial

from api.charts import Axis, Pair, pair_chart, reliability_chart
from api.customers_told import (
    SEGMENT_COLUMNS,
    cart_hours,
    cart_lines,
    cluster_tells,
    cluster_why,
    coupon_rows,
    ground_told,
    headlines,
    outlook_lines,
    relevance_lines,
    relevance_rows,
    segment_rows,
    untold_lines,
)
from api.page import render_page
from api.segments_told import group_told
from api.texts import Texts
from pricing.customers import CUSTOMER_FEATURES, REPORTED
from pricing.money import Currency
from simulators.customers.churn import Reliability
from simulators.customers.portrait import Portrait
from simulators.customers.portrait_sums import group_slices, total
from simulators.customers.segments import Group

__all__ = ["register_rows", "render_customers"]


def render_customers(portrait: Portrait, purpose: str | None, run_id: str, texts: Texts) -> str:
    """Return the page as HTML: no script, no link, no word that is not in `texts` or the shop's data."""
    carts, relevance = portrait.carts, portrait.relevance
    checked = portrait.outlook_check
    return render_page(
        "customers.html",
        language=texts.language,
        t=partial(texts.text, "customers"),
        made_by=_made_by(portrait, texts),
        headlines=headlines(portrait, texts),
        cards=_cards(portrait, texts),
        ground=ground_told(portrait, purpose, texts),
        columns=SEGMENT_COLUMNS,
        segments=segment_rows(portrait, texts),
        segments_chart=_segments_chart(portrait, texts),
        cluster_why=cluster_why(portrait, texts),
        clusters=cluster_tells(portrait, texts),
        outlook=outlook_lines(portrait, texts),
        outlook_chart="" if checked is None else _reliability(checked.tenths, "returned", texts),
        carts=[] if carts is None else cart_lines(carts, portrait, texts),
        cart_hours=[] if carts is None else cart_hours(carts, texts),
        carts_chart=""
        if carts is None or carts.check is None
        else _reliability(carts.check.tenths, "bought", texts),
        relevance=[] if relevance is None else relevance_lines(relevance, texts),
        lists=[] if relevance is None else relevance_rows(relevance, texts),
        coupons=[] if relevance is None else coupon_rows(relevance, texts),
        untold={part: untold_lines(error, texts) for part, error in portrait.untold.items()},
        days=texts.number(portrait.days),
        register=register_rows(texts),
        run_id=run_id,
        data=portrait.fingerprint[:12],
    )


def register_rows(texts: Texts) -> list[tuple[str, ...]]:
    """Return the register of what is read of a customer: name, meaning, days, basis, tables, for what."""
    word = partial(texts.text, "customers")
    rows = ((one, "for_offers") for one in CUSTOMER_FEATURES)
    reported = ((one, "for_report") for one in REPORTED)
    return [
        (
            one.name,
            texts.text("customer_feature", one.name),
            texts.number(one.retention),
            word("traced" if "ePrivacy" in one.legal_basis else "consent"),
            ", ".join(one.sources),
            word(code),
        )
        for one, code in (*rows, *reported)
    ]


def _made_by(portrait: Portrait, texts: Texts) -> str:
    return texts.text(
        "customers",
        "made_by",
        as_of=texts.day(portrait.as_of),
        days=texts.number(portrait.days),
        seed=str(portrait.seed),
    )


def _cards(portrait: Portrait, texts: Texts) -> list[tuple[str, str]]:
    word, whole = partial(texts.text, "customers"), total(portrait)
    money = Currency.of(portrait.currency)
    cards = [(texts.number(whole.customers), word("card_customers"))]
    for amount, code in ((whole.revenue, "card_revenue"), (whole.profit, "card_profit")):
        if amount is not None:
            units = texts.number(round(amount / money.scale))
            cards.append((f"{units}\N{NO-BREAK SPACE}{money.code}", word(code)))
    if not math.isnan(whole.order_days):
        cards.append((texts.number(whole.order_days), word("card_order_days")))
    if portrait.outlook is not None and not math.isnan(whole.returns):
        cards.append((texts.percent(whole.returns), word("card_back", days=texts.number(portrait.days))))
        cards.append((texts.number(whole.likely_less), word("card_less")))
    return cards


def _segments_chart(portrait: Portrait, texts: Texts) -> str:
    """Return shares of customers (open dots) and of revenue (filled dots) by group."""
    pairs = [
        Pair(
            group_told(Group(part.name), texts).partition(":")[0],
            f"{texts.percent(part.share)} \N{RIGHTWARDS ARROW} {texts.percent(part.revenue_share)}",
            part.share,
            part.revenue_share,
        )
        for part in group_slices(portrait)
        if part.revenue_share is not None
    ]
    across = Axis(texts.text("customers", "shares_axis"), texts.percent)
    return pair_chart(pairs, 0.0, across) if pairs else ""


def _reliability(tenths: Reliability, code: str, texts: Texts) -> str:
    axes = (
        Axis(texts.text("customers", "said_axis"), texts.percent),
        Axis(texts.text("customers", f"{code}_axis"), texts.percent),
    )
    return reliability_chart(tenths.predicted, tenths.observed, axes)
