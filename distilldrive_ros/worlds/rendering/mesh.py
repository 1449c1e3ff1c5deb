"""Solids as triangles: what the engine draws, and the flat faces that LiDAR beams meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.shapes import Ball, Color, Face, Solid
from distilldrive_ros.worlds.rendering.panda import core

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

# Decals lie this much above the face they are painted on, and above one another, m.
DECAL_LIFT_M = 0.004
# Faces look darker towards the ground: share of the light that is left there, and how high the loss reaches, m.
GROUND_LIGHT, GROUND_LIGHT_M = 0.72, 0.7


@dataclass(frozen=True)
class Mesh:
    """Triangles (T, 3) over vertices (V, 3) m with normals (V, 3), colours (V, 4) uint8 and the number of their face.

    `faces` (V,) counts from 0; `planes` (F, 4): unit normal and offset of each face, normal · point = offset.
    """

    vertices: Array
    normals: Array
    colors: NDArray[np.uint8]
    faces: Ids
    triangles: Ids
    planes: Array


def solid_mesh(solids: Iterable[Solid]) -> Mesh:
    """Solids of one frame as one mesh, darker near the ground."""
    builder = _Builder()
    for solid in solids:
        for part in solid.parts:
            for face in part.faces:
                builder.add_face(face)
            for ball in part.balls:
                builder.add_ball(ball)
    return builder.mesh()


def join(meshes: Sequence[tuple[Mesh, Array]]) -> Mesh:
    """Meshes, each moved by a 4x4 pose, as one."""
    vertices, normals, colors, faces, triangles, planes = [], [], [], [], [], []
    vertex_count = face_count = 0
    for mesh, pose in meshes:
        turned = mesh.planes[:, :3] @ pose[:3, :3].T
        vertices.append(mesh.vertices @ pose[:3, :3].T + pose[:3, 3])
        normals.append(mesh.normals @ pose[:3, :3].T)
        colors.append(mesh.colors)
        faces.append(mesh.faces + face_count)
        triangles.append(mesh.triangles + vertex_count)
        planes.append(np.column_stack([turned, mesh.planes[:, 3] + turned @ pose[:3, 3]]))
        vertex_count += len(mesh.vertices)
        face_count += len(mesh.planes)
    return Mesh(*(np.concatenate(column) for column in (vertices, normals, colors, faces, triangles, planes)))


class _Builder:
    def __init__(self) -> None:
        self._vertices: list[Array] = []
        self._normals: list[Array] = []
        self._colors: list[Array] = []
        self._faces: list[Ids] = []
        self._triangles: list[Ids] = []
        self._planes: list[Array] = []
        self._count = 0

    def add_face(self, face: Face) -> None:
        number = len(self._planes)
        self._planes.append(np.append(face.normal, face.normal @ face.vertices.mean(axis=0)))
        for layer, (outline, color) in enumerate([(face.vertices, face.color), *face.decals]):
            points = outline + face.normal * (layer * DECAL_LIFT_M) if layer else outline
            corners = len(points)
            normals = np.broadcast_to(face.normal, (corners, 3))
            self._add(points, normals, color, np.full(corners, number), flat_triangles(points, face.normal))

    def add_ball(self, ball: Ball) -> None:
        corners, triangles = _unit_ball()
        count = len(triangles)
        smooth = corners[triangles].reshape(-1, 3)
        points = ball.center + ball.radius * smooth
        normals = corners[triangles].mean(axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        first = len(self._planes)
        self._planes += list(np.column_stack([normals, (normals * points[::3]).sum(1)]))
        numbers = np.repeat(np.arange(first, first + count), 3)
        self._add(points, smooth, ball.color, numbers, np.arange(3 * count).reshape(-1, 3))

    def _add(self, points: Array, normals: Array, color: Color, numbers: Ids, triangles: Ids) -> None:
        self._vertices.append(points)
        self._normals.append(normals)
        light = GROUND_LIGHT + (1 - GROUND_LIGHT) * np.clip(points[:, 2:] / GROUND_LIGHT_M, 0, 1)
        self._colors.append(light * np.array([color], np.float64))
        self._faces.append(numbers)
        self._triangles.append(triangles + self._count)
        self._count += len(points)

    def mesh(self) -> Mesh:
        colors = np.rint(np.concatenate(self._colors)).astype(np.uint8)
        return Mesh(
            np.concatenate(self._vertices),
            np.concatenate(self._normals),
            np.column_stack([colors, np.full(len(colors), 255, np.uint8)]),
            np.concatenate(self._faces),
            np.concatenate(self._triangles),
            np.array(self._planes),
        )


def flat_triangles(outline: Array, normal: Array) -> Ids:
    """Triangles (T, 3) of a flat polygon (k, 3), counter-clockwise about its normal."""
    # The plane's own axes: those two of the space's that the normal is farthest from.
    drop = int(np.argmax(np.abs(normal)))
    u, v = ((1, 2), (2, 0), (0, 1))[drop]
    flat = outline[:, [u, v]] if normal[drop] > 0 else outline[:, [v, u]]
    edges = np.roll(flat, -1, axis=0) - flat
    after = np.roll(edges, -1, axis=0)
    turns = edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0]
    if turns.min() >= -1e-9 or turns.max() <= 1e-9:
        fan = _fan(len(outline))
        return fan if turns.sum() >= 0 else fan[:, ::-1]
    area = shapely.Polygon(flat)
    if not area.is_valid:  # a shape squeezed into odd proportions: looks matter less than that it is there
        return _fan(len(outline))
    points, triangles = area_triangles(area)
    nearest = np.argmin(((points[:, None] - flat[None]) ** 2).sum(-1), axis=1)
    return nearest[triangles]


@cache
def _fan(corners: int) -> Ids:
    middle = np.arange(1, corners - 1)
    return np.stack([np.zeros_like(middle), middle, middle + 1], axis=-1)


def area_triangles(area: shapely.Geometry) -> tuple[Array, Ids]:
    """Vertices (V, 2) and counter-clockwise triangles (T, 3) of an area, holes and all."""
    pieces = shapely.get_parts(shapely.constrained_delaunay_triangles(shapely.get_parts(area)))
    pieces = shapely.get_parts(pieces)
    if len(pieces) == 0:
        return np.zeros((0, 2)), np.zeros((0, 3), np.int64)
    corners = shapely.get_coordinates(shapely.orient_polygons(pieces)).reshape(-1, 4, 2)[:, :3]
    return corners.reshape(-1, 2), np.arange(3 * len(corners)).reshape(-1, 3)


@cache
def _unit_ball() -> tuple[Array, Ids]:
    """An octahedron with its faces cut in four: 18 corners, 32 triangles, round enough for foliage and heads."""
    corners = [np.array(p, np.float64) for p in [(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]]
    coarse = [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4), (1, 0, 5), (2, 1, 5), (3, 2, 5), (0, 3, 5)]
    between: dict[tuple[int, int], int] = {}

    def middle(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in between:
            point = corners[a] + corners[b]
            corners.append(point / np.linalg.norm(point))
            between[key] = len(corners) - 1
        return between[key]

    fine = []
    for a, b, c in coarse:
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        fine += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    return np.array(corners), np.array(fine, np.int64)


def geom_node(
    name: str, vertices: Array, triangles: Ids, colors: NDArray[np.uint8], normals: Array | None = None,
    uv: Array | None = None,
) -> Any:  # fmt: skip
    """A node of the engine with these triangles; `uv` (V, 2) are texture coordinates."""
    columns: list[tuple[str, str, tuple[int, ...]]] = [("vertex", "<f4", (3,))]
    kind = "v3"
    if normals is not None:
        columns.append(("normal", "<f4", (3,)))
        kind += "n3"
    columns.append(("color", "u1", (4,)))
    kind += "c4"
    if uv is not None:
        columns.append(("uv", "<f4", (2,)))
        kind += "t2"
    table = np.zeros(len(vertices), np.dtype(columns))
    table["vertex"], table["color"] = vertices, colors
    if normals is not None:
        table["normal"] = normals
    if uv is not None:
        table["uv"] = uv
    layout = getattr(core.GeomVertexFormat, f"get_{kind}")()
    data = core.GeomVertexData(name, layout, core.Geom.UH_static)
    data.unclean_set_num_rows(len(table))
    data.modify_array_handle(0).copy_data_from(table.tobytes())
    primitives = core.GeomTriangles(core.Geom.UH_static)
    primitives.set_index_type(core.Geom.NT_uint32)
    indices = primitives.modify_vertices()
    indices.unclean_set_num_rows(triangles.size)
    indices.modify_handle().copy_data_from(np.ascontiguousarray(triangles, np.uint32).tobytes())
    geom = core.Geom(data)
    geom.add_primitive(primitives)
    node = core.GeomNode(name)
    node.add_geom(geom)
    return node
