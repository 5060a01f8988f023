"""Offers over HTTP: decided within every limit, recorded with their money, the same for the same key."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import structlog
from anyio.from_thread import BlockingPortal
from sqlalchemy import event

from api.access import Role, make_key
from api.app import create_app
from api.storage import price_marks
from api.storage.ledger import Campaign, CouponLimits, campaign, coupon_limits, erase, put_campaign
from api.storage.ledger_audit import Work, require_balance, verify
from api.storage.price_marks import Mark, Source
from api.storage.store import Store
from api.texts import LANGUAGES, texts
from policies.serve.coupon_shelf import CouponShelf
from policies.serve.uplift_offers import UpliftOffers
from pricing.coupon_rules import CouponRule, CouponSettings
from pricing.errors import ArtifactError, DataError
from pricing.evidence import Identification
from tests.api.client import Client, problem
from tests.api.coupon_counter import ANA, shelf
from tests.api.ledger_app import DATES, KEY, Bare
from tests.api.test_ledger import Clock

Told = dict[str, Any]
URL = "/v1/offers"


def cart(customer: str = "ana", price: int = 3000, product: str = "A", **other: Any) -> Told:
    line = {"line_id": "1", "product_id": product, "quantity": 1.0, "shelf_price": price}
    who = {"customer_id": customer} if customer else {"anonymous_id": "session"}
    return {**who, "zone": "es", "lines": [line], **other}


class Counter:
    def __init__(self, store: Store, portal: BlockingPortal, clock: Clock) -> None:
        self.store, self.portal, self.clock, self.count = store, portal, clock, 0

    def open(self, made: CouponShelf) -> Counter:
        app = create_app(lambda: Bare(self.store), key=KEY, shelf=made)  # type: ignore[arg-type,return-value]  # the store is all
        app.state.readiness.start()
        app.state.readiness.wait(30)
        self.client = Client(app, self.portal)
        return self

    def ask(self, body: Told, key: str | None = None, **headers: str) -> httpx.Response:
        self.count += 1
        return self.client.post(body, URL, **{"Idempotency-Key": key or f"k{self.count}", **headers})

    def told(self, body: Told, key: str | None = None, **headers: str) -> Told:
        response = self.ask(body, key, **headers)
        assert response.status_code == 200, response.text
        found: Told = response.json()
        return found

    def left(self) -> tuple[int, int]:
        found = self.client.get("/v1/campaigns/spring").json()
        return found["held"], found["spent"]


@pytest.fixture
def counter(tmp_path: Path, portal: BlockingPortal) -> Iterator[Counter]:
    clock = Clock()
    store = Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", clock)
    yield Counter(store, portal, clock)
    with store.database.reading() as connection:
        verify(connection)
        require_balance(connection)
    store.close()


def test_from_a_cart_to_a_redemption(counter: Counter) -> None:
    counter.open(shelf())
    made = counter.told(cart())
    assert (made["coupon_id"], made["discount"], made["reason"]) == ("five", 500, "worth_it")
    assert made["lines"] == [{"line_id": "1", "discount": 500}]
    assert made["personalised"]
    assert counter.left() == (500, 0)
    lines = [{"line_id": "1", "amount": 500}]
    body = {"reservation_id": made["reservation_id"], "order_id": "o", "lines": lines}
    done = counter.client.post(body, "/v1/redemptions", **{"Idempotency-Key": "r"})
    assert done.status_code == 200, done.text
    assert counter.left() == (0, 500)


def test_who_did_not_agree_is_an_unknown_visitor(counter: Counter) -> None:
    """Recency 1 makes Ana worth 100; whoever is not seen has 6.6, and costs."""
    counter.open(shelf())
    refused, stranger, session = (counter.told(cart(name)) for name in ("ben", "nobody", ""))
    optout, signal = counter.told(cart("ana", opted_out=True)), counter.told(cart("ana"), **{"Sec-GPC": "1"})
    for made in (refused, stranger, session, optout, signal):
        assert (made["coupon_id"], made["reason"], made["personalised"]) == (None, "not_worth_it", False)
    menus = [
        counter.client.get(f"{URL}/{made['decision_id']}").json()["menu"]
        for made in (refused, session, signal)
    ]
    assert menus[0] == menus[1] == menus[2]
    assert counter.left() == (0, 0)


def test_a_coupon_for_known_customers_is_for_nobody_who_did_not_agree(counter: Counter) -> None:
    """Without the rule all of them get `ten`; with it they hold nothing, and nothing tells them apart."""
    made = shelf(np.array([[0.0, 0.0], [0.0, 0.0], [90.0, 0.0]]))
    whoever = (cart("ben"), cart("nobody"), cart(""), cart("ana", opted_out=True))
    counter.open(made)
    assert [counter.told(body)["coupon_id"] for body in whoever] == ["ten"] * 4
    held = counter.left()
    coupons = tuple(replace(coupon, known_only=True) for coupon in made.book.coupons)
    counter.open(replace(made, book=replace(made.book, coupons=coupons)))
    found = [counter.told(body) for body in whoever]
    assert {(one["coupon_id"], one["reason"]) for one in found} == {(None, "unknown_visitor")}
    told = [counter.client.get(f"{URL}/{one['decision_id']}").json() for one in found]
    assert all((one["menu"], one["known"]) == (told[0]["menu"], told[0]["known"]) for one in told)
    assert counter.left() == held
    assert counter.told(cart())["coupon_id"] == "ten", "Ana agreed"


def test_the_same_key_gives_the_same_answer_and_keeps_its_money_once(counter: Counter) -> None:
    counter.open(shelf())
    first = counter.ask(cart(), "one")
    again = counter.ask(cart(), "one")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert counter.left() == (500, 0)
    problem(counter.ask(cart(price=4000), "one"), 422, "usage")


@pytest.mark.parametrize(
    ("made", "body", "rule"),
    [
        (shelf(settings=CouponSettings(kill_switch=True)), cart(), CouponRule.COUPON_KILL_SWITCH),
        (shelf(valid_to=1_767_225_601), cart(), CouponRule.NOT_IN_FORCE),
        (shelf(), cart(product="book"), CouponRule.NOTHING_TO_REDUCE),
        (shelf(min_spend=0), cart(price=1249), CouponRule.BELOW_COST),
        (shelf(), cart(product="B"), CouponRule.COST_UNKNOWN),
        (shelf(budget=499), cart(), CouponRule.BUDGET),
        (shelf(known=Identification.NOT_IDENTIFIED), cart(), CouponRule.NOT_IDENTIFIED),
        (shelf(holdout=1.0), cart(), CouponRule.HOLDOUT),
        (shelf(settings=CouponSettings(frequency_cap=0)), cart(), CouponRule.FREQUENCY_CAP),
        (shelf(), cart(coupon_applied=True), CouponRule.STACKING),
        (shelf(), cart(price=1999), CouponRule.MIN_SPEND),
    ],
    ids=lambda value: value.label if isinstance(value, CouponRule) else "",
)
def test_every_rule_is_kept_and_named(
    counter: Counter, made: CouponShelf, body: Told, rule: CouponRule
) -> None:
    counter.open(made)
    told = counter.told(body)
    assert (told["coupon_id"], told["reservation_id"], told["reason"]) == (None, None, rule.label)
    assert counter.left() == (0, 0)
    entry = counter.client.get(f"{URL}/{told['decision_id']}").json()["menu"][1]
    assert not entry["allowed"]
    assert rule.label in entry["rejected_by"]


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (shelf(limit_total=1), CouponRule.LIMIT_TOTAL),
        (shelf(limit_per_customer=1), CouponRule.LIMIT_PER_CUSTOMER),
        (shelf(budget=900), CouponRule.BUDGET),
        (shelf(settings=CouponSettings(frequency_cap=1)), CouponRule.FREQUENCY_CAP),
    ],
    ids=lambda value: value.label if isinstance(value, CouponRule) else "",
)
def test_what_was_given_counts_until_it_lapses(counter: Counter, made: CouponShelf, rule: CouponRule) -> None:
    counter.open(made)
    assert counter.told(cart())["coupon_id"] == "five"
    assert counter.told(cart())["reason"] == rule.label
    counter.clock.now += dt.timedelta(seconds=601)
    later = counter.told(cart())["coupon_id"]
    assert later == (None if rule is CouponRule.FREQUENCY_CAP else "five")


@pytest.mark.parametrize(
    ("narrower", "rule"),
    [
        ({"valid_to": "2026-01-01T00:00:01Z"}, CouponRule.LIMIT_TOTAL),
        ({"valid_from": "2035-01-01T00:00:00Z"}, CouponRule.LIMIT_TOTAL),
        ({"limit_per_customer": 0}, CouponRule.LIMIT_PER_CUSTOMER),
        ({"limit_per_customer": 1}, CouponRule.LIMIT_PER_CUSTOMER),
        ({"limit_total": 1}, CouponRule.LIMIT_TOTAL),
    ],
)
def test_what_a_manager_narrowed_is_not_offered(
    counter: Counter, narrower: dict[str, Any], rule: CouponRule
) -> None:
    """A checkout is answered "no coupon", and not that the ledger refused what was chosen."""
    counter.open(shelf())
    if 1 in narrower.values():
        assert counter.told(cart())["coupon_id"] == "five"
    coupon = {"coupon_id": "five", **DATES, **narrower}
    body = {"currency": "EUR", "budget": 10_000, "coupons": [coupon]}
    assert counter.client.call("PUT", "/v1/campaigns/spring", json=body).status_code == 200
    made = counter.told(cart())
    assert (made["coupon_id"], made["reason"]) == (None, rule.label)


def test_a_price_that_is_no_longer_asked_is_a_conflict(counter: Counter) -> None:
    counter.open(shelf())
    now = price_marks.instant(counter.clock.now)
    mark = Mark("A", "es", "A", now - 1, 3000, 3000, "EUR", "gross", "Europe/Madrid", Source.IMPORTED, "d")
    with counter.store.database.writing() as transaction:
        price_marks.record(transaction.connection, transaction.at, [mark])
    assert counter.told(cart())["prices_checked"]
    body = problem(counter.ask(cart(price=2900)), 409, "conflict")
    assert "lines/0" in body["detail"]
    assert not counter.told(cart(product="B", price=3000))["prices_checked"]


def test_shelf_prices_without_tax_are_reduced_on_what_is_paid(counter: Counter) -> None:
    counter.open(shelf(np.array([[0.0, 0.0], [-1.0, 0.0], [9.0, 0.0]])))
    body = {**cart(price=2000), "zone": "us"}
    assert counter.told(body)["discount"] == 200
    problem(counter.ask({**cart(), "zone": "fr"}), 422, "usage")


def test_erasing_somebody_leaves_the_record_whole(counter: Counter) -> None:
    counter.open(shelf())
    made = counter.told(cart())
    url = f"{URL}/{made['decision_id']}"
    assert counter.client.get(url).json()["known"] is not None
    assert ANA not in json.dumps(counter.client.get(url).json())
    counter.store.commits.submit(lambda work: erase(work, [ANA]))
    after = counter.client.get(url).json()
    assert after["known"] is None
    assert after["coupon_id"] == "five"
    problem(counter.client.get(f"{URL}/{'0' * 32}"), 404, "unknown_coupon")


def test_a_customer_can_read_why(counter: Counter) -> None:
    counter.open(shelf(draws=20))

    def why(who: str, language: str) -> list[str]:
        url = f"{URL}/{counter.told(cart(who))['decision_id']}"
        answer = counter.client.call("GET", url, headers={"Accept-Language": language})
        assert answer.headers["Content-Language"] == language
        found: list[str] = answer.json()["reasons"]
        return found

    assert why("ana", "en") == [
        "This coupon was offered because for this cart it is expected to bring the shop more than it costs.",
        "Earlier orders and visits were read for it, as agreed; that can be taken back at any time.",
    ]
    first, *_, last = why("ben", "es")
    assert "No se ofreció ningún cupón: con este carrito" in first
    assert last == "Para ello no se leyó nada personal."


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_has_its_sentence(language: str) -> None:
    told = texts(language)
    said = [told.text("offer_reason", rule.label) for rule in CouponRule]
    assert len(set(said)) == len(CouponRule)


def test_thompson_says_with_what_chance(counter: Counter) -> None:
    counter.open(shelf(draws=20))
    told = counter.client.get(f"{URL}/{counter.told(cart())['decision_id']}").json()
    assert sum(entry["probability"] for entry in told["menu"]) == pytest.approx(1.0)
    assert told["propensity"] == max(entry["probability"] for entry in told["menu"])


def test_a_batch_answers_line_by_line_and_may_be_sent_again(counter: Counter) -> None:
    counter.open(shelf())
    lines = [json.dumps(cart()), "{", json.dumps({**cart(), "zone": "fr"}), json.dumps(cart("ben"))]
    answers = []
    for _ in range(2):
        response = counter.client.call(
            "POST", f"{URL}/batch", content="\n".join(lines), headers={"Idempotency-Key": "b"}
        )
        assert response.status_code == 200, response.text
        answers.append([json.loads(line) for line in response.text.splitlines()])
    assert answers[0] == answers[1]
    first, broken, nowhere, refused = answers[0]
    assert (first["coupon_id"], refused["coupon_id"]) == ("five", None)
    assert (broken["problem"]["code"], nowhere["problem"]["code"]) == ("validation", "usage")
    assert counter.left() == (500, 0)
    empty = counter.client.call("POST", f"{URL}/batch", content="", headers={"Idempotency-Key": "c"})
    problem(empty, 422, "usage")


def test_a_batch_is_a_commit_for_eight_carts_and_each_stands_alone(counter: Counter) -> None:
    """Budget for 4 of 20; every third is refused, and one line is none."""
    counter.open(shelf(budget=2_000))
    lines = [json.dumps(cart(zone="fr") if place % 3 == 0 else cart()) for place in range(20)]
    lines[10] = "[]"
    commits: list[object] = []
    event.listen(counter.store.database._engine, "commit", commits.append)
    response = counter.client.call(
        "POST", f"{URL}/batch", content="\n".join(lines), headers={"Idempotency-Key": "b"}
    )
    told = [json.loads(line) for line in response.text.splitlines()]
    assert len(commits) == 3, "19 carts are two eights and a three"
    found = [one.get("coupon_id", one.get("problem", {}).get("code")) for one in told]
    named = ["usage" if place % 3 == 0 else "five" for place in range(20)]
    named[10] = "validation"
    given = [place for place, name in enumerate(named) if name == "five"]
    assert [found[place] for place in given] == ["five"] * 4 + [None] * (len(given) - 4)
    assert [found[place] for place in range(20) if place not in given] == [
        named[place] for place in range(20) if place not in given
    ]
    assert counter.left() == (2_000, 0)


def test_a_batch_that_finds_no_room_or_no_key_says_so_line_by_line(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.open(shelf())
    monkeypatch.setattr(counter.store.commits, "_most", 1)
    lines = "\n".join(json.dumps(cart()) for _ in range(9))
    response = counter.client.call("POST", f"{URL}/batch", content=lines, headers={"Idempotency-Key": "b"})
    codes = [json.loads(line).get("problem", {}).get("code") for line in response.text.splitlines()]
    assert codes == ["busy"] * 8 + [None]
    assert counter.left() == (500, 0)
    app = create_app(lambda: Bare(counter.store), shelf=shelf())  # type: ignore[arg-type,return-value]  # as above
    app.state.readiness.start()
    app.state.readiness.wait(30)
    keyless = Client(app, counter.portal)
    response = keyless.call("POST", f"{URL}/batch", content=lines, headers={"Idempotency-Key": "c"})
    codes = [json.loads(line)["problem"]["code"] for line in response.text.splitlines()]
    assert codes == ["usage"] * 9


def test_what_decisions_name_is_there_before_anybody_asks(counter: Counter) -> None:
    """A fingerprint worked out in the first request would hold up everybody: the one writer waits for it."""
    made = CouponShelf.from_bytes(shelf(draws=3).to_bytes())
    counter.open(made)
    assert "fingerprint" in vars(made)
    assert "_version" in vars(made.policy)
    model = made.policy.model
    basis = replace(model.basis, features=("not known here",))
    odd = replace(made, policy=replace(made.policy, model=replace(model, basis=basis)))
    counter.open(odd)
    assert counter.client.get("/v1/campaigns/spring").status_code == 200, "all else is served"
    assert "not known here" in problem(counter.ask(cart()), 422, "usage")["detail"]


def test_what_keeps_a_shelf_from_deciding_is_logged_as_it_starts(counter: Counter) -> None:
    made = shelf()
    with structlog.testing.capture_logs() as logs:
        counter.open(made)
    assert not [entry for entry in logs if entry["log_level"] == "warning"]
    nowhere = replace(made, book=replace(made.book, zones=()))
    with structlog.testing.capture_logs() as logs:
        counter.open(nowhere)
    (warned,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert (warned["event"], warned["code"]) == ("offers not rehearsed", "usage")
    assert warned["what"] == "The shop has no zone ''."
    assert set(warned) == {"event", "log_level", "code", "what", "why", "todo"}
    problem(counter.ask(cart()), 422, "usage")
    assert counter.left() == (0, 0), "everything else is served"


def test_carts_that_are_none_are_refused(counter: Counter) -> None:
    counter.open(shelf())
    line = cart()["lines"][0]
    for wrong in (
        {**cart(), "lines": []}, {**cart(), "anonymous_id": "x"}, {**cart(), "price": 1},
        {**cart(), "lines": [{**line, "quantity": 0}]}, {**cart(), "lines": [{**line, "shelf_price": -1}]},
        {**cart(), "lines": [{**line, "shelf_price": 1.5}]}, {**cart(), "customer_id": " "},
    ):  # fmt: skip
        problem(counter.ask(wrong), 422, "validation")
    for wrong in ({**cart(), "lines": [line, line]}, {**cart(), "lines": [{**line, "discount": 3001}]}):
        problem(counter.ask(wrong), 422, "usage")


def test_only_who_may_redeem_may_ask(counter: Counter) -> None:
    counter.open(shelf())
    counted = {
        role: counter.client.keyed(make_key(counter.store.database, role.value, role)) for role in Role
    }
    codes = {
        role: client.post(cart(), URL, **{"Idempotency-Key": role.value}).status_code
        for role, client in counted.items()
    }
    assert codes == {Role.VIEWER: 403, Role.ANALYST: 403, Role.MANAGER: 200, Role.BACKEND: 200}
    problem(counter.ask(cart()), 401, "access")


def test_without_a_shelf_there_are_no_offers(counter: Counter, portal: BlockingPortal) -> None:
    app = create_app(lambda: Bare(counter.store), key=KEY)  # type: ignore[arg-type,return-value]  # as above
    app.state.readiness.start()
    app.state.readiness.wait(30)
    counter.client = Client(app, portal)
    assert "coupon shelf" in problem(counter.ask(cart()), 422, "usage")["why"]


def test_putting_the_same_book_up_again_records_nothing(counter: Counter) -> None:
    made = shelf()
    counter.open(made)
    with counter.store.database.reading() as connection:
        before = verify(connection)
    counter.open(CouponShelf.from_bytes(made.to_bytes()))
    with counter.store.database.reading() as connection:
        assert verify(connection) == before

    def name(work: Work) -> None:
        five = coupon_limits(work.connection, "five")
        assert five is not None
        put_campaign(work, Campaign("spring", "EUR", 10_000), [replace(five, code="SPRING5")])

    counter.store.commits.submit(name)
    counter.open(shelf(budget=77))
    told = counter.client.get("/v1/campaigns/spring").json()
    assert (told["budget"], {coupon["code"] for coupon in told["coupons"]}) == (77, {"SPRING5", None})


def test_a_coupon_without_a_campaign_never_spends_the_budget_of_one(counter: Counter) -> None:
    """What it costs is counted under its own name, which may be no campaign's, here or in the ledger."""
    made = shelf()
    five, ten = made.book.coupons
    named = replace(five, coupon_id="spring", campaign_id="")
    with pytest.raises(DataError, match="name of one"):
        replace(made.book, coupons=(named, ten))
    before = replace(made.book)
    object.__setattr__(before, "coupons", (named, ten))  # as an older program wrote it
    with pytest.raises(ArtifactError, match="name of one"):
        CouponShelf.from_bytes(replace(made, book=before).to_bytes())
    own = replace(made.book, coupons=(five, replace(ten, campaign_id="")))
    taken = Campaign("ten", "EUR", 100)
    other = CouponLimits("other", "ten", None, None, None, 0, 2**53)
    for coupons in ((), (other,)):
        counter.store.commits.submit(partial(put_campaign, wanted=taken, coupons=coupons))
        counter.open(replace(made, book=own))
        told = problem(counter.ask(cart()), 422, "usage")
        assert "the ledger has one of its name for others" in told["detail"]
        assert told["why"]
        assert told["todo"]
        with counter.store.database.reading() as connection:
            assert campaign(connection, "ten") == taken, "its limit stands"
            assert coupon_limits(connection, "five") is None, "nothing of the book was put up"


