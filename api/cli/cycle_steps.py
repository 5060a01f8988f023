"""The steps of a cycle: what ``tarifa cycle`` does before people have their say."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricing.errors import ArtifactError, DataError, FailedChecks

if TYPE_CHECKING:
    from api.cli.session import Session
    from api.cycle.loop import Home
    from api.storage.store import Store
    from simulators.contract.shop_file import ShopFile

__all__ = ["Steps"]

_ACTOR = "cycle"


@dataclass(frozen=True)
class Steps:
    """One cycle as it goes round.

    Attributes
    ----------
    session, home, shop
        Who asks, where the cycles live, and the shop's settings.
    name, today
        The cycle, and the day on which it goes round, ISO 8601.
    store, now
        Where decisions and steps are kept; the clock.
    """

    session: Session
    home: Home
    shop: ShopFile
    name: str
    today: str
    store: Store
    now: Callable[[], dt.datetime]

    def work(self) -> Mapping[Any, Callable[[], Mapping[str, Any]]]:
        """Return what does each step."""
        from api.cycle.loop import Step

        return {
            Step.IMPORT: self._import,
            Step.CHECK: self._check,
            Step.OUTCOMES: self._outcomes,
            Step.LEARN: self._learn,
            Step.VALIDATE: self._validate,
            Step.RECOMMEND: self._recommend,
        }

    def _import(self) -> Mapping[str, Any]:
        from api.cli.import_command import Answers, import_folder
        from api.cycle.sheets import join_sheets, sheets_in
        from simulators.importers.platform_import import IDENTITY

        before = self._earlier("import")
        past = None if before is None else self.home.data(before)
        continued = past if past is not None and (past / IDENTITY).is_file() else None
        listed, inbox, data = self._listed_at(), self.home.inbox, self.home.data(self.name)
        said = Answers(None, None, None, None, None, yes=True, before=continued, listed_at=listed)
        sheets = sheets_in(self.home)
        target = data.with_name("exports") if sheets else data
        made = import_folder(self.session, str(inbox), target, self.home.shop_file, self.home.key_file, said)
        told: list[Mapping[str, Any]] = []
        if sheets:
            today = dt.date.fromisoformat(self.today)
            told = join_sheets(self.home, target, data, sheets, today, self.now())
            shutil.rmtree(target)
        self._require_whole()
        return {"before": before, "tables": made.document["tables"], "sheets": told}

    def _listed_at(self) -> str | None:
        """Return when exports were made that are newer than the day on which the cycle goes round; else None.

        Only who goes round as on an earlier day has such: they count as of that day's noon.
        """
        zone = zoneinfo.ZoneInfo(self.shop.time_zone)
        noon = dt.datetime.fromisoformat(f"{self.today}T12:00").replace(tzinfo=zone)
        files = (path for path in self.home.inbox.iterdir() if path.is_file())
        newest = max((path.stat().st_mtime for path in files), default=0.0)
        later = dt.datetime.fromtimestamp(newest, zone).date() > noon.date()
        return noon.isoformat() if later else None

    def _require_whole(self) -> None:
        """Refuse exports that end too early: missing days would look like days without a sale.

        The last days before the period that is priced may lack orders, as many in a row as the shop has been
        without any before (Sundays, a holiday), and fewer than a week.
        """
        from api.cycle.loop import last_order
        from simulators.contract.tables import open_source

        with open_source(self.home.data(self.name), today=self.now(), only=("orders",)) as source:
            newest, quiet = last_order(source)
        until = dt.date.fromisoformat(self.name)
        missing = 7 if newest is None else (until - newest).days - 1
        if missing > min(quiet, 6):
            raise DataError(
                f"The orders in the inbox end on {newest or 'no day'}.",
                why=f"The cycle prices the period from {until}. Days before it without an order: {missing}; "
                f"the most in a row that there ever were before: {quiet}.",
                todo="Put a newer export of the orders into the inbox.",
            )

    def _check(self) -> Mapping[str, Any]:
        from api.cli.check import check_folder
        from simulators.folders import write_file

        found = check_folder(self.session, self.home.data(self.name), None)
        if found.error is not None:
            raise found.error
        document = {name: value for name, value in found.document.items() if name != "quarantine"}
        write_file(self._checked, json.dumps(document, sort_keys=True).encode())
        return {"fingerprint": found.document["fingerprint"]}

    @property
    def _checked(self) -> Path:
        """What the check of this cycle found, for its run and for people."""
        return self.home.cycle(self.name) / "check.json"

    def _outcomes(self) -> Mapping[str, Any]:
        from api.cycle.outcomes import PAGE, TABLE, outcomes_of, past_decisions
        from api.outcomes_page import render_outcomes
        from simulators.folders import write_file
        from simulators.outcome_check import check_outcomes
        from simulators.output_schema import table_bytes

        with self.session.progress("outcomes") as told:
            told("joining", 0.1)
            decided = past_decisions(self.store.database, self.name, self.shop)
            table = outcomes_of(self.home, self.name, decided, self.now())
            found = check_outcomes(table)
            told("writing", 0.9)
            place = self.home.cycle(self.name)
            write_file(place / TABLE, table_bytes(table))
            page = render_outcomes(table, found, self.name, self.session.texts)
            write_file(place / PAGE, page.encode())
        return asdict(found)

    def _learn(self) -> Mapping[str, Any]:
        from api.cli.fit import fit_folder
        from api.cli.update import update_folder

        data, run, before = self.home.data(self.name), self.home.run(self.name), self._earlier("learn")
        check = json.loads(self._checked.read_bytes()) if self._checked.is_file() else None
        why = "the first cycle" if before is None else self._due_for_fit(before)
        if before is not None and not why:
            try:
                last = self.home.run(before)
                made = update_folder(self.session, last, data, run, self.name, self.today, check)
                age = self._age(before) + 1
                return {"how": "update", "of": before, "age": age, "run_id": made.document["run_id"]}
            except ArtifactError as error:  # the past has changed, or the run is not readable any more
                why = error.what
        made = fit_folder(self.session, data, run, self.name, 0, self.today, check)
        return {"how": "fit", "why": why, "age": 0, "run_id": made.document["run_id"]}

    def _due_for_fit(self, before: str) -> str:
        age = self._age(before)
        return f"{age + 1} updates since the last fit" if age + 1 >= self.shop.cycle.refit_after else ""

    def _age(self, cycle: str) -> int:
        """Return how many updates lie between a cycle and its last fit."""
        from api.storage.cycles import done

        with self.store.database.reading() as connection:
            return int(done(connection, cycle)["learn"].content["age"])

    def _validate(self) -> Mapping[str, Any]:
        from api.cli.validate import validate_folder

        quick = self.shop.cycle.quick_validation
        found: Any = validate_folder(self.session, self.home.run(self.name), None, 0, quick=quick).document
        return {"verdict": found["passport"]["verdict"], "failed": found["passport"]["failed"]}

    def _recommend(self) -> Mapping[str, Any]:
        from api.app import approvals_of
        from api.cli.serve import desk_over
        from api.cycle.outcomes import SNAPSHOTS_FILE
        from api.cycle.seen import take_in
        from api.runs import open_shelf, read_past, run_id
        from api.tables import snapshots_table
        from simulators.folders import write_file
        from simulators.output_schema import table_bytes

        take_in(self.store.database, self.home.data(self.name), self.now(), self.name)
        run = self.home.run(self.name)
        try:
            shelf = open_shelf(run, self.accepted())
        except FailedChecks as error:
            raise FailedChecks(
                error.what,
                why=error.why,
                todo="Name those that you accept in cycle.accept_failed of shop.toml, and go round again.",
            ) from error
        past = read_past(run, shelf.catalogue)
        known = snapshots_table(shelf.catalogue, shelf.model.fingerprint, run_id(run), self.shop.period_days)
        write_file(self.home.cycle(self.name) / SNAPSHOTS_FILE, table_bytes(known))
        desk = desk_over(shelf, self.shop.cycle.policy, self.store, past)
        offered = approvals_of(desk).offer(None, _ACTOR)
        round_ = {"round": offered.number, "run": offered.run, "policy": offered.facts["policy"]}
        return {**round_, **self._kept(offered.number)}

    def _kept(self, number: int) -> Mapping[str, int]:
        """Count what keeps its price in a round, what of it for want of evidence, and what is blocked."""
        from api.storage import reviews
        from pricing.approval import ReviewState
        from pricing.evidence import Identification

        unknown = {Identification.NOT_IDENTIFIED.label}
        if not self.shop.guardrails.act_on_prior:
            unknown.add(Identification.PRIOR.label)
        same = reviews.Wanted(states=(ReviewState.UNCHANGED.value,))
        with self.store.database.reading() as connection:
            rows = reviews.every(connection, number, same)
            blocked, _ = reviews.standing(connection, number).get(ReviewState.BLOCKED.value, (0, 0))
        untold = sum(row.identified_by in unknown for row in rows)
        return {"kept": len(rows), "untold": untold, "blocked": blocked}

    def accepted(self) -> tuple[str, ...]:
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
