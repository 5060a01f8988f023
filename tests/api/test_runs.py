from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from api.runs import open_shelf, read_past, read_shelf
from policies.serve.shelf import CORRIDOR_FILE, Corridor
from pricing.errors import ArtifactError
from simulators.folders import write_folder
from tests.api.runs import toy_shelf, write_run


def test_a_shelf_survives_the_disk(tmp_path: Path) -> None:
    shelf = toy_shelf()
    again = open_shelf(write_run(tmp_path / "run", shelf))
    assert again.corridor == shelf.corridor
    assert again.files() == shelf.files()
    assert again.model.to_bytes() == shelf.model.to_bytes()
    assert again.digest != open_shelf(write_run(tmp_path / "other", toy_shelf(seed=1))).digest


@pytest.mark.parametrize("name", ["model.npz", "catalogue.npz", CORRIDOR_FILE])
def test_a_changed_or_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", toy_shelf())
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[:-1])
    with pytest.raises(ArtifactError, match="has changed"):
        open_shelf(run)
    (run / name).unlink()
    with pytest.raises(ArtifactError, match="missing"):
        open_shelf(run)


def test_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no folder"):
        open_shelf(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="not written by Tarifa"):
        open_shelf(tmp_path)
    write_folder(tmp_path / "data", "data", {"orders.csv": b""})
    with pytest.raises(ArtifactError, match="data folder"):
        open_shelf(tmp_path / "data")
    write_folder(tmp_path / "bare", "run", {"model.npz": b""})
    with pytest.raises(ArtifactError, match=r"no catalogue\.npz and no corridor\.json"):
        open_shelf(tmp_path / "bare")


@pytest.mark.parametrize("change", [{"schema": 2}, {"ladder_size": None, "extra": 1}, {"settings": {}}])
def test_a_corridor_that_cannot_be_read_is_refused(change: dict[str, object]) -> None:
    body = json.loads(toy_shelf().corridor.to_bytes())
    with pytest.raises(ArtifactError, match="corridor"):
        Corridor.from_bytes(json.dumps({**body, **change}).encode())


def test_a_fitted_run_remembers_its_past_and_an_older_one_is_read_without(
    run_folder: Path, tmp_path: Path
) -> None:
    catalogue = read_shelf(run_folder).catalogue
    seen = read_past(run_folder, catalogue).seen(0)
    assert seen is not None
    assert str(seen.days[-1]) < catalogue.as_of <= str(seen.days[-1] + np.timedelta64(7, "D"))
    assert seen.units.sum() > 0
    assert (run_folder / "names.json").is_file()
    older = write_run(tmp_path / "older", toy_shelf())
    assert read_past(older, read_shelf(older).catalogue).seen(0) is None
