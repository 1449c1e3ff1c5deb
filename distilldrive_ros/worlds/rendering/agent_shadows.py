"""Shadows of agents on the ground: the sun's, and the darkness under what stands close to the ground."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.shapes import Solid
from distilldrive_ros.geometry.boxes import box_corners
from distilldrive_ros.worlds.rendering.lighting import Lighting
from distilldrive_ros.worlds.rendering.mesh import area_triangles, geom_node
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.rendering.textures import soft_disc, upload

Array = NDArray[np.float64]

# Sun shadows are made for this many directions of the sun about an agent.
DIRECTIONS = 48
# No shadow is longer than this many heights.
LONGEST = 4.0
CONTACT_ALPHA, CONTACT_MARGIN_M = 0.62, 0.35
DARK = (8, 9, 14)


class AgentShadows:
    """Makes shadow nodes in the agents' own frames."""

    def __init__(self, light: Lighting) -> None:
        """Take the light."""
        self._light = light
        self._soft = upload("contact", np.ones((64, 64)), alpha=soft_disc(0.8), repeat=False)

    def direction(self, yaw: float) -> int:
        """Which of the directions of the sun an agent with this yaw has."""
        sun = self._light.sun_direction
        relative = math.atan2(sun[1], sun[0]) - yaw
        return round(relative / (2 * math.pi) * DIRECTIONS) % DIRECTIONS

    def contact(self, size: Array) -> Any:
        """The darkness beneath an agent: `size` (3,) of its box."""
        reach = size[:2] / 2 + np.minimum(CONTACT_MARGIN_M, 0.35 * size[:2])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        vertices = np.column_stack([corners * reach * 1.15, np.zeros(4)])
        alpha = round(255 * CONTACT_ALPHA * (0.5 if self._light.night else 1.0))
        colors = np.tile(np.array([*DARK, alpha], np.uint8), (4, 1))
        triangles = np.array([[0, 1, 2], [0, 2, 3]])
        node = core.NodePath(geom_node("contact", vertices, triangles, colors, uv=(corners + 1) / 2))
        node.set_texture(self._soft)
        node.set_transparency(core.TransparencyAttrib.M_alpha)
        return node

    def cast(self, solid: Solid, direction: int) -> Any | None:
        """The sun's shadow of a solid for one of the directions; None where it is too faint to see."""
        darkness = self._light.shadow_darkness
        if darkness < 0.05 or not len(solid.blocks):
            return None
        sun = self._light.sun_direction
        angle = direction * 2 * math.pi / DIRECTIONS
        lean = min(float(np.hypot(sun[0], sun[1]) / sun[2]), LONGEST) * np.array([math.cos(angle), math.sin(angle)])
        outline = shapely.union_all(block_shadows(solid.blocks, lean))
        points, triangles = area_triangles(outline)
        vertices = np.column_stack([points, np.zeros(len(points))])
        colors = np.tile(np.array([*DARK, round(255 * darkness)], np.uint8), (len(points), 1))
        node = core.NodePath(geom_node("shadow", vertices, triangles, colors))
        node.set_transparency(core.TransparencyAttrib.M_alpha)
        return node


def block_shadows(blocks: Array, lean: Array) -> list[shapely.Geometry]:
    """Shadows on z = 0 of upright blocks (n, 7) where the sun moves a point of height h by -h * `lean` (2,)."""
    if not len(blocks):
        return []
    sound = np.concatenate([blocks[:, :3], np.abs(blocks[:, 3:6]), blocks[:, 6:]], axis=1)
    corners = box_corners(sound)
    flat = corners[..., :2] - corners[..., 2:] * lean
    return [shapely.MultiPoint(points).convex_hull for points in flat]
