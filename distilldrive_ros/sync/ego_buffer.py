"""Time-ordered ego poses, asked for at any stamp: exact, interpolated, or extrapolated within a limit, never beyond."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.interpolation import interpolate_pose
from distilldrive_ros.geometry.poses import Matrix, is_rigid, planar_pose

MAX_SAMPLES = 8192
# Interpolated poses remembered: a camera slower than the anchor is asked for again.
MAX_REMEMBERED = 64


@dataclass(frozen=True)
class EgoSample:
    """Pose (4, 4) and twist of base_link at a stamp: m/s forward and left, rad/s, m/s^2, rad; NaN where
    unknown.

    `source_stamp_ns` is the newest odometry message that went into it; `extrapolated` says that it lies
    outside the known poses.
    """

    stamp_ns: int
    world_from_base: NDArray[np.float64]
    speed: float
    lateral_speed: float
    yaw_rate: float
    acceleration: float = math.nan
    lateral_acceleration: float = math.nan
    steering_angle: float = math.nan
    source_stamp_ns: int = 0
    extrapolated: bool = False


class Insertion(Enum):
    """What became of an odometry sample."""

    ADDED = "added"
    OUT_OF_ORDER = "out of order"
    DUPLICATE = "duplicate"
    STALE = "older than the buffer"
    BAD = "not a rigid finite pose with a finite twist"


class Availability(Enum):
    """Whether a pose can be had at a stamp: now, not yet (newer odometry may settle it), or never."""

    READY = "ready"
    NOT_YET = "not yet"
    NEVER = "never"


class EgoBuffer:
    """Poses of the last `length_s` seconds of odometry.

    Between two samples at most `max_gap_s` apart the pose is interpolated (linear, and spherical linear in
    rotation). Outside of the samples, and inside wider gaps, it is extrapolated from the nearest sample along
    its own twist (a circular arc in the vehicle's plane), at most `max_extrapolation_s` far. Successive
    samples farther apart than `teleport_distance_m + dt * (1 + teleport_speed_margin) * speed` (the higher
    speed of the two) are a break: nothing is interpolated or extrapolated across it.
    """

    def __init__(
        self,
        length_s: float,
        max_gap_s: float,
        max_extrapolation_s: float,
        teleport_distance_m: float,
        teleport_speed_margin: float,
    ) -> None:
        self._length_ns = round(length_s * 1e9)
        self._max_gap_ns = round(max_gap_s * 1e9)
        self._max_extrapolation_ns = round(max_extrapolation_s * 1e9)
        self._teleport_distance_m = teleport_distance_m
        self._teleport_factor = 1.0 + teleport_speed_margin
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._stamps: list[int] = []
        self._samples: list[EgoSample] = []
        # Per sample: whether the vehicle jumped between the sample before and this one.
        self._breaks: list[bool] = []
        self._pruned = False
        self._interpolated: dict[int, EgoSample] = {}

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest sample."""
        return self._stamps[-1] if self._stamps else None

    def add(self, sample: EgoSample) -> Insertion:
        """Insert a sample at its place in time. Of equal stamps the first stays."""
        twist = (sample.speed, sample.lateral_speed, sample.yaw_rate)
        if not all(map(math.isfinite, twist)) or not is_rigid(sample.world_from_base):
            return Insertion.BAD
        at = bisect_left(self._stamps, sample.stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == sample.stamp_ns:
            return Insertion.DUPLICATE
        if at == 0 and self._pruned:
            return Insertion.STALE
        self._stamps.insert(at, sample.stamp_ns)
        self._samples.insert(at, sample)
        self._breaks.insert(at, at > 0 and self._jumps(at - 1, at))
        last = at == len(self._stamps) - 1
        if not last:
            self._interpolated.clear()
            self._breaks[at + 1] = self._jumps(at, at + 1)
        self._prune()
        return Insertion.ADDED if last else Insertion.OUT_OF_ORDER

    def _jumps(self, first: int, second: int) -> bool:
        a, b = self._samples[first], self._samples[second]
        dt = (b.stamp_ns - a.stamp_ns) * 1e-9
        speed = max(math.hypot(a.speed, a.lateral_speed), math.hypot(b.speed, b.lateral_speed))
        distance = math.dist(a.world_from_base[:3, 3].tolist(), b.world_from_base[:3, 3].tolist())
        return distance > self._teleport_distance_m + dt * self._teleport_factor * speed

    def _prune(self) -> None:
        excess = max(bisect_left(self._stamps, self._stamps[-1] - self._length_ns), len(self._stamps) - MAX_SAMPLES)
        if excess > 0:
            del self._stamps[:excess], self._samples[:excess], self._breaks[:excess]
            self._breaks[0] = False
            self._pruned = True

    def availability(self, stamp_ns: int) -> Availability:
        """Whether newer odometry is needed, and whether it can help, for the pose at a stamp."""
        if not self._stamps or stamp_ns > self._stamps[-1]:
            return Availability.NOT_YET
        return Availability.READY if self._plan(stamp_ns) is not None else Availability.NEVER

    def at(self, stamp_ns: int) -> EgoSample | None:
        """The ego at a stamp, from what is known now; None where that would need a guess beyond the limits."""
        known = self._interpolated.get(stamp_ns)
        if known is not None:
            return known
        plan = self._plan(stamp_ns)
        if plan is None:
            return None
        first, second = plan
        a = self._samples[first]
        if second is None:
            return a if a.stamp_ns == stamp_ns else _extrapolate(a, stamp_ns)
        if len(self._interpolated) >= MAX_REMEMBERED:
            self._interpolated.clear()
        found = self._interpolated[stamp_ns] = _interpolate(a, self._samples[second], stamp_ns)
        return found

    def _plan(self, stamp_ns: int) -> tuple[int, int | None] | None:
        """Indices of the samples to use: two to interpolate between, or one to take or extrapolate from."""
        count = len(self._stamps)
        after = bisect_left(self._stamps, stamp_ns)
        if after < count and self._stamps[after] == stamp_ns:
            return after, None
        before = after - 1
        if before >= 0 and after < count:
            if self._breaks[after]:
                return None
            if self._stamps[after] - self._stamps[before] <= self._max_gap_ns:
                return before, after
        elif after == 0 and self._pruned:
            return None
        near = [i for i in (before, after) if 0 <= i < count]
        if not near:
            return None
        nearest = min(near, key=lambda i: abs(self._stamps[i] - stamp_ns))
        within = abs(self._stamps[nearest] - stamp_ns) <= self._max_extrapolation_ns
        return (nearest, None) if within else None

    def jumped_within(self, first_ns: int, last_ns: int) -> bool:
        """Whether a teleport lies between the poses used for two stamps (first <= last), or next to one of them."""
        start = bisect_right(self._stamps, first_ns)
        stop = bisect_left(self._stamps, last_ns)
        return any(self._breaks[start : stop + 1])

    def jumped_since(self, after_ns: int, until_ns: int) -> bool:
        """Whether a sample stamped in (after, until] is the first one after a teleport."""
        return any(self._breaks[bisect_right(self._stamps, after_ns) : bisect_right(self._stamps, until_ns)])


def _interpolate(a: EgoSample, b: EgoSample, stamp_ns: int) -> EgoSample:
    f = (stamp_ns - a.stamp_ns) / (b.stamp_ns - a.stamp_ns)

    def between(first: float, second: float) -> float:
        return first + f * (second - first)

    return EgoSample(
        stamp_ns,
        _frozen(interpolate_pose(a.world_from_base, b.world_from_base, f)),
        between(a.speed, b.speed),
        between(a.lateral_speed, b.lateral_speed),
        between(a.yaw_rate, b.yaw_rate),
        between(a.acceleration, b.acceleration),
        between(a.lateral_acceleration, b.lateral_acceleration),
        between(a.steering_angle, b.steering_angle),
        source_stamp_ns=b.stamp_ns,
    )


def _extrapolate(a: EgoSample, stamp_ns: int) -> EgoSample:
    dt = (stamp_ns - a.stamp_ns) * 1e-9
    angle = a.yaw_rate * dt
    # Chord of the arc; sinc keeps it exact for a vehicle that drives straight on.
    along, across = float(np.sinc(angle / math.pi)) * dt, 0.5 * angle * float(np.sinc(angle / (2 * math.pi))) ** 2 * dt
    step = planar_pose(along * a.speed - across * a.lateral_speed, across * a.speed + along * a.lateral_speed, angle)
    return EgoSample(
        stamp_ns,
        _frozen(a.world_from_base @ step),
        a.speed,
        a.lateral_speed,
        a.yaw_rate,
        a.acceleration,
        a.lateral_acceleration,
        a.steering_angle,
        source_stamp_ns=a.stamp_ns,
        extrapolated=True,
    )


def _frozen(pose: Matrix) -> Matrix:
    pose.setflags(write=False)
    return pose
