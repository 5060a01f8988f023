"""A product's page: what its curves, its past and its reasons say, and what a price of one's own would do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.access import Actor
from api.desk.service import Pages, RowView, person, row_views, scale_of
from api.desk.starts import When, starts_told, when_view
from api.prior_told import prior_told
from api.reviewed import Read
from api.standing_texts import check_names, standing_short
from api.storage.reviews import ReviewRow, Round
from api.storage.store import Stored
from api.texts import Texts
from policies.serve.asked import PriceAsked
from policies.serve.past import Seen
from pricing.guardrails import Rule
from pricing.money import Currency
from pricing.recommendation import Curve
from pricing.standing import Standing

__all__ = ["OwnPrice", "ProductView", "Rung", "Told", "own_price", "product_view"]

_MONTHS = range(1, 13)


@dataclass(frozen=True, slots=True)
class Rung:
    """One price of the ladder: what it would bring, and the rules that refuse it."""

    price: str
    marks: tuple[str, ...]
    units: str
    profit: str
    interval: str
    allowed: bool
    rules: str


@dataclass(frozen=True, slots=True)
class Told:
    """One review as it is told."""

    at: str
    what: str
    who: str
    reason: str
    rules: str


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """What a price of one's own would bring, and the rules that it breaks."""

    price: str
    minor: int
    units: str
    profit: str
    change: str
    interval: str
    loss: str
    gains: bool
    broken: tuple[str, ...]
    hard: tuple[tuple[str, str], ...]
    mark: str


@dataclass(frozen=True, slots=True)
class ProductView:
    """The page of one proposal."""

    row: RowView
    stale: bool
    currency: str
    units: str
    profit: str
    cost: str
    cost_assumed: bool
    support: str
    reasons: tuple[str, ...]
    rungs: tuple[Rung, ...]
    reviews: tuple[Told, ...]
    demand: str
    gain: str
    history: str
    weeks: int
    when: When | None
    prior: tuple[str, ...]


def product_view(pages: Pages, read: Read, now: Round, actor: Actor, texts: Texts) -> ProductView:
    """Return everything behind one proposal."""
    row, serving = read.row, pages.serving
    money = Currency.of(str(now.facts["currency"]))
    stored, _ = serving.find(row.decision_id)
    found: Any = stored.content["recommendation"]
    curve, place = serving.curve(stored), _place(pages, row.price_group, row.zone)
    seen = None if place is None else serving.past.seen(place)
    catalogue = serving.shelf.catalogue
    marks = {"now": row.current_price, "new": row.recommended_price}
    charts = _Charts(money, texts, marks, _support(pages, place))
    known = place is not None
    return ProductView(
        row=row_views(pages, (row,), now, actor, texts, scale_of((row,)))[0],
        stale=read.stale,
        currency=money.code,
        units=texts.number(found["expected_units"], 1),
        profit=texts.amount(found["expected_profit"], money),
        cost=texts.amount(int(catalogue.unit_cost[place]), money) if known else "",
        cost_assumed=bool(catalogue.cost_assumed[place]) if known else False,
        support="" if charts.support is None else _range(charts.support, money, texts),
        reasons=_reasons(found, texts),
        rungs=_rungs(stored, curve, charts),
        reviews=tuple(_told(review, money, texts, pages.zone) for review in reversed(read.reviews)),
        demand="" if curve is None else charts.demand(curve, seen),
        gain="" if curve is None else charts.profit(curve),
        history="" if seen is None else charts.history(seen),
        weeks=0 if seen is None else len(seen.days),
        when=when_view(now.facts, pages.zone, texts),
        prior=prior_told(found, serving.shelf, place, money, texts),
    )


def own_price(found: PriceAsked, currency: str, texts: Texts) -> OwnPrice:
    """Return a judgement as it is told."""
    money = Currency.of(currency)
    low, high = (texts.amount(v, money) for v in (found.profit_change_lower, found.profit_change_upper))
    return OwnPrice(
        price=texts.money(found.price, money),
        minor=found.price,
        units=texts.number(found.expected_units, 1),
        profit=texts.amount(found.expected_profit, money),
        change=texts.money(found.profit_change, money, signed=True),
        interval=f"{low} \N{HORIZONTAL ELLIPSIS} {high}",
        loss=texts.percent(found.probability_of_loss),
        gains=found.profit_change >= 0,
        broken=tuple(texts.text("rule", rule.label) for rule in found.broken if not rule.hard),
        hard=tuple((rule.label, texts.text("rule", rule.label)) for rule in found.broken if rule.hard),
        mark=json.dumps(
            {
                "at": found.price / money.scale,
                "units": found.expected_units,
                "profit": found.expected_profit / money.scale,
            }
        ),
    )


def _place(pages: Pages, group: str, zone: str) -> int | None:
    series = pages.serving.shelf.catalogue.series
    found = (i for i, pair in enumerate(zip(series.group, series.zone, strict=True)) if pair == (group, zone))
    return next(found, None)


def _support(pages: Pages, place: int | None) -> tuple[int, int] | None:
    if place is None:
        return None
    catalogue = pages.serving.shelf.catalogue
    return int(catalogue.support_low[place]), int(catalogue.support_high[place])


def _range(ends: tuple[int, int], money: Currency, texts: Texts) -> str:
    return f"{texts.amount(ends[0], money)} \N{EN DASH} {texts.amount(ends[1], money)}"


