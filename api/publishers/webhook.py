"""A signed message a price: for a shop whose own systems set it.

Messages follow Standard Webhooks (standardwebhooks.com): JSON with `type`, `timestamp` and `data`, and
headers with an id, the time of the attempt and an HMAC-SHA256 signature. The id follows from the
publication's key and what the message says, so a message that is sent again is known to be the same one, and
a receiver that remembers ids sets a price once.
"""

from __future__ import annotations

import binascii
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from standardwebhooks import Webhook

from api.publishers.calls import Calls, Lost, one_line, safe_address
from api.publishers.changes import (
    Line,
    LineState,
    Preview,
    PriceChange,
    Publication,
    Reading,
    Refusal,
    checked_key,
    read,
    unasked,
)
from api.publishers.secrets import private_text
from pricing.errors import SettingsError
from pricing.money import Currency

__all__ = ["MESSAGE", "WebhookPublisher", "WebhookSecret", "webhook_publisher"]

MESSAGE = "price.changed"
"""Type of the messages."""

_AGAIN = frozenset({408, 425, 429, *range(500, 600)})
_GONE = 410
_LEAST = 24
"""Bytes that a secret has at least, says the standard."""

_HOW = "Put whsec_ and the base64 of 24 random bytes or more into TARIFA_WEBHOOK_SECRET, or into a file."


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """What messages are signed with; never shown."""

    text: str = field(repr=False)

    @staticmethod
    def of(environment: Mapping[str, str], file: Path | None = None) -> WebhookSecret:
        """Read TARIFA_WEBHOOK_SECRET, or a file that holds nothing else.

        Raises
        ------
        SettingsError
            If there is none, it is too short or no base64, or others may read the file.
        """
        text = environment.get("TARIFA_WEBHOOK_SECRET", "")
        if file is not None:
            text = private_text(file, _HOW)
        text = text.strip()
        try:
            known = len(binascii.a2b_base64(text.removeprefix("whsec_"), strict_mode=True))
        except (binascii.Error, ValueError):
            known = 0
        if known < _LEAST:
            raise SettingsError("The webhook secret is missing, too short or no base64.", todo=_HOW)
        return WebhookSecret(text)


def webhook_publisher(
    address: str,
    secret: WebhookSecret,
    *,
    sleep: Callable[[float], None],
    now: Callable[[], dt.datetime],
    seconds: float = 20.0,
) -> WebhookPublisher:
    """Return a publisher to a receiver; raises :class:`SettingsError` for an address without HTTPS."""
    safe_address(address)  # its own path stays as it is
    return WebhookPublisher(Calls(httpx.Client(timeout=seconds), sleep, now, _AGAIN), address.strip(), secret)


@dataclass(frozen=True, slots=True)
class WebhookPublisher:
    """A publisher that tells prices to a receiver; what it says today cannot be asked.

    Attributes
    ----------
    calls
        Without an address of their own.
    address
        Of the receiver; it may hold a token, so it is not shown.
    secret
        Shared with it.
    """

    calls: Calls
    address: str = field(repr=False)
    secret: WebhookSecret

    @property
    def name(self) -> str:
        """What it is called in records."""
        return "webhook"

    def preview(self, changes: Sequence[PriceChange]) -> Preview:
        """Say which messages would be sent."""
        return unasked(changes)

    def publish(self, changes: Sequence[PriceChange], *, key: str) -> Publication:
        """Send a message a change; one is published when the receiver answered it with 2xx."""
        key, patience, gone = checked_key(key), 2, ""
        lines: list[Line] = []
        for change, line in zip(changes, self.preview(changes).lines, strict=True):
            if line.state is not LineState.CHANGE:
                lines.append(line)
                continue
            if gone or not patience:
                detail = gone or "not sent, because the receiver had stopped answering"
                lines.append(replace(line, state=LineState.FAILED, why=Refusal.UNREACHABLE, detail=detail))
                continue
            sent = self._sent(change, line, key)
            patience = patience - 1 if sent.why is Refusal.UNTOLD else 2
            gone = sent.detail if sent.detail == f"HTTP {_GONE}" else ""
            lines.append(sent)
        return Publication(key, self.name, tuple(lines))

    def read_back(self, changes: Sequence[PriceChange]) -> tuple[Reading, ...]:
        """Say that a receiver cannot be asked; use the price table that its shop exports."""
        return tuple(read(change, Refusal.CANNOT_READ) for change in changes)

    def _sent(self, change: PriceChange, line: Line, key: str) -> Line:
        message, data = _identifier(change, key), _data(change)
        at = self.calls.now().astimezone(dt.UTC)
        text = json.dumps({"type": MESSAGE, "timestamp": at.isoformat(), "data": data})

        def headers() -> Mapping[str, str]:
            attempt = self.calls.now().astimezone(dt.UTC)
            return {
                "Content-Type": "application/json",
                "webhook-id": message,
                "webhook-timestamp": str(int(attempt.timestamp())),
                "webhook-signature": Webhook(self.secret.text).sign(message, attempt, text),
            }

        got = self.calls.send("POST", self.address, content=text.encode(), headers=headers)
        if isinstance(got, Lost):
            return replace(line, state=LineState.FAILED, why=Refusal.UNTOLD, detail=got.detail, where=message)
        if got.fine:
            return replace(line, state=LineState.PUBLISHED, where=message)
        detail = one_line(f"HTTP {got.status} {got.mapping.get('message', '')}")
        return replace(line, state=LineState.FAILED, why=Refusal.REJECTED, detail=detail, where=message)


def _data(change: PriceChange) -> Mapping[str, object]:
    """Return the message's data: money as integer minor units, and as decimal text beside it.

    An offered price of null says nothing of reductions; one that equals the regular price ends one.
    """
    money, tag = Currency.of(change.currency), change.tag
    return {
        "product_id": change.product_id,
        "sku": change.sku,
        "zone": change.zone,
        "currency": change.currency,
        "price_basis": change.basis,
        "exponent": money.exponent,
        "regular_price_before": change.regular_now,
        "regular_price": tag.regular,
        "regular_price_text": money.decimal(tag.regular),
        "offered_price": change.offered_new,
        "offered_price_text": None if change.offered_new is None else money.decimal(change.offered_new),
    }


def _identifier(change: PriceChange, key: str) -> str:
    said = json.dumps([key, _data(change)], sort_keys=True)
    return f"msg_{hashlib.sha256(said.encode()).hexdigest()[:32]}"
