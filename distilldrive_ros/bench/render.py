"""Six cameras and the LiDAR of a street with thirty agents around the ego, drawn again and again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely

from distilldrive_ros.bench.measure import Measurement, Spread, timed
from distilldrive_ros.worlds.rig import Rig, RigCamera, nominal_rig
from distilldrive_ros.worlds.roadside import roadside
from distilldrive_ros.worlds.world import (
    Agent,
    Appearance,
    Divider,
    EgoState,
    LineColor,
    LinePattern,
    Place,
    Snapshot,
    WorldLane,
)

TARGET_PER_S = 8.0
WIDTH, HEIGHT, CROP_TOP = 704, 256, 140
LANE_M, STREET_M = 3.5, 400.0
# Category, attribute, size m, and how many of them.
AGENTS = (
    ("vehicle.car", "vehicle.moving", (4.6, 1.9, 1.6), 16),
    ("vehicle.truck", "vehicle.moving", (8.5, 2.6, 3.2), 3),
    ("vehicle.bus.rigid", "vehicle.moving", (11.5, 2.9, 3.4), 1),
    ("vehicle.bicycle", "cycle.with_rider", (1.8, 0.6, 1.7), 3),
    ("human.pedestrian.adult", "pedestrian.moving", (0.7, 0.7, 1.75), 7),
)


def measure(quick: bool) -> list[Measurement]:
    """Draw sets and sweeps in turns; every turn everybody has moved.

    Raises:
        WorldError: Panda3D is missing, or nothing can draw here.
    """
    from distilldrive_ros.worlds.rendering.renderer import SceneRenderer

    rounds = 3 if quick else 40
    place, rng = _street(), np.random.default_rng(0)
    with SceneRenderer(place, Appearance(), _rig()) as renderer:
        first = _snapshot(0)
        renderer.images(first)
        renderer.sweep(first, rng)
        pictures, sweeps = [], []
        for turn in range(1, rounds + 1):
            now = _snapshot(turn)
            pictures.append(timed(lambda now=now: renderer.images(now)))  # type: ignore[misc]
            sweeps.append(timed(lambda now=now: renderer.sweep(now, rng)))  # type: ignore[misc]
        note = (
            f"{renderer.display.description}, {len(first.agents)} agents, {len(place.scenery)} houses, trees and lamps"
        )
    sets = f"sets of six {WIDTH} x {HEIGHT} pictures"
    return [
        Measurement(sets, 1 / Spread.of(pictures).median, "1/s", TARGET_PER_S, "higher", note),
        Measurement("LiDAR sweeps", 1 / Spread.of(sweeps).median, "1/s", TARGET_PER_S, "higher"),
        Measurement("slowest set", 1e3 * max(pictures), "ms"),
    ]


def _rig() -> Rig:
    """The demo vehicle's rig with the lower part of its pictures, as networks take it."""
    rig = nominal_rig(WIDTH)
    return Rig(tuple(_cropped(camera) for camera in rig.cameras), rig.lidar)


def _cropped(camera: RigCamera) -> RigCamera:
    intrinsics = camera.intrinsics.copy()
    intrinsics[1, 2] -= CROP_TOP
    return replace(camera, intrinsics=intrinsics, height=HEIGHT)


def _street() -> Place:
    """Four lanes along x with walkways, crossings, houses, trees and lamps."""
    half = STREET_M / 2
    road = shapely.box(-half, -2 * LANE_M, half, 2 * LANE_M)
    walks = (
        shapely.box(-half, 2 * LANE_M, half, 2 * LANE_M + 3),
        shapely.box(-half, -2 * LANE_M - 3, half, -2 * LANE_M),
    )
    patterns = ((-LANE_M, LinePattern.DASHED), (0.0, LinePattern.DOUBLE_SOLID), (LANE_M, LinePattern.DASHED))
    dividers = tuple(
        Divider(np.array([[-half, y], [half, y]]), p, LineColor.WHITE if y else LineColor.YELLOW, y == 0.0)
        for y, p in patterns
    )
    lanes = tuple(_lane(index, half) for index in range(4))
    crossings = tuple(shapely.box(x, -2 * LANE_M, x + 4, 2 * LANE_M) for x in (-60.0, 25.0, 90.0))
    scenery = roadside(road, road, (), np.random.default_rng(1))
    return Place("street", (road,), (road,), (), lanes, dividers, crossings, walks, scenery=scenery)


def _lane(index: int, half: float) -> WorldLane:
    y = (index - 1.5) * LANE_M
    line = np.array([[-half, y], [half, y]])[:: 1 if y < 0 else -1]
    outline = shapely.box(-half, y - LANE_M / 2, half, y + LANE_M / 2)
    return WorldLane(f"lane-{index}", line, LANE_M, 13.9, False, (), (), outline)


def _snapshot(turn: int) -> Snapshot:
    """The street at a turn: 0.1 s later each, with agents all around the ego."""
    agents, number = [], 0
    rng = np.random.default_rng(7)
    for category, attribute, size, count in AGENTS:
        for _ in range(count):
            lane = int(rng.integers(4))
            x, heading = float(rng.uniform(-50, 50)), 0.0 if lane < 2 else np.pi
            y = (lane - 1.5) * LANE_M if category.startswith("vehicle") else float(rng.choice([-8.4, 8.4]))
            x += 0.1 * turn * float(rng.uniform(0.5, 1.2)) * np.cos(heading)
            if abs(x) < 6 and lane == 1:
                x += 14.0
            center = np.array([x, y, size[2] / 2])
            velocity = np.array([np.cos(heading), 0.0])
            agents.append(
                Agent(number, category, attribute, center, heading, np.array(size), velocity, number, 0.1 * turn)
            )
            number += 1
    return Snapshot(turn * 100_000_000, EgoState(np.array([0.05 * turn, -0.5 * LANE_M]), 0.0, 1.0), tuple(agents))
