"""Ground and scenery of a place as nodes of the engine: one tree to look at, one whose colours are face numbers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import planar_pose, transform_points
from distilldrive_ros.worlds.rendering import textures
from distilldrive_ros.worlds.rendering.agent_shadows import block_shadows
from distilldrive_ros.worlds.rendering.face_registry import StaticFaces, face_reflectivity, number_colors
from distilldrive_ros.worlds.rendering.ground_mesh import GroundLayer, ground_layers
from distilldrive_ros.worlds.rendering.kerb import kerb_solid
from distilldrive_ros.worlds.rendering.lamps import Lamps
from distilldrive_ros.worlds.rendering.lighting import Lighting
from distilldrive_ros.worlds.rendering.materials import PLAIN, Materials, scenery_materials, wall_coordinates
from distilldrive_ros.worlds.rendering.mesh import Mesh, area_triangles, geom_node, join, solid_mesh
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.rendering.scenery_shapes import scenery_solid
from distilldrive_ros.worlds.rendering.traffic_lights import light_post
from distilldrive_ros.worlds.world import Place, Scenery, SceneryKind

Array = NDArray[np.float64]

# Scenery is put together in squares of this side, so that what no camera looks at is left out in one go, m.
SQUARE_M = 60.0
UP = np.array([[0.0, 0.0, 1.0]])
BLOTCH_M = 83.0
LAMP_ARM_M = 1.45


class StaticScene:
    """Everything that stands still. `shift` (3,) moves map coordinates near zero, where single precision is fine."""

    def __init__(self, place: Place, light: Lighting, shift: Array, rng: np.random.Generator) -> None:
        """Build both trees."""
        self.looks = core.NodePath("looks")
        self.numbers = core.NodePath("numbers")
        self._light, self._shift = light, shift
        self._textures: dict[str, Any] = {}
        self._texture_rng = rng
        self._materials = Materials(rng, light.night)
        faces = StaticFaces()
        order = 1
        for layer in ground_layers(place, rng):
            order = self._add_layer(layer, faces, order)
        self._add_shadows(place.scenery, order)
        self._add_scenery(place, faces)
        self.faces = faces.finish()
        self.shadow_order = order + 1

    def _add_layer(self, layer: GroundLayer, faces: StaticFaces, order: int) -> int:
        points, triangles = area_triangles(layer.area)
        if len(triangles) == 0:
            return order
        vertices = np.column_stack([points - self._shift[:2], np.zeros(len(points))])
        lit = np.array(layer.color) * self._light.shade(UP)[0] / (textures.MEAN * 0.9 if layer.texture else 1.0)
        colors = np.tile(np.append(np.clip(lit, 0, 255), 255 * layer.opacity).round(), (len(points), 1)).astype(
            np.uint8
        )
        node = geom_node(layer.name, vertices, triangles, colors, uv=vertices[:, :2] / layer.texture_m)
        looks = self.looks.attach_new_node(node)
        if layer.texture:
            self._texture(looks, layer)
        if layer.opacity < 1:
            looks.set_transparency(core.TransparencyAttrib.M_alpha)
        lay_flat(looks, order)
        if layer.opacity == 1 or layer.reflectivity > 20:
            first = faces.register(np.array([[0.0, 0.0, 1.0, 0.0]]), np.array([layer.reflectivity]))
            flat = number_colors(np.full(len(points), first))
            lay_flat(self.numbers.attach_new_node(geom_node(layer.name, vertices, triangles, flat)), order)
        return order + 1

    def _texture(self, node: Any, layer: GroundLayer) -> None:
        for name in (layer.texture, "blotches"):
            if name not in self._textures:
                self._textures[name] = textures.upload(name, getattr(textures, name)(self._texture_rng))
        node.set_texture(core.TextureStage.get_default(), self._textures[layer.texture])
        wide = core.TextureStage("blotches")
        wide.set_sort(1)
        node.set_texture(wide, self._textures["blotches"])
        node.set_tex_scale(wide, layer.texture_m / BLOTCH_M)

    def _add_shadows(self, scenery: tuple[Scenery, ...], order: int) -> None:
        darkness = self._light.shadow_darkness
        outlines = [
            hull for thing in scenery for hull in sun_shadows(scenery_solid(thing).blocks, _pose(thing), self._light)
        ]
        points, triangles = area_triangles(shapely.union_all(outlines))
        if len(triangles) == 0 or darkness < 0.05:
            return
        vertices = np.column_stack([points - self._shift[:2], np.zeros(len(points))])
        colors = np.tile(np.array([10, 12, 20, round(255 * darkness)], np.uint8), (len(points), 1))
        node = self.looks.attach_new_node(geom_node("shadows", vertices, triangles, colors))
        node.set_transparency(core.TransparencyAttrib.M_alpha)
        lay_flat(node, order)

    def light_streets(self, scenery: tuple[Scenery, ...], lamps: Lamps) -> None:
        """Pools of light below the street lamps."""
        pools = core.NodePath("street light")
        for thing in scenery:
            if thing.kind is SceneryKind.STREET_LAMP:
                reach = np.array([np.cos(thing.yaw), np.sin(thing.yaw)]) * LAMP_ARM_M
                x, y = (thing.position + reach - self._shift[:2]).tolist()
                lamps.street_pool(x, y).reparent_to(pools)
        pools.flatten_strong()
        pools.reparent_to(self.looks)
        lay_flat(pools, self.shadow_order + 1)

    def _add_scenery(self, place: Place, faces: StaticFaces) -> None:
        squares: dict[tuple[int, int, str], list[tuple[Mesh, Array, Array]]] = defaultdict(list)
        for thing in place.scenery:
            x, y = np.floor(thing.position / SQUARE_M).astype(int).tolist()
            for material, solid in scenery_materials(thing):
                mesh = solid_mesh([solid])
                squares[x, y, material].append((mesh, _pose(thing), wall_coordinates(mesh, material)))
        for light in place.lights:
            x, y = np.floor(light.position[:2] / SQUARE_M).astype(int).tolist()
            solid, pose = light_post(light)
            mesh = solid_mesh([solid])
            squares[x, y, PLAIN].append((mesh, pose, wall_coordinates(mesh, PLAIN)))
        for solid, center in kerb_solid(place, SQUARE_M):
            x, y = np.floor(center / SQUARE_M).astype(int).tolist()
            mesh = solid_mesh([solid])
            pose = planar_pose(center[0], center[1], 0.0)
            squares[x, y, PLAIN].append((mesh, pose, wall_coordinates(mesh, PLAIN)))
        for square in sorted(squares):
            meshes = squares[square]
            uv = np.concatenate([coordinates for _, _, coordinates in meshes])
            self._add_mesh(square[2], join([(mesh, pose) for mesh, pose, _ in meshes]), uv, faces)

    def _add_mesh(self, material: str, mesh: Mesh, uv: Array, faces: StaticFaces) -> None:
        name = f"scenery {material}"
        vertices = mesh.vertices - self._shift
        colors = mesh.colors.copy()
        colors[:, :3] = np.clip(mesh.colors[:, :3] * self._light.shade(mesh.normals), 0, 255)
        looks = self.looks.attach_new_node(
            geom_node(name, vertices, mesh.triangles, colors, uv=None if material == PLAIN else uv)
        )
        if material != PLAIN:
            self._materials.apply(looks, material)
        planes = mesh.planes.copy()
        first = faces.register(planes, face_reflectivity(mesh))
        numbers = number_colors(first + mesh.faces)
        self.numbers.attach_new_node(geom_node(name, vertices, mesh.triangles, numbers))


def lay_flat(node: Any, order: int) -> None:
    """Draw a node on the ground in this order: without depth, for nothing lies beneath the ground."""
    node.set_bin("background", 10 + order)
    node.set_depth_test(False)
    node.set_depth_write(False)


def sun_shadows(blocks: Array, pose: Array, light: Lighting) -> list[shapely.Geometry]:
    """Shadows on the ground of blocks (n, 7) of a solid at a 4x4 pose."""
    lean = (light.sun_direction[:2] / light.sun_direction[2]) @ pose[:2, :2]
    turned = block_shadows(blocks, lean)
    return [shapely.transform(s, lambda points: transform_points(pose, points)) for s in turned]


def _pose(thing: Scenery) -> Array:
    return planar_pose(thing.position[0], thing.position[1], thing.yaw)
