"""What stands beside the roads: buildings, trees, lamps, poles, fences; off every drivable area and walkway."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.rectangles import rectangle_corners
from distilldrive_ros.worlds.world import Place, Scenery, SceneryKind

Array = NDArray[np.float64]

# Scenery farther than this from the ego's route is not seen, m.
REACH_M = 110.0
LAMP_GAP_M = 32.0
CLEARANCE_M = 0.35


class _Ground:
    """Which ground is free."""

    def __init__(self, place: Place, paved: shapely.Geometry) -> None:
        self._paved = paved
        rings = [shapely.Polygon(ring) for area in place.drivable for ring in area.interiors]
        self._islands = shapely.union_all(rings)
        shapely.prepare(self._paved)
        self._taken: list[shapely.Polygon] = []

    def is_island(self, footprint: shapely.Polygon) -> bool:
        """Whether the road leads all around it, as on a roundabout."""
        return bool(self._islands.intersects(footprint))

    def take(self, footprint: shapely.Polygon, clearance: float) -> bool:
        """Take a footprint if it is free."""
        grown = footprint.buffer(clearance)
        if grown.intersects(self._paved) or any(grown.intersects(other) for other in self._taken):
            return False
        self._taken.append(footprint)
        return True


def plant_scenery(place: Place, route: Array, seed: int) -> tuple[Scenery, ...]:
    """Scenery along all roads that can be seen from a route (N, 2).

    Args:
        place: roads and walkways.
        route: the ego's centre line.
        seed: decides everything.
    """
    rng = np.random.default_rng((seed, 0x5CE2E))
    paved = shapely.union_all([*place.drivable, *place.walkways])
    near = shapely.LineString(route).buffer(REACH_M)
    ground = _Ground(place, paved)
    out: list[Scenery] = []
    urban = float(rng.random())
    for point, outward in _kerb(paved, near, LAMP_GAP_M, 0.55):
        yaw = math.atan2(-outward[1], -outward[0])
        kind = SceneryKind.STREET_LAMP if rng.random() < 0.85 else SceneryKind.POLE
        _try(out, ground, rng, kind, point, yaw, (0.25, 0.25, float(rng.uniform(6.5, 8.5))), 0.0)
    for point, outward in _kerb(paved, near, 70.0, 0.5):
        yaw = math.atan2(-outward[1], -outward[0]) + math.pi / 2
        _try(out, ground, rng, SceneryKind.SIGN, point, yaw, (0.12, 0.7, float(rng.uniform(2.3, 3.0))), 0.0)
    for distance in (6.0 + 8.0 * (1 - urban), 26.0):
        for point, outward in _kerb(paved, near, 9.0, distance):
            yaw = math.atan2(outward[1], outward[0]) - math.pi / 2
            depth = float(rng.uniform(8.0, 16.0))
            size = (float(rng.uniform(8.0, 22.0)), depth, float(rng.uniform(4.0, 9.0 + 22.0 * urban)))
            foot = point + outward * depth / 2
            if rng.random() < 0.35 + 0.6 * urban:
                _try(out, ground, rng, SceneryKind.BUILDING, foot, yaw, size, 1.0)
    for distance in (2.2, 9.0, 18.0):
        for point, outward in _kerb(paved, near, 7.0, distance):
            if rng.random() < 0.25 + 0.45 * (1 - urban):
                spot = point + outward * float(rng.uniform(0.0, 3.0))
                crown = float(rng.uniform(2.2, 5.0))
                size = (crown, crown, float(rng.uniform(4.0, 10.0)))
                # Trunks need room; crowns may hang over.
                _try(out, ground, rng, SceneryKind.TREE, spot, float(rng.uniform(0, 2 * math.pi)), size, 0.2, 0.6)
    for point, outward in _kerb(paved, near, 6.0, 3.6):
        if rng.random() < 0.2:
            yaw = math.atan2(outward[1], outward[0]) - math.pi / 2
            if rng.random() < 0.6:
                size = (float(rng.uniform(0.8, 2.0)),) * 2 + (float(rng.uniform(0.6, 1.6)),)
                _try(out, ground, rng, SceneryKind.BUSH, point, yaw, size, 0.2)
            else:
                size = (float(rng.uniform(3.0, 6.0)), 0.12, float(rng.uniform(0.9, 1.8)))
                _try(out, ground, rng, SceneryKind.FENCE, point, yaw, size, 0.1)
    return tuple(out)


def _kerb(
    paved: shapely.Geometry, near: shapely.Geometry, gap: float, distance: float
) -> Iterator[tuple[Array, Array]]:
    """Points (2,) so far outside the paved area, `gap` m apart, with the direction (2,) away from it."""
    outline = paved.buffer(distance, quad_segs=4).boundary
    for line in shapely.get_parts(outline):
        for along in np.arange(gap / 2, line.length, gap):
            point = line.interpolate(along)
            if not near.contains(point):
                continue
            foot = shapely.get_coordinates(shapely.shortest_line(point, paved))[-1]
            at = np.array([point.x, point.y])
            away = at - foot
            length = float(np.linalg.norm(away))
            if length > 1e-6:
                yield at, away / length


def _try(
    out: list[Scenery], ground: _Ground, rng: np.random.Generator, kind: SceneryKind, at: Array, yaw: float,
    size: tuple[float, ...], clearance: float, foot: float | None = None,
) -> None:  # fmt: skip
    """Put a thing where there is room; `foot` is the side of what it needs on the ground, default its size."""
    length, width = (size[0], size[1]) if foot is None else (foot, foot)
    footprint = shapely.Polygon(rectangle_corners(np.array([at[0], at[1], length, width, yaw])))
    if kind == SceneryKind.BUILDING and ground.is_island(footprint):
        return
    if ground.take(footprint, clearance):
        out.append(Scenery(kind, at.copy(), yaw, np.array(size), int(rng.integers(2**31))))
