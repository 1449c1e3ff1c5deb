"""Numbers of closed-loop drives: who is at fault, how far it came, what the scorers say."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.evaluation.closed_loop.log_world import LogWorld, object_kind
from distilldrive_ros.evaluation.closed_loop.result import drive_result, summary
from distilldrive_ros.models.registry import load_model
from distilldrive_ros.planning.pdm.world import ObjectKind
from distilldrive_ros.worlds.driving.closed_loop import ClosedLoop, DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import DriveLog, EndReason
from distilldrive_ros.worlds.driving.model_driver import drive
from distilldrive_ros.worlds.driving.plan import DrivingPlan
from distilldrive_ros.worlds.driving.sensor_set import Sensors
from distilldrive_ros.worlds.rig import nominal_rig


def driven(world: Any, model: str = "constant_velocity") -> DriveLog:
    return drive(world, load_model(model), Sensors(nominal_rig(64), None, (), False))[0]


def test_a_clean_drive(small_world: ModuleType) -> None:
    log = driven(small_world.SmallWorld())
    result = drive_result(log)
    assert result.end is EndReason.ARRIVED and not result.collided and not result.at_fault
    assert result.completion > 0.95 and result.off_road_share == 0.0 and result.braked_share == 0.0
    assert result.windows == len(range(0, len(log.states) - 40, 10)) + ((len(log.states) - 41) % 10 > 0)
    assert result.scores["no_at_fault_collision"] == result.scores["drivable_area"] == result.scores["comfort"] == 1.0
    assert result.scores["driving_direction"] == 1.0
    assert 0.3 < result.scores["ego_progress"] <= 1.0 and result.scores["score"] > 0.6
    json.dumps(result.to_json(), allow_nan=False)


def test_running_into_a_parked_car_is_its_fault(small_world: ModuleType) -> None:
    parked = small_world.Driver(along=80.0, speed=0.0, wanted=0.0)
    result = drive_result(driven(small_world.SmallWorld(drivers=(parked,))))
    assert (result.end, result.collided, result.at_fault) == (EndReason.COLLISION, True, True)
    assert result.windows and result.scores["no_at_fault_collision"] < 1.0 and result.scores["score"] < 1.0
    assert "collision, at fault after" in result.sentence


def test_being_run_into_while_it_stands_is_not(small_world: ModuleType) -> None:
    class Blind(small_world.SmallWorld):  # type: ignore[name-defined,misc]
        """Whose driver behind does not brake."""

        def step(self, ego: Any) -> Any:
            self.drivers[0].along += 0.6
            self._ego, self.steps = ego, self.steps + 1
            return self.snapshot

    behind = small_world.Driver(along=0.0, speed=6.0, wanted=6.0)
    loop = ClosedLoop(Blind(drivers=(behind,), speed=0.0, start=40.0))
    while not loop.ended:
        loop.advance()
    result = drive_result(loop.log)
    assert (result.end, result.collided, result.at_fault) == (EndReason.COLLISION, True, False)


def test_a_privileged_planner_stops_behind_the_parked_car(small_world: ModuleType) -> None:
    parked = small_world.Driver(along=80.0, speed=0.0, wanted=0.0)
    world = small_world.SmallWorld(drivers=(parked,), lasts=120)
    result = drive_result(driven(world, "pdm_closed"))
    assert result.end is EndReason.WORLD_ENDED and not result.collided and 50.0 < result.driven_m < 70.0


def test_the_tracks_are_those_of_the_snapshots(small_world: ModuleType) -> None:
    log = driven(small_world.SmallWorld(drivers=(small_world.Driver(60.0, 8.0, 8.0),), lasts=20))
    world = LogWorld(log)
    assert world.tracks.kinds == (ObjectKind.VEHICLE,) and world.tracks.sizes[0].tolist() == [4.5, 1.8]
    assert world.tracks.present[0].sum() == len(log.snapshots) == 21
    seen = np.array([s.agents[0].center[:2] for s in log.snapshots])
    assert (world.tracks.poses[0, :21, :2] == seen).all()
    assert object_kind("vehicle.emergency.police") is ObjectKind.VEHICLE
    assert object_kind("movable_object.debris") is ObjectKind.GENERIC
    assert object_kind("movable_object.trafficcone") is ObjectKind.TRAFFIC_CONE


def test_many_drives_are_counted_per_kilometre(small_world: ModuleType) -> None:
    parked = small_world.Driver(along=80.0, speed=0.0, wanted=0.0)
    results = [drive_result(driven(small_world.SmallWorld(drivers=drivers))) for drivers in ((), (parked,))]
    total = summary(results)
    assert total["drives"] == 2 and total["ends"] == {"arrived": 1, "collision": 1}
    assert total["collisions"] == total["collisions_at_fault"] == 1
    assert total["collisions_per_km"] == pytest.approx(1000 / sum(r.driven_m for r in results))
    assert total["windows"] == sum(r.windows for r in results) > 0
    assert total["route_completion"] == pytest.approx(np.mean([r.completion for r in results]))
    json.dumps(total, allow_nan=False)


def test_nothing_driven_is_no_division_by_zero() -> None:
    total = summary([])
    assert total["collisions_per_km"] is None and total["route_completion"] is None and total["scores"] == {}


def test_a_drive_of_less_than_four_seconds_has_no_score(small_world: ModuleType) -> None:
    loop = ClosedLoop(small_world.SmallWorld(lasts=30), DrivingSettings())
    times = np.arange(1, 7) * 0.5
    while not loop.ended:
        loop.give(DrivingPlan(loop.time_ns, times, np.column_stack([8 * times, 0 * times, 0 * times])))
        loop.advance()
    result = drive_result(loop.log)
    assert result.windows == 0 and result.scores == {} and "PDMS" not in result.sentence
    assert summary([result])["scores"] == {}
