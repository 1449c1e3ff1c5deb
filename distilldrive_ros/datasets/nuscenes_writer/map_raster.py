"""The drivable area as a picture: the semantic prior of a nuScenes map."""

from __future__ import annotations

from collections.abc import Sequence

import shapely
from PIL import Image, ImageDraw

RASTER_PX_PER_M = 10


def drivable_raster(areas: Sequence[shapely.Polygon], canvas_m: tuple[float, float]) -> Image.Image:
    """255 inside the areas, 0 outside, 0.1 m per pixel; row 0 is the north edge. Canvas: (width, height) m."""
    width, height = (round(edge * RASTER_PX_PER_M) for edge in canvas_m)
    image = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(image)
    for polygon in shapely.get_parts(shapely.union_all(list(areas))):
        for ring, value in ((polygon.exterior, 255), *((hole, 0) for hole in polygon.interiors)):
            pixels = shapely.get_coordinates(ring) * RASTER_PX_PER_M
            draw.polygon([(float(x), height - 1 - float(y)) for x, y in pixels], fill=value)
    return image
