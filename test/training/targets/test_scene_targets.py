"""Targets of whole scenes against the tables they come from, worked out the slow way."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.geometry.poses import inverse, transform_points, yaw_of
from distilldrive_ros.models.distilldrive.config import NUSCENES_CAMERAS
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.targets.agents import MAX_DISTANCE_M
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.targets.scene_files import load_or_make_targets, read_targets


@pytest.fixture(scope="module")
def targets(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> SceneTargets:
    (only,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path_factory.mktemp("cache"))
    return only


def test_boxes_are_the_annotations_in_the_lidar_frame(demo_root: Path, targets: SceneTargets) -> None:
    nuscenes = NuScenes(demo_root, VERSION)
    samples = nuscenes.samples(nuscenes.scenes[0])
    compared = 0
    for k, sample in enumerate(samples):
        sweep = nuscenes.key_frame(sample, "LIDAR_TOP")
        assert sweep is not None
        mounting = nuscenes.calibrated_sensor(sweep.calibrated_sensor_token).base_from_sensor
        world_from_lidar = nuscenes.ego_pose(sweep.ego_pose_token).world_from_base @ mounting
        np.testing.assert_allclose(targets.world_from_network[k], world_from_lidar, atol=1e-9)
        rows = targets.agents(k)
        by_id = {int(i): n for n, i in enumerate(rows.ids)}
        assert len(by_id) == len(rows.ids)
        for annotation in nuscenes.annotations(sample):
            box = inverse(world_from_lidar) @ annotation.world_from_box
            near = np.hypot(*box[:2, 3]) <= MAX_DISTANCE_M
            wanted = near and annotation.num_lidar_points > 0 and annotation.class_name is not None
            assert (annotation.instance_index in by_id) == wanted
            if not wanted:
                continue
            n = by_id.pop(annotation.instance_index)
            np.testing.assert_allclose(rows.boxes[n, :3], box[:3, 3], atol=1e-4)
            np.testing.assert_allclose(rows.boxes[n, 3:6], annotation.size, rtol=1e-6)
            assert abs(np.angle(np.exp(1j * (float(rows.boxes[n, 6]) - yaw_of(box))))) < 1e-5
            velocity = np.nan_to_num(inverse(world_from_lidar)[:2, :3] @ annotation.velocity)
            np.testing.assert_allclose(rows.boxes[n, 7:9], velocity, atol=1e-4)
            assert CLASS_NAMES[rows.labels[n]] == annotation.class_name
            compared += 1
        assert not by_id
    assert compared > 30


def test_futures_lead_to_the_boxes_of_later_key_frames(targets: SceneTargets) -> None:
    """Summed offsets, seen from the world, meet the centre that is annotated later: by its speed times the time off."""
    met = 0
    for k in range(targets.key_frames - 2):
        now, later = targets.agents(k), targets.agents(k + 2)
        off = abs((targets.stamps_ns[k + 2] - targets.stamps_ns[k]) / 1e9 - 1.0)
        for n, track in enumerate(now.ids):
            match = np.flatnonzero(later.ids == track)
            if len(match) and now.valid[n, 1]:
                place = now.boxes[n, :2] + now.offsets[n, :2].sum(axis=0)
                world = transform_points(targets.world_from_network[k], [*place, now.boxes[n, 2]])
                seen = transform_points(targets.world_from_network[k + 2], later.boxes[match[0], :3])
                allowed = 0.3 + off * np.hypot(*now.boxes[n, 7:9])
                assert np.hypot(*(world - seen)[:2]) < allowed
                met += 1
    assert met > 10
    assert (targets.offsets[targets.valid == 0] == 0).all()
    steps = targets.valid
    assert (np.diff(steps, axis=1) <= 0).all()


def test_the_ego_future_is_the_way_of_the_lidar(targets: SceneTargets) -> None:
    for k in range(targets.key_frames - 1):
        known = int(targets.ego_valid[k].sum())
        ahead = np.cumsum(targets.ego_offsets[k], axis=0)[:known]
        world = transform_points(targets.world_from_network[k], np.concatenate([ahead, np.zeros((known, 1))], axis=1))
        way = targets.world_from_network[:, :3, 3]
        for step in range(known):
            at = targets.stamps_ns[k] + (step + 1) * 500_000_000
            expected = [np.interp(at, targets.stamps_ns, way[:, axis]) for axis in range(2)]
            assert np.hypot(*(world[step, :2] - expected)) < 0.15
    assert targets.ego_valid[-1].sum() == 0
    forward = targets.status[:, 6]
    speed = np.linalg.norm(np.diff(targets.world_from_network[:, :2, 3], axis=0), axis=1) / (
        np.diff(targets.stamps_ns) / 1e9
    )
    assert np.abs(forward[:-1] - speed).max() < 1.0
    np.testing.assert_allclose(targets.status[:, 2], 9.81, atol=0.2)


def test_map_lines_lie_in_the_region_and_on_their_kind(targets: SceneTargets) -> None:
    assert targets.has_map
    assert set(targets.line_labels) == {0, 1, 2}
    assert np.abs(targets.lines[..., 0]).max() < 15.5
    assert np.abs(targets.lines[..., 1]).max() < 30.5
    lengths = np.linalg.norm(np.diff(targets.lines, axis=1), axis=-1)
    assert (lengths.sum(axis=1) > 0.05).all()
    closed = targets.lines[targets.line_labels == 0]
    assert np.abs(closed[:, 0] - closed[:, -1]).max() < 1e-3


def test_cameras_see_the_boxes(targets: SceneTargets) -> None:
    """A box ahead of the front camera is in front of it, by the distance that its place says."""
    front = targets.camera_from_network[0, 0]
    for x, y, z in targets.agents(0).boxes[:, :3].astype(np.float64):
        if y > 10:
            depth = (front @ [x, y, z, 1.0])[2]
            assert abs(depth - y) < 2.5 + 0.1 * abs(x)
    assert (targets.image_sizes == [160, 90]).all()


def test_files_give_back_what_was_written(demo_root: Path, targets: SceneTargets, tmp_path: Path) -> None:
    (made,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path)
    (path,) = tmp_path.glob("targets-*/*.npz")
    before = path.stat().st_mtime_ns
    (again,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path)
    assert path.stat().st_mtime_ns == before
    for item in fields(SceneTargets):
        np.testing.assert_array_equal(getattr(made, item.name), getattr(again, item.name), err_msg=item.name)
        np.testing.assert_array_equal(getattr(made, item.name), getattr(targets, item.name), err_msg=item.name)
    path.write_bytes(path.read_bytes()[:-100])
    assert read_targets(path) is None
    (mended,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path)
    np.testing.assert_array_equal(mended.boxes, made.boxes)
    assert read_targets(path) is not None
    assert not list(tmp_path.rglob("*.partial"))


def test_a_camera_that_the_root_lacks_is_named(demo_root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="CAM_ROOF"):
        load_or_make_targets(demo_root, VERSION, [], ["CAM_FRONT", "CAM_ROOF"], tmp_path)
    with pytest.raises(DatasetError, match="nobody"):
        load_or_make_targets(demo_root, VERSION, ["nobody"], NUSCENES_CAMERAS, tmp_path)


def test_real_tables_without_pixels(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data" / "nuscenes-mini-tables"
    (scene,) = load_or_make_targets(root, "v1.0-mini", ["scene-0061"], NUSCENES_CAMERAS, tmp_path)
    assert scene.key_frames == 39
    assert len(scene.labels) > 3000
    # The drive turns left through road works.
    assert (scene.commands == 1).sum() >= 10
    assert set(scene.line_labels) == {1, 2}
    assert np.isfinite(scene.boxes).all()
    assert np.isfinite(scene.status).all()
    turned = np.cumsum(scene.ego_offsets[scene.commands == 1], axis=1)[:, -1, 0]
    assert turned.min() < -2


def test_can_bus_messages_are_the_status(demo_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for entry in demo_root.iterdir():
        (root / entry.name).symlink_to(entry)
    name = NuScenes(demo_root, VERSION).scenes[0].name
    (plain,) = load_or_make_targets(root, VERSION, [], NUSCENES_CAMERAS, tmp_path / "cache")
    (root / "can_bus").mkdir()
    stamp_us = int(plain.stamps_ns[1]) // 1000
    poses = [
        {"utime": stamp_us + shift, "accel": [k, 2, 9.8], "rotation_rate": [0, 0, 0.1], "vel": [5, 0, 0]}
        for k, shift in enumerate((-15_000, 5_000, 25_000))
    ]
    (root / "can_bus" / f"{name}_pose.json").write_text(json.dumps(poses))
    (scene,) = load_or_make_targets(root, VERSION, [], NUSCENES_CAMERAS, tmp_path / "cache")
    np.testing.assert_allclose(scene.status[1], [1, 2, 9.8, 0, 0, 0.1, 5, 0, 0, 0], rtol=1e-6)
    # These key frames are a second and more away from any message.
    assert (scene.status[[3, 4, 5]] == 0).all()
    (root / "can_bus" / f"{name}_pose.json").write_text("[{]")
    with pytest.raises(DatasetError, match="CAN bus file"):
        load_or_make_targets(root, VERSION, [], NUSCENES_CAMERAS, tmp_path / "cache")
