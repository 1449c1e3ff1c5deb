"""The map target of DiffusionDrive: classes of the cells ahead of the vehicle, painted (its spec, section 2.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from distilldrive_ros.datasets.map_expansion import MapExpansion
from distilldrive_ros.geometry.poses import inverse

Array = NDArray[np.float64]

ROAD, WALKWAY, CENTRE_LINE, STATIC_OBJECT, VEHICLE, PEDESTRIAN = 1, 2, 3, 4, 5, 6
"""Classes of the cells; 0 is background."""

_LINE_WIDTH = 2


@dataclass(frozen=True)
class PictureSize:
    """`cells` x 2 `cells`: row = x from 0 to `reach` m ahead, column = y from -`reach` (right) to `reach` (left)."""

    cells: int
    reach: float

    def pixels(self, points: Array) -> Array:
        """Points (..., 2) in base_link to (column, row), cell centres at whole numbers."""
        scale = self.cells / self.reach
        columns = points[..., 1] * scale + self.cells - 0.5
        return np.stack([columns, points[..., 0] * scale - 0.5], axis=-1)


def map_picture(
    expansion: MapExpansion | None,
    world_from_base: Array,
    shapes: Sequence[tuple[int, Array]],
    size: PictureSize,
) -> NDArray[np.int64]:
    """Classes (cells, 2 cells); later ones cover earlier ones: road, walkways, centre lines, then the shapes.

    Args:
        expansion: the map; None paints the shapes alone.
        world_from_base: 4x4 pose of the vehicle.
        shapes: class and corners (n, 2) in base_link of everything that stands or moves on it, in this order.
        size: of the picture.

    Raises:
        DatasetError: an entry of the map cannot be read.
    """
    picture = Image.new("L", (2 * size.cells, size.cells))
    if expansion is not None:
        _paint_map(picture, expansion, world_from_base, size)
    draw = ImageDraw.Draw(picture)
    for value, corners in shapes:
        draw.polygon(_flat(size.pixels(corners)), fill=value)
    return np.asarray(picture, np.int64)


def _paint_map(picture: Image.Image, expansion: MapExpansion, world_from_base: Array, size: PictureSize) -> None:
    reach = size.reach
    ahead = np.array([[0.0, -reach], [reach, -reach], [reach, reach], [0.0, reach]])
    area = shapely.Polygon(ahead @ world_from_base[:2, :2].T + world_from_base[:2, 3])
    base_from_world = inverse(world_from_base)

    def seen(geometries: Iterable[BaseGeometry]) -> list[BaseGeometry]:
        return [
            shapely.transform(
                geometry.intersection(area),
                lambda points: size.pixels(points @ base_from_world[:2, :2].T + base_from_world[:2, 3]),
            )
            for geometry in geometries
        ]

    for layer, value in ((expansion.road, ROAD), (expansion.walkways, WALKWAY)):
        for geometry in seen(layer.near(area)):
            _paint_area(picture, geometry, value)
    draw = ImageDraw.Draw(picture)
    for geometry in seen(expansion.centerlines.near(area)):
        for line in shapely.get_parts(geometry):
            if line.geom_type == "LineString":
                draw.line(_flat(np.asarray(line.coords)[:, :2]), fill=CENTRE_LINE, width=_LINE_WIDTH)


def _paint_area(picture: Image.Image, geometry: BaseGeometry, value: int) -> None:
    """Polygons with their holes left as they are."""
    for polygon in shapely.get_parts(geometry):
        if polygon.geom_type == "Polygon" and not polygon.is_empty:
            mask = Image.new("1", picture.size)
            draw = ImageDraw.Draw(mask)
            draw.polygon(_flat(np.asarray(polygon.exterior.coords)[:, :2]), fill=1)
            for hole in polygon.interiors:
                draw.polygon(_flat(np.asarray(hole.coords)[:, :2]), fill=0)
            picture.paste(value, mask=mask)


def _flat(points: Array) -> list[float]:
    return [float(number) for number in points.reshape(-1)]
