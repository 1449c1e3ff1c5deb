"""nuScenes to rosbag2: one bag per scene, every message at the stamp of its own sensor, in time order.

Camera JPEG streams and LiDAR points are written as the files hold them. A root may lack pixels or points: what exists
is converted, and the report counts what is missing. A topic without a single message is not in the bag.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

from distilldrive_ros.bags.file_part import FilePart
from distilldrive_ros.bags.qos import SENSOR_QOS, TopicQos
from distilldrive_ros.bags.sensor_messages import (
    camera_info_template,
    cloud_parts,
    image_parts,
    image_template,
    odometry_template,
    ros_order,
    static_transforms,
    transform_template,
)
from distilldrive_ros.bags.topics import (
    CAMERA_INFO,
    COMMAND,
    COMPRESSED_IMAGE,
    FIXED_TOPICS,
    LIDAR,
    MAP,
    OBJECTS,
    ODOMETRY,
    PATH,
    ROUTE,
    SAMPLE_INFO,
    TF,
    TF_STATIC,
    camera_info_topic,
    image_topic,
)
from distilldrive_ros.bags.truth_messages import (
    command_message,
    map_message,
    objects_cdr,
    path_cdr,
    sample_message,
)
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.datasets.driving_command import HORIZON_KEY_FRAMES
from distilldrive_ros.datasets.futures import FUTURE_STEP_S, FUTURE_STEPS
from distilldrive_ros.datasets.map_expansion import MapExpansion
from distilldrive_ros.datasets.map_region import map_region
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.point_files import points_of
from distilldrive_ros.datasets.records import SampleData, Scene
from distilldrive_ros.datasets.scene_source import KeyFrame, SceneSource
from distilldrive_ros.scene.errors import BagError, DatasetError

# Raised whenever the same source gives other bags: finished bags of another version are not taken for finished.
FORMAT_VERSION = 2
SIDE_FILE = "conversion.json"
_JPEG_START = b"\xff\xd8"
# Smaller pictures are read: each of these is an open file until its chunk is written.
FILE_PART_BYTES = 2**16

Message = tuple[str, int, object]


@dataclass
class SceneReport:
    """What became of a scene; also the content of `conversion.json` beside the bag.

    `missing` and `left_out_sensors` count files and rows by channel, `left_out_boxes` annotations by category,
    `short_commands` the key frames whose command was read from fewer than 6 key frames ahead.
    """

    dataset: str
    scene_name: str
    scene_token: str
    location: str
    vehicle: str
    description: str
    format_version: int
    sweeps: bool
    key_frames: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    bytes_copied: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    left_out_sensors: dict[str, int] = field(default_factory=dict)
    left_out_boxes: dict[str, int] = field(default_factory=dict)
    short_commands: int = 0
    unknown_velocities: int = 0
    has_map: bool = False
    has_route: bool = False
    already_there: bool = False
    seconds: float = 0.0


def convert_scene(
    nuscenes: NuScenes,
    scene: Scene,
    bag: Path,
    expansion: MapExpansion | None = None,
    force: bool = False,
    sweeps: bool = True,
    progress: Callable[[int], object] = lambda key_frames: None,
) -> SceneReport:
    """Convert one scene.

    Args:
        nuscenes: the open root.
        scene: one of its scenes.
        bag: folder of the bag to make.
        expansion: vector map of the scene's place, if there is one (`datasets.map_expansion.open_map`).
        force: replace what is there.
        sweeps: also the measurements between key frames.
        progress: called with the number of key frames done since the last call.

    Returns:
        What was written. A bag that this function finished before, from the same scene with the same settings, is left
        as it is (`already_there`).

    Raises:
        DatasetError: tables or files are damaged.
        BagError: something else is at `bag` and `force` is not set, or the disk is full.
    """
    report = SceneReport(
        dataset=nuscenes.version, scene_name=scene.name, scene_token=scene.token, location=scene.location,
        vehicle=scene.vehicle, description=scene.description, format_version=FORMAT_VERSION, sweeps=sweeps,
    )  # fmt: skip
    if not force and bag.exists():
        return _finished(bag, report)
    started = perf_counter()
    source = SceneSource(nuscenes, scene, expansion, sweeps)
    report.key_frames = len(source.samples)
    with BagWriter(bag, force) as writer:
        offers = _offers(source)
        counts: Counter[str] = Counter()
        for topic, stamp_ns, message in _SceneMessages(source, report, progress, writer.reserve):
            if topic not in counts:
                writer.add_topic(topic, *offers[topic])
            writer.write(topic, message, stamp_ns)
            counts[topic] += 1
        report.messages = dict(counts)
        report.left_out_sensors = dict(source.left_out)
        report.left_out_boxes = dict(source.boxes.left_out)
        report.has_map = expansion is not None
        report.has_route = source.route_region is not None
        report.seconds = perf_counter() - started
        for key in ("dataset", "scene_name", "scene_token", "location", "description"):
            writer.set_custom_data(key, getattr(report, key))
        writer.add_side_file(SIDE_FILE, json.dumps(asdict(report), indent=2) + "\n")
    return report


def _finished(bag: Path, wanted: SceneReport) -> SceneReport:
    """The report of a bag that is there already and is what was asked for.

    Raises:
        BagError: it is anything else.
    """
    try:
        found = SceneReport(**json.loads((bag / SIDE_FILE).read_text(encoding="utf-8")))
        same = (found.dataset, found.scene_token, found.format_version, found.sweeps) == (
            wanted.dataset, wanted.scene_token, wanted.format_version, wanted.sweeps
        )  # fmt: skip
    except (OSError, ValueError, TypeError):
        same = False
    if not same or not (bag / "metadata.yaml").is_file():
        raise BagError(
            f"{bag} exists and is not a finished conversion of {wanted.scene_name} with these settings; "
            "use --force to replace it or --out to write elsewhere"
        )
    found.already_there = True
    return found


def _offers(source: SceneSource) -> dict[str, tuple[str, TopicQos]]:
    """Type and quality of service of every topic that the scene may have."""
    offers = dict(FIXED_TOPICS)
    for channel, sensor in source.sensors.items():
        if sensor.modality == "camera":
            offers[image_topic(channel)] = (COMPRESSED_IMAGE, SENSOR_QOS)
            offers[camera_info_topic(channel)] = (CAMERA_INFO, SENSOR_QOS)
    return offers


class _SceneMessages:
    """All messages of a scene in time order; at equal stamps, what others refer to comes first.

    Each must be written before the next is asked for: images and points lie in memory that is used again (`reserve`).
    """

    def __init__(
        self,
        source: SceneSource,
        report: SceneReport,
        progress: Callable[[int], object],
        reserve: Callable[[int], memoryview],
    ) -> None:
        self.source, self.report, self.progress, self.reserve = source, report, progress, reserve
        self.cameras = {c: s for c, s in source.sensors.items() if s.modality == "camera"}
        self.images = {c: image_template(c) for c in self.cameras}
        sizes = {d.channel: (d.width, d.height) for d in source.measurements}
        self.infos = {c: camera_info_template(s, *sizes[c]) for c, s in self.cameras.items()}
        self.missing: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Message]:
        track = self.source.track
        key_frames = {k.stamp_ns: k for k in self.source.key_frames}
        measurements: dict[int, list[SampleData]] = defaultdict(list)
        for data in self.source.measurements:
            measurements[data.stamp_ns].append(data)
        stamps = sorted({*track.stamps_ns.tolist(), *key_frames})
        yield TF_STATIC, stamps[0], static_transforms(stamps[0], self.source.sensors)
        ego = self._ego_messages()
        for stamp_ns in stamps:
            yield from ego.get(stamp_ns, ())
            if stamp_ns in key_frames:
                yield from self._key_frame_messages(key_frames[stamp_ns])
            for data in measurements.get(stamp_ns, ()):
                yield from self._sensor_messages(data)
            if stamp_ns in key_frames:
                self.progress(1)
        self.report.missing = dict(self.missing)

    def _ego_messages(self) -> dict[int, tuple[Message, Message]]:
        """Transform and odometry by stamp."""
        track, twists = self.source.track, self.source.track.twists()
        transform, odometry = transform_template(), {known: odometry_template(known) for known in (True, False)}
        poses = zip(track.translations.tolist(), ros_order(track.rotations).tolist(), strict=True)
        speeds = zip(twists.linear.tolist(), twists.angular.tolist(), twists.known.tolist(), strict=True)
        self.report.unknown_velocities = int((~twists.known).sum())
        out: dict[int, tuple[Message, Message]] = {}
        for stamp_ns, (place, turn), (linear, angular, known) in zip(
            track.stamps_ns.tolist(), poses, speeds, strict=True
        ):
            pose = (*place, *turn)
            out[stamp_ns] = (
                (TF, stamp_ns, transform.fill([stamp_ns], pose)),
                (ODOMETRY, stamp_ns, odometry[known].fill([stamp_ns], pose, (*linear, *angular))),
            )
        return out

    def _key_frame_messages(self, key_frame: KeyFrame) -> Iterator[Message]:
        source, stamp_ns, sample = self.source, key_frame.stamp_ns, key_frame.sample
        self.report.short_commands += key_frame.command.key_frames_ahead < HORIZON_KEY_FRAMES
        yield COMMAND, stamp_ns, command_message(stamp_ns, key_frame.command.command)
        yield SAMPLE_INFO, stamp_ns, sample_message(stamp_ns, source.nuscenes.version, source.scene, sample)
        yield OBJECTS, stamp_ns, objects_cdr(stamp_ns, source.boxes, sample.index, key_frame.world_from_base)
        yield PATH, stamp_ns, path_cdr(stamp_ns, *source.track.future(stamp_ns, FUTURE_STEPS, FUTURE_STEP_S))
        if source.expansion is not None:
            region = map_region(source.expansion, key_frame.world_from_base, source.base_from_lidar)
            yield MAP, stamp_ns, map_message(stamp_ns, region)
        if source.route_region is not None:
            yield ROUTE, stamp_ns, map_message(stamp_ns, source.route_region.at(key_frame.world_from_base))

    def _sensor_messages(self, data: SampleData) -> Iterator[Message]:
        stamp_ns, camera = data.stamp_ns, data.channel in self.cameras
        if camera:
            yield camera_info_topic(data.channel), stamp_ns, self.infos[data.channel].fill([stamp_ns])
        path = self.source.nuscenes.file(data)
        try:
            content = self._open(path) if camera else self._read(path)
        except FileNotFoundError:
            self.missing[data.channel] += 1
            return
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}; copy it again") from error
        self.report.bytes_copied += len(content)
        if isinstance(content, memoryview) and not camera:
            points = points_of(content, path)
            yield LIDAR, stamp_ns, cloud_parts(stamp_ns, data.channel, points, path)
        elif _start(content) == _JPEG_START:
            yield image_topic(data.channel), stamp_ns, image_parts(self.images[data.channel], stamp_ns, content)
        else:
            size = len(content)
            if isinstance(content, FilePart):
                content.close()
            raise DatasetError(f"image {path} is no JPEG file ({size} bytes); copy it again")

    def _open(self, path: Path) -> FilePart | memoryview:
        """A picture for the message written next: the file itself, or what is in it where it is small."""
        if path.stat().st_size < FILE_PART_BYTES:
            return self._read(path)
        file = path.open("rb", buffering=0)
        return FilePart(file, os.fstat(file.fileno()).st_size)

    def _read(self, path: Path) -> memoryview:
        """Content of a file, in memory that serves for the message written next (`BagWriter.reserve`)."""
        with path.open("rb", buffering=0) as file:
            content = self.reserve(os.fstat(file.fileno()).st_size)
            filled = 0
            while filled < len(content) and (count := file.readinto(content[filled:])):
                filled += count
        return content[:filled]


def _start(content: FilePart | memoryview) -> bytes:
    """The first bytes of a picture, as many as tell a JPEG stream."""
    count = len(_JPEG_START)
    return content.start(count) if isinstance(content, FilePart) else bytes(content[:count])
