"""A recorded scene as a world that runs: its objects move as they did, whatever the ego does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.driving_command import driving_commands
from distilldrive_ros.datasets.ego_track import EgoTrack
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL, NuScenes
from distilldrive_ros.datasets.records import Annotation, Scene
from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.geometry.poses import pose_matrix, yaw_of
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import DatasetError, WorldError
from distilldrive_ros.worlds.nuscenes_place import place_from_map, seed_of
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import Agent, Appearance, EgoState, Place, Snapshot

Array = NDArray[np.float64]

PERIOD_NS = 100_000_000
# An object is there this long before its first and after its last annotation: cameras open before the LiDAR, ns.
TOLERANCE_NS = 60_000_000
MOVING_MPS = 0.4
BRAKING_MPS2 = -1.2
# A cycle that never gets this far is parked, m.
PARKED_CYCLE_M = 3.0


@dataclass(frozen=True)
class _Track:
    """An object through the scene: stamps (n,), centres (n, 2), unwrapped yaws (n,), `walked` (n,) m, speeds (n,)."""

    id: int
    category: str
    attributes: tuple[str, ...]
    size: Array
    stamps_ns: NDArray[np.int64]
    centers: Array
    yaws: Array
    walked: Array
    velocities: Array


class RecordedSession:
    """A `WorldSession` over a scene of tables; set on flat ground, with houses and trees made up."""

    def __init__(self, nuscenes: NuScenes, scene: Scene) -> None:
        """Read the scene.

        Raises:
            DatasetError: tables or the map are damaged, or there is no map expansion for the place.
        """
        samples = nuscenes.samples(scene)
        data = nuscenes.sample_data(scene, samples)
        self.name, self.description = scene.name, scene.description
        self._ego = EgoTrack((d.stamp_ns, nuscenes.ego_pose(d.ego_pose_token)) for d in data)
        self._stamps = [s.stamp_ns for s in samples]
        self._tracks = _tracks([(s.stamp_ns, nuscenes.annotations(s)) for s in samples])
        self.place = self._place(nuscenes, scene)
        seed = seed_of(scene.token)
        self.appearance = _appearance(scene.description, seed)
        self.route = self._route(nuscenes, scene)
        self._now = self._stamps[0]
        self._snapshot = self.at(self._now)

    @property
    def snapshot(self) -> Snapshot:
        """The world now."""
        return self._snapshot

    @property
    def period_ns(self) -> int:
        """Time of one step."""
        return PERIOD_NS

    @property
    def ended(self) -> bool:
        """Whether the recording is over."""
        return self._now + PERIOD_NS > self._stamps[-1]

    def step(self, ego: EgoState) -> Snapshot:
        """The world `period_ns` later, with the ego where it is told to be.

        Raises:
            WorldError: the recording is over.
        """
        if self.ended:
            raise WorldError(f"scene {self.name} is over; start it anew")
        self._now += PERIOD_NS
        self._snapshot = self.at(self._now, ego)
        return self._snapshot

    def close(self) -> None:
        """Nothing is held."""

    def at(self, stamp_ns: int, ego: EgoState | None = None) -> Snapshot:
        """The world at a stamp within the recording, with the recorded ego unless another is given.

        Raises:
            WorldError: the ego was not recorded at that stamp.
        """
        state = ego or self.recorded_ego(stamp_ns)
        agents = (_agent(track, stamp_ns) for track in self._tracks)
        return Snapshot(stamp_ns, state, tuple(a for a in agents if a is not None))

    def recorded_ego(self, stamp_ns: int) -> EgoState:
        """How the ego drove, without roll, pitch and height.

        Raises:
            WorldError: it was not recorded at that stamp.
        """
        pose = self._ego.pose_at(stamp_ns)
        if pose is None:
            raise WorldError(f"scene {self.name} was not recorded at {stamp_ns} ns; its tables end before")
        step = 100_000_000
        around = [self._ego.pose_at(s) for s in (stamp_ns - step, stamp_ns + step)]
        first, last = (p if p is not None else pose for p in around)
        seconds = sum(step for p in around if p is not None) / 1e9
        travelled = (last[:2, 3] - first[:2, 3]) @ pose[:2, 0]
        turned = (yaw_of(last) - yaw_of(first) + np.pi) % (2 * np.pi) - np.pi
        speed, rate = (float(v / seconds) if seconds else 0.0 for v in (travelled, turned))
        return EgoState(pose[:2, 3].copy(), yaw_of(pose), speed, yaw_rate=rate)

    def _place(self, nuscenes: NuScenes, scene: Scene) -> Place:
        expansion = open_map(nuscenes.dataroot, scene.location)
        if expansion is None:
            path = nuscenes.dataroot / "maps" / "expansion" / f"{scene.location}.json"
            raise DatasetError(f"scene {scene.name} cannot be shown without its map expansion: copy it to {path}")
        boxes = [
            [*center, 0.0, *track.size, yaw]
            for track in self._tracks
            for center, yaw in zip(track.centers, track.yaws, strict=True)
        ]
        outlines = shapely.polygons(ground_corners(boxes)) if boxes else []
        keep_free = list(shapely.get_parts(shapely.union_all(outlines)))
        return place_from_map(
            expansion, scene.location, self._ego.translations[:, :2], keep_free, seed_of(scene.location)
        )

    def _route(self, nuscenes: NuScenes, scene: Scene) -> Route:
        """The way that was driven, with the turns that the tables' own rule reads from it."""
        poses = [self._ego.pose_at(s) for s in self._stamps]
        lidar = next(d for d in nuscenes.sample_data(scene) if d.channel == LIDAR_CHANNEL)
        mount = nuscenes.calibrated_sensor(lidar.calibrated_sensor_token).base_from_sensor
        commands = [c.command for c in driving_commands([p @ mount for p in poses if p is not None])]
        line = self._ego.translations[:, :2]
        moved = np.append(True, np.hypot(*np.diff(line, axis=0).T) > 0.05)
        line = line[moved]
        if len(line) < 2:
            ahead = self.recorded_ego(self._stamps[0]).world_from_base[:2, 0]
            line = np.stack([line[0], line[0] + ahead])
        whole = shapely.LineString(line)
        places = [whole.project(shapely.Point(p[:2, 3])) for p in poses if p is not None]
        turns: list[tuple[float, float, Command]] = []
        for place, after, command in zip(places[:-1], places[1:], commands[:-1], strict=True):
            if command is Command.STRAIGHT or after <= place:
                continue
            if turns and turns[-1][2] is command and turns[-1][1] >= place:
                turns[-1] = (turns[-1][0], after, command)
            else:
                turns.append((place, after, command))
        return Route(_lanes_along(self.place, line), line, tuple(turns))


