"""TOML to frozen dataclasses and back, field by field, with an error that names the setting.

A setting is a dataclass field annotated with what it :class:`Says`: its documentation travels with it, into
the commented file that an importer writes and into ``docs/shop-file.md``.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomli_w

from pricing.errors import DataError, SettingsError
from pricing.money import Currency

__all__ = ["Says", "Setting", "parse", "render", "settings_of", "within"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Says:
    """Annotation of a setting.

    Attributes
    ----------
    meaning
        Its documentation, one sentence or two.
    money
        It is an amount of money in the file and minor units in the program.
    """

    meaning: str
    money: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting.

    Attributes
    ----------
    path
        Its place, for example ``guardrails.max_change`` or ``zones[].country``.
    kind
        What it holds, in words.
    default
        Its default as TOML; empty where it is required.
    meaning
        Its documentation.
    """

    path: str
    kind: str
    default: str
    meaning: str


def parse(kind: type[_T], values: Mapping[str, Any], currency: Currency, path: str = "") -> _T:
    """Build a settings dataclass from parsed TOML.

    Raises
    ------
    SettingsError
        For an unknown setting (with the nearest name), a missing one, or a value of another type.
    """
    declared = _declared(kind)
    known = [entry.name for entry in declared]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise SettingsError(
                f"{path}{name} is not a setting of shop.toml.",
                todo=f"Did you mean {path}{near[0]}?" if near else f"Known here: {', '.join(known)}.",
            )
    found: dict[str, Any] = {}
    for setting in declared:
        name, says = setting.name, setting.says
        if name in values:
            found[name] = _value(setting.hint, values[name], currency, f"{path}{name}", money=says.money)
        elif setting.entry.default is MISSING and setting.entry.default_factory is MISSING:
            raise SettingsError(f"shop.toml does not say {path}{name}.", todo=f"It means: {says.meaning}")
    return kind(**found)


@dataclass(frozen=True, slots=True)
class _Declared:
    """A field of a settings dataclass with its type and what it says."""

    entry: Field[Any]
    hint: Any
    says: Says

    @property
    def name(self) -> str:
        return self.entry.name


def _declared(kind: type[Any]) -> tuple[_Declared, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_Declared(entry, *get_args(hints[entry.name])) for entry in fields(kind))


def _value(hint: Any, value: Any, currency: Currency, path: str, *, money: bool) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(inner[0], value, currency, path, money=money)
    if is_dataclass(hint) and isinstance(hint, type):
        return parse(hint, _section(hint, value, path), currency, f"{path}.")
    if origin is tuple and _is(value, list):
        return tuple(_value(inner[0], v, currency, f"{path}[{i}]", money=money) for i, v in enumerate(value))
    if origin is Mapping and _is(value, dict):
        return {k: _value(inner[1], v, currency, f"{path}.{k}", money=money) for k, v in value.items()}
    return _scalar(hint, value, currency, path, money=money)


def _section(hint: type[Any], value: Any, path: str) -> dict[str, Any]:
    if not _is(value, dict):
        raise SettingsError(f"{path} = {value!r} is not a section.", todo=f"Write {_written(hint, path)}.")
    return value  # type: ignore[no-any-return] # TOML, see _is


def _written(hint: type[Any], path: str) -> str:
    """Say how a section is written that is not there yet."""
    names = ", ".join(declared.name for declared in _declared(hint))
    return f"a section [{path}] at the end of the file, and below it {names}"


def _is(value: Any, kind: type) -> bool:
    """Look without narrowing: parsed TOML stays Any until a hint says what it is."""
    return isinstance(value, kind)


def _scalar(hint: Any, value: Any, currency: Currency, path: str, *, money: bool) -> Any:
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if money and isinstance(value, int | Decimal | str) and not isinstance(value, bool):
        return _money(value, currency, path)
    if hint is float and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _finite(float(value), path)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise SettingsError(f"{path} = {value!r} is not {_kind(hint, money=money)}.", todo="Correct shop.toml.")


