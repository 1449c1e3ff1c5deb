"""Solids made of flat faces and balls, in their own frame: x forward, y left, z up, origin on the ground, metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Face:
    """A flat polygon, `vertices` (k, 3), seen from the side `normal` (3,) points to; `decals` are painted upon it."""

    vertices: Array
    normal: Array
    color: Color
    decals: tuple[tuple[Array, Color], ...] = ()


@dataclass(frozen=True)
class Ball:
    """A round blob, such as a head or a piece of foliage."""

    center: Array
    radius: float
    color: Color


@dataclass(frozen=True)
class FaceArrays:
    """Faces of a part in one go: `vertices` (V, 3) of every face and its decals, one after the other.

    `starts`: first vertex of each face; `lengths`: corners of the face, then of each decal; `normals`, `middles`
    (F, 3).
    """

    vertices: Array
    normals: Array
    middles: Array
    lengths: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    ball_centers: Array


@dataclass(frozen=True)
class Part:
    """A piece that is painted as one. Its ground rectangle (`extent` around `center`) overlaps no other piece's."""

    center: tuple[float, float]
    extent: tuple[float, float]
    faces: tuple[Face, ...]
    balls: tuple[Ball, ...] = ()

    @cached_property
    def outlines(self) -> FaceArrays:
        """The faces as arrays, for work on all of them at once."""
        polygons = [[f.vertices, *(vertices for vertices, _ in f.decals)] for f in self.faces]
        lengths = [[len(p) for p in of_face] for of_face in polygons]
        flat = [p for of_face in polygons for p in of_face]
        return FaceArrays(
            vertices=np.concatenate(flat) if flat else np.zeros((0, 3)),
            normals=np.array([f.normal for f in self.faces]).reshape(-1, 3),
            middles=np.array([f.vertices.mean(axis=0) for f in self.faces]).reshape(-1, 3),
            lengths=tuple(tuple(n) for n in lengths),
            starts=tuple(np.concatenate([[0], np.cumsum([sum(n) for n in lengths])])[:-1].astype(int).tolist()),
            ball_centers=np.array([b.center for b in self.balls]).reshape(-1, 3),
        )


@dataclass(frozen=True)
class Solid:
    """What the painter draws (`parts`) and what LiDAR and sun meet: `blocks` (n, 7), boxes as in `geometry.boxes`."""

    parts: tuple[Part, ...]
    blocks: Array


def newell_normal(vertices: Array) -> Array:
    """Unit normal (3,) of a flat polygon (k, 3); right-handed about its order of vertices."""
    after = np.roll(vertices, -1, axis=0)
    normal = np.cross(vertices, after).sum(axis=0)
    return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-12))


def face(vertices: ArrayLike, color: Color, inside: ArrayLike, decals: Sequence[tuple[ArrayLike, Color]] = ()) -> Face:
    """A face that looks away from the point `inside`."""
    points = np.asarray(vertices, np.float64)
    normal = newell_normal(points)
    if float(normal @ (points.mean(axis=0) - np.asarray(inside, np.float64))) < 0:
        normal = -normal
    return Face(points, normal, color, tuple((np.asarray(v, np.float64), c) for v, c in decals))


def box_faces(
    center: Sequence[float],
    size: Sequence[float],
    color: Color,
    top_color: Color | None = None,
    decals: Mapping[str, Sequence[tuple[ArrayLike, Color]]] | None = None,
) -> list[Face]:
    """Faces of an upright box without its bottom. `decals` by side: front, back, left, right, top."""
    a, b, h = size[0] / 2, size[1] / 2, size[2] / 2
    rings = {
        "front": [(a, -b, -h), (a, b, -h), (a, b, h), (a, -b, h)],
        "back": [(-a, b, -h), (-a, -b, -h), (-a, -b, h), (-a, b, h)],
        "left": [(a, b, -h), (-a, b, -h), (-a, b, h), (a, b, h)],
        "right": [(-a, -b, -h), (a, -b, -h), (a, -b, h), (-a, -b, h)],
        "top": [(a, -b, h), (a, b, h), (-a, b, h), (-a, -b, h)],
    }
    marks = decals or {}
    return [
        face(np.array(ring) + center, top_color if side == "top" and top_color else color, center, marks.get(side, ()))
        for side, ring in rings.items()
    ]


def loft_faces(low: ArrayLike, high: ArrayLike, color: Color, cap_color: Color | None = None) -> list[Face]:
    """Sides between two rings (k, 3) of corresponding corners, and a cap upon the second."""
    a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
    inside = (a.mean(axis=0) + b.mean(axis=0)) / 2
    after = np.roll(np.arange(len(a)), -1)
    sides = [face([a[i], a[j], b[j], b[i]], color, inside) for i, j in enumerate(after)]
    return [*sides, face(b, cap_color or color, inside)]


def wall_patch(
    side: str, center: Sequence[float], size: Sequence[float], along: tuple[float, float], up: tuple[float, float]
) -> Array:
    """A rectangle (4, 3) on one wall of a box.

    `along`: from and to in metres from the wall's middle (along +y on front and back, along +x on left and right);
    `up`: from and to in metres above the box's bottom.
    """
    x, y, z = center
    bottom = z - size[2] / 2
    (u0, u1), (v0, v1) = along, (bottom + up[0], bottom + up[1])
    if side in ("front", "back"):
        wall = x + (size[0] / 2 if side == "front" else -size[0] / 2)
        return np.array([(wall, y + u0, v0), (wall, y + u1, v0), (wall, y + u1, v1), (wall, y + u0, v1)])
    wall = y + (size[1] / 2 if side == "left" else -size[1] / 2)
    return np.array([(x + u0, wall, v0), (x + u1, wall, v0), (x + u1, wall, v1), (x + u0, wall, v1)])


def disc(center: Sequence[float], radius: float, corners: int = 18) -> Array:
    """A round polygon (corners, 3) that stands along x, such as a wheel seen from the side."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack(
        [center[0] + radius * np.cos(angles), np.full(corners, center[1]), center[2] + radius * np.sin(angles)], axis=-1
    )


def shade(color: Color, factor: float) -> Color:
    """A darker (below 1) or lighter colour."""
    r, g, b = (round(min(255.0, max(0.0, c * factor))) for c in color)
    return (r, g, b)
