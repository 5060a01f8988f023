"""What all commands share: how they speak, show progress, fail and end."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from api.texts import Texts, texts
from pricing.errors import TarifaError, UsageError

__all__ = [
    "INTERNAL",
    "INTERRUPTED",
    "AcceptFailed",
    "AllAgreed",
    "AsJson",
    "Debug",
    "HeldBy",
    "Language",
    "Outcome",
    "Restart",
    "Session",
    "Told",
    "carry_out",
    "named",
    "written",
]

INTERNAL, INTERRUPTED = 70, 130
"""Exit codes of an error that nobody foresaw (EX_SOFTWARE of sysexits.h) and of Ctrl-C (128 + SIGINT)."""

_PIPE_WIDTH = 120

_PATHS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip
"""What the system says of a path that a caller gave wrongly, wherever it is first looked at."""

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")
]
Language = Annotated[
    str, typer.Option("--language", envvar="TARIFA_LANGUAGE", help="Language of what is printed: en or es.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error that nobody foresaw.")]

AcceptFailed = Annotated[
    str,
    typer.Option(
        "--accept-failed",
        metavar="CHECK[,CHECK...]",
        help="Failed checks of the run's passport that you accept, each by its name.",
    ),
]

HeldBy = Annotated[
    Path | None,
    typer.Option("--plan", help="Plan of a trial (`tarifa impact plan`): what it holds out keeps its price."),
]

Restart = Annotated[
    bool, typer.Option("--restart", help="Start anew where an earlier call was stopped, and not go on.")
]
AllAgreed = Annotated[
    bool, typer.Option("--panel", help="All customers agreed to be read, as a research panel does.")
]

Told = Callable[[str, float], None]
"""Told what is being done and the share that is done, 0-1."""


@dataclass(frozen=True)
class Outcome:
    """What a command found.

    Attributes
    ----------
    document
        For programs: JSON-able.
    shown
        For people, printed one below the other.
    error
        Reported after the result; its exit code becomes the command's.
    """

    document: Mapping[str, object]
    shown: tuple[RenderableType, ...] = ()
    error: TarifaError | None = None


def _console() -> Console:
    """Return standard output: as wide as the terminal, or wide enough for our tables in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


@dataclass(frozen=True)
class Session:
    """One call of a command.

    Attributes
    ----------
    texts
        In the caller's language.
    as_json
        Only a JSON document goes to standard output.
    out, err
        Where results and everything else go.
    """

    texts: Texts
    as_json: bool
    out: Console = field(default_factory=_console)
    err: Console = field(default_factory=lambda: Console(stderr=True))

    @property
    def talks(self) -> bool:
        """Whether somebody sits there who can answer a question."""
        return sys.stdin.isatty() and self.err.is_terminal and not self.as_json

    @contextmanager
    def progress(self, title: str) -> Generator[Told]:
        """Show a bar on standard error while something runs, if that is a terminal."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        quiet = not self.err.is_terminal
        with Progress(*columns, console=self.err, disable=quiet, transient=True) as bar:
            task = bar.add_task(title, total=1.0)

            def told(what: str, share: float) -> None:
                bar.update(task, description=f"{title}: {what}", completed=share)

            yield told


def named(words: str) -> tuple[str, ...]:
    """Return what an option names, separated by commas; each name once."""
    return tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))


def carry_out(work: Callable[[Session], Outcome], *, as_json: bool, language: str, debug: bool) -> None:
    """Run a command to its end: print what it found, or how it failed, and exit accordingly.

    Parameters
    ----------
    work
        The command.
    as_json, language, debug
        Options that every command has.

    Raises
    ------
    typer.Exit
        With the exit code of `docs/cli.md`, where it is not 0.
    """
    session = Session(texts("en"), as_json)
    try:
        session = Session(texts(language), as_json)
        outcome = work(session)
        _show(session, outcome)
        if outcome.error is not None:
            _fail(session, outcome.error, document=False)
    except TarifaError as error:
        _fail(session, error)
    except KeyboardInterrupt:
        session.err.print(session.texts.text("problem", "interrupted"), style="yellow")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # the outermost edge: a user sees a sentence, never a traceback
        if isinstance(error, OSError) and error.filename is not None and error.errno in _PATHS:
            what, todo = f"{error.filename}: {error.strerror}.", "Give another path, or permission."
            _fail(session, UsageError(what, todo=todo))
        if debug:
            raise
        todo = "Run it again with --debug, and report what it prints."
        found = TarifaError(f"{type(error).__name__}: {error}", todo=todo)
        _report(session, "internal", found)
        raise typer.Exit(INTERNAL) from error


def _fail(session: Session, error: TarifaError, *, document: bool = True) -> NoReturn:
    _report(session, error.code, error, document=document)
    raise typer.Exit(error.exit_code) from error


def _report(session: Session, code: str, error: TarifaError, *, document: bool = True) -> None:
    heading, word, said = session.texts.text("problem", code), session.texts.text, session.texts.reworded
    what, why, todo = said(error.what), said(error.why), said(error.todo)
    if session.as_json and document:
        facts = {"code": code, "title": heading, "what": what, "why": why, "todo": todo}
        _write_json({"error": facts})
    session.err.print(f"{heading}: ", style="bold red", end="", markup=False, highlight=False)
    session.err.print(what, markup=False, highlight=False)
    for name, text in (("why", why), ("todo", todo)):
        if text:
            session.err.print(f"  {word('word', name)}: {text}", markup=False, highlight=False)


def _show(session: Session, outcome: Outcome) -> None:
    if session.as_json:
        _write_json(outcome.document)
        return
    for part in outcome.shown:
        session.out.print(part)


def written(document: Mapping[str, object]) -> str:
    """Return a document as JSON text: NaN and infinity, which JSON has not, are null."""
    return json.dumps(_finite(document), ensure_ascii=False, indent=2) + "\n"


def _write_json(document: Mapping[str, object]) -> None:
    text = json.dumps(_finite(document), ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # a terminal without these letters, or a path that is no text
        text = json.dumps(_finite(document), indent=2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    """Return JSON-able values with NaN and infinity as null: JSON has neither."""
    if _is(value, float):
        return value if value - value == 0.0 else None
    if _is(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if _is(value, list | tuple) else value


def _is(value: Any, kind: Any) -> bool:
    """Look without narrowing: what is written stays Any."""
    return isinstance(value, kind)
