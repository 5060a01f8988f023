from __future__ import annotations

import signal
from pathlib import Path

import pytest

from simulators.one_thread import compute_on_one_thread

compute_on_one_thread()

from simulators.importers.complete_journey import import_complete_journey  # noqa: E402 - NumPy comes after it
from tests.once import once  # noqa: E402 - the same

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In the background an interrupt is ignored, children inherit that, and tests interrupt theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def complete_journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Complete Journey as a data folder, imported once for all workers; read it, never write to it."""

    def make(root: Path) -> None:
        import_complete_journey(root / "complete-journey", root / "complete-journey.key")

    return once(tmp_path_factory, "imported", make) / "complete-journey"
