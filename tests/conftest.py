from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

import pytest

from simulators.importers.complete_journey import import_complete_journey

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In the background an interrupt is ignored, children inherit that, and tests interrupt theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def complete_journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Complete Journey as a data folder, imported once for all workers; read it, never write to it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    target = root / "complete-journey"
    with (root / "complete-journey.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            import_complete_journey(target, root / "complete-journey.key")
    return target
