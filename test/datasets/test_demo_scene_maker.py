"""The demo scene as a data set: complete, readable, consistent, and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distilldrive_ros.datasets.demo_scene import maker
from distilldrive_ros.datasets.demo_scene.maker import DemoScene, DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.geometry.boxes import points_in_box
from distilldrive_ros.geometry.poses import pose_matrix, transform_points
from distilldrive_ros.scene.errors import DatasetError

OPTIONS = DemoSceneOptions(key_frames=3, sweeps_per_gap=1, width=160)
TABLES = {
    "attribute", "calibrated_sensor", "category", "ego_pose", "instance", "log", "map", "sample", "sample_annotation",
    "sample_data", "scene", "sensor", "visibility",
}  # fmt: skip
CHANNELS = 7


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> DemoScene:
    return make_demo_scene(tmp_path_factory.mktemp("demo") / "root", np.random.default_rng(5), OPTIONS)


@pytest.fixture(scope="module")
def rows(scene: DemoScene) -> dict[str, list[dict]]:
    return {p.stem: json.loads(p.read_text()) for p in (scene.root / scene.version).glob("*.json")}


def _points(path: Path) -> np.ndarray:
    return np.fromfile(path, "<f4").reshape(-1, 5)


def test_all_tables_are_there_and_tokens_are_unique(rows: dict[str, list[dict]]) -> None:
    assert set(rows) == TABLES
    for table, content in rows.items():
        tokens = [row["token"] for row in content]
        assert len(tokens) == len(set(tokens)), table


def test_every_reference_points_to_a_row(rows: dict[str, list[dict]]) -> None:
    known = {table: {row["token"] for row in content} for table, content in rows.items()}
    owners = {"prev": None, "next": None, "first_sample": "sample", "last_sample": "sample",
              "first_annotation": "sample_annotation", "last_annotation": "sample_annotation"}  # fmt: skip
    for table, content in rows.items():
        for row in content:
            for key, value in row.items():
                name = key.removesuffix("_tokens").removesuffix("_token")
                if key in ("prev", "next"):
                    assert value == "" or value in known[table]
                elif key != name:
                    target = owners.get(name, name)
                    for token in value if isinstance(value, list) else [value]:
                        assert token in known[target], f"{table}.{key} = {token}"


def test_chains_are_closed_and_in_time_order(rows: dict[str, list[dict]]) -> None:
    by_token = {row["token"]: row for row in rows["sample_data"]}
    starts = [row for row in rows["sample_data"] if not row["prev"]]
    assert len(starts) == CHANNELS
    for start in starts:
        stamps, row = [start["timestamp"]], start
        while row["next"]:
            assert by_token[row["next"]]["prev"] == row["token"]
            row = by_token[row["next"]]
            stamps.append(row["timestamp"])
        assert stamps == sorted(stamps) and len(stamps) == 3 + 2 * OPTIONS.sweeps_per_gap


def test_files_exist_and_are_what_the_tables_say(scene: DemoScene, rows: dict[str, list[dict]]) -> None:
    files = {row["filename"] for row in rows["sample_data"]}
    assert len(files) == len(rows["sample_data"]) == scene.images + scene.sweeps
    for row in rows["sample_data"]:
        path = scene.root / row["filename"]
        assert row["filename"].startswith("samples/" if row["is_key_frame"] else "sweeps/")
        if row["fileformat"] == "jpg":
            with Image.open(path) as picture:
                assert picture.size == (row["width"], row["height"]) == (160, 90)
        else:
            assert len(_points(path)) > 10_000
    assert {p.name for p in scene.root.iterdir()} == {"maps", "samples", "sweeps", scene.version}


def test_reader_opens_it_and_points_lie_in_their_boxes(scene: DemoScene, rows: dict[str, list[dict]]) -> None:
    reader = NuScenes(scene.root, scene.version)
    samples = reader.samples(reader.scene(scene.scene_name))
    counted = 0
    for sample in samples:
        lidar = reader.key_frame(sample, "LIDAR_TOP")
        assert lidar is not None
        pose, sensor = reader.ego_pose(lidar.ego_pose_token), reader.calibrated_sensor(lidar.calibrated_sensor_token)
        world = pose_matrix(pose.translation, pose.rotation) @ pose_matrix(sensor.translation, sensor.rotation)
        points = transform_points(world, _points(reader.file(lidar))[:, :3])
        for row in (r for r in rows["sample_annotation"] if r["sample_token"] == sample.token):
            (x, y, z), (width, length, height), (w, _, _, qz) = row["translation"], row["size"], row["rotation"]
            box = np.array([x, y, z, length, width, height, 2 * np.arctan2(qz, w)])
            # Rounded places and float32 points: a return on the very face may fall either way.
            assert abs(int(points_in_box(box, points).sum()) - row["num_lidar_pts"]) <= 2
            counted += row["num_lidar_pts"]
            if row["num_lidar_pts"] > 20:
                assert row["visibility_token"] in "1234"
    assert counted > 1000


def test_annotated_speed_is_the_speed_of_the_motion(scene: DemoScene, rows: dict[str, list[dict]]) -> None:
    reader = NuScenes(scene.root, scene.version)
    middle = reader.samples(reader.scene(scene.scene_name))[1]
    speeds = sorted(float(np.linalg.norm(a.velocity)) for a in reader.annotations(middle))
    moving = [s for s in speeds if s > 0.05]
    assert any(abs(s - 1.5) < 0.05 for s in moving)  # the pedestrian on the crossing
    assert any(abs(s - 7.6) < 0.25 for s in moving)  # the car ahead; its lane is a little shorter than the centre line
    assert len(speeds) - len(moving) >= 8  # parked cars, standing people, cones


def test_map_has_lanes_dividers_crossing_and_road(scene: DemoScene, rows: dict[str, list[dict]]) -> None:
    expansion = json.loads((scene.root / "maps" / "expansion" / "demo-town.json").read_text())
    for layer, count in {"lane": 6, "lane_divider": 4, "road_divider": 2, "ped_crossing": 1, "road_segment": 1,
                         "drivable_area": 1, "walkway": 2, "stop_line": 2}.items():  # fmt: skip
        assert len(expansion[layer]) == count, layer
    assert open_map(scene.root, "demo-town") is not None
    nodes = {n["token"]: (n["x"], n["y"]) for n in expansion["node"]}
    for lane in expansion["lane"]:
        (piece,) = expansion["arcline_path_3"][lane["token"]]
        start, end = np.array(piece["start_pose"]), np.array(piece["end_pose"])
        assert np.isclose(sum(piece["segment_length"]), np.linalg.norm(end[:2] - start[:2]), rtol=0.05)
        for following in expansion["connectivity"][lane["token"]]["outgoing"]:
            other = expansion["arcline_path_3"][following][0]["start_pose"]
            assert np.allclose(other, piece["end_pose"], atol=1e-4)
    assert min(min(p) for p in nodes.values()) > 0  # as on every nuScenes map


def test_vehicle_drives_on_the_raster_of_the_drivable_area(scene: DemoScene, rows: dict[str, list[dict]]) -> None:
    with Image.open(scene.root / rows["map"][0]["filename"]) as picture:
        raster = np.asarray(picture)
    for pose in rows["ego_pose"]:
        x, y, _ = pose["translation"]
        assert raster[len(raster) - 1 - round(10 * y), round(10 * x)] == 255
    assert raster[0, 0] == 0


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    small = DemoSceneOptions(key_frames=2, width=160, workers=1)
    threads = DemoSceneOptions(key_frames=2, width=160, workers=3)
    first = make_demo_scene(tmp_path / "a", np.random.default_rng(9), small)
    second = make_demo_scene(tmp_path / "b", np.random.default_rng(9), threads)
    other = make_demo_scene(tmp_path / "c", np.random.default_rng(10), small)
    assert _digest(first.root) == _digest(second.root) != _digest(other.root)


def test_existing_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DatasetError, match=r"mine exists already; remove it"):
        make_demo_scene(tmp_path / "mine", np.random.default_rng(0), OPTIONS)
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maker, "write_json", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make_demo_scene(tmp_path / "root", np.random.default_rng(0), DemoSceneOptions(key_frames=1, width=160))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"key_frames": 0}, {"width": 100}, {"width": 3200}, {"sweeps_per_gap": -1}])
def test_options_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"key_frames >= 1|image width"):
        DemoSceneOptions(**wrong)
