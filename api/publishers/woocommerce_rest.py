"""WooCommerce's REST API, version 3: prices are looked up, compared, set in batches and read again.

``GET /products?sku=...`` finds products and variations alike; ``POST /products/batch`` and
``POST /products/<parent>/variations/batch`` set up to 100 of them in one call and answer line by line;
``PUT`` sets one. All of these set absolute values, so a call that got no answer is made again. Where no
answer comes at all the lines are read back, and each says what is known of it. Source: WooCommerce REST API
documentation.

Before anything else the shop is asked for its currency and whether prices are entered with tax: a price in
another money or basis is never sent. Keys are sent in a header, only over HTTPS (or to this machine), and
appear in no message.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from api.publishers.calls import Answer, Calls, Lost, objects, one_line, safe_address
from api.publishers.changes import (
    Cell,
    Line,
    LineState,
    Market,
    Preview,
    PriceChange,
    Publication,
    Reading,
    Refusal,
    Tag,
    asked_twice,
    checked_key,
    judged,
    read,
    refused,
)
from api.publishers.numerals import Numerals
from api.publishers.secrets import private_text
from pricing.errors import DataError, RefusedError, SettingsError
from pricing.money import Currency

__all__ = ["WooCommerceKeys", "WooCommerceRest", "woocommerce_client"]

_ROOT = "/wp-json/wc/v3"
_FIELDS = "id,parent_id,type,sku,regular_price,sale_price,date_on_sale_from,date_on_sale_to"
_LOOKED_UP, _BATCH, _PAGE = 40, 50, 100
_PAGES = 20
"""More pages than any question has; a server that repeats itself is left."""

_PATIENCE = 2
"""After so many calls in a row without any answer the rest is not sent: each would wait for its time-out."""


@dataclass(frozen=True, slots=True)
class WooCommerceKeys:
    """Consumer key and secret; neither is ever shown."""

    key: str = field(repr=False)
    secret: str = field(repr=False)

    @staticmethod
    def of(environment: Mapping[str, str], file: Path | None = None) -> WooCommerceKeys:
        """Read TARIFA_WOOCOMMERCE_KEY and TARIFA_WOOCOMMERCE_SECRET, or `key` and `secret` of a TOML file.

        Raises
        ------
        SettingsError
            If one of them is missing, the file cannot be read, or others may read it.
        """
        found: Mapping[str, Any] = {
            name: environment.get(f"TARIFA_WOOCOMMERCE_{name.upper()}", "") for name in ("key", "secret")
        }
        if file is not None:
            text = private_text(file, _KEYS)
            try:
                found = tomllib.loads(text)
            except ValueError:  # which would quote the line that it stopped at
                raise SettingsError(f"The key file {file} is no TOML.", todo=_KEYS) from None
        key, secret = (str(found.get(name, "")).strip() for name in ("key", "secret"))
        if not (key and secret and key.isascii() and secret.isascii()):
            raise SettingsError("The WooCommerce key or its secret is missing.", todo=_KEYS)
        return WooCommerceKeys(key, secret)


_KEYS = (
    "Make a key with read and write access under WooCommerce > Settings > Advanced > REST API, and put it "
    "into TARIFA_WOOCOMMERCE_KEY and TARIFA_WOOCOMMERCE_SECRET, or into a TOML file as key and secret."
)


def woocommerce_client(address: str, keys: WooCommerceKeys, *, seconds: float = 30.0) -> httpx.Client:
    """Return a client for one shop; raises :class:`SettingsError` for an address that would show the keys."""
    base = f"{safe_address(address)}{_ROOT}"
    return httpx.Client(base_url=base, auth=httpx.BasicAuth(keys.key, keys.secret), timeout=seconds)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A product or variation as the shop answers it."""

    path: str
    number: int
    parent: int
    sku: str
    regular: str
    sale: str
    dated: bool

    @staticmethod
    def of(body: Mapping[str, Any]) -> _Entry:
        number, parent = int(body["id"]), int(body.get("parent_id") or 0)
        variation = body.get("type") == "variation" or (parent > 0 and "type" not in body)
        return _Entry(
            path=f"products/{parent}/variations/{number}" if variation else f"products/{number}",
            number=number,
            parent=parent if variation else 0,
            sku=str(body.get("sku") or ""),
            regular=str(body.get("regular_price") or ""),
            sale=str(body.get("sale_price") or ""),
            dated=bool(body.get("date_on_sale_from") or body.get("date_on_sale_to")),
        )

    def priced(self, body: Mapping[str, Any]) -> _Entry:
        """Return it with the prices of an answer."""
        regular, sale = (str(body.get(name) or "") for name in ("regular_price", "sale_price"))
        return replace(self, regular=regular, sale=sale)


