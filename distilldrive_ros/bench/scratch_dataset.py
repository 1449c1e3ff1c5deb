"""A nuScenes-schema root of realistic size for the converter: real table shapes, made-up pixels and points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bench.synthetic import SPEED, jpeg, sweep
from distilldrive_ros.datasets.categories import DETECTION_CLASS
from distilldrive_ros.datasets.demo_scene.map_layers import map_expansion
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, IMAGE_HEIGHT, IMAGE_WIDTH, LIDAR_CHANNEL
from distilldrive_ros.datasets.demo_scene.road import demo_road
from distilldrive_ros.datasets.demo_scene.scene_tables import LOCATION, VERSION, demo_tables
from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneTables, write_json
from distilldrive_ros.datasets.nuscenes_writer.taxonomy import VISIBILITIES
from distilldrive_ros.geometry.poses import planar_pose

START_US = 1_767_268_800_000_000
KEY_FRAME_US = 500_000
# nuScenes-mini: 47 boxes in a key frame.
BOXES = 47


@dataclass(frozen=True)
class ScratchDataset:
    """`files`: all images and sweeps, `size` their bytes."""

    root: Path
    version: str
    key_frames: int
    files: tuple[Path, ...]
    size: int


def make_scratch_dataset(root: Path, rng: np.random.Generator, key_frames: int, turns: int) -> ScratchDataset:
    """Write a scene with `turns` measurements of each of the six cameras and the LiDAR per key frame."""
    tables = demo_tables(rng.bytes(8).hex(), "scratch", (IMAGE_WIDTH, IMAGE_HEIGHT))
    tables.add_samples([START_US + KEY_FRAME_US * sample for sample in range(key_frames)])
    payloads = _payloads(rng)
    files = []
    for turn in range((key_frames - 1) * turns + 1):
        stamp_us = START_US + turn * KEY_FRAME_US // turns
        sample, key_frame = -(-turn // turns), turn % turns == 0
        for channel, lead_us in (*((m.channel, m.lead_us) for m in CAMERAS), (LIDAR_CHANNEL, 0)):
            at = stamp_us - lead_us
            pose = planar_pose(SPEED * (at - START_US) * 1e-6, 0.0, 0.0)
            path = root / tables.add_sensor_data(channel, sample, key_frame, at, pose)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(payloads[channel])
            files.append(path)
    _add_boxes(tables, key_frames)
    tables.write(root / VERSION)
    write_json(
        root / "maps" / "expansion" / f"{LOCATION}.json", map_expansion(demo_road(), lambda n: tables.token(f"map/{n}"))
    )
    return ScratchDataset(root, VERSION, key_frames, tuple(files), sum(len(payloads[p.parent.name]) for p in files))


def _payloads(rng: np.random.Generator) -> dict[str, bytes]:
    images = {mount.channel: jpeg(rng).tobytes() for mount in CAMERAS}
    return {**images, LIDAR_CHANNEL: sweep(rng).tobytes()}


def _add_boxes(tables: SceneTables, key_frames: int) -> None:
    """Parked boxes on both sides of the way."""
    boxes: list[tuple[str, NDArray[np.float64]]] = []
    categories = tuple(DETECTION_CLASS)
    for index in range(BOXES):
        side = 6.0 if index % 2 else -6.0
        box = np.array([index * 2.5 - 20, side, 0.8, 4.5, 1.9, 1.6, 0.0])
        boxes.append((categories[index % len(categories)], box))
    for sample in range(key_frames):
        for index, (category, box) in enumerate(boxes):
            tables.add_annotation(sample, f"box {index}", category, "", VISIBILITIES[-1][0], box, 10)
