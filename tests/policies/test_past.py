"""What a run remembers for people: names and the past, as known before the decision and not after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.desk_shop import desk_shelf, names_of, past_of
from policies.serve.past import Past, names_to_bytes
from pricing.errors import ArtifactError
from pricing.panel import Panel


def test_the_past_comes_back_from_its_files() -> None:
    shelf = desk_shelf(5)
    panel, names = past_of(shelf), names_of(shelf)
    found = Past.from_files(shelf.catalogue, panel.to_bytes(), names_to_bytes(names))
    assert found.names == tuple(names[group] for group in shelf.catalogue.series.group)
    seen = found.seen(3)
    assert seen is not None
    np.testing.assert_array_equal(seen.units, panel.units[3])
    np.testing.assert_array_equal(seen.regular, panel.regular[3])
    assert len(seen.days) == 78


def test_prices_are_shelf_prices_and_nothing_known_later_is_shown() -> None:
    shelf = desk_shelf(4)
    catalogue = replace(shelf.catalogue, gross_share=np.full(4, 1.21), as_of="2023-12-18")
    panel = past_of(shelf)
    order = np.array([2, 0, 3, 1], dtype=np.int64)
    seen = Past.of(catalogue, panel.take(order)).seen(2)
    assert seen is not None
    assert seen.days[-1] == np.datetime64("2023-12-11")
    np.testing.assert_allclose(seen.offered, panel.offered[2, :-2] / 1.21)


def test_what_a_run_did_not_keep_is_not_made_up() -> None:
    shelf = desk_shelf(3)
    found = Past.from_files(shelf.catalogue, None, None)
    assert found.names == ("", "", "")
    assert found.seen(0) is None
    some = Past.of(shelf.catalogue, None, {"toy00001": "Olive oil", "gone": "Tea"})
    assert some.names == ("", "Olive oil", "")


def test_foreign_files_are_refused() -> None:
    shelf = desk_shelf(3)
    for names in (b"", b"[]", b"{}", b'{"schema": 1, "names": 3}', b"\xff", b'{"schema": 2, "names": {}}'):
        with pytest.raises(ArtifactError, match=r"names\.json"):
            Past.from_files(shelf.catalogue, None, names)
    with pytest.raises(ArtifactError):
        Past.from_files(shelf.catalogue, b"nothing", None)
    with pytest.raises(ArtifactError, match="Expected a panel"):
        Past.from_files(shelf.catalogue, shelf.catalogue.to_bytes(), None)
    few: Panel = past_of(shelf).take(np.array([0, 1], dtype=np.int64))
    with pytest.raises(ArtifactError, match="toy00002"):
        Past.of(shelf.catalogue, few)
