"""Recorded scenes in closed loop: the demo scene everywhere, the shared tables where they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.scene.errors import ConfigurationError, DatasetError, WorldError
from distilldrive_ros.worlds.driving.recorded_worlds import RecordedWorlds, choose_worlds
from distilldrive_ros.worlds.driving.world_source import GeneratedWorlds

KEY_FRAMES = 8


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = DemoSceneOptions(key_frames=KEY_FRAMES, width=160)
    return make_demo_scene(tmp_path_factory.mktemp("demo") / "root", np.random.default_rng(3), options).root


@pytest.fixture(scope="module")
def version(root: Path) -> str:
    return next(root.glob("*/scene.json")).parent.name


@pytest.fixture(scope="module")
def tables(shared_dir: Path) -> Path:
    folder = shared_dir / "data" / "nuscenes-mini-tables"
    if not folder.is_dir():
        pytest.skip("the shared tables are not here")
    return folder


def evaluate(*words: str) -> int:
    return main(["evaluate", "--closed-loop", *words])


def test_models_drive_through_the_recording(
    root: Path, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers, page = tmp_path / "n.json", tmp_path / "n.html"
    words = ["--dataroot", str(root), "--version", version, "--model", "expert", "--model", "constant_velocity"]
    assert evaluate(*words, "--json", str(numbers), "--html", str(page)) == 0
    assert "0 of 0 lights run red" in capsys.readouterr().out
    expert, rule = (m["drives"] for m in json.loads(numbers.read_text())["models"])
    for (drive,) in (expert, rule):
        assert drive["driven_m"] > 10.0 and drive["duration_s"] <= (KEY_FRAMES - 1) / 2 and drive["plans"] >= 0
        assert all(0.0 <= event["time_s"] <= drive["duration_s"] for event in drive["events"])
    assert rule[0]["plans"] >= 3 and page.read_text().count("<svg") == 2
    again = tmp_path / "again.json"
    assert evaluate(*words, "--json", str(again)) == 0
    assert json.loads(again.read_text())["models"] == json.loads(numbers.read_text())["models"]


def test_the_others_move_as_recorded_whatever_the_vehicle_does(root: Path, version: str) -> None:
    worlds = RecordedWorlds(root, version)
    assert len(worlds) == 1
    first, second = worlds.open(0), worlds.open(0)
    for _ in range(10):
        moved = first.step(first.snapshot.ego)
        other = second.step(second.snapshot.ego)
    where = {a.id: a.center.tolist() for a in moved.agents}
    assert where and where == {a.id: a.center.tolist() for a in other.agents}
    assert (first.snapshot.ego.position == worlds.open(0).snapshot.ego.position).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataroot", "nowhere"], "nowhere"),
        (["--scene", "scene-0061"], "only recorded scenes have such names; give their dataroot"),
        (["--dataroot", "{root}", "--kinds", "straight"], "are those of generated worlds; leave them or dataroot out"),
        (["--dataroot", "{root}", "--version", "v2"], "v2"),
        (["--dataroot", "{root}", "--version", "{version}", "--scene", "scene-x"], "has no scene 'scene-x'; it has:"),
        (["--dataroot", "{root}", "--version", "{version}", "--scenes", "2"], "2 scene(s) wanted, but"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, root: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(root=root, version=version) for word in words]
    assert evaluate(*given, "--model", "constant_velocity") == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0]


def test_without_a_root_worlds_are_generated() -> None:
    generated = GeneratedWorlds(0, 2)
    assert choose_worlds(lambda: generated, "", "v1.0-mini", (), 2, ()) is generated
    with pytest.raises(ConfigurationError, match="give their dataroot"):
        choose_worlds(lambda: generated, None, "v1.0-mini", ("scene-0061",), None, ())


def test_real_scenes_are_driven_in_the_order_asked_for(tables: Path) -> None:
    worlds = RecordedWorlds(tables, "v1.0-mini", ["scene-0103", "scene-0061"])
    assert [worlds.open(number).name for number in range(len(worlds))] == ["scene-0103", "scene-0061"]
    with pytest.raises(DatasetError, match="has no scene 'scene-9999'"):
        RecordedWorlds(tables, "v1.0-mini", ["scene-9999"])


def test_a_scene_that_stands_still_is_left_out_with_the_reason(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = tmp_path / "n.json"
    words = ["--dataroot", str(tables), "--scene", "scene-0553", "--scene", "scene-0757", "--model", "pdm_closed"]
    assert evaluate(*words, "--json", str(numbers)) == 1
    assert "left out world 0: scene-0553: its vehicle went less than 10 m" in capsys.readouterr().err
    (drive,) = json.loads(numbers.read_text())["models"][0]["drives"]
    assert (drive["world"], drive["end"]) == ("scene-0757", "arrived")
    assert drive["lights_passed"] == 0 and drive["extended_scores"]["traffic_light"] == 1.0
    with pytest.raises(WorldError, match="no way to be driven"):
        RecordedWorlds(tables, "v1.0-mini", ["scene-0553"]).open(0)
