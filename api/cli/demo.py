"""``make demo``: the whole way on real grocery orders, step by step, each step the command a user would type.

Every step runs as its own process, so its wall time and peak memory are its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from api.check_texts import answers
from api.cli.grid import grid
from api.cli.session import INTERRUPTED, Debug, Language, Outcome, Session, carry_out
from api.cli.validate import passport_lines
from api.standing_texts import check_names
from api.texts import Texts
from pricing.errors import TarifaError

__all__ = ["Step", "demo", "main"]

_UNTIL = "2017-10-30"
"""First day that the fit does not see: the end of week 44; nine weeks are held out."""

_ACCEPTABLE = ("lift", "events", "level", "origins", "pit", "totals", "replay", "twins", "support")
"""Checks that this demonstration accepts where they fail: what one year of grocery orders cannot teach.

Not among them are those that would say that price effects point the wrong way (`sign`) or that figures are
mostly assumption (`instrument`, `sensitivity`): if one of these fails, the demo ends there.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One step, done.

    Attributes
    ----------
    name
        The command.
    seconds
        Wall time.
    megabytes
        Peak resident memory of its largest process.
    document
        What it printed with --json; empty where it spoke to people.
    """

    name: str
    seconds: float
    megabytes: float
    document: dict[str, Any]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path("demo"),
    port: Annotated[int, typer.Option(help="Port to serve on.", min=0, max=65535)] = 8000,
    *,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End without serving.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Fewer worlds and less training.")] = False,
    language: Language = "en",
    debug: Debug = False,
) -> None:
    """From Complete Journey's orders to served prices."""

    def work(session: Session) -> Outcome:
        steps, report = _all_steps(session, out, language, fast=fast)
        _sum_up(session, steps, report)
        if not no_serve:
            _serve(session, out, port, steps)
        return Outcome({})

    carry_out(work, as_json=False, language=language, debug=debug)


def main() -> None:
    """Run the demo."""
    typer.run(demo)


def _all_steps(session: Session, out: Path, language: str, *, fast: bool) -> tuple[list[Step], Path]:
    data, run, policy = (str(out / name) for name in ("data", "run", "policy"))
    worlds, rollouts, products = ("6", "25", "300") if fast else ("64", "60", "1500")
    said = ("--language", language)
    steps = [
        _step(session, "import", "complete-journey", "--out", data, *said),
        _step(session, "check", data, *said, quiet=True),
        _step(session, "fit", data, "--out", run, "--until", _UNTIL, *said),
        _step(session, "validate", run, *said, quiet=True),
    ]
    under = _accepted(session, steps[-1].document["passport"]["failed"])
    steps += [
        _step(session, "elasticities", run, "--out", str(out / "elasticities.parquet"), *said),
        _step(
            session, "train", run, "--policy", "ppo", "--rollouts", rollouts, "--out", policy, *under, *said,
        ),
        _step(
            session, "simulate", run, "--policies", f"incumbent,static,resolve,thompson,{policy}",
            "--seeds", worlds, "--products", products, "--out", str(out / "simulation"), *under, *said,
        ),
        _step(
            session, "recommend", run, "--policy", "resolve",
            "--out", str(out / "recommendations.parquet"), *under, *said,
        ),
    ]  # fmt: skip
    start = time.perf_counter()
    place = _report(session, out, {step.name: step.document for step in steps})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    steps.append(Step("report", time.perf_counter() - start, peak, {}))
    return steps, place


def _accepted(session: Session, failed: Sequence[str]) -> tuple[str, ...]:
    """Return the option that accepts what failed, and say what is accepted and why."""
    names = _acceptable(failed)
    if not names:
        return ()
    flag = ("--accept-failed", ",".join(names))
    told = session.texts.text("demo", "accepts", names=check_names(names, session.texts), flag=" ".join(flag))
    session.out.print(f"[bold yellow]{told}[/bold yellow]", highlight=False)
    return flag


def _acceptable(failed: Sequence[str]) -> tuple[str, ...]:
    """Return the failed checks that this demonstration accepts; one that it does not is refused later on."""
    return tuple(code for code in failed if code in _ACCEPTABLE)


