"""NAVSIM worlds of a nuScenes scene: recorded tracks, map expansion, the route that the recorded vehicle took.

The ego is driven as NAVSIM's vehicle, which is larger than the recorded one; nuScenes' ego frame is the rear axle, as
NAVSIM's is. nuScenes records no traffic lights, so that no connector is ever closed. Where the map says nothing about
intersections, connectors whose centre lines cross form them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.ego_track import EgoTrack
from distilldrive_ros.datasets.map_expansion import MapExpansion, open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.records import Scene
from distilldrive_ros.datasets.route import Route, find_route
from distilldrive_ros.datasets.route_region import RoadAreas, road_areas
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.states import STATE_SIZE, State
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import (
    KIND_OF_CLASS,
    TIME_STEP_S,
    TRACK_STATES_V1,
    EgoStart,
    MapLayer,
    MapPolygon,
    NavsimWorld,
    ObjectTracks,
)
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import CLASS_NAMES

Array = NDArray[np.float64]

WINDOW_STEPS = 5
STEP_NS = round(TIME_STEP_S * 1e9)
# Map around the drive that is kept, m.
MAP_MARGIN_M = 100.0
# Half the time over which acceleration and yaw acceleration are differences, s.
DIFFERENCE_S = 0.2


class SceneWorlds:
    """Worlds of one scene, on a grid of 0.1 s that starts at its first key frame.

    Arrays are in the map's coordinates: `ego` (T, 11) recorded states, `objects` all tracks over the T instants.
    """

    def __init__(self, nuscenes: NuScenes, scene: Scene) -> None:
        """Read a scene.

        Raises:
            DatasetError: tables or the map contradict themselves.
            ScoringError: the scene has no map, fewer than two key frames, or no route.
        """
        self.name = scene.name
        expansion = open_map(nuscenes.dataroot, scene.location)
        if expansion is None:
            raise ScoringError(
                f"{scene.name}: no maps/expansion/{scene.location}.json under {nuscenes.dataroot}; "
                "download the nuScenes map expansion"
            )
        source = SceneSource(nuscenes, scene, expansion)
        samples = source.samples
        if len(samples) < 2:
            raise ScoringError(f"{scene.name} has {len(samples)} key frame(s); two or more are needed")
        self._key_frames = source.key_frames
        self.stamps_ns = np.arange(samples[0].stamp_ns, samples[-1].stamp_ns + 1, STEP_NS)
        self.ego = _ego_states(source.track, self.stamps_ns)
        self.objects = _tracks(source, self.stamps_ns)
        self._expansion = expansion
        self.route: Route = find_route(expansion.lanes, self.ego[:, :3])

    @property
    def steps(self) -> int:
        """Instants T."""
        return len(self.stamps_ns)

    @property
    def window_starts(self) -> range:
        """Instants, half a second apart, whose objects are known for 5 s."""
        return range(0, self.steps - TRACK_STATES_V1 + 1, WINDOW_STEPS)

    def command(self, step: int) -> Command:
        """Driving command of the key frame that holds at an instant, read off the recorded drive as in bags."""
        reached = [k for k in self._key_frames if k.stamp_ns <= self.stamps_ns[step]]
        return (reached or self._key_frames)[-1 if reached else 0].command.command

    @cached_property
    def polygons(self) -> tuple[MapPolygon, ...]:
        """The map around the drive."""
        low, high = self.ego[:, :2].min(axis=0) - MAP_MARGIN_M, self.ego[:, :2].max(axis=0) + MAP_MARGIN_M
        return map_polygons(self._expansion, shapely.box(*low, *high))

    def world(self, step: int, ego: Array | None = None, objects: ObjectTracks | None = None) -> NavsimWorld:
        """The world at an instant.

        Args:
            step: number of the instant.
            ego: state (11,) of the ego, default as recorded.
            objects: all tracks over the scene, default as recorded.

        Raises:
            ScoringError: the instant does not exist.
        """
        if not 0 <= step < self.steps:
            raise ScoringError(f"{self.name} has instants 0 to {self.steps - 1}, not {step}")
        state = self.ego[step] if ego is None else ego
        return NavsimWorld(
            ego=EgoStart(*(float(value) for value in state)),
            polygons=self.polygons,
            route=self.route.lanes,
            centerline=self.route.centerline,
            objects=self.window(self.objects if objects is None else objects, step),
        )

    def window(self, objects: ObjectTracks, step: int) -> ObjectTracks:
        """Of tracks over the scene, the 5 s from an instant on."""
        part = slice(step, step + TRACK_STATES_V1)
        return replace(
            objects,
            poses=objects.poses[:, part],
            velocities=objects.velocities[:, part],
            present=objects.present[:, part],
        )


def map_polygons(expansion: MapExpansion, area: shapely.Polygon) -> tuple[MapPolygon, ...]:
    """Polygons of a map expansion that meet an area; drivable areas are cut to it."""
    return area_polygons(road_areas(expansion, area))


def area_polygons(areas: RoadAreas) -> tuple[MapPolygon, ...]:
    """Pieces of a map as the scorers know them."""
    out = [
        MapPolygon(lane.token, MapLayer.LANE_CONNECTOR if lane.is_connector else MapLayer.LANE, lane.polygon)
        for lane in areas.lanes
        if not lane.polygon.is_empty
    ]
    for layer, found in (
        (MapLayer.DRIVABLE_AREA, areas.drivable),
        (MapLayer.CARPARK_AREA, areas.carparks),
        (MapLayer.INTERSECTION, areas.intersections),
    ):
        out += [MapPolygon(f"{layer.value} {number}", layer, g) for number, g in enumerate(found)]
    return tuple(out)


def _ego_states(track: EgoTrack, stamps_ns: NDArray[np.int64]) -> Array:
    """Recorded states (T, 11); the steering angle is that of a bicycle with NAVSIM's wheel base."""
    twists = track.twists()

    def at(values: Array, stamps: NDArray[np.int64]) -> Array:
        return np.interp((stamps - stamps_ns[0]) / 1e9, (track.stamps_ns - stamps_ns[0]) / 1e9, values)

    translations, q = track.poses_at(stamps_ns)
    shift = round(DIFFERENCE_S * 1e9)
    early = np.maximum(stamps_ns - shift, track.stamps_ns[0])
    late = np.minimum(stamps_ns + shift, track.stamps_ns[-1])
    elapsed = np.maximum((late - early) / 1e9, 1e-6)
    speed, yaw_rate = twists.linear[:, 0], twists.angular[:, 2]
    out = np.zeros((len(stamps_ns), STATE_SIZE))
    out[:, State.X], out[:, State.Y] = translations[:, 0], translations[:, 1]
    out[:, State.HEADING] = np.arctan2(
        2 * (q[:, 0] * q[:, 3] + q[:, 1] * q[:, 2]), 1 - 2 * (q[:, 2] ** 2 + q[:, 3] ** 2)
    )
    out[:, State.VX] = at(speed, stamps_ns)
    out[:, State.AX] = (at(speed, late) - at(speed, early)) / elapsed
    out[:, State.YAW_RATE] = at(yaw_rate, stamps_ns)
    out[:, State.YAW_ACCELERATION] = (at(yaw_rate, late) - at(yaw_rate, early)) / elapsed
    out[:, State.STEERING_ANGLE] = PACIFICA.steering_angle(out[:, State.VX], out[:, State.YAW_RATE])
    return out