_Wanted = tuple[Line, _Entry]


@dataclass(frozen=True, slots=True)
class WooCommerceRest:
    """A publisher that talks to the shop itself.

    Attributes
    ----------
    calls
        To that shop.
    market
        Whose prices it holds.
    """

    calls: Calls
    market: Market

    @property
    def name(self) -> str:
        """What it is called in records."""
        return "woocommerce_rest"

    def preview(self, changes: Sequence[PriceChange]) -> Preview:
        """Say what would change; only reads.

        Raises
        ------
        RefusedError
            If the shop's currency or tax setting is another than the market's, or it does not tell them.
        """
        self._check_market()
        return Preview(tuple(line for line, _ in self._planned(changes)))

    def publish(self, changes: Sequence[PriceChange], *, key: str) -> Publication:
        """Set what can be set; errors are those of :meth:`preview`.

        The API knows no key of ours. Publishing again changes nothing, because every price is looked up
        first.
        """
        key = checked_key(key)
        self._check_market()
        planned = self._planned(changes)
        lines = [line for line, _ in planned]
        silent = 0
        for places in _groups(planned):
            wanted = [(line, entry) for line, entry in (planned[i] for i in places) if entry is not None]
            if silent >= _PATIENCE:
                done = [_unsent(line) for line, _ in wanted]
            else:
                done = self._set(wanted[0][1].parent, wanted)
                silent = silent + 1 if all(map(_silent, done)) else 0
            for place, line in zip(places, done, strict=True):
                lines[place] = line
        return Publication(key, self.name, tuple(lines))

    def read_back(self, changes: Sequence[PriceChange]) -> tuple[Reading, ...]:
        """Say what the shop says now; errors are those of :meth:`preview`."""
        self._check_market()
        found = self._found(changes)
        return tuple(
            read(change, one if isinstance(one, Refusal) else self._tag(one))
            for change, one in zip(changes, found, strict=True)
        )

    def _check_market(self) -> None:
        for path, wanted in (
            ("settings/general/woocommerce_currency", self.market.currency),
            ("settings/tax/woocommerce_prices_include_tax", "yes" if self.market.basis == "gross" else "no"),
        ):
            got = self.calls.send("GET", path)
            if isinstance(got, Lost) or not got.fine:
                said = got.detail if isinstance(got, Lost) else _said(got)
                raise RefusedError(
                    f"The shop does not tell its {path.rsplit('/', 1)[1]}: {one_line(said)}.",
                    why="Prices are only sent to a shop whose currency and tax setting are known.",
                    todo="Check the address, and that the key is a shop manager's and may read and write.",
                )
            value = str(got.mapping.get("value", ""))
            if value != wanted:
                raise RefusedError(
                    f"The shop's {path.rsplit('/', 1)[1]} is {one_line(value)!r}, not {wanted!r}.",
                    why="The prices to publish are in another currency or tax basis.",
                    todo="Correct the zone in shop.toml, or publish to the shop of that zone.",
                )

    def _planned(self, changes: Sequence[PriceChange]) -> list[tuple[Line, _Entry | None]]:
        twice, found = asked_twice(changes), self._found(changes)
        paths = Counter(one.path for one in found if not isinstance(one, Refusal))
        planned: list[tuple[Line, _Entry | None]] = []
        for change, one in zip(changes, found, strict=True):
            if isinstance(one, Refusal):
                planned.append((refused(change, one), None))
            elif paths[one.path] > 1 or (change.product_id, change.zone) in twice:
                planned.append((refused(change, Refusal.ASKED_TWICE, one.path), None))
            else:
                planned.append((self._line(change, one), one))
        return planned

    def _line(self, change: PriceChange, entry: _Entry) -> Line:
        tag = self._tag(entry)
        if isinstance(tag, Refusal):
            return refused(change, tag, entry.path)
        line = judged(change, self.market, tag, entry.path)
        if line.state is not LineState.CHANGE:
            return line
        if change.tag.reduced and entry.dated:
            return refused(change, Refusal.SALE_DATES, entry.path)
        numerals, sale = self._numerals, entry.sale
        after = {"regular_price": numerals.write(change.tag.regular, entry.regular), "sale_price": sale}
        if change.tag.reduced:
            after["sale_price"] = numerals.write(change.tag.offered, sale or entry.regular)
        elif sale and numerals.read(sale) < change.tag.regular:
            after["sale_price"] = ""
        before = {"regular_price": entry.regular, "sale_price": sale}
        cells = tuple(Cell(name, before[name], text) for name, text in after.items() if text != before[name])
        return replace(line, cells=cells)

    @property
    def _numerals(self) -> Numerals:
        return Numerals(Currency.of(self.market.currency), ".", "")

    def _tag(self, entry: _Entry) -> Tag | Refusal:
        """Return what shoppers see, as if every sale price ran: dates may begin or end it at any moment."""
        if not entry.regular:
            return Refusal.NO_PRICE
        try:
            regular = self._numerals.read(entry.regular)
            offered = self._numerals.read(entry.sale) if entry.sale else regular
        except DataError:
            return Refusal.UNREADABLE
        return Tag(regular, min(regular, offered)) if regular > 0 and offered > 0 else Refusal.NO_PRICE

    def _found(self, changes: Sequence[PriceChange]) -> list[_Entry | Refusal]:
        """Return the entry of each change: by SKU, and where no product has it, by number."""
        by_sku = self._by_sku(sorted({change.sku for change in changes}))
        found: list[_Entry | Refusal] = []
        for change in changes:
            entries = by_sku[change.sku]
            known = change.known_as.platform_id
            if isinstance(entries, Refusal):
                found.append(entries)
            elif len(entries) > 1:
                found.append(Refusal.DUPLICATE)
            elif entries:
                found.append(entries[0])
            else:
                found.append(self._by_number(known) if known else Refusal.MISSING)
        return found

    def _by_sku(self, skus: Sequence[str]) -> dict[str, list[_Entry] | Refusal]:
        """Return what has each SKU; one with a comma is asked for alone, because commas separate SKUs."""
        found: dict[str, list[_Entry] | Refusal] = {}
        plain = [sku for sku in skus if sku and "," not in sku]
        asked = [plain[start : start + _LOOKED_UP] for start in range(0, len(plain), _LOOKED_UP)]
        asked += [[sku] for sku in skus if "," in sku]
        for group in asked:
            entries = self._every({"sku": ",".join(group), "status": "any"})
            if isinstance(entries, Refusal):
                found |= dict.fromkeys(group, entries)
            else:
                found |= {sku: [entry for entry in entries if entry.sku == sku] for sku in group}
        return {sku: found.get(sku, []) for sku in skus}

    def _every(self, asked: Mapping[str, str]) -> list[_Entry] | Refusal:
        entries: list[_Entry] = []
        for page in range(1, _PAGES + 1):
            params = {**asked, "per_page": str(_PAGE), "page": str(page), "_fields": _FIELDS}
            got = self.calls.send("GET", "products", params=params)
            part = _entries(got)
            if isinstance(part, Refusal):
                return part
            entries += part
            if len(part) < _PAGE:
                return entries
        return Refusal.CANNOT_READ

    def _by_number(self, known: str) -> _Entry | Refusal:
        numbers = known.split("/")
        if len(numbers) > 2 or not all(number.isascii() and number.isdigit() for number in numbers):
            return Refusal.MISSING
        path = f"products/{numbers[0]}" + (f"/variations/{numbers[1]}" if len(numbers) == 2 else "")
        got = self.calls.send("GET", path, params={"_fields": _FIELDS})
        if isinstance(got, Answer) and got.status == 404:
            return Refusal.MISSING
        if isinstance(got, Answer) and got.fine:
            parent = {"parent_id": numbers[0], "type": "variation"} if len(numbers) == 2 else {}
            got = Answer(got.status, [{**got.mapping, **parent}])
        part = _entries(got)
        return part if isinstance(part, Refusal) else part[0]

    def _set(self, parent: int, wanted: Sequence[_Wanted]) -> list[Line]:
        """Set the prices of products, or of variations of one; returns a line each."""
        if len(wanted) == 1:
            return [self._set_one(wanted[0])]
        update = [{"id": entry.number, **_body(line)} for line, entry in wanted]
        path = f"{_list(parent)}/batch"
        got = self.calls.send("POST", path, content=_json({"update": update}), headers=_json_headers)
        if isinstance(got, Lost):
            return self._after_loss(wanted, got)
        answered = objects(got.mapping.get("update")) if got.fine else None
        if answered is None:
            return [self._set_one(one) for one in wanted]
        by_number = {item.get("id"): item for item in answered}
        return [self._confirmed(one, by_number.get(one[1].number, {})) for one in wanted]

    def _set_one(self, wanted: _Wanted) -> Line:
        line, entry = wanted
        got = self.calls.send("PUT", entry.path, content=_json(_body(line)), headers=_json_headers)
        if isinstance(got, Lost):
            return self._after_loss([wanted], got)[0]
        if not got.fine:
            return replace(line, state=LineState.FAILED, why=Refusal.REJECTED, detail=_said(got))
        return self._confirmed(wanted, got.mapping)

    def _confirmed(self, wanted: _Wanted, item: Mapping[str, Any]) -> Line:
        """Hold the answer to what was asked: an error beside the others, another price, or no word at all."""
        line, entry = wanted
        error = Answer(200, item.get("error")).mapping
        if error:
            detail = one_line(error.get("message", error.get("code", "")))
            return replace(line, state=LineState.FAILED, why=Refusal.REJECTED, detail=detail)
        if "regular_price" not in item:
            return self._after_loss([wanted], Lost(Refusal.UNTOLD, "no answer about this line"))[0]
        told = self._tag(entry.priced(item))
        if told == line.after:
            return replace(line, state=LineState.PUBLISHED)
        detail = f"the shop answers {told.value if isinstance(told, Refusal) else told.offered}"
        return replace(line, state=LineState.FAILED, why=Refusal.UNTOLD, detail=detail)

    def _after_loss(self, wanted: Sequence[_Wanted], lost: Lost) -> list[Line]:
        """Ask what became of lines, all of one list, whose call got no answer."""
        numbers = ",".join(str(entry.number) for _, entry in wanted)
        asked = {"include": numbers, "per_page": str(_PAGE), "_fields": _FIELDS}
        got = self.calls.send("GET", _list(wanted[0][1].parent), params=asked)
        items = got.entries if isinstance(got, Answer) and got.fine else None
        by_number = {item.get("id"): item for item in items or ()}
        lines: list[Line] = []
        for line, entry in wanted:
            item = by_number.get(entry.number, {})
            told = self._tag(entry.priced(item)) if "regular_price" in item else Refusal.UNTOLD
            if told == line.after:
                lines.append(replace(line, state=LineState.PUBLISHED))
            else:
                why = Refusal.UNREACHABLE if told == line.before else Refusal.UNTOLD
                lines.append(replace(line, state=LineState.FAILED, why=why, detail=lost.detail))
        return lines


