"""`tarifa coupons farming` on ledgers made by hand, through the ledger's own functions."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.storage import offers
from api.storage.ledger import Campaign, CouponLimits, Line, erase, holder_of, put_campaign
from api.storage.ledger_audit import Work
from api.storage.ledger_redeem import give_back, redeem
from api.storage.ledger_reserve import Hold, reserve
from api.storage.offers import Offered
from api.storage.store import Store
from tests.api.coupon_counter import shelf
from tests.api.test_ledger import EVER, NOON, Clock
from tests.api.test_offers import Counter, cart


class Till:
    """A shop that asks, gives and takes back as told, at hours after noon."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.count = Clock(), 0
        self.place = folder / "decisions.sqlite3"
        self.store = Store(f"sqlite:///{self.place}", self.clock)
        self.campaign("c", "EUR")

    def campaign(self, name: str, currency: str) -> None:
        coupon = CouponLimits(f"k-{name}", name, None, None, None, 0, EVER)
        self.store.commits.submit(lambda work: put_campaign(work, Campaign(name, currency, None), [coupon]))

    def ask(self, who: str, hour: float, chance: float, given: bool, **about: object) -> str | None:
        """Record a decision; return the reservation where something was given."""
        self.count += 1
        name = f"{self.count:032x}"
        self.clock.now = NOON + dt.timedelta(hours=hour)

        def effect(work: Work) -> None:
            if given:
                reserve(work, Hold(name, "k-c", who, name, 900, work.now + 3_600_000_000))
            content = {"probabilities": [1.0 - chance, chance]}
            made = Offered(name, "k-c" if given else None, name if given else None, content, about, "")
            offers.keep(work, made, holder_of(work, who))

        self.store.commits.submit(effect)
        return name if given else None

    def use(self, reservation: str | None, order: str, amount: int, *, back: bool = False) -> None:
        def effect(work: Work) -> None:
            redeem(work, reservation or "", order, [Line("1", amount)])
            if back:
                give_back(work, reservation or "", None)

        self.store.commits.submit(effect)


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    made = Till(tmp_path)
    yield made
    made.store.close()


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["coupons", "farming", *map(str, words)], env={"COLUMNS": "200"})


def told(*words: object) -> dict[str, Any]:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_figures_of_a_ledger_made_by_hand(till: Till) -> None:
    """Ana is known for two days when she uses a coupon; a stranger asks, asks again, and uses it at once."""
    till.ask("ana", 0, 0.5, False, anonymous=False)
    till.use(till.ask("ana", 48, 0.5, True, anonymous=False), "o1", 300)
    till.ask("stranger", 49, 0.25, False, anonymous=True)
    till.use(till.ask("stranger", 50, 0.25, True, anonymous=True), "o2", 100)
    till.use(till.ask("long ago", 51, 1.0, True), "o3", 200, back=True)
    found = told(till.place)
    assert (found["holders"], found["currency"], found["days"]) == (3, "EUR", 90)
    assert found["until"] == "2026-01-03T15:00:00+00:00"
    named, anonymous, rest = found["kinds"]
    counts = ("identities", "decisions", "offers", "used", "discount")
    assert (named["kind"], [named[name] for name in counts]) == ("named", [1, 2, 1, 1, 300])
    assert (named["fresh"]["estimate"], anonymous["fresh"]["estimate"]) == (0.0, 1.0)
    assert (anonymous["kind"], anonymous["decisions"], anonymous["discount"]) == ("anonymous", 2, 100)
    assert (rest["kind"], rest["discount"]) == ("not_recorded", 0), "all of it came back"
    assert found["top"]["1"]["found"] == found["top"]["10"]["found"] == 0.75
    asking = found["asking"]
    assert (asking["again"], asking["offers_again"], asking["offers"]) == (1, 1, 3)
    assert asking["once"] == pytest.approx(0.5 + 0.5 + 0.25 + 1.0)
    assert found["back"]["estimate"] == pytest.approx(1 / 3)
    assert (found["lucky"], found["returning"]) == ([], [])
    assert (found["bursts"]["found"], found["bursts"]["flag"]) == (0.0, False)
    late = told(till.place, "--days", 1)
    assert [kind["decisions"] for kind in late["kinds"]] == [1, 2, 1], "noon and three hours is out"


