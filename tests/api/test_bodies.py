"""Bodies that are too long or too slow, at the ASGI face itself."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from api.bodies import BodyLimit

LENGTH = 10


async def _read(_scope: Scope, receive: Receive, _send: Send) -> None:
    """Read a body to its end, and then whether the caller has gone."""
    while (await receive()).get("more_body", False):
        pass
    assert (await receive())["type"] == "http.disconnect"


def _call(parts: Iterator[tuple[float, bytes, bool]], *headers: tuple[bytes, bytes]) -> None:
    async def receive() -> Message:
        found = next(parts, None)
        if found is None:
            return {"type": "http.disconnect"}
        await anyio.sleep(found[0])
        return {"type": "http.request", "body": found[1], "more_body": found[2]}

    async def send(_message: Message) -> None:
        await anyio.lowlevel.checkpoint()

    limited = BodyLimit(_read, most=LENGTH, seconds=0.2)
    anyio.run(lambda: limited({"type": "http", "headers": list(headers)}, receive, send))


@pytest.mark.parametrize("parts", [[b""], [b"x" * LENGTH], [b"x" * 5, b"x" * 5]])
def test_a_body_within_both_limits_is_read_and_nothing_is_timed_after_it(parts: list[bytes]) -> None:
    _call(iter([(0.0, part, i < len(parts) - 1) for i, part in enumerate(parts)]))


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([(0.0, b"x" * 11, False)], 413),
        ([(0.0, b"x" * 6, True), (0.0, b"x" * 6, False)], 413),
        ([(1.0, b"x", False)], 408),
        ([(0.1, b"x", True)] * 5, 408),
    ],
)
def test_a_body_beyond_a_limit_is_refused(parts: list[tuple[float, bytes, bool]], status: int) -> None:
    with pytest.raises(HTTPException) as found:
        _call(iter(parts))
    assert found.value.status_code == status


def test_a_body_announced_as_too_long_is_refused_unread() -> None:
    with pytest.raises(HTTPException) as found:
        _call(iter([(60.0, b"", False)]), (b"content-length", b"11"))
    assert found.value.status_code == 413
