"""A bag as the sets that a model would see on a vehicle: the graph's own synchroniser, fed in stamp order.

The arrival clock is the bag's log time, so nothing depends on how fast this machine is: the same bag gives the same
sets, byte for byte, every time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from distilldrive_ros.bags.reader import BagMessage, BagReader
from distilldrive_ros.bags.topics import (
    CAMERA_INFO,
    COMMAND,
    LIDAR,
    OBJECTS,
    ODOMETRY,
    ROUTE,
    SAMPLE_INFO,
    camera_info_topic,
    image_topic,
)
from distilldrive_ros.evaluation.recording import static_extrinsics
from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.messages.records import command_from_message
from distilldrive_ros.messages.scene_elements import objects_from_message, vector_map_from_message
from distilldrive_ros.models.interface import SensorRequirements
from distilldrive_ros.planning.speed_history import SpeedHistory
from distilldrive_ros.scene.errors import BagError, SensorDataError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.sync.config import SyncConfig
from distilldrive_ros.sync.ground_truth_pairing import GroundTruthPairing
from distilldrive_ros.sync.key_frame_filter import KeyFrameFilter
from distilldrive_ros.sync.message_inputs import calibration, compressed_image, ego_motion, point_cloud
from distilldrive_ros.sync.synchronizer import SensorSynchronizer

# CDR: 4 bytes of encapsulation, then the header's stamp (sec, nanosec).
_AFTER_STAMP = 12


@dataclass(frozen=True)
class FrameSettings:
    """As the parameters of `sensor_sync`: `rules`; `key_frames_only`; `rectified`: intrinsics are P of camera_info.

    `without_sensors`: a set per key frame from odometry and command alone, with an empty sweep; only for models that
    look at nothing else. `ground_truth`: only sets of annotated stamps, with what is known then (`privileged`).
    """

    rules: SyncConfig
    key_frames_only: bool = False
    rectified: bool = False
    without_sensors: bool = False
    ground_truth: bool = False

    def fitted(self, bag: BagReader, needs: SensorRequirements) -> FrameSettings:
        """As the model needs: without sensors for a bag that has key frames but no sweeps, if the model needs none."""
        if needs.ground_truth != self.ground_truth:
            return replace(self, ground_truth=needs.ground_truth).fitted(bag, needs)
        blind = not needs.cameras and not needs.lidar and LIDAR not in bag.topics and SAMPLE_INFO in bag.topics
        if not blind or self.rules.lidar is None:
            return self
        lidar = self.rules.lidar
        rules = replace(self.rules, anchor=lidar.name, sensors=(replace(lidar, offset_ms=0.0),))
        return replace(self, rules=rules, without_sensors=True)


@dataclass
class BagFrames:
    """Sets of a bag. `refused`: messages that could not be used, by topic; `reasons`: the first cause of each topic.

    `speeds`: the odometry read so far, for the planner.
    """

    bag: BagReader
    settings: FrameSettings
    speeds: SpeedHistory = field(default_factory=SpeedHistory)
    refused: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare to read.

        Raises:
            BagError: the bag lacks a topic of the rig or the odometry; the message names it.
        """
        self.synchronizer = SensorSynchronizer(self.settings.rules)
        # Nothing is late in a file: a set waits for its announcement as long as the bag lasts.
        self._key_frames = KeyFrameFilter(2**63 - 1) if self.settings.key_frames_only else None
        self._decided: list[SensorFrame] = []
        self.pairing = GroundTruthPairing(2**63 - 1) if self.settings.ground_truth else None
        self._paired: list[SensorFrame] = []
        self._extrinsics = static_extrinsics(self.bag)
        self._calibrated: dict[str, bytes] = {}
        self._handlers = self._topics()
        blind_to = [t for t in (OBJECTS, ROUTE) if self.pairing is not None and t not in self.bag.topics]
        if blind_to:
            raise BagError(
                f"{self.bag.path} has no {', '.join(blind_to)}, which a privileged model needs; convert the data set "
                "again, with its map expansion"
            )
        lacking = [t for t in self._handlers if t not in self.bag.topics and t not in (COMMAND, SAMPLE_INFO)]
        if lacking:
            raise BagError(
                f"{self.bag.path} has no topic {', '.join(lacking)}, which the rig needs; convert or record it with "
                "these sensors, or choose another rig"
            )
        if self._key_frames is not None and SAMPLE_INFO not in self.bag.topics:
            raise BagError(f"{self.bag.path} names no key frames (no {SAMPLE_INFO}); play all its sets instead")

    def _topics(self) -> dict[str, Callable[[Any, int], list[SensorFrame]]]:
        handlers: dict[str, Callable[[Any, int], list[SensorFrame]]] = {}
        for camera in self.synchronizer.config.cameras:
            handlers[camera_info_topic(camera.name)] = self._camera_info(camera.name)
            handlers[image_topic(camera.name)] = self._image(camera.name)
        lidar = self.synchronizer.config.lidar
        if self.settings.without_sensors and lidar is not None:
            self.synchronizer.set_lidar_calibration(lidar.name, self._extrinsics.get(lidar.name, np.eye(4)))
        elif lidar is not None:
            handlers[LIDAR] = self._points
        handlers.update({ODOMETRY: self._odometry, COMMAND: self._command, SAMPLE_INFO: self._sample})
        if self.pairing is not None:
            handlers[OBJECTS] = self._truth(self.pairing, objects_from_message)
            handlers[ROUTE] = self._truth(self.pairing, vector_map_from_message)
        return handlers

    def __iter__(self) -> Iterator[SensorFrame]:
        """Sets in stamp order.

        Raises:
            BagError: the bag is damaged.
        """
        now_ns = self.bag.start_ns
        for message in self.bag.messages(topics=[t for t in self._handlers if t in self.bag.topics]):
            now_ns = max(now_ns, message.stamp_ns)
            if self._known_calibration(message):
                continue
            try:
                closed = self._handlers[message.topic](self._read(message), now_ns)
            except SensorDataError as error:
                self.refused[message.topic] += 1
                self.reasons.setdefault(message.topic, str(error))
                continue
            if message.type == CAMERA_INFO:
                self._calibrated[message.topic] = bytes(message.cdr[_AFTER_STAMP:])
            yield from self._passed(closed)
        yield from self._passed(self.synchronizer.close(now_ns))

    def _read(self, message: BagMessage) -> Any:
        return self.bag.deserialize(message)

    def _passed(self, frames: list[SensorFrame]) -> Iterator[SensorFrame]:
        if self.pairing is None:
            yield from self._of_key_frames(frames)
            return
        paired, self._paired = self._paired, []
        yield from paired
        for frame in self._of_key_frames(frames):
            yield from self.pairing.add(frame, 0)

    def _of_key_frames(self, frames: list[SensorFrame]) -> Iterator[SensorFrame]:
        if self._key_frames is None:
            yield from frames
            return
        decided, self._decided = self._decided, []
        yield from decided
        for frame in frames:
            yield from self._key_frames.add(frame, 0)

    def _known_calibration(self, message: BagMessage) -> bool:
        """Whether a camera_info only repeats what its camera has (but for the stamp): it comes with every image."""
        known = self._calibrated.get(message.topic)
        return known is not None and message.cdr[_AFTER_STAMP:] == known

    def _camera_info(self, name: str) -> Callable[[Any, int], list[SensorFrame]]:
        def take(message: Any, now_ns: int) -> list[SensorFrame]:
            found = calibration(message, self.settings.rectified)
            matrix = self._base_from(found.frame_id)
            self.synchronizer.set_camera_calibration(name, found.intrinsics, found.width, found.height, matrix)
            return []

        return take

    def _image(self, name: str) -> Callable[[Any, int], list[SensorFrame]]:
        def take(message: Any, now_ns: int) -> list[SensorFrame]:
            image = compressed_image(message)
            return self.synchronizer.add_camera(
                name, image.stamp_ns, image.encoding, image.width, image.height, image.data, now_ns
            )

        return take

    def _points(self, message: Any, now_ns: int) -> list[SensorFrame]:
        lidar = self.synchronizer.config.lidar
        assert lidar is not None  # else nobody asks for this topic
        frame = message.header.frame_id.lstrip("/")
        if self._calibrated.get(lidar.name) != frame.encode():
            self.synchronizer.set_lidar_calibration(lidar.name, self._base_from(frame))
            self._calibrated[lidar.name] = frame.encode()
        cloud = point_cloud(message)
        return self.synchronizer.add_lidar(lidar.name, cloud.stamp_ns, cloud.points, now_ns)

    def _odometry(self, message: Any, now_ns: int) -> list[SensorFrame]:
        rules = self.settings.rules
        ego = ego_motion(message, rules.base_frame)
        if ego.world_frame != rules.world_frame:
            raise SensorDataError(
                f"odometry is in frame {ego.world_frame!r}, not {rules.world_frame!r}; set world_frame to it"
            )
        self.speeds.add(ego.stamp_ns, ego.speed)
        return self.synchronizer.add_odometry(
            ego.stamp_ns, ego.world_from_base, ego.speed, ego.lateral_speed, ego.yaw_rate, now_ns
        )

    def _command(self, message: Any, now_ns: int) -> list[SensorFrame]:
        command = command_from_message(message)
        return self.synchronizer.add_command(command.stamp_ns, command.command, now_ns)

    def _sample(self, message: Any, now_ns: int) -> list[SensorFrame]:
        stamp = stamp_ns(message.header.stamp)
        self.synchronizer.notify_scene(message.scene_token, stamp)
        if self._key_frames is not None:
            self._decided += self._key_frames.announce(stamp, 0)
        lidar = self.synchronizer.config.lidar
        if not self.settings.without_sensors or lidar is None:
            return []
        return self.synchronizer.add_lidar(lidar.name, stamp, np.zeros((0, 5), np.float32), now_ns)

    def _truth(
        self, pairing: GroundTruthPairing, convert: Callable[[Any], ObjectPredictions | VectorMap]
    ) -> Callable[[Any, int], list[SensorFrame]]:
        def take(message: Any, now_ns: int) -> list[SensorFrame]:
            self._paired += pairing.add_truth(convert(message), 0)
            return []

        return take

    def _base_from(self, frame: str) -> Any:
        found = self._extrinsics.get(frame.lstrip("/"))
        if found is None:
            known = ", ".join(self._extrinsics) or "nothing"
            raise SensorDataError(f"no transform from {frame} to base_link on /tf_static (known: {known})")
        return found
