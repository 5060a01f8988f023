"""The weekly loop through ways out that are no file of the platform: asked, told, or typed by hand."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from typer.testing import CliRunner

from api.app import approvals_of
from api.cli.main import app
from api.cli.serve import desk_over
from api.publishers.workbook import PriceTable
from api.runs import open_shelf
from api.storage import price_marks
from api.storage.price_marks import Source
from api.storage.reviews import ProposalRow, Wanted
from api.storage.store import Store
from pricing.approval import Action, Review
from tests.api.cycle_home import TODAY, listed_price, write_home
from tests.api.shop import PRODUCTS
from tests.api.test_webhook import SECRET as SIGNED
from tests.api.test_webhook import Receiver
from tests.api.woo_server import KEY, SECRET, WooServer, running
from tests.once import once

NAME = TODAY.isoformat()


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose cycle waits for approval; copy it before changing it."""
    return once(tmp_path_factory, "cycle", lambda root: _cycle(write_home(root / "home"))) / "home"


@pytest.fixture
def home(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "home"))


@pytest.fixture
def woo(home: Path) -> Iterator[WooServer]:
    """Run a shop at the prices of the listing, into which the cycle publishes; its keys lie beside it."""
    products = [{"id": p + 1, "sku": f"p{p:02d}", "regular_price": listed_price(p)} for p in range(PRODUCTS)]
    with running(*products) as server:
        _choose(home, "woocommerce_rest", server.address, "woo.key")
        _write_private(home / "woo.key", f'key = "{KEY}"\nsecret = "{SECRET}"\n')
        yield server