def test_who_is_worth_a_look_is_named_by_pseudonym_until_erased(till: Till) -> None:
    for turn in range(30):
        till.use(till.ask("lucky", 30 * turn, 0.125, True), f"a{turn}", 100, back=turn < 8)
        for other in range(3):
            till.use(till.ask(f"p{other}", 30 * turn + 7 * other + 2, 1.0, True), f"{other}-{turn}", 100)
    found = told(till.place)
    (lucky,), (returning,) = found["lucky"], found["returning"]
    assert (lucky["customer"], lucky["count"], lucky["of"], lucky["expected"]) == ("lucky", 30, 30, 3.75)
    assert (returning["customer"], returning["count"], returning["of"]) == ("lucky", 8, 30)
    shown = call(till.place, "--language", "es")
    assert "Conviene mirarlo; no prueba nada" in shown.output
    assert " ".join(shown.output.split()).count("lucky") == 2
    till.store.commits.submit(lambda work: erase(work, ["lucky"]))
    after = told(till.place)
    assert after["lucky"] == [], "what was known of them at an offer is gone"
    assert [one["customer"] for one in after["returning"]] == [None]
    assert "(erased)" in call(till.place).output


def test_it_only_reads_while_a_service_writes(till: Till) -> None:
    till.ask("ana", 0, 0.5, False)
    with till.store.writing():
        assert told(till.place)["holders"] == 1
    till.store.close()
    before = hashlib.sha256(till.place.read_bytes()).digest()
    till.place.chmod(0o400)
    assert told(till.place)["holders"] == 1
    assert hashlib.sha256(till.place.read_bytes()).digest() == before


def test_an_empty_ledger_and_several_currencies(till: Till) -> None:
    found = told(till.place)
    assert (found["holders"], found["kinds"], found["since"], found["asking"]) == (0, [], None, None)
    assert found["back"] is None
    assert "Nothing was decided or used" in call(till.place).output
    till.use(till.ask("ana", 0, 1.0, True), "o1", 300)
    till.campaign("d", "USD")
    dollars = Hold(32 * "d", "k-d", "ana", None, 500, EVER)
    till.store.commits.submit(lambda work: reserve(work, dollars))
    till.use(dollars.reservation_id, "o2", 400)
    refused = call(till.place)
    assert (refused.exit_code, "EUR, USD" in refused.output) == (2, True)
    discounts = {
        code: told(till.place, "--currency", code)["kinds"][0]["discount"] for code in ("EUR", "USD")
    }
    assert discounts == {"EUR": 300, "USD": 400}
    assert call(till.place, "--currency", "GBP").exit_code == 2


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    text, other, newer = (tmp_path / name for name in ("a.txt", "b.sqlite3", "c.sqlite3"))
    text.write_text("order_id,paid\n1,2.00\n" * 100, encoding="utf-8")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    Store(f"sqlite:///{newer}", Clock()).close()
    till = Till(tmp_path)
    till.ask("ana", 0, 0.5, given=False)
    till.store.close()
    with sqlite3.connect(damaged := till.place) as connection:
        connection.execute("UPDATE offers SET content = '{}'")
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    for place, code, says in (
        (tmp_path / "none.sqlite3", 2, "There is no store"),
        (tmp_path, 2, "There is no store"),
        (f"sqlite:///{tmp_path / 'none.sqlite3'}", 2, "There is no store"),
        ("sqlite://", 2, "There is no store"),
        (damaged, 4, "how likely it was"),
        ("nothing://here", 2, "no database that can be used"),
        (text, 4, "no decision store"),
        (other, 4, "no ledger of coupons"),
        (newer, 4, "schema 99"),
    ):
        result = call(place)
        assert (result.exit_code, says in " ".join(result.output.split())) == (code, True), result.output
    assert not (tmp_path / "none.sqlite3").exists()


def test_a_decision_records_whether_its_customer_was_named(tmp_path: Path, portal: BlockingPortal) -> None:
    clock = Clock()
    store = Store(f"sqlite:///{tmp_path / 'd.sqlite3'}", clock)
    counter = Counter(store, portal, clock).open(shelf())
    for who in ("ana", "ben", ""):
        counter.told(cart(who))
    kinds = {kind["kind"]: kind for kind in told(tmp_path / "d.sqlite3")["kinds"]}
    assert {name: (kind["identities"], kind["offers"]) for name, kind in kinds.items()} == {
        "named": (2, 1), "anonymous": (1, 0),
    }  # fmt: skip
    store.close()
