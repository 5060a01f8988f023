"""Calls that wait for a while, are sent again only where that is safe, and never hold up a checkout."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from tarifa_client.errors import Malformed, Problem, Unavailable
from tarifa_client.offers import Cart, LastOffers, Offer
from tarifa_client.reading import read_object
from tarifa_client.redemptions import Line, Redemption, Reservation

__all__ = ["Client", "Patience"]

_AGAIN = frozenset({408, 425, 429})
"""Beside 5xx, those of proxies (520 to 530) among them: nothing that the shop did wrong."""
_REFUSED, _SERVER = 400, 500
_VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, seconds.

    Attributes
    ----------
    offer
        For an offer in all, repeats and pauses included; then it is the fallback.
    change
        For anything else in all; then :class:`Unavailable` is raised.
    connect, answer
        For a connection, and for one answer.
    first_pause, longest_pause
        Before a call is sent again: a random part of the first, doubled each time up to the longest ("full
        jitter", so that callers who failed together do not return together).
    """

    offer: float = 0.8
    change: float = 20.0
    connect: float = 0.5
    answer: float = 5.0
    first_pause: float = 0.05
    longest_pause: float = 2.0


@dataclass(frozen=True, slots=True)
class _Answer:
    """Status, the seconds that it asks to wait, and the body."""

    status: int
    wait: float
    content: bytes


