"""What the synchroniser waits for, for how long, and what it does about a sensor that stays away.

All matching is on header stamps; only `wait_timeout_ms` is counted on the steady arrival clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.sync.own_body import OwnBody
from distilldrive_ros.sync.status import COMMAND, ODOMETRY

SensorKind = Literal["camera", "lidar"]
MissingCameraPolicy = Literal["skip", "hold_last", "zero_fill"]


def _check_range(name: str, value: float, low: float, high: float, unit: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise ConfigurationError(
            f"sync: {name} is {value!r}, allowed is {low:g} to {high:g} {unit}; set {name} to a value within this range"
        )


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"sync: {name} is {value!r}; set it to one of {', '.join(choices)}")


@dataclass(frozen=True)
class SensorConfig:
    """One sensor of the rig.

    `offset_ms`: the sensor's stamp is expected at anchor stamp + offset (0 for the anchor itself).
    `tolerance_ms`: a message farther than that from its expected stamp does not belong to the set.
    `settle_ms`: a message this near is taken at once, although a nearer one might follow (at most the
    tolerance counts); 0 always waits for the proof that none is nearer.

    Raises:
        ConfigurationError: a value is out of range.
    """

    name: str
    kind: SensorKind
    offset_ms: float = 0.0
    tolerance_ms: float = 50.0
    settle_ms: float = 25.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(
                f"sync: sensor name is {self.name!r}; give the channel name, for instance CAM_FRONT"
            )
        if self.name in (ODOMETRY, COMMAND):
            raise ConfigurationError(
                f"sync: a sensor is called {self.name!r}, which names another stream; rename the sensor"
            )
        _check_choice(f"kind of {self.name}", self.kind, get_args(SensorKind))
        _check_range(f"offset_ms of {self.name}", self.offset_ms, -1000.0, 1000.0, "ms")
        _check_range(f"tolerance_ms of {self.name}", self.tolerance_ms, 0.0, 1000.0, "ms")
        _check_range(f"settle_ms of {self.name}", self.settle_ms, 0.0, 1000.0, "ms")

    @cached_property
    def offset_ns(self) -> int:
        """Expected stamp minus anchor stamp, ns."""
        return round(self.offset_ms * 1e6)

    @cached_property
    def tolerance_ns(self) -> int:
        """Largest distance from the expected stamp, ns."""
        return round(self.tolerance_ms * 1e6)

    @cached_property
    def settle_ns(self) -> int:
        """Distance at which a message is taken at once, ns."""
        return min(round(self.settle_ms * 1e6), self.tolerance_ns)


@dataclass(frozen=True)
class SyncConfig:
    """Rules of the synchroniser.

    * `anchor`: name of the sensor whose messages start a set and give it its stamp.
    * `sensors`: the rig, anchor included; sets hold the cameras in this order.
    * `wait_timeout_ms`: how long after the anchor's arrival a set may wait for the rest (arrival clock).
    * `missing_camera`: `skip` drops the set, `hold_last` repeats the newest older image of that camera up to
      `hold_limit_ms` before the expected stamp (and skips beyond), `zero_fill` puts a black image.
    * `lidar_required`: without a sweep the set is dropped; otherwise it is flagged LIDAR_MISSING.
    * `min_period_ms`: anchors nearer than that (less 5 %) after the last emitted set are passed over; 0 takes
      every anchor.
    * `max_future_ms`: a stamp farther than that ahead of its own stream and of all others is not believed
      unless most streams agree.
    * `backward_jump_ms`: a stamp farther than that behind its own stream and all others is a vote for a clock
      jump (bag loop).
    * `max_extrapolation_ms`: how far beyond the known odometry an ego pose may be extrapolated (flagged
      EGO_STALE).
    * `ego_buffer_s`: length of the odometry kept. `max_gap_s`: a set that much after the one before is
      flagged GAP; poses farther apart than that are not interpolated between.
    * `teleport_distance_m`, `teleport_speed_margin`: two successive odometry poses farther apart than
      `teleport_distance_m + dt * (1 + teleport_speed_margin) * speed` are a teleport.
    * `default_command`: used, flagged COMMAND_DEFAULT, while no command is younger than `command_timeout_s`.
    * `wait_for_command`: also wait until a command stamped at or after the anchor has come (replay of bags
      with a command per key frame); off for vehicles, whose commands come when they change.
    * `queue_length`: messages kept per stream. `own_body`: LiDAR points on it are left out of sets.

    Raises:
        ConfigurationError: a value is out of range or contradicts another.
    """

    anchor: str
    sensors: tuple[SensorConfig, ...]
    wait_timeout_ms: float = 150.0
    missing_camera: MissingCameraPolicy = "skip"
    hold_limit_ms: float = 250.0
    lidar_required: bool = False
    min_period_ms: float = 0.0
    max_future_ms: float = 700.0
    backward_jump_ms: float = 500.0
    max_extrapolation_ms: float = 100.0
    ego_buffer_s: float = 5.0
    max_gap_s: float = 1.0
    teleport_distance_m: float = 1.0
    teleport_speed_margin: float = 0.5
    default_command: Command = Command.STRAIGHT
    command_timeout_s: float = 5.0
    wait_for_command: bool = False
    queue_length: int = 30
    own_body: OwnBody | None = None
    base_frame: str = "base_link"
    world_frame: str = "odom"

    def __post_init__(self) -> None:
        _check_choice("missing_camera", self.missing_camera, get_args(MissingCameraPolicy))
        for name, low, high, unit in (
            ("wait_timeout_ms", 0.0, 10_000.0, "ms"),
            ("hold_limit_ms", 0.0, 10_000.0, "ms"),
            ("min_period_ms", 0.0, 60_000.0, "ms"),
            ("max_future_ms", 1.0, 60_000.0, "ms"),
            ("backward_jump_ms", 1.0, 60_000.0, "ms"),
            ("max_extrapolation_ms", 0.0, 1000.0, "ms"),
            ("ego_buffer_s", 0.1, 600.0, "s"),
            ("max_gap_s", 0.01, 60.0, "s"),
            ("teleport_distance_m", 0.0, 1000.0, "m"),
            ("teleport_speed_margin", 0.0, 100.0, "(fraction of the speed)"),
            ("command_timeout_s", 0.0, 3600.0, "s"),
            ("queue_length", 2, 1000, "messages"),
        ):
            _check_range(name, getattr(self, name), low, high, unit)
        self._check_rig()

    def _check_rig(self) -> None:
        names = [sensor.name for sensor in self.sensors]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ConfigurationError(f"sync: sensors lists {', '.join(repeated)} twice; list every sensor once")
        if self.anchor not in names:
            raise ConfigurationError(
                f"sync: anchor is {self.anchor!r}, which is not a sensor; set anchor to one of "
                + (", ".join(names) or "(no sensor is listed)")
            )
        offset_ms = self.sensor(self.anchor).offset_ms
        if offset_ms != 0:
            raise ConfigurationError(
                f"sync: offset_ms of the anchor {self.anchor} is {offset_ms:g}; set it to 0, all offsets count from it"
            )
        lidars = [sensor.name for sensor in self.sensors if sensor.kind == "lidar"]
        if len(lidars) > 1:
            raise ConfigurationError(
                f"sync: sensors lists {len(lidars)} LiDARs ({', '.join(lidars)}); a set holds one, keep one"
            )
        if self.lidar_required and not lidars:
            raise ConfigurationError(
                "sync: lidar_required is true, but sensors lists no LiDAR; add one or set it to false"
            )
        if self.missing_camera == "hold_last" and self.hold_limit_ms > self.ego_buffer_s * 1e3:
            raise ConfigurationError(
                f"sync: hold_limit_ms is {self.hold_limit_ms:g}, beyond the odometry kept (ego_buffer_s "
                f"{self.ego_buffer_s:g}); lower hold_limit_ms or raise ego_buffer_s"
            )

    def sensor(self, name: str) -> SensorConfig:
        """The sensor of that name.

        Raises:
            ConfigurationError: the rig has no such sensor.
        """
        for sensor in self.sensors:
            if sensor.name == name:
                return sensor
        known = ", ".join(sensor.name for sensor in self.sensors)
        raise ConfigurationError(f"sync: no sensor is called {name!r}; the rig has {known}")

    @property
    def cameras(self) -> tuple[SensorConfig, ...]:
        """The cameras, in the order of the rig."""
        return tuple(sensor for sensor in self.sensors if sensor.kind == "camera")

    @property
    def lidar(self) -> SensorConfig | None:
        """The LiDAR, or None."""
        return next((sensor for sensor in self.sensors if sensor.kind == "lidar"), None)
