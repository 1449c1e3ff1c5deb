"""A drive as recorded, frame by frame: the bag of sensors and ground truth, and the bag of plans made from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.reader import BagReader, open_bag
from distilldrive_ros.bags.result_topics import MAP_TOPIC, OBJECTS_TOPIC, PLANS_TOPIC
from distilldrive_ros.bags.topics import LIDAR, MAP, OBJECTS, ODOMETRY, SAMPLE_INFO, TF_STATIC
from distilldrive_ros.bags.topics import PATH as TRUTH_PATH
from distilldrive_ros.geometry.interpolation import interpolate_pose
from distilldrive_ros.geometry.poses import transform_points
from distilldrive_ros.messages.fields import rigid_matrix, stamp_ns
from distilldrive_ros.messages.plans import path_from_message, plan_from_message
from distilldrive_ros.messages.records import inference_stats_from_message
from distilldrive_ros.messages.scene_elements import objects_from_message, vector_map_from_message
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus
from distilldrive_ros.scene.timed_path import TimedPath
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.sync.message_inputs import point_cloud

Array = NDArray[np.float64]
T = TypeVar("T")

STATS_TOPIC = "/perception_planning/stats"
AGES_TOPIC = "/recorder/ages"
DIAGNOSTICS_TOPIC = "/diagnostics"

# A camera whose nearest image is farther from the anchor's stamp than this is shown as missing.
CAMERA_TOLERANCE_NS = 60_000_000


@dataclass(frozen=True)
class TruthPath:
    """Where the vehicle really went: times (n,) in seconds after the frame, positions (n, 2) in its base_link."""

    times: Array
    points: Array


@dataclass(frozen=True)
class RecordedFrame:
    """One anchor stamp and everything recorded for it; None where there is nothing. All in base_link at the stamp.

    `lidar_points` (n, 3) and `cameras` are there for the frames that are shown only.
    """

    stamp_ns: int
    world_from_base: Array
    label: str
    sample_token: str
    plan: PlanCandidates | None
    objects: ObjectPredictions | None
    vector_map: VectorMap | None
    stats: InferenceStats | None
    ages: InferenceStats | None
    truth_objects: ObjectPredictions | None
    truth_path: TruthPath | None
    truth_map: VectorMap | None
    lidar_points: Array | None
    cameras: tuple[CameraFrame, ...]


@dataclass(frozen=True)
class Recording:
    """All frames of a drive, in time order.

    `custom`: facts from the source's metadata; `health`: the last diagnostics by subject.
    """

    frames: tuple[RecordedFrame, ...]
    custom: dict[str, str]
    health: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def plans(self) -> tuple[PlanCandidates, ...]:
        """Plans of the frames that have one."""
        return tuple(f.plan for f in self.frames if f.plan is not None)


def read_recording(source: Path, plans: Path, max_shown: int = 60) -> Recording:
    """Read both bags. A frame is every key frame of a data set, else every LiDAR sweep, else every plan.

    `max_shown`: so many frames, evenly spread, get their pictures and points; the others only their numbers.

    Raises:
        BagError: a bag is missing or damaged, or they are not of the same drive.
    """
    with open_bag(source) as source_bag, open_bag(plans) as plans_bag:
        results = RecordedResults.read(plans_bag)
        stamps = _stamps(source_bag, SAMPLE_INFO) or _stamps(source_bag, LIDAR) or sorted(results.plans)
        if results.plans and not set(results.plans) & set(stamps):
            raise BagError(f"no plan of {plans} has a stamp of {source}; these are not of the same drive")
        drive = _Drive.read(source_bag, _evenly(stamps, max_shown))
        frames = tuple(drive.frame(stamp, i, results) for i, stamp in enumerate(stamps))
        return Recording(frames, source_bag.custom_data, results.health)


def _stamps(bag: BagReader, topic: str) -> list[int]:
    return sorted({m.stamp_ns for m in bag.messages(topics=[topic])}) if topic in bag.topics else []


def _evenly(stamps: list[int], count: int) -> list[int]:
    """At most `count` of them, the first and the last included."""
    if len(stamps) <= count:
        return stamps
    return [stamps[round(i * (len(stamps) - 1) / max(1, count - 1))] for i in range(count)]


@dataclass(frozen=True)
class RecordedResults:
    """Everything in a bag of plans, by stamp; `health`: the last diagnostics by subject."""

    plans: dict[int, PlanCandidates]
    objects: dict[int, ObjectPredictions]
    maps: dict[int, VectorMap]
    stats: dict[int, InferenceStats]
    ages: dict[int, InferenceStats]
    health: dict[str, dict[str, str]]

    @classmethod
    def read(cls, bag: BagReader) -> RecordedResults:
        """All results of a bag; topics that it lacks are empty."""
        return cls(
            _by_stamp(bag, PLANS_TOPIC, plan_from_message),
            _by_stamp(bag, OBJECTS_TOPIC, objects_from_message),
            _by_stamp(bag, MAP_TOPIC, vector_map_from_message),
            _by_stamp(bag, STATS_TOPIC, inference_stats_from_message),
            _by_stamp(bag, AGES_TOPIC, inference_stats_from_message),
            _last_health(bag),
        )


def _by_stamp(bag: BagReader, topic: str, convert: Callable[[Any], T]) -> dict[int, T]:
    if topic not in bag.topics:
        return {}
    found = {}
    for recorded in bag.messages(topics=[topic]):
        message: Any = bag.deserialize(recorded)
        found[stamp_ns(message.header.stamp)] = convert(message)
    return found


def _last_health(bag: BagReader) -> dict[str, dict[str, str]]:
    """The last report of every diagnostic subject: its message and values."""
    health: dict[str, dict[str, str]] = {}
    if DIAGNOSTICS_TOPIC in bag.topics:
        for recorded in bag.messages(topics=[DIAGNOSTICS_TOPIC]):
            message: Any = bag.deserialize(recorded)
            for status in message.status:
                health[status.name] = {"message": status.message, **{v.key: v.value for v in status.values}}
    return health


@dataclass(frozen=True)
class _Drive:
    """What the source bag holds, by stamp; images and clouds of shown frames only, serialised until they are used."""

    bag: BagReader
    shown: list[int]
    clouds: dict[int, Any]
    images: dict[str, dict[int, Any]]
    infos: dict[str, dict[int, Any]]
    poses: tuple[NDArray[np.int64], list[Array]]
    extrinsics: dict[str, Array]
    samples: dict[int, Any]
    objects: dict[int, ObjectPredictions]
    paths: dict[int, TimedPath]
    maps: dict[int, VectorMap]

    @classmethod
    def read(cls, bag: BagReader, shown: list[int]) -> _Drive:
        clouds: dict[int, Any] = {}
        images: dict[str, dict[int, Any]] = defaultdict(dict)
        infos: dict[str, dict[int, Any]] = defaultdict(dict)
        cameras = {t.split("/")[2]: t for t in bag.topics if t.startswith("/camera/") and t.endswith("/compressed")}
        wanted = np.array(shown, np.int64)
        for recorded in bag.messages(topics=[t for t in (LIDAR, *cameras.values()) if t in bag.topics]):
            if recorded.topic == LIDAR:
                if recorded.stamp_ns in shown:
                    clouds[recorded.stamp_ns] = recorded
            elif len(wanted) and np.abs(wanted - recorded.stamp_ns).min() <= CAMERA_TOLERANCE_NS:
                images[recorded.topic.split("/")[2]][recorded.stamp_ns] = recorded
        for name in cameras:
            for stamp, info in _by_stamp(bag, f"/camera/{name}/camera_info", lambda m: m).items():
                infos[name][stamp] = info
        odometry = _by_stamp(bag, ODOMETRY, lambda m: rigid_matrix(m.pose.pose.position, m.pose.pose.orientation))
        stamps = np.array(sorted(odometry), np.int64)
        return cls(
            bag, shown, clouds, images, infos, (stamps, [odometry[int(s)] for s in stamps]), static_extrinsics(bag),
            _by_stamp(bag, SAMPLE_INFO, lambda m: m), _by_stamp(bag, OBJECTS, objects_from_message),
            _by_stamp(bag, TRUTH_PATH, path_from_message), _by_stamp(bag, MAP, vector_map_from_message),
        )  # fmt: skip

    def frame(self, stamp: int, index: int, results: RecordedResults) -> RecordedFrame:
        sample = self.samples.get(stamp)
        path = self.paths.get(stamp)
        return RecordedFrame(
            stamp_ns=stamp,
            world_from_base=self.pose(stamp),
            label=f"key frame {sample.sample_index}" if sample is not None else f"frame {index}",
            sample_token=sample.sample_token if sample is not None else "",
            plan=results.plans.get(stamp),
            objects=results.objects.get(stamp),
            vector_map=results.maps.get(stamp),
            stats=results.stats.get(stamp),
            ages=results.ages.get(stamp),
            truth_objects=self.objects.get(stamp),
            truth_path=TruthPath(path.times, path.positions) if path is not None and len(path.times) else None,
            truth_map=self.maps.get(stamp),
            lidar_points=self._points(stamp),
            cameras=self._cameras(stamp) if stamp in self.shown else (),
        )

    def pose(self, stamp: int) -> Array:
        """base_link in the odometry frame, interpolated; beyond the ends the end pose."""
        stamps, poses = self.poses
        if not len(stamps):
            return np.eye(4)
        after = int(np.searchsorted(stamps, stamp))
        if after == len(stamps) or stamps[after] == stamp or after == 0:
            return poses[min(after, len(stamps) - 1)]
        before = after - 1
        fraction = (stamp - int(stamps[before])) / (int(stamps[after]) - int(stamps[before]))
        return interpolate_pose(poses[before], poses[after], fraction)

    def _points(self, stamp: int) -> Array | None:
        recorded = self.clouds.get(stamp)
        if recorded is None:
            return None
        message: Any = self.bag.deserialize(recorded)
        base_from_lidar = self.extrinsics.get(message.header.frame_id)
        return (
            None if base_from_lidar is None else transform_points(base_from_lidar, point_cloud(message).points[:, :3])
        )

    def _cameras(self, stamp: int) -> tuple[CameraFrame, ...]:
        return tuple(c for name in self.images if (c := self._camera(name, stamp)) is not None)

    def _camera(self, name: str, stamp: int) -> CameraFrame | None:
        stamps = self.images[name]
        nearest = min(stamps, key=lambda s: abs(s - stamp), default=None)
        if nearest is None or abs(nearest - stamp) > CAMERA_TOLERANCE_NS:
            return None
        image: Any = self.bag.deserialize(stamps[nearest])
        info = self.infos[name].get(nearest)
        extrinsic = self.extrinsics.get(image.header.frame_id)
        if info is None or extrinsic is None:
            return None
        data = np.asarray(image.data, np.uint8)
        return CameraFrame(
            name=name, stamp_ns=nearest, status=CameraStatus.FRESH, encoding="jpeg",
            width=int(info.width), height=int(info.height), data=data,
            intrinsics=np.asarray(info.k, np.float64).reshape(3, 3),
            base_from_camera=extrinsic, world_from_base=self.pose(nearest),
        )  # fmt: skip


def static_extrinsics(bag: BagReader) -> dict[str, Array]:
    """base_link from every sensor frame, chained through `/tf_static`."""
    parents: dict[str, tuple[str, Array]] = {}
    if TF_STATIC in bag.topics:
        for recorded in bag.messages(topics=[TF_STATIC]):
            message: Any = bag.deserialize(recorded)
            for t in message.transforms:
                pose = rigid_matrix(t.transform.translation, t.transform.rotation)
                parents[t.child_frame_id] = (t.header.frame_id, pose)
    chained = {}
    for frame in parents:
        pose, at, steps = np.eye(4), frame, 0
        while at in parents and at != "base_link" and steps <= len(parents):
            parent, step = parents[at]
            pose, at, steps = step @ pose, parent, steps + 1
        if at == "base_link":
            chained[frame] = pose
    return chained
