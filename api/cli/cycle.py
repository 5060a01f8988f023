"""``tarifa cycle``."""

from __future__ import annotations

import datetime as dt
import os
import time
import zoneinfo
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from api.cli.grid import grid
from api.cli.publish_preview import previewed
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import UsageError

if TYPE_CHECKING:
    from api.cli.cycle_steps import Steps
    from api.cycle.loop import Home
    from api.cycle.publishing import Gate, Waiting
    from api.publishers.changes import Publisher
    from api.storage.cycles import StepRow
    from api.storage.publications import Outgoing
    from api.storage.store import Store
    from simulators.contract.shop_file import ShopFile

__all__ = ["cycle_home", "go_round"]


def go_round(
    home: Annotated[Path, typer.Argument(help="Home of the cycles: shop.toml and a folder inbox.")],
    today: Annotated[
        str | None, typer.Option(help="Day on which it goes round, like 2026-11-23; default: now.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who brings prices back, for --undo.")] = "local",
    reason: Annotated[str, typer.Option(help="Why, for --undo.")] = "",
    *,
    undo: Annotated[
        bool, typer.Option("--undo", help="Bring back the former prices of what this cycle published.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say line by line what publishing would do; change nothing.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say where the cycle stands; change nothing.")
    ] = False,
    as_json: AsJson = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """Go round once: import, check, join outcomes, learn, validate, recommend; publish what is approved.

    What was published is read back. The exports of the platform lie in HOME/inbox. What waits for a person
    ends the command; run it again, by hand or by a timer, and it goes on where it stands. Nothing is done or
    published twice.

    Example: tarifa cycle shop
    """

    def work(session: Session) -> Outcome:
        back = (by, reason) if undo else None
        return cycle_home(session, home, today, status=status, undo=back, dry_run=dry_run)

    carry_out(work, as_json=as_json, language=language, debug=debug)


def cycle_home(
    session: Session,
    folder: Path,
    today: str | None,
    *,
    status: bool = False,
    undo: tuple[str, str] | None = None,
    dry_run: bool = False,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> Outcome:
    """Go round once in a home, say where its cycle stands or what it would publish, or bring prices back."""
    from api.cli.cycle_steps import Steps
    from api.cycle.loop import Home, carry_on, cycle_of
    from api.storage.store import Store
    from simulators.contract.shop_file import read_shop_file

    home = Home(folder.resolve())
    with home.alone():
        shop = read_shop_file(home.shop_file)
        day = _day(today, shop, now())
        name, store = cycle_of(shop, day), Store(f"sqlite:///{home.store}", now)
        try:
            steps = Steps(session, home, shop, name, day.isoformat(), store, now)
            round_ = _Round(session, home, shop, name, store, now, steps)
            if dry_run:
                return previewed(round_.gate().preview(), shop.money, session.texts)
            if not status and undo is None:
                carry_on(store.database, name, steps.work())
            return round_.published(status=status, undo=undo)
        finally:
            store.close()


@dataclass(frozen=True)
class _Round:
    """One cycle after its steps."""

    session: Session
    home: Home
    shop: ShopFile
    name: str
    store: Store
    now: Callable[[], dt.datetime]
    did: Steps

    def published(self, *, status: bool, undo: tuple[str, str] | None) -> Outcome:
        """Publish what is due and read it back, or bring it back; then say where the cycle stands."""
        from api.cycle.publishing import waiting
        from api.storage.cycles import done
        from api.storage.publications import of_cycle

        with self.store.database.reading() as connection:
            steps = done(connection, self.name)
        if undo is not None:
            self.gate().undo(*undo)
        elif not status and self.shop.cycle.publisher and "recommend" in steps:
            gate = self.gate()
            gate.publish()
            gate.confirm()
        with self.store.database.reading() as connection:
            left = waiting(connection, self.now(), zoneinfo.ZoneInfo(self.shop.time_zone))
            out = of_cycle(connection, self.name)
        return self._outcome(steps, left, out)

    def gate(self) -> Gate:
        """Return where approved prices of this cycle leave the house."""
        from api.cycle.outlets import addresses, market_of
        from api.cycle.publishing import Gate

        data = self.home.data(self.name)
        if not data.is_dir():
            raise UsageError(
                f"The cycle {self.name} has not begun.", todo="Go round with `tarifa cycle HOME` first."
            )
        return Gate(
            self.store.database,
            self.now,
            self.name,
            zoneinfo.ZoneInfo(self.shop.time_zone),
            market_of(self.shop),
            addresses(data, self.now()),
            self._way,
        )

    def _way(self, batch: str | None) -> AbstractContextManager[Publisher]:
        from api.cycle.outlets import Outlet

        target = None if batch is None else self.home.cycle(batch[:10]) / "published" / batch
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        outlet = Outlet(self.shop, self.home.folder, self._exports, os.environ, self.now, time.sleep)
        return outlet.open(target)

    def _exports(self) -> tuple[Path, ...]:
        from simulators.importers.platforms import recognise

        return tuple(f.path for f in recognise(self.home.inbox) if f.holds == "products")

    def _outcome(self, steps: Mapping[str, StepRow], left: Waiting, out: tuple[Outgoing, ...]) -> Outcome:
        document = {
            "cycle": self.name,
            "steps": {name: {"done_at": row.done_at, **row.content} for name, row in steps.items()},
            "waiting": asdict(left),
            "publications": [
                {
                    "batch": row.batch,
                    "product_id": row.change.product_id,
                    "zone": row.change.zone,
                    "before": row.change.regular_now,
                    "after": row.change.regular_new,
                    "state": row.state.value,
                    "detail": row.detail,
                }
                for row in out
            ],
        }
        return Outcome(document, self._shown(steps, left, out))

    def _shown(
        self, steps: Mapping[str, StepRow], left: Waiting, out: tuple[Outgoing, ...]
    ) -> tuple[RenderableType, ...]:
        from api.cycle.loop import STEPS

        texts = self.session.texts
        rows = [
            (
                texts.text("cycle", step.value),
                steps[step.value].done_at[:16].replace("T", " ") if step.value in steps else "-",
            )
            for step in STEPS
        ]
        title = texts.text("cycle", "title", day=texts.day(self.name))
        parts: list[RenderableType] = [
            grid(title, (texts.text("cycle", "step"), texts.text("cycle", "done_at")), rows)
        ]
        parts += (*self._sheets(steps), *self._forecasts(steps), *self._kept(steps))
        states: dict[str, int] = {}
        for row in out:
            states[row.state.value] = states.get(row.state.value, 0) + 1
        parts += [
            texts.text("cycle", f"out_{state}", count=texts.number(count)) for state, count in states.items()
        ]
        for name, count in asdict(left).items():
            if count:
                parts.append(texts.text("cycle", f"waits_{name}", count=texts.number(count)))
        if steps.get("recommend") and not self.shop.cycle.publisher:
            parts.append(texts.text("cycle", "no_publisher"))
        parts.append(escape(self._next(left)))
        return tuple(parts)

    def _sheets(self, steps: Mapping[str, StepRow]) -> list[str]:
        texts = self.session.texts
        found = steps["import"].content.get("sheets", ()) if "import" in steps else ()
        return [
            texts.text(
                "cycle",
                "sheet",
                file=escape(one["file"]),
                kind=one["kind"],
                rows=texts.number(one["rows"]),
                known=texts.number(one["known"]),
                left=texts.number(sum(one["left"].values())),
            )
            for one in found
        ]

    def _kept(self, steps: Mapping[str, StepRow]) -> tuple[str, ...]:
        """Say how many prices stay as they are, how many for want of evidence, and how many are blocked."""
        if "recommend" not in steps:
            return ()
        found = steps["recommend"].content
        counts = {name: int(found.get(name, 0)) for name in ("kept", "untold", "blocked")}
        codes = ["kept_untold" if counts["untold"] else "kept"] if counts["kept"] else []
        codes += ["blocked"] if counts["blocked"] else []
        told = {name: self.session.texts.number(count) for name, count in counts.items()}
        return tuple(self.session.texts.text("cycle", code, **told) for code in codes)

    def _forecasts(self, steps: Mapping[str, StepRow]) -> tuple[str, ...]:
        from api.cycle.outcomes import TABLE
        from api.outcomes_told import check_of, outcomes_told

        row = steps.get("outcomes")
        if row is None:
            return ()
        found, texts = check_of(row.content), self.session.texts
        place = self.home.cycle(self.name) / TABLE
        where = (texts.text("outcomes", "table", place=str(place)),) if found.decisions else ()
        return tuple(escape(line) for line in (*outcomes_told(found, texts), *where))

    def _next(self, left: Waiting) -> str:
        texts, run = self.session.texts, self.home.run(self.name)
        if left.nothing:
            return texts.text("cycle", "finished")
        if left.pending or left.second:
            accepted = self.did.accepted()
            options = f"--store {self.home.store} --policy {self.shop.cycle.policy}"
            options += f" --accept-failed {','.join(accepted)}" if accepted else ""
            return texts.text("cycle", "approve", run=str(run), options=options)
        return texts.text("cycle", "again")


def _day(said: str | None, shop: ShopFile, now: dt.datetime) -> dt.date:
    if said is None:
        return now.astimezone(zoneinfo.ZoneInfo(shop.time_zone)).date()
    try:
        return dt.date.fromisoformat(said)
    except ValueError as error:
        raise UsageError(f"--today: {said!r} is no day.", todo="Write it like 2026-11-23.") from error
