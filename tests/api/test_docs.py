"""A route, command, option or exit code that is not documented, or documented and gone, fails here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from fastapi.routing import APIRoute

from api.app import LOGGED, create_app
from api.cli.demo import demo
from api.cli.main import app
from api.cli.session import INTERNAL, INTERRUPTED
from api.desk.routes import router as desk
from api.prices.schemas import RecommendationRequest
from api.prices.service import Desk
from pricing.errors import BusyError, TarifaError

DOCS = Path(__file__).parents[2] / "docs"


def _nobody() -> Desk:
    raise BusyError("nothing is served here")


def _errors(kind: type[TarifaError] = TarifaError) -> list[type[TarifaError]]:
    return [kind, *(error for child in kind.__subclasses__() for error in _errors(child))]


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    text = (DOCS / "api.md").read_text()
    paths = create_app(_nobody).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, found in paths.items() for method in found}
    assert routes == set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) [^`]+)` \|", text, re.MULTILINE))
    assert all(f"`{name}`" in text for name in RecommendationRequest.model_fields)
    assert all(f"`{name}`" in text for name in LOGGED)


def _flat(group: object, before: str = "") -> dict[str, Any]:
    """Return commands by name; one of a group has two words."""
    found: dict[str, Any] = {}
    for name, command in getattr(group, "commands").items():  # noqa: B009 - Typer types its group as any command
        inner = hasattr(command, "commands")
        found |= _flat(command, f"{before}{name} ") if inner else {f"{before}{name}": command}
    return found


def test_every_route_of_the_desk_is_documented_and_no_other() -> None:
    text = (DOCS / "desk.md").read_text()
    routes = {
        f"{method} {route.path}"
        for route in desk.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert routes == set(re.findall(r"^\| `((?:GET|POST) /desk[^`]*)` \|", text, re.MULTILINE))


def test_every_command_and_option_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    group = typer.main.get_command(app)
    commands = _flat(group)
    assert set(commands) == set(re.findall(r"^\| `tarifa ([a-z]+(?: [a-z]+)?)", text, re.MULTILINE))
    rows = dict(re.findall(r"^\| `([a-z ]+)` \| (`--.*)$", text, re.MULTILINE))
    for name, command in commands.items():
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("--") and option not in ("--help", "--json", "--language", "--debug"):
                    assert f"`{option}`" in rows[name], f"{name} {option}"
    alone = typer.Typer()
    alone.command()(demo)
    for parameter in typer.main.get_command(alone).params:
        option = parameter.opts[0]
        assert option in ("--help", "--debug", "--install-completion", "--show-completion") or option in text


def test_every_exit_code_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {0, INTERNAL, INTERRUPTED} | {error.exit_code for error in _errors()}


def test_every_code_with_a_status_of_its_own_stands_in_the_table_of_problems() -> None:
    table = (DOCS / "api.md").read_text().split("## Problems", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|", table, re.MULTILINE)
    for error in set(_errors()) - {TarifaError}:
        if "status" in vars(error):
            assert any(str(error.status) in status and f"`{error.code}`" in codes for status, codes in rows)
