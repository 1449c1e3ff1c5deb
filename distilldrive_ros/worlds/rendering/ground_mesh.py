"""The ground of a place: layers of areas on z = 0, one drawn over the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.shapes import Color
from distilldrive_ros.worlds.rendering.road_paint import crossing_paint, line_paint, wheel_tracks
from distilldrive_ros.worlds.world import LineColor, Place

Array = NDArray[np.float64]

EXTENT_M = 2500.0
WHITE: Color = (226, 226, 220)
YELLOW: Color = (222, 176, 58)
# Far from the road nobody sees more than this of a curve, m.
TOLERANCE_M = 0.02


@dataclass(frozen=True)
class GroundLayer:
    """An area of one colour, `texture` (a function of `textures`, or empty) repeated every `texture_m` metres.

    `reflectivity`: LiDAR intensity at steep incidence, 0 to 255. `opacity` below 1 lets the layers beneath through.
    """

    name: str
    area: shapely.Geometry
    color: Color
    texture: str
    texture_m: float
    reflectivity: float
    opacity: float = 1.0


def ground_layers(place: Place, rng: np.random.Generator) -> Iterator[GroundLayer]:
    """Layers from the bottom up; colours vary with the generator."""
    tone = float(rng.uniform(0.85, 1.15))
    grey = int(112 * tone)
    green = (int(80 + 20 * rng.random()), int(98 + 12 * rng.random()), int(56 + 14 * rng.random()))
    low, high = _bounds(place) - EXTENT_M, _bounds(place, 2) + EXTENT_M
    yield GroundLayer("terrain", _tiled(low, high), green, "grass", 9.0, 18.0)
    walk = int(150 * float(rng.uniform(0.85, 1.1)))
    yield GroundLayer("walkway", _union(place.walkways), (walk, walk - 4, walk - 10), "pavement", 6.0, 24.0)
    yield GroundLayer("road", _union(place.drivable), (grey, grey, grey + 4), "asphalt", 7.0, 14.0)
    blocks = _union(place.intersections)
    yield GroundLayer("intersection", blocks, (grey - 8, grey - 8, grey - 5), "asphalt", 7.0, 14.0, 0.6)
    yield GroundLayer("wheel tracks", wheel_tracks(place), (28, 28, 30), "", 1.0, 8.0, 0.06)
    yield GroundLayer("crossing", crossing_paint(place.crossings), WHITE, "asphalt", 5.0, 60.0, 0.9)
    stops = _union(tuple(stop.polygon for stop in place.stop_lines))
    yield GroundLayer("stop line", stops, WHITE, "asphalt", 5.0, 60.0, 0.9)
    for name, line_color, paint in (("white", LineColor.WHITE, WHITE), ("yellow", LineColor.YELLOW, YELLOW)):
        yield GroundLayer(f"{name} lines", line_paint(place.dividers, line_color), paint, "asphalt", 5.0, 60.0, 0.9)


def _union(areas: tuple[shapely.Polygon, ...]) -> shapely.Geometry:
    sound = [a if a.is_valid else a.buffer(0) for a in areas]
    return shapely.union_all(sound).simplify(TOLERANCE_M)


def _bounds(place: Place, first: int = 0) -> Array:
    return shapely.total_bounds(list(place.drivable))[first : first + 2]


def _tiled(low: Array, high: Array) -> shapely.Geometry:
    """A rectangle in squares: haze and texture coordinates stay exact on small triangles."""
    count = 24
    x, y = (np.linspace(low[i], high[i], count + 1) for i in (0, 1))
    return shapely.MultiPolygon(
        [shapely.box(x[i], y[j], x[i + 1], y[j + 1]) for i in range(count) for j in range(count)]
    )
