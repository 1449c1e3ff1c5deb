"""Candidates against predicted road users and boundaries: formulas, and brute force over points of the boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.planning.hazards import HazardLimits, find_hazards
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.candidates import InvalidReason, ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

BOTH = HazardLimits(check_collisions=True, check_boundaries=True)
STEPS = 6


def straight(*speeds: float, score: tuple[float, ...] = ()) -> TrajectoryCandidates:
    """Straight candidates ahead, 0.5 s steps, 3 s."""
    x = np.outer(speeds, 0.5 * np.arange(1, STEPS + 1)).astype(np.float32)
    return TrajectoryCandidates(
        stamp_ns=7, frame_id="base_link", inference_stamp_ns=9, model_id="test@rule", score_type=ScoreType.SIGMOID,
        active_command=Command.STRAIGHT, degraded=Degraded.NONE, time_step=0.5,
        mode=np.arange(len(speeds), dtype=np.uint32), command=np.full(len(speeds), Command.STRAIGHT, np.uint8),
        score=np.array(score or [0.5] * len(speeds), np.float32), x=x, y=np.zeros_like(x), yaw=np.zeros_like(x),
        speed=None,
    )  # fmt: skip


def road_user(
    x: float, y: float, velocity: tuple[float, float] = (0.0, 0.0), score: float = 0.9, yaw: float = 0.0,
    future: np.ndarray | None = None,
) -> ObjectPrediction:  # fmt: skip
    modes = np.zeros((0, 0, 2), np.float32) if future is None else future.astype(np.float32)
    return ObjectPrediction(
        1, "car", score, np.array([x, y, 0.8, 4.0, 1.8, 1.6, yaw]), np.array(velocity), 0.5,
        np.linspace(0.1, 0.9, len(modes), dtype=np.float32), modes,
    )  # fmt: skip


def objects(*items: ObjectPrediction) -> ObjectPredictions:
    return ObjectPredictions(7, "base_link", "test@rule", items)


def lines(*points: list[list[float]], score: float = 0.9, kind: PolylineKind = PolylineKind.BOUNDARY) -> VectorMap:
    return VectorMap(
        7, "base_link", "test@rule", tuple(MapPolyline(kind, score, np.array(p, np.float32)) for p in points)
    )


def bits(candidates: TrajectoryCandidates, found: ObjectPredictions, limits: HazardLimits = BOTH) -> list[int]:
    return find_hazards(candidates, found, lines(), limits).tolist()


def test_a_standing_car_ahead_stops_those_who_reach_it() -> None:
    # Front bumper at 1.4 + 2.042 m, its rear bumper at 20 - 2 m: 14.558 m to go in 3 s, 4.85 m/s.
    assert bits(straight(4.8, 4.9, 15.0), objects(road_user(20.0, 0.0))) == [0, InvalidReason.COLLISION, 8]
    assert bits(straight(15.0), objects(road_user(20.0, 2.0))) == [0]  # beside: 1.825 m half widths
    assert bits(straight(15.0), objects(road_user(20.0, 1.8))) == [8]


def test_a_crossing_car_is_met_at_its_time_only() -> None:
    # It crosses x = 15 m between 1 and 2 s; who is past by then, or stays before, is free.
    crossing = objects(road_user(15.0, -9.0, velocity=(0.0, 6.0), yaw=math.pi / 2))
    assert bits(straight(2.0, 8.0, 25.0), crossing) == [0, 8, 0]


def test_the_most_likely_future_counts_and_its_last_velocity_goes_on() -> None:
    away = np.stack([np.full(2, 20.0), [10.0, 20.0]], axis=-1)
    stays = np.stack([np.full(2, 20.0), [0.0, 0.0]], axis=-1)
    assert bits(straight(10.0), objects(road_user(20.0, 0.0, future=np.stack([stays, away])))) == [0]
    assert bits(straight(10.0), objects(road_user(20.0, 0.0, future=np.stack([away, stays])))) == [8]
    # Two known steps of a car that drives ahead at 10 m/s; it goes on doing so.
    ahead = np.stack([[25.0, 30.0], [0.0, 0.0]], axis=-1)[None]
    assert bits(straight(12.0), objects(road_user(20.0, 0.0, future=ahead))) == [0]


def test_what_is_weak_touched_already_or_not_asked_for_is_passed_over() -> None:
    found = objects(road_user(20.0, 0.0, score=0.39))
    assert bits(straight(15.0), found) == [0]
    assert bits(straight(15.0), objects(road_user(3.0, 0.0))) == [0]
    assert bits(straight(15.0), objects(road_user(20.0, 0.0)), HazardLimits()) == [0]
    assert bits(straight(15.0), objects(road_user(math.nan, 0.0))) == [0]


def test_a_boundary_across_the_way_is_left_road() -> None:
    across, beside = [[12.0, -3.0], [12.0, 3.0]], [[0.0, 2.0], [60.0, 2.0]]
    for line, expected in ((across, [0, 16]), (beside, [0, 0])):
        assert find_hazards(straight(2.5, 10.0), objects(), lines(line), BOTH).tolist() == expected
    assert find_hazards(straight(10.0), objects(), lines(across, kind=PolylineKind.DIVIDER), BOTH).tolist() == [0]
    assert find_hazards(straight(10.0), objects(), lines(across, score=0.1), BOTH).tolist() == [0]


def test_candidates_with_nan_get_no_bit_and_break_nobody_else() -> None:
    candidates = straight(10.0, 10.0)
    candidates.x[0, 3] = np.nan
    assert bits(candidates, objects(road_user(25.0, 0.0)))[1] == 8


def test_the_planner_never_selects_a_hazard() -> None:
    candidates = straight(10.0, 2.0, score=(0.9, 0.1))
    hazards = find_hazards(candidates, objects(road_user(20.0, 0.0)), lines(), BOTH)
    got = plan(candidates, PlanningLimits(), None, hazards)
    assert got.modes == (1, 0)
    assert got.candidates[1].invalid_reasons == InvalidReason.COLLISION
    nothing = plan(straight(10.0), PlanningLimits(), None, hazards[:1])
    assert nothing.selected == -1


@given(st.floats(0, 20), st.floats(6, 40), st.floats(-6, 6), st.floats(-8, 8), st.floats(-8, 8), st.floats(-3.1, 3.1))
def test_agrees_with_points_inside_the_boxes(
    speed: float, x: float, y: float, vx: float, vy: float, yaw: float
) -> None:
    """Points sampled densely in the other's box: one inside the vehicle's box means a collision, none near it none."""
    item = road_user(x, y, (vx, vy), yaw=yaw)
    touched = near = False
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-0.9, 0.9, 19)), axis=-1).reshape(-1, 2)
    for k in range(1, 31):
        t = 0.1 * k
        # Beyond 1 m/s the box turns into its motion.
        heading = math.atan2(vy, vx) if math.hypot(vx, vy) * 0.1 > 0.1 else yaw
        c, s = math.cos(heading), math.sin(heading)
        points = grid @ np.array([[c, s], [-s, c]]) + (x + vx * t, y + vy * t)
        outside = np.maximum(np.abs(points[:, 0] - speed * t - 1.4) - 2.042, np.abs(points[:, 1]) - 0.925).min()
        touched |= bool(outside < -1e-6)
        near |= bool(outside < 0.1)
    if touched or not near:
        assert bits(straight(speed), objects(item)) == [8 if touched else 0]


@pytest.mark.parametrize(
    "wrong", [{"ego_length": 0.0}, {"ego_width": math.nan}, {"ego_ahead": math.inf}, {"min_object_score": 1.1}]
)
def test_wrong_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        HazardLimits(**wrong)  # type: ignore[arg-type]
