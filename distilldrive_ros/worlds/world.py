"""What a driving world is made of: a place that stands still, and its state at one instant.

Traffic makes it, the renderer shows it, the dataset writer and the simulator keep it. Map coordinates: x east, y north,
z up, metres; headings and yaw counter-clockwise from x, radians; time in nanoseconds from the world's own epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import planar_pose

Array = NDArray[np.float64]


class LinePattern(Enum):
    """How a divider is painted; NONE: not at all."""

    NONE = "none"
    SOLID = "solid"
    DASHED = "dashed"
    DOUBLE_SOLID = "double_solid"


class LineColor(Enum):
    """Paint of a divider."""

    WHITE = "white"
    YELLOW = "yellow"


@dataclass(frozen=True)
class Divider:
    """A line between lanes, or between directions (`separates_directions`). `points` (N, 2) m."""

    points: Array
    pattern: LinePattern
    color: LineColor
    separates_directions: bool


@dataclass(frozen=True)
class WorldLane:
    """A lane, or a lane's connection over a junction.

    `centerline` (N, 2) m in driving direction; `width` m; `speed_limit` m/s; `successors`, `predecessors` are tokens.
    """

    token: str
    centerline: Array
    width: float
    speed_limit: float
    is_connector: bool
    successors: tuple[str, ...]
    predecessors: tuple[str, ...]
    polygon: shapely.Polygon


@dataclass(frozen=True)
class StopLine:
    """Where vehicles wait. `polygon` on the ground; `light` names the traffic light that rules it, or is empty."""

    polygon: shapely.Polygon
    light: str


@dataclass(frozen=True)
class TrafficLight:
    """A light on its pole: `position` (3,) m of the lamp box, `yaw` of the direction that it faces, lanes it rules."""

    token: str
    position: Array
    yaw: float
    lanes: tuple[str, ...]


class SceneryKind(Enum):
    """What stands beside the road."""

    BUILDING = "building"
    TREE = "tree"
    BUSH = "bush"
    POLE = "pole"
    STREET_LAMP = "street_lamp"
    FENCE = "fence"
    SIGN = "sign"


@dataclass(frozen=True)
class Scenery:
    """A thing that never moves and is no annotated object.

    `position` (2,) m of its foot, `size` (length, width, height) m, `seed` chooses colour and details.
    """

    kind: SceneryKind
    position: Array
    yaw: float
    size: Array
    seed: int


@dataclass(frozen=True)
class Place:
    """The part of a world that stands still. The ground is the plane z = 0.

    `drivable` and `walkways` are areas on the ground; `road_segments` are blocks of road, `intersections` those of them
    where roads meet. `name` is the map's name in the nuScenes tables.
    """

    name: str
    drivable: tuple[shapely.Polygon, ...]
    road_segments: tuple[shapely.Polygon, ...]
    intersections: tuple[shapely.Polygon, ...]
    lanes: tuple[WorldLane, ...]
    dividers: tuple[Divider, ...]
    crossings: tuple[shapely.Polygon, ...]
    walkways: tuple[shapely.Polygon, ...]
    stop_lines: tuple[StopLine, ...] = ()
    lights: tuple[TrafficLight, ...] = ()
    scenery: tuple[Scenery, ...] = ()

    @cached_property
    def lane_by_token(self) -> dict[str, WorldLane]:
        """Lanes by their token."""
        return {lane.token: lane for lane in self.lanes}


@dataclass(frozen=True)
class Agent:
    """A road user or a loose object (cone, barrier) at one instant.

    `id` stays the same for the whole scene. `category` is a nuScenes category such as `vehicle.car`; `attribute` a
    nuScenes attribute such as `vehicle.moving`, or empty. `center` (3,) m is the middle of the box, `size` (length,
    width, height) m, `velocity` (2,) m/s. `seed` chooses shape and colour. `walked` m drives legs and wheels.
    """

    id: int
    category: str
    attribute: str
    center: Array
    yaw: float
    size: Array
    velocity: Array
    seed: int
    walked: float = 0.0
    braking: bool = False

    @property
    def world_from_box(self) -> Array:
        """4x4, box frame (origin at the centre, x forward, y left, z up) to the map's coordinates."""
        pose = planar_pose(self.center[0], self.center[1], self.yaw)
        pose[2, 3] = self.center[2]
        return pose


class LightState(Enum):
    """What a traffic light shows."""

    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"
    OFF = "off"


@dataclass(frozen=True)
class EgoState:
    """The vehicle that carries the sensors: base_link (rear axle on the ground) in the map's coordinates.

    `position` (2,) m, `yaw`, `speed` m/s along x, `acceleration` m/s² along x, `yaw_rate` rad/s, `steering` rad at the
    front wheels.
    """

    position: Array
    yaw: float
    speed: float
    acceleration: float = 0.0
    yaw_rate: float = 0.0
    steering: float = 0.0

    @property
    def world_from_base(self) -> Array:
        """4x4, base_link to the map's coordinates."""
        return planar_pose(self.position[0], self.position[1], self.yaw)


@dataclass(frozen=True)
class Snapshot:
    """A world at one instant: everything that moves. The ego vehicle is none of the `agents`."""

    time_ns: int
    ego: EgoState
    agents: tuple[Agent, ...]
    lights: dict[str, LightState] = field(default_factory=dict)


@dataclass(frozen=True)
class Appearance:
    """Light and air of a scene.

    `sun_elevation_deg` below 0 is night; `haze_m` is the distance at which half of the contrast is gone; `seed` chooses
    ground textures and colours of the houses.
    """

    sun_azimuth_deg: float = 140.0
    sun_elevation_deg: float = 45.0
    haze_m: float = 400.0
    overcast: float = 0.2
    seed: int = 0