@pytest.fixture
def receiver(home: Path) -> Iterator[Receiver]:
    """Run a receiver of messages; what they are signed with lies beside the cycle."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        _choose(home, "webhook", f"http://127.0.0.1:{server.server_address[1]}/", "hook.key")
        _write_private(home / "hook.key", SIGNED)
        yield server
        server.shutdown()
        thread.join()


def _choose(home: Path, publisher: str, address: str = "", key_file: str = "") -> None:
    """Let the cycle publish elsewhere."""
    said = f'publisher = "{publisher}"\n'
    if address:
        said += f'address = "{address}"\nkey_file = "{key_file}"\n'
    place = home / "shop.toml"
    place.write_text(place.read_text().replace('publisher = "shopify_csv"\n', said))


def _write_private(place: Path, text: str) -> None:
    place.touch(mode=0o600)
    place.write_text(text)


def _cycle(home: Path, *options: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["cycle", str(home), "--today", NAME, "--json", *options])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def _dies(home: Path, moment: str) -> None:
    died = subprocess.run(
        [sys.executable, "-m", "tests.api.dying", str(home), NAME, moment],
        capture_output=True,
        check=False,
        env=os.environ,
    )
    assert died.returncode == -9, (moment, died.stderr.decode()[-2000:])


def _approved(home: Path, count: int) -> list[ProposalRow]:
    """Approve the first proposals, as the service would that serves the run."""
    store = Store(f"sqlite:///{home / 'store.sqlite3'}", lambda: dt.datetime.now(dt.UTC))
    failed = _cycle(home, "--status")["steps"]["validate"]["failed"]
    approvals = approvals_of(desk_over(open_shelf(home / "cycles" / NAME / "run", failed), "static", store))
    wanted = Wanted(states=("pending",))
    rows = approvals.listed(wanted, sort="price_group", falling=False, start=0, limit=count).rows
    for row in rows:
        approvals.review(row.decision_id, Review(Action.APPROVE, "ana", "seen"), row.etag)
    found = [approvals.read(row.decision_id).row for row in rows]
    store.close()
    return found


def _states(found: Any) -> dict[str, str]:
    return {row["product_id"]: row["state"] for row in found["publications"]}


def _minor(server: WooServer) -> dict[str, int]:
    return {str(p["sku"]): round(100 * float(p["regular_price"])) for p in server.products.values()}


def test_woocommerce_rest_publishes_line_by_line_reads_back_and_undoes(home: Path, woo: WooServer) -> None:
    before = _minor(woo)
    first, second = _approved(home, 2)
    seen = _cycle(home, "--dry-run")
    assert (seen["would_change"], woo.writes) == (2, 0)
    assert [line["cells"][0]["name"] for line in seen["lines"]] == ["regular_price"] * 2
    woo.refuses = {1 + int(second.price_group[1:])}
    found = _cycle(home)
    assert _states(found) == {first.price_group: "confirmed", second.price_group: "failed"}
    assert "rejected" in next(r["detail"] for r in found["publications"] if r["state"] == "failed")
    assert (found["waiting"]["failed"], found["waiting"]["unconfirmed"]) == (1, 0)
    woo.refuses = set()
    assert set(_states(_cycle(home)).values()) == {"confirmed"}
    assert {name: price for name, price in _minor(woo).items() if price != before[name]} == {
        row.price_group: row.price for row in (first, second)
    }
    _cycle(home, "--undo", "--by", "ana", "--reason", "a rival answered")
    assert _minor(woo) == before
    assert _cycle(home)["waiting"]["unconfirmed"] == 0


def test_woocommerce_rest_killed_before_and_after_its_call_sets_every_price_once(
    home: Path, woo: WooServer
) -> None:
    rows = _approved(home, 2)
    _dies(home, "before send")
    assert woo.writes == 0
    _dies(home, "after send")
    assert set(_states(_cycle(home)).values()) == {"confirmed"}
    assert woo.writes == 2
    assert {_minor(woo)[row.price_group] for row in rows} == {row.price for row in rows}


def test_a_shop_in_another_currency_or_a_key_that_all_may_read_leaves_nothing_behind(
    home: Path, woo: WooServer
) -> None:
    _approved(home, 1)
    woo.settings["woocommerce_currency"] = "USD"
    assert "woocommerce_currency" in _cycle(home, code=5)["error"]["what"]
    woo.settings["woocommerce_currency"] = "EUR"
    (home / "woo.key").chmod(0o644)
    found = _cycle(home, code=3)["error"]
    assert "chmod 600" in found["todo"]
    assert SECRET not in json.dumps(found)
    (home / "woo.key").unlink()
    assert "woo.key" in _cycle(home, code=3)["error"]["what"]
    assert _cycle(home, "--status")["publications"] == []


def test_a_webhook_killed_in_the_middle_is_sent_again_under_the_same_ids(
    home: Path, receiver: Receiver
) -> None:
    rows = _approved(home, 2)
    _dies(home, "after send")
    assert len(receiver.seen) == 1
    found = _cycle(home)
    assert (len(receiver.seen), receiver.calls) == (2, 3)
    assert receiver.prices == {row.price_group: row.price for row in rows}
    assert set(_states(found).values()) == {"published"}
    waits = found["waiting"]
    assert (waits["blind"], waits["unconfirmed"], waits["failed"]) == (2, 0, 0)
    again = _cycle(home)
    assert (again["publications"], receiver.calls) == (found["publications"], 3)
    _cycle(home, "--undo", "--by", "ana", "--reason", "a rival answered")
    assert receiver.prices == {row.price_group: row.current_price for row in rows}


def test_a_receiver_that_refuses_one_line_gets_it_again_the_next_time(home: Path, receiver: Receiver) -> None:
    rows = _approved(home, 2)
    receiver.answers = [422, 204]
    assert sorted(_states(_cycle(home)).values()) == ["failed", "published"]
    assert set(_states(_cycle(home)).values()) == {"published"}
    assert receiver.prices == {row.price_group: row.price for row in rows}


def test_a_workbook_is_written_once_and_says_that_it_cannot_be_confirmed(home: Path) -> None:
    _choose(home, "workbook")
    place = home / "shop.toml"
    place.write_text(place.read_text().replace("[cycle]\n", '[cycle]\nworkbook_language = "es"\n'))
    rows = _approved(home, 2)
    _dies(home, "after publish")
    target = home / "cycles" / NAME / "published" / f"{NAME}-001-publish.xlsx"
    written = target.read_bytes()
    found = _cycle(home)
    assert target.read_bytes() == written
    assert (set(_states(found).values()), found["waiting"]["blind"]) == ({"published"}, 2)
    sheet = openpyxl.load_workbook(target).active
    assert sheet is not None
    assert sheet.cell(1, 1).value == "Producto"
    typed = PriceTable.of(target).rows
    assert [(name, round(100 * float(price))) for name, _, price, _ in typed] == [
        (row.price_group, row.price) for row in rows
    ]
    store = Store(f"sqlite:///{home / 'store.sqlite3'}", lambda: dt.datetime.now(dt.UTC))
    with store.database.reading() as connection:
        marks = price_marks.history(connection, rows[0].price_group)
    store.close()
    assert {mark.source for mark in marks[:-1]} == {Source.IMPORTED}
    assert (marks[-1].source, marks[-1].offered) == (Source.PUBLISHED, rows[0].price)
    told = CliRunner().invoke(app, ["cycle", str(home), "--today", NAME]).output
    assert "cannot be read back: 2" in " ".join(told.split())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('publisher = "webhook"', "address"),
        ('publisher = "shopify_csv"\naddress = "https://a.example"', "calls nobody"),
        ('publisher = "webhook"\naddress = "https://ana:secret@a.example"', "password"),
        ('publisher = "fax"', "fax"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(home: Path, said: str, why: str) -> None:
    place = home / "shop.toml"
    place.write_text(place.read_text().replace('publisher = "shopify_csv"', said))
    error = _cycle(home, "--status", code=3)["error"]
    assert why in error["what"]
    assert "secret@" not in json.dumps(error)


def test_prices_are_not_sent_without_https(home: Path) -> None:
    _choose(home, "webhook", "http://a.example/prices", "hook.key")
    _write_private(home / "hook.key", SIGNED)
    _approved(home, 1)
    assert "a.example" in _cycle(home, code=3)["error"]["what"]
