"""Linear algebra on one thread, in the command and what it starts, unless somebody wants more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SHOWN = """
import api.cli.main, numpy, scipy.linalg, threadpoolctl
numpy.ones((300, 300)) @ numpy.ones((300, 300))
print(*{one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"})
"""


@pytest.mark.parametrize("wanted", [None, "2"])
def test_the_command_computes_on_one_thread_or_as_many_as_it_was_told(wanted: str | None) -> None:
    known = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    env = known | ({} if wanted is None else {"OPENBLAS_NUM_THREADS": wanted})
    said = subprocess.run(
        [sys.executable, "-c", _SHOWN], capture_output=True, text=True, check=True, env=env
    ).stdout
    assert said.split() == [wanted or "1"]
