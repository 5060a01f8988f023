"""A gate without a cycle around it: a store with a round of proposals, and a platform that takes files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from api.cycle.outlets import Address
from api.cycle.publishing import Gate
from api.publishers.changes import Identity, Market, Publisher
from api.publishers.shopify_csv import shopify_csv
from api.storage import reviews
from api.storage.publications import Outgoing
from api.storage.reviews import ProposalRow
from api.storage.store import Entry, Run, Store
from pricing.approval import Action, ApprovalSettings, Review, after
from pricing.evidence import Identification

CYCLE = "2026-11-16"
MARKET = Market("es", "EUR", "gross")
START = dt.datetime(2026, 11, 16, 8, tzinfo=dt.UTC)


@dataclass
class Clock:
    """Goes on by a minute whenever it is looked at."""

    now: dt.datetime = START

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(minutes=1)
        return self.now


@dataclass
class House:
    """A store with one round; `listed` is the platform's product export."""

    folder: Path
    prices: Mapping[str, int]
    cycle: str = CYCLE
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = Store(f"sqlite:///{self.folder / 'store.sqlite3'}", self.clock)
        self.list(self.prices)
        self.offer(self.cycle)

    @property
    def listed(self) -> Path:
        return self.folder / "products_export.csv"

    def list(self, prices: Mapping[str, int]) -> None:
        """Make the platform say these prices, minor units."""
        rows = [f"{name},{name},{price // 100}.{price % 100:02d}," for name, price in prices.items()]
        header = "Handle,Variant SKU,Variant Price,Variant Compare At Price"
        self.listed.write_text("\r\n".join([header, *rows, ""]))

    def offer(self, cycle: str) -> None:
        """Put a round up that recommends a tenth more for everything."""
        self.cycle, digest = cycle, cycle.replace("-", "") * 8
        run = Run(digest[:8], digest, {"as_of": cycle})
        named = {_decision(cycle, name): name for name in self.prices}
        entries = [Entry(one, name, "es", {"name": name}) for one, name in named.items()]
        facts = {"policy": "static", "verdict": None, "driven_by_limits": False, "valid_from": cycle}
        rows = [self._row(one, name) for one, name in named.items()]
        with self.store.writing() as writing:
            writing.record(run, entries)
            settings = ApprovalSettings()
            reviews.open_round(
                writing.transaction, run.number, rows, settings=settings, facts=facts, by="ana"
            )

    def _row(self, decision: str, name: str) -> ProposalRow:
        price = self.prices[name]
        return ProposalRow(
            0, decision, name, "es", "", "", price, price * 11 // 10, 0.1, 1, 0, 2, 0.1,
            Identification.EXPERIMENT.label, None, "0" * 64, "pending", None, None, "", False, 0,
        )  # fmt: skip

    def review(self, name: str, action: Action, price: int | None = None) -> None:
        """Do something with the proposal of a product."""
        review = Review(action, "ana", "seen", price)
        with self.store.database.writing() as transaction:
            row = reviews.proposal(transaction.connection, _decision(self.cycle, name))
            now = reviews.current_round(transaction.connection)
            assert row is not None
            assert now is not None
            stands = after(row.reviewed, review, reviews.proposed(row, now.facts), now.settings)
            reviews.append(transaction, [(row, review, stands)])

    def decision(self, name: str) -> str:
        return _decision(self.cycle, name)

    @property
    def gate(self) -> Gate:
        """The gate of the round's cycle, onto files."""
        addresses = {name: (Address(name, Identity(name)),) for name in self.prices}
        return Gate(self.store.database, self.clock, self.cycle, dt.UTC, MARKET, addresses, self._way)

    @contextmanager
    def _way(self, batch: str | None) -> Generator[Publisher]:
        target = None if batch is None else self.folder / f"{batch}.csv"
        yield shopify_csv(self.listed.read_bytes(), MARKET, target)

    def take_in(self, batch: str) -> None:
        """Import into the platform what was written for a batch."""
        self.listed.write_bytes((self.folder / f"{batch}.csv").read_bytes())


def _decision(cycle: str, name: str) -> str:
    return (cycle.replace("-", "") + name.encode().hex()).ljust(32, "0")[:32]


def told(rows: tuple[Outgoing, ...]) -> list[tuple[str, int, int, str]]:
    """Return product, price before, price after and state of what was tried."""
    return [(r.change.product_id, r.change.regular_now, r.change.regular_new, r.state.value) for r in rows]
