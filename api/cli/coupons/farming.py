"""``tarifa coupons farming``."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.grid import grid
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.money import Currency

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from api.storage.ledger_looked_at import LedgerSeen
    from api.texts import Texts
    from policies.fairness import Interval
    from policies.farming import Beside, Farming, Kinds, Notable

__all__ = ["farming_in", "report_farming"]


def report_farming(
    store: Annotated[str, typer.Argument(help="Store of `tarifa serve`: a file, or the URL of a database.")],
    days: Annotated[int, typer.Option(help="Days looked at, up to the last event.", min=1, max=36_500)] = 90,
    currency: Annotated[
        str | None, typer.Option(help="Of the coupons, where there are several.", show_default=False)
    ] = None,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Tell what the ledger of coupons says about farming: counts beside what chance alone would give.

    Nobody is accused, and holders are named by pseudonym alone. The store is only read; a service may go on
    using it.

    Example: tarifa coupons farming decisions.sqlite3 --days 30
    """

    def work(session: Session) -> Outcome:
        return farming_in(session, store, days, currency)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def farming_in(session: Session, store: str, days: int, currency: str | None) -> Outcome:
    """Read a store and look at its ledger."""
    from api.storage.ledger_looked_at import ledger_seen, looked_at, pseudonyms
    from policies.farming import look_for_farming

    with looked_at(store) as connection:
        seen = ledger_seen(connection, days, currency)
        found = look_for_farming(seen.asked, seen.taken)
        names = pseudonyms(connection, [one.holder for one in (*found.lucky, *found.returning)])
    texts = session.texts
    word = partial(texts.text, "coupons_farming")
    shown: list[RenderableType] = [
        *([_kinds(found.kinds, seen, texts)] if found.kinds else [word("nothing")]),
        *([_figures(found, texts)] if found.kinds else []),
        *([_notable(found, names, texts)] if found.lucky or found.returning else []),
        word("means"),
        word("not_known"),
    ]
    return Outcome(_document(found, seen, names, days), tuple(shown))


def _document(found: Farming, seen: LedgerSeen, names: dict[int, str], days: int) -> dict[str, Any]:
    from api.storage.price_marks import moment_of
    from policies.farming import FALSE_ALARMS

    since, until = (None if at is None else moment_of(at).isoformat() for at in (seen.since, seen.until))
    kinds = [
        {**asdict(kind), "kind": kind.kind.value, "use": _ends(kind.use), "fresh": _ends(kind.fresh)}
        for kind in found.kinds
    ]
    return {
        "since": since,
        "until": until,
        "days": days,
        "currency": seen.currency,
        "holders": found.holders,
        "kinds": kinds,
        "top": None if found.top is None else dict(zip(("1", "10"), map(asdict, found.top), strict=True)),
        "asking": None if found.asking is None else asdict(found.asking),
        "lucky": [_told(one, names) for one in found.lucky],
        "back": _ends(found.back),
        "returning": [_told(one, names) for one in found.returning],
        "bursts": {**asdict(found.bursts), "flag": found.bursts.p <= FALSE_ALARMS},
        "false_alarms": FALSE_ALARMS,
    }


def _told(one: Notable, names: dict[int, str]) -> dict[str, object]:
    told = asdict(one)
    return {"customer": names.get(told.pop("holder")), **told}


def _ends(of: Interval) -> dict[str, float] | None:
    return None if math.isnan(of.estimate) else asdict(of)


def _kinds(kinds: tuple[Kinds, ...], seen: LedgerSeen, texts: Texts) -> Table:
    from api.storage.price_marks import moment_of

    word = partial(texts.text, "coupons_farming")

    def money(minor: int) -> str:
        return "0" if seen.currency is None else texts.amount(minor, Currency.of(seen.currency))

    shown = {
        "identities": [texts.number(kind.identities) for kind in kinds],
        "asked": [texts.number(kind.decisions) for kind in kinds],
        "offered": [texts.number(kind.offers) for kind in kinds],
        "used": [texts.number(kind.used) for kind in kinds],
        "use": [_interval(kind.use, texts) for kind in kinds],
        "fresh": [_interval(kind.fresh, texts) for kind in kinds],
        "discount": [money(kind.discount) for kind in kinds],
    }
    ends = [texts.day(moment_of(at or 0).date().isoformat()) for at in (seen.since, seen.until)]
    title = word("title", first=ends[0], last=ends[1])
    heads = (word("who"), *(word(kind.kind.value) for kind in kinds))
    rows = [(word(name), *cells) for name, cells in shown.items()]
    return grid(title, heads, rows, right=tuple(range(1, len(heads))))


def _figures(found: Farming, texts: Texts) -> Table:
    from policies.farming import FALSE_ALARMS

    word, share = partial(texts.text, "coupons_farming"), partial(texts.percent, places=1)
    rows: list[tuple[str, str, str, str]] = []
    for name, top in zip(("top_1", "top_10"), found.top or (), strict=False):
        rows.append((word(name), share(top.found), _chance(top, share, texts), word("differ")))
    if (asking := found.asking) is not None:
        often = word("a_day", median=texts.number(asking.median, 1), most=texts.number(asking.most))
        rows.append((word("asks"), often, "", ""))
        again = word("of", count=texts.number(asking.offers_again), of=texts.number(asking.offers))
        rows.append((word("again"), again, word("once", offers=texts.number(asking.once, 1)), ""))
    flagged = {"lucky": found.lucky, "returning": found.returning}
    overall = _interval(found.back, texts)
    extra = {"lucky": "", "returning": word("of_all", share=overall) if overall else ""}
    for name, some in flagged.items():
        says = word("look" if some else "quiet", alarm=texts.percent(FALSE_ALARMS))
        rows.append((word(name), texts.number(len(some)), extra[name], says))
    bursts = found.bursts
    says = word("look" if bursts.p <= FALSE_ALARMS else "quiet", alarm=texts.percent(FALSE_ALARMS))
    rows.append(
        (
            word("bursts"),
            texts.number(bursts.found),
            _chance(bursts, partial(texts.number, places=1), texts),
            says,
        )
    )
    return grid(word("beside"), tuple(map(word, ("figure", "found", "chance", "says"))), rows)


def _notable(found: Farming, names: dict[int, str], texts: Texts) -> Table:
    word = partial(texts.text, "coupons_farming")
    rows = [
        (
            names.get(one.holder, word("erased")),
            word(name),
            word("of", count=texts.number(one.count), of=texts.number(one.of)),
            texts.number(one.expected, 1),
            f"{one.p:.1e}",
        )
        for name, some in (("lucky", found.lucky), ("returning", found.returning))
        for one in some
    ]
    heads = (word("customer"), word("figure"), word("found"), word("expected"), "p")
    return grid(word("worth_a_look"), heads, rows, right=(2, 3, 4))


def _chance(beside: Beside, shown: Any, texts: Texts) -> str:
    return texts.text(
        "coupons_farming",
        "range",
        mean=shown(beside.expected),
        low=shown(beside.lower),
        high=shown(beside.upper),
    )


def _interval(of: Interval, texts: Texts) -> str:
    if math.isnan(of.estimate):
        return ""
    share = partial(texts.percent, places=0)
    ends = {"low": share(of.lower), "high": share(of.upper)}
    return texts.text("coupons_farming", "range", mean=share(of.estimate), **ends)
