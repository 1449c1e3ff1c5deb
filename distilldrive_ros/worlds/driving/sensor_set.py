"""What the vehicle's sensors see of a world at one instant, rendered, as a graph or a model takes it."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
from distilldrive_ros.worlds.interpolation import snapshot_between
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.world import EgoState, Snapshot

BASE_FRAME, WORLD_FRAME = "base_link", "odom"
NO_POINTS = np.zeros((0, 5), np.float32)


class Sweep(Protocol):
    """A rendered sweep: `points` (N, 5) float32, x, y, z in the LiDAR's frame (m), intensity, ring."""

    @property
    def points(self) -> NDArray[np.float32]: ...


class Renderer(Protocol):
    """What is asked of `worlds.rendering`."""

    def images(self, snapshots: Mapping[str, Snapshot]) -> Mapping[str, NDArray[np.uint8]]:
        """RGB pictures (H, W, 3) by camera, each of the world at its own instant."""
        ...

    def sweep(self, snapshot: Snapshot, rng: np.random.Generator) -> Sweep:
        """One turn of the LiDAR, all at once."""
        ...

    def close(self) -> None:
        """Give the display back."""
        ...


@dataclass(frozen=True)
class CameraShot:
    """A picture, as the stream that a camera would send, with the vehicle when its shutter opened."""

    channel: str
    stamp_ns: int
    jpeg: bytes
    ego: EgoState


@dataclass(frozen=True)
class SensorSet:
    """Everything of one instant: pictures in the rig's order, points (N, 5) in the LiDAR's frame."""

    stamp_ns: int
    ego: EgoState
    shots: tuple[CameraShot, ...]
    points: NDArray[np.float32]


class Sensors:
    """The sensors of one vehicle in one world. Close them when the drive is over."""

    def __init__(
        self,
        rig: Rig,
        renderer: Renderer | None,
        cameras: Collection[str],
        lidar: bool,
        seed: int = 0,
        jpeg_quality: int = 90,
    ) -> None:
        """Switch on some sensors of a rig.

        Args:
            rig: where they are.
            renderer: shows the world; None only where nothing is to be seen.
            cameras: names of those that are switched on.
            lidar: whether the LiDAR is.
            seed: of the LiDAR's noise, which depends on it and on the time alone.
            jpeg_quality: 1 to 100.
        """
        self.rig = rig
        self._renderer, self._lidar, self._seed, self._quality = renderer, lidar, seed, jpeg_quality
        self._cameras = tuple(camera for camera in rig.cameras if camera.channel in set(cameras))

    def take(self, before: Snapshot, now: Snapshot) -> SensorSet:
        """What they see at `now`, each camera somewhat earlier, as the rig says; `before` is the step before.

        Raises:
            WorldError: the renderer failed.
        """
        if self._renderer is None:
            return SensorSet(now.time_ns, now.ego, (), NO_POINTS)
        seen = {
            c.channel: snapshot_between(before, now, max(before.time_ns, now.time_ns - c.lead_ns))
            for c in self._cameras
        }
        pictures = self._renderer.images(seen) if seen else {}
        shots = tuple(
            CameraShot(name, shown.time_ns, self._jpeg(pictures[name]), shown.ego) for name, shown in seen.items()
        )
        if not self._lidar:
            return SensorSet(now.time_ns, now.ego, shots, NO_POINTS)
        rng = np.random.default_rng([self._seed, now.time_ns])
        return SensorSet(now.time_ns, now.ego, shots, self._renderer.sweep(now, rng).points)

    def close(self) -> None:
        """Switch them off."""
        if self._renderer is not None:
            self._renderer.close()

    def _jpeg(self, picture: NDArray[np.uint8]) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=self._quality)
        return stream.getvalue()


def sensor_frame(
    seen: SensorSet, rig: Rig, sequence: int, command: Command, discontinuity: Discontinuity = Discontinuity.NONE
) -> SensorFrame:
    """The set that `sync` would make of these messages: nothing is missing, every pose is exact.

    Sensors that are switched off are no fault: their cameras are not in it, their sweep is empty.
    """
    cameras = {camera.channel: camera for camera in rig.cameras}
    frames = []
    for shot in seen.shots:
        camera = cameras[shot.channel]
        frames.append(
            CameraFrame(
                shot.channel, shot.stamp_ns, CameraStatus.FRESH, "jpeg", camera.width, camera.height,
                np.frombuffer(shot.jpeg, np.uint8), camera.intrinsics, camera.base_from_camera,
                shot.ego.world_from_base,
            )
        )  # fmt: skip
    pose, nan = seen.ego.world_from_base, float("nan")
    lidar = LidarFrame(rig.lidar.channel, seen.stamp_ns, seen.points, rig.lidar.base_from_lidar, pose)
    # As from odometry, which knows nothing of accelerations and of the steering wheel.
    ego = EgoStatus(
        seen.stamp_ns, BASE_FRAME, seen.stamp_ns, seen.ego.speed, 0.0, seen.ego.yaw_rate, nan, nan, nan
    )  # fmt: skip
    return SensorFrame(
        stamp_ns=seen.stamp_ns, frame_id=BASE_FRAME, sequence=sequence, degraded=Degraded.NONE,
        discontinuity=discontinuity, command=command, world_frame=WORLD_FRAME, world_from_base=pose,
        cameras=tuple(frames), lidar=lidar, ego=ego,
    )  # fmt: skip