def _json_headers() -> Mapping[str, str]:
    return {"Content-Type": "application/json"}


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def _body(line: Line) -> dict[str, str]:
    return {cell.name: cell.after for cell in line.cells}


def _list(parent: int) -> str:
    return f"products/{parent}/variations" if parent else "products"


def _entries(got: Answer | Lost) -> list[_Entry] | Refusal:
    if isinstance(got, Lost):
        return Refusal.UNREACHABLE
    items = got.entries if got.fine else None
    try:
        return Refusal.CANNOT_READ if items is None else [_Entry.of(item) for item in items]
    except (KeyError, TypeError, ValueError):
        return Refusal.CANNOT_READ


def _said(got: Answer) -> str:
    return one_line(f"HTTP {got.status} {got.mapping.get('message', '')}")


def _groups(planned: Sequence[tuple[Line, _Entry | None]]) -> list[list[int]]:
    """Return the places of lines to set that one call may hold: of one list, at most a batch."""
    by_parent: dict[int, list[int]] = defaultdict(list)
    for place, (line, entry) in enumerate(planned):
        if line.state is LineState.CHANGE and entry is not None:
            by_parent[entry.parent].append(place)
    return [own[i : i + _BATCH] for own in by_parent.values() for i in range(0, len(own), _BATCH)]


def _unsent(line: Line) -> Line:
    detail = "not sent, because the shop had stopped answering"
    return replace(line, state=LineState.FAILED, why=Refusal.UNREACHABLE, detail=detail)


def _silent(line: Line) -> bool:
    return line.state is LineState.FAILED and line.why in (Refusal.UNREACHABLE, Refusal.UNTOLD)
