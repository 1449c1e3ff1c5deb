"""Paints what a camera of the demo scene sees: sky, ground, shadows and solids, far to near."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

from distilldrive_ros.datasets.demo_scene.ground import Ground
from distilldrive_ros.datasets.demo_scene.painting_order import far_to_near
from distilldrive_ros.datasets.demo_scene.shapes import Ball, Color, Part, Solid
from distilldrive_ros.datasets.demo_scene.view import NEAR_M, View
from distilldrive_ros.geometry.boxes import box_corners, ground_corners
from distilldrive_ros.geometry.poses import planar_pose

Array = NDArray[np.float64]
Image32 = NDArray[np.float32]

SUN = np.array([0.42, -0.62, 0.66]) / np.linalg.norm([0.42, -0.62, 0.66])
SUN_COLOR = np.array([1.0, 0.965, 0.90])
SKY_LIGHT = np.array([0.52, 0.56, 0.63])
HAZE = np.array([207.0, 219.0, 229.0])
ZENITH = np.array([86.0, 142.0, 208.0])
HAZE_DISTANCE_M = 420.0
SIGHT_M = 230.0
DETAIL_M = 110.0
SHADOW_M = 75.0
BEHIND_M = -12.0  # parts farther behind the camera cannot reach into the picture
SUPERSAMPLING = 2
BAND_ROWS = 32  # rows worked on at once: small enough for the processor's cache

# Ranges of hills, far to near: colour, mean height, waves (turns round the horizon, height, phase); heights: tangents.
HILLS_REACH = 0.06
HILLS = (
    ((168, 186, 200), 0.030, ((3, 0.011, 0.4), (7, 0.006, 1.9), (17, 0.002, 0.3))),
    ((134, 158, 142), 0.013, ((5, 0.005, 2.2), (11, 0.003, 0.7), (41, 0.0012, 1.1))),
)


@dataclass(frozen=True)
class Placement:
    """A solid standing in the world."""

    solid: Solid
    x: float
    y: float
    yaw: float

    @cached_property
    def shadows(self) -> tuple[Array, ...]:
        """Outlines (k, 3) on the ground of the shadows of its blocks, in the world."""
        pose = planar_pose(self.x, self.y, self.yaw)
        boxes = self.solid.blocks.copy()
        boxes[:, :2] = boxes[:, :2] @ pose[:2, :2].T + pose[:2, 3]
        boxes[:, 6] += self.yaw
        hulls = (_convex_hull(c[:, :2] - c[:, 2:] * (SUN[:2] / SUN[2])) for c in box_corners(boxes))
        return tuple(np.column_stack([hull, np.zeros(len(hull))]) for hull in hulls)


def paint(view: View, ground: Ground, placements: list[Placement]) -> Image.Image:
    """The RGB picture (view.height x view.width) of a camera."""
    near = [p for p in placements if math.hypot(p.x - view.position[0], p.y - view.position[1]) < SIGHT_M]
    horizon = view.horizon_row
    background = np.empty((view.height, view.width, 3), np.uint8)
    for top in range(0, horizon, BAND_ROWS):
        bottom = min(top + BAND_ROWS, horizon)
        background[top:bottom] = _sky(view, top, bottom).transpose(1, 2, 0)
    shadow = _shadows(view, near, horizon)
    for top in range(horizon, view.height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, view.height)
        background[top:bottom] = _ground(view, ground, top, bottom, shadow[top:bottom]).transpose(1, 2, 0)
    size = (view.width * SUPERSAMPLING, view.height * SUPERSAMPLING)
    canvas = Image.fromarray(background).resize(size, Image.Resampling.NEAREST)
    _paint_solids(view, near, canvas)
    return canvas.reduce(SUPERSAMPLING)


def _sky(view: View, top: int, bottom: int) -> Image32:
    """Planes (3, rows, width): blue overhead, haze below, two ranges of hills, brighter towards the sun."""
    x, y, z = view.rays(top, bottom)
    flat = np.sqrt(x * x + y * y)
    elevation = z / flat
    azimuth = np.arctan2(y, x)
    out = _planes(HAZE) + np.clip(elevation / np.float32(0.55), 0, 1) ** np.float32(0.62) * _planes(ZENITH - HAZE)
    toward = (x * np.float32(SUN[0]) + y * np.float32(SUN[1]) + z * np.float32(SUN[2])) / np.sqrt(flat * flat + z * z)
    toward = np.clip(toward, 0, 1)
    squared = toward * toward
    out += np.float32(0.55) * squared * squared * squared * (_planes((255, 244, 222)) - out)
    pixel = np.float32(1.0 / view.intrinsics[1, 1])
    if float(elevation.min()) < HILLS_REACH:
        for color, base, waves in HILLS:
            ridge = np.float32(base) + sum(np.float32(a) * np.sin(n * azimuth + np.float32(p)) for n, a, p in waves)
            out += np.clip((ridge - elevation) / pixel + np.float32(0.5), 0, 1) * (_planes(color) - out)
    return np.clip(out, 0, 255, out=out)


def _ground(view: View, ground: Ground, top: int, bottom: int, shadow: Image32) -> Image32:
    """Planes (3, rows, width): the ground's colours with shadow and haze."""
    x, y, z = view.rays(top, bottom)
    steps = (-view.position[2] / np.minimum(z, np.float32(-1e-4))).astype(np.float32)
    distance = np.minimum(steps * np.sqrt(x * x + y * y), np.float32(4000.0))
    footprint = steps / np.float32(view.intrinsics[0, 0])
    east, north = x * steps + np.float32(view.position[0]), y * steps + np.float32(view.position[1])
    colors = ground.colors(east, north, footprint)
    colors *= (1 - shadow) * _planes(SUN_COLOR * 0.5) + _planes(SKY_LIGHT * 0.98)
    colors += (1 - np.exp(distance * np.float32(-1 / HAZE_DISTANCE_M))) * (_planes(HAZE) - colors)
    return np.clip(colors, 0, 255, out=colors)


