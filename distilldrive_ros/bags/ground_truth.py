"""Ground truth of a converted bag, read back as scene dataclasses: for evaluation and reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.reader import BagReader, open_bag
from distilldrive_ros.bags.topics import COMMAND, MAP, OBJECTS, PATH, SAMPLE_INFO
from distilldrive_ros.geometry.poses import rotation_from_quaternion
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap


@dataclass(frozen=True)
class EgoPath:
    """Where the vehicle really went, in `frame_id` (base_link) at `stamp_ns`.

    Point i is reached at `stamps_ns[i]` (T,): `positions` (T, 2) m of the rear axle, `yaw` (T,) rad. Near the end of a
    scene there are less than 12 points (6 s).
    """

    stamp_ns: int
    frame_id: str
    stamps_ns: NDArray[np.int64] = field(repr=False)
    positions: NDArray[np.float64] = field(repr=False)
    yaw: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class KeyFrameTruth:
    """All that a bag says of one key frame; `vector_map` is None where the data set had no vector map."""

    sample: SampleInfo
    command: DrivingCommand
    objects: ObjectPredictions
    path: EgoPath
    vector_map: VectorMap | None

    @property
    def stamp_ns(self) -> int:
        """Stamp of the key frame's LiDAR sweep."""
        return self.sample.stamp_ns


def read_ground_truth(bag: Path | str | BagReader) -> list[KeyFrameTruth]:
    """Key frames of a converted bag, in time order.

    Raises:
        BagError: not readable, or not converted from a data set (it has no ground-truth topics).
    """
    if isinstance(bag, BagReader):
        return list(_key_frames(bag))
    with open_bag(bag) as reader:
        return list(_key_frames(reader))


def _key_frames(reader: BagReader) -> Iterator[KeyFrameTruth]:
    needed = (SAMPLE_INFO, COMMAND, OBJECTS, PATH)
    lacking = [t for t in needed if t not in reader.topics]
    if lacking:
        raise BagError(
            f"{reader.path} holds no ground truth (no {', '.join(lacking)}); make it with `distilldrive convert`"
        )
    by_stamp: dict[int, dict[str, Any]] = {}
    for message in reader.messages(topics=[t for t in (*needed, MAP) if t in reader.topics]):
        by_stamp.setdefault(message.stamp_ns, {})[message.topic] = reader.deserialize(message)
    for stamp_ns, found in by_stamp.items():
        absent = [t for t in needed if t not in found]
        if absent:
            raise BagError(f"{reader.path}: key frame at {stamp_ns} ns has no {', '.join(absent)}; convert it again")
        yield KeyFrameTruth(
            sample_from_message(found[SAMPLE_INFO]),
            command_from_message(found[COMMAND]),
            objects_from_message(found[OBJECTS]),
            path_from_message(found[PATH]),
            map_from_message(found[MAP]) if MAP in found else None,
        )


def _stamp_ns(header: Any) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def _yaw(q: Any) -> float:
    """Heading in the ground plane of a geometry_msgs/Quaternion."""
    rotation = rotation_from_quaternion([q.w, q.x, q.y, q.z])
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def sample_from_message(message: Any) -> SampleInfo:
    """Of distilldrive_ros/SampleInfo."""
    return SampleInfo(
        stamp_ns=_stamp_ns(message.header),
        frame_id=message.header.frame_id,
        dataset=message.dataset,
        scene_name=message.scene_name,
        scene_token=message.scene_token,
        sample_token=message.sample_token,
        sample_index=int(message.sample_index),
        description=message.description,
    )


def command_from_message(message: Any) -> DrivingCommand:
    """Of distilldrive_ros/DrivingCommand."""
    return DrivingCommand(_stamp_ns(message.header), message.header.frame_id, Command(message.command))


def objects_from_message(message: Any) -> ObjectPredictions:
    """Of distilldrive_ros/ObjectPredictions."""
    objects = []
    for o in message.objects:
        at, size = o.pose.position, o.size
        objects.append(
            ObjectPrediction(
                id=int(o.id),
                class_id=o.class_id,
                score=float(o.score),
                box=np.array([at.x, at.y, at.z, size.x, size.y, size.z, _yaw(o.pose.orientation)]),
                velocity=np.array([o.velocity.x, o.velocity.y]),
                time_step=float(o.time_step),
                mode_scores=np.asarray(o.mode_scores, np.float32),
                mode_xy=np.asarray(o.mode_xy, np.float32).reshape(o.num_modes, o.num_steps, 2),
            )
        )
    return ObjectPredictions(_stamp_ns(message.header), message.header.frame_id, message.model_id, tuple(objects))


def path_from_message(message: Any) -> EgoPath:
    """Of nav_msgs/Path whose poses are stamped with the time at which they are reached."""
    return EgoPath(
        stamp_ns=_stamp_ns(message.header),
        frame_id=message.header.frame_id,
        stamps_ns=np.array([_stamp_ns(p.header) for p in message.poses], np.int64),
        positions=np.array([[p.pose.position.x, p.pose.position.y] for p in message.poses]).reshape(-1, 2),
        yaw=np.array([_yaw(p.pose.orientation) for p in message.poses]),
    )


def map_from_message(message: Any) -> VectorMap:
    """Of distilldrive_ros/VectorMap."""
    polylines = tuple(
        MapPolyline(PolylineKind(p.kind), float(p.score), np.asarray(p.xy, np.float32).reshape(-1, 2))
        for p in message.polylines
    )
    return VectorMap(_stamp_ns(message.header), message.header.frame_id, message.model_id, polylines)
