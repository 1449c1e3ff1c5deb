"""A nuScenes scene laid out for converter and training: measurements in time order, key frames, boxes, calibration."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.boxes import SceneBoxes, scene_boxes
from distilldrive_ros.datasets.driving_command import LabelledCommand, driving_commands
from distilldrive_ros.datasets.ego_track import EgoTrack
from distilldrive_ros.datasets.map_expansion import MapExpansion
from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL, NuScenes
from distilldrive_ros.datasets.records import CalibratedSensor, Sample, SampleData, Scene
from distilldrive_ros.datasets.route import NoRouteError
from distilldrive_ros.datasets.route_region import RouteRegion
from distilldrive_ros.geometry.poses import pose_matrix, yaw_of
from distilldrive_ros.scene.errors import DatasetError

Array = NDArray[np.float64]

# The drive is matched to lanes by its poses this far apart.
ROUTE_SAMPLING_NS = 100_000_000


@dataclass(frozen=True)
class KeyFrame:
    """A key frame at its LiDAR stamp: pose of base_link then (4, 4), and the command that holds from it."""

    sample: Sample
    stamp_ns: int
    world_from_base: Array
    command: LabelledCommand


@dataclass
class SceneSource:
    """One scene of a root.

    `measurements` are those of cameras and LiDAR in time order; `left_out` counts rows of other sensors.
    """

    nuscenes: NuScenes
    scene: Scene
    expansion: MapExpansion | None
    sweeps: bool = True
    left_out: Counter[str] = field(default_factory=Counter)

    @cached_property
    def samples(self) -> list[Sample]:
        """Key frames.

        Raises:
            DatasetError: there is none.
        """
        samples = self.nuscenes.samples(self.scene)
        if not samples:
            raise DatasetError(f"{self.scene.name} has no key frame; check sample.json")
        return samples

    @cached_property
    def measurements(self) -> list[SampleData]:
        """Cameras and LiDAR, in time order."""
        kept = []
        for data in self.nuscenes.sample_data(self.scene, self.samples):
            if data.modality == "camera" or data.channel == LIDAR_CHANNEL:
                if self.sweeps or data.is_key_frame:
                    kept.append(data)
            else:
                self.left_out[data.channel] += 1
        if not kept:
            raise DatasetError(f"{self.scene.name} has no camera or LiDAR data; check sample_data.json")
        return kept

    @cached_property
    def sensors(self) -> dict[str, CalibratedSensor]:
        """Calibration by channel: cameras by name, then the LiDAR.

        Raises:
            DatasetError: a sensor's calibration changes within the scene, which /tf_static cannot say.
        """
        tokens: dict[str, set[str]] = defaultdict(set)
        for data in self.measurements:
            tokens[data.channel].add(data.calibrated_sensor_token)
        for channel, found in tokens.items():
            if len(found) > 1:
                raise DatasetError(f"{self.scene.name}: {channel} has several calibrations: {', '.join(sorted(found))}")
        sensors = {c: self.nuscenes.calibrated_sensor(next(iter(found))) for c, found in tokens.items()}
        return dict(sorted(sensors.items(), key=lambda item: (item[1].modality != "camera", item[0])))

    @cached_property
    def track(self) -> EgoTrack:
        """Ego poses of all measurements."""
        return EgoTrack(
            [
                (d.stamp_ns, self.nuscenes.ego_pose(d.ego_pose_token, f"sample_data {d.token}"))
                for d in self.measurements
            ]
        )

    @cached_property
    def base_from_lidar(self) -> Array:
        """4x4 mounting of the LiDAR; the vehicle's own frame where the root has no LiDAR."""
        sensor = self.sensors.get(LIDAR_CHANNEL)
        return np.eye(4) if sensor is None else sensor.base_from_sensor

    @cached_property
    def key_frames(self) -> list[KeyFrame]:
        """Key frames at their LiDAR stamps; at the sample's own stamp where there is no LiDAR row."""
        sweeps = [d for d in self.measurements if d.is_key_frame and d.channel == LIDAR_CHANNEL]
        stamps = {d.sample_token: d.stamp_ns for d in sweeps}
        found = []
        for sample in self.samples:
            stamp_ns = stamps.get(sample.token, sample.stamp_ns)
            pose = self.track.pose_at(stamp_ns)
            if pose is None:
                raise DatasetError(
                    f"{self.scene.name}: sample {sample.token} at {stamp_ns} ns lies outside the ego poses; "
                    "check sample.json and sample_data.json"
                )
            found.append((sample, stamp_ns, pose))
        commands = driving_commands([pose @ self.base_from_lidar for _, _, pose in found])
        return [KeyFrame(*parts, command) for parts, command in zip(found, commands, strict=True)]

    @cached_property
    def route_region(self) -> RouteRegion | None:
        """The road with the route that the vehicle took; None without a map or a lane along the drive."""
        if self.expansion is None:
            return None
        stamps = np.arange(self.key_frames[0].stamp_ns, self.key_frames[-1].stamp_ns + 1, ROUTE_SAMPLING_NS)
        translations, rotations = self.track.poses_at(stamps)
        yaw = [yaw_of(pose_matrix(t, q)) for t, q in zip(translations, rotations, strict=True)]
        try:
            return RouteRegion.of_drive(self.expansion, np.column_stack([translations[:, :2], yaw]))
        except NoRouteError:
            return None

    @cached_property
    def boxes(self) -> SceneBoxes:
        """Boxes of all key frames."""
        return scene_boxes(self.nuscenes, self.samples)