def _reasons(found: Any, texts: Texts) -> tuple[str, ...]:
    binding, trained = found["binding_guardrail"], found.get("trained_under")
    standing: dict[str, Any] = found.get("standing") or {}
    words = {
        "rule": texts.text("word", "none") if binding is None else texts.text("rule", binding),
        "checks": check_names(standing.get("accepted", ()), texts),
        "trained": ""
        if trained is None
        else standing_short(Standing.of(trained, "The recorded decision"), texts),
    }
    return tuple(texts.text("reason", code, **words) for code in found["reasons"])


def _told(row: ReviewRow, money: Currency, texts: Texts, zone: str) -> Told:
    review = row.review
    price = "" if review.price is None else texts.money(review.price, money)
    what = texts.text("desk", f"did_{review.action.value}", price=price)
    if review.starts_at is not None:
        what = f"{what}, {texts.text('desk', 'starts', at=starts_told(review.starts_at, zone, texts))}"
    rules = "; ".join(texts.text("rule", rule.label) for rule in review.accepted_rules)
    return Told(
        starts_told(row.recorded_at, zone, texts), what, person(review.actor, texts), review.reason, rules
    )


def _rungs(stored: Stored, curve: Curve | None, charts: _Charts) -> tuple[Rung, ...]:
    decision: Any = stored.content["decision"]
    money, texts = charts.money, charts.texts
    places = {} if curve is None else {int(price): i for i, price in enumerate(curve.price)}
    rungs: list[Rung] = []
    for price, allowed, bits in zip(
        decision["menu"], decision["allowed"], decision["rejections"], strict=True
    ):
        place, amounts = places.get(int(price)), ("", "", "")
        if curve is not None and place is not None:
            low, high = (
                texts.amount(round(float(end[place])), money)
                for end in (curve.profit_lower, curve.profit_upper)
            )
            amounts = (
                texts.number(float(curve.units[place]), 1),
                texts.amount(round(float(curve.profit[place])), money),
                f"{low} \N{HORIZONTAL ELLIPSIS} {high}",
            )
        marks = tuple(texts.text("desk", f"mark_{name}") for name, at in charts.marks.items() if at == price)
        rules = "; ".join(texts.text("rule", rule.label) for rule in Rule if bits & int(rule.bit))
        rungs.append(Rung(texts.amount(int(price), money), marks, *amounts, bool(allowed), rules))
    return tuple(rungs)


@dataclass(frozen=True, slots=True)
class _Charts:
    """Writes what the browser draws: numbers, and every word that stands on the picture."""

    money: Currency
    texts: Texts
    marks: dict[str, int | None]
    support: tuple[int, int] | None

    def demand(self, curve: Curve, seen: Seen | None) -> str:
        """Return expected units by price, with what was sold at which price before."""
        points: list[list[float]] = []
        if seen is not None:
            known = seen.on_sale & np.isfinite(seen.offered) & (seen.offered > 0.0)
            rows = np.flatnonzero(known)
            reduced = seen.offered < 0.98 * seen.regular
            age = np.linspace(0.0, 1.0, len(seen.days))
            points = [
                [seen.offered[i] / self.money.scale, seen.units[i], float(reduced[i]), round(age[i], 3)]
                for i in rows
            ]
        values = (curve.units, curve.units_lower, curve.units_upper)
        return self._curve(curve, values, 1.0, ("units", self._word("units_label")), points)

    def profit(self, curve: Curve) -> str:
        """Return expected profit by price."""
        label = self.texts.text("chart", "profit", currency=self.money.code)
        values = (curve.profit, curve.profit_lower, curve.profit_upper)
        return self._curve(curve, values, float(self.money.scale), ("profit", label), [])

    def history(self, seen: Seen) -> str:
        """Return prices and units by period."""
        known = seen.on_sale
        body = {
            "kind": "history",
            "x": [int(day) for day in seen.days.astype("datetime64[s]").astype(np.int64)],
            "units": _numbers(np.where(known, seen.units, np.nan)),
            "regular": _numbers(np.where(known, seen.regular, np.nan) / self.money.scale),
            "offered": _numbers(np.where(known, seen.offered, np.nan) / self.money.scale),
            "labels": {name: self._word(f"{name}_label") for name in ("units", "regular", "offered", "day")},
        }
        return self._json(body)

    def _curve(
        self,
        curve: Curve,
        values: tuple[Any, Any, Any],
        scale: float,
        named: tuple[str, str],
        points: list[list[float]],
    ) -> str:
        middle, lower, upper = (_numbers(one / scale) for one in values)
        marks = [
            {"kind": name, "at": at / self.money.scale, "label": self._word(f"mark_{name}")}
            for name, at in self.marks.items()
            if at is not None
        ]
        body = {
            "kind": named[0],
            "x": _numbers(curve.price / self.money.scale),
            "y": middle,
            "lower": lower,
            "upper": upper,
            "points": points,
            "marks": marks,
            "own": self._word("mark_own"),
            "support": None if self.support is None else [end / self.money.scale for end in self.support],
            "labels": {
                "x": self.texts.text("chart", "price", currency=self.money.code),
                "y": named[1],
                "band": self._word("band_label"),
            },
        }
        return self._json(body)

    def _json(self, body: dict[str, Any]) -> str:
        notation = self.texts.sections["notation"]
        words = {
            "decimal": notation["decimal"],
            "group": notation["group"],
            "months": [notation[f"short_{month}"] for month in _MONTHS],
            "places": self.money.exponent,
            "read": self._word("read"),
        }
        return json.dumps({**body, "notation": words}, ensure_ascii=False, allow_nan=False)

    def _word(self, code: str) -> str:
        return self.texts.text("desk", code)


def _numbers(values: Any) -> list[float | None]:
    """Return numbers as JSON takes them; what is not known is null."""
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
