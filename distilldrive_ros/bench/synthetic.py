"""Sensor data made up to the size of real ones: JPEG streams, LiDAR sweeps, whole sets. Nothing is read from disk."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, IMAGE_HEIGHT, IMAGE_WIDTH, LIDAR_CHANNEL, base_from_lidar
from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import (
    CameraFrame,
    CameraStatus,
    Degraded,
    Discontinuity,
    EgoStatus,
    LidarFrame,
    SensorFrame,
)

# A nuScenes sweep; and the JPEG quality at which the pictures below have about 170 kB, as nuScenes's richer ones.
LIDAR_POINTS = 34_688
JPEG_QUALITY = 75
SPEED = 8.0
START_NS = 1_700_000_000_000_000_000


def jpeg(rng: np.random.Generator, width: int = IMAGE_WIDTH, height: int = IMAGE_HEIGHT) -> NDArray[np.uint8]:
    """A JPEG stream of noise with the amount of detail of a street: soft shapes below a little grain."""
    small = rng.integers(0, 256, (height // 30, width // 30, 3), np.uint8)
    soft = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = np.kron(rng.integers(-8, 9, (height // 4, width // 4, 1)), np.ones((4, 4, 1), np.int16))
    noisy = np.clip(soft[: grain.shape[0], : grain.shape[1]] + grain, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).resize((width, height)).save(stream, "JPEG", quality=JPEG_QUALITY)
    return np.frombuffer(stream.getvalue(), np.uint8)


def sweep(rng: np.random.Generator, count: int = LIDAR_POINTS) -> NDArray[np.float32]:
    """Points (count, 5) float32 on rings around the sensor: x, y, z, intensity, ring."""
    ring = np.arange(count) % 32
    angle, distance = rng.uniform(-np.pi, np.pi, count), rng.uniform(3, 60, count)
    z = distance * np.tan(np.deg2rad(ring * 1.33 - 30))
    return np.stack(
        [distance * np.cos(angle), distance * np.sin(angle), z, rng.uniform(0, 255, count), ring], axis=1
    ).astype(np.float32)


def sensor_frames(rng: np.random.Generator, period_s: float = 0.5) -> Iterator[SensorFrame]:
    """Sets of six 1600 x 900 cameras and a sweep from a drive straight on, without end."""
    images = [jpeg(rng) for _ in CAMERAS]
    points = sweep(rng)
    for index in itertools.count():
        yield _sensor_frame(images, points, index, period_s)


def _sensor_frame(
    images: list[NDArray[np.uint8]], points: NDArray[np.float32], index: int, period_s: float
) -> SensorFrame:
    stamp = START_NS + round(index * period_s * 1e9)
    pose = planar_pose(SPEED * index * period_s, 0.0, 0.0)
    cameras = []
    for mount, data in zip(CAMERAS, images, strict=True):
        at = stamp - mount.lead_us * 1000
        moved = planar_pose(SPEED * (at - START_NS) * 1e-9, 0.0, 0.0)
        cameras.append(
            CameraFrame(
                mount.channel,
                at,
                CameraStatus.FRESH,
                "jpeg",
                IMAGE_WIDTH,
                IMAGE_HEIGHT,
                data,
                mount.intrinsics(IMAGE_WIDTH),
                mount.base_from_camera,
                moved,
            )
        )
    return SensorFrame(
        stamp,
        "base_link",
        index,
        Degraded.NONE,
        Discontinuity.NONE if index else Discontinuity.START,
        Command.STRAIGHT,
        "odom",
        pose,
        tuple(cameras),
        LidarFrame(LIDAR_CHANNEL, stamp, points, base_from_lidar(), pose),
        EgoStatus(stamp, "base_link", stamp, SPEED, 0.0, 0.0, 0.0, 0.0, 0.0),
    )
