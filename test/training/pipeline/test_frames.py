"""Frames of the made-up scene as the network gets them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.models.distilldrive.config import NUSCENES_CAMERAS, student_tiny
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.training.batch import NO_DEPTH
from distilldrive_ros.training.pipeline.augmentation import NO_AUGMENTATION, AugmentationConfig, View
from distilldrive_ros.training.pipeline.dataset import FrameDataset, collate
from distilldrive_ros.training.pipeline.frames import FrameLimits, ImageSettings, annotation_batch, camera_batch
from distilldrive_ros.training.pipeline.image_store import ImageStore
from distilldrive_ros.training.pipeline.loaded import LoadedBatch
from distilldrive_ros.training.pipeline.sequences import FrameRequest, StreamingSampler, split_scenes
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.targets.scene_files import load_or_make_targets

SIZE = ImageSettings(96, 32)


@pytest.fixture(scope="module")
def targets(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> SceneTargets:
    (only,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path_factory.mktemp("cache"))
    return only


def dataset(
    root: Path, targets: SceneTargets, augmentation: AugmentationConfig | None = None, cache: Path | None = None
) -> FrameDataset:
    sections = split_scenes([targets.key_frames], 2)
    return FrameDataset([targets], sections, root, SIZE, augmentation or AugmentationConfig(), 3, cache)


def request(key_frame: int = 1, section: int = 0, iteration: int = 0) -> FrameRequest:
    return FrameRequest(section, key_frame, key_frame == 0, 0, iteration, 0)


def same(first: LoadedBatch, second: LoadedBatch) -> bool:
    a, b = first.batch.cameras, second.batch.cameras
    assert a is not None
    assert b is not None
    return torch.equal(a.images, b.images) and torch.equal(a.projection, b.projection)


def test_draws_follow_seed_and_request_alone(demo_root: Path, targets: SceneTargets) -> None:
    frames = dataset(demo_root, targets)
    assert same(frames[request()], dataset(demo_root, targets)[request()])
    assert not same(frames[request()], frames[request(iteration=1)])
    # One augmentation for a whole section.
    first, second = frames[request(1)].batch.cameras, frames[request(2)].batch.cameras
    assert first is not None
    assert second is not None
    torch.testing.assert_close(first.focal, second.focal)


def test_the_cache_gives_the_same_pixels_and_mends_itself(
    demo_root: Path, targets: SceneTargets, tmp_path: Path
) -> None:
    plain, kept = dataset(demo_root, targets), dataset(demo_root, targets, cache=tmp_path)
    assert same(plain[request()], kept[request()])
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == len(NUSCENES_CAMERAS)
    files[0].write_bytes(files[0].read_bytes()[:200])
    files[1].write_bytes(b"")
    assert same(plain[request()], kept[request()])
    assert min(path.stat().st_size for path in files) > 200
    stamps = [path.stat().st_mtime_ns for path in files]
    kept[request()]
    assert [path.stat().st_mtime_ns for path in files] == stamps
    assert not list(tmp_path.rglob("*.partial"))


def test_depth_and_boxes_agree_under_every_augmentation(demo_root: Path, targets: SceneTargets) -> None:
    """Each depth cell is a LiDAR point: thrown back through the matrix and the pose, it lies where it lay before."""
    plain = View()
    turned = View(resize=1.05, shift=0.3, flip=True, rotation=0.08, yaw=0.4)
    clouds = []
    for view in (plain, turned):
        images = ImageStore(demo_root, SIZE.width, SIZE.height, 1.1, None)
        cameras = camera_batch(targets, 1, view, SIZE, images, demo_root, None)
        annotations = annotation_batch(targets, 1, False, view)
        world_from_lidar = annotations.world_from_lidar[0].numpy()
        points = []
        for camera in range(len(NUSCENES_CAMERAS)):
            level = cameras.depth[0][0, camera].numpy()
            rows, columns = np.nonzero((level != NO_DEPTH) & (level < 20))
            depth = level[rows, columns]
            pixels = np.stack([(columns + 0.5) * 4 * depth, (rows + 0.5) * 4 * depth, depth, np.ones_like(depth)])
            lidar = np.linalg.inv(cameras.projection[0, camera].numpy().astype(np.float64)) @ pixels
            points.append((world_from_lidar @ lidar)[:3].T)
        clouds.append(np.concatenate(points))
        boxes = annotations.agents[0].boxes.numpy().astype(np.float64)
        centres = (world_from_lidar @ np.concatenate([boxes[:, :3], np.ones((len(boxes), 1))], axis=1).T)[:3].T
        heading = boxes[:, 6] + np.arctan2(world_from_lidar[1, 0], world_from_lidar[0, 0])
        ego = world_from_lidar[:2, :2] @ annotations.ego.offsets[0].numpy().T
        line = world_from_lidar[:2, :2] @ annotations.maps[0].orderings[0, 0].numpy().T
        if view is plain:
            before = centres, heading, ego, line
        else:
            np.testing.assert_allclose(centres, before[0], atol=1e-3)
            assert np.abs(np.angle(np.exp(1j * (heading - before[1])))).max() < 1e-5
            np.testing.assert_allclose(ego, before[2], atol=1e-4)
            np.testing.assert_allclose(line, before[3], atol=1e-4)
    near = [np.linalg.norm(clouds[0] - point, axis=1).min() for point in clouds[1]]
    assert len(near) > 200
    assert np.median(near) < 0.6


def test_without_augmentation_the_network_sees_what_inference_sees(demo_root: Path, targets: SceneTargets) -> None:
    loaded = dataset(demo_root, targets, NO_AUGMENTATION)[request()].batch
    config = student_tiny()
    frames = FrameDataset(
        [targets], split_scenes([targets.key_frames], 1), demo_root,
        ImageSettings(config.image_width, config.image_height), NO_AUGMENTATION, 0,
    )  # fmt: skip
    inputs = frames[request()].batch.student_inputs()
    with torch.inference_mode():
        _, outputs = StudentNetwork(config).eval()(None, inputs)
    assert outputs.is_finite()
    assert loaded.tokens[0].endswith(str(targets.tokens[1]))


def test_a_broken_picture_is_stepped_over_and_named(demo_root: Path, targets: SceneTargets, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(demo_root, root)
    broken = root / str(targets.images[1, 2])
    broken.write_bytes(broken.read_bytes()[:300])
    (root / str(targets.sweeps[0])).unlink()
    frames = dataset(root, targets)
    loaded = frames[request(1)]
    assert loaded.batch.tokens[0].endswith(str(targets.tokens[2]))
    assert len(loaded.skipped) == 2
    assert broken.name in loaded.skipped[0]
    assert str(targets.tokens[1]) in loaded.skipped[0]
    assert "LiDAR file" in loaded.skipped[1]
    assert frames[request(2)].skipped == ()
    (root / str(targets.sweeps[2])).write_bytes(b"123")
    with pytest.raises(DatasetError, match="none of the 3 key frames"):
        frames[request(1)]


def test_frames_that_the_teacher_cannot_take_are_stepped_over(demo_root: Path, targets: SceneTargets) -> None:
    counts = np.diff(targets.agent_starts)
    lowest = int(counts.argmin())
    sections = split_scenes([targets.key_frames], 1)
    limits = FrameLimits(int(counts.min()), 1000)
    frames = FrameDataset([targets], sections, demo_root, None, NO_AUGMENTATION, 0, limits=limits)
    asked = int(counts.argmax())
    assert counts[asked] > counts[lowest]
    loaded = frames[request(asked)]
    assert len(loaded.batch.agents[0].labels) == counts.min()
    assert f"{counts[asked]} road users" in loaded.skipped[0]


def test_frames_without_annotations_make_a_batch(demo_root: Path, targets: SceneTargets) -> None:
    empty = SceneTargets(
        **{
            **vars(targets),
            **{name: getattr(targets, name)[:0] for name in ("boxes", "labels", "ids", "offsets", "valid")},
            **{name: getattr(targets, name)[:0] for name in ("lines", "line_labels")},
            "agent_starts": np.zeros_like(targets.agent_starts),
            "line_starts": np.zeros_like(targets.line_starts),
        }
    )
    batch = collate([dataset(demo_root, empty)[request()], dataset(demo_root, targets)[request()]]).batch
    assert batch.agents[0].boxes.shape == (0, 9)
    assert batch.maps[0].orderings.shape == (0, 38, 20, 2)
    assert len(batch.agents[1].boxes) > 0


def test_workers_hand_over_the_same_batches(demo_root: Path, targets: SceneTargets) -> None:
    frames = dataset(demo_root, targets)
    sampler = StreamingSampler(split_scenes([targets.key_frames], 2), 2, 0)
    results = []
    for workers in (0, 1):
        loader = DataLoader(frames, batch_sampler=sampler, collate_fn=collate, num_workers=workers)
        stream = iter(loader)
        results.append([next(stream) for _ in range(2)])
    for alone, helped in zip(*results, strict=True):
        assert same(alone, helped)
        assert alone.batch.tokens == helped.batch.tokens
