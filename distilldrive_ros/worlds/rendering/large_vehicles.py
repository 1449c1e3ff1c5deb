"""Buses, trailers and construction vehicles, made to measure from boxes; frames and units as in `demo_scene.shapes`."""

from __future__ import annotations

import numpy as np

from distilldrive_ros.datasets.demo_scene.car_shape import BUMPER, GLASS, HEAD_LIGHT, PLATE, RIM, TAIL_LIGHT, TYRE
from distilldrive_ros.datasets.demo_scene.shapes import (
    Array,
    Color,
    Face,
    Part,
    Solid,
    box_faces,
    disc,
    face,
    loft_faces,
    shade,
    wall_patch,
)

Marks = dict[str, list[tuple[Array, Color]]]


def bus(length: float, width: float, height: float, paint: Color) -> Solid:
    """A city bus: one long box with a band of windows, doors on the right."""
    floor = 0.3
    center, size = (0.0, 0.0, (floor + height) / 2), (length, width, height - floor)
    half, edge, rise = length / 2, width / 2, height - floor
    marks: Marks = {}
    for side in ("left", "right"):
        marks[side] = [
            (wall_patch(side, center, size, (-half, half), (0.0, 0.12 * rise)), shade(paint, 0.55)),
            (wall_patch(side, center, size, (-half, half), (0.86 * rise, 0.93 * rise)), shade(paint, 0.85)),
        ]
        panes = max(4, int(length / 1.5))
        for i in range(panes):
            a = -half + (i + 0.08) * length / panes
            b = -half + (i + 0.92) * length / panes
            marks[side].append((wall_patch(side, center, size, (a, b), (0.42 * rise, 0.82 * rise)), GLASS))
    for a in (half - 1.6, -0.1 * length):
        door = wall_patch("right", center, size, (a, a + 1.2), (0.03 * rise, 0.82 * rise))
        marks["right"] += [(door, shade(GLASS, 0.8))]
    marks["front"] = [
        (wall_patch("front", center, size, (-0.94 * edge, 0.94 * edge), (0.34 * rise, 0.84 * rise)), GLASS),
        (wall_patch("front", center, size, (-0.7 * edge, 0.7 * edge), (0.86 * rise, 0.97 * rise)), (36, 36, 40)),
        (wall_patch("front", center, size, (-0.5 * edge, 0.5 * edge), (0.88 * rise, 0.95 * rise)), (240, 170, 40)),
        *_lamps("front", center, size, HEAD_LIGHT, (0.12 * rise, 0.2 * rise)),
        (wall_patch("front", center, size, (-edge, edge), (0.0, 0.08 * rise)), BUMPER),
    ]
    marks["back"] = [
        (wall_patch("back", center, size, (-0.8 * edge, 0.8 * edge), (0.55 * rise, 0.84 * rise)), GLASS),
        (wall_patch("back", center, size, (-0.6 * edge, 0.6 * edge), (0.14 * rise, 0.34 * rise)), shade(paint, 0.6)),
        (wall_patch("back", center, size, (-0.26, 0.26), (0.08 * rise, 0.08 * rise + 0.14)), PLATE),
        *_lamps("back", center, size, TAIL_LIGHT, (0.2 * rise, 0.36 * rise)),
    ]
    faces = box_faces(center, size, paint, shade(paint, 1.05), marks)
    unit = (0.08 * length, 0.0, height + 0.0)
    faces += box_faces((unit[0], 0.0, height - 0.06), (0.25 * length, 0.6 * width, 0.1), shade(paint, 0.9))
    faces += wheels((-0.27 * length, 0.34 * length), width, 0.48)
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), np.array([[*center, *size, 0.0]]))


def trailer(length: float, width: float, height: float, paint: Color) -> Solid:
    """A box trailer without its tractor; a low one is a flat bed with a drawbar."""
    floor = 0.85 if height > 2.2 else 0.45 * height
    bar = min(1.2, 0.15 * length)
    body_length = length - bar
    center = (-bar / 2, 0.0, (floor + height) / 2)
    size = (body_length, width, height - floor)
    half, rise = body_length / 2, height - floor
    ribs = max(3, int(body_length / 1.4))
    marks: Marks = {}
    for side in ("left", "right"):
        seams = [-half + (i + 1) * body_length / (ribs + 1) for i in range(ribs)]
        marks[side] = [
            (wall_patch(side, center, size, (x - 0.03, x + 0.03), (0.0, rise)), shade(paint, 0.84)) for x in seams
        ]
        marks[side].append((wall_patch(side, center, size, (-half, half), (0.0, 0.06 * rise)), shade(paint, 0.6)))
    marks["back"] = [
        (wall_patch("back", center, size, (-0.02, 0.02), (0.0, rise)), shade(paint, 0.6)),
        *_lamps("back", center, size, TAIL_LIGHT, (0.0, min(0.16, 0.2 * rise))),
    ]
    faces = box_faces(center, size, paint, shade(paint, 1.05), marks)
    faces += box_faces((0.0, 0.0, floor - 0.12), (length, 0.3, 0.2), BUMPER)
    radius = min(0.48, 0.8 * floor)
    faces += wheels((-half - bar / 2 + 1.2, -half - bar / 2 + 1.2 + 2.4 * radius), width, radius)
    blocks = np.array([[*center, *size, 0.0], [0.0, 0.0, floor / 2, length, 0.5, floor, 0.0]])
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), blocks)


