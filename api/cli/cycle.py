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
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.markup import escape

from api.cli.grid import grid
from api.cli.publish_preview import previewed
from api.cli.session import AsJson, Debug, Language, Outcome, Session, carry_out
from pricing.errors import DataError, FailedChecks, FingerprintError, UsageError

if TYPE_CHECKING:
    from api.cycle.loop import Home
    from api.cycle.publishing import Gate, Waiting
    from api.publishers.changes import Publisher
    from api.storage.cycles import StepRow
    from api.storage.publications import Outgoing
    from api.storage.store import Store
    from simulators.contract.shop_file import ShopFile

__all__ = ["cycle_home", "go_round"]

_ACTOR = "cycle"


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
    """Go round once: import, check, learn, validate, recommend; publish what is approved, and read it back.

    The exports of the platform lie in HOME/inbox. What waits for a person ends the command; run it again, by
    hand or by a timer, and it goes on where it stands. Nothing is done or published twice.

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
    from api.cycle.loop import Home, carry_on, cycle_of
    from api.storage.store import Store
    from simulators.contract.shop_file import read_shop_file

    home = Home(folder.resolve())
    with home.alone():
        shop = read_shop_file(home.shop_file)
        day = _day(today, shop, now())
        name, store = cycle_of(shop, day), Store(f"sqlite:///{home.store}", now)
        try:
            round_ = _Round(session, home, shop, name, day.isoformat(), store, now)
            if dry_run:
                return previewed(round_.gate().preview(), shop.money, session.texts)
            if not status and undo is None:
                carry_on(store.database, name, round_.work())
            return round_.published(status=status, undo=undo)
        finally:
            store.close()


@dataclass(frozen=True)
class _Round:
    """One cycle as it goes round."""

    session: Session
    home: Home
    shop: ShopFile
    name: str
    today: str
    store: Store
    now: Callable[[], dt.datetime]

    def work(self) -> Mapping[Any, Callable[[Mapping[str, StepRow]], Mapping[str, Any]]]:
        """Return what does each step."""
        from api.cycle.loop import Step

        return {
            Step.IMPORT: self._import,
            Step.CHECK: self._check,
            Step.LEARN: self._learn,
            Step.VALIDATE: self._validate,
            Step.RECOMMEND: self._recommend,
        }

    def _import(self, _done: Mapping[str, StepRow]) -> Mapping[str, Any]:
        from api.cli.import_command import Answers, import_folder
        from simulators.importers.platform_import import IDENTITY

        before = self._earlier("import")
        past = None if before is None else self.home.data(before)
        continued = past if past is not None and (past / IDENTITY).is_file() else None
        listed = self._listed_at()
        said = Answers(None, None, None, None, None, yes=True, before=continued, listed_at=listed)
        made = import_folder(
            self.session,
            str(self.home.inbox),
            self.home.data(self.name),
            self.home.shop_file,
            self.home.key_file,
            said,
        )
        self._require_whole()
        return {"before": before, "tables": made.document["tables"]}

    def _listed_at(self) -> str | None:
        """Return when exports were made that are newer than the day on which the cycle goes round; else None.

        Only who goes round as on an earlier day has such: they count as of that day's noon.
        """
        zone = zoneinfo.ZoneInfo(self.shop.time_zone)
        noon = dt.datetime.fromisoformat(f"{self.today}T12:00").replace(tzinfo=zone)
        newest = max((path.stat().st_mtime for path in self.home.inbox.iterdir()), default=0.0)
        later = dt.datetime.fromtimestamp(newest, zone).date() > noon.date()
        return noon.isoformat() if later else None

    def _require_whole(self) -> None:
        """Refuse exports that end too early: missing days would look like days without a sale."""
        from simulators.contract.tables import open_source

        with open_source(self.home.data(self.name), today=self.now(), only=("orders",)) as source:
            rows = source.engine.rows("SELECT max(ordered_at) FROM orders WHERE status = 'paid'")
        newest: dt.datetime | None = rows[0][0] if rows else None
        until = dt.date.fromisoformat(self.name)
        if newest is None or newest.date() < until - dt.timedelta(days=self.shop.period_days):
            raise DataError(
                f"The orders in the inbox end on {newest.date() if newest else 'no day'}.",
                why=f"The cycle prices the period from {until}, and the one before it is not there.",
                todo="Put a newer export of the orders into the inbox.",
            )

    def _check(self, _done: Mapping[str, StepRow]) -> Mapping[str, Any]:
        from api.cli.check import check_folder

        found = check_folder(self.session, self.home.data(self.name), None)
        if found.error is not None:
            raise found.error
        return {"fingerprint": found.document["fingerprint"]}

    def _learn(self, _done: Mapping[str, StepRow]) -> Mapping[str, Any]:
        from api.cli.fit import fit_folder
        from api.cli.update import update_folder

        data, run, before = self.home.data(self.name), self.home.run(self.name), self._earlier("learn")
        why = "the first cycle" if before is None else self._due_for_fit(before)
        if before is not None and not why:
            try:
                update_folder(self.session, self.home.run(before), data, run, self.name, self.today)
                return {"how": "update", "of": before, "age": self._age(before) + 1}
            except FingerprintError as error:
                why = error.what
        fit_folder(self.session, data, run, self.name, 0, self.today)
        return {"how": "fit", "why": why, "age": 0}

    def _due_for_fit(self, before: str) -> str:
        age = self._age(before)
        return f"{age + 1} updates since the last fit" if age + 1 >= self.shop.cycle.refit_after else ""

    def _age(self, cycle: str) -> int:
        """Return how many updates lie between a cycle and its last fit."""
        from api.storage.cycles import done

        with self.store.database.reading() as connection:
            return int(done(connection, cycle)["learn"].content["age"])

    def _validate(self, _done: Mapping[str, StepRow]) -> Mapping[str, Any]:
        from api.cli.validate import validate_folder

        quick = self.shop.cycle.quick_validation
        found: Any = validate_folder(self.session, self.home.run(self.name), None, 0, quick=quick).document
        return {"verdict": found["passport"]["verdict"], "failed": found["passport"]["failed"]}

    def _recommend(self, _done: Mapping[str, StepRow]) -> Mapping[str, Any]:
        from api.app import approvals_of
        from api.cli.serve import desk_over
        from api.cycle.seen import take_in
        from api.runs import open_shelf

        take_in(self.store.database, self.home.data(self.name), self.now(), self.name)
        try:
            shelf = open_shelf(self.home.run(self.name), self._accepted())
        except FailedChecks as error:
            raise FailedChecks(
                error.what,
                why=error.why,
                todo="Name those that you accept in cycle.accept_failed of shop.toml, and go round again.",
            ) from error
        desk = desk_over(shelf, self.shop.cycle.policy, self.store)
        offered = approvals_of(desk).offer(None, _ACTOR)
        return {"round": offered.number, "run": offered.run, "policy": offered.facts["policy"]}

    def _accepted(self) -> tuple[str, ...]:
        """Return the checks that failed and are accepted in the shop file; others are refused on the way."""
        from api.storage.cycles import done

        with self.store.database.reading() as connection:
            failed = done(connection, self.name)["validate"].content["failed"]
        return tuple(code for code in self.shop.cycle.accept_failed if code in failed)

    def _earlier(self, step: str) -> str | None:
        """Return the newest cycle before this one in which a step was done."""
        from api.storage.cycles import cycles, done

        with self.store.database.reading() as connection:
            for name in cycles(connection):
                if name < self.name and step in done(connection, name):
                    return name
        return None

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

    def _next(self, left: Waiting) -> str:
        texts, run = self.session.texts, self.home.run(self.name)
        if left.nothing:
            return texts.text("cycle", "finished")
        if left.pending or left.second:
            accepted = self._accepted()
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
