"""Worlds and pseudo closed loop on a made-up nuScenes root (always) and on real scenes (where the shared data is)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from distilldrive_ros.bench.scratch_dataset import make_scratch_dataset
from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.map_expansion import Lane
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.route import find_route
from distilldrive_ros.evaluation.navsim.closed_loop import (
    PLANNERS,
    Rollout,
    drive,
    mean_scores,
    plan_constant_velocity,
    recorded_drive,
    score_rollout,
)
from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.evaluation.navsim.traffic import Traffic
from distilldrive_ros.geometry.paths import Path as RoadPath
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.world import MapLayer, ObjectKind, ObjectTracks
from distilldrive_ros.scene.errors import DatasetError


def straight_road() -> dict[str, Any]:
    """A map of one lane along y = 0 that a connector follows, with a road segment that is an intersection."""
    nodes: list[dict[str, Any]] = []

    def box(token: str, x0: float, x1: float) -> dict[str, Any]:
        corners = [(x0, -2.0), (x1, -2.0), (x1, 2.0), (x0, 2.0)]
        names = [f"{token} {number}" for number in range(4)]
        nodes.extend({"token": n, "x": x, "y": y} for n, (x, y) in zip(names, corners, strict=True))
        return {"token": token, "exterior_node_tokens": names, "holes": []}

    def arc(x: float, length: float) -> list[dict[str, Any]]:
        return [{"start_pose": [x, 0.0, 0.0], "shape": "LSR", "radius": 50.0, "segment_length": [0.0, length, 0.0]}]

    return {
        "polygon": [box("p lane", -50, 40), box("p connector", 40, 60), box("p road", -50, 300)],
        "node": nodes,
        "line": [],
        "lane": [{"token": "lane", "polygon_token": "p lane"}],
        "lane_connector": [{"token": "connector", "polygon_token": "p connector"}],
        "drivable_area": [{"token": "road", "polygon_tokens": ["p road"]}],
        "road_segment": [
            {"token": "crossing", "polygon_token": "p connector", "is_intersection": True},
            {"token": "segment", "polygon_token": "p lane", "is_intersection": False},
        ],
        "arcline_path_3": {"lane": arc(-50.0, 90.0), "connector": arc(40.0, 20.0)},
        "connectivity": {"lane": {"incoming": [], "outgoing": ["connector"]}},
    }


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> NuScenes:
    data = make_scratch_dataset(tmp_path_factory.mktemp("root"), np.random.default_rng(0), key_frames=14, turns=5)
    next((data.root / "maps" / "expansion").glob("*.json")).write_text(json.dumps(straight_road()))
    return NuScenes(data.root, data.version)


@pytest.fixture(scope="module")
def real(shared_dir: Path) -> SceneWorlds:
    nuscenes = NuScenes(shared_dir / "data" / "nuscenes-mini-tables", "v1.0-mini")
    return SceneWorlds(nuscenes, nuscenes.scene("scene-0061"))


def test_made_up_scene(made_up: NuScenes) -> None:
    worlds = SceneWorlds(made_up, made_up.scenes[0])
    assert worlds.steps == 66 and worlds.objects.present.any()
    assert np.isfinite(worlds.ego).all()
    np.testing.assert_allclose(worlds.ego[:, 3], worlds.ego[0, 3], atol=0.05)
    layers = sorted(piece.layer.value for piece in worlds.polygons)
    assert layers == ["DRIVABLE_AREA", "INTERSECTION", "LANE", "LANE_CONNECTOR"]
    crossing = next(piece for piece in worlds.polygons if piece.layer is MapLayer.INTERSECTION)
    assert crossing.polygon.bounds == (40.0, -2.0, 60.0, 2.0)
    assert worlds.route.lanes == {"lane", "connector"}
    rollout = drive(worlds, plan_constant_velocity, reactive=False)
    np.testing.assert_allclose(rollout.states[:, :2], worlds.ego[:, :2], atol=0.1)
    windows = score_rollout(worlds, rollout)
    assert len(windows) == 4
    assert all(0.0 <= value <= 1.0 for value in mean_scores(windows).values())
    with pytest.raises(ScoringError, match="instants 0 to 65"):
        worlds.world(66)


def test_missing_map_is_named(made_up: NuScenes, tmp_path: Path) -> None:
    (tmp_path / made_up.version).symlink_to(made_up.dataroot / made_up.version)
    bare = NuScenes(tmp_path, made_up.version)
    with pytest.raises(ScoringError, match="map expansion"):
        SceneWorlds(bare, bare.scenes[0])


def test_real_scene_is_driven_well_by_its_driver(real: SceneWorlds) -> None:
    """A left turn through road works: the recorded driver keeps to the route, hits nobody and leaves no road."""
    route = RoadPath(real.route.centerline)
    along, left = route.locate(real.ego[:, :2])
    assert np.abs(left).max() < 2.0 and (np.diff(along) >= -0.01).all()
    assert route.length > along.max() + 100.0
    headings = np.unwrap(route.poses(np.arange(0.0, route.length))[:, 2])
    assert np.abs(np.diff(headings)).max() < 0.3
    means = mean_scores(score_rollout(real, recorded_drive(real)))
    assert means["no_at_fault_collision"] == means["drivable_area"] == means["driving_direction"] == 1.0
    assert means["score"] > 0.7


@pytest.mark.slow
def test_planners_in_closed_loop_on_a_real_scene(real: SceneWorlds) -> None:
    """Straight on leaves the road in a turn; the reference planner follows the route."""
    straight = mean_scores(score_rollout(real, drive(real, PLANNERS["constant_velocity"], reactive=False)))
    rollout = drive(real, PLANNERS["pdm_closed"], reactive=True)
    planned = mean_scores(score_rollout(real, rollout))
    assert straight["drivable_area"] < 0.3 and planned["drivable_area"] == 1.0
    assert planned["score"] > straight["score"] + 0.5
    again = drive(real, PLANNERS["pdm_closed"], reactive=True)
    np.testing.assert_array_equal(again.states, rollout.states)
    assert isinstance(again, Rollout)


def follower(gap: float, speed: float = 8.0, steps: int = 150) -> ObjectTracks:
    """A car that was recorded at constant speed straight through where the ego may stand."""
    poses = np.zeros((1, steps, 3))
    poses[0, :, 0] = -gap + speed * 0.1 * np.arange(steps)
    velocities = np.zeros((1, steps, 2))
    velocities[..., 0] = speed
    return ObjectTracks(
        ("1",), (ObjectKind.VEHICLE,), np.array([[4.6, 1.9]]), poses, velocities, np.ones((1, steps), bool)
    )


def advanced(tracks: ObjectTracks, reactive: bool, ego: Any) -> ObjectTracks:
    traffic = Traffic(tracks, reactive)
    for step in range(tracks.steps - 1):
        traffic.advance(step, ego)
    return traffic.tracks


def test_reactive_car_stops_behind_the_ego_and_log_replay_does_not() -> None:
    recorded = follower(50.0)
    standing = np.zeros(11)
    replayed, reacting = (advanced(recorded, reactive, standing) for reactive in (False, True))
    np.testing.assert_array_equal(replayed.poses, recorded.poses)
    front, rear_bumper = reacting.poses[0, :, 0] + 2.3, -1.127
    assert front.max() < rear_bumper and front[-1] > rear_bumper - 5.0
    assert np.linalg.norm(reacting.velocities[0, -1]) < 0.5


def test_reactive_car_without_hindrance_moves_as_recorded() -> None:
    recorded = follower(50.0)
    far = np.zeros(11)
    far[:2] = 20.0, 60.0
    np.testing.assert_allclose(advanced(recorded, True, far).poses, recorded.poses, atol=1e-6)


def lane(token: str, points: list[list[float]], successors: tuple[str, ...] = (), connector: bool = False) -> Lane:
    line = shapely.LineString(points)
    return Lane(token, connector, line.buffer(1.75, cap_style="flat"), line, successors)


def test_route_follows_successors_and_lane_changes() -> None:
    lanes = [
        lane("a", [[0, 0], [50, 0]], ("b", "turn")),
        lane("turn", [[50, 0], [60, 3], [65, 20]], connector=True),
        lane("b", [[50, 0], [100, 0]]),
        lane("left", [[0, 3.5], [100, 3.5]]),
        lane("oncoming", [[100, 7], [0, 7]]),
    ]
    straight = np.stack([np.arange(5.0, 95.0), np.zeros(90), np.zeros(90)], axis=-1)
    route = find_route(lanes, straight)
    assert {"a", "b", "left"} <= route.lanes and "oncoming" not in route.lanes
    np.testing.assert_allclose(route.centerline[:, 1], 0.0, atol=1e-9)
    assert route.centerline[0, 0] == 0.0 and route.centerline[-1, 0] > 200.0
    changing = straight.copy()
    changing[:, 1] = 3.5 / (1 + np.exp(-(changing[:, 0] - 40.0) / 3.0))
    moved = find_route(lanes, changing)
    assert moved.centerline[0, 1] == 0.0 and moved.centerline[-1, 1] == pytest.approx(3.5)
    across = RoadPath(moved.centerline).locate(changing[:, :2])[1]
    assert np.abs(across).max() < 1.8
    with pytest.raises(DatasetError, match="no lane"):
        find_route(lanes, straight + [0.0, 300.0, 0.0])
    assert find_route(lanes, straight[:1]).lanes >= {"a"}


def test_command_line(made_up: NuScenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "navsim.json"
    root = ["navsim", "--dataroot", str(made_up.dataroot), "--version", made_up.version]
    assert main([*root, "--planner", "ctra", "--agents", "log", "--json", str(out)]) == 0
    content = json.loads(out.read_text())
    assert [(row["planner"], row["windows"]) for row in content["total"]] == [("recorded", 4), ("ctra", 4)]
    printed = capsys.readouterr().out
    assert "PDMS" in printed and f"{100 * content['total'][1]['PDMS']:.1f}" in printed
    assert main([*root, "--scene", "no such scene"]) != 0
    assert "no such scene" in capsys.readouterr().err
