"""What is published and what became of it: one set of nouns for every way out.

A publisher never guesses and never stops half-way: what cannot be published is a line of its own with a
reason, beside the lines that can. What is the same for all of them stands here: whether a change may be made
given what the platform says now (:func:`judged`), and how it is undone (:func:`undone`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from pricing.errors import DataError, UsageError
from pricing.money import Currency

__all__ = [
    "Cell",
    "Identity",
    "Line",
    "LineState",
    "Market",
    "Preview",
    "PriceChange",
    "Publication",
    "Publisher",
    "Reading",
    "Refusal",
    "Tag",
    "asked_twice",
    "checked_key",
    "judged",
    "read",
    "refused",
    "unasked",
    "undone",
]


class LineState(StrEnum):
    """What becomes, or became, of one line."""

    CHANGE = "change"
    """It would change (a preview only)."""
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    """The platform says this price already."""
    FAILED = "failed"
    """It cannot be, or was not, published; the reason is with it."""


class Refusal(StrEnum):
    """Why a line is not published; texts live at the edge (``publish_why``)."""

    MISSING = "missing"
    DUPLICATE = "duplicate"
    ASKED_TWICE = "asked_twice"
    OTHER_ZONE = "other_zone"
    OTHER_CURRENCY = "other_currency"
    OTHER_BASIS = "other_basis"
    NO_PRICE = "no_price"
    UNREADABLE = "unreadable"
    NOT_A_PRICE = "not_a_price"
    CHANGED_SINCE = "changed_since"
    REDUCTION_RUNNING = "reduction_running"
    PRIOR_PRICE_UNKNOWN = "prior_price_unknown"
    ABOVE_PRIOR_PRICE = "above_prior_price"
    SALE_DATES = "sale_dates"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    UNTOLD = "untold"
    CANNOT_READ = "cannot_read"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a platform may know a product by, beside its `product_id`.

    Attributes
    ----------
    sku
        Stock-keeping unit; empty: the `product_id` is tried as one.
    handle, options
        Shopify: the product's handle and the values of its options, in order.
    platform_id
        WooCommerce: number of the product, or of product and variation (``12/34``).
    """

    sku: str = ""
    handle: str = ""
    options: tuple[str, ...] = ()
    platform_id: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """What a price tag says: both prices in minor units, the same where nothing is reduced."""

    regular: int
    offered: int

    @property
    def reduced(self) -> bool:
        """Whether shoppers see a reduction."""
        return self.offered < self.regular


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One product's new price in one zone; money in minor units of `currency`.

    Attributes
    ----------
    product_id, zone, currency, basis
        What, where, in which money; "gross" or "net".
    regular_now, regular_new
        The regular price that the decision was made on, and the new one. Where a reduction is shown this is
        the "was" price.
    offered_new
        Price after an announced reduction; equal to `regular_new` to end one. None says nothing of
        reductions: then a product whose reduction is running is refused.
    prior_price
        Lowest price of the 30 days before, which an announced reduction needs (:mod:`pricing.prior_price`).
    reason
        Why, in the reader's words; for people who type it by hand.
    known_as
        What the platform may know the product by.
    """

    product_id: str
    zone: str
    currency: str
    basis: str
    regular_now: int
    regular_new: int
    offered_new: int | None = None
    prior_price: int | None = None
    reason: str = ""
    known_as: Identity = field(default_factory=Identity)

    @property
    def sku(self) -> str:
        """What it is looked for by first."""
        return self.known_as.sku or self.product_id

    @property
    def tag(self) -> Tag:
        """What the tag shall say."""
        return Tag(self.regular_new, self.regular_new if self.offered_new is None else self.offered_new)


@dataclass(frozen=True, slots=True)
class Market:
    """Which prices a platform holds: those of one zone, in one currency, with or without tax."""

    zone: str
    currency: str
    basis: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell or field of the platform that changes, exactly as it is written there."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Line:
    """One price change and what became of it.

    Attributes
    ----------
    product_id, zone, state
        Which, and what.
    why, detail
        Of one that failed; what the platform itself said, if it said something.
    where
        Row of the file or path on the platform.
    before, after
        The tag as found, and as it shall be; None where it was not found.
    cells
        What changes, as it is written.
    """

    product_id: str
    zone: str
    state: LineState
    why: Refusal | None = None
    detail: str = ""
    where: str = ""
    before: Tag | None = None
    after: Tag | None = None
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What publishing would do, line by line, in the order asked; nothing has been touched."""

    lines: tuple[Line, ...]

    def count(self, state: LineState) -> int:
        """Return how many lines are in a state."""
        return Counter(line.state for line in self.lines)[state]


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing did, line by line, in the order asked.

    Attributes
    ----------
    key
        Of the caller: the same changes under the same key change nothing twice.
    publisher
        Which way out.
    lines
        Results.
    """

    key: str
    publisher: str
    lines: tuple[Line, ...]

    def count(self, state: LineState) -> int:
        """Return how many lines are in a state."""
        return Counter(line.state for line in self.lines)[state]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the platform says now of one change; `found` is None where it does not say, and `why` says why."""

    product_id: str
    zone: str
    expected: Tag
    found: Tag | None
    why: Refusal | None = None

    @property
    def equal(self) -> bool:
        """Whether it says what was published."""
        return self.found == self.expected