def excavator(length: float, width: float, height: float, paint: Color) -> Solid:
    """A tracked excavator: tracks, turning body with cab, an arm that reaches forward and down."""
    track = 0.28 * height
    body_length = min(0.55 * length, 3.4)
    rear = -length / 2
    faces: list[Face] = []
    for y in (0.36 * width, -0.36 * width):
        low = _ring(rear + 0.05 * length, rear + body_length, y, 0.24 * width, 0.0, 0.12)
        high = _ring(rear, rear + body_length + 0.1, y, 0.24 * width, track, 0.0)
        faces += loft_faces(low, high, (48, 46, 44))
    center = (rear + 0.5 * body_length, 0.0, track + 0.22 * height)
    size = (0.95 * body_length, 0.92 * width, 0.36 * height)
    faces += box_faces(center, size, paint, shade(paint, 1.08))
    cab_center = (rear + 0.68 * body_length, 0.24 * width, 0.72 * height)
    cab_size = (0.42 * body_length, 0.4 * width, 0.5 * height)
    pane = (0.08 * cab_size[2], 0.9 * cab_size[2])
    reach = 0.44 * cab_size[0]
    marks: Marks = {
        side: [(wall_patch(side, cab_center, cab_size, (-reach, reach), pane), GLASS)] for side in ("left", "right")
    }
    marks["front"] = [
        (wall_patch("front", cab_center, cab_size, (-0.44 * cab_size[1], 0.44 * cab_size[1]), pane), GLASS)
    ]
    faces += box_faces(cab_center, cab_size, paint, shade(paint, 1.1), marks)
    shoulder = np.array([rear + 0.85 * body_length, -0.1 * width, 0.45 * height])
    elbow = np.array([0.18 * length, -0.1 * width, 0.97 * height])
    wrist = np.array([0.44 * length, -0.1 * width, 0.32 * height])
    faces += _beam(shoulder, elbow, 0.22, paint) + _beam(elbow, wrist, 0.17, paint)
    faces += box_faces(
        (0.44 * length, -0.1 * width, 0.18 * height), (0.12 * length, 0.34 * width, 0.3 * height), BUMPER
    )
    blocks = np.array(
        [
            [rear + body_length / 2, 0.0, 0.3 * height, body_length, width, 0.6 * height, 0.0],
            [0.25 * length, -0.1 * width, 0.5 * height, 0.5 * length, 0.3, 0.9 * height, 0.0],
        ]
    )
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), blocks)


def wheels(places: tuple[float, ...], width: float, radius: float, depth: float = 0.26) -> list[Face]:
    """Round wheels that stand out a little from both sides of a vehicle, at these x."""
    found: list[Face] = []
    for x in places:
        for sign in (1.0, -1.0):
            outer, inner = sign * (width / 2 + 0.01), sign * (width / 2 - depth)
            rim = [(disc((x, outer, radius), 0.6 * radius, 10), RIM), (disc((x, outer, radius), 0.2 * radius, 8), TYRE)]
            low, high = disc((x, inner, radius), radius, 12), disc((x, outer, radius), radius, 12)
            tyre = loft_faces(low, high, TYRE)[:-1]
            found += [*tyre, face(high, TYRE, (x, 0.0, radius), rim)]
    return found


def _lamps(
    side: str, center: tuple[float, ...], size: tuple[float, ...], color: Color, up: tuple[float, float]
) -> list[tuple[Array, Color]]:
    edge = size[1] / 2
    return [(wall_patch(side, center, size, (s * 0.95 * edge, s * 0.68 * edge), up), color) for s in (1.0, -1.0)]


def _ring(x0: float, x1: float, y: float, width: float, z: float, inset: float) -> Array:
    a, b = x0 + inset, x1 - inset
    return np.array([(a, y - width / 2, z), (b, y - width / 2, z), (b, y + width / 2, z), (a, y + width / 2, z)])


def _beam(start: Array, end: Array, half: float, color: Color) -> list[Face]:
    """A square beam between two points of a plane y = const."""
    along = (end - start) / np.linalg.norm(end - start)
    up, across = np.cross(along, (0.0, 1.0, 0.0)), np.array([0.0, 1.0, 0.0])
    corners = [half * (a * up + b * across) for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    return loft_faces([start + c for c in corners], [end + c for c in corners], color)
