"""The one seam for scale: work split into plain values, run anywhere, answered in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from pricing.errors import BusyError

__all__ = ["Executor", "InProcess", "Progress"]

Progress = Callable[[int, int], None]
"""Called with (done, all) in the caller's process."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Executor(Protocol):
    """Runs one function over many plain values.

    A process pool is the embedded implementation; an existing distributed engine is another. The
    function is importable by name, items and results pickle, and whatever is random in an item is in its
    seed, so results do not depend on the number of workers.
    """

    def submit(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        progress: Progress | None = None,
        done: Mapping[int, _Result] | None = None,
    ) -> Iterator[_Result]:
        """Yield the result of every item in the order of the items.

        Parameters
        ----------
        task
            Importable function of one item.
        items
            Plain values.
        progress
            Told after each finished item.
        done
            Results known already, by position: a stopped run resumes by passing what it has.
        """
        ...

    def cancel(self) -> None:
        """Stop what has not begun; :meth:`submit` then raises after the results that are ready."""
        ...


class InProcess:
    """Runs everything in the calling process, one after the other: for small work, as in a notebook."""

    def __init__(self) -> None:
        self._cancelled = False

    def submit(
        self,
        task: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        progress: Progress | None = None,
        done: Mapping[int, _Result] | None = None,
    ) -> Iterator[_Result]:
        """Yield the result of every item in the order of the items; see :meth:`Executor.submit`.

        Raises
        ------
        BusyError
            If it was cancelled and an item is not done.
        """
        known = dict(done or {})
        finished = len(known)
        for place, item in enumerate(items):
            if place not in known:
                if self._cancelled:
                    raise BusyError(f"Stopped before item {place} of {len(items)}.", todo="Run it again.")
                known[place] = task(item)
                finished += 1
                if progress is not None:
                    progress(finished, len(items))
            yield known[place]

    def cancel(self) -> None:
        """Stop before the next item that is not done."""
        self._cancelled = True
