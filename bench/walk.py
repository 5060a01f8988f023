"""How long the machine takes for each command of the tutorials, walked as they are written.

The shop is the small one of the tutorials, or of any size. What a walk leaves behind can be kept: exports,
data, home of the cycles, what was published.

.venv/bin/python bench/walk.py [FOLDER] [--products 3000 --weeks 26 --rate 3 --accept origins --act-on-prior]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.api.walk import PAGES, Page, Step, walk
from tests.api.walk_shop import SMALL, Size


def main() -> None:
    """Walk each page in a new folder and print its commands with their times."""
    said = _options()
    size = Size(said.products, said.weeks, said.rate)
    accept: tuple[str, ...] | None = None if said.accept is None else tuple(str(said.accept).split(","))
    settings = "[guardrails]\nact_on_prior = true" if said.act_on_prior else ""
    with tempfile.TemporaryDirectory() as temporary:
        root = said.folder or Path(temporary)
        for page in PAGES:
            folder = root / page.name.removesuffix(".md")
            folder.mkdir(parents=True)
            _tell(page, walk(page, folder, size, accept, settings))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?", help="keeps what a walk leaves behind")
    parser.add_argument("--products", type=int, default=SMALL.products)
    parser.add_argument("--weeks", type=int, default=SMALL.weeks)
    parser.add_argument("--rate", type=float, default=SMALL.rate, help="units a product sells a week")
    parser.add_argument("--accept", help="failed checks that are accepted, by commas; default: the page's")
    parser.add_argument("--act-on-prior", action="store_true", help="let similar products speak")
    return parser.parse_args()


def _tell(page: Page, steps: list[Step]) -> None:
    print(f"{page.name}: {sum(step.seconds for step in steps):.0f} s")
    for step in steps:
        print(f"{step.seconds:8.1f} s  {step.command[:100]}")


if __name__ == "__main__":
    main()
