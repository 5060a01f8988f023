"""A real Chromium, headless, and a real server for it. Without one its tests are not run; in CI they fail."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from api.app import create_app
from api.prices.service import Desk

__all__ = ["chromium", "listening", "opened"]


def executable() -> str:
    found = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if found is None:
        told = "there is no Chromium: sudo apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return found


@contextmanager
def chromium() -> Generator[Browser]:
    """Start the system's Chromium; its sandbox does not take root."""
    path = executable()
    with sync_playwright() as driver:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextmanager
def listening(desk: Desk) -> Generator[str]:
    """Serve a desk; yield its address."""
    app = create_app(lambda: desk, ("127.0.0.1",))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    socket = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    app.state.readiness.wait(60)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def _is_wrong(said: ConsoleMessage) -> bool:
    """Return whether a console's line tells of a mistake; a request given up for a newer one is none."""
    return said.type == "error" and not said.text.startswith(("htmx:afterRequest,", "htmx:sendAbort,"))


@contextmanager
def opened(browser: Browser, base: str, width: int, language: str) -> Generator[tuple[Page, list[str]]]:
    """Open a page of a width in a language; yield it and whatever its console complains of."""
    height = 844 if width < 600 else 860
    context: BrowserContext = browser.new_context(
        base_url=base, viewport={"width": width, "height": height}, locale=language
    )
    page, wrong = context.new_page(), list[str]()
    page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page, wrong
    context.close()
