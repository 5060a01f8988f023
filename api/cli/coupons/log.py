"""``tarifa coupons log``: from what serving recorded to a data folder that can be learned from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import UsageError

if TYPE_CHECKING:
    from api.texts import Texts
    from simulators.importers.coupon_log import CouponLog, LogAdded

__all__ = ["log_coupons", "log_file"]

_SECTION = "coupons_log"


def log_coupons(
    store: Annotated[str, typer.Argument(help="Decision store of `tarifa serve`: a file or a database URL.")],
    data: Annotated[Path, typer.Argument(help="Data folder as it was imported; it stays as it is.")],
    out: Annotated[Path, typer.Option(help="Data folder to write.")],
    by: Annotated[
        str,
        typer.Option(
            help="campaign: does it pay, by who was held out of it; coupon: which one for whom, by what the "
            "policy's draws left open.",
        ),
    ] = "campaign",
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Add what serving drew by lot, and what was redeemed, to a data folder: who was held out of what.

    Then `tarifa coupons fit` says whether the campaigns pay, by their own holdouts. Only customers who
    agreed to be read are there.

    Example: tarifa coupons log decisions.sqlite3 data --out learned
    """

    def work(session: Session) -> Outcome:
        return log_file(session, store, data, out, by)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def log_file(session: Session, store: str, data: Path, out: Path, by: str) -> Outcome:
    """Read a store and write a data folder with what it knows."""
    from dataclasses import asdict

    from simulators.importers.coupon_log import add_coupon_log

    with session.progress("coupons log") as told:
        told("reading the ledger", 0.1)
        log, silent = _read(store, by)
        told("writing the folder", 0.5)
        added = add_coupon_log(data, out, log, dt.datetime.now(dt.UTC))
    document = {**asdict(added), "by": by, "silent": silent, "out": str(out)}
    return Outcome(document, _told(added, silent, out, session.texts))


def _read(store: str, by: str) -> tuple[CouponLog, int]:
    from api.storage.ledger_looked_at import looked_at
    from api.storage.offers_told import By, coupon_log

    if by not in set(By):
        raise UsageError(f"--by {by} is not known.", todo=f"Choose one of {', '.join(By)}.")

    with looked_at(store) as connection:
        return coupon_log(connection, By(by))


def _told(added: LogAdded, silent: int, out: Path, texts: Texts) -> tuple[RenderableType, ...]:
    def word(code: str, **counts: int) -> str:
        return texts.text(_SECTION, code, **{name: texts.number(count) for name, count in counts.items()})

    lots, used = added.exposures, added.redemptions
    shown = [
        word("drawn", rows=lots.rows, nothing=added.nothing),
        word("used", rows=used.rows),
        texts.text(_SECTION, "written", place=str(out)),
    ]
    if lots.known or used.known:
        shown.append(word("known", rows=lots.known + used.known))
    if added.without_order:
        shown.append(word("without_order", rows=added.without_order))
    if added.no_consent:
        shown.append(word("no_consent", rows=added.no_consent))
    if silent:
        shown.append(word("silent", rows=silent))
    return tuple(shown)
