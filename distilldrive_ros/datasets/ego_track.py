"""The vehicle's motion through a scene: the poses of all sensors put together, interpolated, differentiated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.records import EgoPose
from distilldrive_ros.geometry.poses import pose_matrix
from distilldrive_ros.scene.errors import DatasetError

Array = NDArray[np.float64]

# Velocities come from the poses within this time of the stamp, s. The poses of a root are rounded (0.1 mm, 1e-7) and
# some are a millisecond apart: a difference of neighbours would be noise.
WINDOW_S = 0.25
# Shorter than this, the poses at hand give no velocity worth its name, s.
SHORTEST_SPAN_S = 0.02
# From this span and number of poses on, acceleration is fitted as well, so that the ends of a scene are not biased, s.
PARABOLA_SPAN_S = 0.05
PARABOLA_POSES = 4
# A wish this little outside the track is met by its end, ns: stamps are rounded to microseconds.
END_TOLERANCE_NS = 1_000_000


@dataclass(frozen=True)
class Twists:
    """Velocities in base_link at N stamps: `linear` (N, 3) m/s, `angular` (N, 3) rad/s, zero where not `known` (N,)."""

    linear: Array
    angular: Array
    known: NDArray[np.bool_]


class EgoTrack:
    """Poses of a scene at distinct, rising stamps.

    `stamps_ns` (N,), `translations` (N, 3) m, `rotations` (N, 4) unit quaternions (w, x, y, z): world_from_base.
    """

    def __init__(self, poses: Iterable[tuple[int, EgoPose]]) -> None:
        """Take (stamp of the sensor, its pose), in any order; of equal stamps the first pose counts.

        Raises:
            DatasetError: there is none.
        """
        first_of: dict[int, EgoPose] = {}
        for stamp_ns, pose in poses:
            first_of.setdefault(stamp_ns, pose)
        if not first_of:
            raise DatasetError("a scene has no sensor data and so no ego pose; check sample_data.json")
        ordered = sorted(first_of)
        self.stamps_ns = np.array(ordered, np.int64)
        self.translations = np.array([first_of[s].translation for s in ordered])
        rotations = np.array([first_of[s].rotation for s in ordered])
        self.rotations = rotations / np.linalg.norm(rotations, axis=1, keepdims=True)

    def poses_at(self, stamps_ns: NDArray[np.int64]) -> tuple[Array, Array]:
        """Translations (M, 3) and unit quaternions (M, 4) at stamps (M,) within the track, interpolated.

        Linear in translation, spherical linear in rotation; exactly the recorded pose at a recorded stamp.
        """
        after = np.clip(np.searchsorted(self.stamps_ns, stamps_ns), 1, max(1, len(self.stamps_ns) - 1))
        after = np.minimum(after, len(self.stamps_ns) - 1)
        before = np.maximum(after - 1, 0)
        gap = np.maximum(self.stamps_ns[after] - self.stamps_ns[before], 1)
        fraction = np.clip((stamps_ns - self.stamps_ns[before]) / gap, 0.0, 1.0)[:, None]
        translations = (1 - fraction) * self.translations[before] + fraction * self.translations[after]
        first, second = self.rotations[before], self.rotations[after]
        second = np.where((first * second).sum(axis=1, keepdims=True) < 0, -second, second)
        angle = np.arccos(np.clip((first * second).sum(axis=1, keepdims=True), -1.0, 1.0))
        sine = np.sin(angle)
        straight = sine < 1e-6
        near = np.where(straight, 1 - fraction, np.sin((1 - fraction) * angle) / np.where(straight, 1.0, sine))
        far = np.where(straight, fraction, np.sin(fraction * angle) / np.where(straight, 1.0, sine))
        rotations = near * first + far * second
        return translations, rotations / np.linalg.norm(rotations, axis=1, keepdims=True)

    def covers(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which stamps lie within the track, give or take `END_TOLERANCE_NS`."""
        first, last = self.stamps_ns[0] - END_TOLERANCE_NS, self.stamps_ns[-1] + END_TOLERANCE_NS
        return np.asarray((stamps_ns >= first) & (stamps_ns <= last))

    def pose_at(self, stamp_ns: int) -> Array | None:
        """world_from_base (4, 4) at a stamp, interpolated; None outside the track."""
        stamps = np.array([stamp_ns], np.int64)
        if not self.covers(stamps)[0]:
            return None
        translations, rotations = self.poses_at(stamps)
        return pose_matrix(translations[0], rotations[0])

    def twists(self) -> Twists:
        """Velocity at every stamp: least squares over the poses within `WINDOW_S` around it, in base_link.

        Displacement and rotation vector relative to the pose at the stamp are fitted by a parabola through zero (a line
        where there are few poses); its slope at the stamp is the velocity.
        """
        moments = _Moments(len(self.stamps_ns))
        for shift in range(1, len(self.stamps_ns)):
            elapsed = (self.stamps_ns[shift:] - self.stamps_ns[:-shift]) / 1e9
            near = elapsed <= WINDOW_S
            if not near.any():
                break
            early = np.flatnonzero(near)
            late = early + shift
            step = self.translations[late] - self.translations[early]
            turn = _product(_conjugate(self.rotations[early]), self.rotations[late])
            # Twice the vector part is the rotation vector up to 0.1 % for the turns of 0.25 s; w > 0 is the short way.
            angle = 2 * turn[:, 1:] * np.where(turn[:, :1] < 0, -1.0, 1.0)
            moments.add(early, elapsed[near], step, angle)
            moments.add(late, -elapsed[near], -step, -angle)
        slope, known = moments.slope()
        return Twists(_rotate(_conjugate(self.rotations), slope[:, :3]), slope[:, 3:], known)

    def future(self, stamp_ns: int, steps: int, time_step_s: float) -> tuple[NDArray[np.int64], Array, Array]:
        """The way ahead in base_link of `stamp_ns` at exact steps; T < steps at a scene's end.

        Returns:
            Stamps (T,) ns, translations (T, 3) m, unit quaternions (T, 4) (w, x, y, z).
        """
        offsets = np.round(np.arange(steps + 1) * time_step_s * 1e9).astype(np.int64)
        stamps = stamp_ns + offsets
        stamps = stamps[self.covers(stamps)]
        translations, rotations = self.poses_at(stamps)
        back = np.repeat(_conjugate(rotations[:1]), len(stamps), axis=0)
        ahead = _rotate(back, translations - translations[:1])
        return stamps[1:], ahead[1:], _product(back, rotations)[1:]


