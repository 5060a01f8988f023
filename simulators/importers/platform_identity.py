"""Which product an order line means, and which key of the platform means which product; never a guess.

A line is resolved by what identifies it most surely: its variant, its SKU where that is one product's only,
the shop's own ``product_aliases``, its name where that is one product's only. What is left is kept under a
key of its own, listed by name and count, and joins its product as soon as ``product_aliases`` says which
that is.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from simulators.importers.platform import Line, Listing, custom_name

__all__ = ["Catalogue", "Known", "Resolution", "Resolved", "catalogue_of", "custom_key"]


class Resolution(enum.StrEnum):
    """How a line found its product."""

    LISTED = "listed"
    """By variant or SKU."""
    ALIAS = "alias"
    """By the shop's product_aliases, or a key that an earlier import knew."""
    NAME = "name"
    """By a name that is one product's only."""
    UNLISTED = "unlisted"
    """It names a product that the listings do not hold (deleted since, or there is no product export)."""
    UNKNOWN = "unknown"
    """It names no product: a custom item, or a blank SKU whose name fits none or several."""


def custom_key(platform: str, pseudonym: str) -> str:
    """Return the key of a line whose name stays behind; ``product_aliases`` may name it."""
    return f"{platform}:custom:{pseudonym[:16]}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The product of one line.

    Attributes
    ----------
    product_id
        Of the contract.
    how
        How it was found.
    """

    product_id: str
    how: Resolution


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier import, and the shop itself, know already.

    Attributes
    ----------
    aliases
        (from when, product_id) by source key, ascending.
    products
        Every product_id that is in use.
    """

    aliases: Mapping[str, tuple[tuple[dt.datetime, str], ...]] = field(
        default_factory=dict[str, tuple[tuple[dt.datetime, str], ...]]
    )
    products: frozenset[str] = frozenset()

    def meant(self, key: str, at: dt.datetime) -> str | None:
        """Return the product that a key meant at a time; None where nobody said."""
        found = [product for since, product in self.aliases.get(key, ()) if since <= at]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Listings, each with its product_id, and what leads to them.

    Attributes
    ----------
    platform
        Prefix of source keys.
    listed
        Listing by product_id, in the order of the export.
    aliases
        product_id by source key, of these listings: what to keep as ``product_aliases``.
    repeated
        SKUs that several listings share; they identify none of them.
    known
        From before.
    """

    platform: str
    listed: Mapping[str, Listing]
    aliases: Mapping[str, str]
    repeated: frozenset[str]
    known: Known
    _skus: Mapping[str, str]
    _names: Mapping[str, str | None]

    def resolve(self, line: Line, at: dt.datetime) -> Resolved:
        """Return the product that a line of an order of that time means."""
        for key in line.keys:
            if key in self.aliases:
                return Resolved(self.aliases[key], Resolution.LISTED)
        if line.sku in self._skus:
            return Resolved(self._skus[line.sku], Resolution.LISTED)
        vague = not line.sku or line.sku in self.repeated
        if vague and self._names.get(line.name) is not None:
            return Resolved(str(self._names[line.name]), Resolution.NAME)
        name = f"{self.platform}:name:{line.name}"
        own = custom_key(self.platform, line.custom) if line.custom else name
        for key in (*line.keys, *(() if vague else (line.sku,)), *dict.fromkeys((name, own))):
            meant = self.known.meant(key, at)
            if meant is not None:
                return Resolved(meant, Resolution.ALIAS)
        if not vague and line.sku in self.known.products:
            return Resolved(line.sku, Resolution.LISTED)
        return self._left(line, own)

    def _left(self, line: Line, name: str) -> Resolved:
        if line.kind in ("service", "fee"):
            return Resolved(name, Resolution.UNKNOWN)
        if line.sku and line.sku not in self.repeated:
            return Resolved(line.sku, Resolution.UNLISTED)
        if line.keys:
            return Resolved(line.keys[0], Resolution.UNLISTED)
        return Resolved(name, Resolution.UNKNOWN if self.listed else Resolution.UNLISTED)


def catalogue_of(
    platform: str, listings: Iterable[Listing], known: Known, hide: Callable[[str], str]
) -> Catalogue:
    """Give each listing its product_id.

    It keeps the one that an earlier import gave to any of its keys, so a new SKU starts no new product;
    else it is its SKU where no other listing has that, else its own readable identity on the platform.

    Parameters
    ----------
    platform
        Prefix of source keys.
    listings
        Of the product export. Where two share their first key the later one holds.
    known
        From before.
    hide
        Pseudonym of a text: lines whose names stayed behind join the product that is called so.
    """
    found = {listing.keys[0]: listing for listing in listings}
    counts: dict[str, int] = {}
    for listing in found.values():
        counts[listing.sku] = counts.get(listing.sku, 0) + 1
    repeated = frozenset(sku for sku, count in counts.items() if sku and count > 1)
    listed: dict[str, Listing] = {}
    aliases: dict[str, str] = {}
    skus: dict[str, str] = {}
    names: dict[str, str | None] = {}
    for listing in found.values():
        product = _product(listing, repeated, known, listed)
        listed[product] = listing
        aliases |= dict.fromkeys(listing.keys, product)
        if listing.sku and listing.sku not in repeated:
            skus[listing.sku] = product
            if listing.sku != product:
                aliases[listing.sku] = product
        for name in dict.fromkeys(listing.names):
            names[name] = None if name in names else product
    named = {name: product for name, product in names.items() if product is not None}
    aliases |= {f"{platform}:name:{name}": product for name, product in named.items()}
    hidden = {custom_key(platform, custom_name(name, hide)): product for name, product in named.items()}
    aliases |= {key: product for key, product in hidden.items() if key in known.products}
    return Catalogue(platform, listed, aliases, repeated, known, skus, names)


def _product(listing: Listing, repeated: frozenset[str], known: Known, taken: Mapping[str, Listing]) -> str:
    for key in listing.keys:
        before = known.aliases.get(key, ())
        if before and before[-1][1] not in taken:
            return before[-1][1]
    wanted = listing.sku if listing.sku and listing.sku not in repeated else listing.own_id
    return wanted if wanted not in taken else listing.own_id
