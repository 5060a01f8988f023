"""How quick the pages are on a shop of ten thousand products, in a real Chromium, from press to picture.

The service is the real command in a process of its own. An interaction is timed in the browser: from the key
or the mouse button to the first frame painted after the page has changed, the short wait after the last key
included. What records ten thousand reviews takes longer: there the first frame that says so is timed too.

.venv/bin/python bench/desk.py [products]
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Page, sync_playwright

from bench.desk_shop import desk_shelf, write_desk_run
from bench.served_shop import SERVE, STATIC, served

LOAD, INTERACTION, TIMES, WHOLE = 1000.0, 100.0, 20, 4
UNBOUND = ("put a round up", "carry out: all is recorded")
"""Once a week, and recorded row by row in a chain: measured, not bound."""
_CLOCK = """() => {
  window.took = []; window.reacted = [];
  let pressed = 0;
  const painted = (times) => {
    const from = pressed;
    requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - from)));
  };
  for (const kind of ['keydown', 'mousedown', 'change'])
    document.addEventListener(kind, () => { pressed = performance.now(); }, true);
  document.addEventListener('htmx:afterSettle', () => painted(window.took));
  document.addEventListener('htmx:beforeRequest', () => painted(window.reacted));
}"""


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


def interactions(page: Page) -> dict[str, tuple[str, Callable[[int], object]]]:
    """Return what is timed, by name: on which list, and what is done; each is told how often it was done."""
    waiting, every = "/desk", "/desk?state=all"

    def preview(_: int) -> None:
        page.locator("#bulk button[value=approve]").click()

    def reject(_: int) -> None:
        page.locator(".refuse button").first.click()

    return {
        "search, one key": (
            waiting,
            lambda i: page.locator("#search").press("tea, ov"[i % 14] if i % 14 < 7 else "Backspace"),
        ),
        "filter": (
            waiting,
            lambda i: page.locator("select[name=category]").select_option(index=1 + i % 3),
        ),
        "sort": (waiting, lambda i: page.locator("thead a").nth(i % 4).click()),
        "sort all": (every, lambda i: page.locator("thead a").nth(i % 4).click()),
        "next page": (waiting, lambda _: page.locator(".pager a").last.click()),
        "open a row": (waiting, lambda i: page.locator("[data-more]").nth(i % 20).click()),
        "approve one": (waiting, lambda _: page.locator("button.yes").first.click()),
        "reject one": (waiting, reject),
        "preview of what waits": (waiting, preview),
        "preview of all": (every, preview),
    }


def opened(page: Page) -> None:
    """Open the panel of the first row that waits, and say why it is rejected."""
    page.locator("tbody.pending [data-more]").first.click()
    page.locator(".refuse input[name=reason]").first.fill("no")
    time.sleep(0.3)


def in_bulk(page: Page, base: str) -> dict[str, list[float]]:
    """Return how long approving and withdrawing everything takes, and until the page says that it does."""
    found: dict[str, list[float]] = {"carry out: it says so": [], "carry out: all is recorded": []}
    for i in range(WHOLE):
        page.goto(f"{base}/desk?state=all")
        page.evaluate(_CLOCK)
        took(page, page.locator(f"#bulk button[value={('approve', 'withdraw')[i % 2]}]").click)
        whole = took(page, page.locator(".preview button.main").click)
        found["carry out: it says so"].append(float(page.evaluate("window.reacted.at(-1)")))
        found["carry out: all is recorded"].append(whole)
    return found


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
        for name, (place, act) in interactions(page).items():
            page.goto(f"{base}{place}")
            page.evaluate(_CLOCK)
            found[name] = []
            for i in range(TIMES):
                if name == "reject one":
                    opened(page)
                found[name].append(took(page, partial(act, i)))
        found |= in_bulk(page, base)
    return found


def late(values: list[float]) -> float:
    """Return the 95th percentile: the smallest value that 95 % of them do not exceed."""
    return sorted(values)[max(math.ceil(0.95 * len(values)) - 1, 0)]


def main() -> int:
    """Measure, print, and return 0 where 95 % of everything holds its bound."""
    products = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        run = write_desk_run(Path(folder).resolve() / "run", desk_shelf(products))
        with served([*SERVE, str(run), *STATIC]) as at:
            found = measure(at.address)
            load = os.getloadavg()[0]
    print(f"{products} products; load average {load:.1f} on {os.cpu_count()} processors; milliseconds")
    print(f"{'':28}{'median':>8}{'95 %':>8}{'bound':>8}")
    good = True
    for name, values in found.items():
        middle, slow = statistics.median(values), late(values)
        if name in UNBOUND:
            print(f"{name:28}{middle:8.0f}{slow:8.0f}{'':8}")
            continue
        bound = LOAD if name.startswith("load") else INTERACTION
        good &= slow <= bound
        verdict = "pass" if slow <= bound else "median only" if middle <= bound else "FAIL"
        print(f"{name:28}{middle:8.0f}{slow:8.0f}{bound:8.0f}  {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
