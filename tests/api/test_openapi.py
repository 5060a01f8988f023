"""Whatever is sent, the service answers as its description says; bounded, so that it stays quick."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.access import Role, make_key
from api.app import create_app
from tests.api.runs import open_desk, toy_shelf, write_run

REFUSALS = positive_data_acceptance
"""Left out: a well-formed request for an unknown product or another day is refused with 422, on purpose."""

KEY: dict[str, str] = {}


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: object) -> bytes:
    """Bodies of batches are text, line by line."""
    return str(value).encode("utf-8", "replace")


@pytest.fixture
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    desk = open_desk(write_run(folder / "run", toy_shelf()), folder / "d.sqlite3")
    KEY["Authorization"] = f"Bearer {make_key(desk.store.database, 'somebody', Role.MANAGER)}"
    app = create_app(lambda: desk)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    listening = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    app.state.readiness.start()
    app.state.readiness.wait(30)
    while not server.started:
        time.sleep(0.01)
    yield schemathesis.openapi.from_url(f"http://127.0.0.1:{listening.getsockname()[1]}/openapi.json")
    server.should_exit = True
    thread.join()
    desk.store.close()


def test_every_answer_is_described(described: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) == 30

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=strategies.data())
    def answers_as_described(operation: Any, data: strategies.DataObject) -> None:
        data.draw(operation.as_strategy()).call_and_validate(headers=KEY, excluded_checks=[REFUSALS])

    for operation in operations:
        answers_as_described(operation)
