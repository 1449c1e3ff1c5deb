"""Which boxes of a drive are annotated: those that some sensor has seen, and no gaps in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneTables
from distilldrive_ros.datasets.nuscenes_writer.taxonomy import visibility_token
from distilldrive_ros.geometry.boxes import points_in_box
from distilldrive_ros.geometry.poses import transform_points
from distilldrive_ros.worlds.dataset.map_frame import MapFrame
from distilldrive_ros.worlds.world import Agent, Snapshot

Array = NDArray[np.float64]

ANNOTATED_WITHIN_M = 80.0


@dataclass(frozen=True)
class Sighting:
    """An agent at a key frame: the share of its pixels that nothing hides (NaN: in no picture), LiDAR points on it."""

    agent: Agent
    visible_share: float
    lidar_points: int

    @property
    def seen(self) -> bool:
        """Whether a camera or the LiDAR has it."""
        return self.lidar_points > 0 or self.visible_share > 0


def agents_in_reach(snapshot: Snapshot) -> tuple[Agent, ...]:
    """Those that may be annotated."""
    ego = snapshot.ego.position
    return tuple(a for a in snapshot.agents if np.hypot(*(a.center[:2] - ego)) <= ANNOTATED_WITHIN_M)


def sightings(snapshot: Snapshot, shares: dict[int, float], points: Array, world_from_lidar: Array) -> list[Sighting]:
    """What was seen of all agents in reach.

    Args:
        snapshot: the world at the LiDAR's stamp.
        shares: visible share by agent; agents that are in no picture are left out.
        points: (N, 3) of the sweep, in the LiDAR's frame.
        world_from_lidar: 4x4.
    """
    world = transform_points(world_from_lidar, points)
    out = []
    for agent in agents_in_reach(snapshot):
        box = np.array([*agent.center, *agent.size, agent.yaw])
        near = world[np.abs(world - agent.center).max(axis=1) <= np.linalg.norm(agent.size)]
        out.append(Sighting(agent, shares.get(agent.id, float("nan")), int(points_in_box(box, near).sum())))
    return out


def annotate(tables: SceneTables, key_frames: Sequence[Sequence[Sighting]], frame: MapFrame) -> int:
    """Enter the boxes of all key frames; returns how many.

    An agent that no sensor sees is left out before its first and after its last sighting. In between it keeps its box,
    as annotators do when something hides it for a while: with no LiDAR point, and of the lowest visibility.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, key_frame in enumerate(key_frames):
        for sighting in key_frame:
            if sighting.seen:
                first.setdefault(sighting.agent.id, index)
                last[sighting.agent.id] = index
    count = 0
    for index, key_frame in enumerate(key_frames):
        for sighting in key_frame:
            agent = sighting.agent
            if first.get(agent.id, len(key_frames)) <= index <= last.get(agent.id, -1):
                center = [*frame.points(agent.center[None, :2])[0], agent.center[2]]
                tables.add_annotation(
                    index, str(agent.id), agent.category, agent.attribute, visibility_token(sighting.visible_share),
                    np.array([*center, *agent.size, agent.yaw]), sighting.lidar_points,
                )  # fmt: skip
                count += 1
    return count
