"""A root that grows: only whole scenes are in its tables, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from dataclasses import asdict
from pathlib import Path

import pytest

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import write_json
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.generation import GENERATION, GENERATION_KEY
from distilldrive_ros.worlds.dataset.root import VERSION, WORKSHOP, WorldRoot
from distilldrive_ros.worlds.scenarios.scenario import draw_scenario

SETTINGS = {"seed": 3, "width": 160}


def build(root: WorldRoot, name: str) -> None:
    staging = root.staging(name)
    write_json(staging / "tables" / "sample.json", [{"token": f"{name}/{i}"} for i in range(2)])
    write_json(staging / "tables" / "instance.json", [] if name == "scene-2001" else [{"token": name}])
    write_json(staging / "tables" / "sensor.json", [{"token": "shared"}])
    write_json(staging / "report.json", {"name": name})
    write_json(staging / "samples" / "CAM_FRONT" / f"{name}.jpg", {"pixels": name})


def rows(root: Path, table: str) -> list[str]:
    return [row["token"] for row in json.loads((root / VERSION / f"{table}.json").read_text())]


def test_scenes_are_put_together_in_order(tmp_path: Path) -> None:
    root = WorldRoot(tmp_path / "root")
    with root.building(SETTINGS):
        for name in ("scene-2002", "scene-2000", "scene-2001"):
            build(root, name)
            root.take(name)
        root.merge({"world_train": ["scene-2000"]})
    assert rows(root.root, "sample") == [f"scene-{n}/{i}" for n in (2000, 2001, 2002) for i in range(2)]
    assert rows(root.root, "instance") == ["scene-2000", "scene-2002"]
    assert rows(root.root, "sensor") == ["shared"]
    assert list(root.scenes()) == ["scene-2000", "scene-2001", "scene-2002"]
    assert json.loads((root.root / VERSION / "splits.json").read_text()) == {"world_train": ["scene-2000"]}
    assert {p.name for p in (root.root / "samples" / "CAM_FRONT").iterdir()} == {
        f"scene-{n}.jpg" for n in (2000, 2001, 2002)
    }
    assert {p.name for p in root.root.iterdir()} == {WORKSHOP, VERSION, "samples"}


def test_scene_that_is_not_whole_is_forgotten(tmp_path: Path) -> None:
    root = WorldRoot(tmp_path / "root")
    with root.building(SETTINGS):
        build(root, "scene-2000")
        root.take("scene-2000")
        build(root, "scene-2001")
    with root.building(SETTINGS):
        assert not root.staging("scene-2001").exists()
        assert list(root.scenes()) == ["scene-2000"]
        build(root, "scene-2001")
        root.take("scene-2001")
        root.merge({})
    assert len(rows(root.root, "sample")) == 4


def test_merging_again_replaces_the_tables(tmp_path: Path) -> None:
    root = WorldRoot(tmp_path / "root")
    with root.building(SETTINGS):
        for name in ("scene-2000", "scene-2001"):
            build(root, name)
            root.take(name)
            root.merge({})
    assert len(rows(root.root, "sample")) == 4
    assert not [p for p in (root.root / WORKSHOP).iterdir() if p.name in ("merging", "outdated")]


def test_a_root_of_another_version_is_not_continued(tmp_path: Path) -> None:
    root = WorldRoot(tmp_path / "root")
    with root.building(SETTINGS):
        build(root, "scene-2000")
        root.take("scene-2000")
    kept = root.root / WORKSHOP / "settings.json"
    settings = json.loads(kept.read_text())
    assert settings == {**SETTINGS, GENERATION_KEY: GENERATION}
    for found in ({GENERATION_KEY: GENERATION + 1}, {GENERATION_KEY: GENERATION - 1}, {}):
        write_json(kept, {**SETTINGS, **found})
        said = r"another version of this software .* name a new folder with --out"
        with pytest.raises(WorldError, match=said), root.building(SETTINGS):
            pytest.fail("it goes on")
    assert list(root.scenes()) == ["scene-2000"], "what is there can still be read"


def test_the_same_seeds_give_other_scenarios_only_with_another_generation() -> None:
    """Where this fails, the worlds have changed: raise `GENERATION`, then put the new digest here."""
    drawn = [asdict(draw_scenario(seed)) for seed in range(60)]
    told = json.dumps(drawn, default=str, sort_keys=True)
    assert (GENERATION, hashlib.sha256(told.encode()).hexdigest()[:16]) == (2, "e7e553ed3c6050f2")


def test_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(WorldError, match="holds something else"), WorldRoot(tmp_path).building(SETTINGS):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(WorldError, match="holds something else"), WorldRoot(tmp_path / "thesis.tex").building(SETTINGS):
        pass
    with pytest.raises(WorldError, match="was not made by"):
        WorldRoot(tmp_path).scenes()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    root = WorldRoot(tmp_path)
    with root.building(SETTINGS):
        pass
    with (
        pytest.raises(WorldError, match=r"was begun with width 160; use the same"),
        root.building(SETTINGS | {"width": 320}),
    ):
        pass


def _hold(path: Path, entered: multiprocessing.connection.Connection) -> None:
    with WorldRoot(path).building(SETTINGS):
        entered.send(True)
        entered.recv()


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(tmp_path, theirs))
    process.start()
    try:
        assert ours.recv()
        with pytest.raises(WorldError, match="another run is making"), WorldRoot(tmp_path).building(SETTINGS):
            pass
    finally:
        ours.send(True)
        process.join()
    with WorldRoot(tmp_path).building(SETTINGS):
        pass


def test_damaged_report_is_named(tmp_path: Path) -> None:
    root = WorldRoot(tmp_path / "root")
    with root.building(SETTINGS):
        build(root, "scene-2000")
        root.take("scene-2000")
    (root.root / WORKSHOP / "scenes" / "scene-2000" / "report.json").write_text("{")
    with pytest.raises(WorldError, match=r"scene-2000/report\.json cannot be read"):
        root.scenes()
