"""Answers read field by field: what is missing or of another type is no answer of Tarifa."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarifa_client.errors import Malformed

__all__ = ["flag", "integer", "listed", "maybe", "number", "read_object", "text"]


def read_object(value: Any) -> Mapping[str, Any]:
    """Return a JSON object; raises :class:`Malformed` for anything else, as all here do."""
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType] - JSON
    raise Malformed("The answer is no JSON object.")


def text(found: Mapping[str, Any], name: str) -> str:
    """Return a text."""
    value = found.get(name)
    if isinstance(value, str):
        return value
    raise Malformed(f"The answer has no text {name}.")


def maybe(found: Mapping[str, Any], name: str) -> str | None:
    """Return a text, None where it is null."""
    return None if found.get(name) is None else text(found, name)


def integer(found: Mapping[str, Any], name: str) -> int:
    """Return an integer."""
    value = found.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Malformed(f"The answer has no integer {name}.")


def number(found: Mapping[str, Any], name: str) -> float:
    """Return a number."""
    value = found.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Malformed(f"The answer has no number {name}.")


def flag(found: Mapping[str, Any], name: str) -> bool:
    """Return a truth value."""
    value = found.get(name)
    if isinstance(value, bool):
        return value
    raise Malformed(f"The answer has no truth value {name}.")


def listed(found: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """Return a list of objects."""
    value: Any = found.get(name)
    if isinstance(value, list):
        return tuple(read_object(entry) for entry in value)  # pyright: ignore[reportUnknownVariableType] - JSON
    raise Malformed(f"The answer has no list {name}.")
