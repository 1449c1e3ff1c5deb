"""A drive log as the worlds that NAVSIM's scorers look at."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.categories import detection_class
from distilldrive_ros.evaluation.navsim.nuscenes_worlds import area_polygons
from distilldrive_ros.planning.pdm.drives import Drives, locate
from distilldrive_ros.planning.pdm.world import (
    KIND_OF_CLASS,
    TRACK_STATES_V1,
    EgoStart,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
    RedLight,
)
from distilldrive_ros.worlds.driving.drive_log import DriveLog
from distilldrive_ros.worlds.driving.ground_truth import lane_route, place_areas
from distilldrive_ros.worlds.driving.red_lights import ruled_connectors

Array = NDArray[np.float64]

# Of categories outside the detection task.
_KIND_OF_GROUP = {"vehicle": ObjectKind.VEHICLE, "human": ObjectKind.PEDESTRIAN, "animal": ObjectKind.PEDESTRIAN}


def object_kind(category: str) -> ObjectKind:
    """How the scorers call a nuScenes category."""
    found = detection_class(category)
    if found is not None:
        return KIND_OF_CLASS[found]
    return _KIND_OF_GROUP.get(category.partition(".")[0], ObjectKind.GENERIC)


class LogWorld:
    """States (T, 11) of a drive, and the world at each of its instants."""

    def __init__(self, log: DriveLog) -> None:
        """Gather the tracks."""
        self.log = log
        self.states: Array = np.array(log.states)
        areas = place_areas(log.place)
        self._polygons = area_polygons(areas)
        self._route = lane_route(areas, log.route)
        self._ruled = ruled_connectors(log.place, log.route)

    @property
    def steps(self) -> int:
        """Instants T."""
        return len(self.states)

    @cached_property
    def tracks(self) -> ObjectTracks:
        """Everybody at all instants, and absent for as long after the end as the scorers look ahead."""
        snapshots = self.log.snapshots
        first = {agent.id: agent for snapshot in reversed(snapshots) for agent in snapshot.agents}
        row_of = {number: row for row, number in enumerate(sorted(first))}
        steps = len(snapshots) + TRACK_STATES_V1
        poses, velocities = np.zeros((len(row_of), steps, 3)), np.zeros((len(row_of), steps, 2))
        present = np.zeros((len(row_of), steps), bool)
        for step, snapshot in enumerate(snapshots):
            for agent in snapshot.agents:
                row = row_of[agent.id]
                poses[row, step] = *agent.center[:2], agent.yaw
                velocities[row, step], present[row, step] = agent.velocity, True
        agents = [first[number] for number in row_of]
        return ObjectTracks(
            tokens=tuple(map(str, row_of)),
            kinds=tuple(object_kind(agent.category) for agent in agents),
            sizes=np.array([agent.size[:2] for agent in agents], np.float64).reshape(-1, 2),
            poses=poses,
            velocities=velocities,
            present=present,
        )

    def at(self, start: int, steps: int = TRACK_STATES_V1) -> NavsimWorld:
        """The world from an instant on, for so many."""
        tracks, window = self.tracks, slice(start, start + steps)
        objects = ObjectTracks(
            tracks.tokens, tracks.kinds, tracks.sizes,
            tracks.poses[:, window], tracks.velocities[:, window], tracks.present[:, window],
        )  # fmt: skip
        return NavsimWorld(
            EgoStart(*self.states[start].tolist()), self._polygons, self._route.lanes, self._route.centerline, objects,
            self._red_lights(start, steps),
        )  # fmt: skip

    def _red_lights(self, start: int, steps: int) -> tuple[RedLight, ...]:
        """Connectors that are closed at some instant from one on, for so many; nothing is known after the drive."""
        closed = self.log.closed[start : start + steps]
        out = []
        for token, lanes in self._ruled.items():
            red = np.array([token in now for now in closed])
            if red.any():
                out += [RedLight(lane.token, lane.polygon, red) for lane in lanes]
        return tuple(out)

    def whole_drive(self) -> tuple[Drives, NavsimWorld]:
        """The drive as one proposal, and the world in which it took place."""
        world = self.at(0, self.steps)
        return locate(self.states[None], world, self.log.vehicle), world
