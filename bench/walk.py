"""How long the machine takes for each command of the tutorials, walked as they are written.

What a walk leaves behind can be kept: exports, data, home of the cycles, what was published.

.venv/bin/python bench/walk.py [folder]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.api.walk import PAGES, Page, Step, walk


def main() -> None:
    """Walk each page in a new folder and print its commands with their times."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        for page in PAGES:
            folder = root / page.name.removesuffix(".md")
            folder.mkdir(parents=True)
            _tell(page, walk(page, folder))


def _tell(page: Page, steps: list[Step]) -> None:
    print(f"{page.name}: {sum(step.seconds for step in steps):.0f} s")
    for step in steps:
        print(f"{step.seconds:8.1f} s  {step.command[:100]}")


if __name__ == "__main__":
    main()
