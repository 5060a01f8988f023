"""What a browser sends: forms, filters in an address, and prices as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Request

from api.storage.reviews import SORTS, Wanted
from pricing.approval import Action, Review, ReviewState
from pricing.errors import DataError, UsageError
from pricing.guardrails import Rule
from pricing.money import Currency

__all__ = ["PAGE", "Asked", "Form", "form", "price_of"]

PAGE = 20
"""Proposals on a page."""

_MOST_FIELDS, _MOST_WORDS = 2_000, 1_000
_STATES = frozenset(state.value for state in ReviewState)
_FILTERS = ("zone", "category", "identified_by", "binding_guardrail", "search")
_MOST_START = 10**9
_ALL = "all"
"""Stands for every state in an address; an address that says nothing shows what waits."""
_ANY = Wanted()
_SEPARATORS = re.compile(r"[\s\u00a0\u202f'\u2019]")


@dataclass(frozen=True, slots=True)
class Form:
    """Fields of a form, in the order in which they came."""

    fields: tuple[tuple[str, str], ...]

    def one(self, name: str) -> str:
        """Return the last value of a field, empty where there is none."""
        return next((value for key, value in reversed(self.fields) if key == name), "").strip()

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values of a field."""
        return tuple(value for key, value in self.fields if key == name)

    def review(
        self, actor: str, currency: Currency | None = None, starts: Callable[[str], str | None] | None = None
    ) -> Review:
        """Return the review that was asked for.

        Parameters
        ----------
        actor
            Who asks.
        currency
            Of an own price; None where none can be asked for.
        starts
            Reads when a price may be published (:func:`api.desk.starts.starts_of`).

        Raises
        ------
        UsageError
            If its action or a rule does not exist, or it lacks a reason or a price.
        """
        try:
            action = Action(self.one("action"))
            rules = tuple(Rule[name.upper()] for name in self.every("accept"))
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"action: {error} is not known here.", todo="Use the buttons of the page."
            ) from error
        priced = action is Action.OVERRIDE and currency is not None
        price = price_of(self.one("price"), currency) if priced and currency else None
        publishes = action in (Action.APPROVE, Action.OVERRIDE) and starts is not None
        at = starts(self.one("starts_at")) if publishes and starts else None
        return Review(action, actor, _words(self.one("reason")), price, at, rules)


async def form(request: Request) -> Form:
    """Read the form of a request; raises :class:`UsageError` where there is none."""
    body = await request.body()
    try:
        return Form(tuple(_pairs(body.decode("ascii"))))
    except ValueError as error:
        raise UsageError(
            "The form cannot be read.", why=f"{error}.", todo="Use the buttons of the page."
        ) from error


@dataclass(frozen=True, slots=True)
class Asked:
    """Which proposals a list shows, and how: what stands behind the question mark of its address.

    Attributes
    ----------
    wanted
        Which ones.
    sort, falling, start
        Sorted by what, the largest first, from which place on.
    """

    wanted: Wanted = _ANY
    sort: str = "profit_change"
    falling: bool = True
    start: int = 0

    @staticmethod
    def of(query: str) -> Asked:
        """Read an address; what it does not know it ignores, as a browser's history may be old."""
        try:
            found = Form(tuple(_pairs(query)))
        except ValueError:
            return Asked()
        named: dict[str, Any] = {name: found.one(name)[:200] or None for name in _FILTERS}
        states = tuple(dict.fromkeys(state for state in found.every("state") if state in _STATES))
        sort, start = found.one("sort"), found.one("start")
        known = sort in SORTS
        return Asked(
            Wanted(states, **named),
            sort if known else "profit_change",
            found.one("falling") != "0" if known else True,
            min(int(start), _MOST_START) if start.isascii() and start.isdigit() and len(start) < 12 else 0,
        )

    def query(
        self,
        *,
        states: tuple[str, ...] | None = None,
        sort: str | None = None,
        falling: bool | None = None,
        start: int = 0,
    ) -> str:
        """Return the address of this list with some things changed; back to the first page unless `start`."""
        wanted = self.wanted if states is None else replace(self.wanted, states=states)
        by, down = sort or self.sort, self.falling if falling is None else falling
        pairs = [("state", state) for state in wanted.states or (_ALL,)]
        pairs += [(name, value) for name in _FILTERS if (value := getattr(wanted, name))]
        if (by, down) != ("profit_change", True):
            pairs += [("sort", by), ("falling", "1" if down else "0")]
        return urlencode(pairs + ([("start", str(start))] if start else []))


def price_of(text: str, currency: Currency) -> int:
    """Return a price as somebody wrote it in minor units; the mark may be a comma or a point.

    Raises
    ------
    DataError
        If it is no amount: grouped thousands without decimals ("1,299") are not guessed at.
    """
    plain = _SEPARATORS.sub("", text).removesuffix(currency.code)
    comma, point = plain.rfind(","), plain.rfind(".")
    if comma >= 0 and point >= 0:
        group = "." if comma > point else ","
        plain = plain.replace(group, "")
    found = currency.parse(plain.replace(",", "."))
    if not 0 < found <= 10**12:
        raise DataError(f"{text!r} is no price.", todo="Give an amount above 0.")
    return found


def _words(text: str) -> str:
    if len(text) > _MOST_WORDS:
        raise UsageError(
            f"reason: longer than {_MOST_WORDS} characters.", todo="Say it in fewer words; nothing was done."
        )
    return text


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
