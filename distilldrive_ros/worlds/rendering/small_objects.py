"""Motorcycles, parked bicycles, barriers, carts and debris; frames and units as in `demo_scene.shapes`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from distilldrive_ros.datasets.demo_scene.car_shape import BUMPER, HEAD_LIGHT, RIM, TAIL_LIGHT, TYRE
from distilldrive_ros.datasets.demo_scene.road_users import SKIN
from distilldrive_ros.datasets.demo_scene.shapes import (
    Array,
    Ball,
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

TROUSERS: Color = (44, 48, 66)


def motorcycle(length: float, width: float, height: float, paint: Color, rider: bool) -> Solid:
    """A motorcycle, with its rider where `rider`; the rider fills the height."""
    radius = min(0.31, 0.16 * length)
    faces = _wheel_pair(length, radius, 0.07)
    seat = 0.8 if rider else 0.72 * height
    faces += box_faces((-0.02 * length, 0.0, 0.52), (0.42 * length, 0.3, 0.42), shade(paint, 0.6))
    faces += box_faces((0.1 * length, 0.0, seat), (0.26 * length, 0.3, 0.24), paint, shade(paint, 1.15))
    tail = (-0.3 * length, 0.0, seat)
    size = (0.26 * length, 0.24, 0.14)
    lamp = {"back": [(wall_patch("back", tail, size, (-0.09, 0.09), (0.03, 0.12)), TAIL_LIGHT)]}
    faces += box_faces(tail, size, BUMPER, None, lamp)
    nose = (0.32 * length, 0.0, seat + 0.08)
    size = (0.14 * length, 0.3, 0.3)
    lamp = {"front": [(wall_patch("front", nose, size, (-0.1, 0.1), (0.08, 0.24)), HEAD_LIGHT)]}
    faces += box_faces(nose, size, paint, None, lamp)
    faces += box_faces((0.26 * length, 0.0, seat + 0.22), (0.05, width, 0.05), BUMPER)
    balls: tuple[Ball, ...] = ()
    if rider:
        shirt = shade(paint, 0.8)
        balls = (Ball(np.array([0.06, 0.0, height - 0.15]), 0.15, (38, 40, 46)),)
        faces += box_faces((-0.08, 0.0, (0.86 + height - 0.3) / 2), (0.28, 0.42, height - 0.3 - 0.86), shirt)
        for y in (0.2, -0.2):
            faces += loft_faces(_square(0.02, y, 0.3), _square(-0.02, y * 0.7, 0.9), TROUSERS)
            faces += loft_faces(_square(0.24 * length, y * 1.2, 0.98), _square(-0.02, y * 1.1, height - 0.42), shirt)
    blocks = [[0, 0, 0.5, length, 0.35, 1.0, 0]]
    if rider:
        blocks.append([-0.05, 0, (0.9 + height) / 2, 0.4, 0.5, height - 0.9, 0])
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces), balls),), np.array(blocks, np.float64))


def bicycle(length: float, width: float, height: float, paint: Color) -> Solid:
    """A parked bicycle without a rider."""
    radius = min(0.34, 0.2 * length)
    faces = _wheel_pair(length, radius, 0.04)
    faces += box_faces((0.0, 0.0, 1.7 * radius), (0.5 * length, 0.05, 0.07), paint)
    for x, top in ((-0.13 * length, 0.86 * height), (0.28 * length, 0.96 * height)):
        faces += box_faces((x, 0.0, (radius + top) / 2), (0.05, 0.05, top - radius), paint)
    faces += box_faces((-0.13 * length, 0.0, 0.9 * height), (0.24, 0.14, 0.06), BUMPER)
    faces += box_faces((0.28 * length, 0.0, 0.97 * height), (0.06, width, 0.05), BUMPER)
    return Solid(
        (Part((0.0, 0.0), (length, width), tuple(faces)),), np.array([[0, 0, 0.35, length, 0.1, 0.7, 0.0]], np.float64)
    )


def barrier(length: float, width: float, height: float, plastic: bool) -> Solid:
    """A road-works barrier: a plastic one in orange and white, or a concrete one. Its long side is across the heading.

    nuScenes gives barriers a short length and a great width.
    """
    foot, top = 0.5 * length, 0.32 * length
    faces: list[Face] = []
    pieces = max(2, round(width / 0.9)) if plastic else 1
    for i in range(pieces):
        y0, y1 = (-width / 2 + width * k / pieces for k in (i, i + 1))
        color = ((226, 98, 34), (236, 234, 228))[i % 2] if plastic else (176, 174, 168)
        rings = [
            np.array([(-h, y0, z), (h, y0, z), (h, y1, z), (-h, y1, z)])
            for h, z in ((foot, 0.0), (foot, 0.22 * height), (top, 0.5 * height), (top, height))
        ]
        for low, high in pairwise(rings):
            faces += loft_faces(low, high, color)
    return Solid(
        (Part((0.0, 0.0), (length, width), tuple(faces)),), np.array([[0, 0, height / 2, length, width, height, 0.0]])
    )


def crate(length: float, width: float, height: float, color: Color) -> Solid:
    """A plain box such as debris or a bin."""
    center, size = (0.0, 0.0, height / 2), (length, width, height)
    band = {
        side: [(wall_patch(side, center, size, (-0.5 * reach, 0.5 * reach), (0.8 * height, height)), shade(color, 0.7))]
        for side, reach in (("left", length), ("right", length), ("front", width), ("back", width))
    }
    faces = box_faces(center, size, color, shade(color, 1.1), band)
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), np.array([[*center, *size, 0.0]]))


def rack(length: float, width: float, height: float) -> Solid:
    """Hoops to lock bicycles to, in a row along x."""
    steel: Color = (128, 132, 136)
    faces: list[Face] = []
    for i in range(max(1, int(length / 0.7))):
        x = (i + 0.5) * length / max(1, int(length / 0.7)) - length / 2
        for y in (-0.3, 0.3):
            faces += box_faces((x, y, 0.45 * height), (0.06, 0.06, 0.9 * height), steel)
        faces += box_faces((x, 0.0, 0.9 * height), (0.06, 0.66, 0.06), steel)
    blocks = np.array([[0, 0, height / 2, length, 0.66, height, 0.0]])
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), blocks)


def animal(length: float, width: float, height: float, fur: Color) -> Solid:
    """A dog or the like."""
    body = 0.3 * height
    faces = box_faces((-0.08 * length, 0.0, 0.62 * height), (0.7 * length, 0.8 * width, body), fur, shade(fur, 1.1))
    for x in (-0.34 * length, 0.2 * length):
        for y in (-0.28 * width, 0.28 * width):
            faces += box_faces((x, y, 0.24 * height), (0.1 * length, 0.22 * width, 0.48 * height), fur)
    head = 0.16 * length
    balls = (Ball(np.array([0.5 * length - head, 0.0, height - head]), head, shade(fur, 0.9)),)
    blocks = np.array([[0, 0, height / 2, length, 0.8 * width, height, 0.0]])
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces), balls),), blocks)


def cart(length: float, width: float, height: float, color: Color) -> Solid:
    """Something that is pushed or sat in: a stroller, a wheelchair, a trolley."""
    faces = box_faces((0.0, 0.0, 0.5 * height), (0.8 * length, 0.8 * width, 0.4 * height), color, shade(color, 1.15))
    faces += box_faces((-0.4 * length, 0.0, 0.85 * height), (0.1 * length, 0.9 * width, 0.3 * height), BUMPER)
    radius = 0.14 * height
    for x in (-0.3 * length, 0.3 * length):
        for y in (0.4 * width, -0.4 * width):
            faces.append(face(disc((x, y, radius), radius, 10), TYRE, (x, 0.0, radius)))
    blocks = np.array([[0, 0, height / 2, length, width, height, 0.0]])
    balls = (Ball(np.array([0.0, 0.0, 0.86 * height]), 0.11 * height, SKIN),)
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces), balls),), blocks)


def _wheel_pair(length: float, radius: float, half_width: float) -> list[Face]:
    """Two wheels in line, seen from both sides and along the rim."""
    faces: list[Face] = []
    for x in (-length / 2 + radius, length / 2 - radius):
        left = disc((x, half_width, radius), radius, 14)
        right = disc((x, -half_width, radius), radius, 14)
        faces += loft_faces(right, left, TYRE)[:-1]
        for ring, y in ((left, half_width), (right, -half_width)):
            faces.append(face(ring, TYRE, (x, 0.0, radius), [(disc((x, y, radius), 0.72 * radius, 12), RIM)]))
    return faces


def _square(x: float, y: float, z: float) -> Array:
    return np.array([(x + 0.07 * a, y + 0.07 * b, z) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
