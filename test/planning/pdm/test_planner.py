"""The reference planner on the golden worlds: it keeps the road and hits nobody; and its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.planning.pdm.drives import locate
from distilldrive_ros.planning.pdm.epdms import score_epdms
from distilldrive_ros.planning.pdm.idm import NO_LEAD_M, IdmParameters, corridor
from distilldrive_ros.planning.pdm.pdms import score_pdms
from distilldrive_ros.planning.pdm.planner import forecast_objects, plan_pdm_closed


@pytest.mark.parametrize("name", ["free", "slow_lead", "stopped_car", "cone", "side_car", "standstill"])
def test_plans_are_safe(golden: Any, name: str) -> None:
    world = golden.world(name)
    plan = plan_pdm_closed(world)
    scores = score_pdms(world, locate(plan.states[None], world))
    assert scores.no_at_fault_collision[0] == scores.drivable_area[0] == scores.time_to_collision[0] == 1.0
    assert plan.score == plan.scores.max() and plan.scores.shape == (21,)


def test_a_free_road_is_driven_and_a_blocked_one_is_not(golden: Any) -> None:
    free, blocked = plan_pdm_closed(golden.world("free")), plan_pdm_closed(golden.world("standstill"))
    assert free.states[-1, 0] > 30.0
    assert blocked.states[-1, 0] < 2.0


def test_a_closed_connector_is_stopped_at(golden: Any) -> None:
    world = golden.world("intersection_red")
    world = replace(world, ego=replace(world.ego, vx=5.0))
    plan = plan_pdm_closed(world)
    assert score_epdms(world, locate(plan.states[None], world)).traffic_light[0] == 1.0
    unaware = plan_pdm_closed(replace(world, red_lights=()))
    assert score_epdms(world, locate(unaware.states[None], world)).traffic_light[0] == 0.0


def test_forecast_goes_straight_on_and_knows_no_future(golden: Any) -> None:
    world = golden.world("crossing_ped")
    truth = world.objects
    world.objects.poses[:, 1:] += 50.0
    forecast = forecast_objects(world)
    assert forecast.tokens == truth.tokens
    np.testing.assert_allclose(forecast.poses[0, :, 1], -6 + 1.8 * 0.1 * np.arange(51))


def test_driver_model() -> None:
    driver = IdmParameters()
    assert driver.accelerate(0.0, 10.0, NO_LEAD_M, 0.0) == pytest.approx(1.5)
    assert driver.accelerate(10.0, 10.0, NO_LEAD_M, 0.0) == pytest.approx(0.0, abs=1e-6)
    # At rest, one metre behind a standing lead, there is nothing to do.
    assert driver.accelerate(0.0, 10.0, 1.0, 0.0) == pytest.approx(0.0)
    assert driver.accelerate(10.0, 15.0, 5.0, 0.0) == -8.0


def test_lead_is_the_nearest_ahead_in_the_corridor() -> None:
    path = Path([[0.0, 0.0], [100.0, 0.0]])
    unit = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    corners = unit + np.array([[30.0, 0.5], [20.0, 2.5], [5.0, 0.0]])[:, None]
    velocities = np.array([[3.0, 0.0], [1.0, 0.0], [9.0, 0.0]])
    ahead = corridor(path, 2.2, corners, velocities)
    gap, speed = ahead.lead(np.array([10.0, 40.0, 0.0]), 4.0)
    np.testing.assert_allclose(gap, [15.0, NO_LEAD_M, 0.0], atol=1e-9)
    assert speed.tolist() == [3.0, 0.0, 9.0]
    empty, _ = corridor(path, 2.2, corners[:0], velocities[:0]).lead(np.array([10.0]), 4.0)
    assert empty.tolist() == [NO_LEAD_M]
