"""``tarifa customers erase``: what a store holds about somebody, gone; its record stays whole."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import UsageError

__all__ = ["erase_customers", "erase_in"]


def erase_customers(
    store: Annotated[str, typer.Argument(help="Store of the service: a file or database URL.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="Customers as orders name them; - reads them, one a line.")
    ] = None,
    customer_key: Annotated[
        Path | None, typer.Option(help="Key of the pseudonyms, which `import` left beside the data.")
    ] = None,
    *,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="The names are those of sessions (anonymous_id).")
    ] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Erase customers from a store: who held which coupon, and what was known of them at an offer.

    The record of the store names nobody and stays whole. A service may go on using it. Data folders, coupon
    shelves and reports are made anew without them by you.

    Example: tarifa customers erase decisions.sqlite3 c-1001 --customer-key DATA.key
    """

    def work(session: Session) -> Outcome:
        return erase_in(session, store, tuple(names or ()), customer_key, sessions=sessions)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def erase_in(
    session: Session, place: str, names: tuple[str, ...], key_file: Path | None, *, sessions: bool
) -> Outcome:
    """Erase the customers of these names; says how many of them were there, and names nobody."""
    from api.customer_key import CustomerKey
    from api.storage.ledger import erase
    from api.storage.ledger_looked_at import looked_at
    from api.storage.sqlite import url_of
    from api.storage.store import Store

    if names == ("-",):
        names = tuple(line.strip() for line in typer.get_text_stream("stdin") if line.strip())
    if not names:
        raise UsageError("Nobody is named.", todo="Give customers as orders name them, or - to read them.")
    if key_file is None:
        raise UsageError(
            "--customer-key is not given.",
            why="The store knows customers by their pseudonyms alone.",
            todo="Give the file that `tarifa import` left beside the data.",
        )
    key = CustomerKey.of(key_file)
    whom = sorted({key.anonymous(name) if sessions else key.customer(name) for name in names})
    with looked_at(place):
        pass  # a place where there is no ledger is refused, and none is made there
    store = Store(url_of(place), lambda: dt.datetime.now(dt.UTC))
    try:
        gone = store.commits.submit(lambda work: erase(work, whom))
        emptied = store.database.write_through()
    finally:
        store.close()
    texts = session.texts
    told = texts.text("erased", "done", found=texts.number(gone), asked=texts.number(len(whom)))
    lines = [told, texts.text("erased", "elsewhere")]
    if not emptied:
        lines.append(texts.text("erased", "log"))
    return Outcome({"asked": len(whom), "erased": gone, "log_emptied": emptied}, tuple(lines))