class Client:
    """One shop's connection to Tarifa; any number of threads may share it.

    Parameters
    ----------
    address
        Of the service, for example ``http://127.0.0.1:8000``.
    access_key
        Of the role backend; None where the service needs none.
    patience
        How long to wait.
    remembered
        Offers that are remembered for when nobody answers.
    transport, monotonic, now, sleep, rng
        For tests: what sends, both clocks, what pauses, what draws the pauses.
    """

    def __init__(
        self,
        address: str,
        access_key: str | None = None,
        *,
        patience: Patience = Patience(),
        remembered: int = 10_000,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        headers = {"User-Agent": f"tarifa-client/{_VERSION}"}
        if access_key is not None:
            headers["Authorization"] = f"Bearer {access_key}"
        timeout = httpx.Timeout(patience.answer, connect=patience.connect)
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, transport=transport)
        self._patience = patience
        self._last = LastOffers(remembered)
        self._monotonic, self._now, self._sleep = monotonic, now, sleep
        self._rng = rng or random.Random()  # noqa: S311 - pauses, not secrets

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def offer(self, cart: Cart, *, key: str | None = None) -> Offer:
        """Ask which coupon, if any, a cart gets; answers within the patience for offers, whatever happens.

        Parameters
        ----------
        cart
            As the customer sees it.
        key
            Of this request; absent, one is made up, and the same cart asked again gets another decision.

        Raises
        ------
        Problem
            If Tarifa refuses the request itself; 409 where a price in the cart is stale.
        """
        key, within = key or uuid.uuid4().hex, self._patience.offer
        try:
            found = Offer.read(self._sent("POST", "/v1/offers", cart.document(), key, within), cart)
        except (Unavailable, Malformed):
            return self._last.find(cart, self._now())
        self._last.keep(cart, found)
        return found

    def offers(self, carts: Sequence[Cart], *, key: str) -> tuple[Offer | Problem, ...]:
        """Ask for many carts at once; each is answered by an offer, or by the problem it has.

        Raises
        ------
        Unavailable, Malformed, Problem
            If the batch as a whole fails; asked again with the same key, it goes on where it was.
        """
        content = "".join(f"{json.dumps(cart.document())}\n" for cart in carts).encode()
        headers = {"Idempotency-Key": key, "Content-Type": "application/x-ndjson"}
        said = self._retried("POST", "/v1/offers/batch", headers, content, self._patience.change)
        lines = said.content.splitlines()
        if len(lines) != len(carts):
            raise Malformed(f"{len(carts)} carts were answered by {len(lines)} lines.")
        return tuple(_one(line, cart) for line, cart in zip(lines, carts, strict=True))

    def reserve(
        self,
        coupon_id: str,
        *,
        key: str,
        customer_id: str | None = None,
        anonymous_id: str | None = None,
        liability: int = 0,
        seconds: int | None = None,
    ) -> Reservation:
        """Keep a place for a coupon that the shop chose itself; without `seconds`, give a code of its pool.

        Raises
        ------
        Problem
            If a limit is reached (409, `code` is ``limit_reached``), or the request is wrong.
        Unavailable, Malformed
            If nobody answers, or somebody else.
        """
        who = {"customer_id": customer_id, "anonymous_id": anonymous_id}
        body = {"coupon_id": coupon_id, **who, "liability": liability, "seconds": seconds}
        return Reservation.read(self._changed("/v1/reservations", body, key))

    def release(self, reservation_id: str, *, key: str) -> Reservation:
        """Give a place back before it runs out; raises as :meth:`reserve`."""
        self._last.forget(reservation_id)
        return Reservation.read(self._changed(f"/v1/reservations/{reservation_id}/release", None, key))

    def reservation(self, reservation_id: str) -> Reservation:
        """Return where a reservation stands; raises as :meth:`reserve`."""
        url = f"/v1/reservations/{reservation_id}"
        found = read_object(self._sent("GET", url, None, None, self._patience.change))
        return Reservation.read(found.get("reservation"))

    def redeem(self, reservation_id: str, order_id: str, lines: Sequence[Line], *, key: str) -> Redemption:
        """Use a reservation on an order; raises as :meth:`reserve`."""
        self._last.forget(reservation_id)
        told = [{"line_id": line.line_id, "amount": line.amount, "quantity": line.quantity} for line in lines]
        body = {"reservation_id": reservation_id, "order_id": order_id, "lines": told}
        return Redemption.read(self._changed("/v1/redemptions", body, key))

    def roll_back(
        self, reservation_id: str, amounts: Mapping[str, int] | None = None, *, key: str
    ) -> Redemption:
        """Undo a redemption, or amounts by line; raises as :meth:`reserve`."""
        lines = None if amounts is None else [{"line_id": n, "amount": m} for n, m in amounts.items()]
        return Redemption.read(
            self._changed(f"/v1/redemptions/{reservation_id}/roll-back", {"lines": lines}, key)
        )

    def give_back(
        self, reservation_id: str, quantities: Mapping[str, float] | None = None, *, key: str
    ) -> Redemption:
        """Say that goods came back, all or quantities by line; raises as :meth:`reserve`."""
        lines = None if quantities is None else [{"line_id": n, "quantity": q} for n, q in quantities.items()]
        return Redemption.read(
            self._changed(f"/v1/redemptions/{reservation_id}/return", {"lines": lines}, key)
        )

    def _changed(self, url: str, body: Mapping[str, object] | None, key: str) -> Any:
        return self._sent("POST", url, body, key, self._patience.change)

    def _sent(
        self, method: str, url: str, body: Mapping[str, object] | None, key: str | None, within: float
    ) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        return _json(self._retried(method, url, headers, content, within))

    def _retried(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, within: float
    ) -> _Answer:
        """Send a call until it is answered; it is a read, or carries a key under which it happens once."""
        until, pause = self._monotonic() + within, self._patience.first_pause
        while True:
            waited = 0.0
            try:
                answer = self._once(method, url, headers, content, until)
            except httpx.RequestError as error:  # what cannot be decoded too
                said = f"{type(error).__name__}: {error}"
            else:
                if answer.status < _SERVER and answer.status not in _AGAIN:
                    return _fine(answer)
                said, waited = f"HTTP {answer.status}", answer.wait
            rest = max(self._rng.uniform(0.0, pause), waited)
            if self._monotonic() + rest >= until:
                raise Unavailable(f"{method} {url} was not answered within {within:g} s: {said}.")
            self._sleep(rest)
            pause = min(2.0 * pause, self._patience.longest_pause)

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, until: float
    ) -> _Answer:
        """Send a call; an answer that drips in slowly is given up as well as one that does not come."""
        left = until - self._monotonic()
        if left <= 0:
            raise httpx.ConnectTimeout("no time was left")
        limits = httpx.Timeout(min(self._patience.answer, left), connect=min(self._patience.connect, left))
        body = bytearray()
        with self._http.stream(method, url, content=content, headers=headers, timeout=limits) as answer:
            for chunk in answer.iter_bytes():
                body += chunk
                if self._monotonic() > until:
                    raise httpx.ReadTimeout("the answer comes too slowly")
        return _Answer(answer.status_code, _asked_to_wait(answer), bytes(body))


def _fine(answer: _Answer) -> _Answer:
    if 200 <= answer.status < 300:
        return answer
    if answer.status < _REFUSED:
        raise Malformed(f"HTTP {answer.status} is no answer of Tarifa.")
    try:
        body = read_object(_json(answer))
    except Malformed:
        body = {"detail": f"HTTP {answer.status}"}
    raise Problem(answer.status, body)


def _json(answer: _Answer) -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise Malformed("The answer is no JSON.") from error


def _asked_to_wait(answer: httpx.Response) -> float:
    """Return the seconds of Retry-After (RFC 9110); a date counts as none, the pause is then our own."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else 0.0


def _one(line: bytes, cart: Cart) -> Offer | Problem:
    try:
        found = read_object(json.loads(line))
    except ValueError as error:
        raise Malformed("A line of the answer is no JSON.") from error
    if "problem" not in found:
        return Offer.read(found, cart)
    problem = read_object(found["problem"])
    status = problem.get("status")
    return Problem(status if isinstance(status, int) else 500, problem)
