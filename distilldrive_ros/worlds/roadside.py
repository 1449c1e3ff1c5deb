"""Houses, trees, lamps and the like along the roads of a place whose map knows only the road."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.worlds.world import Scenery, SceneryKind

Array = NDArray[np.float64]

# Distance from the road's edge to where each kind stands, m.
LAMP_M, TREE_M, HOUSE_M = 0.9, 2.2, 7.0
LAMP_STEP_M, TREE_STEP_M, SIGN_STEP_M = 32.0, 11.0, 45.0
# Nothing is put nearer to what moved or stood there in the recording, m.
CLEARANCE_M = 0.8


def roadside(
    road: shapely.Geometry,
    within: shapely.Geometry,
    keep_free: Sequence[shapely.Geometry],
    rng: np.random.Generator,
    density: float = 1.0,
) -> tuple[Scenery, ...]:
    """Scenery along a road that overlaps neither the road nor `keep_free` nor itself.

    Args:
        road: area of all road.
        within: where the road's outline gets scenery beside it.
        keep_free: other areas where nothing may stand.
        rng: chooses.
        density: share of the usual number of things.
    """
    blocked = _Blocked(road, keep_free)
    found: list[Scenery] = []
    for thing in _candidates(shapely.intersection(road, within), rng, density):
        if blocked.take(thing):
            found.append(thing)
    return tuple(found)


class _Blocked:
    """Areas where something is already."""

    def __init__(self, road: shapely.Geometry, keep_free: Sequence[shapely.Geometry]) -> None:
        self._road = road
        shapely.prepare(self._road)
        self._free = shapely.STRtree([g.buffer(CLEARANCE_M) for g in keep_free])
        self._taken: list[shapely.Geometry] = []

    def take(self, thing: Scenery) -> bool:
        """Whether a thing has room; it has it from then on."""
        area = footprint(thing)
        if self._road.intersects(area) or len(self._free.query(area, predicate="intersects")):
            return False
        if any(area.intersects(other) for other in self._taken):
            return False
        self._taken.append(area)
        return True


def footprint(thing: Scenery) -> shapely.Polygon:
    """The ground that a thing needs."""
    length, width = (0.5, 0.5) if thing.kind is SceneryKind.TREE else thing.size[:2]
    box = np.array([[*thing.position, 0.0, length, width, 1.0, thing.yaw]])
    return shapely.Polygon(ground_corners(box)[0])


def _candidates(road: shapely.Geometry, rng: np.random.Generator, density: float) -> Iterator[Scenery]:
    """Lamps, signs and trees near the road, then houses in rows behind them."""
    parts = [part for part in shapely.get_parts(road) if part.geom_type == "Polygon"]
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    for ring in rings:
        for s, kind in _spread(ring.length, rng, density):
            foot, outward = _beside(road, ring, s, LAMP_M if kind is not SceneryKind.TREE else TREE_M)
            seed = int(rng.integers(1 << 31))
            yaw = outward + math.pi  # looks at the road
            if kind is SceneryKind.TREE:
                height = float(rng.uniform(4.5, 9.5))
                size = np.array([0.7 * height, 0.7 * height, height])
            elif kind is SceneryKind.SIGN:
                size, yaw = np.array([0.1, 0.7, float(rng.uniform(2.3, 3.0))]), yaw + math.pi / 2
            else:
                size = np.array([0.2, 0.2, 7.2])
            yield Scenery(kind, foot, yaw, size, seed)
    for row in range(3):
        for ring in rings:
            yield from _houses(road, ring, HOUSE_M + 26.0 * row, rng, density)


def _spread(length: float, rng: np.random.Generator, density: float) -> Iterator[tuple[float, SceneryKind]]:
    for kind, step in (
        (SceneryKind.STREET_LAMP, LAMP_STEP_M), (SceneryKind.SIGN, SIGN_STEP_M), (SceneryKind.TREE, TREE_STEP_M),
    ):  # fmt: skip
        s = float(rng.uniform(0, step))
        while s < length:
            yield s, kind
            s += step * float(rng.uniform(0.7, 1.4)) / max(density, 1e-3)


def _houses(
    road: shapely.Geometry, ring: shapely.LinearRing, distance: float, rng: np.random.Generator, density: float
) -> Iterator[Scenery]:
    s = 0.0
    tall = distance > HOUSE_M
    while s < ring.length:
        length, depth = float(rng.uniform(9, 26)), float(rng.uniform(9, 18))
        height = float(rng.choice([4.0, 6.5, 9.5, 14.0, 22.0, 34.0], p=[0.18, 0.26, 0.2, 0.18, 0.12, 0.06]))
        if tall:
            height *= float(rng.uniform(1.2, 2.0))
        back = distance + float(rng.uniform(0, 6)) + depth / 2
        if rng.random() < 0.8 * density:
            foot, outward = _beside(road, ring, s + length / 2, back)
            # The left wall (+y) of a house looks at the road.
            yield Scenery(
                SceneryKind.BUILDING,
                foot,
                outward + math.pi / 2,
                np.array([length, depth, height]),
                int(rng.integers(1 << 31)),
            )
        s += length + float(rng.choice([1.0, 6.0, 20.0]))


def _beside(road: shapely.Geometry, ring: shapely.LinearRing, s: float, distance: float) -> tuple[Array, float]:
    """A point (2,) at this distance outside the road, beside its outline at `s`, and the outward direction, rad."""
    a, b = ring.interpolate((s - 1.0) % ring.length), ring.interpolate((s + 1.0) % ring.length)
    along = math.atan2(b.y - a.y, b.x - a.x)
    middle = ring.interpolate(s % ring.length)
    for outward in (along + math.pi / 2, along - math.pi / 2):
        near = shapely.Point(middle.x + 0.5 * math.cos(outward), middle.y + 0.5 * math.sin(outward))
        if not road.intersects(near):
            break
    return np.array([middle.x + distance * math.cos(outward), middle.y + distance * math.sin(outward)]), outward
