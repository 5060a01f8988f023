"""Who a customer is, as the rest of Tarifa knows them: a pseudonym under the shop's own key.

The same customer has the same pseudonym here and in imported data, if both use one key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pricing.errors import UsageError
from pricing.pseudonyms import pseudonym

__all__ = ["CustomerKey"]

_LEAST = 32
_HOW = "Start with --customer-key and the file beside the data folder that `tarifa import` made."


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """The key of a shop's pseudonyms; never shown.

    Attributes
    ----------
    secret
        At least 32 bytes; None where there is none, and then nobody can be named.
    """

    secret: bytes | None = field(default=None, repr=False)

    @staticmethod
    def of(file: Path) -> CustomerKey:
        """Read a key; raises :class:`UsageError` if the file cannot be read or is too short."""
        try:
            secret = file.read_bytes()
        except OSError as error:
            raise UsageError(
                f"--customer-key: {file} cannot be read: {error.strerror}.", todo=_HOW
            ) from error
        if len(secret) < _LEAST:
            raise UsageError(f"--customer-key: {file} has {len(secret)} bytes, not {_LEAST}.", todo=_HOW)
        return CustomerKey(secret)

    def customer(self, identity: str) -> str:
        """Return the pseudonym of a customer: that of imported data (HMAC-SHA256, RFC 2104, 128 bits).

        Blanks around an identity do not count, and capitals of an e-mail address do not either.

        Raises
        ------
        UsageError
            If there is no key, nobody is named, or the identity has a line break: then it could be that of
            a session.
        """
        if "\n" in identity.strip():
            raise UsageError("customer: a name has no line break.", todo="Name one customer.")
        return self._hidden(identity)

    def anonymous(self, session: str) -> str:
        """Return the pseudonym of somebody who is known by a session or a cart alone; never a customer's."""
        return self._hidden(f"anonymous\n{session.strip()}")

    def whom(self, customer_id: str | None, anonymous_id: str | None) -> str:
        """Return the pseudonym of a customer, or of a session where none is known; raises as both."""
        return self.anonymous(anonymous_id or "") if customer_id is None else self.customer(customer_id)

    def _hidden(self, plain: str) -> str:
        if self.secret is None:
            raise UsageError(
                "This service has no key for customers.",
                why="Who a customer is must not reach the disk.",
                todo=_HOW,
            )
        if not plain.strip():
            raise UsageError("customer: nobody is named.")
        return pseudonym(self.secret, plain)