class Publisher(Protocol):
    """A way out. None of its methods raises because of a single line."""

    @property
    def name(self) -> str:
        """What it is called in records."""
        ...

    def preview(self, changes: Sequence[PriceChange]) -> Preview:
        """Say exactly what would change, and what cannot and why."""
        ...

    def publish(self, changes: Sequence[PriceChange], *, key: str) -> Publication:
        """Publish line by line; to publish the same again under the same key changes nothing."""
        ...

    def read_back(self, changes: Sequence[PriceChange]) -> tuple[Reading, ...]:
        """Say what the platform says now."""
        ...


def refused(change: PriceChange, why: Refusal, where: str = "", detail: str = "") -> Line:
    """Return the line of a change that cannot be published."""
    return Line(change.product_id, change.zone, LineState.FAILED, why, detail, where, after=change.tag)


def asked_twice(changes: Sequence[PriceChange]) -> frozenset[tuple[str, str]]:
    """Return products and zones for which more than one change is asked: none of them is published."""
    counts = Counter((change.product_id, change.zone) for change in changes)
    return frozenset(pair for pair, count in counts.items() if count > 1)


def judged(change: PriceChange, market: Market, found: Tag, where: str) -> Line:
    """Return what a change comes to, given what the tag says now; its cells are left to the publisher.

    A change that says nothing of reductions is refused while one is running: the "was" price of a running
    reduction is bound to the prior price of its announcement, and a new price beside it would be another
    announcement that nobody made. A reduction is only begun, deepened or made shallower by a change that
    carries the lawful prior price, claims no more than that and is below it.
    """
    tag = change.tag
    line = Line(change.product_id, change.zone, LineState.CHANGE, where=where, before=found, after=tag)
    why = _elsewhere(change, market)
    if why is None and not 0 < tag.offered <= tag.regular:
        why = Refusal.NOT_A_PRICE
    if why is None and found == tag:
        return Line(change.product_id, change.zone, LineState.UNCHANGED, where=where, before=found, after=tag)
    if why is None:
        why = _unlawful(change, found)
    if why is None and found.regular not in (change.regular_now, change.regular_new):
        why = Refusal.CHANGED_SINCE
    if why is None:
        return line
    return Line(change.product_id, change.zone, LineState.FAILED, why, "", where, found, tag)


def unasked(changes: Sequence[PriceChange]) -> Preview:
    """Return what changes come to where nobody can be asked: tags are taken to say the price decided on."""
    twice = asked_twice(changes)
    return Preview(
        tuple(
            refused(change, Refusal.ASKED_TWICE)
            if (change.product_id, change.zone) in twice
            else _judged_blind(change)
            for change in changes
        )
    )


def _judged_blind(change: PriceChange) -> Line:
    try:
        Currency.of(change.currency)
    except DataError:
        return refused(change, Refusal.OTHER_CURRENCY)
    market = Market(change.zone, change.currency, change.basis)
    return judged(change, market, Tag(change.regular_now, change.regular_now), "")


def _elsewhere(change: PriceChange, market: Market) -> Refusal | None:
    for mine, theirs, why in (
        (change.zone, market.zone, Refusal.OTHER_ZONE),
        (change.currency, market.currency, Refusal.OTHER_CURRENCY),
        (change.basis, market.basis, Refusal.OTHER_BASIS),
    ):
        if mine != theirs:
            return why
    return None


def _unlawful(change: PriceChange, found: Tag) -> Refusal | None:
    tag, prior = change.tag, change.prior_price
    if found.reduced and change.offered_new is None:
        return Refusal.REDUCTION_RUNNING
    if not tag.reduced:
        return None
    if prior is None:
        return Refusal.PRIOR_PRICE_UNKNOWN
    return Refusal.ABOVE_PRIOR_PRICE if tag.offered >= prior or tag.regular > prior else None


def read(change: PriceChange, found: Tag | Refusal) -> Reading:
    """Return a reading of what was found, or of why nothing was."""
    why = found if isinstance(found, Refusal) else None
    return Reading(
        change.product_id, change.zone, change.tag, None if isinstance(found, Refusal) else found, why
    )


def undone(changes: Sequence[PriceChange], publication: Publication) -> tuple[PriceChange, ...]:
    """Return the changes that bring back the former prices of all lines that were published.

    A former price without a reduction is brought back as such. A reduction that had been running is brought
    back only with a new prior price, which the caller has to give: to announce it again is a new
    announcement.

    Raises
    ------
    UsageError
        If the publication is not about these changes.
    """
    if [(c.product_id, c.zone) for c in changes] != [
        (line.product_id, line.zone) for line in publication.lines
    ]:
        raise UsageError(
            "This publication is about other changes.", todo="Give the changes that were published."
        )
    back: list[PriceChange] = []
    for change, line in zip(changes, publication.lines, strict=True):
        if line.state is LineState.PUBLISHED and line.before is not None:
            back.append(
                PriceChange(
                    product_id=change.product_id,
                    zone=change.zone,
                    currency=change.currency,
                    basis=change.basis,
                    regular_now=change.regular_new,
                    regular_new=line.before.regular,
                    offered_new=line.before.offered,
                    reason=change.reason,
                    known_as=change.known_as,
                )
            )
    return tuple(back)


def checked_key(key: str) -> str:
    """Return a key that may stand in a header and a record; raises :class:`UsageError` for another."""
    if not key or len(key) > 200 or not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(
            f"{key!r} is no key of a publication.",
            why="It has to be 1 to 200 printable ASCII characters without a space.",
        )
    return key
