"""``tarifa coupons shelf`` and ``tarifa coupons score``: what serving decides by, and what it says."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from policies.serve.coupon_shelf import CouponShelf
    from pricing.uplift import UpliftModel
    from simulators.contract.coupon_book import ReadBook

__all__ = ["Drawn", "make_shelf", "open_coupons", "read_bytes", "score_file", "score_offers", "shelf_file"]

_PSEUDONYM = re.compile("[0-9a-f]{32}")
"""As :func:`pricing.pseudonyms.pseudonym` writes one."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """How the policy of a shelf draws: from how many posterior draws (0: its mean alone), by which seed."""

    draws: int
    seed: int


def make_shelf(
    source: Annotated[Path, typer.Argument(metavar="DATA", help="Data folder.")],
    model: Annotated[Path, typer.Argument(help="Model of `tarifa coupons fit`.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    as_of: Annotated[
        str, typer.Option(help="First day that is not known yet; default: that of the model.")
    ] = "",
    draws: Annotated[
        int,
        typer.Option(
            help="Posterior draws to choose by (Thompson sampling), so that what was given can be evaluated; "
            "0 chooses by the mean and cannot.",
            min=0,
            max=10_000,
        ),
    ] = 100,
    seed: Annotated[int, typer.Option(help="Draws and holdouts follow from it.", min=0)] = 0,
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Put together what `tarifa serve --coupons` decides by: coupons, goods, customers, and the model.

    Example: tarifa coupons shelf DATA model.npz --out coupons.npz
    """

    def work(session: Session) -> Outcome:
        return shelf_file(session, source, model, out, as_of, Drawn(draws, seed))

    carry_out(work, as_json=as_json, language=language, debug=debug)


def shelf_file(session: Session, source: Path, model: Path, out: Path, as_of: str, drawn: Drawn) -> Outcome:
    """Make a coupon shelf and write it."""
    from api.cli.coupons.fit import day_of
    from pricing.uplift import UpliftModel
    from simulators.folders import write_file

    day = day_of(as_of)
    with session.progress("coupons shelf") as told:
        told("reading the model", 0.05)
        fitted = UpliftModel.from_bytes(read_bytes(model))
        told("reading the tables", 0.1)
        shelf, read = _shelf(source, fitted, day or fitted.as_of, drawn)
        told("writing", 0.9)
        write_file(out, shelf.to_bytes())
    book, texts = shelf.book, session.texts
    document: dict[str, Any] = {
        "shelf": str(out),
        "fingerprint": shelf.fingerprint,
        "coupons": len(book.coupons),
        "identified": int(shelf.identified[1:].sum()),
        "left_out": [{"coupon_id": name, "reason": reason} for name, reason in read.left_out],
        "customers": len(shelf.customers),
        "consented": int(shelf.customers.consented.sum()),
        "as_of": book.as_of,
    }
    names = ("coupons", "identified", "customers", "consented")
    counts = {name: texts.number(document[name]) for name in names}
    lines: list[RenderableType] = [texts.text("shelf", "made", place=str(out), **counts)]
    for reason in sorted({reason for _, reason in read.left_out}):
        some = [name for name, why in read.left_out if why == reason]
        lines.append(texts.text("shelf", reason, count=texts.number(len(some)), first=some[0]))
    if len(shelf.customers) and not any(map(_PSEUDONYM.fullmatch, shelf.customers.customer)):
        lines.append(texts.text("shelf", "strangers"))
    if not document["identified"]:
        lines.append(texts.text("shelf", "act" if shelf.settings.act_on_prior else "unknown"))
    return Outcome(document, tuple(lines))


def _shelf(source: Path, model: UpliftModel, as_of: str, drawn: Drawn) -> tuple[CouponShelf, ReadBook]:
    from policies.serve.coupon_shelf import CouponShelf
    from policies.serve.uplift_offers import UpliftOffers
    from simulators.contract.coupon_book import BOOK_TABLES, read_coupon_book
    from simulators.contract.tables import open_source
    from simulators.customers.features import CUSTOMER_TABLES, build_customers

    only = sorted({*BOOK_TABLES, *CUSTOMER_TABLES})
    with open_source(source, today=dt.datetime.now(dt.UTC), only=only) as opened:
        read, section = read_coupon_book(opened, as_of), opened.shop.coupons
        customers = build_customers(opened, as_of, section.consent_purpose)
    if model.currency != read.book.currency:
        raise DataError(
            f"The model counts in {model.currency} and the shop in {read.book.currency}.",
            todo="Fit the model on these data.",
        )
    shelf = CouponShelf(
        book=read.book,
        customers=customers,
        policy=UpliftOffers.of(model, drawn.draws, drawn.seed),
        settings=section.corridor(),
        margin_floor=section.margin_floor,
        holdout_share=section.holdout_share,
        reservation_seconds=60 * section.reservation_minutes,
        seed=drawn.seed,
        replan_decisions=section.replan_decisions,
        replan_seconds=60 * section.replan_minutes,
    )
    return shelf, read


def score_offers(
    shelf: Annotated[Path, typer.Argument(help="File of `tarifa coupons shelf`.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write: what `tarifa coupons allocate` reads.")],
    *,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Say what every coupon would add to every customer's profit, and cost, before anybody buys.

    Only coupons whose cost is limited whatever is bought, and customers who agreed to personal offers.

    Example: tarifa coupons score coupons.npz --out offers.parquet
    """

    def work(session: Session) -> Outcome:
        return score_file(session, shelf, out)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def score_file(session: Session, shelf: Path, out: Path) -> Outcome:
    """Score every customer of a shelf and write the offers."""
    from policies.allocation.scoring import offers_table
    from simulators.folders import write_file
    from simulators.output_schema import table_bytes

    with session.progress("coupons score") as told:
        told("reading the shelf", 0.1)
        opened = open_coupons(shelf)
        told("scoring", 0.4)
        table = offers_table(opened)
        told("writing", 0.8)
        write_file(out, table_bytes(table))
    told_of = session.texts.text("shelf", "scored", count=session.texts.number(len(table)), place=str(out))
    return Outcome({"offers": str(out), "rows": len(table)}, (told_of,))


def open_coupons(path: Path) -> CouponShelf:
    """Read a coupon shelf; raises :class:`ArtifactError` where it cannot be."""
    from policies.serve.coupon_shelf import CouponShelf

    return CouponShelf.from_bytes(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file; raises :class:`ArtifactError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {error.strerror}.", todo="Give a file that a command of Tarifa wrote."
        ) from error
