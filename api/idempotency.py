"""The key of a request: sent again under it, a request is answered as before, and the answer says so."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response

__all__ = ["Key", "OptionalKey", "say_if_replayed"]

_NAME, _MOST = "Idempotency-Key", 255

Key = Annotated[
    str,
    Header(
        alias=_NAME,
        min_length=1,
        max_length=_MOST,
        description="Any text of your own, one a request; sent again, the request is answered as before.",
    ),
]
OptionalKey = Annotated[
    str | None,
    Header(
        alias=_NAME,
        min_length=1,
        max_length=_MOST,
        description="Any text of your own; the same key with the same request gives the same answer.",
    ),
]


def say_if_replayed(response: Response, *, replayed: bool) -> None:
    """Say in a header that an answer was given before under the same key."""
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
