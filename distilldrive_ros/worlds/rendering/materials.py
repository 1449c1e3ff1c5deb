"""Textures of scenery: leaves on crowns, facades on tall buildings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.shapes import Solid
from distilldrive_ros.worlds.rendering.facades import BAY_M, BAYS, STOREY_M, STYLES, facade
from distilldrive_ros.worlds.rendering.mesh import Mesh
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.rendering.scenery_shapes import is_tower, scenery_solid
from distilldrive_ros.worlds.rendering.textures import foliage, upload
from distilldrive_ros.worlds.world import Scenery

Array = NDArray[np.float64]

PLAIN, FOLIAGE, FACADE = "plain", "foliage", "facade"
FOLIAGE_M = 2.2
TOWER_WALLS = 4


def scenery_materials(thing: Scenery) -> Iterator[tuple[str, Solid]]:
    """The solid of a thing, in pieces of one material each."""
    solid = scenery_solid(thing)
    parts = solid.parts
    walls = TOWER_WALLS if is_tower(thing) else 0
    if walls:
        facades = tuple(replace(part, faces=part.faces[:walls]) for part in parts)
        yield f"{FACADE} {thing.seed % len(STYLES)}", replace(solid, parts=facades)
    leaves = tuple(replace(part, faces=()) for part in parts if part.balls)
    if leaves:
        yield FOLIAGE, replace(solid, parts=leaves)
    plain = tuple(replace(part, faces=part.faces[walls:], balls=()) for part in parts if len(part.faces) > walls)
    if plain:
        yield PLAIN, replace(solid, parts=plain)


def wall_coordinates(mesh: Mesh, material: str) -> Array:
    """Texture coordinates (V, 2): along the wall that a normal belongs to, and up."""
    across = np.abs(mesh.normals[:, 0]) > np.abs(mesh.normals[:, 1])
    along = np.where(across, mesh.vertices[:, 1], mesh.vertices[:, 0])
    scale = (FOLIAGE_M, FOLIAGE_M) if material == FOLIAGE else (BAY_M * BAYS, STOREY_M * BAYS)
    return np.stack([along, mesh.vertices[:, 2]], axis=-1) / scale


class Materials:
    """Textures by material, made once."""

    def __init__(self, rng: np.random.Generator, night: bool) -> None:
        """Draw them; at night windows are lit."""
        self._textures: dict[str, Any] = {FOLIAGE: upload(FOLIAGE, foliage(rng))}
        self._lights: dict[str, Any] = {}
        for style in range(len(STYLES)):
            color, light = facade(style, rng)
            self._textures[f"{FACADE} {style}"] = upload(f"{FACADE} {style}", color)
            if night:
                self._lights[f"{FACADE} {style}"] = upload(f"lit {FACADE} {style}", light)

    def apply(self, node: Any, material: str) -> None:
        """Put a material's textures on a node that has texture coordinates."""
        node.set_texture(core.TextureStage.get_default(), self._textures[material])
        if material in self._lights:
            lit = core.TextureStage("lit windows")
            lit.set_sort(1)
            lit.set_mode(core.TextureStage.M_add)
            node.set_texture(lit, self._lights[material])
