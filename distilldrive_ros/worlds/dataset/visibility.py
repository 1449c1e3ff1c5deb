"""How much of each agent nothing hides: pixels of who is in front, against pixels of the agent alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.boxes import box_corners
from distilldrive_ros.geometry.poses import inverse, transform_points
from distilldrive_ros.worlds.dataset.annotations import agents_in_reach
from distilldrive_ros.worlds.rendering.renderer import SceneRenderer
from distilldrive_ros.worlds.rig import Rig, RigCamera
from distilldrive_ros.worlds.world import Agent, Appearance, Place, Snapshot

Array = NDArray[np.float64]

# Pictures of agents alone are no wider than this, px.
LARGEST_WIDTH = 800
# Agents whose pictures come nearer than this are not drawn together, px.
GAP_PX = 2.0
NEAR_M = 0.3


class VisibilityMeter:
    """Measures visible shares in one place. Use it from one thread; `close` frees it (or use `with`)."""

    def __init__(self, renderer: SceneRenderer, place: Place, rig: Rig) -> None:
        """Build the empty place.

        Args:
            renderer: draws the place as it is.
            place: the place.
            rig: the renderer's.

        Raises:
            WorldError: nothing can draw here.
        """
        self._renderer = renderer
        self._cameras = {camera.channel: _small(camera) for camera in rig.cameras}
        self._scale = {c.channel: (c.width / self._cameras[c.channel].width) ** 2 for c in rig.cameras}
        empty = replace(place, scenery=(), lights=())
        self._alone = SceneRenderer(empty, Appearance(), replace(rig, cameras=tuple(self._cameras.values())))

    def shares(self, snapshots: Mapping[str, Snapshot]) -> dict[int, float]:
        """Visible share by agent, over all cameras, each at the instant of its shutter; agents in no picture left out.

        Only agents in reach of annotation are measured; all others hide what is behind them.
        """
        visible: Counter[int] = Counter()
        whole: Counter[int] = Counter()
        for channel, snapshot in snapshots.items():
            seen = _pixels(self._renderer.ids(snapshot, channel))
            camera, scale = self._cameras[channel], self._scale[channel]
            for group in _apart(snapshot, camera):
                for agent, pixels in _pixels(self._alone.ids(replace(snapshot, agents=group), channel)).items():
                    # Edge pixels may fall either way between two pictures: no more can be seen than is there.
                    whole[agent] += round(pixels * scale)
                    visible[agent] += min(seen[agent], round(pixels * scale))
        return {agent: visible[agent] / count for agent, count in whole.items() if count}

    def close(self) -> None:
        """Free the pictures. May be called twice."""
        self._alone.close()

    def __enter__(self) -> VisibilityMeter:
        """Use it in a `with`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _small(camera: RigCamera) -> RigCamera:
    """The same view in fewer pixels."""
    if camera.width <= LARGEST_WIDTH:
        return camera
    width = LARGEST_WIDTH
    height = round(camera.height * width / camera.width)
    scale = np.array([width / camera.width, height / camera.height])
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2] *= scale[:, None]
    # Pixel centres at whole numbers: the picture's corner is at -0.5 in both sizes.
    intrinsics[:2, 2] += (scale - 1) / 2
    return replace(camera, intrinsics=intrinsics, width=width, height=height)


def _pixels(ids: NDArray[np.int64]) -> Counter[int]:
    agents, counts = np.unique(ids[ids >= 0], return_counts=True)
    return Counter(dict(zip(agents.tolist(), counts.tolist(), strict=True)))


def _apart(snapshot: Snapshot, camera: RigCamera) -> list[tuple[Agent, ...]]:
    """Agents in a picture, in groups in which no two can hide each other."""
    groups: list[list[tuple[Agent, Array]]] = []
    for agent, extent in _extents(snapshot, camera):
        free = [g for g in groups if not any(_meet(extent, other) for _, other in g)]
        if free:
            free[0].append((agent, extent))
        else:
            groups.append([(agent, extent)])
    return [tuple(agent for agent, _ in group) for group in groups]


def _extents(snapshot: Snapshot, camera: RigCamera) -> Sequence[tuple[Agent, Array]]:
    """Agents whose boxes reach into a picture, with left, top, right, bottom (4,) px."""
    agents = agents_in_reach(snapshot)
    if not agents:
        return []
    boxes = np.array([[*a.center, *a.size, a.yaw] for a in agents])
    camera_from_world = inverse(snapshot.ego.world_from_base @ camera.base_from_camera)
    corners = transform_points(camera_from_world, box_corners(boxes))
    out = []
    for agent, local in zip(agents, corners, strict=True):
        if (local[:, 2] <= NEAR_M).all():
            continue
        if (local[:, 2] <= NEAR_M).any():
            extent = np.array([0.0, 0.0, camera.width, camera.height])
        else:
            pixels = local @ camera.intrinsics.T / local[:, 2:]
            extent = np.concatenate([pixels[:, :2].min(0), pixels[:, :2].max(0)])
        if (extent[2:] >= 0).all() and extent[0] <= camera.width and extent[1] <= camera.height:
            out.append((agent, extent))
    return out


def _meet(first: Array, second: Array) -> bool:
    return bool((first[:2] <= second[2:] + GAP_PX).all() and (second[:2] <= first[2:] + GAP_PX).all())
