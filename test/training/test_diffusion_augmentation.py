"""Mirrored and recoloured frames, and frames kept on disk."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.models.diffusiondrive.config import NUSCENES_CAMERAS, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.initialization import anchor_fan
from distilldrive_ros.models.diffusiondrive.lidar_histogram import height_histogram
from distilldrive_ros.models.diffusiondrive.virtual_cameras import map_rig, render
from distilldrive_ros.scene.errors import ConfigurationError, SensorDataError
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus
from distilldrive_ros.training.diffusion.augmentation import (
    DiffusionAugmentation,
    augmented,
    mirrored,
    require_mirror_images,
)
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.diffusion.frame_store import FrameStore
from distilldrive_ros.training.diffusion.frames import DiffusionFrames
from distilldrive_ros.training.diffusion.losses import nearest_anchor
from distilldrive_ros.training.diffusion.map_picture import PictureSize, map_picture
from distilldrive_ros.training.diffusion.requests import RequestedFrames
from distilldrive_ros.training.diffusion.surroundings import map_shapes
from distilldrive_ros.training.pipeline.sequences import FrameRequest

CONFIG = diffusiondrive_tiny()


@pytest.fixture(scope="module")
def frame(source: SceneSource) -> DiffusionBatch:
    return DiffusionFrames([source], CONFIG)[1]


def same(first: DiffusionBatch, second: DiffusionBatch) -> bool:
    names = [item.name for item in fields(DiffusionBatch)]
    pairs = [(getattr(first, name), getattr(second, name)) for name in names]
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def test_twice_mirrored_is_the_frame_itself(frame: DiffusionBatch) -> None:
    once = mirrored(frame)
    assert not same(once, frame)
    assert same(mirrored(once), frame)


def test_mirrored_targets_are_those_of_a_mirrored_world(frame: DiffusionBatch) -> None:
    """Points, boxes and the map, made anew from coordinates with y turned over."""
    generator = np.random.default_rng(0)
    points = generator.uniform(-30, 30, (4000, 3))
    turned = points * [1.0, -1.0, 1.0]
    lidar = torch.from_numpy(height_histogram(points, 64, 32.0))[None]
    boxes = np.array([[10.0, 5.0, 0.0, 4.0, 2.0, 1.5, 0.4], [20.0, -11.0, 0.0, 9.0, 3.0, 3.0, -1.2]])
    other = boxes * [1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0]
    size, cars = PictureSize(128, 32.0), np.array([CLASS_NAMES.index("car")] * 2)
    picture, image = (map_picture(None, np.eye(4), map_shapes(b, cars), size) for b in (boxes, other))
    batch = replace(
        frame,
        lidar=lidar,
        bev=torch.from_numpy(picture)[None],
        status=torch.tensor([[1.0, 0.0, 0.0, 0.0, 5.0, 0.2, 1.0, -0.3]]),
        trajectory=torch.tensor([[[4.0, 1.0, 0.2], [8.0, 2.5, 0.4]]]),
        agents=torch.from_numpy(boxes[:, [0, 1, 6, 3, 4]].astype(np.float32))[None],
    )
    out = mirrored(batch)
    assert torch.equal(out.lidar[0], torch.from_numpy(height_histogram(turned, 64, 32.0)))
    # Cells that an outline just touches are painted or not by rounding.
    assert np.mean(out.bev[0].numpy() != image) < 4e-3 < 2e-2 < np.mean(batch.bev[0].numpy() != image)
    assert out.status.tolist() == [pytest.approx([0.0, 0.0, 1.0, 0.0, 5.0, -0.2, 1.0, 0.3])]
    assert out.trajectory[0, 1].tolist() == pytest.approx([8.0, -2.5, -0.4])
    assert out.agents[0].numpy() == pytest.approx(other[:, [0, 1, 6, 3, 4]], abs=1e-6)
    known = torch.tensor([[0.0, 1.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 5.0, 0.0, 0.0, 0.0]])
    assert torch.equal(mirrored(replace(frame, status=known)).status, known)


def test_a_mirrored_picture_is_what_a_mirrored_rig_sees() -> None:
    """Three level cameras, and the same world seen with left and right exchanged, through the same virtual cameras."""
    generator = np.random.default_rng(1)
    coarse = [generator.integers(0, 255, (9, 16, 3)).astype(np.uint8) for _ in range(3)]
    images = [np.kron(c, np.ones((20, 20, 1), np.uint8)) for c in coarse]

    def camera(name: str, yaw: float) -> CameraFrame:
        c, s = math.cos(yaw), math.sin(yaw)
        pose = np.eye(4)
        pose[:3, :3] = [[s, 0.0, c], [-c, 0.0, s], [0.0, -1.0, 0.0]]
        intrinsics = np.array([[200.0, 0.0, 159.5], [0.0, 200.0, 89.5], [0.0, 0.0, 1.0]])
        data = np.zeros(0, np.uint8)
        return CameraFrame(name, 0, CameraStatus.FRESH, "jpeg", 320, 180, data, intrinsics, pose, np.eye(4))

    rig = map_rig(tuple(camera(n, y) for n, y in zip(NUSCENES_CAMERAS, (0.96, 0.0, -0.96), strict=True)))
    seen = render((images[0], images[1], images[2]), rig)
    turned = render((images[2][:, ::-1], images[1][:, ::-1], images[0][:, ::-1]), rig)
    # The expected cameras' centre lies half a source pixel beside the middle: edges of blocks differ by a little.
    assert float((seen.flip(-1) - turned).abs().mean()) < 0.01
    assert float((seen - turned).abs().mean()) > 0.1


def test_a_mirror_needs_anchors_that_are_the_same_to_both_sides() -> None:
    anchors = anchor_fan(CONFIG)
    require_mirror_images(anchors)
    drive = torch.cat((anchors, torch.zeros(len(anchors), anchors.shape[1], 1)), dim=-1)
    image = torch.cat((anchors * torch.tensor([1.0, -1.0]), drive[..., 2:]), dim=-1)
    distance = (anchors[nearest_anchor(anchors, image)] - image[..., :2]).norm(dim=-1).mean()
    assert float(distance) < 1e-5
    lopsided = torch.where(anchors[..., 1:] > 0, anchors * torch.tensor([1.0, 1.5]), anchors)
    with pytest.raises(ConfigurationError, match="set mirror to 0"):
        require_mirror_images(lopsided)
    with pytest.raises(ConfigurationError, match="a probability"):
        DiffusionAugmentation(mirror=1.5)


def test_draws_follow_from_the_request(source: SceneSource) -> None:
    augmentation = DiffusionAugmentation(photometric=True, mirror=0.5)
    frames = RequestedFrames([source], CONFIG, None, augmentation, seed=3)
    requests = [FrameRequest(1, 1, True, 0, iteration, 0) for iteration in range(6)]
    batches = [frames[request].batch for request in requests]
    assert same(frames[requests[2]].batch, batches[2])
    plain = DiffusionFrames([source], CONFIG)[1]
    turned = [torch.equal(b.lidar, mirrored(plain).lidar) for b in batches]
    assert 0 < sum(turned) < 6
    assert all(torch.equal(b.lidar, plain.lidar) for b, t in zip(batches, turned, strict=True) if not t)
    assert not all(torch.equal(b.camera, plain.camera) for b, t in zip(batches, turned, strict=True) if not t)
    assert all(float(b.camera.min()) >= 0 and float(b.camera.max()) <= 1 for b in batches)
    assert same(augmented(plain, DiffusionAugmentation(), np.random.default_rng(0)), plain)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many frames were prepared from their files."""
    calls = []
    prepare = DiffusionFrames._prepared

    def counting(self: DiffusionFrames, source: SceneSource, key_frame: int, token: str) -> DiffusionBatch:
        calls.append(key_frame)
        return prepare(self, source, key_frame, token)

    monkeypatch.setattr(DiffusionFrames, "_prepared", counting)
    return lambda: len(calls)


