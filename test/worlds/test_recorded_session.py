"""A recorded scene as a world: the demo scene's tables, whose truth is known, and shared data where it is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import shapely

from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.geometry.cameras import project_points
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import DatasetError, WorldError
from distilldrive_ros.worlds.recorded_rig import recorded_rig
from distilldrive_ros.worlds.recorded_session import RecordedSession
from distilldrive_ros.worlds.roadside import footprint, roadside
from distilldrive_ros.worlds.world import EgoState, SceneryKind


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_demo_scene(
        tmp_path_factory.mktemp("demo") / "root", np.random.default_rng(3), DemoSceneOptions(key_frames=5, width=160)
    )
    return made.root


@pytest.fixture(scope="module")
def nuscenes(root: Path) -> NuScenes:
    return NuScenes(root, next(root.glob("*/scene.json")).parent.name)


@pytest.fixture(scope="module")
def session(nuscenes: NuScenes) -> RecordedSession:
    return RecordedSession(nuscenes, nuscenes.scenes[0])


def test_at_key_frames_agents_are_where_the_tables_say_on_the_ground(
    nuscenes: NuScenes, session: RecordedSession
) -> None:
    for sample in nuscenes.samples(nuscenes.scenes[0]):
        agents = {a.id: a for a in session.at(sample.stamp_ns).agents}
        for annotation in nuscenes.annotations(sample):
            agent = agents[annotation.instance_index]
            np.testing.assert_allclose(agent.center[:2], annotation.translation[:2], atol=1e-6)
            assert agent.center[2] == pytest.approx(agent.size[2] / 2)
            assert agent.category == annotation.category
            assert agent.attribute == (annotation.attributes[0] if annotation.attributes else agent.attribute)


def test_between_key_frames_agents_move_evenly(nuscenes: NuScenes, session: RecordedSession) -> None:
    first, second = (s.stamp_ns for s in nuscenes.samples(nuscenes.scenes[0])[:2])
    before, middle, after = ({a.id: a for a in session.at(t).agents} for t in (first, (first + second) // 2, second))
    moved = 0
    for number in set(before) & set(after):
        expected = (before[number].center + after[number].center) / 2
        np.testing.assert_allclose(middle[number].center, expected, atol=1e-6)
        assert before[number].walked <= middle[number].walked <= after[number].walked
        moved += bool(np.hypot(*(after[number].center - before[number].center)[:2]) > 1)
    assert moved


def test_the_ego_drives_as_recorded_or_as_told(nuscenes: NuScenes) -> None:
    session = RecordedSession(nuscenes, nuscenes.scenes[0])
    start = session.snapshot
    assert start.ego.speed > 3
    elsewhere = EgoState(start.ego.position + 1.5, 0.3, 2.0)
    after = session.step(elsewhere)
    assert after.time_ns == start.time_ns + session.period_ns
    assert after.ego is elsewhere
    steps = 1
    while not session.ended:
        session.step(elsewhere)
        steps += 1
    assert steps == (nuscenes.samples(nuscenes.scenes[0])[-1].stamp_ns - start.time_ns) // session.period_ns
    with pytest.raises(WorldError, match="is over"):
        session.step(elsewhere)
    session.close()
    session.close()


def test_place_and_route_fit_the_drive(session: RecordedSession) -> None:
    place = session.place
    road = shapely.union_all(list(place.drivable))
    assert shapely.LineString(session.route.centerline).within(road.buffer(0.1))
    assert session.route.lanes
    assert {lane.token for lane in place.lanes} >= set(session.route.lanes)
    for first, second, command in session.route.turns:
        assert first < second
        assert command in (Command.LEFT, Command.RIGHT)
    for lane in place.lanes:
        assert all(lane.token in place.lane_by_token[t].predecessors for t in lane.successors)
    for thing in place.scenery:
        assert not footprint(thing).intersects(road.buffer(-0.01)), thing


def test_made_up_surroundings_keep_free_what_is_asked_and_repeat() -> None:
    road = shapely.box(0, -4, 120, 4)
    free = [shapely.box(30, 4, 60, 30)]
    first = roadside(road, road, free, np.random.default_rng(4))
    second = roadside(road, road, free, np.random.default_rng(4))
    assert [(t.kind, t.seed, *t.position) for t in first] == [(t.kind, t.seed, *t.position) for t in second]
    kinds = {thing.kind for thing in first}
    assert kinds >= {SceneryKind.BUILDING, SceneryKind.TREE, SceneryKind.STREET_LAMP, SceneryKind.SIGN}
    prints = [footprint(thing) for thing in first]
    assert not any(p.intersects(road) or p.intersects(free[0]) for p in prints)
    tree = shapely.STRtree(prints)
    assert all(len(tree.query(p, predicate="overlaps")) == 0 for p in prints)


def test_the_rig_of_another_width_sees_the_same_directions(nuscenes: NuScenes) -> None:
    full, small = (recorded_rig(nuscenes, nuscenes.scenes[0], width) for width in (None, 80))
    assert {c.channel: (c.width, c.height) for c in small.cameras}["CAM_FRONT"] == (80, 45)
    point = [[1.5, -0.4, 9.0]]
    for large, less in zip(full.cameras, small.cameras, strict=True):
        a, b = (project_points(c.intrinsics, np.eye(4), point)[0][0] for c in (large, less))
        # Pixel centres at whole numbers: the picture's corner is at -0.5.
        np.testing.assert_allclose((a + 0.5) / (160, 90), (b + 0.5) / (80, 45), atol=1e-9)


def test_a_scene_without_its_map_says_which_file_is_missing(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("expansion"))
    version = next(copy.glob("*/scene.json")).parent.name
    bare = NuScenes(copy, version)
    with pytest.raises(DatasetError, match=r"map expansion: copy it to .*expansion"):
        RecordedSession(bare, bare.scenes[0])


def test_night_is_read_from_the_description(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    path = next(copy.glob("*/scene.json"))
    rows = json.loads(path.read_text())
    rows[0]["description"] = "Night, parked cars"
    path.write_text(json.dumps(rows))
    dark = NuScenes(copy, path.parent.name)
    assert RecordedSession(dark, dark.scenes[0]).appearance.sun_elevation_deg < 0


def test_real_scenes_become_places(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "nuscenes-mini-tables"
    if not folder.is_dir():
        pytest.skip("the shared tables are not here")
    nuscenes = NuScenes(folder, "v1.0-mini")
    session = RecordedSession(nuscenes, nuscenes.scene("scene-0061"))
    assert len(session.snapshot.agents) > 50
    assert [turn[2] for turn in session.route.turns] == [Command.LEFT]
    assert len(session.place.scenery) > 200
    riders = {a.attribute for a in session.snapshot.agents}
    assert "vehicle.moving" in riders
