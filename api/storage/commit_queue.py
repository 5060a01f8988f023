"""One writer, many effects a commit: what waits together becomes durable together.

A durable commit waits for the disk, and only one can be written at a time. So callers queue up, and a thread
carries out everything that waits in one transaction, each effect in a savepoint of its own: one that is
refused leaves nothing and harms no other. Nobody is answered before the commit. Several processes on one
database have a queue each; SQLite lets their transactions through one after the other.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import OperationalError

from api.storage.database import Database, Transaction
from api.storage.ledger_audit import Work, append
from api.storage.statements import savepoint
from pricing.errors import BusyError

__all__ = ["CommitQueue"]

Answer = TypeVar("Answer")

_MOST_WAITING = 1024
_AT_ONCE = 64
_GATHER = 0.002
"""Seconds to wait at most for as many as were answered together last: they are about to ask again."""

_DATABASE = (OperationalError, sqlite3.OperationalError)
"""What the database itself fails of: a full disk, a lock."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An effect, and where its answer goes."""

    effect: Callable[[Work], Any]
    answer: Future[Any]


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of an effect; its caller learns it after the commit."""

    answer: Future[Any]
    value: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Answer the caller."""
        if self.error is None:
            self.answer.set_result(self.value)
        else:
            self.answer.set_exception(self.error)


class CommitQueue:
    """The one writer of a process.

    Parameters
    ----------
    database
        Where effects are written.
    most_waiting
        Effects that may wait; more are refused, so that nobody waits for longer than they would want.
    at_once
        Effects of one commit at most.
    """

    def __init__(
        self, database: Database, most_waiting: int = _MOST_WAITING, at_once: int = _AT_ONCE
    ) -> None:
        self._database = database
        self._most = most_waiting
        self._at_once = at_once
        self._waiting = deque[_Waiting]()
        self._changed = threading.Condition()
        self._closed = False
        self._last = 0
        self._gathering = False
        self._thread: threading.Thread | None = None

    def submit(self, effect: Callable[[Work], Answer]) -> Answer:
        """Carry out an effect; its answer comes when it is durable.

        Raises
        ------
        BusyError
            If too many wait already, or the database cannot be written.
        TarifaError
            Whatever the effect raises; then it left nothing.
        """
        (answer,) = self.submit_all((effect,))
        return answer.result()

    def submit_all(self, effects: Sequence[Callable[[Work], Answer]]) -> Sequence[Future[Answer]]:
        """Have effects carried out one after the other, in one commit where they fit; return at once.

        Each is an effect of its own: its answer, or what it raises, comes when it is durable, and one that is
        refused harms no other. Whoever asks meanwhile waits for all of them.

        Raises
        ------
        BusyError
            If too many wait already; then none of them is carried out.
        """
        some = [_Waiting(effect, Future()) for effect in effects]
        with self._changed:
            if self._closed or len(self._waiting) + len(some) > self._most:
                raise BusyError("Too many redemptions wait to be recorded.", todo="Ask again in a moment.")
            self._waiting.extend(some)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()
            if not self._gathering or self._full():
                self._changed.notify()
        return [waiting.answer for waiting in some]

    def close(self) -> None:
        """Carry out what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while some := self._next():
            try:
                with self._database.writing() as transaction:
                    done = self._carry_out(transaction, some)
            except Exception as error:  # noqa: BLE001 - nothing was committed; each caller is told why
                done = [_Done(waiting.answer, error=error) for waiting in some]
            for one in done:
                one.tell()

    def _next(self) -> list[_Waiting]:
        """Wait for effects; return none when the queue has ended.

        Those who were answered together come back one by one. Taken as they come they would split into many
        small commits, each of which waits for the disk.
        """
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            self._gathering = True
            self._changed.wait_for(self._full, _GATHER)
            self._gathering = False
            count = min(len(self._waiting), self._at_once)
            self._last = count
            return [self._waiting.popleft() for _ in range(count)]

    def _full(self) -> bool:
        """Whether as many wait as were answered together last, so that nobody else is likely to come now."""
        return self._closed or len(self._waiting) >= self._last

    def _carry_out(self, transaction: Transaction, some: list[_Waiting]) -> list[_Done]:
        done, rows = list[_Done](), list[tuple[str, str, str]]()
        for waiting in some:
            work = Work(transaction)
            try:
                with savepoint(transaction.connection):
                    value = waiting.effect(work)
            except _DATABASE:  # nothing of this transaction can be kept
                raise
            except Exception as error:  # noqa: BLE001 - whatever one effect fails of, the others go on
                done.append(_Done(waiting.answer, error=error))
            else:
                rows += work.rows
                done.append(_Done(waiting.answer, value))
        append(transaction, rows)
        return done
