"""Anchor-sensor synchroniser: single stamped messages in, `SensorFrame` sets out. No ROS, no threads, no
clock of its own.

What a set is
    Every message of the anchor sensor asks for a set. Anchors are closed in the order of their stamps, one
    after the other. Every other sensor is expected at t = anchor stamp + its offset and gives, of its
    messages,

    1. the earliest one within `settle_ms` of t; else
    2. the nearest one within `tolerance_ms` of t (of two equally near ones the earlier); else none.

    (1) is final as soon as that message is there, (2) and "none" are final as soon as the sensor has sent a
    message stamped at or after t. The ego pose at each stamp used is final as soon as odometry stamped at or
    after it is there, and is taken exactly, interpolated, or extrapolated within its limit. An anchor is
    closed as soon as all of this is final, or `wait_timeout_ms` after its arrival with what is there then. So
    for streams that are each in order, the sets depend on the stamps alone, however the arrivals of different
    streams interleave, as long as no waiting time runs out. One message may serve two anchors. Anchors nearer
    than `min_period_ms` after the last emitted set are passed over.

What is missing
    A camera: `missing_camera` says skip, hold_last or zero_fill. The LiDAR: flagged, or dropped if required.
    A pose that would need extrapolation beyond the limit, or a teleport within the set: dropped. Every drop
    has a counter and a sentence in `status()`.

What time does
    Zero stamps and duplicates are counted and refused. Wild stamps are held back until it is clear whether
    time itself has jumped (see `time_guard`). On a backward jump the pending anchors are closed with what is
    there, then everything is forgotten, and the next set is flagged CLOCK_BACKWARD.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.sensor_frame import CameraStatus, Degraded, Discontinuity, SensorFrame
from distilldrive_ros.sync.assembly import (
    CameraCalibration,
    CameraMessage,
    LidarMessage,
    checked_pose,
    image_problem,
    sweep_problem,
)
from distilldrive_ros.sync.command_history import CommandHistory
from distilldrive_ros.sync.config import SensorConfig, SensorKind, SyncConfig
from distilldrive_ros.sync.ego_buffer import EgoBuffer, EgoSample, Insertion
from distilldrive_ros.sync.message_queue import MessageQueue
from distilldrive_ros.sync.resolution import Resolution, SensorMessage, Streams
from distilldrive_ros.sync.status import COMMAND, ODOMETRY, IncompleteSet, SyncCounters, SyncStatus
from distilldrive_ros.sync.tally import SetTally, StreamTally
from distilldrive_ros.sync.time_guard import Jump, TimeGuard

# Anchors come with jitter: a period shorter than the minimum by this part still counts as one.
DECIMATION_SLACK = 0.05

Message = SensorMessage | EgoSample | Command


class SensorSynchronizer:
    """The rules are in the module's docstring.

    Not thread-safe: call it from one thread or under one lock. Every `add_*` and `poll` returns the sets that
    were closed by it, in stamp order; nothing is called back, so a failing consumer cannot harm it. `now_ns`
    is a steady arrival clock (`time.monotonic_ns()`), used only for waiting and ages. Arrays are kept by
    reference and must not be written to afterwards.
    """

    def __init__(self, config: SyncConfig) -> None:
        self.config = config
        ego = EgoBuffer(
            config.ego_buffer_s,
            config.max_gap_s,
            config.max_extrapolation_ms * 1e-3,
            config.teleport_distance_m,
            config.teleport_speed_margin,
        )
        queues = {
            s.name: MessageQueue[SensorMessage](config.queue_length) for s in config.sensors if s.name != config.anchor
        }
        self._streams = Streams(config, ego, CommandHistory(config.queue_length), queues)
        self._anchors = MessageQueue[tuple[SensorMessage, int]](config.queue_length)
        self._guard = TimeGuard[Message](
            round(config.max_future_ms * 1e6), round(config.backward_jump_ms * 1e6), config.queue_length
        )
        self._sensors = {sensor.name: sensor for sensor in config.sensors}
        self._tally = SetTally()
        self._tallies = {s.name: StreamTally(s.name, s.kind) for s in config.sensors}
        self._tallies[ODOMETRY] = StreamTally(ODOMETRY, "odometry")
        self._tallies[COMMAND] = StreamTally(COMMAND, "command")
        self._timeout_ns = round(config.wait_timeout_ms * 1e6)
        self._min_period_ns = round(config.min_period_ms * 1e6 * (1 - DECIMATION_SLACK))
        self._floors = {name: self._reach_ns(self._sensors[name]) for name in queues}
        self._sequence = 0
        self._scene_token: str | None = None
        self._scene_change_ns: int | None = None
        self._discontinuity = Discontinuity.START
        self._last_incomplete: IncompleteSet | None = None
        self._last_emitted_ns: int | None = None
        self._forget_progress()

    def _reach_ns(self, sensor: SensorConfig) -> int:
        """How far before an anchor a message of a sensor may be of use, as a (negative) offset."""
        hold = sensor.kind == "camera" and self.config.missing_camera == "hold_last"
        return sensor.offset_ns - max(sensor.tolerance_ns, round(self.config.hold_limit_ms * 1e6) if hold else 0)

    def _forget_progress(self) -> None:
        self._closed_ns: int | None = None
        self._emitted_ns: int | None = None
        self._flagged_ns: int | None = None

    def set_camera_calibration(
        self, name: str, intrinsics: NDArray[np.float64], width: int, height: int, base_from_camera: NDArray[np.float64]
    ) -> None:
        """K (3, 3) in pixels of the width x height image; optical frame to base_link (4, 4). May be called
        again at any time.

        Waiting images of another size are refused from then on.

        Raises:
            ConfigurationError: no such camera.
            SensorDataError: not a calibration (no pinhole K, pose not rigid, size not positive).
        """
        self._check_kind(name, "camera")
        calibration = CameraCalibration.checked(name, intrinsics, width, height, base_from_camera)
        self._streams.cameras[name] = calibration

        def misfits(message: SensorMessage) -> bool:
            return isinstance(message, CameraMessage) and image_problem(message, calibration) != ""

        if name == self.config.anchor:
            dropped = self._anchors.drop_if(lambda pending: misfits(pending[0]))
            self._tally.drop("calibration", dropped)
        else:
            dropped = self._streams.queues[name].drop_if(misfits)
        if dropped:
            self._tallies[name].refuse(
                f"{dropped} waiting images do not have the size {width} x {height} of camera_info"
            )

    def set_lidar_calibration(self, name: str, base_from_lidar: NDArray[np.float64]) -> None:
        """Sensor frame to base_link (4, 4). Raises as `set_camera_calibration`."""
        self._check_kind(name, "lidar")
        self._streams.lidars[name] = checked_pose(name, base_from_lidar)

    def add_camera(
        self, name: str, stamp_ns: int, encoding: str, width: int, height: int, data: NDArray[np.uint8], now_ns: int
    ) -> list[SensorFrame]:
        """An image. encoding "jpeg", "png" or "rgb8"; width and height 0 where unknown (the calibration's are
        taken then); `data` (n,) uint8. Unusable images are counted as refused, not raised.

        Raises:
            ConfigurationError: no such camera.
        """
        self._check_kind(name, "camera")
        message = CameraMessage(stamp_ns, encoding, width, height, data)
        return self._take(name, stamp_ns, message, now_ns, image_problem(message, self._streams.cameras.get(name)))

    def add_lidar(self, name: str, stamp_ns: int, points: NDArray[np.float32], now_ns: int) -> list[SensorFrame]:
        """A sweep, points (n, 5) float32: x, y, z (m, sensor frame), intensity, ring. Raises as `add_camera`."""
        self._check_kind(name, "lidar")
        message = LidarMessage(stamp_ns, points)
        return self._take(name, stamp_ns, message, now_ns, sweep_problem(message))

    def add_odometry(
        self,
        stamp_ns: int,
        world_from_base: NDArray[np.float64],
        speed: float,
        lateral_speed: float,
        yaw_rate: float,
        now_ns: int,
        acceleration: float = float("nan"),
        lateral_acceleration: float = float("nan"),
        steering_angle: float = float("nan"),
    ) -> list[SensorFrame]:
        """An ego pose (4, 4) with its twist in base_link (m/s, rad/s) and, where known, m/s^2 and rad.

        Poses that are not rigid and finite, and twists that are not finite, are counted as refused.
        """
        sample = EgoSample(
            stamp_ns, np.array(world_from_base, np.float64), speed, lateral_speed, yaw_rate,
            acceleration, lateral_acceleration, steering_angle, source_stamp_ns=stamp_ns,
        )  # fmt: skip
        return self._take(ODOMETRY, stamp_ns, sample, now_ns, "")

    def add_command(self, stamp_ns: int, command: Command, now_ns: int) -> list[SensorFrame]:
        """A driving command, valid from its stamp on. Stamp 0 (typed by hand) means from the newest stamp known."""
        if stamp_ns == 0:
            stamp_ns = self._guard.newest_ns or 0
        return self._take(COMMAND, stamp_ns, command, now_ns, "")

    def poll(self, now_ns: int) -> list[SensorFrame]:
        """Sets whose waiting time is over. Call it every few tens of ms; `close` ends a recording."""
        return self._advance(now_ns)

    def close(self, now_ns: int) -> list[SensorFrame]:
        """The last sets, of anchors still waiting when nothing more will come (end of a bag)."""
        return self._advance(now_ns, close=True)

    def notify_scene(self, scene_token: str, stamp_ns: int | None = None) -> None:
        """The data set's scene from `stamp_ns` on (None: from the next set on).

        A change flags the first set from then on SCENE_CHANGE; if a set from then on has been flagged with a
        discontinuity already, its history is clean and nothing more is flagged.
        """
        known, self._scene_token = self._scene_token, scene_token
        if known is None or known == scene_token:
            return
        if stamp_ns is not None and self._flagged_ns is not None and self._flagged_ns >= stamp_ns:
            return
        self._scene_change_ns = 0 if stamp_ns is None else stamp_ns

    def reset(self, reason: Discontinuity) -> None:
        """Forget messages, poses and commands, not calibrations and counters; the next set is flagged with `reason`."""
        self._tally.drop("reset", len(self._anchors))
        self._tally.add("discarded_by_reset", self._guard.clear())
        self._clear(reason)

    def _clear(self, reason: Discontinuity) -> None:
        self._anchors.clear()
        for queue in self._streams.queues.values():
            queue.clear()
        self._streams.ego.clear()
        self._streams.commands.clear()
        for tally in self._tallies.values():
            tally.forget_stamps()
        self._scene_change_ns = None
        self._discontinuity |= reason
        self._forget_progress()

    @property
    def counters(self) -> SyncCounters:
        """Totals so far."""
        return self._tally.snapshot()

    def status(self, now_ns: int) -> SyncStatus:
        """Health of every stream and the last incomplete set."""
        return SyncStatus(
            tuple(self._tallies[s.name].snapshot(now_ns, self._streams.calibrated(s)) for s in self.config.sensors),
            self._tallies[ODOMETRY].snapshot(now_ns),
            self._tallies[COMMAND].snapshot(now_ns),
            len(self._anchors),
            self._last_emitted_ns,
            self._last_incomplete,
        )

    @property
    def num_kept(self) -> int:
        """Messages, poses and commands held in memory now: bounded whatever comes."""
        streams = self._streams
        waiting = sum(map(len, streams.queues.values())) + len(self._anchors) + self._guard.num_held
        return waiting + len(streams.ego) + len(streams.commands)

    def _check_kind(self, name: str, kind: SensorKind) -> None:
        sensor = self._sensors.get(name) or self.config.sensor(name)
        if sensor.kind != kind:
            raise ConfigurationError(f"sync: {name} is a {sensor.kind}, not a {kind}; correct its kind in sensors")

    def _take(self, stream: str, stamp_ns: int, message: Message, now_ns: int, problem: str) -> list[SensorFrame]:
        tally = self._tallies[stream]
        tally.arrived(stamp_ns, now_ns)
        self._tally.add("messages")
        if problem:
            self._tally.add("refused")
            tally.refuse(problem)
            return self._advance(now_ns)
        if stamp_ns <= 0:
            self._tally.add("zero_stamps")
            tally.refuse(f"stamp {stamp_ns * 1e-9:g} s")
            return self._advance(now_ns)
        verdict = self._guard.judge(stream, stamp_ns, message, now_ns)
        for held in verdict.discarded:
            self._tally.add("future_stamps" if held.jump is Jump.AHEAD else "stale_stamps")
            self._tallies[held.stream].refuse(f"stamp {held.stamp_ns * 1e-9:.3f} s does not fit the other streams")
        sets: list[SensorFrame] = []
        if verdict.jump is Jump.BACKWARD:
            self._tally.add("clock_backward")
            sets = self._advance(now_ns, close=True)
            self._clear(Discontinuity.CLOCK_BACKWARD)
        elif verdict.jump is Jump.AHEAD:
            self._tally.add("forward_jumps")
        for name, stamp, released in verdict.released:
            self._insert(name, stamp, released, now_ns)
        return sets + self._advance(now_ns)

    def _insert(self, stream: str, stamp_ns: int, message: Message, now_ns: int) -> None:
        if isinstance(message, EgoSample):
            outcome = self._streams.ego.add(message)
        elif isinstance(message, Command):
            self._streams.commands.add(stamp_ns, message)
            outcome = Insertion.ADDED
        elif stream == self.config.anchor:
            outcome = self._insert_anchor(stamp_ns, message, now_ns)
        else:
            outcome = self._insert_sensor(stream, stamp_ns, message)
        tally = self._tallies[stream]
        if outcome in (Insertion.ADDED, Insertion.OUT_OF_ORDER):
            self._tally.add("taken")
            self._tally.add("out_of_order", outcome is Insertion.OUT_OF_ORDER)
            tally.used(stamp_ns)
            return
        counter = {Insertion.DUPLICATE: "duplicates", Insertion.STALE: "stale_stamps", Insertion.BAD: "refused"}[
            outcome
        ]
        self._tally.add(counter)
        tally.refuse(f"stamp {stamp_ns * 1e-9:.3f} s: {outcome.value}")

    def _insert_anchor(self, stamp_ns: int, message: SensorMessage, now_ns: int) -> Insertion:
        if stamp_ns in self._anchors or stamp_ns == self._closed_ns:
            return Insertion.DUPLICATE
        if self._closed_ns is not None and stamp_ns < self._closed_ns:
            return Insertion.STALE
        newest = self._anchors.newest_ns
        self._tally.add("anchors")
        if self._anchors.insert(stamp_ns, (message, now_ns + self._timeout_ns)):
            self._tally.add("overflowed")
            self._tally.drop("overflow")
        return Insertion.ADDED if newest is None or stamp_ns > newest else Insertion.OUT_OF_ORDER

    def _insert_sensor(self, stream: str, stamp_ns: int, message: SensorMessage) -> Insertion:
        queue = self._streams.queues[stream]
        if stamp_ns in queue:
            return Insertion.DUPLICATE
        if self._closed_ns is not None and stamp_ns < self._closed_ns + self._floors[stream]:
            return Insertion.STALE
        newest = queue.newest_ns
        self._tally.add("overflowed", queue.insert(stamp_ns, message))
        return Insertion.ADDED if newest is None or stamp_ns > newest else Insertion.OUT_OF_ORDER

    def _advance(self, now_ns: int, close: bool = False) -> list[SensorFrame]:
        """Close anchors from the oldest on, as far as they are settled or out of time."""
        sets: list[SensorFrame] = []
        while len(self._anchors):
            stamp_ns, (message, deadline_ns) = self._anchors.oldest()
            if self._emitted_ns is not None and stamp_ns - self._emitted_ns < self._min_period_ns:
                self._tally.add("decimated")
                self._close_anchor(stamp_ns)
                continue
            resolution = self._streams.resolve(message, expired=False)
            if resolution is None:
                if not close and now_ns < deadline_ns:
                    break
                resolution = self._streams.resolve(message, expired=True)
                self._tally.add("timeouts")
            assert resolution is not None
            self._close_anchor(stamp_ns)
            self._record(resolution, stamp_ns, now_ns)
            if resolution.frame is not None:
                sets.append(self._flag(resolution.frame))
        return sets

    def _close_anchor(self, stamp_ns: int) -> None:
        self._anchors.drop_oldest()
        self._closed_ns = stamp_ns
        for name, queue in self._streams.queues.items():
            queue.drop_before(stamp_ns + self._floors[name])

    def _record(self, resolution: Resolution, stamp_ns: int, now_ns: int) -> None:
        for lack in resolution.missing:
            sensor = self._sensors.get(lack.name)
            target = stamp_ns + (sensor.offset_ns if sensor else 0)
            self._tallies[lack.name].gave_up(target, sensor.tolerance_ns if sensor else 0, now_ns)
        if resolution.missing:
            self._last_incomplete = IncompleteSet(stamp_ns, resolution.frame is not None, resolution.missing)
        if resolution.reason is not None:
            self._tally.drop(resolution.reason)
        frame = resolution.frame
        if frame is None:
            return
        self._tally.add("emitted")
        self._tally.add("degraded", frame.degraded != Degraded.NONE)
        self._tally.add("cameras_held", sum(c.status is CameraStatus.HELD for c in frame.cameras))
        self._tally.add("cameras_zero_filled", sum(c.status is CameraStatus.ZERO_FILLED for c in frame.cameras))
        self._tally.add("lidars_missing", Degraded.LIDAR_MISSING in frame.degraded)
        self._tally.add("egos_extrapolated", Degraded.EGO_STALE in frame.degraded)
        self._tally.add("commands_defaulted", Degraded.COMMAND_DEFAULT in frame.degraded)

    def _flag(self, frame: SensorFrame) -> SensorFrame:
        """The set with its number and with what separates it from the one before."""
        flags, before = self._discontinuity, self._emitted_ns
        if before is not None and frame.stamp_ns - before > self.config.max_gap_s * 1e9:
            flags |= Discontinuity.GAP
            self._tally.add("gaps")
        if before is not None and self._streams.ego.jumped_since(before, frame.stamp_ns):
            flags |= Discontinuity.TELEPORT
            self._tally.add("teleports")
        if self._scene_change_ns is not None and frame.stamp_ns >= self._scene_change_ns:
            flags |= Discontinuity.SCENE_CHANGE
            self._tally.add("scene_changes")
            self._scene_change_ns = None
        if flags:
            self._flagged_ns = frame.stamp_ns
        self._discontinuity = Discontinuity.NONE
        self._emitted_ns = self._last_emitted_ns = frame.stamp_ns
        self._sequence += 1
        return replace(frame, sequence=self._sequence - 1, discontinuity=flags)
