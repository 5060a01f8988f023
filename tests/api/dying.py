"""A cycle that is killed: a program that is given a home, a day, and the moment at which it dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from api.cli.main import app
from api.publishers.calls import Calls
from api.publishers.product_files import ProductFile
from api.publishers.workbook import PriceWorkbook
from api.storage import cycles, publications

_STEPS = ("import", "check", "outcomes", "learn", "validate", "recommend")
MOMENTS = (
    *(f"{when} {step}" for step in _STEPS for when in ("before", "after")),
    "before intend", "after intend", "before publish", "after publish", "after settle", "before confirm",
)  # fmt: skip


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: Any, name: str, moment: str, *, arms: Callable[..., bool] = lambda *_: True) -> None:
    """Die before or after a function that the cycle calls: the one thing that is not as it is in earnest."""
    when, real = moment.split(maxsplit=1)[0], getattr(owner, name)

    def dying(*given: Any, **named: Any) -> Any:
        armed = arms(*given)
        if armed and when == "before":
            _die()
        found = real(*given, **named)
        if armed:
            _die()
        return found

    setattr(owner, name, dying)


def main(home: str, today: str, moment: str) -> None:
    what = moment.rsplit(maxsplit=1)[-1]
    if what == "publish":
        for way in (ProductFile, PriceWorkbook):
            _around(way, "publish", moment)
    elif what == "send":
        _around(Calls, "send", moment, arms=lambda _calls, method, *_: method != "GET")
    elif what in ("intend", "settle", "confirm"):
        _around(publications, what, moment, arms=lambda *given: what != "intend" or bool(given[1]))
    elif moment != "never":
        # "before" a step is recorded its work is done already: what it leaves must not be done twice.
        _around(cycles, "put", moment, arms=lambda _transaction, _cycle, step, _content: step == what)
    app(["cycle", home, "--today", today, "--debug"])


if __name__ == "__main__":
    main(*sys.argv[1:])
