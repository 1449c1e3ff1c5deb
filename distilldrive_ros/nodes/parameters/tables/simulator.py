"""Parameters of the node `simulator`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter
from distilldrive_ros.nodes.parameters.tables.repeated import diagnostics_period


@dataclass(frozen=True)
class SimulatorConfiguration:
    """Which worlds, how the vehicle follows its plans, and how the graph is waited for."""

    scenes: int = parameter(
        1, "worlds to drive in, one after the other; then the program ends", low=1, high=100000, read_only=True
    )
    dataroot: str = parameter(
        "",
        "drive through recorded scenes of this nuScenes-schema root (tables and maps), where traffic replays the log; "
        "empty: generated worlds",
        read_only=True,
    )
    version: str = parameter("v1.0-mini", "with dataroot: folder of the tables", read_only=True)
    scene_names: tuple[str, ...] = parameter(
        (), "with dataroot: names of the scenes, all of which are driven; empty: the first `scenes`", read_only=True
    )
    seed: int = parameter(0, "of the first world; the next ones follow", low=0, high=2**30, read_only=True)
    kinds: tuple[str, ...] = parameter((), "kinds of scenarios to choose from; empty: all", read_only=True)
    image_width: int = parameter(
        704, "width of the camera pictures, 16:9", unit="px", low=32, high=3840, read_only=True
    )
    jpeg_quality: int = parameter(90, "of the camera pictures", low=1, high=100, read_only=True)
    lock_step: bool = parameter(
        True,
        "time stands still until the plan of each set is there: deterministic; false: plans have to come in time",
        read_only=True,
    )
    plan_timeout: float = parameter(
        10.0, "in lock-step: longest wait for one plan; then time goes on with a warning", unit="s", low=0.01,
        high=3600.0, read_only=True,
    )  # fmt: skip
    rate: float = parameter(
        1.0, "speed against real time at most; 0: as fast as possible (with lock_step only)", low=0.0, high=100.0,
        read_only=True,
    )  # fmt: skip
    set_period: float = parameter(
        0.5, "simulated time between two sets of sensors, in steps of 0.1", unit="s", low=0.1, high=10.0,
        read_only=True,
    )  # fmt: skip
    follower: str = parameter(
        "pure_pursuit",
        "how plans are followed: pure_pursuit, or lqr as in NAVSIM, which cuts corners",
        choices=("pure_pursuit", "lqr"),
        read_only=True,
    )
    max_plan_age: float = parameter(
        1.5, "a plan is followed that long after its stamp; then the vehicle brakes", unit="s", low=0.1, high=10.0,
        read_only=True,
    )  # fmt: skip
    braking: float = parameter(
        3.0, "deceleration while there is no plan that can be driven", unit="m/s^2", low=0.1, high=8.0, read_only=True
    )
    route_length: float = parameter(
        150.0, "a drive's goal is so far along its route, or at the route's end", unit="m", low=1.0, high=1e5,
        read_only=True,
    )  # fmt: skip
    time_limit: float = parameter(
        40.0, "a drive ends after that simulated time", unit="s", low=1.0, high=600.0, read_only=True
    )
    arrival: float = parameter(
        5.0, "so near its goal the vehicle has arrived", unit="m", low=0.1, high=100.0, read_only=True
    )
    wait_for_subscribers: tuple[str, ...] = parameter(
        (), "topics that must have a subscriber (TOPIC:COUNT: so many) before the first message", read_only=True
    )
    wait_timeout: float = parameter(
        60.0, "how long to wait for subscribers; then it begins with a warning", unit="s", low=0.0, high=86400.0,
        read_only=True,
    )  # fmt: skip
    output: str = parameter("", "JSON file with the results of all drives; empty: none", read_only=True)
    exit_at_end: bool = parameter(True, "end the program after the last drive, exit code 0", read_only=True)
    diagnostics_period_s: float = diagnostics_period()


TABLE = ParameterTable("simulator", SimulatorConfiguration)
