"""Keyed pseudonyms: who a customer is cannot be told from the data, only with the key beside them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

__all__ = ["pseudonym", "pseudonyms"]

_ENCODING = ("utf-8", "surrogatepass")


def pseudonym(key: bytes, identity: str) -> str:
    """Return the pseudonym of one identity: 128 bits of HMAC-SHA256 (RFC 2104) in hexadecimal.

    Blanks around it do not count, and of an e-mail address capitals do not either: whoever types
    *Ana@Example.com* into one order and *ana@example.com* into the next is one customer. Other identities
    keep their capitals.
    """
    plain = identity.strip()
    return hmac.new(
        key, (plain.lower() if "@" in plain else plain).encode(*_ENCODING), hashlib.sha256
    ).hexdigest()[:32]


def pseudonyms(key: bytes, identities: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (identity, pseudonym) for each identity, in the order given."""
    return tuple((identity, pseudonym(key, identity)) for identity in identities)
