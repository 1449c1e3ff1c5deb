"""Buildings, trees and street lamps beside the road: for looks, for LiDAR returns and for shade, never annotated."""

from __future__ import annotations

import math

import numpy as np

from distilldrive_ros.datasets.demo_scene.road import PARKING_FREE_S, ROAD_HALF_WIDTH, WALK_OUTER, Road
from distilldrive_ros.datasets.demo_scene.shapes import (
    Array,
    Ball,
    Color,
    Face,
    Part,
    Solid,
    box_faces,
    face,
    shade,
    wall_patch,
)

WALLS: tuple[Color, ...] = (
    (196, 120, 92), (222, 206, 176), (188, 190, 188), (214, 178, 124), (160, 104, 86), (232, 226, 214), (170, 182, 176),
)  # fmt: skip
ROOFS: tuple[Color, ...] = ((122, 72, 60), (92, 92, 98), (142, 88, 66))
WINDOW: Color = (92, 112, 130)
DOOR: Color = (84, 62, 50)
LEAVES: tuple[Color, ...] = ((88, 132, 58), (104, 142, 62), (72, 118, 62), (122, 148, 70))
BARK: Color = (96, 76, 58)
POLE: Color = (104, 108, 112)

Placed = tuple[Solid, float, float, float]  # solid, x, y, yaw in the world


def place_scenery(road: Road, rng: np.random.Generator) -> list[Placed]:
    """Rows of houses, trees and lamps on both sides of the road."""
    placed: list[Placed] = []
    for side in (1.0, -1.0):
        placed += _house_row(road, side, rng)
        placed += _tree_row(road, side, rng)
        placed += _lamp_row(road, side)
    return placed


def _house_row(road: Road, side: float, rng: np.random.Generator) -> list[Placed]:
    placed: list[Placed] = []
    s = road.start_s + 25.0
    while s < road.end_s - 20.0:
        width, depth = float(rng.uniform(9.0, 15.0)), float(rng.uniform(8.0, 11.0))
        storeys, set_back = int(rng.integers(2, 5)), float(rng.uniform(3.0, 6.0))
        middle = s + width / 2
        if rng.random() < 0.86:
            x, y = road.point(middle, side * (WALK_OUTER + set_back + depth / 2))
            # The solid's left wall looks at the road: on the left side of the road the house is turned round.
            yaw = road.pose(middle)[2] + (math.pi if side > 0 else 0.0)
            wall = WALLS[int(rng.integers(len(WALLS)))]
            gable = ROOFS[int(rng.integers(len(ROOFS)))] if storeys < 4 and rng.random() < 0.65 else None
            placed.append((house(width, depth, storeys, wall, gable), x, y, yaw))
        s += width + float(rng.uniform(1.5, 7.0))
    return placed


def house(width: float, depth: float, storeys: int, wall: Color, roof: Color | None) -> Solid:
    """A house: `width` along x, `depth` along y, front on the left (+y); with a gable roof, or a flat one for None."""
    storey = 3.0
    rise = storeys * storey + 0.5
    center, size = (0.0, 0.0, rise / 2), (width, depth, rise)
    decals = {side: _windows(side, center, size, storeys, storey) for side in ("left", "right", "front", "back")}
    half = width / 2
    decals["left"] += [
        (wall_patch("left", center, size, (-0.6, 0.6), (0.0, 2.3)), DOOR),
        (wall_patch("left", center, size, (-half, half), (3.0, 3.12)), shade(wall, 0.82)),
    ]
    for side in ("left", "right", "front", "back"):
        span = half if side in ("left", "right") else depth / 2
        decals[side].append((wall_patch(side, center, size, (-span, span), (0.0, 0.35)), shade(wall, 0.62)))
        decals[side].append((wall_patch(side, center, size, (-span, span), (rise - 0.28, rise)), shade(wall, 1.14)))
    faces = box_faces(center, size, wall, (150, 148, 146), decals)
    blocks = [[*center, *size, 0.0]]
    if roof is not None:
        faces += _gable(width, depth, rise, 0.34 * depth, roof, wall)
        blocks.append([0.0, 0.0, rise + 0.1 * depth, width, 0.6 * depth, 0.2 * depth, 0.0])
    return Solid((Part((0.0, 0.0), (width, depth), tuple(faces)),), np.array(blocks))


