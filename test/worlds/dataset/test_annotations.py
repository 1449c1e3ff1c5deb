"""Which boxes are annotated."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneIdentity, SceneTables
from distilldrive_ros.worlds.dataset.annotations import Sighting, annotate, sightings
from distilldrive_ros.worlds.dataset.map_frame import MapFrame
from distilldrive_ros.worlds.world import Snapshot

NAN = float("nan")
FRAME = MapFrame(np.array([-100.0, -50.0]), (300.0, 100.0))


@pytest.fixture
def tables() -> SceneTables:
    tables = SceneTables(SceneIdentity("v1.0-x", "scene-2000", "", "here", "car", "log", "2026-01-01"), "salt", [])
    tables.add_samples([0, 500_000, 1_000_000, 1_500_000, 2_000_000])
    return tables


def test_nothing_unseen_is_annotated_but_what_hides_for_a_while(tables: SceneTables, hand_made: ModuleType) -> None:
    car, walker, never = hand_made.AGENTS[0], hand_made.AGENTS[3], hand_made.AGENTS[5]
    seen_car = [(NAN, 0), (0.7, 0), (NAN, 0), (0.2, 9), (NAN, 0)]
    seen_walker = [(1.0, 3), (1.0, 3), (1.0, 0), (NAN, 0), (NAN, 0)]
    key_frames = [
        [Sighting(car, *seen_car[i]), Sighting(walker, *seen_walker[i]), Sighting(never, 0.0, 0)] for i in range(5)
    ]
    assert annotate(tables, key_frames, FRAME) == 6
    rows = tables.rows["sample_annotation"]
    car_rows = [row for row in rows if row["instance_token"] == tables.token("instance/1")]
    assert [row["sample_token"] for row in car_rows] == [tables.token(f"sample/{i}") for i in (1, 2, 3)]
    assert [row["visibility_token"] for row in car_rows] == ["3", "1", "1"]
    assert [row["num_lidar_pts"] for row in car_rows] == [0, 0, 9]
    assert [bool(row["prev"]) for row in car_rows] == [False, True, True]
    assert car_rows[0]["translation"] == [70.0, 48.25, 0.75]
    assert car_rows[0]["size"] == [1.9, 4.5, 1.5]
    assert [row["nbr_annotations"] for row in tables.rows["instance"]] == [3, 3]


def test_points_are_counted_in_the_box_and_far_agents_left_out(hand_made: ModuleType) -> None:
    session = hand_made.HandMadeSession()
    near = session.snapshot.agents[0]
    far = replace(near, id=99, center=near.center + [120.0, 0, 0])
    snapshot = Snapshot(0, session.snapshot.ego, (near, far))
    world_from_lidar = snapshot.ego.world_from_base.copy()
    world_from_lidar[2, 3] = 1.84
    local = np.array([[20.0, 0, -1.0], [20.0, 0.9, -1.0], [20.0, 1.0, -1.0], [22.3, 0, -1.0], [20.0, 0, -1.9]])
    (found,) = sightings(snapshot, {1: 0.5}, local, world_from_lidar)
    assert (found.agent.id, found.visible_share, found.lidar_points) == (1, 0.5, 2)
    (unseen,) = sightings(snapshot, {}, local[4:], world_from_lidar)
    assert np.isnan(unseen.visible_share) and not unseen.seen


def test_category_outside_the_schema_is_refused(tables: SceneTables, hand_made: ModuleType) -> None:
    agent = replace(hand_made.AGENTS[0], category="vehicle.spaceship")
    with pytest.raises(ValueError, match=r"'vehicle\.spaceship' is no name of the nuScenes schema"):
        annotate(tables, [[Sighting(agent, 1.0, 1)]], FRAME)
