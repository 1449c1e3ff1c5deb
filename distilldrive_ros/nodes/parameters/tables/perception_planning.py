"""Parameters of the node `perception_planning`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.models.registry import MODELS, PRECISIONS
from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter
from distilldrive_ros.nodes.parameters.tables.repeated import (
    awaited_subscribers,
    clock_timeout,
    diagnostics_period,
    plan_timeout,
)


@dataclass(frozen=True)
class PerceptionPlanningConfiguration:
    """Which model runs where, and when its results are late."""

    model: str = parameter("constant_velocity", "model; taken at the next configure", choices=tuple(MODELS))
    weights: str = parameter("", "checkpoint file, taken at the next configure; empty: untrained, drawn from the seed")
    partial_weights: bool = parameter(
        False, "take a DiffusionDrive checkpoint of another training stage; what it lacks stays untrained"
    )
    diffusion_sampling: str = parameter(
        "compatible",
        "DiffusionDrive: denoise as released, or by the schedule that was meant; taken at the next configure",
        choices=("compatible", "proper"),
    )
    diffusion_candidates: str = parameter(
        "deterministic",
        "DiffusionDrive: one fixed set of noise, or new noise for every set as released; taken at the next configure",
        choices=("deterministic", "random"),
    )
    device: str = parameter("auto", "auto (a GPU where there is one), cpu, cuda or cuda:N; taken at the next configure")
    precision: str = parameter(
        "fp32", "of the image networks; fp16 on a GPU only; taken at the next configure", choices=PRECISIONS
    )
    seed: int = parameter(0, "seed of untrained weights, taken at the next configure", low=0, high=2**31 - 1)
    threads: int = parameter(
        0, "processor threads of the network, taken at the next configure; 0: as many as cores", low=0, high=256
    )
    autostart: bool = parameter(True, "configure and activate at start", read_only=True)
    await_subscribers: tuple[str, ...] = awaited_subscribers()
    max_frame_age_s: float = parameter(
        3.0, "older sets are passed over; 0 takes any age", unit="s", low=0.0, high=600.0
    )
    keep_period: bool = parameter(
        True, "pass over sets that come sooner than the period the model was trained for (student: 0.5 s)"
    )
    plan_timeout_s: float = plan_timeout()
    max_processing_time_s: float = parameter(1.0, "one set taking longer is a warning", unit="s", low=0.001, high=600.0)
    max_consecutive_delays: int = parameter(5, "so many of them in a row are an error", low=1, high=1000)
    max_consecutive_failures: int = parameter(3, "so many failed sets in a row are an error", low=1, high=1000)
    clock_timeout_s: float = clock_timeout()
    diagnostics_period_s: float = diagnostics_period()


TABLE = ParameterTable("perception_planning", PerceptionPlanningConfiguration)