def test_a_coupon_without_a_campaign_is_put_up_under_its_own_name(counter: Counter) -> None:
    made = shelf(budget=700)
    five, ten = made.book.coupons
    mine = replace(made, book=replace(made.book, coupons=(replace(five, campaign_id=""), ten)))
    for _ in range(2):
        counter.open(mine)
        assert counter.told(cart())["coupon_id"] == "five"
    found = counter.client.get("/v1/campaigns/five").json()
    assert (found["budget"], found["held"]) == (None, 1000)
    assert counter.left() == (0, 0)


def test_asking_again_the_same_day_draws_the_same(counter: Counter) -> None:
    """Half of the draws would give a coupon: a customer's answers agree on one day and differ over days."""
    made = shelf(np.array([[0.0, 0.0], [0.0, 0.0], [-900.0, 0.0]]), budget=None)
    unsure = np.einsum("kl,pq->kplq", np.diag([0.0, 2500.0, 1.0]), np.eye(2))
    doubting = UpliftOffers.of(replace(made.policy.model, covariance=unsure), 40, 3)
    roomy = replace(made, policy=doubting, settings=CouponSettings(frequency_cap=1000))
    counter.open(roomy)
    start, days = counter.clock.now, list[set[str | None]]()
    for day in range(12):
        found = set[str | None]()
        for hour in (0, 3, 9):
            counter.clock.now = start.replace(hour=1) + dt.timedelta(days=day, hours=hour)
            found.add(counter.told(cart())["coupon_id"])
        days.append(found)
    assert all(len(found) == 1 for found in days)
    assert set[str | None]().union(*days) == {None, "five"}