def _windows(
    side: str, center: tuple[float, ...], size: tuple[float, ...], storeys: int, storey: float
) -> list[tuple[Array, Color]]:
    span = size[0] if side in ("left", "right") else size[1]
    count = max(2, int(span / 2.4))
    marks: list[tuple[Array, Color]] = []
    for floor in range(storeys):
        for place in range(count):
            middle = (place + 0.5) / count * span - span / 2
            if side == "left" and floor == 0 and abs(middle) < 1.3:
                continue
            low = floor * storey + 0.95
            frame = wall_patch(side, center, size, (middle - 0.62, middle + 0.62), (low - 0.1, low + 1.52))
            pane = wall_patch(side, center, size, (middle - 0.5, middle + 0.5), (low, low + 1.42))
            marks += [(frame, (236, 234, 228)), (pane, WINDOW)]
    return marks


def _gable(width: float, depth: float, rise: float, ridge: float, roof: Color, wall: Color) -> list[Face]:
    a, b = width / 2, depth / 2
    inside = (0.0, 0.0, rise)
    top = rise + ridge
    slopes = [face([(-a, y, rise), (a, y, rise), (a, 0, top), (-a, 0, top)], roof, inside) for y in (b, -b)]
    ends = [face([(x, -b, rise), (x, b, rise), (x, 0, top)], wall, inside) for x in (a, -a)]
    return slopes + ends


def _tree_row(road: Road, side: float, rng: np.random.Generator) -> list[Placed]:
    placed: list[Placed] = []
    s = road.start_s + 12.0
    while s < road.end_s - 8.0:
        if not PARKING_FREE_S[0] - 2 < s < PARKING_FREE_S[1] + 2:
            x, y = road.point(s, side * (ROAD_HALF_WIDTH + 1.0))
            placed.append((tree(float(rng.uniform(4.6, 6.6)), rng), x, y, float(rng.uniform(-math.pi, math.pi))))
        s += float(rng.uniform(13.0, 19.0))
    return placed


def tree(height: float, rng: np.random.Generator) -> Solid:
    """A street tree: a trunk and a crown of blobs, lighter towards the top."""
    crown, stem = 0.30 * height, 0.42 * height
    leaf = LEAVES[int(rng.integers(len(LEAVES)))]
    middle = stem + 0.8 * crown
    balls = [Ball(np.array([0.0, 0.0, middle]), 0.92 * crown, shade(leaf, 0.72))]
    for _ in range(26):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        place = direction * crown * float(rng.uniform(0.45, 0.82)) + (0.0, 0.0, middle)
        bright = 0.78 + 0.30 * (place[2] - middle + crown) / (2 * crown) + float(rng.uniform(-0.05, 0.05))
        balls.append(Ball(place, float(rng.uniform(0.28, 0.48)) * crown, shade(leaf, bright)))
    trunk = tuple(box_faces((0.0, 0.0, stem / 2), (0.24, 0.24, stem), BARK))
    reach = 1.15 * crown
    blocks = np.array([[0, 0, stem / 2, 0.24, 0.24, stem, 0], [0, 0, middle, 1.5 * crown, 1.5 * crown, 1.7 * crown, 0]])
    # The rectangle that orders the painting is the trunk's neighbourhood: a crown may hang over a parked car.
    return Solid((Part((0.0, 0.0), (min(0.6, reach), min(0.6, reach)), trunk, tuple(balls)),), blocks)


def _lamp_row(road: Road, side: float) -> list[Placed]:
    lamp = street_lamp()
    placed: list[Placed] = []
    for s in np.arange(road.start_s + (20.0 if side > 0 else 36.0), road.end_s, 32.0):
        x, y = road.point(float(s), side * (ROAD_HALF_WIDTH + 0.4))
        placed.append((lamp, x, y, road.pose(float(s))[2] + (-math.pi / 2 if side > 0 else math.pi / 2)))
    return placed


def street_lamp() -> Solid:
    """A lamp on a pole; its arm reaches along +x, over the road."""
    faces = [
        *box_faces((0.0, 0.0, 3.6), (0.12, 0.12, 7.2), POLE),
        *box_faces((0.75, 0.0, 7.15), (1.5, 0.08, 0.08), POLE),
        *box_faces((1.45, 0.0, 7.06), (0.6, 0.22, 0.12), (226, 226, 220)),
    ]
    blocks = np.array([[0, 0, 3.6, 0.14, 0.14, 7.2, 0], [0.9, 0, 7.1, 1.8, 0.2, 0.14, 0]])
    return Solid((Part((0.0, 0.0), (0.2, 0.2), tuple(faces)),), blocks)
