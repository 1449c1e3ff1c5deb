"""Which solid stands for an agent: by its nuScenes category, made to its size, coloured by its seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.datasets.demo_scene.car_shape import HATCHBACK, PICKUP, SALOON, SUV, car
from distilldrive_ros.datasets.demo_scene.road_users import cyclist, pedestrian, traffic_cone, truck
from distilldrive_ros.datasets.demo_scene.shapes import Color, Solid
from distilldrive_ros.worlds.rendering.large_vehicles import bus, excavator, trailer
from distilldrive_ros.worlds.rendering.small_objects import animal, barrier, bicycle, cart, crate, motorcycle, rack
from distilldrive_ros.worlds.world import Agent

CAR_PAINTS: tuple[Color, ...] = (
    (232, 232, 228), (236, 236, 234), (24, 25, 28), (42, 44, 48), (150, 154, 158), (186, 188, 190), (98, 102, 108),
    (128, 24, 28), (158, 34, 30), (30, 52, 104), (44, 82, 140), (36, 66, 52), (176, 160, 128), (92, 60, 44),
    (204, 128, 36), (226, 192, 46),
)  # fmt: skip
TRUCK_PAINTS: tuple[Color, ...] = (
    (226, 226, 222), (34, 92, 148), (206, 146, 40), (152, 36, 34), (50, 108, 74), (66, 70, 78),
)  # fmt: skip
BUS_PAINTS: tuple[Color, ...] = ((200, 40, 44), (236, 236, 232), (60, 134, 72), (40, 92, 160), (232, 178, 40))
SHIRTS: tuple[Color, ...] = (
    (196, 50, 46), (40, 82, 148), (232, 230, 224), (36, 38, 44), (74, 122, 78), (214, 176, 60), (120, 92, 140),
    (150, 156, 162), (96, 64, 48), (60, 150, 160),
)  # fmt: skip
TROUSERS: tuple[Color, ...] = ((40, 46, 68), (30, 30, 34), (96, 88, 76), (70, 74, 80), (52, 66, 100))
FURS: tuple[Color, ...] = ((120, 86, 54), (60, 50, 44), (206, 190, 164))
WORKER_VEST: Color = (236, 118, 26)
MACHINE_YELLOW: Color = (226, 168, 30)

# A full cycle of two steps, as a share of the height; its positions that are modelled.
STRIDE_OF_HEIGHT, STRIDE_POSITIONS = 0.82, 8
# The foot's length is part of a pedestrian's depth at any position of the stride, m.
FOOT_M = 0.2
SIZE_STEP_M = 0.01


@dataclass(frozen=True)
class ShapeKey:
    """What a shape depends on; agents with equal keys share one.

    `size` in steps of `SIZE_STEP_M`; `stride`: position of a walker's legs, -1 for standing; `driven`: not parked.
    """

    category: str
    rider: bool
    size: tuple[int, int, int]
    seed: int
    stride: int
    driven: bool
    braking: bool


def shape_key(agent: Agent) -> ShapeKey:
    """The shape that an agent has now."""
    size = np.maximum(1, np.rint(agent.size / SIZE_STEP_M)).astype(int)
    stride = -1
    if agent.category.startswith("human.pedestrian") and agent.attribute in ("", "pedestrian.moving"):
        cycle = agent.walked / max(0.3, STRIDE_OF_HEIGHT * float(agent.size[2]))
        stride = int(cycle % 1.0 * STRIDE_POSITIONS)
    rider = agent.attribute != "cycle.without_rider"
    driven = agent.category.startswith("vehicle.") and rider and agent.attribute != "vehicle.parked"
    length, width, height = size.tolist()
    braking = agent.braking and driven
    return ShapeKey(agent.category, rider, (length, width, height), agent.seed, stride, driven, braking)


def shape(key: ShapeKey) -> Solid:
    """The solid of a key: fills its size, stands on z = 0."""
    length, width, height = (n * SIZE_STEP_M for n in key.size)
    rng = np.random.default_rng(key.seed)
    group, _, kind = key.category.partition(".")
    if group == "human":
        return _person(key, kind, length, width, height, rng)
    if group == "vehicle":
        return _vehicle(kind, key.rider, length, width, height, rng)
    if key.category == "movable_object.trafficcone":
        return traffic_cone(length, width, height)
    if key.category == "movable_object.barrier":
        return barrier(length, width, height, plastic=bool(rng.random() < 0.7))
    if group == "animal":
        return animal(length, width, height, _one_of(FURS, rng))
    if key.category == "static_object.bicycle_rack":
        return rack(length, width, height)
    return crate(length, width, height, _one_of(((90, 104, 88), (116, 92, 66), (90, 94, 102)), rng))


def _vehicle(kind: str, rider: bool, length: float, width: float, height: float, rng: np.random.Generator) -> Solid:
    if kind == "bicycle":
        shirt = _one_of(SHIRTS, rng)
        return (cyclist if rider else bicycle)(length, width, height, shirt)
    if kind == "motorcycle":
        return motorcycle(length, width, height, _one_of(CAR_PAINTS, rng), rider)
    if kind.startswith("bus"):
        return bus(length, width, height, _one_of(BUS_PAINTS, rng))
    if kind == "trailer":
        return trailer(length, width, height, _one_of(TRUCK_PAINTS, rng))
    if kind == "construction":
        return excavator(length, width, height, MACHINE_YELLOW)
    if kind == "truck" and length > 5.2 and height > 2.0:
        return truck(length, width, height, _one_of(TRUCK_PAINTS, rng))
    if kind == "emergency.ambulance":
        return car(length, width, height, (238, 238, 236), van=True)
    if kind == "emergency.police":
        return car(length, width, height, (36, 60, 120))
    if kind == "truck":
        return car(length, width, height, _one_of(CAR_PAINTS, rng), side_view=PICKUP)
    return _passenger_car(length, width, height, rng)


def _passenger_car(length: float, width: float, height: float, rng: np.random.Generator) -> Solid:
    """Saloon, hatchback, sports utility vehicle or van, whichever has such proportions."""
    paint, compact = _one_of(CAR_PAINTS, rng), rng.random() < 0.5
    if height > 0.42 * length or height > 1.95:
        return car(length, width, height, paint, van=True)
    if height > 1.66:
        return car(length, width, height, paint, side_view=SUV)
    return car(length, width, height, paint, side_view=HATCHBACK if compact and length < 4.7 else SALOON)


def _person(
    key: ShapeKey, kind: str, length: float, width: float, height: float, rng: np.random.Generator
) -> Solid:  # fmt: skip
    if kind in ("pedestrian.stroller", "pedestrian.wheelchair"):
        return cart(length, width, height, _one_of(SHIRTS, rng))
    shirt, trousers = _one_of(SHIRTS, rng), _one_of(TROUSERS, rng)
    if kind == "pedestrian.construction_worker":
        shirt = WORKER_VEST
    if kind == "pedestrian.police_officer":
        shirt, trousers = (28, 40, 84), (24, 28, 44)
    swing = 0.25 if key.stride < 0 else math.sin(2 * math.pi * (key.stride + 0.5) / STRIDE_POSITIONS)
    if kind == "pedestrian.personal_mobility":
        swing = 0.1
    stride = FOOT_M + (max(length, 0.3) - FOOT_M) * swing
    return pedestrian(stride, max(width, 0.35), height, shirt, trousers)


def _one_of(choices: tuple[Color, ...], rng: np.random.Generator) -> Color:
    return choices[int(rng.integers(len(choices)))]
