"""Plans, road users and map drawn into a photograph, through the camera's calibration and its own ego pose."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from distilldrive_ros.geometry.boxes import BOX_EDGES, box_corners
from distilldrive_ros.geometry.cameras import NEAR_PLANE_M
from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.visualization.colors import GROUND_TRUTH, MAP_COLORS, Color, brightened, class_color
from distilldrive_ros.visualization.ground_ribbon import ribbon_quads
from distilldrive_ros.visualization.near_plane import clip_polygon_to_near_plane, clip_segments_to_near_plane
from distilldrive_ros.visualization.plan_order import DrawnCandidate, drawing_order

Array = NDArray[np.float64]

# Farther edges of boxes are thinner than a pixel and only clutter the picture.
MAX_BOX_DISTANCE_M = 75.0
_SUPERSAMPLING = 2
_FRONT_FACE = (0, 1, 5, 4)
_TEXT_BACKGROUND = (20, 20, 26, 190)


@dataclass(frozen=True)
class OverlayStyle:
    """Widths in metres on the ground or in pixels of the result; scores in [0, 1] below which nothing is drawn."""

    selected_width_m: float = 0.8
    candidate_width_m: float = 0.22
    line_px: float = 1.6
    map_line_px: float = 1.8
    min_object_score: float = 0.25
    min_map_score: float = 0.3
    caption: bool = True


def decode_image(camera: CameraFrame) -> Image.Image:
    """The camera's picture as RGB.

    Raises:
        SensorDataError: the stream is corrupt, or its size is not the one that the message states.
    """
    expected = (camera.width, camera.height)
    if camera.encoding == "rgb8":
        if camera.data.size != camera.width * camera.height * 3:
            raise SensorDataError(f"{camera.name}: {camera.data.size} bytes are not an rgb8 image of {expected} px")
        return Image.fromarray(camera.data.reshape(camera.height, camera.width, 3))
    try:
        picture = Image.open(io.BytesIO(camera.data.tobytes()))
        picture.load()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise SensorDataError(f"{camera.name}: the {camera.encoding} image cannot be decoded: {error}") from error
    if picture.size != expected:
        raise SensorDataError(f"{camera.name}: image is {picture.size} px, its message says {expected}")
    return picture.convert("RGB")


def camera_from_anchor_base(camera: CameraFrame, world_from_base_anchor: ArrayLike) -> Array:
    """4x4: base_link at the anchor stamp to the camera's optical frame at the camera's own stamp.

    The vehicle moved between the two stamps; going through the world keeps what stands still on its pixels.
    """
    base_from_anchor = inverse(camera.world_from_base) @ np.asarray(world_from_base_anchor, np.float64)
    return np.asarray(inverse(camera.base_from_camera) @ base_from_anchor)


def draw_overlay(
    camera: CameraFrame,
    world_from_base_anchor: ArrayLike,
    plan: PlanCandidates | None,
    objects: ObjectPredictions | None,
    vector_map: VectorMap | None,
    ground_truth_objects: ObjectPredictions | None = None,
    width: int = 960,
    style: OverlayStyle | None = None,
) -> Image.Image:
    """RGB picture of `width` pixels: map lines, wireframe boxes (tinted front face: the heading), paths as bands.

    `plan`, `objects`, `vector_map` and `ground_truth_objects` are in base_link at the anchor stamp, whose pose
    in the odometry frame is `world_from_base_anchor` (4, 4).

    Raises:
        SensorDataError: the camera's image cannot be decoded.
        ValueError: the width is not positive.
    """
    if width <= 0:
        raise ValueError(f"width of the picture must be positive, not {width}")
    look = style or OverlayStyle()
    photo = decode_image(camera)
    height = max(1, round(camera.height * width / camera.width))
    if photo.size != (width, height):
        photo = photo.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas = _Canvas.for_camera(camera, camera_from_anchor_base(camera, world_from_base_anchor), width, height)
    if vector_map is not None:
        _draw_map(canvas, vector_map, look)
    for drawn in drawing_order(plan) if plan is not None else ():
        _draw_candidate(canvas, drawn, look)
    if objects is not None:
        for item in sorted(objects.objects, key=lambda o: -float(np.linalg.norm(o.box[:2]))):
            if item.score >= look.min_object_score:
                _draw_box(canvas, item.box, class_color(item.class_id), look.line_px)
    for item in ground_truth_objects.objects if ground_truth_objects is not None else ():
        _draw_box(canvas, item.box, GROUND_TRUTH, look.line_px)
    layer = canvas.image.reduce(_SUPERSAMPLING)
    result = Image.alpha_composite(photo.convert("RGBA"), layer.crop((0, 0, width, height))).convert("RGB")
    if look.caption:
        _draw_caption(result, camera)
    return result


@dataclass(frozen=True)
class _Canvas:
    """A transparent layer, enlarged for smooth edges, with the projection onto it."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    intrinsics: Array
    camera_from_base: Array

    @classmethod
    def for_camera(cls, camera: CameraFrame, camera_from_base: Array, width: int, height: int) -> _Canvas:
        scale = width / camera.width * _SUPERSAMPLING
        intrinsics = np.diag([scale, scale, 1.0]) @ camera.intrinsics
        image = Image.new("RGBA", (width * _SUPERSAMPLING, height * _SUPERSAMPLING), (0, 0, 0, 0))
        return cls(image, ImageDraw.Draw(image), intrinsics, camera_from_base)

    def segments(self, ends: Array, fill: tuple[int, int, int, int], line_px: float) -> None:
        """Segments (n, 2, 3) of base_link with a dark rim, so that they read on light and dark ground."""
        clipped = clip_segments_to_near_plane(self._in_camera(ends))
        pixels = self._bounded(self._projected(clipped))
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        visible = ((high >= 0) & (low <= np.array(self.image.size))).all(axis=1)
        core = max(1, round(line_px * _SUPERSAMPLING))
        for width, color in ((core + _SUPERSAMPLING, (0, 0, 0, fill[3] // 2)), (core, fill)):
            for (x0, y0), (x1, y1) in pixels[visible].tolist():
                self.draw.line((x0, y0, x1, y1), fill=color, width=width)

    def polygon(self, points: Array, fill: tuple[int, int, int, int]) -> None:
        """A filled planar polygon (n, 3) of base_link, the part in front of the camera."""
        clipped = clip_polygon_to_near_plane(self._in_camera(points), NEAR_PLANE_M)
        if len(clipped) < 3:
            return
        pixels = self._projected(clipped)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        if (high < 0).any() or (low > np.array(self.image.size)).any():
            return
        self.draw.polygon([tuple(p) for p in self._bounded(pixels)], fill=fill)

    def _in_camera(self, points: Array) -> Array:
        return np.asarray(points @ self.camera_from_base[:3, :3].T + self.camera_from_base[:3, 3])

    def _projected(self, camera: Array) -> Array:
        homogeneous = camera @ self.intrinsics.T
        return np.asarray(homogeneous[..., :2] / homogeneous[..., 2:])

    def _bounded(self, pixels: Array) -> Array:
        # Points on the near plane land millions of pixels away, where the rasteriser's integers end.
        return np.clip(pixels, -30_000, 30_000)


def _draw_candidate(canvas: _Canvas, drawn: DrawnCandidate, look: OverlayStyle) -> None:
    if drawn.selected:
        for quad in ribbon_quads(drawn.line, look.selected_width_m + 0.12):
            canvas.polygon(quad, (255, 255, 255, 230))
        for quad in ribbon_quads(drawn.line, look.selected_width_m):
            canvas.polygon(quad, (*drawn.color, 175))
        return
    alpha = round(110 + 110 * drawn.fraction) if drawn.valid else 90
    for quad in ribbon_quads(drawn.line, look.candidate_width_m):
        canvas.polygon(quad, (*drawn.color, alpha))


def _draw_box(canvas: _Canvas, box: Array, color: Color, line_px: float) -> None:
    if not np.isfinite(box).all() or np.linalg.norm(box[:2]) > MAX_BOX_DISTANCE_M:
        return
    corners = box_corners(box)[0]
    canvas.polygon(corners[list(_FRONT_FACE)], (*color, 45))
    canvas.segments(corners[np.array(BOX_EDGES)], (*brightened(color), 235), line_px)


def _draw_map(canvas: _Canvas, vector_map: VectorMap, look: OverlayStyle) -> None:
    for polyline in vector_map.polylines:
        points = np.asarray(polyline.xy, np.float64)
        if polyline.score >= look.min_map_score and len(points) >= 2 and np.isfinite(points).all():
            ground = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
            pairs = np.stack([ground[:-1], ground[1:]], axis=1)
            canvas.segments(pairs, (*brightened(MAP_COLORS[polyline.kind]), 190), look.map_line_px)


def _draw_caption(picture: Image.Image, camera: CameraFrame) -> None:
    status = {CameraStatus.HELD: " (held)", CameraStatus.ZERO_FILLED: " (no image)"}.get(camera.status, "")
    font = ImageFont.load_default(max(10, picture.width // 48))
    draw = ImageDraw.Draw(picture, "RGBA")
    left, top, right, bottom = draw.textbbox((0, 0), camera.name + status, font=font)
    pad = font.size // 3 if isinstance(font, ImageFont.FreeTypeFont) else 3
    draw.rectangle((0, 0, right - left + 3 * pad, bottom - top + 3 * pad), fill=_TEXT_BACKGROUND)
    draw.text((1.5 * pad - left, 1.5 * pad - top), camera.name + status, font=font, fill=(240, 240, 240))
