"""Readiness: whether what is to be served has been opened yet, and why not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pricing.errors import ArtifactError, BusyError, TarifaError

__all__ = ["Readiness"]

_Served = TypeVar("_Served")


class Readiness(Generic[_Served]):
    """Opens something in the background, once, and hands it out from then on.

    Parameters
    ----------
    open_it
        Opens what is served; a :class:`TarifaError` it raises is what everybody is told from then on.
    """

    def __init__(self, open_it: Callable[[], _Served]) -> None:
        self._open = open_it
        self._served: _Served | None = None
        self._failure: TarifaError | None = None
        self._ended = threading.Event()
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="opening", daemon=True)

    def start(self) -> None:
        """Begin to open; returns at once. A second call changes nothing, whoever makes it and when."""
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until it is opened or failed, at most `seconds`."""
        self._thread.join(seconds)

    def require(self) -> _Served:
        """Return what is served.

        Raises
        ------
        BusyError
            If it is still being opened.
        TarifaError
            Whatever kept it from being opened.
        ArtifactError
            If that was nothing anybody foresaw.
        """
        if self._failure is not None:
            raise self._failure
        if self._served is not None:
            return self._served
        if self._ended.is_set():
            raise ArtifactError(
                "The run could not be opened, for a reason that nobody foresaw; it was logged.",
                todo="Read the log, and start the service again.",
            )
        raise BusyError("The run is still being loaded.", todo="Ask again in a moment.")

    def _run(self) -> None:
        try:
            self._served = self._open()
        except TarifaError as error:
            self._failure = error
        finally:
            self._ended.set()
