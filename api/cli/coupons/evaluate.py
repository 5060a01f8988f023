"""``tarifa coupons evaluate``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from api.cli.coupons.fit import day_of
from api.cli.coupons.shelf import read_bytes
from api.cli.grid import grid
from api.cli.session import AllAgreed, AsJson, Debug, Language, Outcome, Session, carry_out

if TYPE_CHECKING:
    from api.texts import Texts
    from policies.evaluation.coupon_log import JudgedPolicy, Judgement

__all__ = ["evaluate_coupons", "evaluate_file"]

_SECTION = "coupons_evaluate"


def evaluate_coupons(
    model: Annotated[Path, typer.Argument(help="Model of `tarifa coupons fit`.")],
    data: Annotated[Path, typer.Argument(help="Data folder with later exposures.")],
    since: Annotated[
        str,
        typer.Option(
            help="First day of the exposures to judge on; default: the first that the model has not seen."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Of the folds.", min=0)] = 0,
    *,
    panel: AllAgreed = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Say what the model would have earned on the log of exposures, before it goes live.

    Example: tarifa coupons evaluate uplift.npz data
    """

    def work(session: Session) -> Outcome:
        return evaluate_file(session, model, data, since, seed=seed, panel=panel)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def evaluate_file(
    session: Session, model: Path, data: Path, since: str, *, seed: int, panel: bool
) -> Outcome:
    """Evaluate a model on the exposures of a data folder."""
    from policies.evaluation.coupon_log import judge
    from pricing.uplift import UpliftModel
    from simulators.contract.tables import open_source
    from simulators.uplift.exposure_tables import EXPOSURE_TABLES, Windows, build_exposures

    known = UpliftModel.from_bytes(read_bytes(model))
    first = day_of(since) or known.as_of
    with session.progress("coupons evaluate") as told:
        told("reading tables", 0.05)
        with open_source(data, today=dt.datetime.now(dt.UTC), only=EXPOSURE_TABLES) as opened:
            told("following customers", 0.2)
            purpose = None if panel else opened.shop.coupons.consent_purpose
            windows = Windows(known.window_days, known.after_days)
            read = build_exposures(opened, purpose, windows, since=first)
        told("judging", 0.7)
        found = judge(known, read.exposures, seed)
    return Outcome({**_document(found), "since": first}, _told(found, first, session.texts))


def _document(found: Judgement) -> dict[str, object]:
    from api.uplift_told import mean_document

    return {
        "exposures": found.exposures,
        "seen_by_the_model": found.seen,
        "gate": found.passed,
        "not_available": list(found.missing),
        "currency": found.currency,
        "policies": [
            {
                "policy": entry.name,
                "offer": entry.offer,
                "gives": entry.gives,
                "refused": entry.refused,
                "dr": mean_document(entry.value.dr if entry.value else None),
                "ipw": mean_document(entry.value.ipw if entry.value else None),
                "snipw": mean_document(entry.value.snipw if entry.value else None),
                "effective": entry.value and entry.value.effective,
                "effective_share": entry.value and entry.value.share,
                "gain": mean_document(entry.gain),
            }
            for entry in found.policies
        ],
    }


def _told(found: Judgement, since: str, texts: Texts) -> tuple[RenderableType, ...]:
    from api.uplift_told import money_of

    word = texts.text
    head = word(_SECTION, "read", exposures=texts.number(found.exposures), since=texts.day(since))
    shown: list[RenderableType] = [word(_SECTION, "seen") if found.seen else head]
    if found.missing:
        shown.append(escape(word(_SECTION, "unknown", offers=", ".join(found.missing))))
    names = ("policy", "gives", "value", "gain", "interval", "counts")
    rows = [_row(entry, found.currency, texts) for entry in found.policies]
    shown.append(
        grid(word(_SECTION, "title"), [word(_SECTION, name) for name in names], rows, right=(1, 2, 3, 4, 5))
    )
    ours = found.policies[0]
    if ours.gives == 0.0:
        shown.append(word(_SECTION, "silent"))
    elif ours.gain is None:
        shown.append(escape(word(_SECTION, "untold", why=texts.reworded(ours.refused))))
    elif not found.seen:
        low = money_of(texts, found.currency, ours.gain.interval()[0])
        shown.append(word(_SECTION, "passed" if found.passed else "failed", low=low))
    return tuple(shown)


def _row(entry: JudgedPolicy, currency: str, texts: Texts) -> list[str]:
    from api.uplift_told import money_of

    name = escape(texts.text(_SECTION, entry.name, **({"offer": entry.offer} if entry.offer else {})))
    gives = texts.percent(entry.gives, 1)
    if entry.value is None or entry.gain is None:
        return [name, gives, texts.text(_SECTION, "refused"), "", "", ""]
    low, high = (money_of(texts, currency, end) for end in entry.gain.interval())
    value, gain = (money_of(texts, currency, part) for part in (entry.value.dr.value, entry.gain.value))
    return [name, gives, value, gain, f"{low} … {high}", texts.percent(entry.value.share, 1)]
