"""Traffic lights: posts that stand still, and lamps that follow the snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.scenery import POLE
from distilldrive_ros.datasets.demo_scene.shapes import Color, Part, Solid, box_faces, disc, shade
from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.worlds.rendering.display import panda_matrix
from distilldrive_ros.worlds.rendering.mesh import geom_node
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.world import LightState, Place, TrafficLight

Array = NDArray[np.float64]

HOUSING: Color = (34, 36, 38)
LAMPS: dict[LightState, Color] = {
    LightState.RED: (255, 48, 40),
    LightState.YELLOW: (255, 190, 40),
    LightState.GREEN: (60, 255, 130),
}
SIZE = (0.24, 0.34, 1.0)
LAMP_RADIUS = 0.13
# A lamp that is off still shows its glass: share of its colour.
OFF_SHARE = 0.22


def light_post(light: TrafficLight) -> tuple[Solid, Array]:
    """The post and the housing of a light, and its 4x4 pose on the ground."""
    height = float(light.position[2])
    faces = box_faces((0.0, 0.0, height), SIZE, HOUSING)
    faces += box_faces((-0.2, 0.0, height / 2), (0.14, 0.14, height), POLE)
    blocks = np.array([[0, 0, height, *SIZE, 0.0], [-0.2, 0, height / 2, 0.14, 0.14, height, 0.0]])
    solid = Solid((Part((0.0, 0.0), (0.3, 0.4), tuple(faces)),), blocks)
    return solid, planar_pose(light.position[0], light.position[1], light.yaw)


class LampStage:
    """The lamps of all lights of a place."""

    def __init__(self, place: Place, root: Any, shift: Array) -> None:
        """Hang them under a node; `shift` (3,) is taken off map coordinates."""
        self._shapes = {state: core.NodePath(_lamps(state)) for state in LightState}
        self._lights: dict[str, tuple[Any, LightState]] = {}
        self._root = root
        for light in place.lights:
            node = root.attach_new_node("light")
            pose = planar_pose(light.position[0], light.position[1], light.yaw)
            pose[2, 3] = light.position[2]
            pose[:3, 3] -= shift
            node.set_mat(panda_matrix(pose))
            node.set_light_off()
            self._shapes[LightState.OFF].instance_to(node)
            self._lights[light.token] = (node, LightState.OFF)

    def show(self, states: dict[str, LightState]) -> None:
        """Light the lamps; lights without a state are off."""
        for token, (node, before) in self._lights.items():
            state = states.get(token, LightState.OFF)
            if state is not before:
                node.node().remove_all_children()
                self._shapes[state].instance_to(node)
                self._lights[token] = (node, state)


def _lamps(state: LightState) -> Any:
    """Three discs on the front of the housing, one of them lit."""
    faces = []
    for index, (which, color) in enumerate(LAMPS.items()):
        z = (1 - index) * 0.31
        outline = disc((0.0, 0.0, 0.0), LAMP_RADIUS, 12)[:, [1, 0, 2]] + (SIZE[0] / 2 + 0.012, 0.0, z)
        lit = color if which is state else shade(color, OFF_SHARE)
        faces.append((outline, lit))
    vertices = np.concatenate([outline for outline, _ in faces])
    fan = np.stack([np.zeros(10, int), np.arange(1, 11), np.arange(2, 12)], axis=-1)
    triangles = np.concatenate([fan + 12 * i for i in range(3)])
    colors = np.concatenate([np.tile(np.array([*color, 255], np.uint8), (12, 1)) for _, color in faces])
    return geom_node("lamps", vertices, triangles, colors)
