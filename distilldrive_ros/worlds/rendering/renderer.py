"""What cameras and LiDAR of a rig sense in a world."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from types import TracebackType

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.rendering.agent_shadows import AgentShadows
from distilldrive_ros.worlds.rendering.agent_stage import AgentStage
from distilldrive_ros.worlds.rendering.display import Display, ViewTarget, draw, open_pipe, panda_matrix
from distilldrive_ros.worlds.rendering.face_registry import FIRST_STATIC, color_numbers
from distilldrive_ros.worlds.rendering.lamps import Lamps
from distilldrive_ros.worlds.rendering.lidar_scan import FacePlanes, LidarScanner, LidarSweep
from distilldrive_ros.worlds.rendering.lighting import lighting
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.rendering.sky import sky_dome
from distilldrive_ros.worlds.rendering.static_scene import StaticScene, lay_flat
from distilldrive_ros.worlds.rendering.traffic_lights import LampStage
from distilldrive_ros.worlds.rig import Rig, RigCamera
from distilldrive_ros.worlds.world import Appearance, Place, Snapshot

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Ids = NDArray[np.int64]

EDGE_SAMPLES = 4
# From the rear axle to the front of the vehicle that carries the sensors.
EGO_FRONT_M = 3.9


class SceneRenderer:
    """Draws one place in one light for one rig. Use it from one thread; `close` frees it (or use `with`).

    `display`: what draws.
    """

    def __init__(
        self, place: Place, appearance: Appearance, rig: Rig, display: Display | None = None,
        edge_samples: int = EDGE_SAMPLES,
    ) -> None:  # fmt: skip
        """Build the scene.

        Args:
            place: what stands still.
            appearance: light, air and seed of the looks.
            rig: the sensors.
            display: what draws; None: OpenGL, else the software display.
            edge_samples: coverage samples per pixel (OpenGL), 0 for hard edges.

        Raises:
            WorldError: nothing can draw here, or the place has no ground.
        """
        if not place.drivable:
            raise WorldError(f"place {place.name} has no drivable area, so there is nothing to stand on")
        rng = np.random.default_rng(appearance.seed)
        light = lighting(appearance)
        low = shapely.total_bounds(list(place.drivable))
        self._shift = np.array([*np.rint((low[:2] + low[2:]) / 2), 0.0])
        self._rig, self._edge_samples = rig, edge_samples
        self._static = StaticScene(place, light, self._shift, rng)
        looks, numbers = core.NodePath("world"), core.NodePath("world numbers")
        self._static.looks.reparent_to(looks)
        self._static.numbers.reparent_to(numbers)
        self._sky = sky_dome(light, appearance.overcast, rng)
        self._sky.reparent_to(looks)
        fog = core.Fog("haze")
        fog.set_color(*light.horizon.tolist())
        fog.set_exp_density(light.haze_density)
        looks.set_fog(fog)
        agents = looks.attach_new_node("agents")
        _light_up(agents, light.sun_direction, light.sun, light.ambient)
        ground = looks.attach_new_node("shadows")
        lay_flat(ground, self._static.shadow_order)
        lamps = Lamps(light.night)
        numbered = numbers.attach_new_node("agents")
        self._stage = AgentStage(agents, ground, numbered, self._shift, AgentShadows(light), lamps)
        self._ego_light = ground.attach_new_node("ego")
        if light.night:
            lamps.headlight_pool(EGO_FRONT_M).reparent_to(self._ego_light)
            self._static.light_streets(place.scenery, lamps)
        self._traffic_lights = LampStage(place, looks.attach_new_node("lamps"), self._shift)
        self._looks, self._numbers = looks, numbers
        self._cameras = {c.channel: c for c in rig.cameras}
        _, self.display = open_pipe(display)
        self._views: dict[str, ViewTarget] = {}
        self._number_views: dict[str, ViewTarget] = {}
        self._scanner: LidarScanner | None = None

    def images(self, snapshots: Snapshot | Mapping[str, Snapshot]) -> dict[str, Image]:
        """What the cameras see: (H, W, 3) RGB by channel.

        Args:
            snapshots: the world at one instant, or by channel at the instant of its shutter; only these are drawn.

        Raises:
            WorldError: a channel is not of the rig.
        """
        if isinstance(snapshots, Snapshot):
            snapshots = dict.fromkeys(self._cameras, snapshots)
        found: dict[str, Image] = {}
        ordered = sorted(snapshots.items(), key=lambda item: item[1].time_ns)
        for _, group in groupby(ordered, key=lambda item: id(item[1])):
            together = list(group)
            channels = [channel for channel, _ in together]
            self._put(together[0][1])
            for channel in channels:
                self._aim(self._view(self._camera(channel)), self._camera(channel), together[0][1])
            found.update(zip(channels, draw([self._views[c] for c in channels]), strict=True))
        return {channel: found[channel] for channel in snapshots}

    def ids(self, snapshot: Snapshot, channel: str) -> Ids:
        """Which agent each pixel shows (H, W): its id, or -1.

        Raises:
            WorldError: the channel is not of the rig.
        """
        camera = self._camera(channel)
        if channel not in self._number_views:
            self._number_views[channel] = ViewTarget(self._numbers, camera.width, camera.height, 0, self.display)
        view = self._number_views[channel]
        self._put(snapshot)
        self._aim(view, camera, snapshot)
        return self._stage.agent_of(color_numbers(draw([view])[0]))

    def sweep(self, snapshot: Snapshot, rng: np.random.Generator) -> LidarSweep:
        """One turn of the LiDAR at one instant; noise and lost returns come from `rng`."""
        if self._scanner is None:
            self._scanner = LidarScanner(self._numbers, self._rig.lidar.base_from_lidar, self.display)
        self._put(snapshot)
        pose = snapshot.ego.world_from_base.copy()
        pose[:3, 3] -= self._shift
        return self._scanner.scan(pose, self._planes, rng)

    def close(self) -> None:
        """Free the pictures. May be called twice."""
        for view in (*self._views.values(), *self._number_views.values()):
            view.close()
        self._views, self._number_views = {}, {}
        if self._scanner is not None:
            self._scanner.close()
            self._scanner = None

    def __enter__(self) -> SceneRenderer:
        """Use it in a `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        """Close it."""
        self.close()

    def _camera(self, channel: str) -> RigCamera:
        if channel not in self._cameras:
            raise WorldError(f"the rig has no camera {channel!r}; it has {', '.join(self._cameras)}")
        return self._cameras[channel]

    def _view(self, camera: RigCamera) -> ViewTarget:
        """The picture of a camera, made when it is first asked for."""
        if camera.channel not in self._views:
            size = (camera.width, camera.height)
            self._views[camera.channel] = ViewTarget(self._looks, *size, self._edge_samples, self.display)
        return self._views[camera.channel]

    def _put(self, snapshot: Snapshot) -> None:
        self._stage.show(snapshot)
        self._traffic_lights.show(snapshot.lights)
        pose = snapshot.ego.world_from_base.copy()
        pose[:3, 3] -= self._shift
        self._ego_light.set_mat(panda_matrix(pose))
        self._sky.set_pos(*(snapshot.ego.position - self._shift[:2]).tolist(), 1.5)

    def _aim(self, view: ViewTarget, camera: RigCamera, snapshot: Snapshot) -> None:
        pose = snapshot.ego.world_from_base @ camera.base_from_camera
        pose[:3, 3] -= self._shift
        view.aim(pose, camera.intrinsics)

    def _planes(self, numbers: Ids) -> FacePlanes:
        """Planes in shifted coordinates of the face numbers (n,) of a picture."""
        static = self._static.faces
        planes, agents = np.zeros((len(numbers), 4)), np.full(len(numbers), -1, np.int64)
        reflectivity = np.zeros(len(numbers))
        fixed = numbers >= FIRST_STATIC
        rows = np.minimum(numbers[fixed] - FIRST_STATIC, len(static.planes) - 1)
        planes[fixed], reflectivity[fixed] = static.planes[rows], static.reflectivity[rows]
        moving = self._stage.planes(numbers[~fixed])
        planes[~fixed], reflectivity[~fixed] = moving.planes, moving.reflectivity
        agents[~fixed] = moving.agent_ids
        planes[:, 3] -= planes[:, :3] @ self._shift
        return FacePlanes(planes, agents, reflectivity)


def _light_up(node: core.NodePath, direction: Array, sun: Array, ambient: Array) -> None:
    """Sun and sky on what moves; what stands still has them in its colours."""
    beam = core.DirectionalLight("sun")
    beam.set_color((*sun.tolist(), 1))
    beam.set_direction(core.LVector3(*(-direction).tolist()))
    sky = core.AmbientLight("sky")
    sky.set_color((*ambient.tolist(), 1))
    for lamp in (beam, sky):
        node.set_light(node.get_parent().attach_new_node(lamp))
