"""Diagnostics of the synchroniser: one status per sensor, for odometry, command and the sets themselves."""

from __future__ import annotations

import time
from typing import Any

from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.sync.status import IncompleteSet, SensorStatus
from distilldrive_ros.sync.synchronizer import SensorSynchronizer

LOG_PERIOD_S = 5.0

_NOUNS = {"camera": "image", "lidar": "sweep", "odometry": "message", "command": "command"}


class SyncHealth:
    """Turns the synchroniser's own status into diagnostics, seen from the consumer's side."""

    def __init__(self, diagnostics: DiagnosticsPublisher, synchronizer: SensorSynchronizer, logger: Any) -> None:
        """Report on `synchronizer` to `diagnostics`; dropped sets also go to the log, at most every 5 s."""
        self._diagnostics = diagnostics
        self._synchronizer = synchronizer
        self._logger = logger
        self._started = time.monotonic()
        self._refused: dict[str, int] = {}
        self._last_incomplete: IncompleteSet | None = None
        self._emitted = 0

    def refresh(self, camera_timeout_s: float, odometry_timeout_s: float, between_key_frames: int) -> None:
        """Bring every status up to date. `between_key_frames`: sets left out because they are no key frames."""
        status = self._synchronizer.status(time.monotonic_ns())
        for sensor in status.sensors:
            self._sensor(f"{sensor.kind}/{sensor.name}", sensor, camera_timeout_s)
        self._sensor("odometry", status.odometry, odometry_timeout_s)
        command = status.command
        text = "default command is used" if command.received == 0 else f"{command.received} received"
        self._diagnostics.set("command", Level.OK, text, refused=command.refused)
        self._sets(status.last_incomplete, status.pending_sets, between_key_frames)

    def _sensor(self, subject: str, sensor: SensorStatus, timeout_s: float) -> None:
        noun = _NOUNS[sensor.kind]
        level, message = Level.OK, f"{sensor.rate_hz:.1f} Hz"
        if sensor.received == 0:
            waited = time.monotonic() - self._started
            level = Level.ERROR if waited > timeout_s else Level.WARN
            message = f"no {noun} received yet"
        elif sensor.age_s > timeout_s:
            level, message = Level.ERROR, f"no {noun} for {sensor.age_s:.1f} s (limit {timeout_s:.1f} s)"
        elif not sensor.calibrated:
            level, message = (
                Level.ERROR,
                "not calibrated: "
                + (
                    "needs camera_info and a transform on /tf_static"
                    if sensor.kind == "camera"
                    else "needs a transform on /tf_static"
                ),
            )
        self._diagnostics.set(
            subject,
            level,
            message,
            received=sensor.received,
            refused_by_sync=sensor.refused,
            missing_in_sets=sensor.missing,
            age_s=sensor.age_s,
            rate_hz=sensor.rate_hz,
        )
        if sensor.refused > self._refused.get(subject, 0):
            self._diagnostics.event(subject, Level.WARN, sensor.last_problem)
        self._refused[subject] = sensor.refused

    def _sets(self, incomplete: IncompleteSet | None, pending: int, between_key_frames: int) -> None:
        counters = self._synchronizer.counters
        level, message = Level.OK, f"{counters.emitted - self._emitted} sets since the last report"
        if incomplete is not None and incomplete is not self._last_incomplete:
            level, message = Level.WARN, str(incomplete)
            self._logger.warning(message, throttle_duration_sec=LOG_PERIOD_S)
        elif counters.emitted == 0:
            level, message = Level.WARN, "no set yet"
        self._last_incomplete, self._emitted = incomplete, counters.emitted
        self._diagnostics.set(
            "sync",
            level,
            message,
            emitted=counters.emitted,
            degraded=counters.degraded,
            dropped=counters.sets_dropped,
            pending=pending,
            decimated=counters.decimated,
            between_key_frames=between_key_frames,
            duplicates=counters.duplicates,
            out_of_order=counters.out_of_order,
            zero_stamps=counters.zero_stamps,
            future_stamps=counters.future_stamps,
            stale_stamps=counters.stale_stamps,
            clock_backward=counters.clock_backward,
            gaps=counters.gaps,
            teleports=counters.teleports,
            scene_changes=counters.scene_changes,
            overflowed=counters.overflowed,
        )
