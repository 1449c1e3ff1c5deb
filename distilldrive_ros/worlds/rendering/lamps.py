"""What shines: head, tail and brake lights of vehicles, and pools of light on the ground at night."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.car_shape import HEAD_LIGHT, TAIL_LIGHT
from distilldrive_ros.datasets.demo_scene.shapes import Color, Solid
from distilldrive_ros.worlds.rendering.mesh import flat_triangles, geom_node
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.rendering.textures import soft_disc, upload

Array = NDArray[np.float64]

BRAKE_LIGHT: Color = (255, 60, 44)
NIGHT_HEAD_LIGHT: Color = (255, 250, 226)
NIGHT_TAIL_LIGHT: Color = (214, 30, 26)
LIFT_M = 0.02
# A lamp's halo at night: its radius in lamp sizes, and its brightness.
HALO_SIZES, HALO = 3.2, 0.55
HEADLIGHT_POOL_M, HEADLIGHT_COLOR = (24.0, 9.0), (118, 112, 92)
STREET_POOL_M, STREET_COLOR = (17.0, 17.0), (122, 98, 60)


class Lamps:
    """Makes nodes of what shines, in the frames of what they belong to."""

    def __init__(self, night: bool) -> None:
        """By day only brakes shine."""
        self.night = night
        self._soft = upload("glow", np.repeat(soft_disc(2.0)[..., None], 3, axis=-1), repeat=False)

    def of_vehicle(self, solid: Solid, driven: bool, braking: bool) -> Any | None:
        """The lamps of a vehicle that shine; None where none does."""
        shining = list(_shining(solid, self.night and driven, braking))
        if not shining:
            return None
        node = core.NodePath("lamps")
        node.set_light_off(1)
        for outline, normal, color in shining:
            lifted = outline + LIFT_M * normal
            colors = np.tile(np.array([*color, 255], np.uint8), (len(outline), 1))
            node.attach_new_node(geom_node("lamp", lifted, flat_triangles(outline, normal), colors))
            if self.night:
                self._add_halo(node, lifted, normal, color)
        node.flatten_strong()
        return node

    def headlight_pool(self, front_x: float) -> Any:
        """Light on the ground ahead of a vehicle whose front is at `front_x` m."""
        return self._pool((front_x + 0.45 * HEADLIGHT_POOL_M[0], 0.0), HEADLIGHT_POOL_M, HEADLIGHT_COLOR)

    def street_pool(self, x: float, y: float) -> Any:
        """Light on the ground below a street lamp at a place."""
        return self._pool((x, y), STREET_POOL_M, STREET_COLOR)

    def _pool(self, middle: tuple[float, float], size: tuple[float, float], color: Color) -> Any:
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        vertices = np.column_stack([corners * np.array(size) / 2 + middle, np.zeros(4)])
        return self._glow("pool", vertices, corners, color)

    def _add_halo(self, node: Any, outline: Array, normal: Array, color: Color) -> None:
        middle = outline.mean(axis=0)
        across = np.cross(normal, (0.0, 0.0, 1.0))
        across /= max(float(np.linalg.norm(across)), 1e-6)
        up = np.cross(across, normal)
        radius = HALO_SIZES * float(np.linalg.norm(outline - middle, axis=1).max())
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        vertices = middle + 0.02 * normal + radius * (corners[:, :1] * across + corners[:, 1:] * up)
        faint = tuple(round(HALO * c) for c in color)
        self._glow("halo", vertices, corners, (faint[0], faint[1], faint[2])).reparent_to(node)

    def _glow(self, name: str, vertices: Array, corners: Array, color: Color) -> Any:
        """A soft quad whose light is added to what lies behind."""
        colors = np.tile(np.array([*color, 255], np.uint8), (4, 1))
        triangles = np.array([[0, 1, 2], [0, 2, 3]])
        node = core.NodePath(geom_node(name, vertices, triangles, colors, uv=(corners + 1) / 2))
        node.set_texture(self._soft)
        node.set_attrib(core.ColorBlendAttrib.make(core.ColorBlendAttrib.M_add))
        node.set_depth_write(False)
        node.set_two_sided(True)
        node.set_light_off(1)
        node.set_fog_off(1)
        return node


def _shining(solid: Solid, night: bool, braking: bool) -> Iterator[tuple[Array, Array, Color]]:
    """Outline, normal and colour of every lamp that shines."""
    for part in solid.parts:
        for face in part.faces:
            for outline, color in face.decals:
                if color == TAIL_LIGHT and braking:
                    yield outline, face.normal, BRAKE_LIGHT
                elif color == TAIL_LIGHT and night:
                    yield outline, face.normal, NIGHT_TAIL_LIGHT
                elif color == HEAD_LIGHT and night:
                    yield outline, face.normal, NIGHT_HEAD_LIGHT
