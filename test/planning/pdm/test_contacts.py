"""Contacts of oriented boxes against shapely as the judge."""

from __future__ import annotations

import numpy as np
import shapely

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.planning.pdm.contacts import boxes_touch, find_contacts, segment_touches_box
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import ObjectKind, ObjectTracks


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = np.zeros((count, 7))
    rows[:, :2] = rng.uniform(-4, 4, (count, 2))
    rows[:, 3:5] = rng.uniform(0.3, 5, (count, 2))
    rows[:, 6] = rng.uniform(-np.pi, np.pi, count)
    return ground_corners(rows)


def test_boxes_and_segments_like_shapely() -> None:
    rng = np.random.default_rng(3)
    a, b = boxes(rng, 2000), boxes(rng, 2000)
    judged = shapely.intersects(shapely.polygons(a), shapely.polygons(b))
    assert 300 < judged.sum() < 1900
    np.testing.assert_array_equal(boxes_touch(a, b), judged)
    ends = rng.uniform(-6, 6, (2000, 2, 2))
    judged = shapely.intersects(shapely.linestrings(ends), shapely.polygons(b))
    assert 300 < judged.sum() < 1900
    np.testing.assert_array_equal(segment_touches_box(ends[:, 0], ends[:, 1], b), judged)


def test_found_contacts_are_all_and_only_those_of_present_objects() -> None:
    rng = np.random.default_rng(4)
    count, steps = 40, 12
    poses = np.concatenate([rng.uniform(-25, 25, (count, steps, 2)), rng.uniform(-3, 3, (count, steps, 1))], axis=-1)
    present = rng.random((count, steps)) < 0.7
    poses[~present] = np.nan
    objects = ObjectTracks(
        tuple(map(str, range(count))),
        (ObjectKind.VEHICLE,) * count,
        rng.uniform(0.5, 8, (count, 2)),
        poses,
        np.zeros((count, steps, 2)),
        present,
    )
    ego = np.concatenate([rng.uniform(-20, 20, (30, steps, 2)), rng.uniform(-3, 3, (30, steps, 1))], axis=-1)
    bodies = PACIFICA.corners(ego)
    # The last two bodies are held against instants that nobody knows.
    instants = np.arange(steps) + 2
    found = find_contacts(bodies, np.arange(steps), instants, objects)
    wanted = set()
    for p in range(30):
        for t in range(steps - 2):
            for o in np.flatnonzero(present[:, t + 2]):
                x, y, yaw = poses[o, t + 2]
                other = ground_corners([[x, y, 0, *objects.sizes[o], 0, yaw]])[0]
                if shapely.intersects(shapely.Polygon(bodies[p, t]), shapely.Polygon(other)):
                    wanted.add((p, t, int(o), t + 2))
    assert wanted
    columns = (found.proposal, found.state, found.object, found.instant)
    assert set(zip(*(c.tolist() for c in columns), strict=True)) == wanted
