"""Heavy work in worker processes, behind :class:`pricing.executor.Executor`.

Workers are spawned, never forked: a fork copies threads' locks in whatever state they are. Results come back
in the order of the items; a worker that dies takes nothing with it but the items it had in hand.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pricing.errors import BusyError, UsageError
from pricing.executor import Progress

__all__ = ["ProcessPool", "fingerprint_of"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ProcessPool:
    """A pool of worker processes; use it as a context manager.

    Parameters
    ----------
    workers
        Number of processes, at least 1.
    retries
        How often an item is tried again after its worker was killed. An item that kills every worker is an
        error, not an endless loop.
    """

    def __init__(self, workers: int, *, retries: int = 1) -> None:
        if workers < 1:
            raise UsageError(f"{workers} workers do nothing.", todo="Give 1 or more.")
        self._workers = workers
        self._retries = retries
        self._cancelled = False
        self._pool = self._fresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        progress: Progress | None = None,
        done: Mapping[int, _Result] | None = None,
    ) -> Iterator[_Result]:
        """Yield the result of every item in order; see :meth:`pricing.executor.Executor.submit`.

        Raises
        ------
        BusyError
            If it was cancelled, or an item's workers were killed more often than `retries` allows.
        """
        known = dict(done or {})
        finished = len(known)
        waiting = {i: self._pool.submit(task, items[i]) for i in range(len(items)) if i not in known}
        tries = 0
        for i in range(len(items)):
            while i not in known:
                try:
                    known[i] = waiting[i].result()
                except CancelledError as error:
                    raise self._stopped(i, len(items)) from error
                except BrokenProcessPool as error:
                    tries += 1
                    if tries > self._retries:
                        raise BusyError(
                            f"A worker process was killed while item {i} of {len(items)} was in hand.",
                            why="The system ends processes when memory runs out.",
                            todo="Free memory or use fewer workers; what is finished need not be repeated.",
                        ) from error
                    self._pool = self._fresh()
                    waiting |= self._again(task, items, waiting, known)
                    continue
                tries = 0
                finished += 1
                if progress is not None:
                    progress(finished, len(items))
            yield known[i]

    def cancel(self) -> None:
        """Stop what has not begun; :meth:`submit` raises after the results that are ready."""
        self._cancelled = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _again(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        waiting: Mapping[int, Future[_Result]],
        known: Mapping[int, _Result],
    ) -> dict[int, Future[_Result]]:
        """Submit again what a broken pool had not finished."""
        lost = [
            i for i, f in waiting.items() if i not in known and (not f.done() or f.exception() is not None)
        ]
        return {i: self._pool.submit(task, items[i]) for i in lost}

    def _fresh(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_end_with_parent)

    def _stopped(self, position: int, count: int) -> BusyError:
        return BusyError(
            f"Stopped before item {position} of {count}.", todo="Run it again; finished items can be kept."
        )


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone.

    A pool's workers hold both ends of their queue, so one whose parent was killed would wait for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise UsageError("Only a worker ends with its parent; this process was started by nobody.")

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def fingerprint_of(folder: str) -> str:
    """Return the fingerprint of a data folder; runs in a worker, so serving never loads table code."""
    from simulators.contract.tables import open_source

    with open_source(Path(folder), today=dt.datetime.now(dt.UTC), only=("products",)) as source:
        return source.fingerprint