def _lanes_along(place: Place, line: Array) -> tuple[str, ...]:
    """Tokens of the lanes that a drive (N, 2) passes, in order."""
    tree = shapely.STRtree([lane.polygon for lane in place.lanes])
    tokens: list[str] = []
    for point, along in zip(line[:-1], np.diff(line, axis=0), strict=True):
        found = [place.lanes[i] for i in tree.query(shapely.Point(point), predicate="intersects")]
        if not found:
            continue
        best = max(found, key=lambda lane: _agreement(lane.centerline, point, along))
        if not tokens or tokens[-1] != best.token:
            tokens.append(best.token)
    return tuple(tokens)


def _agreement(centerline: Array, point: Array, along: Array) -> float:
    """How well a lane's direction near a point is that of the motion, less its distance."""
    nearest = int(np.argmin(np.hypot(*(centerline - point).T)[:-1]))
    direction = centerline[nearest + 1] - centerline[nearest]
    cosine = float(direction @ along / max(np.linalg.norm(direction) * np.linalg.norm(along), 1e-9))
    return cosine - 0.3 * float(np.hypot(*(centerline[nearest] - point)))


def _tracks(frames: list[tuple[int, list[Annotation]]]) -> tuple[_Track, ...]:
    by_instance: dict[int, list[tuple[int, Annotation]]] = defaultdict(list)
    for stamp_ns, boxes in frames:
        for annotation in boxes:
            by_instance[annotation.instance_index].append((stamp_ns, annotation))
    return tuple(_track(instance, rows) for instance, rows in sorted(by_instance.items()))


