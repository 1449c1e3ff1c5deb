"""Checks and selection: what is chosen, in which order, and what must never be chosen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.candidates import InvalidReason, ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.sensor_frame import Degraded

LIMITS = PlanningLimits()
STEPS = 6


def straight(speeds: list[float], scores: list[float], commands: list[int] | None = None) -> TrajectoryCandidates:
    """Straight candidates at constant speeds, 0.5 s steps."""
    n = len(speeds)
    x = np.outer(speeds, 0.5 * np.arange(1, STEPS + 1)).astype(np.float32)
    return TrajectoryCandidates(
        stamp_ns=7,
        frame_id="base_link",
        inference_stamp_ns=9,
        model_id="test@rule",
        score_type=ScoreType.SIGMOID,
        active_command=Command.STRAIGHT,
        degraded=Degraded.NONE,
        time_step=0.5,
        mode=np.arange(n, dtype=np.uint32),
        command=np.array(commands or [Command.STRAIGHT] * n, np.uint8),
        score=np.array(scores, np.float32),
        x=x,
        y=np.zeros_like(x),
        yaw=np.zeros_like(x),
        speed=None,
    )


def test_best_of_the_commanded_branch_is_selected() -> None:
    got = plan(straight([5, 6, 7, 8], [0.9, 0.2, 0.5, 0.3], [0, 2, 2, 1]), LIMITS)
    assert got.modes == (2, 1)
    assert got.selected == 0
    assert got.best is not None
    assert got.best.mode == 2
    assert (got.stamp_ns, got.inference_stamp_ns, got.model_id) == (7, 9, "test@rule")


def test_unknown_command_lets_every_branch_take_part() -> None:
    raw = replace(straight([5, 6, 7], [0.1, 0.2, 0.3], [0, 1, 2]), active_command=Command.UNKNOWN)
    assert plan(raw, LIMITS).modes == (2, 1, 0)


def test_no_candidate_of_the_command() -> None:
    got = plan(straight([5], [0.5], [Command.LEFT]), LIMITS)
    assert got.selected == -1
    assert got.best is None
    assert got.candidates == ()


@given(
    st.integers(0, 3),
    st.integers(0, STEPS - 1),
    st.sampled_from(["x", "y", "yaw", "score"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_non_finite_is_never_selected(row: int, step: int, name: str, value: float) -> None:
    raw = straight([5, 5.1, 5.2, 5.3], [0.4, 0.3, 0.2, 0.1])
    array = getattr(raw, name).copy()
    array[(row, step) if array.ndim == 2 else row] = value
    got = plan(replace(raw, **{name: array}), LIMITS, speed=5.0)
    assert got.best is not None
    assert got.best.mode == (1 if row == 0 else 0)
    assert got.modes[-1] == row
    assert got.invalid_reasons[-1] & InvalidReason.NONFINITE


def test_all_invalid_selects_nothing() -> None:
    raw = straight([5, 6], [0.4, 0.3])
    got = plan(replace(raw, x=np.full_like(raw.x, np.nan)), LIMITS)
    assert got.selected == -1
    assert len(got.candidates) == 2


@pytest.mark.parametrize(
    ("speed", "own", "reason"),
    [
        (60.0, None, InvalidReason.KINEMATICS),
        (5.0, 30.0, InvalidReason.START_JUMP),
        (5.0, 5.0, InvalidReason.VALID),
        (0.0, 0.0, InvalidReason.VALID),
    ],
)
def test_reasons(speed: float, own: float | None, reason: InvalidReason) -> None:
    assert plan(straight([speed], [0.5]), LIMITS, own).invalid_reasons == (reason,)


def test_hard_braking_and_sharp_turns() -> None:
    raw = straight([10.0, 10.0, 10.0], [0.3, 0.2, 0.1])
    x, y = raw.x.copy(), raw.y.copy()
    x[0, 3:] = x[0, 2]  # 10 m/s to standstill within 0.5 s: 20 m/s^2
    y[1, 3:] = 5.0 * np.arange(1, 4)  # 45 degrees and faster within one step
    got = plan(replace(raw, x=x, y=y), LIMITS, speed=10.0)
    assert got.modes == (2, 0, 1)
    assert got.invalid_reasons[1:] == (InvalidReason.KINEMATICS, InvalidReason.KINEMATICS)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=18), st.randoms())
def test_order_does_not_depend_on_the_rows(scores: list[float], random: object) -> None:
    raw = straight([5.0] * len(scores), scores)
    rows = list(range(len(scores)))
    random.shuffle(rows)  # type: ignore[attr-defined]
    shuffled = replace(raw, mode=raw.mode[rows], score=raw.score[rows])
    got, again = plan(raw, LIMITS), plan(shuffled, LIMITS)
    assert got.modes == again.modes
    assert list(got.scores) == sorted(got.scores, reverse=True)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_wrong_limits_are_refused(value: float) -> None:
    with pytest.raises(ConfigurationError, match="max_speed"):
        PlanningLimits(max_speed=value)


def test_arrays_that_do_not_fit_are_refused() -> None:
    raw = straight([5, 6], [0.4, 0.3])
    with pytest.raises(ValueError, match="do not fit"):
        replace(raw, yaw=raw.yaw[:1])
