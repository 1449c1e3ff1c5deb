"""Where a place lies on its nuScenes map: those have their origin in the south-west and no negative coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.world import Place

Array = NDArray[np.float64]
Geometry = TypeVar("Geometry", bound=BaseGeometry)

MARGIN_M = 20.0
# The raster of a larger map would take gigabytes.
LARGEST_M = 5000.0


@dataclass(frozen=True)
class MapFrame:
    """`origin` (2,) of the map in the place's coordinates, m; `canvas` (width, height) of the map, m."""

    origin: Array
    canvas: tuple[float, float]

    def points(self, points: Array) -> Array:
        """Points (N, 2) of the place, on the map."""
        return np.asarray(points - self.origin)

    def geometry(self, geometry: Geometry) -> Geometry:
        """A geometry of the place, on the map."""
        return shapely.transform(geometry, self.points)

    def pose(self, world_from_anything: Array) -> Array:
        """A 4x4 pose in the place, on the map."""
        out = world_from_anything.copy()
        out[:2, 3] -= self.origin
        return out


def map_frame(place: Place) -> MapFrame:
    """The smallest map, whole metres, that holds the place with a margin.

    Raises:
        WorldError: the place has no drivable area, is not finite, or is too large for a raster.
    """
    ground = [g for g in (*place.drivable, *place.walkways, *place.crossings) if not g.is_empty]
    bounds = shapely.total_bounds(ground) if place.drivable else np.full(4, np.nan)
    if not np.isfinite(bounds).all():
        raise WorldError(f"place {place.name} has no drivable area to make a map of; give it one")
    origin = np.floor(bounds[:2] - MARGIN_M)
    width, height = (float(v) for v in np.ceil(bounds[2:] - origin + MARGIN_M))
    if max(width, height) > LARGEST_M:
        raise WorldError(
            f"place {place.name} is {width:.0f} m by {height:.0f} m; a map may be {LARGEST_M:.0f} m wide at most"
        )
    return MapFrame(origin, (width, height))
