"""Messages as read from bags (`bags.reader`) to the dataclasses of `scene/`, without a ROS installation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import pose_matrix, yaw_of
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

Array = NDArray[np.float64]

_POINT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def stamp_ns(time: Any) -> int:
    """`builtin_interfaces/Time` in nanoseconds."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def matrix_of_pose(position: Any, orientation: Any) -> Array:
    """4x4 of a place (or translation) and a quaternion."""
    return pose_matrix(
        (position.x, position.y, position.z), (orientation.w, orientation.x, orientation.y, orientation.z)
    )


def plan_of(message: Any) -> PlanCandidates:
    """`PathCandidates`. Speeds are not in it; the time step is read off the poses' stamps.

    Raises:
        BagError: its lists differ in length.
    """
    fields = (message.paths, message.scores, message.modes, message.commands, message.invalid_reasons)
    if len({len(column) for column in fields}) != 1:
        raise BagError("a PathCandidates message holds lists of different lengths; record the drive again")
    start = stamp_ns(message.header.stamp)
    return PlanCandidates(
        stamp_ns=start,
        frame_id=message.header.frame_id,
        inference_stamp_ns=stamp_ns(message.inference_stamp),
        model_id=message.model_id,
        score_type=ScoreType(int(message.score_type)),
        active_command=Command(int(message.active_command)),
        degraded=Degraded(int(message.degraded)),
        selected=int(message.selected),
        candidates=tuple(_candidate(start, *row) for row in zip(*fields, strict=True)),
    )


def _candidate(start_ns: int, path: Any, score: float, mode: int, command: int, reasons: int) -> Candidate:
    times, points, yaws = path_of(path)
    step = times[0] - start_ns * 1e-9 if len(times) else 0.0
    # Stamps near 1.8e9 s leave a microsecond in float64: enough for a step, not for its last digits.
    return Candidate(
        int(mode), Command(int(command)), float(score), InvalidReason(int(reasons)), round(step, 4), points, yaws, None
    )


def path_of(message: Any) -> tuple[Array, Array, Array]:
    """`nav_msgs/Path`: times (n,) in seconds, positions (n, 2) in metres, headings (n,) in radians."""
    times = np.array([stamp_ns(p.header.stamp) * 1e-9 for p in message.poses], np.float64)
    matrices = [matrix_of_pose(p.pose.position, p.pose.orientation) for p in message.poses]
    points = np.array([m[:2, 3] for m in matrices], np.float64).reshape(-1, 2)
    return times, points, np.array([yaw_of(m) for m in matrices], np.float64)


def objects_of(message: Any) -> ObjectPredictions:
    """`ObjectPredictions`."""
    return ObjectPredictions(
        stamp_ns(message.header.stamp),
        message.header.frame_id,
        message.model_id,
        tuple(_object(item) for item in message.objects),
    )


def _object(item: Any) -> ObjectPrediction:
    pose = matrix_of_pose(item.pose.position, item.pose.orientation)
    size = (item.size.x, item.size.y, item.size.z)
    return ObjectPrediction(
        id=int(item.id),
        class_id=item.class_id,
        score=float(item.score),
        box=np.array([*pose[:3, 3], *size, yaw_of(pose)]),
        velocity=np.array([item.velocity.x, item.velocity.y]),
        time_step=float(item.time_step),
        mode_scores=np.asarray(item.mode_scores, np.float32),
        mode_xy=np.asarray(item.mode_xy, np.float32).reshape(int(item.num_modes), int(item.num_steps), 2),
    )


def vector_map_of(message: Any) -> VectorMap:
    """`VectorMap`."""
    return VectorMap(
        stamp_ns(message.header.stamp),
        message.header.frame_id,
        message.model_id,
        tuple(
            MapPolyline(PolylineKind(int(p.kind)), float(p.score), np.asarray(p.xy, np.float32).reshape(-1, 2))
            for p in message.polylines
        ),
    )


def stats_of(message: Any) -> InferenceStats:
    """`InferenceStats`."""
    return InferenceStats(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        model_id=message.model_id,
        device=message.device,
        stages=tuple(message.stages),
        stage_seconds=tuple(float(s) for s in message.stage_seconds),
        total_seconds=float(message.total_seconds),
        sensor_age_seconds=float(message.sensor_age_seconds),
        dropped_frames=int(message.dropped_frames),
        failed_frames=int(message.failed_frames),
        state_resets=int(message.state_resets),
        device_memory_bytes=int(message.device_memory_bytes),
    )


def cloud_xyz(message: Any) -> Array:
    """Finite points (n, 3) of a `PointCloud2`.

    Raises:
        BagError: it has no x, y and z.
    """
    offsets = {f.name: (int(f.offset), _POINT_TYPES.get(int(f.datatype), "")) for f in message.fields}
    if not all(offsets.get(name, (0, ""))[1] for name in "xyz"):
        raise BagError(f"a point cloud has no x, y and z; its fields are {', '.join(offsets) or 'none'}")
    order = ">" if message.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": list("xyz"),
            "formats": [order + offsets[n][1] for n in "xyz"],
            "offsets": [offsets[n][0] for n in "xyz"],
            "itemsize": int(message.point_step),
        }
    )
    count = int(message.width) * int(message.height)
    points = np.frombuffer(np.asarray(message.data, np.uint8).tobytes(), layout, count)
    xyz = np.stack([points[n].astype(np.float64) for n in "xyz"], axis=-1)
    return np.asarray(xyz[np.isfinite(xyz).all(axis=1)])
