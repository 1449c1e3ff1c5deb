"""Parameters of the node `planner`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter
from distilldrive_ros.nodes.parameters.tables.repeated import (
    awaited_subscribers,
    clock_timeout,
    diagnostics_period,
    plan_timeout,
    reliability,
)


@dataclass(frozen=True)
class PlannerConfiguration:
    """What a candidate may demand, and how many are published one by one."""

    max_speed: float = parameter(45.0, "faster candidates are invalid", unit="m/s", low=0.1, high=150.0)
    max_acceleration: float = parameter(
        9.8, "candidates that accelerate or brake harder are invalid", unit="m/s^2", low=0.1, high=50.0
    )
    max_lateral_acceleration: float = parameter(
        9.8, "candidates that corner harder are invalid", unit="m/s^2", low=0.1, high=50.0
    )
    max_start_jump: float = parameter(
        5.0, "candidates that begin farther from where the speed leads are invalid", unit="m", low=0.01, high=100.0
    )
    check_collisions: bool = parameter(
        False, "candidates that meet a predicted road user are invalid; off, as the papers' numbers are made"
    )
    check_boundaries: bool = parameter(
        False, "candidates that cross a predicted road boundary are invalid; off, as the papers' numbers are made"
    )
    min_object_score: float = parameter(0.4, "road users below are passed over", low=0.0, high=1.0)
    min_boundary_score: float = parameter(0.4, "road boundaries below are passed over", low=0.0, high=1.0)
    ego_length: float = parameter(4.084, "length of the vehicle in these checks", unit="m", low=0.1, high=30.0)
    ego_width: float = parameter(1.85, "width of the vehicle in these checks", unit="m", low=0.1, high=10.0)
    ego_ahead: float = parameter(
        1.4, "from base_link (rear axle) to the middle of the vehicle", unit="m", low=-10.0, high=15.0
    )
    top_k: int = parameter(6, "so many best candidates go out as candidate_<k>", low=0, high=100, read_only=True)
    odometry_reliability: str = reliability("the subscription of odometry asks for")
    await_subscribers: tuple[str, ...] = awaited_subscribers()
    match_timeout_ms: float = parameter(
        100.0, "longest wait for objects and map of the same stamp", unit="ms", low=0.0, high=10000.0
    )
    odometry_tolerance_ms: float = parameter(
        200.0, "odometry farther from the set's stamp does not give its speed", unit="ms", low=1.0, high=10000.0
    )
    plan_timeout_s: float = plan_timeout()
    clock_timeout_s: float = clock_timeout()
    diagnostics_period_s: float = diagnostics_period()


TABLE = ParameterTable("planner", PlannerConfiguration)
