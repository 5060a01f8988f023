"""``tarifa coupons allocate``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import DataError, UsageError
from pricing.money import Currency

if TYPE_CHECKING:
    from policies.allocation.allocate import Allocation
    from policies.allocation.holdout import Holdout
    from policies.allocation.instance import Limit
    from policies.allocation.scored import ScoredOffers

__all__ = ["Wanted", "allocate_coupons", "allocate_file"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; options of the command as they were written.

    Attributes
    ----------
    budgets, caps
        ``[NAME=]AMOUNT`` and ``[NAME=]COUNT``.
    share
        At most this share of the customers; None: no such cap.
    frequency
        Offers a customer may have had lately, this one included; None: no such cap.
    holdout, seed
        Share held out of each campaign, and the seed of its draw.
    currency
        ISO 4217 code; empty: as the offers say.
    at_liability
        Budgets count what an offer can cost at most.
    engine
        "numba", "numpy", or empty for the fastest installed.
    """

    budgets: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()
    share: float | None = None
    frequency: int | None = None
    holdout: float = 0.0
    seed: int = 0
    currency: str = ""
    at_liability: bool = False
    engine: str = ""


def allocate_coupons(
    offers: Annotated[Path, typer.Argument(help="Scored offers: Parquet, or JSON Lines (.jsonl).")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]AMOUNT",
            help="Expected cost at most; NAME is a campaign or a coupon. May be given again.",
        ),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]COUNT", help="Offers at most; NAME as above. May be given again."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="At most this share of the customers gets an offer.", min=0.0, max=1.0),
    ] = None,
    frequency: Annotated[
        int | None,
        typer.Option(
            help="Offers that a customer may have lately (column recent_offers), this one included.", min=0
        ),
    ] = None,
    holdout: Annotated[
        float, typer.Option(help="Share of customers held out of each campaign, by a hash.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="The draw of the holdout follows from it.", min=0)] = 0,
    currency: Annotated[str, typer.Option(help="ISO 4217 code; default: the offers' column currency.")] = "",
    engine: Annotated[
        str, typer.Option(help="numba or numpy: the same answer; default: the fastest installed.")
    ] = "",
    *,
    at_liability: Annotated[
        bool, typer.Option("--at-liability", help="Budgets count the most that an offer can cost.")
    ] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Choose one coupon or none for every customer: most incremental profit within every budget and cap.

    Example: tarifa coupons allocate offers.parquet --out given.parquet --budget 5000 --budget spring=1200
    """
    wanted = Wanted(
        tuple(budget or ()), tuple(cap or ()), share, frequency, holdout, seed, currency, at_liability, engine
    )

    def work(session: Session) -> Outcome:
        return allocate_file(session, offers, out, wanted)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def allocate_file(session: Session, offers: Path, out: Path, wanted: Wanted) -> Outcome:
    """Allocate the scored offers of a file and write the allocations."""
    from policies.allocation.allocate import allocate
    from policies.allocation.instance import Instance, Schedule
    from policies.allocation.scored import allocations_table, read_offers
    from simulators.folders import write_file
    from simulators.output_schema import table_bytes

    if out.resolve() == offers.resolve():
        raise UsageError("--out is the file of the offers.", todo="Write the allocations elsewhere.")
    with session.progress("coupons allocate") as told:
        told("reading offers", 0.05)
        read = read_offers(offers)
        currency = _currency(wanted.currency, read.currency)
        limits = _limits(wanted, read, currency)
        told("holding out", 0.4)
        before, holdout = _held(wanted, read)
        drawn = read.liability if wanted.at_liability else read.cost
        instance = Instance(read.value, drawn, holdout.left_open(before), limits)
        told("allocating", 0.6)
        found = allocate(instance, wanted.engine)
        whole = replace(instance.cells, eligible=before)
        schedule = Schedule.of(limits, len(read.coupon))
        propensity = holdout.propensity(whole, schedule, found.shadow, found.choice)
        document = _document(found, holdout, read, out, wanted)
        told("writing", 0.8)
        run_id = _run_id(offers, wanted)
        table = allocations_table(read, found.choice, propensity, run_id, currency.code, document["summary"])
        write_file(out, table_bytes(table))
    return Outcome(
        {**document, "run_id": run_id, "currency": currency.code}, _shown(session, document, currency)
    )


def _currency(asked: str, said: str) -> Currency:
    if asked and said and asked.upper() != said.upper():
        raise UsageError(f"--currency is {asked}, the offers are in {said}.", todo="Leave --currency out.")
    if not (asked or said):
        raise UsageError(
            "Nothing says which currency the offers are in.", todo="Give --currency, for example EUR."
        )
    return Currency.of((asked or said).upper())


def _limits(wanted: Wanted, read: ScoredOffers, currency: Currency) -> tuple[Limit, ...]:
    """Return budgets and caps; refuses to allocate without any."""
    import numpy as np

    from policies.allocation.instance import Limit

    found: list[Limit] = []
    for option, words, counts in (("--budget", wanted.budgets, False), ("--cap", wanted.caps, True)):
        for word in words:
            name, _, amount = word.rpartition("=")
            most = _count(amount) if counts else _amount(amount, currency, word)
            found.append(
                Limit(f"{option[2:]} {name}".strip(), float(most), _drawing(name, read, option), counts)
            )
    if not found:
        raise UsageError(
            "There is no budget.",
            why="Without a budget or a cap everybody gets what is worth giving, however much that costs.",
            todo="Give --budget AMOUNT or --cap COUNT.",
        )
    if wanted.share is not None:
        most = int(wanted.share * len(read.value))
        found.append(Limit("share", float(most), np.ones(len(read.coupon), dtype=np.bool_), counts=True))
    return tuple(found)


def _amount(text: str, currency: Currency, word: str) -> int:
    try:
        return currency.parse(text)
    except DataError as error:
        raise UsageError(f"--budget {word}: {error.what}", todo=error.todo) from error


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--cap {text}: {text!r} is no number of offers.", todo="Write it like spring=2000.")
    return int(text)


def _drawing(name: str, read: ScoredOffers, option: str) -> Any:
    """Return which offers draw on a limit, bool [K]: all, those of a campaign, or one coupon."""
    import numpy as np

    if not name:
        return np.ones(len(read.coupon), dtype=np.bool_)
    by_campaign, by_coupon = (
        np.array([word == name for word in words], dtype=np.bool_) for words in (read.campaign, read.coupon)
    )
    if by_campaign.any() == by_coupon.any():
        both = by_campaign.any()
        raise UsageError(
            f"{option} {name}: " + ("a campaign and a coupon are called so." if both else "no offer has it."),
            why="A limit that nothing draws on limits nothing." if not both else "",
            todo="Name a campaign_id or a coupon_id of the offers.",
        )
    return by_campaign | by_coupon


def _held(wanted: Wanted, read: ScoredOffers) -> tuple[Any, Holdout]:
    """Return what is eligible but for the holdout, bool [N, K], and the holdout."""
    import numpy as np

    from policies.allocation.holdout import Holdout, within_frequency
    from pricing.coupon_rules import held_out

    eligible = read.eligible
    if wanted.frequency is not None:
        eligible = within_frequency(eligible, read.recent, wanted.frequency)
    campaigns = sorted(set(read.campaign[1:]))
    number = {name: c for c, name in enumerate(campaigns)}
    which = np.array([-1, *(number[name] for name in read.campaign[1:])], dtype=np.int64)
    names = read.customer.to_pylist() if wanted.holdout else [""] * len(read.value)
    held = held_out(names, campaigns, wanted.holdout, wanted.seed)
    return eligible, Holdout(wanted.holdout, which, held)


def _run_id(offers: Path, wanted: Wanted) -> str:
    import hashlib

    state = hashlib.sha256(repr(replace(wanted, engine="")).encode())
    with offers.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            state.update(chunk)
    return state.hexdigest()[:12]


def _document(
    found: Allocation, holdout: Holdout, read: ScoredOffers, out: Path, wanted: Wanted
) -> dict[str, Any]:
    import numpy as np

    taken = np.bincount(found.choice, minlength=len(read.coupon))
    summary: dict[str, object] = {
        "expected_incremental_profit": found.value,
        "bound": found.bound,
        "gap": found.gap,
        "holdout": wanted.holdout,
        "seed": wanted.seed,
        "at_liability": wanted.at_liability,
        "held_out": int(holdout.held.any(axis=1).sum()),
        "limits": [
            {"name": limit.name, "most": limit.most, "used": float(used), "shadow_price": float(price)}
            for limit, used, price in zip(found.limits, found.used, found.shadow, strict=True)
        ],
    }
    given = {name: int(count) for name, count in zip(read.coupon[1:], taken[1:], strict=True)}
    return {
        "out": str(out), "customers": len(found.choice), "given": given, "engine": found.engine,
        "summary": summary,
    }  # fmt: skip


def _shown(session: Session, document: dict[str, Any], currency: Currency) -> tuple[Any, ...]:
    from rich.markup import escape

    from api.cli.grid import grid

    texts, summary = session.texts, document["summary"]
    given = sum(document["given"].values())
    lines = [
        texts.text(
            "allocate", "given", given=texts.number(given), customers=texts.number(document["customers"]),
            place=document["out"],
        ),
        texts.text(
            "allocate", "worth",
            value=texts.money(round(summary["expected_incremental_profit"]), currency),
            gap=texts.percent(summary["gap"], 5),
        ),
    ]  # fmt: skip
    if summary["holdout"]:
        lines.append(texts.text("allocate", "held", count=texts.number(summary["held_out"])))
    if document["engine"] == "numpy":
        lines.append(texts.text("allocate", "numpy"))
    rows: list[tuple[str, ...]] = []
    for limit in summary["limits"]:
        counts = not limit["name"].startswith("budget")
        shown = [
            texts.number(limit[what]) if counts else texts.money(round(limit[what]), currency)
            for what in ("used", "most")
        ]
        price = texts.number(limit["shadow_price"] / (currency.scale if counts else 1), 2)
        rows.append((limit["name"], *shown, price))
    columns = [texts.text("allocate", code) for code in ("limit", "used", "most", "shadow")]
    table = grid(texts.text("allocate", "title"), columns, rows, right=(1, 2, 3))
    return (*map(escape, lines), table)