def _money(value: int | Decimal | str, currency: Currency, path: str) -> int:
    try:
        return currency.parse(format(value, "f") if isinstance(value, Decimal) else str(value))
    except DataError as error:
        raise SettingsError(f"{path}: {error.what}", todo=error.todo) from error


def _finite(value: float, path: str) -> float:
    if value - value != 0.0:
        raise SettingsError(f"{path} = {value} is not a finite number.", todo="Correct shop.toml.")
    return value


def settings_of(kind: type[Any], currency: Currency, path: str = "") -> tuple[Setting, ...]:
    """Return every setting of a settings dataclass, nested ones included, in the order of the file."""
    found: list[Setting] = []
    for declared in _declared(kind):
        entry, hint, says = declared.entry, declared.hint, declared.says
        found.append(
            Setting(
                f"{path}{entry.name}",
                _kind(hint, money=says.money),
                _default(entry, currency, money=says.money),
                says.meaning,
            )
        )
        nested, repeated = _nested(hint)
        if nested is not None:
            found.extend(settings_of(nested, currency, f"{path}{entry.name}{'[]' if repeated else ''}."))
    return tuple(found)


def render(values: Any, currency: Currency, path: str = "") -> str:
    """Write a settings dataclass as TOML with every setting's meaning as a comment above it."""
    plain: list[str] = []
    tables: list[str] = []
    for declared in _declared(values.__class__):
        name, hint, says = declared.name, declared.hint, declared.says
        value = getattr(values, name)
        comment = f"# {says.meaning}\n"
        nested, repeated = _nested(hint)
        if value is None or (nested is not None and repeated and not value):
            how = "" if nested is None or repeated else f"; to set it, write {_written(nested, path + name)}"
            plain.append(f"{comment}# {name}: not set{how}\n")
        elif nested is not None and not repeated:
            tables.append(f"{comment}[{path}{name}]\n{render(value, currency, f'{path}{name}.')}")
        elif nested is not None:
            rows = [f"[[{path}{name}]]\n{render(item, currency, f'{path}{name}.')}" for item in value]
            tables.append(comment + "\n".join(rows))
        elif _is(value, dict):
            tables.append(comment + _mapping(f"{path}{name}", value))
        else:
            plain.append(comment + _line(name, value, currency, money=says.money))
    return "\n".join([*plain, *tables])


def _mapping(path: str, value: dict[str, Any]) -> str:
    nested: dict[str, Any] = value
    for name in reversed(path.split(".")):
        nested = {name: nested}
    return tomli_w.dumps(nested) if value else f"[{path}]\n"


def _line(name: str, value: Any, currency: Currency, *, money: bool) -> str:
    if money:
        return tomli_w.dumps({name: Decimal(currency.decimal(int(value)))})
    return tomli_w.dumps({name: value})


def _nested(hint: Any) -> tuple[type[Any] | None, bool]:
    inner = [part for part in (hint, *get_args(hint)) if is_dataclass(part) and isinstance(part, type)]
    return (inner[0] if inner else None), get_origin(hint) is tuple


def _default(entry: Any, currency: Currency, *, money: bool) -> str:
    if entry.default_factory is not MISSING:
        return "{}"
    if entry.default is MISSING:
        return ""
    if entry.default is None:
        return "not set"
    if is_dataclass(entry.default):
        return "see below"
    return _line("x", entry.default, currency, money=money).removeprefix("x = ").strip()


def _kind(hint: Any, *, money: bool) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _kind(inner[0], money=money)
    if origin is tuple:
        return f"list of {_kind(inner[0], money=money)}"
    if origin is Mapping:
        return f"table of {_kind(inner[1], money=money)} by name"
    if origin is Literal:
        return "one of " + ", ".join(str(word) for word in inner)
    if is_dataclass(hint):
        return "table"
    words = {float: "number", int: "whole number", str: "text", bool: "true or false"}
    return "money" if money else words.get(hint, str(hint))


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a setting outside of `low` to `high`; raises :class:`pricing.errors.SettingsError`."""
    if not low <= value <= high:
        raise SettingsError(f"{name} = {value} is outside {low} to {high}.", todo="Correct shop.toml.")
