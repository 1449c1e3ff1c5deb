"""Agents on the stage: nodes of the engine that follow snapshots, in looks and in face numbers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.shapes import Solid
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.rendering.agent_shadows import AgentShadows
from distilldrive_ros.worlds.rendering.agent_shapes import SIZE_STEP_M, ShapeKey, shape, shape_key
from distilldrive_ros.worlds.rendering.display import panda_matrix
from distilldrive_ros.worlds.rendering.face_registry import (
    FACES_PER_AGENT,
    MAX_AGENTS,
    face_reflectivity,
    number_colors,
)
from distilldrive_ros.worlds.rendering.lamps import Lamps
from distilldrive_ros.worlds.rendering.lidar_scan import FacePlanes
from distilldrive_ros.worlds.rendering.mesh import Mesh, geom_node, solid_mesh
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.world import Agent, Snapshot

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

# Agents farther from the ego than this are left out, m.
SIGHT_M = 220.0
# Shapes kept for agents that come back or share them.
KEPT_SHAPES = 4096


@dataclass(frozen=True)
class _Shape:
    solid: Solid
    contact: Any
    lamps: Any | None
    pool: Any | None
    shadows: dict[int, Any]
    looks: Any
    numbers: Any
    planes: Array
    reflectivity: Array


@dataclass
class _Actor:
    key: ShapeKey
    direction: int
    ground: Any
    looks: Any
    numbers: Any


class AgentStage:
    """Keeps one actor per agent and moves it; shapes are made once."""

    def __init__(
        self, looks: Any, ground: Any, numbers: Any, shift: Array, shadows: AgentShadows, lamps: Lamps
    ) -> None:
        """Stand on top nodes for looks, shadows and numbers; `shift` (3,) is taken off map coordinates."""
        self._looks, self._ground, self._numbers, self._shift = looks, ground, numbers, shift
        self._shadows, self._lamps = shadows, lamps
        self._shapes: OrderedDict[ShapeKey, _Shape] = OrderedDict()
        self._actors: dict[int, _Actor] = {}
        self._present: list[tuple[Agent, ShapeKey, Array]] = []

    def show(self, snapshot: Snapshot) -> None:
        """Put everybody where they are.

        Raises:
            WorldError: there are more agents than numbers.
        """
        near = [
            a
            for a in snapshot.agents
            if np.hypot(*(a.center[:2] - snapshot.ego.position)) < SIGHT_M and a.size.min() > 0
        ]
        if len(near) > MAX_AGENTS:
            raise WorldError(f"{len(near)} agents are around the ego, the renderer takes {MAX_AGENTS}; make fewer")
        self._present = []
        for slot, agent in enumerate(near, start=1):
            key = shape_key(agent)
            pose = agent.world_from_box.copy()
            pose[2, 3] -= agent.size[2] / 2
            pose[:3, 3] -= self._shift
            self._present.append((agent, key, pose))
            actor = self._actor(agent.id, key, self._shadows.direction(agent.yaw))
            matrix = panda_matrix(pose)
            actor.looks.set_mat(matrix)
            actor.ground.set_mat(matrix)
            actor.numbers.set_mat(matrix)
            # A quarter more: OpenGL rounds to the nearest number, the software display cuts off.
            actor.numbers.set_color_scale(((slot >> 8) + 0.25) / 255, ((slot & 255) + 0.25) / 255, 1, 1)
        present = {agent.id for agent, _, _ in self._present}
        for absent in [i for i in self._actors if i not in present]:
            actor = self._actors.pop(absent)
            for node in (actor.looks, actor.ground, actor.numbers):
                node.remove_node()

    def agent_of(self, numbers: Ids) -> Ids:
        """Agent ids, or -1, of face numbers of any shape."""
        ids = np.array([-1, *(agent.id for agent, _, _ in self._present)], np.int64)
        slots = numbers // FACES_PER_AGENT
        return ids[np.where(slots <= len(self._present), slots, 0)]

    def planes(self, numbers: Ids) -> FacePlanes:
        """Planes of agents' face numbers (n,), which must be agents'."""
        slots, faces = numbers // FACES_PER_AGENT, numbers % FACES_PER_AGENT
        planes, reflectivity = np.zeros((len(numbers), 4)), np.zeros(len(numbers))
        for slot in np.unique(slots):
            _, key, pose = self._present[slot - 1]
            rows = np.flatnonzero(slots == slot)
            known = self._shapes[key]
            local = known.planes[np.minimum(faces[rows], len(known.planes) - 1)]
            normals = local[:, :3] @ pose[:3, :3].T
            planes[rows] = np.column_stack([normals, local[:, 3] + normals @ (pose[:3, 3] + self._shift)])
            reflectivity[rows] = known.reflectivity[np.minimum(faces[rows], len(known.reflectivity) - 1)]
        return FacePlanes(planes, self.agent_of(numbers), reflectivity)

    def _actor(self, agent_id: int, key: ShapeKey, direction: int) -> _Actor:
        actor = self._actors.get(agent_id)
        if actor is not None and actor.key == key and actor.direction == direction:
            self._shapes.move_to_end(key)
            return actor
        known = self._shape(key)
        if actor is None:
            nodes = (parent.attach_new_node("agent") for parent in (self._ground, self._looks, self._numbers))
            actor = _Actor(key, direction, *nodes)
            self._actors[agent_id] = actor
        else:
            for node in (actor.looks, actor.ground, actor.numbers):
                node.node().remove_all_children()
        if direction not in known.shadows:
            known.shadows[direction] = self._shadows.cast(known.solid, direction)
        shadow = known.shadows[direction]
        if shadow is not None:
            shadow.instance_to(actor.ground)
        known.contact.instance_to(actor.ground)
        known.looks.instance_to(actor.looks)
        if known.lamps is not None:
            known.lamps.instance_to(actor.looks)
        if known.pool is not None:
            known.pool.instance_to(actor.ground)
        known.numbers.instance_to(actor.numbers)
        actor.key, actor.direction = key, direction
        return actor

    def _shape(self, key: ShapeKey) -> _Shape:
        if key not in self._shapes:
            while len(self._shapes) >= max(KEPT_SHAPES, 2 * len(self._actors) + 2):
                self._shapes.popitem(last=False)
            self._shapes[key] = self._make(key)
        self._shapes.move_to_end(key)
        return self._shapes[key]

    def _make(self, key: ShapeKey) -> _Shape:
        solid, size = shape(key), np.array(key.size) * SIZE_STEP_M
        mesh = solid_mesh([solid])
        shines = self._lamps.night and key.driven
        return _Shape(
            solid=solid,
            contact=self._shadows.contact(size),
            lamps=self._lamps.of_vehicle(solid, key.driven, key.braking),
            pool=self._lamps.headlight_pool(float(size[0]) / 2) if shines else None,
            shadows={},
            looks=_looks(key, mesh),
            numbers=_numbers(key, mesh),
            planes=mesh.planes,
            reflectivity=face_reflectivity(mesh),
        )


def _looks(key: ShapeKey, mesh: Mesh) -> Any:
    return core.NodePath(geom_node(key.category, mesh.vertices, mesh.triangles, mesh.colors, mesh.normals))


def _numbers(key: ShapeKey, mesh: Mesh) -> Any:
    faces = np.minimum(mesh.faces, FACES_PER_AGENT - 1)
    colors = number_colors(faces)
    # Red and green are the agent's: its colour scale makes them its number.
    colors[:, :2] = 255
    return core.NodePath(geom_node(key.category, mesh.vertices, mesh.triangles, colors))