def test_a_kept_frame_is_the_frame(
    source: SceneSource, frame: DiffusionBatch, tmp_path: Path, counted: Callable[[], int]
) -> None:
    frames = DiffusionFrames([source], CONFIG, FrameStore(tmp_path, source.nuscenes, CONFIG))
    assert same(frames[1], frame)
    assert same(frames[1], frame)
    assert counted() == 1
    (path,) = tmp_path.rglob("*.npz")
    assert path.stat().st_size < 300_000
    path.write_bytes(path.read_bytes()[:-100])
    assert same(frames[1], frame)
    assert counted() == 2
    again = DiffusionFrames([source], CONFIG, FrameStore(tmp_path, source.nuscenes, CONFIG))
    assert same(again[1], frame)
    assert counted() == 2


def test_a_frame_is_made_anew_for_another_network_or_another_file(
    demo_root: Path, tmp_path: Path, counted: Callable[[], int]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for part in demo_root.iterdir():
        (root / part.name).symlink_to(part)
    nuscenes = NuScenes(root, VERSION)
    source = SceneSource(nuscenes, nuscenes.scenes[0], open_map(root, nuscenes.scenes[0].location))
    cache = tmp_path / "cache"
    DiffusionFrames([source], CONFIG, FrameStore(cache, nuscenes, CONFIG))[0]
    wider = replace(CONFIG, lidar_range=40.0)
    DiffusionFrames([source], wider, FrameStore(cache, nuscenes, wider))[0]
    assert counted() == 2

    (root / "samples").unlink()
    (root / "samples").mkdir()
    for part in (demo_root / "samples").iterdir():
        (root / "samples" / part.name).symlink_to(part)
    folder = root / "samples" / "CAM_FRONT"
    folder.unlink()
    folder.mkdir()
    for picture in (demo_root / "samples" / "CAM_FRONT").iterdir():
        (folder / picture.name).write_bytes(picture.read_bytes())
    frames = DiffusionFrames([source], CONFIG, FrameStore(cache, nuscenes, CONFIG))
    frames[0]
    assert counted() == 3
    for picture in folder.iterdir():
        picture.unlink()
    with pytest.raises(SensorDataError, match="cannot be read"):
        frames[0]
