"""Planning metrics: the spec's micro check, both averaging conventions by hand, intervals, counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from distilldrive_ros.evaluation.open_loop.calibration import calibration
from distilldrive_ros.evaluation.open_loop.collision import grid_collisions, plan_headings, polygon_collisions
from distilldrive_ros.evaluation.open_loop.lidar_frame import lidar_rectangles, lidar_trajectories, virtual_lidar
from distilldrive_ros.evaluation.open_loop.planning import (
    PlanningSample,
    SampleScore,
    Unscored,
    mode_diversity,
    on_published_grid,
    score_sample,
)
from distilldrive_ros.evaluation.open_loop.summary import horizon_values, summarise
from distilldrive_ros.scene.command import Command

STEPS = np.arange(1, 7)
# The spec's micro check (18.5): prediction (0.5i, 4i), truth (0, 4i), a box of 4.6 x 2 heading +y at (3.2, 16).
DRIFTING = np.stack([0.5 * STEPS, 4.0 * STEPS], axis=-1)
STRAIGHT = np.stack([0.0 * STEPS, 4.0 * STEPS], axis=-1)
STANDING_BOX = np.tile([3.2, 16.0, 4.6, 2.0, np.pi / 2], (6, 1))


def sample(modes: np.ndarray, selected: int = 0, scene: str = "a", **changes: object) -> PlanningSample:
    fields = {
        "scene": scene, "stamp_ns": 1, "command": Command.STRAIGHT, "truth": STRAIGHT, "modes": modes,
        "scores": np.full(len(modes), 0.5), "selected": selected, "rectangles": STANDING_BOX, "steps": np.arange(6),
        "on_grid": np.ones(6, bool), **changes,
    }  # fmt: skip
    return PlanningSample(**fields)  # type: ignore[arg-type]


def test_micro_check_of_the_spec() -> None:
    assert polygon_collisions(DRIFTING, STANDING_BOX, np.arange(6)).tolist() == [False, False, True, True, False, False]
    assert not polygon_collisions(STRAIGHT, STANDING_BOX, np.arange(6)).any()


def test_grid_variant_sees_the_same_box() -> None:
    hits = grid_collisions(DRIFTING, STANDING_BOX, np.arange(6))
    assert hits[3] and not hits[[0, 1, 5]].any()
    # Out of the grid nothing is hit.
    far = STRAIGHT * 10
    box = np.array([[*far[5], 4.6, 2.0, np.pi / 2]])
    assert polygon_collisions(far, box, [5])[5] and not grid_collisions(far, box, [5]).any()


def test_only_boxes_of_the_same_step_count() -> None:
    assert polygon_collisions(DRIFTING, STANDING_BOX[:1], [0]).sum() == 0
    assert polygon_collisions(DRIFTING, STANDING_BOX[:1], [3]).tolist() == [False] * 3 + [True] + [False] * 2
    assert polygon_collisions(DRIFTING, np.zeros((0, 5)), np.zeros(0, int)).sum() == 0


def test_headings_are_central_inside_backward_at_the_end_and_ahead_at_standstill() -> None:
    way = np.array([[0, 2], [1, 4], [3, 5], [6, 6]], float)
    expected = np.arctan2([4, 3, 2, 1], [1, 3, 5, 3])
    np.testing.assert_allclose(plan_headings(way), expected)
    np.testing.assert_array_equal(plan_headings(way * 0.06), np.full(4, np.pi / 2))


def test_rectangle_overlap_where_no_corner_is_inside() -> None:
    # A cross: upstream's rescoring misses it (spec Q18), the metric must not.
    crossing = np.array([[0.0, 8.5, 12.0, 1.0, 0.0]])
    assert polygon_collisions(STRAIGHT, crossing, [1])[1]


def test_step_where_the_truth_collides_is_not_counted() -> None:
    on_the_way = np.tile([0.0, 16.5, 4.0, 2.0, np.pi / 2], (6, 1))
    score = score_sample(sample(STRAIGHT[None], rectangles=on_the_way))
    assert score.truth_hits.any() and not score.hits.any()
    assert score_sample(sample(DRIFTING[None])).hits.tolist() == [False, False, True, True, False, False]


def test_base_poses_become_lidar_positions_and_back() -> None:
    adapter = pytest.importorskip("distilldrive_ros.models.distilldrive.adapter", reason="needs torch")
    base_from_lidar = virtual_lidar()
    angle = 0.03
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    base_from_lidar[:2, :2] = turn @ base_from_lidar[:2, :2]
    arc = np.stack([20 * (1 - np.cos(0.1 * STEPS)), 20 * np.sin(0.1 * STEPS)], axis=-1)
    positions, yaw = adapter.base_trajectories(arc[None], base_from_lidar)
    np.testing.assert_allclose(lidar_trajectories(positions[0], yaw[0], base_from_lidar), arc, atol=1e-9)


def test_rectangles_of_a_lidar_that_looks_to_the_left() -> None:
    (rectangle,) = lidar_rectangles([[10.94, 2.0, 0.0, 4.0, 2.0, 1.5, 0.0]], virtual_lidar())
    np.testing.assert_allclose(rectangle, [-2.0, 10.0, 4.0, 2.0, np.pi / 2], atol=1e-12)


def test_both_conventions_by_hand() -> None:
    steps = np.array([1.0, 3.0, 5.0, 7.0, 9.0, 11.0])
    np.testing.assert_allclose(horizon_values(steps, "stp3_vad"), [2.0, 4.0, 6.0, 4.0])
    np.testing.assert_allclose(horizon_values(steps, "uniad"), [3.0, 7.0, 11.0, 7.0])
    with pytest.raises(ValueError, match="convention 'vad'"):
        horizon_values(steps, "vad")


def test_summary_holds_means_counts_and_commands() -> None:
    scores = [score_sample(sample(DRIFTING[None], scene=s)) for s in ("a", "b")]
    scores.append(dataclasses.replace(score_sample(sample(STRAIGHT[None], scene="b")), command=Command.LEFT))
    summary = summarise(scores, {Unscored.NO_TRUTH: 6, Unscored.NO_PLAN: 1})
    assert (summary.key_frames, summary.scored, summary.scenes) == (10, 3, 2)
    l2 = summary.tables["uniad"]["l2_m"]["3s"]
    assert l2.mean == pytest.approx(2.0) and l2.count == 3 and l2.low < l2.mean < l2.high
    assert summary.tables["stp3_vad"]["collision"]["2s"].mean == pytest.approx(2 / 3 * 0.5)
    assert summary.tables["uniad"]["collision"]["3s"].mean == 0
    assert summary.by_command["left"]["uniad"]["l2_m"]["3s"].mean == 0
    assert summary.by_command["straight"]["uniad"]["l2_m"]["3s"].count == 2 and "right" not in summary.by_command
    assert summary.to_json()["unscored"] == {"no_truth": 6, "no_plan": 1}


def test_intervals_repeat_and_need_two_scenes() -> None:
    rng = np.random.default_rng(1)
    scores = [score_sample(sample(STRAIGHT[None] + rng.normal(size=(1, 6, 2)), scene=f"s{i % 5}")) for i in range(40)]
    first, again = (summarise(scores, generator=np.random.default_rng(7)) for _ in range(2))
    assert first.to_json() == again.to_json()
    alone = summarise([s for s in scores if s.scene == "s0"]).tables["uniad"]["l2_m"]["avg"]
    assert np.isfinite(alone.mean) and np.isnan(alone.low) and alone.to_json()["ci95_low"] is None


def test_no_score_at_all_is_no_number() -> None:
    summary = summarise([], {Unscored.NO_PLAN: 3})
    assert summary.key_frames == 3 and np.isnan(summary.tables["uniad"]["l2_m"]["avg"].mean)
    assert summary.tables["uniad"]["l2_m"]["avg"].count == 0


def test_best_of_modes_and_diversity() -> None:
    modes = np.stack([DRIFTING, STRAIGHT, STRAIGHT + [1.0, 0.0]])
    score = score_sample(sample(modes))
    assert score.min_ade == score.min_fde == 0 and score.best_mode == 1
    ends = [3.0, 2.0, 1.0]  # distances of the three pairs
    assert score.diversity == pytest.approx(np.mean(ends))
    assert np.isnan(mode_diversity(modes[:1]))


def test_plans_of_another_time_step_are_interpolated_and_short_ones_refused() -> None:
    fine = np.stack([0.2 * np.arange(1, 16), np.zeros(15)], axis=-1)
    points, yaw = on_published_grid(fine, np.full(15, 0.1), 0.2)
    np.testing.assert_allclose(points[:, 0], 0.5 * STEPS)
    assert yaw.shape == (6,) and yaw[-1] == pytest.approx(0.1)
    assert on_published_grid(fine[:14], np.zeros(14), 0.2) is None


def _scored(mode_scores: list[float], best: int) -> SampleScore:
    base = score_sample(sample(np.repeat(STRAIGHT[None], len(mode_scores), axis=0)))
    return dataclasses.replace(base, mode_scores=np.array(mode_scores), best_mode=best)


def test_calibration_by_hand() -> None:
    found = calibration([_scored([0.75, 0.25], 0)] * 3 + [_scored([0.75, 0.25], 1)] + [_scored([5.0, 1.0], 0)])
    assert found.expected_error == pytest.approx(0.0) and found.top_is_nearest == 0.75
    assert (found.key_frames, found.left_out) == (4, 1)
    assert [(b.candidates, b.nearest_share) for b in found.bins] == [(4, 0.25), (4, 0.75)]
    assert calibration([_scored([0.5], 0)]).to_json()["expected_calibration_error"] is None
