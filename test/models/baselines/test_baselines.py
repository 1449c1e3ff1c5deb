"""Baselines against numerical integration, and the session's rules for temporal state."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.models.baselines.model import BaselineConfig, BaselineModel
from distilldrive_ros.models.baselines.motion import constant_turn_rate_and_acceleration
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import MotionHistory
from distilldrive_ros.models.registry import MODELS, ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError, ModelOutputError, SensorDataError
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, EgoStatus, SensorFrame


def frame(
    stamp_s: float = 10.0, speed: float = 5.0, yaw_rate: float = 0.0, acceleration: float = math.nan
) -> SensorFrame:
    """A set with no sensors but odometry."""
    stamp = round(stamp_s * 1e9)
    ego = EgoStatus(stamp, "base_link", stamp, speed, 0.0, yaw_rate, acceleration, math.nan, math.nan)
    return SensorFrame(
        stamp_ns=stamp,
        frame_id="base_link",
        sequence=0,
        degraded=Degraded.NONE,
        discontinuity=Discontinuity.NONE,
        command=Command.STRAIGHT,
        world_frame="odom",
        world_from_base=np.eye(4),
        cameras=(),
        lidar=None,
        ego=ego,
    )


@given(st.floats(-5, 30), st.floats(-0.6, 0.6), st.floats(-4, 4))
def test_ctra_equals_integration(speed: float, yaw_rate: float, acceleration: float) -> None:
    steps, horizon = 6000, 3.0
    t = (np.arange(steps) + 0.5) * horizon / steps
    if speed * acceleration < 0:
        stop = -speed / acceleration
        v = np.where(t < stop, speed + acceleration * t, 0.0)
    else:
        v = speed + acceleration * t
    expected = np.array([np.sum(v * np.cos(yaw_rate * t)), np.sum(v * np.sin(yaw_rate * t))]) * horizon / steps
    positions, _, _ = constant_turn_rate_and_acceleration(speed, yaw_rate, acceleration, np.array([horizon]))
    np.testing.assert_allclose(positions[0], expected, atol=5e-3)


def test_constant_velocity_candidate() -> None:
    model = load_model("constant_velocity")
    _, output = model.step(model.initial_state(), model.prepare(frame(speed=4.0)))
    np.testing.assert_allclose(output.candidates.x[0], 2.0 * np.arange(1, 7))
    assert output.candidates.stamp_ns == frame().stamp_ns
    assert output.candidates.model_id == "constant_velocity@rule"


def test_ctra_takes_acceleration_from_the_set_before() -> None:
    model = BaselineModel(BaselineConfig("ctra"))
    before = MotionHistory(stamp_ns=9_500_000_000, speed=4.0)
    _, output = model.step(before, frame(speed=5.0))  # 2 m/s^2
    np.testing.assert_allclose(output.candidates.speed, [5.0 + np.arange(1, 7)], rtol=1e-6)
    _, given_by_odometry = model.step(before, frame(speed=5.0, acceleration=0.0))
    np.testing.assert_allclose(given_by_odometry.candidates.speed, 5.0)


def test_odometry_with_nan_is_refused() -> None:
    with pytest.raises(SensorDataError, match="odometry"):
        load_model("ctra").prepare(frame(speed=math.nan))


@pytest.mark.parametrize(
    ("change", "name"), [({"kind": "magic"}, "kind"), ({"steps": 0}, "steps"), ({"time_step": 9.0}, "time_step")]
)
def test_wrong_configuration_is_refused(change: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        BaselineConfig(**change)


def test_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="constant_velocity"):
        load_model("resnet")


@pytest.mark.parametrize("name", ["constant_velocity", "ctra"])
def test_rules_take_no_weights(name: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes no weights"):
        load_model(name, ModelRequest(weights=tmp_path / "w.pth"))


def test_every_entry_says_what_it_is() -> None:
    assert all(entry.summary and entry.sensors for entry in MODELS.values())


class Counting(BaselineModel):
    """A baseline that shows its state and can be made to fail."""

    fail = False

    def step(self, state: Any, prepared: SensorFrame) -> tuple[MotionHistory, ModelOutput]:
        if Counting.fail:
            raise ModelOutputError("the plan holds NaN")
        seen.append(state)
        return super().step(state, prepared)


seen: list[MotionHistory | None] = []


@pytest.fixture
def session() -> ModelSession:
    seen.clear()
    Counting.fail = False
    return ModelSession(Counting(BaselineConfig("ctra")))


def test_history_is_kept_and_dropped_by_the_rules(session: ModelSession) -> None:
    first = session.run(frame(10.0))
    assert first.candidates.degraded & Degraded.NO_HISTORY
    assert not session.run(frame(10.5)).candidates.degraded
    assert seen[1] is not None
    for name, bad in {
        "backward": frame(9.0),
        "gap": frame(20.0),
        "flagged": replace(frame(20.5), discontinuity=Discontinuity.TELEPORT),
        "same stamp": frame(20.5),
    }.items():
        output = session.run(bad)
        assert output.candidates.degraded & Degraded.NO_HISTORY, name
        assert seen[-1] is None, name
    assert session.state_resets == 4


def test_failure_drops_the_history_and_the_next_set_works(session: ModelSession) -> None:
    session.run(frame(10.0))
    Counting.fail = True
    with pytest.raises(ModelOutputError):
        session.run(frame(10.5))
    Counting.fail = False
    output = session.run(frame(11.0))
    assert (session.failed_frames, session.state_resets) == (1, 1)
    assert output.candidates.degraded & Degraded.NO_HISTORY
    assert list(output.stage_seconds) == ["prepare", "motion"]


def test_bad_input_keeps_the_history(session: ModelSession) -> None:
    session.run(frame(10.0))
    with pytest.raises(SensorDataError):
        session.run(frame(10.5, speed=math.nan))
    session.run(frame(11.0))
    assert seen[-1] is not None
    assert session.failed_frames == 1


class Slow(BaselineModel):
    """A baseline that was made for sets 0.5 s apart."""

    @property
    def requirements(self) -> SensorRequirements:
        return SensorRequirements((), False, period_s=0.5, max_gap_s=2.0)


def test_sets_within_the_period_are_not_wanted() -> None:
    session = ModelSession(Slow(BaselineConfig()))
    assert session.wants(frame(10.0))
    session.run(frame(10.0))
    assert [t for t in (10.05, 10.3, 10.38, 10.4, 10.5) if session.wants(frame(t))] == [10.4, 10.5]
    assert session.wants(frame(9.0)), "time has jumped back"
    assert session.wants(replace(frame(10.05), discontinuity=Discontinuity.TELEPORT))
    any_rate = ModelSession(BaselineModel(BaselineConfig()))
    any_rate.run(frame(10.0))
    assert any_rate.wants(frame(10.01))