def _tracks(source: SceneSource, stamps_ns: NDArray[np.int64]) -> ObjectTracks:
    """Annotations of all detection classes, interpolated between key frames, absent outside their track."""
    boxes = source.boxes
    key_frames = np.repeat([sample.stamp_ns for sample in source.samples], np.diff(boxes.starts))
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(boxes.ids.tolist()):
        rows_of[number].append(row)
    count, steps = len(rows_of), len(stamps_ns)
    poses, velocities = np.zeros((count, steps, 3)), np.zeros((count, steps, 2))
    present = np.zeros((count, steps), bool)
    q = boxes.rotations
    yaw = np.arctan2(2 * (q[:, 0] * q[:, 3] + q[:, 1] * q[:, 2]), 1 - 2 * (q[:, 2] ** 2 + q[:, 3] ** 2))
    for index, rows in enumerate(rows_of.values()):
        known = (key_frames[rows] - stamps_ns[0]) / 1e9
        wanted = (stamps_ns - stamps_ns[0]) / 1e9
        # An object that was seen once is there until the next key frame would have shown it.
        present[index] = (wanted >= known[0] - 1e-6) & (wanted <= max(known[-1], known[0] + 0.25))
        for axis in range(2):
            poses[index, :, axis] = np.interp(wanted, known, boxes.centers[rows, axis])
        poses[index, :, 2] = wrap(np.interp(wanted, known, np.unwrap(yaw[rows])))
        if len(rows) > 1:
            after = np.clip(np.searchsorted(known, wanted, side="right"), 1, len(known) - 1)
            centers = boxes.centers[rows, :2]
            gap = (known[after] - known[after - 1])[:, None]
            velocities[index] = (centers[after] - centers[after - 1]) / gap
    first_rows = [rows[0] for rows in rows_of.values()]
    return ObjectTracks(
        tokens=tuple(map(str, rows_of)),
        kinds=tuple(KIND_OF_CLASS[CLASS_NAMES[boxes.classes[row]]] for row in first_rows),
        sizes=boxes.sizes[first_rows, :2].reshape(count, 2),
        poses=poses,
        velocities=velocities,
        present=present,
    )
