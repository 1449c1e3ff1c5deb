"""Reader of nuScenes-schema roots: what it says of a root with known content, and of broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import DatasetError


@pytest.fixture
def nuscenes(tiny, tiny_root):
    return NuScenes(tiny_root.path, tiny.VERSION)


def test_scenes_and_key_frames(tiny, nuscenes):
    scene = nuscenes.scene("scene-0001")
    assert [s.name for s in nuscenes.scenes] == ["scene-0001", "scene-0002"]
    assert (scene.location, scene.vehicle, scene.num_samples) == (tiny.PLACE, "t1", 15)
    assert nuscenes.scene(scene.token) is scene
    samples = nuscenes.samples(scene)
    assert [s.index for s in samples] == list(range(15))
    assert samples[0].stamp_ns == tiny.START_US * 1000
    assert samples[3].token == "scene-0001-k3" and samples[3].prev == "scene-0001-k2"


def test_measurements_are_in_time_order_with_sweeps(tiny, nuscenes):
    data = nuscenes.sample_data(nuscenes.scene("scene-0001"))
    assert len(data) == len(tiny.CHANNELS) * (15 + 14)
    assert (np.diff([d.stamp_ns for d in data]) >= 0).all()
    assert sum(d.is_key_frame for d in data) == len(tiny.CHANNELS) * 15
    image = next(d for d in data if d.channel == "CAM_FRONT" and d.is_key_frame)
    assert (image.width, image.height, image.modality) == (tiny.WIDTH, tiny.HEIGHT, "camera")
    assert nuscenes.file(image).is_file()
    assert nuscenes.key_frame(nuscenes.samples(nuscenes.scene("scene-0001"))[0], "CAM_FRONT") == image


def test_calibration_and_pose(tiny, tiny_root, nuscenes):
    front = nuscenes.calibrated_sensor("c-CAM_FRONT")
    assert front.intrinsics is not None and front.intrinsics[0, 0] == 50.0
    # The optical axis of the front camera is the vehicle's x axis.
    assert front.base_from_sensor[:3, :3] @ [0, 0, 1] == pytest.approx([1, 0, 0], abs=1e-12)
    assert nuscenes.calibrated_sensor("c-LIDAR_TOP").intrinsics is None
    row = tiny_root.tables["ego_pose"][7]
    pose = nuscenes.ego_pose(row["token"])
    assert pose.world_from_base[:3, 3] == pytest.approx(row["translation"])
    assert pose.stamp_ns == row["timestamp"] * 1000


def test_annotation_fields(nuscenes):
    samples = nuscenes.samples(nuscenes.scene("scene-0001"))
    car, pedestrian, barrier, animal = nuscenes.annotations(samples[3])
    assert (car.class_name, pedestrian.class_name, barrier.class_name) == ("car", "pedestrian", "barrier")
    assert animal.category == "animal" and animal.class_name is None
    assert car.size.tolist() == [4.6, 1.9, 1.6]
    assert car.attributes == ("vehicle.moving",) and car.visibility == "v80-100"
    assert barrier.attributes == () and barrier.visibility == ""
    assert [a.instance_index for a in (car, pedestrian, barrier, animal)] == [0, 1, 2, 3]
    assert (car.num_lidar_points, car.num_radar_points) == (7, 1)


def test_velocity_follows_the_rule_of_the_devkit(tiny, tiny_root):
    """Central where there are neighbours, one-sided at the ends, unknown for a single box and across 1.5 s."""
    tables = tiny_root.tables
    tables["sample_annotation"] = [a for a in tables["sample_annotation"] if a["instance_token"] == "i-vehicle.car"]
    lone = dict(tables["sample_annotation"][0], token="lone", instance_token="i-animal", prev="", next="")
    tables["sample_annotation"].append(lone)
    # Annotations 5 to 7 are gone: 4 and 8 are 2 s apart, more than 1.5 s; 3 and 8 are less than twice that apart.
    gone = {f"a-vehicle.car-{k}" for k in (5, 6, 7)}
    tables["sample_annotation"] = [a for a in tables["sample_annotation"] if a["token"] not in gone]
    tiny_root.row("sample_annotation", "a-vehicle.car-4")["next"] = "a-vehicle.car-8"
    tiny_root.row("sample_annotation", "a-vehicle.car-8").update(prev="a-vehicle.car-4", next="")
    tiny_root.row("sample_annotation", "a-vehicle.car-9")["prev"] = ""
    nuscenes = NuScenes(tiny_root.write().path, tiny.VERSION)
    samples = nuscenes.samples(nuscenes.scene("scene-0001"))
    found = {a.token: a.velocity for s in samples for a in nuscenes.annotations(s)}
    true = pytest.approx([*tiny.CAR_VELOCITY, 0.0], abs=1e-5)
    assert found["a-vehicle.car-0"] == true  # forward difference
    assert found["a-vehicle.car-2"] == true  # central difference
    assert found["a-vehicle.car-14"] == true  # backward difference
    assert found["a-vehicle.car-4"] == true  # central over 2.4 s
    assert np.isnan(found["a-vehicle.car-8"]).all()  # one-sided over 2 s
    assert np.isnan(found["lone"]).all()


@pytest.mark.parametrize("table", ["scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "log"])
def test_missing_table_names_its_path(tiny, tiny_root, table):
    path = tiny_root.path / tiny.VERSION / f"{table}.json"
    path.unlink()
    with pytest.raises(DatasetError, match="missing") as error:
        _read_everything(NuScenes(tiny_root.path, tiny.VERSION))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["{", "[1, 2", '{"a": 1}', "[1]", '[{"name": "x"}]', b"[\xff]"])
def test_broken_json_names_its_path(tiny, tiny_root, text: str | bytes):
    path = tiny_root.path / tiny.VERSION / "scene.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError) as error:
        _ = NuScenes(tiny_root.path, tiny.VERSION).scenes
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("table", "field", "table_that_lacks"),
    [
        ("sample_data", "ego_pose_token", "ego_pose"),
        ("sample_data", "calibrated_sensor_token", "calibrated_sensor"),
        ("calibrated_sensor", "sensor_token", "sensor"),
        ("sample_annotation", "instance_token", "instance"),
        ("sample_annotation", "next", "sample_annotation"),
        ("instance", "category_token", "category"),
        ("sample", "next", "sample"),
        ("scene", "first_sample_token", "sample"),
        ("scene", "log_token", "log"),
    ],
)
def test_dangling_token_names_table_and_token(tiny, tiny_root, table, field, table_that_lacks):
    tiny_root.tables[table][0][field] = "nowhere"
    tiny_root.write()
    with pytest.raises(DatasetError) as error:
        _read_everything(NuScenes(tiny_root.path, tiny.VERSION))
    assert "'nowhere'" in str(error.value) and f"{table_that_lacks}.json" in str(error.value)


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("ego_pose", "translation", [1.0, 2.0]),
        ("ego_pose", "translation", [1.0, 2.0, float("nan")]),
        ("ego_pose", "rotation", [0.0, 0.0, 0.0, 0.0]),
        ("sample_annotation", "size", "large"),
        ("calibrated_sensor", "camera_intrinsic", [[1.0, 2.0], [3.0, 4.0]]),
        ("sample", "timestamp", None),
    ],
)
def test_wrong_value_names_the_row(tiny, tiny_root, table, field, value):
    tiny_root.tables[table][0][field] = value
    tiny_root.write()
    with pytest.raises(DatasetError) as error:
        _read_everything(NuScenes(tiny_root.path, tiny.VERSION))
    assert f"{table}.json" in str(error.value) and tiny_root.tables[table][0]["token"] in str(error.value)


def test_circle_of_samples_ends_with_an_error(tiny, tiny_root):
    tiny_root.row("sample", "scene-0001-k4")["next"] = "scene-0001-k2"
    tiny_root.write()
    nuscenes = NuScenes(tiny_root.path, tiny.VERSION)
    with pytest.raises(DatasetError, match="circle"):
        nuscenes.samples(nuscenes.scene("scene-0001"))


def test_token_twice(tiny, tiny_root):
    tiny_root.tables["sample"].append(dict(tiny_root.tables["sample"][0]))
    tiny_root.write()
    with pytest.raises(DatasetError, match="twice"):
        _read_everything(NuScenes(tiny_root.path, tiny.VERSION))


def test_unknown_scene_version_and_root_name_what_there_is(tiny, tiny_root, tmp_path):
    with pytest.raises(DatasetError, match="scene-0002"):
        NuScenes(tiny_root.path, tiny.VERSION).scene("scene-9999")
    with pytest.raises(DatasetError, match=f"--version {tiny.VERSION}"):
        NuScenes(tiny_root.path, "v1.0-mini")
    with pytest.raises(DatasetError, match="no data set"):
        NuScenes(tmp_path / "elsewhere", "v1.0-mini")


def test_tables_that_nobody_asks_for_stay_closed(tiny, tiny_root):
    """The whole of nuScenes has gigabytes of annotations: scenes alone must not touch them."""
    (tiny_root.path / tiny.VERSION / "sample_annotation.json").write_text("not json")
    nuscenes = NuScenes(tiny_root.path, tiny.VERSION)
    assert len(nuscenes.sample_data(nuscenes.scene("scene-0002"))) == len(tiny.CHANNELS)


def test_real_tables(shared_dir: Path):
    nuscenes = NuScenes(shared_dir / "data" / "nuscenes-mini-tables", "v1.0-mini")
    scene = nuscenes.scene("scene-0061")
    samples = nuscenes.samples(scene)
    assert len(samples) == scene.num_samples == 39
    assert len(nuscenes.sample_data(scene)) == 1358
    boxes = [a for s in samples for a in nuscenes.annotations(s)]
    assert len(boxes) == 4664
    assert np.isfinite([a.velocity[0] for a in boxes]).mean() > 0.99


def test_real_sample(shared_dir: Path):
    root = shared_dir / "data" / "nuscenes-sample"
    nuscenes = NuScenes(root, "v1.0-mini")
    (sample,) = nuscenes.samples(nuscenes.scenes[0])
    assert len(nuscenes.annotations(sample)) == 69
    stamps = json.loads((root / "v1.0-mini" / "sample_data.json").read_text())
    assert {d.stamp_ns for d in nuscenes.sample_data(nuscenes.scenes[0])} == {1000 * s["timestamp"] for s in stamps}


def _read_everything(nuscenes: NuScenes) -> None:
    for scene in nuscenes.scenes:
        for data in nuscenes.sample_data(scene):
            nuscenes.ego_pose(data.ego_pose_token)
        for sample in nuscenes.samples(scene):
            nuscenes.annotations(sample)
