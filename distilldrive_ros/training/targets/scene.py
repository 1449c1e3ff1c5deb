"""All training targets of a scene as plain arrays, ready to be kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.map_expansion import MapExpansion
from distilldrive_ros.datasets.map_region import map_region
from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL, NuScenes
from distilldrive_ros.datasets.records import SampleData, Scene
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.models.distilldrive.frames import network_frame
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.scene.sensor_frame import LidarFrame
from distilldrive_ros.training.targets.agents import AgentArrays, agent_arrays
from distilldrive_ros.training.targets.ego import ego_drive, ego_future, ego_status
from distilldrive_ros.training.targets.polylines import polyline_arrays

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SceneTargets:
    """K key frames of a scene with C cameras, N road users and P polylines in all. The network's frame is LiDAR-like.

    `tokens` (K,) of the samples; `stamps_ns` (K,); `world_from_network` (K, 4, 4). Road users of key frame k are rows
    `agent_starts[k]:agent_starts[k + 1]` of `boxes` (N, 9), `labels` (N,), `ids` (N,), `offsets` (N, 12, 2), `valid`
    (N, 12): see `AgentArrays`. `ego_offsets` (K, 6, 2), `ego_valid` (K, 6): `ego_future`; `drive` (K, 8, 3),
    `drive_valid` (K, 8): `ego_drive`; `commands` (K,), `status` (K, 10). Lines
    `line_starts[k]:line_starts[k + 1]` of `lines` (P, 20, 2) and `line_labels` (P,). `images` (K, C) and `sweeps` (K,):
    files relative to the root, empty where the tables name none; `image_sizes` (K, C, 2) width and height;
    `intrinsics` (K, C, 3, 3); `camera_from_network` (K, C, 4, 4), ego motion between the stamps included;
    `network_from_lidar` (4, 4). `has_map`: the root has a map of the place.
    """

    name: str
    tokens: NDArray[np.str_]
    stamps_ns: NDArray[np.int64]
    world_from_network: Array
    agent_starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    offsets: NDArray[np.float32]
    valid: NDArray[np.float32]
    ego_offsets: NDArray[np.float32]
    ego_valid: NDArray[np.float32]
    drive: NDArray[np.float32]
    drive_valid: NDArray[np.float32]
    commands: NDArray[np.int64]
    status: NDArray[np.float32]
    line_starts: NDArray[np.int64]
    lines: NDArray[np.float32]
    line_labels: NDArray[np.int64]
    images: NDArray[np.str_]
    sweeps: NDArray[np.str_]
    image_sizes: NDArray[np.int64]
    intrinsics: Array
    camera_from_network: Array
    network_from_lidar: Array
    has_map: bool

    @property
    def key_frames(self) -> int:
        """Number of key frames K."""
        return len(self.tokens)

    def agents(self, key_frame: int) -> AgentArrays:
        """Road users of one key frame."""
        rows = slice(int(self.agent_starts[key_frame]), int(self.agent_starts[key_frame + 1]))
        return AgentArrays(self.boxes[rows], self.labels[rows], self.ids[rows], self.offsets[rows], self.valid[rows])

    def map_lines(self, key_frame: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Lines (P, 20, 2) and labels (P,) of one key frame."""
        rows = slice(int(self.line_starts[key_frame]), int(self.line_starts[key_frame + 1]))
        return self.lines[rows], self.line_labels[rows]


