"""``tarifa keys``."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import UsageError

if TYPE_CHECKING:
    from api.storage.database import Database

__all__ = ["Doing", "manage_keys"]


class Doing(Enum):
    """What is done with access keys."""

    ADD = "add"
    LIST = "list"
    REVOKE = "revoke"


def manage_keys(
    doing: Annotated[Doing, typer.Argument(help="add, list or revoke.")],
    name: Annotated[
        str | None, typer.Argument(help="Name of the key: reviews are recorded under it.")
    ] = None,
    store: Annotated[str, typer.Option(help="Store of the service: a file or database URL.")] = "",
    role: Annotated[str | None, typer.Option(help="For add: viewer, analyst, manager or backend.")] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Make, list and revoke access keys. From the first one on, every request to the service needs one.

    A new key is shown once and kept nowhere; of it only a hash is stored.

    Example: tarifa keys add ana --role manager --store run.decisions.sqlite3
    """

    def work(_session: Session) -> Outcome:
        return _manage(doing, name, store, role)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def _manage(doing: Doing, name: str | None, store: str, role: str | None) -> Outcome:
    from api.storage.database import Database
    from api.storage.sqlite import url_of

    if not store:
        raise UsageError("--store is not given.", todo="Name the store that the service writes to.")
    database = Database(url_of(store), lambda: dt.datetime.now(dt.UTC))
    try:
        if doing is Doing.LIST:
            return _list(database)
        if name is None:
            raise UsageError(f"{doing.value} needs the name of a key.", todo="Give it after the word.")
        return _add(database, name, role) if doing is Doing.ADD else _revoke(database, name)
    finally:
        database.close()


def _add(database: Database, name: str, role: str | None) -> Outcome:
    from api.access import Role, make_key

    if role not in {one.value for one in Role}:
        raise UsageError(
            f"--role: {role!r} is no role." if role else "--role is not given.",
            todo=f"Choose one of {', '.join(one.value for one in Role)}.",
        )
    key = make_key(database, name, Role(role))
    told = f"This is the key of {name} ({role}). It is shown once; keep it like a password:\n{key}"
    return Outcome({"name": name, "role": role, "key": key}, (told,))


def _list(database: Database) -> Outcome:
    from dataclasses import asdict

    from api.storage.keys import list_keys

    with database.reading() as connection:
        found = list_keys(connection)
    rows = [(row.name, row.role, row.made_at[:16], (row.revoked_at or "")[:16]) for row in found]
    table = grid("Access keys", ("name", "role", "made", "revoked"), rows)
    return Outcome({"keys": [asdict(row) for row in found]}, (table,))


def _revoke(database: Database, name: str) -> Outcome:
    from api.storage.keys import revoke_key

    with database.writing() as transaction:
        done = revoke_key(transaction, name)
    if not done:
        raise UsageError(f"There is no key named {name} that still holds.", todo="See `tarifa keys list`.")
    return Outcome({"revoked": name}, (f"{name} can no longer use the service.",))
