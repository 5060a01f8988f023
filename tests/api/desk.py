"""A small shop behind the pages, and what a test of them asks again and again."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import httpx

from api.prices.service import Desk
from api.runs import open_shelf, read_past
from api.storage.store import Store
from bench.desk_shop import desk_shelf, write_desk_run
from policies.serve.incumbent import Incumbent
from policies.serve.resolve import Resolve
from pricing.approval import ApprovalSettings
from pricing.policy import Policy
from tests.api.client import Client

NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
SERIES = 60


def desk_of(
    folder: Path, approvals: ApprovalSettings | None = None, *, past: bool = True, default: str = "resolve"
) -> Desk:
    run = folder / "run"
    if not run.exists():
        write_desk_run(run, desk_shelf(SERIES, approvals=approvals), past=past)
    shelf = open_shelf(run)
    policies: dict[str, Policy] = {"incumbent": Incumbent(), "resolve": Resolve.of(shelf.scenario)}
    store = Store(f"sqlite:///{folder / 'd.sqlite3'}", lambda: NOON)
    return Desk(shelf, policies, default, store, None, read_past(run, shelf.catalogue))


def send(client: Client, url: str, **fields: str | list[str]) -> httpx.Response:
    return client.call("POST", url, data=fields, headers={"HX-Request": "true"})


def rows(page: str) -> list[tuple[str, str]]:
    """Return decision and etag of every proposal that can be decided on a page."""
    found = re.findall(
        r'<tbody id="p-([0-9a-f]{32})" class="item pending".*?name="etag" value="(\w+)"', page, re.DOTALL
    )
    assert found
    return found
