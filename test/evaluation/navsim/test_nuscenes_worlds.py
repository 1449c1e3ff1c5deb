"""Worlds and pseudo closed loop on a made-up nuScenes root (always) and on real scenes (where the shared data is)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.bags.convert import convert_scene
from distilldrive_ros.bench.scratch_dataset import make_scratch_dataset
from distilldrive_ros.cli.main import main
from distilldrive_ros.cli.navsim import planner_factory
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.evaluation.navsim.closed_loop import Rollout, WindowScorer, drive, recorded_drive
from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.evaluation.navsim.planners import Planner, ReferencePlanner
from distilldrive_ros.evaluation.navsim.summary import Row, summarise_windows
from distilldrive_ros.evaluation.navsim.traffic import Traffic
from distilldrive_ros.geometry.paths import Path as RoadPath
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.world import MapLayer, ObjectKind, ObjectTracks
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import Degraded


def planner(word: str) -> Planner:
    return planner_factory(word)("any scene")


def means(worlds: SceneWorlds, rollout: Rollout) -> Row:
    return summarise_windows("any", "log", WindowScorer(worlds).of_rollout(rollout))


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
    rollout = drive(worlds, planner("constant_velocity"), reactive=False)
    np.testing.assert_allclose(rollout.states[:, :2], worlds.ego[:, :2], atol=0.1)
    row = means(worlds, rollout)
    assert row.windows == 4
    assert all(0.0 <= value <= 1.0 for value in (*row.pdms.values(), *row.epdms.values()))
    assert row.epdms.keys() >= {"LK", "HC", "EC", "EPDMS"}
    recorded = means(worlds, recorded_drive(worlds))
    assert "EC" not in recorded.epdms, "the recorded driver has no plans"
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
    row = means(real, recorded_drive(real))
    assert row.pdms["NC"] == row.pdms["DAC"] == row.pdms["DDC"] == 1.0
    assert row.pdms["PDMS"] > 0.7 and row.epdms["EPDMS"] > 0.9


@pytest.mark.slow
def test_planners_in_closed_loop_on_a_real_scene(real: SceneWorlds) -> None:
    """Straight on leaves the road in a turn; the reference planner follows the route."""
    straight = means(real, drive(real, planner("constant_velocity"), reactive=False))
    rollout = drive(real, ReferencePlanner(), reactive=True)
    planned = means(real, rollout)
    assert straight.pdms["DAC"] < 0.3 and planned.pdms["DAC"] == 1.0
    for kind, score in (("pdms", "PDMS"), ("epdms", "EPDMS")):
        assert getattr(planned, kind)[score] > getattr(straight, kind)[score] + 0.5
    again = drive(real, ReferencePlanner(), reactive=True)
    np.testing.assert_array_equal(again.states, rollout.states)


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


def test_commands_are_those_of_the_bags(made_up: NuScenes) -> None:
    worlds = SceneWorlds(made_up, made_up.scenes[0])
    assert {worlds.command(step) for step in range(worlds.steps)} == {Command.STRAIGHT}


def test_plans_are_driven_one_by_one_and_missing_ones_counted(made_up: NuScenes) -> None:
    worlds = SceneWorlds(made_up, made_up.scenes[0])
    scorer = WindowScorer(worlds)
    positions = np.stack([worlds.ego[0, 3] * 0.5 * np.arange(1, 7), np.zeros(6)], axis=-1)
    candidate = Candidate(0, Command.STRAIGHT, 1.0, InvalidReason.VALID, 0.5, positions, np.zeros(6), None)

    def plan(step: int, candidates: tuple[Candidate, ...] = (candidate,)) -> PlanCandidates:
        stamp = int(worlds.stamps_ns[step])
        selected = len(candidates) - 1
        return PlanCandidates(
            stamp, "base_link", 0, "m", ScoreType.SOFTMAX, Command.STRAIGHT, Degraded.NONE, selected, candidates
        )

    broken = replace(candidate, positions=positions * np.nan)
    plans = {p.stamp_ns + 20_000_000: p for p in (plan(0), plan(5), plan(10, ()), plan(15, (broken,)))}
    windows, missing = scorer.of_plans(plans)
    assert [w.start for w in windows] == [0, 5] and missing == 2
    # Three seconds of plan, extended straight on: as the recorded vehicle, which keeps its speed.
    np.testing.assert_allclose(windows[1].driven[-1, :2], worlds.ego[45, :2], atol=0.2)
    assert windows[0].epdms.extended_comfort is None and windows[1].epdms.extended_comfort is not None
    assert scorer.of_plans({}) == ([], 4)
    row = summarise_windows("m", "single plans", [], 4)
    assert (row.windows, row.without_plan, row.pdms, row.epdms) == (0, 4, {}, {})


def test_command_line(made_up: NuScenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "new" / "navsim.json", tmp_path / "new" / "navsim.html"
    root = ["navsim", "--dataroot", str(made_up.dataroot), "--version", made_up.version]
    assert main([*root, "--planner", "ctra", "--agents", "log", "--json", str(out), "--html", str(page)]) == 0
    content = json.loads(out.read_text())
    assert [(row["planner"], row["agents"], row["windows"]) for row in content["total"]] == [
        ("recorded", "log", 4), ("ctra", "log", 4),
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "EPDMS" in printed and f"{100 * content['total'][1]['pdms']['PDMS']:.1f}" in printed
    html = page.read_text()
    assert html.count("<svg") == 2 and "EPDMS (NAVSIM v2)" in html
    for forbidden in ("http://", "https://", "<script src", "<link"):
        assert forbidden not in html.replace("http://www.w3.org", "")


def test_mistakes_are_one_line_each(made_up: NuScenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["navsim", "--dataroot", str(made_up.dataroot), "--version", made_up.version]
    for words, said in (
        (["--scene", "no such scene"], "no such scene"),
        (["--planner", "diffusiondrive_tiny"], "needs sensors, which pseudo closed loop does not simulate"),
        (["--planner", "moon"], "planner 'moon' is unknown"),
        (["--planner", "ctra", "--planner", "ctra"], "the same column twice"),
        (["--planner", f"ego_mlp={tmp_path}"], "no weights that were trained without"),
        (["--plans", "student"], "must be NAME=BAG"),
        (["--plans", f"student={tmp_path / 'none'}"], "there is no bag"),
    ):
        assert main([*root, *words]) == 2, words
        error = capsys.readouterr().err
        assert said in error and len(error.strip().splitlines()) == 1


def test_a_scene_that_cannot_be_scored_is_left_out_and_named(
    made_up: NuScenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = make_scratch_dataset(tmp_path / "short", np.random.default_rng(1), key_frames=5, turns=1)
    assert main(["navsim", "--dataroot", str(short.root), "--version", short.version]) == 2
    assert "no scene can be scored" in capsys.readouterr().err
    bare = tmp_path / "bare"
    (bare / made_up.version).parent.mkdir()
    (bare / made_up.version).symlink_to(made_up.dataroot / made_up.version)
    assert main(["navsim", "--dataroot", str(bare), "--version", made_up.version]) == 2
    assert "download the nuScenes map expansion" in capsys.readouterr().err


def test_plans_of_a_replay_on_the_command_line(
    made_up: NuScenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, out = tmp_path / "bag", tmp_path / "out.json"
    convert_scene(made_up, made_up.scenes[0], bag, sweeps=False)
    assert main(["replay", str(bag), "--model", "ctra", "--out", str(tmp_path)]) == 0
    plans = f"replayed={tmp_path / 'plans.mcap'}"
    root = ["navsim", "--dataroot", str(made_up.dataroot), "--version", made_up.version]
    assert main([*root, "--plans", plans, "--json", str(out)]) == 0
    recorded, replayed = json.loads(out.read_text())["total"]
    assert (replayed["planner"], replayed["agents"], replayed["windows"]) == ("replayed", "single plans", 4)
    # The recorded vehicle goes straight on at one speed, and so does the plan.
    assert replayed["pdms"]["PDMS"] == pytest.approx(recorded["pdms"]["PDMS"], abs=0.05)
    assert "note:" not in capsys.readouterr().out
    assert main(["replay", str(bag), "--model", "ego_mlp", "--out", str(tmp_path), "--force"]) == 0
    capsys.readouterr()
    assert main([*root, "--plans", plans]) == 0
    assert "note: replayed: the weights are untrained: these numbers mean nothing" in capsys.readouterr().out