class _Moments:
    """Sums for N small least-squares fits y = a t + b t^2 through zero, all at once."""

    def __init__(self, count: int) -> None:
        self.t = np.zeros((count, 5))
        self.ty = np.zeros((count, 2, 6))
        self.span = np.zeros((count, 2))

    def add(self, rows: NDArray[np.int64], t: Array, displacement: Array, angle: Array) -> None:
        """Take one more pose for each of the rows (each row at most once per call)."""
        y = np.concatenate([displacement, angle], axis=1)
        for power in range(5):
            self.t[rows, power] += t**power
        self.ty[rows, 0] += t[:, None] * y
        self.ty[rows, 1] += (t**2)[:, None] * y
        self.span[rows, 0] = np.minimum(self.span[rows, 0], t)
        self.span[rows, 1] = np.maximum(self.span[rows, 1], t)

    def slope(self) -> tuple[Array, NDArray[np.bool_]]:
        """Slopes at zero (N, 6), and which of them are known (N,)."""
        span = self.span[:, 1] - self.span[:, 0]
        known = span >= SHORTEST_SPAN_S
        t2, t3, t4 = self.t[:, 2], self.t[:, 3], self.t[:, 4]
        determinant = t2 * t4 - t3**2
        parabola = known & (span >= PARABOLA_SPAN_S) & (self.t[:, 0] >= PARABOLA_POSES - 1)
        linear = self.ty[:, 0] / np.where(known, t2, 1.0)[:, None]
        curved = (t4[:, None] * self.ty[:, 0] - t3[:, None] * self.ty[:, 1]) / np.where(parabola, determinant, 1.0)[
            :, None
        ]
        return np.where(parabola[:, None], curved, np.where(known[:, None], linear, 0.0)), known


def _conjugate(q: Array) -> Array:
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def _product(p: Array, q: Array) -> Array:
    """Hamilton product of quaternions (N, 4)."""
    w = p[:, :1] * q[:, :1] - (p[:, 1:] * q[:, 1:]).sum(axis=1, keepdims=True)
    return np.concatenate([w, p[:, :1] * q[:, 1:] + q[:, :1] * p[:, 1:] + np.cross(p[:, 1:], q[:, 1:])], axis=1)


def _rotate(q: Array, v: Array) -> Array:
    """Vectors (N, 3) turned by quaternions (N, 4)."""
    twice = 2 * np.cross(q[:, 1:], v)
    return v + q[:, :1] * twice + np.cross(q[:, 1:], twice)
