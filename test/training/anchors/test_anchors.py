"""Anchors of k-means: clusters that are there are found; files of another kind are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.models.distilldrive.anchors import procedural_anchors
from distilldrive_ros.models.distilldrive.config import NUSCENES_CAMERAS, student, student_tiny
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.anchors.anchor_file import read_anchors, write_anchors
from distilldrive_ros.training.anchors.clustering import ClusteredAnchors, cluster_anchors, k_means
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.targets.scene_files import load_or_make_targets

pytest.importorskip("sklearn", reason="the extra `train` is not installed")


@pytest.fixture(scope="module")
def targets(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> SceneTargets:
    (only,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path_factory.mktemp("cache"))
    return only


@pytest.fixture(scope="module")
def anchors(targets: SceneTargets) -> ClusteredAnchors:
    # Six key frames hold no drive of 4 s; one is made up of a steady pace.
    drive = np.stack([np.arange(1, 9) * 2.0, np.zeros(8), np.zeros(8)], axis=-1)
    drives = np.repeat(drive[None], targets.key_frames, axis=0) * np.linspace(0.5, 1, targets.key_frames)[:, None, None]
    longer = replace(targets, drive=drives.astype(np.float32), drive_valid=np.ones_like(targets.drive_valid))
    return cluster_anchors([longer], student_tiny(), seed=0)


def test_k_means_finds_separate_clusters() -> None:
    rng = np.random.default_rng(0)
    centres = rng.uniform(-50, 50, (7, 3))
    points = (centres[:, None] + 0.01 * rng.standard_normal((7, 40, 3))).reshape(-1, 3)
    found = k_means(points, 7, seed=1)
    distance = np.linalg.norm(found[:, None] - centres[None], axis=-1)
    assert distance.min(axis=0).max() < 0.05
    np.testing.assert_array_equal(found, k_means(points, 7, seed=1))
    np.testing.assert_array_equal(k_means(points[:3], 7, seed=1), np.unique(points[:3], axis=0))


def test_shapes_and_frames(anchors: ClusteredAnchors) -> None:
    config = student_tiny()
    plain = procedural_anchors(config)
    assert anchors.detection.shape == (96, 11)
    np.testing.assert_array_equal(anchors.detection[:, 3:], plain.detection[:, 3:].numpy())
    assert np.hypot(*anchors.detection[:, :2].T).max() <= 55.0
    assert anchors.map.shape == (24, 20, 2)
    along = np.diff(anchors.map, axis=1)
    np.testing.assert_allclose(along, np.broadcast_to([0, 8 / 19], along.shape), atol=1e-5)
    assert anchors.motion.shape == (10, 6, 12, 2)
    assert anchors.plan.shape == (3, 6, 6, 2)
    assert anchors.diffusion.shape == (20, 8, 2)
    # All drives of the scene go straight on: forward is y in the LiDAR frame and x in base_link.
    straight = anchors.plan[2]
    assert (straight[:, -1, 1] > 0).all()
    assert (anchors.diffusion[:, -1, 0] > 5).all()
    assert any("motion of bus" in note for note in anchors.notes)
    np.testing.assert_array_equal(anchors.plan[0], plain.plan[0].numpy())


def test_nothing_long_enough_is_said(targets: SceneTargets) -> None:
    short = replace(targets, drive_valid=np.zeros_like(targets.drive_valid))
    with pytest.raises(ConfigurationError, match="4 s"):
        cluster_anchors([short], student_tiny(), seed=0)


def test_a_network_starts_from_the_file(anchors: ClusteredAnchors, tmp_path: Path) -> None:
    config, path = student_tiny(), tmp_path / "anchors.npz"
    write_anchors(path, anchors)
    network = untrained_network(config, torch.Generator().manual_seed(0), read_anchors(path, config))
    heads = network.head
    np.testing.assert_array_equal(heads.det_head.instance_bank.anchor.detach(), anchors.detection)
    np.testing.assert_array_equal(heads.map_head.instance_bank.anchor.detach(), anchors.map.reshape(24, 40))
    motion = heads.motion_plan_head
    np.testing.assert_array_equal(motion.motion_anchor, anchors.motion)
    np.testing.assert_allclose(motion.plan_anchor_delta.cumsum(dim=2), anchors.plan, atol=1e-5)


def test_wrong_files_are_refused(anchors: ClusteredAnchors, tmp_path: Path) -> None:
    config, path = student_tiny(), tmp_path / "anchors.npz"
    write_anchors(path, anchors)
    with pytest.raises(ConfigurationError, match=r"detection is \(96, 11\), student has \(900, 11\)"):
        read_anchors(path, student())
    write_anchors(path, replace(anchors, plan=np.full_like(anchors.plan, np.nan)))
    with pytest.raises(ConfigurationError, match="plan holds NaN"):
        read_anchors(path, config)
    np.savez(path, detection=anchors.detection)
    with pytest.raises(ConfigurationError, match="lacks an array: map"):
        read_anchors(path, config)
    np.save(tmp_path / "one.npy", anchors.detection)
    for wrong in (b"", b"PK\x03\x04 cut", (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(wrong)
        with pytest.raises(ConfigurationError, match="train anchors"):
            read_anchors(path, config)
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_anchors(tmp_path / "nowhere.npz", config)


def test_real_drives_give_anchors_like_the_published_ones(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data" / "nuscenes-mini-tables"
    scenes = load_or_make_targets(root, "v1.0-mini", ["scene-0061", "scene-1077"], NUSCENES_CAMERAS, tmp_path)
    made = cluster_anchors(scenes, student_tiny(), seed=0)
    published = np.load(shared_dir / "data" / "anchors" / "kmeans_plan_6.npy", allow_pickle=False)
    # Left turns end to the left, straight drives ahead, and a car's futures go forward: the same frames and order.
    for command in (1, 2):
        assert np.sign(made.plan[command, :, -1].mean(axis=0)).tolist()[1] == 1.0
        assert np.sign(published[command, :, -1].mean(axis=0)).tolist()[1] == 1.0
    assert made.plan[1, :, -1, 0].mean() < -2
    car = made.motion[0]
    assert (car[:, -1, 0] > -1).all()
    assert car[:, -1, 0].max() > 20