def _track(instance: int, rows: list[tuple[int, Annotation]]) -> _Track:
    stamps = np.array([stamp for stamp, _ in rows], np.int64)
    centers = np.array([a.translation[:2] for _, a in rows])
    yaws = np.unwrap([yaw_of(pose_matrix(a.translation, a.rotation)) for _, a in rows])
    steps = np.hypot(*np.diff(centers, axis=0).T)
    velocities = np.gradient(centers, stamps / 1e9, axis=0) if len(rows) > 1 else np.zeros((1, 2))
    return _Track(
        id=instance,
        category=rows[0][1].category,
        attributes=tuple(a.attributes[0] if a.attributes else "" for _, a in rows),
        size=np.median([a.size for _, a in rows], axis=0),
        stamps_ns=stamps,
        centers=centers,
        yaws=yaws,
        walked=np.append(0.0, np.cumsum(steps)),
        velocities=velocities,
    )


def _agent(track: _Track, stamp_ns: int) -> Agent | None:
    if not track.stamps_ns[0] - TOLERANCE_NS <= stamp_ns <= track.stamps_ns[-1] + TOLERANCE_NS:
        return None

    def now(values: Array) -> float:
        return float(np.interp(stamp_ns, track.stamps_ns, values))

    velocity = np.array([now(track.velocities[:, 0]), now(track.velocities[:, 1])])
    speed = np.hypot(*track.velocities.T)
    slowing = len(speed) > 1 and now(np.gradient(speed, track.stamps_ns / 1e9)) < BRAKING_MPS2
    said = track.attributes[int(np.argmin(np.abs(track.stamps_ns - stamp_ns)))]
    return Agent(
        id=track.id,
        category=track.category,
        attribute=said or _usual_attribute(track, float(np.hypot(*velocity))),
        center=np.array([now(track.centers[:, 0]), now(track.centers[:, 1]), track.size[2] / 2]),
        yaw=now(track.yaws),
        size=track.size,
        velocity=velocity,
        seed=track.id,
        walked=now(track.walked),
        braking=bool(slowing or (speed.max() > MOVING_MPS and np.hypot(*velocity) < MOVING_MPS)),
    )


def _usual_attribute(track: _Track, speed: float) -> str:
    """An attribute where the tables have none, read from the motion."""
    moving = speed > MOVING_MPS
    if track.category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider" if track.walked[-1] > PARKED_CYCLE_M else "cycle.without_rider"
    if track.category.startswith("vehicle."):
        if moving:
            return "vehicle.moving"
        return "vehicle.stopped" if track.walked[-1] > PARKED_CYCLE_M else "vehicle.parked"
    if track.category.startswith("human."):
        return "pedestrian.moving" if moving else "pedestrian.standing"
    return ""


def _appearance(description: str, seed: int) -> Appearance:
    """Light as the scene's description says; the rest is chosen by the seed."""
    rng = np.random.default_rng(seed)
    words = description.lower()
    azimuth, overcast = float(rng.uniform(0, 360)), float(rng.uniform(0.1, 0.5))
    if "night" in words:
        return Appearance(azimuth, -10.0, 500.0, 0.3, seed)
    if "rain" in words:
        return Appearance(azimuth, float(rng.uniform(25, 60)), 160.0, 1.0, seed)
    return Appearance(azimuth, float(rng.uniform(30, 65)), float(rng.uniform(350, 700)), overcast, seed)
