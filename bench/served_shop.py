"""A real service in a process of its own, for the benches that ask one over HTTP."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

SERVE = ("-m", "api.cli.main", "serve")
STATIC = ("--port", "0", "--policy", "static")
"""`SERVE run STATIC` serves a run on a free port."""


@dataclass(frozen=True)
class Listening:
    """A service that listens, ready or not: its address, and the number of its process."""

    address: str
    process: int

    @property
    def port(self) -> int:
        """Where it listens on this machine."""
        return int(self.address.rpartition(":")[2])


@contextmanager
def served(call: Sequence[str]) -> Generator[Listening]:
    """Call Python at the root of the code; yield once its log says where it listens, and end it after."""
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, *call], stderr=subprocess.PIPE, cwd=root) as process:
        said, stream = "", cast("IO[bytes]", process.stderr)
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            line = stream.readline().decode()
            if not line:
                raise SystemExit(said)
            said += line
        log = subprocess.Popen(["cat"], stdin=stream, stdout=subprocess.DEVNULL)
        try:
            yield Listening(found[0], process.pid)
        finally:
            process.terminate()
            process.wait()
            log.wait()
