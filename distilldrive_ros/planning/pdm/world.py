"""What a scene is made of for scoring: map polygons, objects with their future, route, lights and the ego's start.

One frame for everything (any fixed ground frame), metres, radians, seconds; instants are 0.1 s apart from now on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.errors import ScoringError

Array = NDArray[np.float64]

TIME_STEP_S = 0.1
# Instants that the scorers look at: 4 s for the ego, 5 s for the objects of v1 (look-ahead of time to collision).
EGO_STATES = 41
TRACK_STATES_V1 = 51
TRACK_STATES_V2 = 41


class MapLayer(Enum):
    """Kind of a map polygon, with nuPlan's names."""

    ROADBLOCK = "ROADBLOCK"
    LANE = "LANE"
    LANE_CONNECTOR = "LANE_CONNECTOR"
    INTERSECTION = "INTERSECTION"
    DRIVABLE_AREA = "DRIVABLE_AREA"
    CARPARK_AREA = "CARPARK_AREA"


class ObjectKind(Enum):
    """Kind of an object; the first three are agents, the others never move by themselves."""

    VEHICLE = "vehicle"
    PEDESTRIAN = "pedestrian"
    BICYCLE = "bicycle"
    TRAFFIC_CONE = "traffic_cone"
    BARRIER = "barrier"
    GENERIC = "generic_object"

    @property
    def is_agent(self) -> bool:
        """Whether it may move."""
        return self in (ObjectKind.VEHICLE, ObjectKind.PEDESTRIAN, ObjectKind.BICYCLE)


# Kinds of the ten detection classes.
KIND_OF_CLASS = {
    "car": ObjectKind.VEHICLE,
    "truck": ObjectKind.VEHICLE,
    "construction_vehicle": ObjectKind.VEHICLE,
    "bus": ObjectKind.VEHICLE,
    "trailer": ObjectKind.VEHICLE,
    "barrier": ObjectKind.BARRIER,
    "motorcycle": ObjectKind.BICYCLE,
    "bicycle": ObjectKind.BICYCLE,
    "pedestrian": ObjectKind.PEDESTRIAN,
    "traffic_cone": ObjectKind.TRAFFIC_CONE,
}


@dataclass(frozen=True)
class MapPolygon:
    """A piece of the map."""

    token: str
    layer: MapLayer
    polygon: shapely.Polygon | shapely.MultiPolygon


@dataclass(frozen=True)
class ObjectTracks:
    """N objects at T instants, 0.1 s apart, the first now.

    `poses` (N, T, 3): centre x, y, heading; `velocities` (N, T, 2) m/s; `sizes` (N, 2): length, width; `present`
    (N, T): where the other arrays mean something.
    """

    tokens: tuple[str, ...]
    kinds: tuple[ObjectKind, ...]
    sizes: Array
    poses: Array
    velocities: Array
    present: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit.

        Raises:
            ScoringError: a shape is wrong, or a present state is not finite.
        """
        count = len(self.tokens)
        steps = self.present.shape[-1]
        shapes = {
            "kinds": ((len(self.kinds),), (count,)),
            "sizes": (self.sizes.shape, (count, 2)),
            "poses": (self.poses.shape, (count, steps, 3)),
            "velocities": (self.velocities.shape, (count, steps, 2)),
            "present": (self.present.shape, (count, steps)),
        }
        for name, (found, wanted) in shapes.items():
            if found != wanted:
                raise ScoringError(f"object tracks: {name} has shape {found}, expected {wanted}; rebuild the world")
        known = np.concatenate([self.poses, self.velocities], axis=-1)[self.present]
        if not (np.isfinite(known).all() and np.isfinite(self.sizes).all() and (self.sizes > 0).all()):
            raise ScoringError("object tracks hold a state that is not finite, or a size that is not positive")

    @property
    def steps(self) -> int:
        """Number of instants T."""
        return self.present.shape[1]

    @staticmethod
    def none(steps: int = TRACK_STATES_V1) -> ObjectTracks:
        """An empty street."""
        return ObjectTracks(
            (), (), np.zeros((0, 2)), np.zeros((0, steps, 3)), np.zeros((0, steps, 2)), np.zeros((0, steps), bool)
        )


@dataclass(frozen=True)
class EgoStart:
    """Motion of the ego now, at the rear axle: m, rad, m/s, m/s^2 in its own frame; steering angle and its rate."""

    x: float
    y: float
    heading: float
    vx: float
    vy: float = 0.0
    ax: float = 0.0
    ay: float = 0.0
    steering_angle: float = 0.0
    steering_rate: float = 0.0
    yaw_rate: float = 0.0
    yaw_acceleration: float = 0.0

    def state(self) -> Array:
        """State vector (11,) in the order of `states.State`."""
        return np.array(
            [
                self.x, self.y, self.heading, self.vx, self.vy, self.ax, self.ay,
                self.steering_angle, self.steering_rate, self.yaw_rate, self.yaw_acceleration,
            ]
        )  # fmt: skip


@dataclass(frozen=True)
class RedLight:
    """A lane connector of the route that is closed; `red` (T,) says when."""

    token: str
    polygon: shapely.Polygon
    red: NDArray[np.bool_]


@dataclass(frozen=True)
class NavsimWorld:
    """A scene. `route`: tokens of the lanes and connectors on the route; `centerline` (K, 2): the reference path."""

    ego: EgoStart
    polygons: tuple[MapPolygon, ...]
    route: frozenset[str]
    centerline: Array
    objects: ObjectTracks
    red_lights: tuple[RedLight, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what cannot be scored.

        Raises:
            ScoringError: no centre line, or a start that is not finite.
        """
        line = self.centerline
        known = line.ndim == 2 and line.shape[1] == 2 and len(line) >= 2 and np.isfinite(line).all()
        if not known or not np.ptp(line, axis=0).any():
            raise ScoringError("the centre line needs two different finite points (x, y); give the world a route")
        if not np.isfinite(self.ego.state()).all():
            raise ScoringError("the ego's start is not finite; take another instant of the scene")

    def require_steps(self, steps: int) -> None:
        """Make sure that the objects are known long enough.

        Raises:
            ScoringError: they are not.
        """
        if self.objects.steps < steps:
            raise ScoringError(
                f"the objects are known for {self.objects.steps} instants, {steps} are needed "
                f"({(steps - 1) * TIME_STEP_S:.1f} s); take an earlier instant of the scene"
            )
