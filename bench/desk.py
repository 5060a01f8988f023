"""How quick the pages are on a shop of ten thousand products, in a real Chromium, from press to picture.

The service is the real command in a process of its own. An interaction is timed in the browser: from the key
or the mouse button to the first frame painted after the page has changed, the short wait after the last key
included.

.venv/bin/python bench/desk.py [products]
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Page, sync_playwright

from bench.desk_shop import desk_shelf, write_desk_run

LOAD, INTERACTION, TIMES = 1000.0, 100.0, 9
_CLOCK = """() => {
  window.took = [];
  let pressed = 0;
  for (const kind of ['keydown', 'mousedown', 'change'])
    document.addEventListener(kind, () => { pressed = performance.now(); }, true);
  document.addEventListener('htmx:afterSettle', () => {
    const from = pressed;
    requestAnimationFrame(() => setTimeout(() => window.took.push(performance.now() - from)));
  });
}"""


@contextmanager
def served(folder: Path, products: int) -> Generator[str]:
    """Serve an invented shop; yield its address once it is ready."""
    run = write_desk_run(folder / "run", desk_shelf(products))
    call = [sys.executable, "-m", "api.cli.main", "serve", str(run), "--port", "0", "--policy", "static"]
    with subprocess.Popen(call, stderr=subprocess.PIPE, cwd=Path(__file__).parents[1]) as process:
        said, stream = "", cast("IO[bytes]", process.stderr)
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            line = stream.readline().decode()
            if not line:
                raise SystemExit(said)
            said += line
        log = subprocess.Popen(["cat"], stdin=stream, stdout=subprocess.DEVNULL)
        try:
            yield found[0]
        finally:
            process.terminate()
            process.wait()
            log.wait()


def loaded(page: Page, place: str) -> float:
    """Return the milliseconds until a page is there and its scripts have run."""
    page.goto(place)
    return float(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))


def took(page: Page, act: Callable[[], object]) -> float:
    """Return the milliseconds from a press to the picture that answers it."""
    before = int(page.evaluate("window.took.length"))
    time.sleep(0.3)  # nobody presses twice at once
    act()
    until = time.monotonic() + 30
    while int(page.evaluate("window.took.length")) == before:
        if time.monotonic() > until:
            raise SystemExit("an interaction was never answered")
        time.sleep(0.15)
    return float(page.evaluate("window.took.at(-1)"))


def interactions(page: Page) -> dict[str, Callable[[int], object]]:
    """Return what is timed, by name; each is told how often it was done."""
    return {
        "search, one key": lambda i: page.locator("#search").press(
            "tea, ov"[i % 7] if i < 7 else "Backspace"
        ),
        "filter": lambda i: page.locator("select[name=category]").select_option(index=1 + i % 3),
        "sort": lambda i: page.locator("thead a").nth(i % 4).click(),
        "next page": lambda _: page.locator(".pager a").last.click(),
        "approve one": lambda _: page.locator("button.yes").first.click(),
        "open a row": lambda i: page.locator("[data-more]").nth(i).click(),
        "bulk preview": lambda _: page.locator("#bulk button[value=approve]").click(),
    }


def measure(base: str) -> dict[str, list[float]]:
    """Return the milliseconds of everything, by name."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("There is no Chromium: sudo apt-get install chromium")
    found: dict[str, list[float]] = {}
    with sync_playwright() as driver:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        page = driver.chromium.launch(executable_path=path, args=flags).new_page(
            viewport={"width": 1280, "height": 860}
        )
        while page.goto(f"{base}/desk") is None or page.locator("[role=alert]").count():
            time.sleep(0.5)
        start = time.monotonic()
        page.locator("main form button").click(timeout=120_000)
        page.locator("table.items").wait_for(timeout=120_000)
        found["put a round up"] = [1000.0 * (time.monotonic() - start)]
        found["load the list"] = [loaded(page, f"{base}/desk") for _ in range(TIMES)]
        product = page.locator(".items .name a").first.get_attribute("href")
        found["load a product"] = [loaded(page, f"{base}{product}") for _ in range(TIMES)]
        for name, act in interactions(page).items():
            page.goto(f"{base}/desk")
            page.evaluate(_CLOCK)
            found[name] = [took(page, partial(act, i)) for i in range(TIMES)]
    return found


def main() -> int:
    """Measure, print, and return 0 where every bound holds."""
    products = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), products) as base:
        found = measure(base)
        load = os.getloadavg()[0]
    print(f"{products} products; load average {load:.1f} on {os.cpu_count()} processors; milliseconds")
    print(f"{'':20}{'median':>8}{'worst':>8}{'bound':>8}")
    good = True
    for name, values in found.items():
        bound = LOAD if name.startswith("load") else INTERACTION
        middle = statistics.median(values)
        if name == "put a round up":
            print(f"{name:20}{middle:8.0f}{'':8}{'':8}  once a week")
            continue
        good &= middle <= bound
        verdict = "pass" if middle <= bound else "FAIL"
        print(f"{name:20}{middle:8.0f}{max(values):8.0f}{bound:8.0f}  {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
