"""``tarifa coupons fit``."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.cli.session import AllAgreed, AsJson, Debug, Language, Outcome, Session, carry_out

__all__ = ["Fitting", "day_of", "fit_coupons", "fit_file"]


@dataclass(frozen=True, slots=True)
class Fitting:
    """What was asked for: the options of the command."""

    window: int | None = None
    after: int | None = None
    until: str = ""
    panel: bool = False
    seed: int = 0
    compare: bool = False
    half_width: str = ""
    plot: Path | None = None


def fit_coupons(
    data: Annotated[Path, typer.Argument(help="Data folder with coupon_exposures and redemptions.")],
    out: Annotated[Path, typer.Option(help="Model file to write.")],
    window: Annotated[
        int | None,
        typer.Option(
            help="Days in which a coupon works; default: as long as most are valid.", min=1, max=366
        ),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            help="Days after them that count too, for what was only bought earlier; default: twice as many.",
            min=0,
            max=366,
        ),
    ] = None,
    until: Annotated[str, typer.Option(help="First day whose exposures are not seen; default: none.")] = "",
    half_width: Annotated[
        str,
        typer.Option(
            help="How well a proposed holdout is to tell the mean effect: half the interval, in the shop's "
            "currency; default: half of what a coupon costs."
        ),
    ] = "",
    plot: Annotated[
        Path | None, typer.Option(help="PNG to write too: effects, whom coupons move, how far to go.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.", min=0)] = 0,
    *,
    panel: AllAgreed = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure meta-learners of EconML beside, and take a better one.")
    ] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Find out what coupons add, offer by offer and customer by customer, and how sure that is.

    Example: tarifa coupons fit data --out uplift.npz
    """

    def work(session: Session) -> Outcome:
        asked = Fitting(window, after, until, panel, seed, compare, half_width, plot)
        return fit_file(session, data, out, asked)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def fit_file(session: Session, data: Path, out: Path, asked: Fitting) -> Outcome:
    """Fit an uplift model from a data folder and write it."""
    from api.uplift_told import fit_document, fit_told, plot_told, plot_words
    from simulators.contract.tables import open_source
    from simulators.folders import write_file
    from simulators.uplift.exposure_tables import EXPOSURE_TABLES, Windows, build_exposures
    from simulators.uplift.fit import fit_uplift
    from simulators.uplift.uplift_plot import uplift_plot

    until = day_of(asked.until)
    with session.progress("coupons fit") as told:
        told("reading tables", 0.05)
        with open_source(data, today=dt.datetime.now(dt.UTC), only=EXPOSURE_TABLES) as opened:
            told("following customers", 0.2)
            purpose = None if asked.panel else opened.shop.coupons.consent_purpose
            wide = _width(asked.half_width, opened.shop.currency)
            read = build_exposures(opened, purpose, Windows(asked.window, asked.after), until=until)
        told("comparing with no coupon", 0.5)
        fitted, beside = fit_uplift(read.exposures, asked.seed, half_width=wide), list[str]()
        if asked.compare and fitted.report.value is not None:
            from simulators.uplift.library import best_of

            told("comparing learners", 0.7)
            fitted, found = best_of(read.exposures, fitted, asked.seed)
            beside = [f"{name} {value.value:.0f}" for name, value in found]
        write_file(out, fitted.model.to_bytes())
        drawn = asked.plot if fitted.report.effects else None
        if drawn is not None:
            write_file(drawn, uplift_plot(fitted.report, plot_words(fitted, session.texts)))
    document = {**fit_document(fitted, read, str(out)), "beside": beside, "plot": drawn and str(drawn)}
    told_last = plot_told(drawn, session.texts) if asked.plot else ()
    return Outcome(document, (*fit_told(fitted, read, str(out), session.texts), *told_last))


def _width(text: str, currency: str) -> float | None:
    from pricing.errors import UsageError
    from pricing.money import Currency

    if not text:
        return None
    width = Currency.of(currency).parse(text)
    if width <= 0:
        raise UsageError(f"--half-width {text} is not above 0.", todo="Give an amount a customer.")
    return float(width)


def day_of(text: str) -> str:
    """Return an ISO date as given, or nothing for nothing; raises :class:`UsageError` for anything else."""
    from pricing.errors import UsageError

    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError as error:
        raise UsageError(f"{text!r} is no day.", todo="Write it like 2026-02-02.") from error
