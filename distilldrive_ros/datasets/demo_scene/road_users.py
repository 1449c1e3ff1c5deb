"""Trucks, cyclists, pedestrians and traffic cones as solids that fill the box they are made for."""

from __future__ import annotations

import numpy as np

from distilldrive_ros.datasets.demo_scene.car_shape import BUMPER, GLASS, HEAD_LIGHT, PLATE, TAIL_LIGHT, TYRE
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

SKIN: Color = (214, 168, 138)


def truck(length: float, width: float, height: float, paint: Color) -> Solid:
    """A delivery truck: cab in front, box behind."""
    cab_length, gap, floor = 1.9, 0.12, 0.55
    cargo_length = length - cab_length - gap
    cargo_center = (-length / 2 + cargo_length / 2, 0.0, (floor + height) / 2)
    cargo_size = (cargo_length, width, height - floor)
    cab_center = (length / 2 - cab_length / 2, 0.0, 0.35 + 0.4 * height)
    cab_size = (cab_length, 0.94 * width, 0.8 * height)
    cargo = box_faces(
        cargo_center, cargo_size, (226, 226, 220), (238, 238, 234), _cargo_marks(cargo_center, cargo_size, paint)
    )
    cab = box_faces(cab_center, cab_size, paint, shade(paint, 1.1), _cab_marks(cab_center, cab_size))
    cargo += _wheel_faces((cargo_center[0] - 0.28 * cargo_length, cargo_center[0] - 0.02 * cargo_length), width, 0.46)
    cab += _wheel_faces((cab_center[0] + 0.15,), width, 0.46)
    parts = (
        Part((cargo_center[0], 0.0), (cargo_length, width), tuple(cargo)),
        Part((cab_center[0], 0.0), (cab_length, width), tuple(cab)),
    )
    return Solid(parts, np.array([[*cargo_center, *cargo_size, 0.0], [*cab_center, *cab_size, 0.0]]))


def _cargo_marks(
    center: tuple[float, ...], size: tuple[float, ...], paint: Color
) -> dict[str, list[tuple[Array, Color]]]:
    half, rise = size[0] / 2, size[2]
    stripe = {
        side: [(wall_patch(side, center, size, (-half, half), (0.36 * rise, 0.5 * rise)), paint)]
        for side in ("left", "right")
    }
    edge = size[1] / 2
    back = [
        (wall_patch("back", center, size, (-0.015, 0.015), (0.05, rise - 0.05)), (150, 150, 146)),
        (wall_patch("back", center, size, (-edge, edge), (0.0, 0.22)), BUMPER),
        (wall_patch("back", center, size, (-edge + 0.05, -edge + 0.35), (0.04, 0.18)), TAIL_LIGHT),
        (wall_patch("back", center, size, (edge - 0.35, edge - 0.05), (0.04, 0.18)), TAIL_LIGHT),
        (wall_patch("back", center, size, (-0.26, 0.26), (0.05, 0.17)), PLATE),
    ]
    return {**stripe, "back": back}


def _cab_marks(center: tuple[float, ...], size: tuple[float, ...]) -> dict[str, list[tuple[Array, Color]]]:
    half, edge, rise = size[0] / 2, size[1] / 2, size[2]
    doors = {
        side: [(wall_patch(side, center, size, (-0.2 * half, 0.85 * half), (0.52 * rise, 0.88 * rise)), GLASS)]
        for side in ("left", "right")
    }
    front = [
        (wall_patch("front", center, size, (-0.92 * edge, 0.92 * edge), (0.5 * rise, 0.92 * rise)), GLASS),
        (wall_patch("front", center, size, (-edge, edge), (0.0, 0.14 * rise)), BUMPER),
        (wall_patch("front", center, size, (-0.95 * edge, -0.6 * edge), (0.16 * rise, 0.26 * rise)), HEAD_LIGHT),
        (wall_patch("front", center, size, (0.6 * edge, 0.95 * edge), (0.16 * rise, 0.26 * rise)), HEAD_LIGHT),
        (wall_patch("front", center, size, (-0.5 * edge, 0.5 * edge), (0.18 * rise, 0.4 * rise)), BUMPER),
    ]
    return {**doors, "front": front}