def _planes(color: ArrayLike) -> Image32:
    return np.asarray(color, np.float32)[:, None, None]


def _shadows(view: View, placements: list[Placement], horizon: int) -> Image32:
    """Share of sunlight (height, width) that solids keep from the ground; nothing above the horizon."""
    mask = Image.new("L", (view.width, view.height), 0)
    draw = ImageDraw.Draw(mask)
    for placement in placements:
        if math.hypot(placement.x - view.position[0], placement.y - view.position[1]) > SHADOW_M:
            continue
        for outline in placement.shadows:
            points = outline @ view.camera_from_world[:3, :3].T + view.camera_from_world[:3, 3]
            if points[:, 2].max() < NEAR_M:
                continue
            polygon = view.polygon(points)
            if polygon is not None:
                draw.polygon(np.clip(polygon, -8000, 8000).ravel().tolist(), fill=255)
    lower = mask.crop((0, horizon, view.width, view.height)).filter(ImageFilter.GaussianBlur(view.width / 1000))
    shadow = np.zeros((view.height, view.width), np.float32)
    shadow[horizon:] = np.asarray(lower, np.float32) / np.float32(255)
    return shadow


def _convex_hull(points: Array) -> Array:
    """Hull (k, 2), counter-clockwise, of points (n, 2): Andrew's monotone chain."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]

    def half(sequence: Array) -> list[Array]:
        chain: list[Array] = []
        for p in sequence:
            while len(chain) >= 2 and _turn(chain[-2], chain[-1], p) <= 0:
                chain.pop()
            chain.append(p)
        return chain[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _turn(a: Array, b: Array, c: Array) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _paint_solids(view: View, placements: list[Placement], canvas: Image.Image) -> None:
    """Draw all visible parts, the farthest first."""
    pieces = [(placement, part) for placement in placements for part in placement.solid.parts]
    if not pieces:
        return
    rectangles = np.array(
        [[*_on_ground(placement, part.center), 0, *part.extent, 0, placement.yaw] for placement, part in pieces]
    )
    draw = ImageDraw.Draw(canvas)
    for index in far_to_near(ground_corners(rectangles), view.position[:2]):
        placement, part = pieces[index]
        _paint_part(view, placement, part, draw)


def _on_ground(placement: Placement, local: tuple[float, float]) -> tuple[float, float]:
    c, s = math.cos(placement.yaw), math.sin(placement.yaw)
    return placement.x + c * local[0] - s * local[1], placement.y + s * local[0] + c * local[1]


def _paint_part(view: View, placement: Placement, part: Part, draw: ImageDraw.ImageDraw) -> None:
    """Faces that look at the camera and balls, the farthest first; each face's decals right after it."""
    pose = planar_pose(placement.x, placement.y, placement.yaw)
    camera = view.camera_from_world @ pose
    turn, shift = camera[:3, :3], camera[:3, 3]
    middle = turn @ np.array([*part.center, 1.0]) + shift
    if middle[2] < BEHIND_M:
        return
    distance = float(np.linalg.norm(middle))
    haze = 1 - math.exp(-distance / HAZE_DISTANCE_M)
    eye = pose[:3, :3].T @ (view.position - pose[:3, 3])
    outlines = part.outlines
    toward = eye - outlines.middles
    seen = np.flatnonzero(np.einsum("fc,fc->f", outlines.normals, toward) > 0)
    farness = [*np.linalg.norm(toward[seen], axis=1), *np.linalg.norm(eye - outlines.ball_centers, axis=1)]
    items = [*seen.tolist(), *(len(part.faces) + i for i in range(len(part.balls)))]
    sunlight = np.maximum(outlines.normals @ (pose[:3, :3].T @ SUN), 0.0)
    light = SKY_LIGHT * (0.98 + 0.22 * outlines.normals[:, 2:]) + 0.55 * SUN_COLOR * sunlight[:, None]
    points = outlines.vertices @ turn.T + shift
    for order in np.argsort(farness)[::-1]:
        index = items[order]
        if index < len(part.faces):
            start, lengths = outlines.starts[index], outlines.lengths[index]
            face = part.faces[index]
            colors = (face.color, *(color for _, color in face.decals)) if distance < DETAIL_M else (face.color,)
            for length, color in zip(lengths, colors, strict=False):  # far faces go without their decals
                _fill(view, draw, points[start : start + length], _lit(color, light[index], haze))
                start += length
        else:
            _paint_ball(view, part.balls[index - len(part.faces)], turn, shift, haze, draw)


