"""`tarifa customers erase`: nothing of somebody is left in the files of a store that goes on being served."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from api.cli.main import app
from tests.api.coupon_counter import ANA, BEN, shelf
from tests.api.ledger_app import KEY
from tests.api.test_offers import URL, Counter, cart, counter

__all__ = ["counter"]


def call(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(
        app, ["customers", "erase", *map(str, words)], input=given, env={"COLUMNS": "200"}
    )


def key_in(folder: Path) -> Path:
    assert KEY.secret is not None
    (folder / "data.key").write_bytes(KEY.secret)
    return folder / "data.key"


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("d.sqlite3*")))


def test_nothing_of_them_is_left_on_disk_while_it_is_served(counter: Counter, tmp_path: Path) -> None:
    counter.open(shelf())
    made = counter.told(cart())
    counter.told(cart("ben"))
    assert ANA.encode() in on_disk(tmp_path)
    done = call(tmp_path / "d.sqlite3", "ana", " ana", "nobody", "--customer-key", key_in(tmp_path))
    assert done.exit_code == 0, done.output
    assert "1 of 2" in done.output
    assert "ana" not in done.output
    assert ANA.encode() not in on_disk(tmp_path)
    assert BEN.encode() in on_disk(tmp_path)
    after = counter.client.get(f"{URL}/{made['decision_id']}").json()
    assert (after["known"], after["coupon_id"]) == (None, "five")
    lines = [{"line_id": "1", "amount": 500}]
    body = {"reservation_id": made["reservation_id"], "order_id": "o", "lines": lines}
    used = counter.client.post(body, "/v1/redemptions", **{"Idempotency-Key": "r"})
    assert used.status_code == 200, "what was promised is kept, to whoever shows it"


def test_names_may_be_read_and_sessions_be_meant(counter: Counter, tmp_path: Path) -> None:
    counter.open(shelf())
    for who in ("ben", ""):
        counter.told(cart(who))
    store, key = tmp_path / "d.sqlite3", ("--customer-key", key_in(tmp_path))
    read = call(store, "-", *key, "--language", "es", given="ben\n\nana\n")
    assert "1 de 2 estaban" in read.output
    assert "1 of 1" in call(store, "session", *key, "--sessions").output
    assert "0 of 1" in call(store, "session", *key, "--sessions").output


def test_what_would_erase_nobody_is_refused(counter: Counter, tmp_path: Path) -> None:
    counter.open(shelf())
    store, key = tmp_path / "d.sqlite3", ("--customer-key", key_in(tmp_path))
    for words, says in (
        ((store, *key), "Nobody is named"),
        ((store, "ana"), "--customer-key is not given"),
        ((store, "ana", "--customer-key", tmp_path / "none.key"), "cannot be read"),
        ((tmp_path / "other.sqlite3", "ana", *key), "There is no store"),
    ):
        refused = call(*words)
        assert (refused.exit_code, says in " ".join(refused.output.split())) == (2, True), refused.output
    assert not (tmp_path / "other.sqlite3").exists()
