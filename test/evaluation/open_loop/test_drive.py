"""From a converted bag to samples: the truth as a plan scores zero, in whatever frame; nothing vanishes uncounted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.bags.convert import convert_scene
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.evaluation.open_loop.drive import DriveTruth, planning_samples, read_drive_truth
from distilldrive_ros.evaluation.open_loop.planning import Unscored, score_sample
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import Degraded

KEY_FRAMES = 9


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> DriveTruth:
    folder = tmp_path_factory.mktemp("drive")
    make_demo_scene(folder / "root", np.random.default_rng(1), DemoSceneOptions(key_frames=KEY_FRAMES, width=160))
    nuscenes = NuScenes(folder / "root", VERSION)
    (scene,) = nuscenes.scenes
    convert_scene(nuscenes, scene, folder / "bag", open_map(folder / "root", scene.location))
    with open_bag(folder / "bag") as bag:
        return read_drive_truth(bag)


def plan(stamp_ns: int, positions: np.ndarray, yaw: np.ndarray, selected: int = 0) -> PlanCandidates:
    candidate = Candidate(0, Command.STRAIGHT, 0.5, InvalidReason.VALID, 0.5, positions, yaw, None)
    return PlanCandidates(
        stamp_ns, "base_link", stamp_ns, "test@rule", ScoreType.SIGMOID, Command.STRAIGHT, Degraded.NONE, selected,
        (candidate,),
    )  # fmt: skip


Change = Callable[[np.ndarray], np.ndarray]


def plans_of(drive: DriveTruth, change: Change = lambda p: p, steps: int = 6) -> dict[int, PlanCandidates]:
    return {
        f.truth.stamp_ns: plan(f.truth.stamp_ns, change(f.truth.path.positions[:steps]), f.truth.path.yaw[:steps])
        for f in drive.frames
        if f.way is not None
    }


def test_the_way_driven_as_a_plan_scores_zero(drive: DriveTruth) -> None:
    samples, missing = planning_samples(drive, plans_of(drive))
    assert len(samples) == KEY_FRAMES - 6 and missing == {Unscored.NO_TRUTH: 6}
    for score in map(score_sample, samples):
        np.testing.assert_allclose(score.l2, 0, atol=1e-9)
        assert not score.hits.any() and not score.truth_hits.any() and not score.grid_hits.any()


def test_a_shift_is_the_l2(drive: DriveTruth) -> None:
    samples, _ = planning_samples(drive, plans_of(drive, lambda p: p + [0.3, -0.4]))
    for score in map(score_sample, samples):
        np.testing.assert_allclose(score.l2, 0.5, atol=1e-9)


def test_driving_into_an_annotated_road_user_is_a_hit(drive: DriveTruth) -> None:
    frame = drive.frames[0]
    assert frame.boxes is not None
    parked = next(o for o in frame.truth.objects.objects if np.hypot(*o.velocity) < 0.01 and o.box[3] > 3)
    goal = parked.box[:2] - [1.4, 0.0]
    way = np.outer(np.arange(1, 7) / 6, goal)
    yaw = np.full(6, np.arctan2(goal[1], goal[0]))
    samples, _ = planning_samples(drive, {frame.truth.stamp_ns: plan(frame.truth.stamp_ns, way, yaw)})
    score = score_sample(samples[0])
    assert score.hits[-1] and score.grid_hits[-1] and not score.hits[0]


def test_everything_without_a_score_is_counted_by_reason(drive: DriveTruth) -> None:
    plans = plans_of(drive)
    first, second, third = list(plans)
    plans[first] = plans_of(drive, steps=5)[first]
    plans[second] = replace(plans[second], selected=-1)
    del plans[third]
    samples, missing = planning_samples(drive, plans)
    assert not samples
    assert missing == {Unscored.SHORT_PLAN: 1, Unscored.NO_VALID: 1, Unscored.NO_PLAN: 1, Unscored.NO_TRUTH: 6}
    broken = plans_of(drive, lambda p: p * np.nan)
    assert planning_samples(drive, broken)[1][Unscored.NONFINITE] == 3
    none_valid = {stamp: replace(p, selected=-1) for stamp, p in broken.items()}
    assert planning_samples(drive, none_valid)[1][Unscored.NONFINITE] == 3


def test_real_scene_has_no_collision_of_its_own(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data" / "nuscenes-mini-tables"
    nuscenes = NuScenes(root, "v1.0-mini")
    scene = nuscenes.scene("scene-0061")
    convert_scene(nuscenes, scene, tmp_path / "bag", open_map(root, scene.location))
    with open_bag(tmp_path / "bag") as bag:
        real = read_drive_truth(bag)
    samples, missing = planning_samples(real, plans_of(real))
    assert len(samples) + sum(missing.values()) == len(real.frames) == 39
    assert len(samples) >= 32
    scores = [score_sample(s) for s in samples]
    assert max(s.l2.max() for s in scores) < 1e-9
    assert not any(s.truth_hits.any() for s in scores)
