"""How long the machine takes for each command of the tutorials, walked as they are written.

.venv/bin/python bench/walk.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.api.walk import PAGES, walk


def main() -> None:
    """Walk each page in a new folder and print its commands with their times."""
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            steps = walk(page, Path(folder))
        print(f"{page.name}: {sum(step.seconds for step in steps):.0f} s")
        for step in steps:
            print(f"{step.seconds:8.1f} s  {step.command[:100]}")


if __name__ == "__main__":
    main()
