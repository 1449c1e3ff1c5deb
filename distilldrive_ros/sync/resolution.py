"""What becomes of one anchor: wait on, emit a set, or drop it and say why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, Degraded, Discontinuity, SensorFrame
from distilldrive_ros.sync.assembly import (
    CameraCalibration,
    CameraMessage,
    LidarMessage,
    black_camera_frame,
    camera_frame,
    ego_status,
    lidar_frame,
)
from distilldrive_ros.sync.command_history import CommandHistory
from distilldrive_ros.sync.config import SensorConfig, SyncConfig
from distilldrive_ros.sync.ego_buffer import Availability, EgoBuffer, EgoSample
from distilldrive_ros.sync.message_queue import MessageQueue
from distilldrive_ros.sync.status import ODOMETRY, DropReason, MissingStream

SensorMessage = CameraMessage | LidarMessage


@dataclass(frozen=True)
class Resolution:
    """Outcome for an anchor. `frame` has no sequence number and no discontinuity yet; None: dropped for `reason`."""

    frame: SensorFrame | None
    reason: DropReason | None
    missing: tuple[MissingStream, ...]


@dataclass
class Streams:
    """Everything received and still of use. `queues`: every sensor but the anchor."""

    config: SyncConfig
    ego: EgoBuffer
    commands: CommandHistory
    queues: dict[str, MessageQueue[SensorMessage]]
    cameras: dict[str, CameraCalibration] = field(default_factory=dict)
    lidars: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def calibrated(self, sensor: SensorConfig) -> bool:
        """Whether the sensor's calibration is known."""
        return sensor.name in (self.cameras if sensor.kind == "camera" else self.lidars)

    def resolve(self, anchor: SensorMessage, expired: bool) -> Resolution | None:
        """The outcome for an anchor; None while a message to come could change it, unless its time has `expired`."""
        picks = self._pick(anchor, expired)
        if picks is None or (not expired and self._should_wait(anchor, picks)):
            return None
        lacking = self._lacking(anchor, picks)
        reason = self._reason_to_drop(picks)
        if reason is not None:
            return Resolution(None, reason, lacking)
        stamps = [anchor.stamp_ns, *(m.stamp_ns for m in picks.values() if m is not None)]
        if self.ego.jumped_within(min(stamps), max(stamps)):
            jump = MissingStream(ODOMETRY, math.nan, "the ego pose jumped within the set")
            return Resolution(None, "teleport", (*lacking, jump))
        egos = {stamp: self.ego.at(stamp) for stamp in stamps}
        known = {stamp: ego for stamp, ego in egos.items() if ego is not None}
        if len(known) < len(egos):
            return Resolution(None, "odometry", (*lacking, self._lacking_odometry(max(egos.keys() - known.keys()))))
        return Resolution(self._assemble(anchor, picks, known), None, lacking)

    def _pick(self, anchor: SensorMessage, expired: bool) -> dict[str, SensorMessage | None] | None:
        """The message of every sensor in the order of the rig, None where it has none; None while that is open."""
        picks: dict[str, SensorMessage | None] = {}
        for sensor in self.config.sensors:
            if sensor.name == self.config.anchor:
                picks[sensor.name] = anchor
                continue
            target = anchor.stamp_ns + sensor.offset_ns
            queue = self.queues[sensor.name]
            choice = queue.choose(target, sensor.tolerance_ns, sensor.settle_ns)
            if not choice.decided and not expired:
                return None
            picks[sensor.name] = choice.item
            if choice.item is None and sensor.kind == "camera" and self.config.missing_camera == "hold_last":
                oldest = target - round(self.config.hold_limit_ms * 1e6)
                picks[sensor.name] = queue.newest_between(oldest, target - sensor.tolerance_ns - 1)
        return picks

    def _should_wait(self, anchor: SensorMessage, picks: dict[str, SensorMessage | None]) -> bool:
        if not all(self.calibrated(sensor) for sensor in self.config.sensors):
            return True
        if self.config.wait_for_command:
            newest = self.commands.newest_ns
            if newest is None or newest < anchor.stamp_ns:
                return True
        last = max(message.stamp_ns for message in picks.values() if message is not None)
        return self.ego.availability(last) is Availability.NOT_YET

    def _fresh(self, sensor: SensorConfig, anchor: SensorMessage, message: SensorMessage) -> bool:
        return abs(message.stamp_ns - anchor.stamp_ns - sensor.offset_ns) <= sensor.tolerance_ns

    def _reason_to_drop(self, picks: dict[str, SensorMessage | None]) -> DropReason | None:
        config = self.config
        if config.missing_camera != "zero_fill" and any(picks[sensor.name] is None for sensor in config.cameras):
            return "camera"
        if any(not self.calibrated(sensor) for sensor in config.cameras):
            return "calibration"
        lidar = config.lidar
        if lidar is None or (not config.lidar_required and lidar.name != config.anchor):
            return None
        if picks[lidar.name] is None:
            return "lidar"
        return None if self.calibrated(lidar) else "calibration"

    def _lacking(self, anchor: SensorMessage, picks: dict[str, SensorMessage | None]) -> tuple[MissingStream, ...]:
        found = []
        for sensor in self.config.sensors:
            message = picks[sensor.name]
            if message is not None and self._fresh(sensor, anchor, message):
                if not self.calibrated(sensor):
                    found.append(MissingStream(sensor.name, math.nan, "no calibration yet"))
                continue
            target = anchor.stamp_ns + sensor.offset_ns
            newest = self.queues[sensor.name].newest_ns
            behind = math.nan if newest is None else (target - newest) * 1e-6
            reason = (
                "nothing received"
                if newest is None
                else f"no message within {sensor.tolerance_ms:g} ms of its expected stamp"
            )
            if message is not None:
                reason += f", image of {(target - message.stamp_ns) * 1e-6:.0f} ms earlier held"
            found.append(MissingStream(sensor.name, behind, reason))
        return tuple(found)

    def _lacking_odometry(self, stamp_ns: int) -> MissingStream:
        newest = self.ego.newest_ns
        if newest is None:
            return MissingStream(ODOMETRY, math.nan, "nothing received")
        limit = self.config.max_extrapolation_ms
        return MissingStream(ODOMETRY, (stamp_ns - newest) * 1e-6, f"no pose within {limit:g} ms of a sensor's stamp")

    def _assemble(
        self, anchor: SensorMessage, picks: dict[str, SensorMessage | None], egos: dict[int, EgoSample]
    ) -> SensorFrame:
        config, ego, degraded = self.config, egos[anchor.stamp_ns], Degraded.NONE
        cameras: list[CameraFrame] = []
        lidar = None
        for sensor in config.sensors:
            message = picks[sensor.name]
            if isinstance(message, CameraMessage):
                held = not self._fresh(sensor, anchor, message)
                degraded |= Degraded.CAMERA_HELD if held else Degraded.NONE
                status = CameraStatus.HELD if held else CameraStatus.FRESH
                calibration = self.cameras[sensor.name]
                cameras.append(camera_frame(sensor.name, message, status, calibration, egos[message.stamp_ns]))
            elif isinstance(message, LidarMessage) and self.calibrated(sensor):
                mounting, own_body = self.lidars[sensor.name], config.own_body
                lidar = lidar_frame(sensor.name, message, mounting, egos[message.stamp_ns], own_body)
            elif sensor.kind == "camera":
                degraded |= Degraded.CAMERA_MISSING
                cameras.append(black_camera_frame(sensor.name, self.cameras[sensor.name], ego))
            else:
                degraded |= Degraded.LIDAR_MISSING
        command = self.commands.at(anchor.stamp_ns, round(config.command_timeout_s * 1e9))
        if command is None:
            command, degraded = config.default_command, degraded | Degraded.COMMAND_DEFAULT
        if any(sample.extrapolated for sample in egos.values()):
            degraded |= Degraded.EGO_STALE
        return SensorFrame(
            anchor.stamp_ns,
            config.base_frame,
            0,
            degraded,
            Discontinuity.NONE,
            command,
            config.world_frame,
            ego.world_from_base,
            tuple(cameras),
            lidar,
            ego_status(ego, config.base_frame),
        )
