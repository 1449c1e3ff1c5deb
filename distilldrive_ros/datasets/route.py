"""The route that a recorded drive took through a lane graph: its centre line and the lanes that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.datasets.map_expansion import Lane
from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.scene.errors import DatasetError

Array = NDArray[np.float64]

# Places of the drive are matched this far apart, m.
SAMPLE_SPACING_M = 2.0
# A lane is a candidate for a place within this distance and angle of its centre line.
MATCH_RADIUS_M = 5.0
MATCH_ANGLE = np.deg2rad(60.0)
# Cost of leaving a lane for one that does not follow it, in square metres of offset.
LANE_CHANGE_COST = 40.0
# The centre line crosses over to the new lane on this length, m.
LANE_CHANGE_LENGTH_M = 15.0
BEHIND_M, AHEAD_M = 20.0, 150.0
# Lanes beside the route in its direction belong to it, as all lanes of a roadblock do.
BESIDE_M = 5.5
BESIDE_ANGLE = np.deg2rad(30.0)


class NoRouteError(DatasetError):
    """No lane of the map runs along a drive."""


@dataclass(frozen=True)
class Route:
    """`centerline` (K, 2) m in driving direction; `lanes`: tokens of all lanes of the route."""

    centerline: Array
    lanes: frozenset[str]


def find_route(lanes: Sequence[Lane], drive: Array) -> Route:
    """Match a drive (N, 3), x, y, heading of the rear axle, to the lanes; the route goes on ahead of its end.

    Raises:
        NoRouteError: no lane is near the drive.
    """
    places = _spaced(drive)
    area = shapely.MultiPoint(places[:, :2]).buffer(BEHIND_M)
    near = [lane for lane in lanes if lane.centerline.intersects(area)]
    paths = [Path(np.asarray(lane.centerline.coords)) for lane in near]
    sequence = _match(near, paths, places)
    if not sequence:
        raise NoRouteError("no lane of the map runs along the drive; the scene has no route to be scored on")
    line = _centerline(near, paths, sequence, places, {lane.token: lane for lane in lanes})
    return Route(line, lanes_beside(lanes, Path(line)))


def _spaced(drive: Array) -> Array:
    """The first place and every one that is `SAMPLE_SPACING_M` from the last taken."""
    taken = [0]
    for index in range(1, len(drive)):
        if np.linalg.norm(drive[index, :2] - drive[taken[-1], :2]) >= SAMPLE_SPACING_M:
            taken.append(index)
    return drive[taken]


def _match(lanes: Sequence[Lane], paths: Sequence[Path], places: Array) -> list[tuple[int, int]]:
    """Best sequence of (place, lane) by Viterbi; places without a lane near are left out."""
    if not lanes:
        return []
    costs = np.stack([_match_cost(path, places) for path in paths], axis=1)
    index = {lane.token: number for number, lane in enumerate(lanes)}
    change = np.full((len(lanes), len(lanes)), LANE_CHANGE_COST)
    np.fill_diagonal(change, 0.0)
    for number, lane in enumerate(lanes):
        change[number, [index[t] for t in lane.successors if t in index]] = 0.0
    rows = np.flatnonzero(np.isfinite(costs).any(axis=1))
    if not len(rows):
        return []
    total, back = costs[rows[0]], []
    for row in rows[1:]:
        through = total[:, None] + change
        back.append(through.argmin(axis=0))
        total = through.min(axis=0) + costs[row]
    chosen = [int(total.argmin())]
    for choices in reversed(back):
        chosen.append(int(choices[chosen[-1]]))
    return list(zip(rows.tolist(), reversed(chosen), strict=True))


def _match_cost(path: Path, places: Array) -> Array:
    along, left = path.locate(places[:, :2])
    foot = path.poses(along)
    # Beyond a lane's end the distance grows along it, which `left` does not see.
    distance = np.maximum(np.hypot(*(places[:, :2] - foot[:, :2]).T), np.abs(left))
    fits = (distance <= MATCH_RADIUS_M) & (np.abs(wrap(foot[:, 2] - places[:, 2])) <= MATCH_ANGLE)
    return np.where(fits, distance**2, np.inf)


def _centerline(
    lanes: Sequence[Lane],
    paths: Sequence[Path],
    sequence: list[tuple[int, int]],
    places: Array,
    graph: dict[str, Lane],
) -> Array:
    """Pieces of the lanes in order, crossing over where the drive changed lanes, and on along the straightest lanes."""
    runs: list[list[int]] = []
    for place, lane in sequence:
        if runs and runs[-1][0] == lane:
            runs[-1][2] = place
        else:
            runs.append([lane, place, place])
    points: list[Array] = []
    for number, (lane, first, last) in enumerate(runs):
        path = paths[lane]
        start, end = (float(path.locate(places[place, :2])[0]) for place in (first, last))
        if number == 0:
            start = max(0.0, start - BEHIND_M)
        elif lanes[lane].token in lanes[runs[number - 1][0]].successors:
            start = 0.0
        else:
            start += LANE_CHANGE_LENGTH_M
        followed = number + 1 < len(runs) and lanes[runs[number + 1][0]].token in lanes[lane].successors
        if followed or number + 1 == len(runs):
            end = path.length
        if end > start:
            points.append(path.poses(np.append(np.arange(start, end, 1.0), end))[:, :2])
    points.append(_onward(lanes[runs[-1][0]], graph))
    line = np.concatenate(points)
    # Metre-spaced pieces may repeat their common end; `Path` drops repetitions.
    return Path(line).points


def _onward(lane: Lane, graph: dict[str, Lane]) -> Array:
    """Points (K, 2) along the lanes that follow, always the straightest, then straight on, `AHEAD_M` in all."""
    out: list[Array] = []
    length = 0.0
    path = Path(np.asarray(lane.centerline.coords))
    while length < AHEAD_M:
        heading = path.poses(path.length)[2]
        following = [graph[t] for t in lane.successors if t in graph]
        if not following:
            out.append(path.poses(path.length + np.arange(0.0, AHEAD_M - length, 5.0))[:, :2])
            break
        options = [Path(np.asarray(option.centerline.coords)) for option in following]
        turns = [abs(float(wrap(np.asarray(option.poses(option.length)[2] - heading)))) for option in options]
        best = int(np.argmin(turns))
        lane, path = following[best], options[best]
        out.append(path.points)
        length += path.length
    return np.concatenate(out) if out else np.zeros((0, 2))


def lanes_beside(lanes: Sequence[Lane], route: Path) -> frozenset[str]:
    """Tokens of the lanes that run along a centre line in its direction, next to it at most."""
    area = shapely.LineString(route.points).buffer(BESIDE_M)
    shapely.prepare(area)
    found = set()
    for lane in lanes:
        if not area.intersects(lane.centerline):
            continue
        path = Path(np.asarray(lane.centerline.coords))
        pose = path.poses(np.linspace(0.0, path.length, max(2, int(path.length))))
        along, left = route.locate(pose[:, :2])
        inside = (along > 0.0) & (along < route.length) & (np.abs(left) <= BESIDE_M)
        turned = np.abs(wrap(route.poses(along)[:, 2] - pose[:, 2]))
        if (inside & (turned <= BESIDE_ANGLE)).any():
            found.add(lane.token)
    return frozenset(found)
