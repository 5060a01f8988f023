from __future__ import annotations

import json

import pytest

from pricing.errors import ArtifactError
from pricing.marker import Marker

_FILES = {"b.npz": "22", "a.npz": "11", "shop.toml": "33"}


def _marker(**changes: object) -> bytes:
    body = {"kind": "run", "version": 1, "files": _FILES, "editable": ["shop.toml"], **changes}
    return json.dumps(body).encode()


def test_what_was_written_is_trusted() -> None:
    marker = Marker.parse(_marker(), "run")
    marker.require("run", 1, "run")
    assert [name for name, _ in marker.digests] == ["a.npz", "b.npz", "shop.toml"]
    for name, value in _FILES.items():
        marker.judge(name, value, "run")
    marker.judge("shop.toml", "changed by hand", "run")


@pytest.mark.parametrize(("found", "says"), [(None, "missing"), ("00", "has changed")])
def test_a_missing_or_changed_file_is_refused(found: str | None, says: str) -> None:
    with pytest.raises(ArtifactError, match=rf"a\.npz .*{says}|a\.npz is {says}"):
        Marker.parse(_marker(), "run").judge("a.npz", found, "run")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", _marker(files=[]), _marker(version="x"), _marker(editable=3)]
)
def test_a_damaged_marker_is_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        Marker.parse(content, "run")


def test_another_kind_and_a_newer_schema_are_refused() -> None:
    with pytest.raises(ArtifactError, match="is a data folder"):
        Marker.parse(_marker(kind="data"), "x").require("run", 1, "x")
    with pytest.raises(ArtifactError, match="schema 2"):
        Marker.parse(_marker(version=2), "x").require("run", 1, "x")
