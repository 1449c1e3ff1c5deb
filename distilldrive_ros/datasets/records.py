"""Rows of the nuScenes schema as typed records. Stamps in nanoseconds (the tables hold microseconds), metres, radians.

Rotations are quaternions (w, x, y, z) as in the tables; matrices are named `target_from_source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import pose_matrix

Array = NDArray[np.float64]

NS_PER_US = 1000


@dataclass(frozen=True)
class Scene:
    """A drive of about 20 s. `location` is the name of its map."""

    token: str
    name: str
    description: str
    location: str
    vehicle: str
    num_samples: int
    first_sample_token: str
    last_sample_token: str


@dataclass(frozen=True)
class Sample:
    """A key frame: number `index` of its scene; `stamp_ns` is that of the LiDAR sweep. Empty `prev`/`next`: none."""

    token: str
    stamp_ns: int
    scene_token: str
    index: int
    prev: str
    next: str


@dataclass(frozen=True)
class SampleData:
    """One measurement of one sensor, key frame or sweep; `filename` is relative to the root, sizes are 0 for no image.

    `is_key_frame` rows belong to their sample; sweeps name the sample that follows them.
    """

    token: str
    sample_token: str
    channel: str
    modality: str
    stamp_ns: int
    is_key_frame: bool
    filename: str
    file_format: str
    width: int
    height: int
    ego_pose_token: str
    calibrated_sensor_token: str
    prev: str
    next: str


@dataclass(frozen=True)
class CalibratedSensor:
    """Mounting of a sensor on the vehicle; `intrinsics` (3, 3) in pixels for cameras, else None."""

    token: str
    channel: str
    modality: str
    translation: Array
    rotation: Array
    intrinsics: Array | None

    @cached_property
    def base_from_sensor(self) -> Array:
        """4x4, sensor frame to base_link (the nuScenes ego frame)."""
        return pose_matrix(self.translation, self.rotation)


@dataclass(frozen=True)
class EgoPose:
    """Where the vehicle was: base_link in the map's coordinates."""

    token: str
    stamp_ns: int
    translation: Array
    rotation: Array

    @cached_property
    def world_from_base(self) -> Array:
        """4x4, base_link to the map's coordinates."""
        return pose_matrix(self.translation, self.rotation)


@dataclass(frozen=True)
class Annotation:
    """A box of a key frame in the map's coordinates.

    `class_name` is the detection class or None; `size` is (length, width, height); `velocity` (3,) is NaN where the
    track has no neighbour near enough. `visibility` is for instance `v80-100`, or empty where it was not annotated.
    `instance_index` is the row of the instance table: stable over a root and fit as a track id.
    """

    token: str
    sample_token: str
    instance_token: str
    instance_index: int
    category: str
    class_name: str | None
    translation: Array
    size: Array
    rotation: Array
    velocity: Array
    attributes: tuple[str, ...]
    visibility: str
    num_lidar_points: int
    num_radar_points: int
    prev: str
    next: str

    @cached_property
    def world_from_box(self) -> Array:
        """4x4, box frame (origin at the centre, x forward, y left, z up) to the map's coordinates."""
        return pose_matrix(self.translation, self.rotation)