def _wheel_faces(places: tuple[float, ...], width: float, radius: float) -> list[Face]:
    """Wheels seen from the left and from the right."""
    faces = []
    for x in places:
        for y in (width / 2, -width / 2):
            tyre = disc((x, y, radius), radius)
            faces.append(face(tyre, TYRE, (x, 0.0, radius), [(disc((x, y, radius), 0.55 * radius), (140, 142, 146))]))
    return faces


def cyclist(length: float, width: float, height: float, shirt: Color) -> Solid:
    """A bicycle with its rider."""
    radius = 0.34
    faces: list[Face] = []
    for x in (-length / 2 + radius, length / 2 - radius):
        for y in (0.025, -0.025):
            rim = disc((x, y, radius), 0.84 * radius)
            faces.append(face(disc((x, y, radius), radius), TYRE, (x, 0.0, radius), [(rim, (172, 176, 180))]))
    faces += box_faces((0.0, 0.0, 0.62), (0.95, 0.05, 0.07), (40, 96, 150))
    faces += box_faces((0.42, 0.0, 0.95), (0.06, width, 0.06), BUMPER)
    for y in (-0.1, 0.1):
        faces += box_faces((-0.02, y, 0.62), (0.16, 0.12, 0.62), (48, 54, 74))
    faces += box_faces((0.02, 0.0, 1.20), (0.30, 0.40, 0.58), shirt, shade(shirt, 1.1))
    head = 0.13
    balls = (
        Ball(np.array([0.12, 0.0, height - 1.3 * head]), 0.9 * head, SKIN),
        Ball(np.array([0.09, 0.0, height - head]), head, (236, 214, 60)),
    )
    blocks = np.array([[0, 0, 0.35, length, 0.12, 0.7, 0], [0.02, 0, (0.5 + height) / 2, 0.4, 0.45, height - 0.5, 0]])
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces), balls),), blocks)


def pedestrian(length: float, width: float, height: float, shirt: Color, trousers: Color) -> Solid:
    """A person in mid-stride; fills length (stride), width (shoulders) and height."""
    hip, head = 0.47 * height, 0.075 * height
    shoulder = height - 2.2 * head
    faces: list[Face] = []
    for sign in (1.0, -1.0):
        faces += _leg(sign, length, width, hip, trousers)
        faces += box_faces(
            (sign * -0.10 * length, sign * (width / 2 - 0.05), (hip + shoulder) / 2),
            (0.11, 0.1, shoulder - hip),
            shade(shirt, 0.9),
        )
    faces += box_faces(
        (0.0, 0.0, (hip + shoulder) / 2 + 0.02), (0.24, width - 0.2, shoulder - hip + 0.06), shirt, shade(shirt, 1.1)
    )
    balls = (
        Ball(np.array([0.0, 0.0, height - head]), head, (74, 54, 42)),
        Ball(np.array([0.03, 0.0, height - 1.12 * head]), 0.9 * head, SKIN),
    )
    blocks = np.array(
        [
            [0, 0, hip / 2, 0.8 * length, 0.7 * width, hip, 0],
            [0, 0, (hip + height) / 2, 0.3, 0.85 * width, height - hip, 0],
        ]
    )
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces), balls),), blocks)


def _leg(sign: float, length: float, width: float, hip: float, color: Color) -> list[Face]:
    """One leg of the stride, from the hip to a foot ahead (+1) or behind (-1)."""
    y, foot = sign * 0.14 * width, sign * (length / 2 - 0.1)
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    low = [(foot + 0.1 * u, y + 0.07 * v, 0.0) for u, v in square]
    high = [(0.1 * u, y + 0.08 * v, hip) for u, v in square]
    return loft_faces(low, high, color)


def traffic_cone(length: float, width: float, height: float) -> Solid:
    """An orange cone with a white band on a square foot."""
    faces = box_faces((0.0, 0.0, 0.03), (length, width, 0.06), (196, 84, 26))
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * length
    rings = [
        np.column_stack([r * circle, np.full(10, z * height)])
        for z, r in ((0.06, 0.34), (0.4, 0.22), (0.66, 0.14), (1.0, 0.05))
    ]
    for low, high, color in zip(rings[:-1], rings[1:], ((238, 104, 32), (240, 240, 236), (238, 104, 32)), strict=True):
        faces += loft_faces(low, high, color)
    return Solid(
        (Part((0.0, 0.0), (length, width), tuple(faces)),),
        np.array([[0, 0, height / 2, 0.55 * length, 0.55 * width, height, 0]]),
    )
