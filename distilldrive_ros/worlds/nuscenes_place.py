"""The place of a recorded scene: what its map expansion knows, with plausible surroundings where it knows nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.map_expansion import Lane, MapExpansion, PaintedDivider
from distilldrive_ros.worlds.roadside import roadside
from distilldrive_ros.worlds.world import Divider, LineColor, LinePattern, Place, StopLine, WorldLane

Array = NDArray[np.float64]

# How far around the drive the place is taken from the map, and where things beside the road are put, m.
REACH_M, SCENERY_REACH_M = 260.0, 150.0
# Width of a walkway where the map has none, m.
WALKWAY_M = 3.2
URBAN_SPEED_MPS = 50 / 3.6


def seed_of(text: str) -> int:
    """A number that depends on a text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def place_from_map(
    expansion: MapExpansion, location: str, drive: Array, keep_free: Sequence[shapely.Geometry], seed: int
) -> Place:
    """The surroundings of a drive (N, 2) m.

    Args:
        expansion: the map.
        location: its name, for instance `boston-seaport`.
        drive: where the ego goes, map coordinates.
        keep_free: areas where recorded objects stand or move; nothing is put there.
        seed: chooses houses, trees and the like.

    Raises:
        DatasetError: the map is damaged.
    """
    track = shapely.LineString(drive) if len(drive) > 1 else shapely.Point(drive[0])
    area, near = track.buffer(REACH_M), track.buffer(SCENERY_REACH_M)
    drivable = _polygons(p.intersection(area) for p in expansion.drivable_areas.near(area))
    road = shapely.union_all(drivable)
    blocks = _polygons(p.intersection(area) for p in expansion.road.near(area))
    walkways = _polygons(p.intersection(area) for p in expansion.walkways.near(area))
    if not walkways:
        walkways = _polygons([road.buffer(WALKWAY_M).difference(road).intersection(near)])
    return Place(
        name=location,
        drivable=drivable,
        road_segments=blocks,
        intersections=_polygons(p.intersection(area) for p in expansion.intersections.near(area)),
        lanes=_lanes(expansion.lanes, area),
        dividers=tuple(_divider(d, location) for d in expansion.painted_dividers if d.line.intersects(area)),
        crossings=_polygons(expansion.crossings.near(area)),
        walkways=walkways,
        stop_lines=tuple(StopLine(p, "") for p in _polygons(expansion.stop_lines.near(area))),
        scenery=roadside(road, near, keep_free, np.random.default_rng(seed)),
    )


def _polygons(geometries: Iterable[shapely.Geometry]) -> tuple[shapely.Polygon, ...]:
    parts = (part for geometry in geometries for part in shapely.get_parts(geometry))
    return tuple(p for p in parts if p.geom_type == "Polygon" and p.area > 0.01)


def _lanes(lanes: Sequence[Lane], area: shapely.Geometry) -> tuple[WorldLane, ...]:
    near = [lane for lane in lanes if lane.centerline.intersects(area)]
    before: dict[str, list[str]] = {lane.token: [] for lane in near}
    for lane in near:
        for token in lane.successors:
            if token in before:
                before[token].append(lane.token)
    found = []
    for lane in near:
        outline = max(_polygons([lane.polygon]), key=lambda p: float(p.area), default=None)
        line = lane.centerline
        if outline is None:
            outline = line.buffer(1.75, cap_style="flat")
        found.append(
            WorldLane(
                token=lane.token,
                centerline=np.asarray(line.coords)[:, :2],
                width=float(np.clip(outline.area / max(line.length, 1.0), 2.0, 6.0)),
                speed_limit=URBAN_SPEED_MPS,
                is_connector=lane.is_connector,
                successors=tuple(t for t in lane.successors if t in before),
                predecessors=tuple(before[lane.token]),
                polygon=outline,
            )
        )
    return tuple(found)


def _divider(divider: PaintedDivider, location: str) -> Divider:
    """Paint of a divider: what the map says, else what is usual: left-hand traffic paints its middle white."""
    said = next((t for t in divider.segment_types if t != "NIL"), "")
    if said:
        color = LineColor.YELLOW if "YELLOW" in said else LineColor.WHITE
        pattern = LinePattern.DASHED if "DASHED" in said or "ZIGZAG" in said else LinePattern.SOLID
        if "DOUBLE_SOLID" in said:
            pattern = LinePattern.DOUBLE_SOLID
    elif divider.separates_directions:
        left_hand = location.startswith("singapore")
        color = LineColor.WHITE if left_hand else LineColor.YELLOW
        pattern = LinePattern.SOLID if left_hand else LinePattern.DOUBLE_SOLID
    else:
        color, pattern = LineColor.WHITE, LinePattern.DASHED
    return Divider(np.asarray(divider.line.coords)[:, :2], pattern, color, divider.separates_directions)