def scene_targets(
    nuscenes: NuScenes, scene: Scene, expansion: MapExpansion | None, cameras: Sequence[str]
) -> SceneTargets:
    """Work out the targets of a scene. Pixels and points are not touched.

    Raises:
        DatasetError: a table is missing, a token dangles, a row holds a wrong value, or a camera has no calibration.
    """
    source = SceneSource(nuscenes, scene, expansion)
    frames = source.key_frames
    base_from_lidar, base_from_network = _network_mounting(source)
    world_from_network = np.stack([frame.world_from_base @ base_from_network for frame in frames])
    stamps_ns = np.array([frame.stamp_ns for frame in frames], np.int64)

    agents = [agent_arrays(source.boxes, k, inverse(pose)) for k, pose in enumerate(world_from_network)]
    drives = [ego_drive(source.track, frame.stamp_ns) for frame in frames]
    futures = [ego_future(source.track, frame.stamp_ns, base_from_network) for frame in frames]
    lines = [
        polyline_arrays(
            map_region(expansion, f.world_from_base, base_from_lidar) if expansion else (), base_from_network
        )
        for f in frames
    ]
    views = _views(source, world_from_network, cameras)
    return SceneTargets(
        name=scene.name,
        tokens=np.array([frame.sample.token for frame in frames]),
        stamps_ns=stamps_ns,
        world_from_network=world_from_network,
        agent_starts=_starts([len(a.labels) for a in agents]),
        boxes=np.concatenate([a.boxes for a in agents]),
        labels=np.concatenate([a.labels for a in agents]),
        ids=np.concatenate([a.ids for a in agents]),
        offsets=np.concatenate([a.offsets for a in agents]),
        valid=np.concatenate([a.valid for a in agents]),
        ego_offsets=np.stack([offsets for offsets, _ in futures]).astype(np.float32),
        ego_valid=np.stack([valid for _, valid in futures]).astype(np.float32),
        drive=np.stack([drive for drive, _ in drives]).astype(np.float32),
        drive_valid=np.stack([valid for _, valid in drives]).astype(np.float32),
        commands=np.array([int(frame.command.command) for frame in frames], np.int64),
        status=ego_status(nuscenes.dataroot, scene.name, source.track, stamps_ns).astype(np.float32),
        line_starts=_starts([len(labels) for _, labels in lines]),
        lines=np.concatenate([points for points, _ in lines]),
        line_labels=np.concatenate([labels for _, labels in lines]),
        **views,
        network_from_lidar=inverse(base_from_network) @ base_from_lidar,
        has_map=expansion is not None,
    )


def _starts(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _network_mounting(source: SceneSource) -> tuple[Array, Array]:
    """base_from_lidar and base_from_network, by the rule that inference goes by."""
    sensor = source.sensors.get(LIDAR_CHANNEL)
    if sensor is None:
        return network_frame(None), network_frame(None)
    pose = sensor.base_from_sensor
    frame = LidarFrame(LIDAR_CHANNEL, 0, np.zeros((0, 5), np.float32), pose, np.eye(4))
    return pose, network_frame(frame)


def _views(source: SceneSource, world_from_network: Array, cameras: Sequence[str]) -> dict[str, Any]:
    """Files, sizes and geometry of all cameras at all key frames."""
    nuscenes, count = source.nuscenes, len(source.key_frames)
    found = {(d.sample_token, d.channel): d for d in source.measurements if d.is_key_frame}
    absent = [name for name in cameras if name not in source.sensors]
    if absent:
        raise DatasetError(
            f"{source.scene.name} has no camera {', '.join(absent)}; train a model whose cameras the data set has"
        )
    images = [["" for _ in cameras] for _ in range(count)]
    sweeps = ["" for _ in range(count)]
    sizes = np.zeros((count, len(cameras), 2), np.int64)
    intrinsics = np.tile(np.eye(3), (count, len(cameras), 1, 1))
    from_network = np.tile(np.eye(4), (count, len(cameras), 1, 1))
    for k, frame in enumerate(source.key_frames):
        sweep = found.get((frame.sample.token, LIDAR_CHANNEL))
        sweeps[k] = sweep.filename if sweep else ""
        for c, name in enumerate(cameras):
            data = found.get((frame.sample.token, name))
            if data is not None:
                images[k][c] = data.filename
                sizes[k, c] = data.width, data.height
                intrinsics[k, c], camera_from_world = _camera(nuscenes, data)
                from_network[k, c] = camera_from_world @ world_from_network[k]
    return {
        "images": np.array(images),
        "sweeps": np.array(sweeps),
        "image_sizes": sizes,
        "intrinsics": intrinsics,
        "camera_from_network": from_network,
    }


def _camera(nuscenes: NuScenes, data: SampleData) -> tuple[Array, Array]:
    """Intrinsics (3, 3) and camera_from_world (4, 4) at the stamp of a picture."""
    by = f"sample_data {data.token}"
    sensor = nuscenes.calibrated_sensor(data.calibrated_sensor_token, by)
    if sensor.intrinsics is None:
        raise DatasetError(f"calibrated_sensor {sensor.token} of {sensor.channel} has no camera_intrinsic")
    pose = nuscenes.ego_pose(data.ego_pose_token, by)
    return sensor.intrinsics, inverse(pose.world_from_base @ sensor.base_from_sensor)
