"""Who is on the road of the demo scene and how they move; the vehicle that carries the sensors, too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.car_shape import car
from distilldrive_ros.datasets.demo_scene.road import LANE_WIDTH, PARKING_WIDTH, Road
from distilldrive_ros.datasets.demo_scene.road_users import cyclist, pedestrian, traffic_cone, truck
from distilldrive_ros.datasets.demo_scene.shapes import Color, Solid

LANE = LANE_WIDTH / 2
BAY = LANE_WIDTH + PARKING_WIDTH / 2
EGO_LANE_D = -LANE

PAINTS: tuple[Color, ...] = (
    (176, 34, 40), (36, 70, 132), (210, 212, 214), (60, 64, 70),
    (150, 156, 162), (34, 96, 88), (224, 226, 228), (196, 128, 36),
)  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """Where an actor is over time: start (s, d), velocities (m/s) and an acceleration along s that only ever stops it.

    `facing`: heading against the road's, radians, for actors that stand; moving ones look where they go.
    """

    s: float
    d: float
    speed_s: float = 0.0
    speed_d: float = 0.0
    acceleration_s: float = 0.0
    facing: float = 0.0

    def at(self, time: float) -> tuple[float, float, float]:
        """s, d and heading against the road at a time in seconds."""
        along = time
        if self.acceleration_s * self.speed_s < 0:
            along = min(time, -self.speed_s / self.acceleration_s)
        s = self.s + self.speed_s * along + 0.5 * self.acceleration_s * along * along
        moving = abs(self.speed_s) + abs(self.speed_d) > 0
        return s, self.d + self.speed_d * time, math.atan2(self.speed_d, self.speed_s) if moving else self.facing

    def moves_at(self, time: float) -> bool:
        """Whether the actor has any speed at a time."""
        stopped = self.acceleration_s * self.speed_s < 0 and time >= -self.speed_s / self.acceleration_s
        return abs(self.speed_d) > 0 or (abs(self.speed_s) > 0 and not stopped)


@dataclass(frozen=True)
class Actor:
    """An annotated road user: nuScenes category, attributes (moving, at rest), size (length, width, height), m."""

    name: str
    category: str
    attributes: tuple[str, str]
    size: tuple[float, float, float]
    solid: Solid
    motion: Motion

    def pose(self, road: Road, time: float) -> tuple[float, float, float]:
        """World x, y and yaw."""
        s, d, turn = self.motion.at(time)
        x, y = road.point(s, d)
        return x, y, road.pose(s)[2] + turn

    def box(self, road: Road, time: float) -> NDArray[np.float64]:
        """World box (7,): x, y, z, length, width, height, yaw; it stands on the ground."""
        x, y, yaw = self.pose(road, time)
        return np.array([x, y, self.size[2] / 2, *self.size, yaw])

    def attribute(self, time: float) -> str:
        """Name of the attribute that holds at a time, '' for none."""
        return self.attributes[0] if self.motion.moves_at(time) else self.attributes[1]


def ego_s(time: float) -> float:
    """Where the sensors' vehicle is: 8 m/s, slowing to 4.6 m/s for the crossing, then gaining speed again."""
    dip, middle, spread = 3.4, 2.3, 1.5
    lost = dip * spread * math.sqrt(math.pi) / 2
    return 8.0 * time - lost * (math.erf((time - middle) / spread) + math.erf(middle / spread))


_VEHICLE = ("vehicle.moving", "vehicle.stopped")
_PARKED = ("vehicle.moving", "vehicle.parked")
_WALKER = ("pedestrian.moving", "pedestrian.standing")


def place_traffic(rng: np.random.Generator) -> list[Actor]:
    """Moving and parked vehicles, a cyclist, pedestrians and cones around the first 60 m of the drive."""
    return [*_moving_vehicles(rng), *_parked_vehicles(rng), *_people(rng), *_cones()]


def _paint(rng: np.random.Generator) -> Color:
    return PAINTS[int(rng.integers(len(PAINTS)))]


