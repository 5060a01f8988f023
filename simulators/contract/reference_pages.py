"""The parts of ``docs/`` that follow from the code: tables read and written, and settings of the shop file.

A page keeps its prose; what stands between two markers is generated, and a test fails when it is stale.
"""

from __future__ import annotations

from pricing.columns import Column, Table
from pricing.errors import UsageError
from pricing.outputs import OUTPUTS, SCENARIO, OutputColumn, OutputTable
from pricing.schema import TABLES
from simulators.contract.shop_file import shop_settings

__all__ = ["contract_tables", "output_tables", "refreshed", "scenario_table", "setting_tables"]

_START, _END = "<!-- generated: {} -->", "<!-- end of generated -->"


def contract_tables() -> str:
    """Return every table of the data contract as Markdown."""
    return "\n".join(_table(entry) for entry in TABLES)


def scenario_table() -> str:
    """Return the columns of a scenario as a Markdown table."""
    return "\n".join(_columns(SCENARIO)) + "\n"


def output_tables() -> str:
    """Return every table that Tarifa writes as Markdown."""
    return "\n".join(_output(entry) for entry in OUTPUTS)


def setting_tables() -> str:
    """Return every setting of ``shop.toml`` as a Markdown table."""
    rows = ["| setting | holds | default | meaning |", "|---|---|---|---|"]
    for entry in shop_settings():
        default = f"`{_one_line(entry.default)}`" if entry.default else "required"
        rows.append(f"| `{entry.path}` | {entry.kind} | {default} | {entry.meaning} |")
    return "\n".join(rows) + "\n"


def _one_line(value: str) -> str:
    """Return a list as one cell of a table can hold it."""
    return " ".join(value.split()).replace("[ ", "[").replace(", ]", "]")


def refreshed(page: str, name: str, content: str) -> str:
    """Return a page with the generated part `name` replaced.

    Raises
    ------
    UsageError
        If the page has no such part.
    """
    head, start, rest = page.partition(_START.format(name))
    _, end, tail = rest.partition(_END)
    if not start or not end:
        raise UsageError(f"The page has no part {_START.format(name)} ... {_END}.")
    return f"{head}{start}\n\n{content}\n{end}{tail}"


def _table(entry: Table) -> str:
    lines = [
        f"### {entry.name}{' (required)' if entry.required else ''}",
        "",
        f"{entry.meaning} Unlocks: {entry.unlocks[0].lower()}{entry.unlocks[1:]}",
        "",
        *_columns(entry),
        "",
    ]
    if entry.key:
        lines += [f"Key: {', '.join(entry.key)}.", ""]
    for group in entry.one_of:
        lines += [f"Each row fills {' or '.join(group)}.", ""]
    if entry.declared:
        lines += [f"Further columns are read as text if `attributes.{entry.name}` declares them.", ""]
    return "\n".join(lines)


def _columns(entry: Table) -> list[str]:
    head = ["| column | type | allowed | meaning |", "|---|---|---|---|"]
    return head + [_row(column) for column in entry.columns]


def _row(column: Column) -> str:
    name = f"**{column.name}**" if column.required else f"{column.name}?"
    meaning = f"{column.meaning} About a person." if column.personal else column.meaning
    return f"| {name} | {column.type.value} | {column.allowed} | {meaning} |"


def _output(entry: OutputTable) -> str:
    lines = [
        f"### {entry.name}",
        "",
        f"{entry.meaning} Written by `{entry.written_by}`, schema {entry.version}.",
        "",
        "| column | Arrow type | unit | meaning |",
        "|---|---|---|---|",
        *(_output_row(column) for column in entry.columns),
        "",
    ]
    if entry.key:
        lines += [f"Key: {', '.join(entry.key)}.", ""]
    return "\n".join(lines)


def _output_row(column: OutputColumn) -> str:
    name = f"{column.name}?" if column.nullable else f"**{column.name}**"
    few = "Always" if len(column.choices) == 1 else "One of"
    words = f" {few} {', '.join(column.choices)}." if column.choices else ""
    return f"| {name} | {column.type.value} | {column.unit} | {column.meaning}{words} |"
