"""Plans between dataclasses and messages of the classes that need no ROS; `test/nodes` does the same with rclpy's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from distilldrive_ros.bags.typed_messages import BAG
from distilldrive_ros.messages.fields import yaw_of_orientation
from distilldrive_ros.messages.plans import path_from_message, plan_from_message, plan_to_message
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import Degraded

NOW = 1_532_402_927_647_951_123


def planned(yaw: float = 0.25) -> PlanCandidates:
    candidates = tuple(
        Candidate(
            mode, Command.LEFT, 0.5 / (mode + 1), reason, 0.5, np.arange(6.0).reshape(3, 2), np.full(3, yaw), None
        )
        for mode, reason in enumerate((InvalidReason.VALID, InvalidReason.KINEMATICS | InvalidReason.OFFROAD))
    )
    return PlanCandidates(
        stamp_ns=NOW, frame_id="base_link", inference_stamp_ns=NOW + 9, model_id="m@1", score_type=ScoreType.RESCORED,
        active_command=Command.LEFT, degraded=Degraded.NO_HISTORY, selected=0, candidates=candidates,
    )  # fmt: skip


def test_a_plan_comes_back() -> None:
    plan = planned()
    back = plan_from_message(plan_to_message(BAG, plan))
    assert (back.stamp_ns, back.inference_stamp_ns, back.model_id) == (NOW, NOW + 9, "m@1")
    assert (back.score_type, back.active_command, back.degraded) == (plan.score_type, Command.LEFT, plan.degraded)
    assert back.invalid_reasons == plan.invalid_reasons
    for a, b in zip(plan.candidates, back.candidates, strict=True):
        assert (b.mode, b.command, b.time_step) == (a.mode, a.command, a.time_step)
        assert b.score == pytest.approx(a.score)
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_allclose(a.yaw, b.yaw, atol=1e-12)


def test_poses_say_when_they_are_reached() -> None:
    path = path_from_message(plan_to_message(BAG, planned()).paths[0])
    np.testing.assert_allclose(path.times, [0.5, 1.0, 1.5])
    assert (path.stamp_ns, path.frame_id) == (NOW, "base_link")


def test_a_heading_that_is_no_number_stays_one() -> None:
    back = plan_from_message(plan_to_message(BAG, planned(math.nan)))
    assert np.isnan(back.candidates[0].yaw).all()
    assert np.isfinite(back.candidates[0].positions).all()


@pytest.mark.parametrize("yaw", [-3.1, -1.0, 0.0, 2.0, 3.1])
def test_a_quaternion_need_not_have_unit_length(yaw: float) -> None:
    q = BAG.quaternion([0.0, 0.0, 3 * math.sin(yaw / 2), 3 * math.cos(yaw / 2)])
    assert yaw_of_orientation(q) == pytest.approx(yaw)


def test_what_contradicts_itself_is_refused() -> None:
    message = plan_to_message(BAG, planned())
    message.scores = message.scores[:1]
    with pytest.raises(SensorDataError, match="differ in length"):
        plan_from_message(message)
    message = plan_to_message(BAG, planned())
    message.active_command = 9
    with pytest.raises(SensorDataError, match="9 is no driving command"):
        plan_from_message(message)
