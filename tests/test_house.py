"""The rules of the house, measured on the source itself (see docs/architecture.md, "Measures")."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pricing.coupon_rules import CouponRule, CouponSettings
from pricing.guardrails import GuardrailSettings, Rule, RuleClass, Status

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pricing", "simulators", "envs", "policies", "api")
DOCUMENTED = ("pricing", "simulators", "policies")
NOWHERE = {"utils", "util", "common", "helpers", "helper", "core", "misc"}
BROAD = {"Exception", "BaseException"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
Public = Function | ast.ClassDef


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(*folders: str) -> Iterator[tuple[Path, Function]]:
    for path in sources(*folders):
        for node in ast.walk(tree(path)):
            if isinstance(node, Function):
                yield path, node


def body_lines(function: Function) -> int:
    """Lines of the body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def says(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Show a measure in the test's output, whatever pytest captures."""
    with capsys.disabled():
        sys.stdout.write(f"\n{text}")


def test_no_file_is_longer_than_500_lines() -> None:
    assert {short(p): lines(p) for p in sources(*PACKAGES, "tests", "bench") if lines(p) > 500} == {}


def test_function_bodies_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    found = sorted(((body_lines(f), f"{short(p)}: {f.name}") for p, f in functions(*PACKAGES)), reverse=True)
    p95 = float(np.percentile([length for length, _ in found], 95))
    says(capsys, f"function bodies: {len(found)}, p95 {p95:.0f} lines, longest {found[0][0]} ({found[0][1]})")
    assert p95 <= 35, found[:20]


def test_modules_have_nouns_for_names() -> None:
    parts = {part for path in sources(*PACKAGES) for part in path.relative_to(ROOT).with_suffix("").parts}
    assert parts & NOWHERE == set()


def test_broad_excepts_stand_at_the_edge_only() -> None:
    broad = [
        f"{short(path)}:{node.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and _catches_all(node)
    ]
    assert [place for place in broad if not place.startswith("api/")] == []
    assert len(broad) <= 0.1 * sum(lines(path) for path in sources(*PACKAGES)) / 1000, broad


def _catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in BROAD for node in ast.walk(handler.type))


def test_dictionaries_are_returned_at_the_json_edge_only(capsys: pytest.CaptureFixture[str]) -> None:
    """The edge is `api`, which writes JSON, and `envs`, whose `info` Gymnasium wants as a dictionary."""
    every = list(functions(*PACKAGES))
    dicts = [f"{short(p)}: {f.name}" for p, f in every if f.returns and _is_dict(f.returns)]
    inside = [name for name in dicts if not name.startswith(("api/", "envs/"))]
    says(capsys, f"functions returning a dict: {len(dicts)} of {len(every)}, {len(inside)} off the edge")
    assert [name for name in inside if name.startswith("pricing/")] == []
    assert len(inside) < len(every) / 100, inside


def _is_dict(annotation: ast.expr) -> bool:
    whole = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(whole, ast.Name) and whole.id == "dict"


def test_everything_public_is_documented() -> None:
    assert [
        f"{short(path)}:{node.lineno} {node.name}"
        for path in sources(*DOCUMENTED)
        for node in _public(tree(path))
        if ast.get_docstring(node) is None
    ] == []


def _public(where: ast.Module | ast.ClassDef) -> Iterator[Public]:
    """Yield public functions and classes, and the public methods of public classes."""
    for node in where.body:
        if isinstance(node, Public) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def test_every_module_says_what_it_is() -> None:
    assert [short(p) for p in sources(*PACKAGES) if ast.get_docstring(tree(p)) is None] == []


def test_every_public_name_is_listed() -> None:
    wrong = []
    for path in sources(*PACKAGES):
        listed, defined, known = _names(tree(path))
        defined = set() if path.name == "routes.py" else defined  # handlers are reached by their routes
        wrong += [f"{short(path)}: {name} is not in __all__" for name in sorted(defined - listed)]
        wrong += [f"{short(path)}: __all__ names {name}" for name in sorted(listed - known)]
    assert wrong == []


def _names(module: ast.Module) -> tuple[set[str], set[str], set[str]]:
    """Return names in ``__all__``, public functions and classes defined, and every name of a module."""
    listed: set[str] = set()
    known: set[str] = set()
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {
            name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)
        }
        if "__all__" in names and isinstance(node, ast.Assign):
            listed = set(ast.literal_eval(node.value))
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        known |= names
    defined = {node.name for node in module.body if isinstance(node, Public)}
    return listed, {name for name in defined if not name.startswith("_")}, known | defined


def test_no_module_takes_part_in_an_import_cycle() -> None:
    modules = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in sources(*PACKAGES)}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    needs = {name: _imports(tree(path), set(modules)) - {name} for name, path in modules.items()}
    while free := [name for name, wanted in needs.items() if not wanted & needs.keys()]:
        for name in free:
            del needs[name]
    assert sorted(needs) == []


def _imports(module: ast.Module, known: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & known) or {node.module}
    return found & known


def test_each_top_level_name_has_one_owner() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, ())) for name in PACKAGES} == {name: {"tarifa"} for name in PACKAGES}


def test_tests_are_about_as_long_as_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    source, tests = (sum(lines(path) for path in sources(*folders)) for folders in (PACKAGES, ("tests",)))
    says(capsys, f"test lines per source line: {tests} / {source} = {tests / source:.2f} (aim 1.0)")
    assert tests > 0


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "guardrails.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.label)
def test_every_rule_is_documented(rule: Rule, page: str) -> None:
    """Each has a section of its own that states its class and whether it is hard."""
    head = f"### {rule.value + 1}. `{rule.label}`"
    assert head in page
    section = page.split(head, 1)[1].split("\n### ", 1)[0]
    kind = rule.kind.name.lower().replace("_", " ")
    assert f"**{kind}, {'hard' if rule.hard else 'soft'}**" in section
    for part in ("Protects", "Setting", "Example"):
        assert f"- *{part}*:" in section, f"{rule.label} says nothing of: {part}"


@pytest.mark.parametrize("rule", CouponRule, ids=lambda rule: rule.label)
def test_every_rule_of_coupons_is_documented(rule: CouponRule) -> None:
    coupons = (ROOT / "docs" / "coupon-guardrails.md").read_text(encoding="utf-8")
    head = f"### {rule.value + 1}. `{rule.label}`"
    assert head in coupons
    section = coupons.split(head, 1)[1].split("\n### ", 1)[0]
    assert f"**{rule.kind.name.lower().replace('_', ' ')}**" in section
    for part in ("Protects", "Setting", "Example"):
        assert f"- *{part}*:" in section, f"{rule.label} says nothing of: {part}"


@pytest.mark.parametrize("field", CouponSettings.__dataclass_fields__)
def test_every_setting_of_coupons_is_documented(field: str) -> None:
    assert f"`{field}`" in (ROOT / "docs" / "coupon-guardrails.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", GuardrailSettings.__dataclass_fields__)
def test_every_guardrail_setting_is_documented(field: str, page: str) -> None:
    assert f"`{field}`" in page


@pytest.mark.parametrize("word", [*Status, *RuleClass], ids=lambda word: word.name.lower())
def test_every_status_and_class_is_explained(word: Status | RuleClass, page: str) -> None:
    name = word.name.lower()
    assert f"`{name}`" in page if isinstance(word, Status) else name.replace("_", " ") in page