def _paint_ball(view: View, ball: Ball, turn: Array, shift: Array, haze: float, draw: ImageDraw.ImageDraw) -> None:
    center = turn @ ball.center + shift
    if center[2] < NEAR_M + ball.radius:
        return
    u, v = view.project(center[None])[0]
    radius = ball.radius * float(view.intrinsics[0, 0]) / center[2]
    edges = (u - radius, v - radius, u + radius, v + radius)
    box = [(float(edge) + 0.5) * SUPERSAMPLING - 0.5 for edge in edges]
    if box[2] < 0 or box[3] < 0 or box[0] > view.width * SUPERSAMPLING or box[1] > view.height * SUPERSAMPLING:
        return
    draw.ellipse(box, fill=_lit(ball.color, SKY_LIGHT * 0.75 + SUN_COLOR * 0.5, haze))


def _fill(view: View, draw: ImageDraw.ImageDraw, camera_points: Array, color: Color) -> None:
    """A polygon (k, 3) of the optical frame upon the finer canvas."""
    polygon = view.polygon(camera_points)
    if polygon is None:
        return
    # Pixel centres lie at whole numbers, before and after the enlargement.
    scaled = np.clip((polygon + 0.5) * SUPERSAMPLING - 0.5, -30000, 30000)
    (left, top), (right, bottom) = scaled.min(axis=0), scaled.max(axis=0)
    if right >= 0 and bottom >= 0 and left <= view.width * SUPERSAMPLING and top <= view.height * SUPERSAMPLING:
        draw.polygon(scaled.ravel().tolist(), fill=color)


def _lit(color: Color, light: Array, haze: float) -> Color:
    r, g, b = (
        round((1 - haze) * min(c * share, 255.0) + haze * far) for c, share, far in zip(color, light, HAZE, strict=True)
    )
    return (r, g, b)
