"""HTTP calls that may be made again: what a platform answered, or that it did not.

Only calls that set a value or read one go this way, so that making one twice does no more than making it
once. They are made again when no answer came, when the platform asks to wait (429, 503) and when something
between answered in its place (502, 504); never when it refused. A wait that the platform names
(``Retry-After``, RFC 9110, section 10.2.3) is kept up to a bound; otherwise waits double.
"""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx

from api.publishers.changes import Refusal
from pricing.errors import SettingsError

__all__ = ["BUSY", "Answer", "Calls", "Lost", "objects", "one_line", "safe_address"]

BUSY = frozenset({429, 502, 503, 504})
"""Statuses that say that nobody looked at the call."""

_HERE = {"localhost", "127.0.0.1", "::1"}
_ATTEMPTS = 4
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_DETAIL = 200
"""Most characters of what a platform says that are kept: some answer whole pages."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status and parsed JSON, None where it was none."""

    status: int
    body: object

    @property
    def fine(self) -> bool:
        """Whether the platform did as asked."""
        return 200 <= self.status < 300

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The body where it is an object, else nothing."""
        body = self.body
        return cast("dict[str, Any]", body) if isinstance(body, dict) else {}

    @property
    def entries(self) -> list[Mapping[str, Any]] | None:
        """The body where it is a list of objects, else None."""
        return objects(self.body)


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer to rely on: what was asked may have been done or not."""

    why: Refusal
    detail: str


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one client.

    Attributes
    ----------
    client
        With its address, credentials and timeouts; redirects are not followed, because a POST would become a
        GET.
    sleep
        Waits so many seconds.
    now
        The clock, for a wait that is named as a date.
    again
        Statuses after which a call is made again.
    """

    client: httpx.Client
    sleep: Callable[[float], None]
    now: Callable[[], dt.datetime]
    again: frozenset[int] = BUSY

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Callable[[], Mapping[str, str]] | None = None,
    ) -> Answer | Lost:
        """Make a call, again where that is of use, and return the last answer or why there is none.

        `headers` is asked for every attempt anew: a signature holds the time of its attempt.
        """
        lost = Lost(Refusal.UNREACHABLE, "")
        for attempt in range(_ATTEMPTS):
            try:
                sent = None if headers is None else headers()
                got = self.client.request(method, path, params=params, content=content, headers=sent)
            except httpx.HTTPError as error:
                lost, wait = Lost(Refusal.UNREACHABLE, type(error).__name__), _FIRST_WAIT * 2.0**attempt
            else:
                if got.status_code not in self.again:
                    return Answer(got.status_code, _parsed(got))
                lost = Lost(Refusal.UNREACHABLE, f"HTTP {got.status_code}")
                wait = self._wait(got.headers.get("Retry-After", ""), attempt)
            if attempt + 1 < _ATTEMPTS:
                self.sleep(wait)
        return lost

    def _wait(self, named: str, attempt: int) -> float:
        wait = _FIRST_WAIT * 2.0**attempt
        if named.isascii() and named.isdigit():
            wait = float(named[:6])
        elif named:
            try:
                until = email.utils.parsedate_to_datetime(named)
            except ValueError:
                return wait
            until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
            wait = max((until - self.now()).total_seconds(), 0.0)
        return min(wait, _LONGEST_WAIT)


def _parsed(got: httpx.Response) -> Any:
    try:
        return got.json()
    except ValueError:
        return None


def safe_address(address: str) -> str:
    """Return an address that secrets and prices may be sent to, without its last slash.

    Raises
    ------
    SettingsError
        If it is no address, or neither HTTPS nor on this machine.
    """
    try:
        url = httpx.URL(address.strip())
    except httpx.InvalidURL as error:
        raise SettingsError(
            "The address that prices are sent to is none.", why=f"{error}.", todo=_ADDRESS
        ) from error
    named = url.host and "%" not in url.host  # what no host may hold comes back encoded
    if not named or (url.scheme != "https" and not (url.scheme == "http" and url.host in _HERE)):
        said = f"{url.scheme}://{url.host}" if url.scheme and url.host else "What is given"
        raise SettingsError(
            f"{said} is not an address that keys and prices may be sent to.",
            why="Without HTTPS everybody on the way could read and change them.",
            todo=_ADDRESS,
        )
    return address.strip().rstrip("/")


_ADDRESS = "Give the address with https://, like https://shop.example."


def objects(body: object) -> list[Mapping[str, Any]] | None:
    """Return parsed JSON where it is a list of objects, else None."""
    if not isinstance(body, list):
        return None
    items = cast("list[object]", body)
    return cast("list[Mapping[str, Any]]", items) if all(isinstance(item, dict) for item in items) else None


def one_line(text: object) -> str:
    """Return what a platform said as one short line that a terminal can show."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:_DETAIL]