def _car(name: str, rng: np.random.Generator, attributes: tuple[str, str], motion: Motion, van: bool = False) -> Actor:
    length = float(rng.uniform(4.8, 5.1) if van else rng.uniform(4.2, 4.75))
    width = float(rng.uniform(1.80, 1.92))
    height = 1.98 if van else float(rng.uniform(1.44, 1.6))
    size = (round(length, 3), round(width, 3), round(height, 3))
    return Actor(name, "vehicle.car", attributes, size, car(*size, _paint(rng), van), motion)


def _moving_vehicles(rng: np.random.Generator) -> list[Actor]:
    truck_size = (7.2, 2.35, 3.1)
    bike_size = (1.75, 0.6, 1.75)
    return [
        _car("lead", rng, _VEHICLE, Motion(39.0, -LANE, 7.6)),
        _car("waiting", rng, _VEHICLE, Motion(70.0, LANE, -8.0, acceleration_s=1.15)),
        Actor(
            "truck", "vehicle.truck", _VEHICLE, truck_size, truck(*truck_size, (34, 92, 148)),
            Motion(88.0, LANE, -7.5, acceleration_s=1.05),
        ),
        _car("passed", rng, _VEHICLE, Motion(-13.0, LANE, -8.5)),
        _car("follower", rng, _VEHICLE, Motion(-17.0, -LANE, 6.6)),
        Actor(
            "cyclist", "vehicle.bicycle", ("cycle.with_rider", "cycle.with_rider"), bike_size,
            cyclist(*bike_size, (216, 66, 54)), Motion(24.0, 2.9, -4.2),
        ),
    ]  # fmt: skip


def _parked_vehicles(rng: np.random.Generator) -> list[Actor]:
    van_places = {15.5, 51.0}
    right = [Motion(s, -BAY) for s in (-9.0, 8.5, 15.5, 46.0, 58.0)]
    left = [Motion(s, BAY, facing=math.pi) for s in (-4.0, 11.0, 17.0, 51.0)]
    actors = [
        _car(f"parked_{i}", rng, _PARKED, motion, motion.s in van_places) for i, motion in enumerate(right + left)
    ]
    size = (6.4, 2.2, 2.9)
    actors.append(
        Actor("parked_truck", "vehicle.truck", _PARKED, size, truck(*size, (206, 146, 40)), Motion(68.0, -BAY))
    )
    return actors


def _people(rng: np.random.Generator) -> list[Actor]:
    plans = (
        ("crossing", Motion(33.4, -4.1, 0.0, 1.5)),
        ("waiting_person", Motion(32.6, 6.7, facing=-math.pi / 2)),
        ("walker_0", Motion(14.0, -7.6, 1.35)),
        ("walker_1", Motion(15.2, -8.3, 1.30)),
        ("walker_2", Motion(44.0, 7.5, -1.4)),
        ("walker_3", Motion(4.0, 7.9, 1.2)),
        ("talker_0", Motion(25.5, -8.0, facing=0.4)),
        ("talker_1", Motion(26.3, -7.7, facing=-2.8)),
    )
    shirts: tuple[Color, ...] = (
        (222, 186, 60),
        (54, 104, 170),
        (186, 58, 66),
        (236, 236, 230),
        (72, 132, 92),
        (150, 92, 150),
    )
    trousers: tuple[Color, ...] = ((44, 50, 70), (92, 86, 76), (38, 40, 44), (70, 90, 120))
    actors = []
    for i, (name, motion) in enumerate(plans):
        size = (0.72, 0.62, round(float(rng.uniform(1.6, 1.86)), 3))
        solid = pedestrian(*size, shirts[i % len(shirts)], trousers[int(rng.integers(len(trousers)))])
        actors.append(Actor(name, "human.pedestrian.adult", _WALKER, size, solid, motion))
    return actors


def _cones() -> list[Actor]:
    size = (0.4, 0.4, 0.75)
    solid = traffic_cone(*size)
    places = ((63.2, -3.8), (61.6, -4.4), (73.0, -3.8))
    return [
        Actor(f"cone_{i}", "movable_object.trafficcone", ("", ""), size, solid, Motion(s, d))
        for i, (s, d) in enumerate(places)
    ]