def _step(session: Session, *words: str, quiet: bool = False) -> Step:
    """Run one command; a quiet one prints its result as JSON, for the report."""
    extra = ("--json",) if quiet else ()
    session.out.rule(f"[bold]tarifa {' '.join(words)}", align="left")
    command = [sys.executable, "-m", "api.cli.main", *words, *extra]
    start = time.perf_counter()
    pipe = subprocess.PIPE if quiet else None
    with subprocess.Popen(command, stdout=pipe) as process:  # noqa: S603 - our own command, our own words
        content = b"" if process.stdout is None else process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode in (-2, INTERRUPTED):
        raise KeyboardInterrupt
    if process.returncode:
        raise TarifaError(
            f"The step `tarifa {words[0]}` failed (exit {process.returncode}).",
            why="Its own message stands above.",
            todo="Run it alone to see more.",
        )
    step = Step(words[0], seconds, used.ru_maxrss / 1024, json.loads(content) if quiet else {})
    for line in _brief(step, session.texts):
        session.out.print(line, highlight=False)
    return step


def _brief(step: Step, texts: Texts) -> tuple[str, ...]:
    """Return the gist of a quiet step; the report holds all of it."""
    found = step.document
    if step.name == "check":
        word = partial(texts.text, "check")
        rows, bad = (texts.number(sum(table[name] for table in found["tables"])) for name in ("rows", "bad"))
        moved = {name: texts.number(found["prices"][name]) for name in ("enough", "series")}
        no = [answer for answer in answers(found, texts) if not answer.answerable]
        return (
            word("summary", rows=rows, bad=bad, place=str(found["quarantine"])),
            texts.text("because", "price_moves", **moved),
            *(word("unanswered", question=answer.question, because=answer.because) for answer in no),
        )
    if step.name == "validate":
        word, slope = partial(texts.text, "demo"), found["lift"]["slope"]
        figures = {
            name: {"wmape": texts.number(wmape, 3), "deviance": texts.number(deviance, 2)}
            for name, wmape, deviance in (
                ("model", found["wmape"], found["deviance"]),
                ("naive", found["naive_wmape"], found["naive_deviance"]),
            )
        }
        told = texts.text("measure", "unmeasured") if slope is None else texts.number(slope, 2)
        return (
            word("held_out", count=texts.number(found["periods"])),
            *(word(name, **values) for name, values in figures.items()),
            word("slope", slope=told),
            *passport_lines(found, texts),
        )
    return ()


def _report(session: Session, out: Path, documents: dict[str, dict[str, Any]]) -> Path:
    from api.report import Findings, render_report
    from simulators.folders import write_file

    session.out.rule(f"[bold]{session.texts.text('demo', 'report')}", align="left")
    found = Findings(
        run=out / "run",
        check=documents["check"],
        validation=documents["validate"],
        simulation=out / "simulation",
        elasticities=out / "elasticities.parquet",
        recommendations=out / "recommendations.parquet",
    )
    place = out / "report.html"
    write_file(place, render_report(found, session.texts).encode())
    return place


def _sum_up(session: Session, steps: Sequence[Step], report: Path) -> None:
    texts, word = session.texts, partial(session.texts.text, "demo")
    rows = [(step.name, texts.number(step.seconds, 1), texts.number(step.megabytes)) for step in steps]
    seconds, most = sum(step.seconds for step in steps), max(step.megabytes for step in steps)
    rows.append((word("all"), texts.number(seconds, 1), texts.number(most)))
    header = [word(code) for code in ("step", "seconds", "memory")]
    session.out.print(grid(word("cost"), header, rows, right=(1, 2)))
    session.out.print(word("place", place=report.resolve().as_uri()))


def _serve(session: Session, out: Path, port: int, steps: Sequence[Step]) -> None:
    from api.cli.serve import desk_of, serve_folder

    failed = next(step.document["passport"]["failed"] for step in steps if step.name == "validate")
    desk = desk_of(session, out / "run", "resolve", None, None, accepted=_acceptable(failed))
    serve_folder(session, desk, "127.0.0.1", port)


if __name__ == "__main__":
    main()
