"""Conversion when something is there already, is missing, or is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.bags import convert as converter
from distilldrive_ros.bags.convert import convert_scene
from distilldrive_ros.bags.ground_truth import read_ground_truth
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import BagError, DatasetError


def scene_of(tiny, root, name="scene-0001"):
    nuscenes = NuScenes(root.path, tiny.VERSION)
    return nuscenes, nuscenes.scene(name)


def messages_of(bag: Path, topic: str) -> list:
    with open_bag(bag) as reader:
        return [reader.deserialize(m) for m in reader.messages(topics=[topic])]


def test_finished_scenes_are_left_alone_and_force_replaces_them(tiny, tiny_root, tmp_path):
    nuscenes, scene = scene_of(tiny, tiny_root)
    bag = tmp_path / "out" / scene.name
    first = convert_scene(nuscenes, scene, bag)
    changed = (bag / f"{scene.name}.mcap").stat().st_mtime_ns
    again = convert_scene(nuscenes, scene, bag)
    assert again.already_there and not first.already_there and again.messages == first.messages
    assert (bag / f"{scene.name}.mcap").stat().st_mtime_ns == changed
    with pytest.raises(BagError, match="--force"):
        convert_scene(nuscenes, scene, bag, sweeps=False)
    assert convert_scene(nuscenes, scene, bag, force=True, sweeps=False).messages["/lidar/points"] == 15
    assert [p.name for p in bag.parent.iterdir()] == [scene.name]


def test_something_else_in_the_place_of_the_bag(tiny, tiny_root, tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "precious.txt").touch()
    with pytest.raises(BagError, match="--force"):
        convert_scene(*scene_of(tiny, tiny_root), tmp_path / "bag")
    assert (tmp_path / "bag" / "precious.txt").exists()


def test_interrupted_conversion_leaves_nothing_and_can_be_repeated(tiny, tiny_root, tmp_path):
    def stop(key_frames: int) -> None:
        raise KeyboardInterrupt

    nuscenes, scene = scene_of(tiny, tiny_root)
    with pytest.raises(KeyboardInterrupt):
        convert_scene(nuscenes, scene, tmp_path / "out" / "bag", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []
    assert convert_scene(nuscenes, scene, tmp_path / "out" / "bag").key_frames == 15


def test_missing_files_are_counted_and_the_rest_is_converted(tiny, tiny_root, tmp_path):
    tiny_root.file_of("scene-0001-k3-CAM_FRONT").unlink()
    tiny_root.file_of("scene-0001-k4-CAM_FRONT").unlink()
    tiny_root.file_of("scene-0001-k3-LIDAR_TOP").unlink()
    report = convert_scene(*scene_of(tiny, tiny_root), tmp_path / "bag")
    assert report.missing == {"CAM_FRONT": 2, "LIDAR_TOP": 1}
    assert report.messages["/camera/CAM_FRONT/image/compressed"] == 27
    assert report.messages["/camera/CAM_FRONT/camera_info"] == 29
    assert report.messages["/lidar/points"] == 28 and report.messages["/ground_truth/objects"] == 15


def test_root_without_pixels(tiny, tmp_path):
    root = tiny.make_tiny_root(tmp_path / "root", pixels=False, expansion=False)
    report = convert_scene(*scene_of(tiny, root), tmp_path / "bag")
    assert report.missing == {"CAM_FRONT": 29, "CAM_BACK": 29, "LIDAR_TOP": 29} and not report.has_map
    with open_bag(tmp_path / "bag") as reader:
        assert "/lidar/points" not in reader.topics and reader.topics["/camera/CAM_BACK/camera_info"].count == 29
    assert read_ground_truth(tmp_path / "bag")[0].vector_map is None


def test_single_key_frame_without_motion(tiny, tiny_root, tmp_path):
    """One sample: poses within 40 ms only, nothing ahead, no boxes."""
    report = convert_scene(*scene_of(tiny, tiny_root, "scene-0002"), tmp_path / "bag")
    assert report.key_frames == 1 and report.short_commands == 1
    (key_frame,) = read_ground_truth(tmp_path / "bag")
    assert key_frame.command.command == Command.STRAIGHT and len(key_frame.path.positions) == 0
    assert key_frame.objects.objects == ()


def test_a_single_pose_gives_an_odometry_that_says_it_knows_no_velocity(tiny, tiny_root, tmp_path):
    keep = {"scene-0002-k0-LIDAR_TOP"}
    tables = tiny_root.tables
    tables["sample_data"] = [r for r in tables["sample_data"] if r["token"] in keep]
    report = convert_scene(*scene_of(tiny, tiny_root.write(), "scene-0002"), tmp_path / "bag")
    assert report.unknown_velocities == 1
    (odometry,) = messages_of(tmp_path / "bag", "/odometry")
    assert odometry.twist.twist.linear.x == 0.0
    assert np.diag(odometry.twist.covariance.reshape(6, 6)) == pytest.approx(np.full(6, 1e6))


@pytest.mark.parametrize(
    ("token", "content", "words"),
    [
        ("scene-0001-k3-CAM_FRONT", b"version https://git-lfs.github.com/spec/v1\n", "is no JPEG"),
        ("scene-0001-k3-CAM_FRONT", b"", "is no JPEG"),
        ("scene-0001-k3-LIDAR_TOP", b"12345", "no whole number of points"),
        ("scene-0001-k3-LIDAR_TOP", np.full((4, 5), 0.5, np.float32).tobytes(), "no ring index"),
        ("scene-0001-k3-LIDAR_TOP", np.full((4, 5), -1.0, np.float32).tobytes(), "no ring index"),
        ("scene-0001-k3-LIDAR_TOP", np.full((4, 5), 70000.0, np.float32).tobytes(), "no ring index"),
    ],
)
def test_damaged_file_stops_with_its_name_and_leaves_nothing(tiny, tiny_root, tmp_path, token, content, words):
    path = tiny_root.file_of(token)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=words) as error:
        convert_scene(*scene_of(tiny, tiny_root), tmp_path / "out" / "bag")
    assert str(path) in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_calibration_that_changes_within_a_scene_is_refused(tiny, tiny_root, tmp_path):
    other = dict(tiny_root.row("calibrated_sensor", "c-CAM_FRONT"), token="c-other")
    tiny_root.tables["calibrated_sensor"].append(other)
    tiny_root.row("sample_data", "scene-0001-k3-CAM_FRONT")["calibrated_sensor_token"] = "c-other"
    with pytest.raises(DatasetError, match="CAM_FRONT has several calibrations"):
        convert_scene(*scene_of(tiny, tiny_root.write()), tmp_path / "bag")


def test_camera_without_intrinsics_is_refused(tiny, tiny_root, tmp_path):
    tiny_root.row("calibrated_sensor", "c-CAM_FRONT")["camera_intrinsic"] = []
    with pytest.raises(DatasetError, match="CAM_FRONT has no camera_intrinsic"):
        convert_scene(*scene_of(tiny, tiny_root.write()), tmp_path / "bag")


def test_bag_of_another_format_version_is_not_taken_for_finished(tiny, tiny_root, tmp_path, monkeypatch):
    arguments = scene_of(tiny, tiny_root, "scene-0002")
    convert_scene(*arguments, tmp_path / "bag")
    monkeypatch.setattr(converter, "FORMAT_VERSION", converter.FORMAT_VERSION + 1)
    with pytest.raises(BagError, match="not a finished conversion"):
        convert_scene(*arguments, tmp_path / "bag")
