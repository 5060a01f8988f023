"""Who signed a message: Standard Webhooks, Shopify's header, WooCommerce's header; all HMAC-SHA256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from pricing.errors import AccessError, ForbiddenError, SettingsError, UsageError

__all__ = ["InboundSecrets", "Message", "Source"]


class Source(Enum):
    """Who tells."""

    STANDARD = "standard"
    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"


_HEADER = {Source.SHOPIFY: "x-shopify-hmac-sha256", Source.WOOCOMMERCE: "x-wc-webhook-signature"}
_TOPIC = {Source.SHOPIFY: "x-shopify-topic", Source.WOOCOMMERCE: "x-wc-webhook-topic"}
_ENVIRONMENT = {
    Source.STANDARD: "TARIFA_INBOUND_WEBHOOK_SECRET",
    Source.SHOPIFY: "TARIFA_SHOPIFY_WEBHOOK_SECRET",
    Source.WOOCOMMERCE: "TARIFA_WOOCOMMERCE_WEBHOOK_SECRET",
}
_LEAST = 24
"""Bytes of a secret under Standard Webhooks."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose signature holds: its topic, its own identifier where it has one, and what it says."""

    topic: str
    event_id: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InboundSecrets:
    """What each platform signs with; never shown. A platform without a secret is not listened to."""

    by_source: Mapping[Source, str] = field(default_factory=dict[Source, str], repr=False)

    @staticmethod
    def of(environment: Mapping[str, str]) -> InboundSecrets:
        """Read the secrets from the environment.

        Raises
        ------
        SettingsError
            If the one for Standard Webhooks is no base64 of 24 bytes or more.
        """
        found = {source: environment.get(name, "").strip() for source, name in _ENVIRONMENT.items()}
        known = {source: text for source, text in found.items() if text}
        if Source.STANDARD in known:
            _require_standard(known[Source.STANDARD])
        return InboundSecrets(known)

    def verified(self, source: Source, headers: Mapping[str, str], body: bytes) -> Message:
        """Return what a signed message says; `headers` have small letters.

        Raises
        ------
        ForbiddenError
            If there is no secret for this platform.
        AccessError
            If the signature is missing, wrong, or too old.
        UsageError
            If it is signed and no JSON object.
        """
        secret = self.by_source.get(source)
        if secret is None:
            raise ForbiddenError(
                f"This service has no secret for webhooks of {source.value}.",
                todo=f"Set {_ENVIRONMENT[source]} and start the service again.",
            )
        if source is Source.STANDARD:
            _require_signed(body, headers, secret)
            content = _object(body)
            return Message(str(content.get("type", "")), headers["webhook-id"], content)
        expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
        given = headers.get(_HEADER[source], "").encode("utf-8", "replace")
        if not hmac.compare_digest(expected, given):
            raise _unsigned()
        return Message(headers.get(_TOPIC[source], ""), "", _object(body))


def _require_standard(secret: str) -> None:
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except ValueError:
        size = 0
    if size < _LEAST:
        raise SettingsError(
            f"{_ENVIRONMENT[Source.STANDARD]} is too short or no base64.",
            todo="Use whsec_ and the base64 of 24 random bytes or more.",
        )


def _require_signed(body: bytes, headers: Mapping[str, str], secret: str) -> None:
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:  # the library trips over some malformed headers
        raise _unsigned() from error


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("The message is no JSON.", todo="Send JSON.") from error
    if not isinstance(found, dict):
        raise UsageError("The message is no JSON object.", todo="Send an object.")
    return found  # pyright: ignore[reportUnknownVariableType] - JSON


def _unsigned() -> AccessError:
    return AccessError(
        "The message is not signed as agreed, or too old.",
        todo="Compare the secret here with the one over there, and both clocks.",
    )
