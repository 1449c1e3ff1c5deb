"""The closed-loop part of a demo: the model, and the expert beside it, drive in the world that was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.cli.demo_data import WORLD_KINDS
from distilldrive_ros.evaluation.closed_loop.batch import EXPERT, BatchResult, BatchSettings, run_batch
from distilldrive_ros.evaluation.closed_loop.page import drives_section
from distilldrive_ros.evaluation.report.markup import Markup
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.worlds.driving.closed_loop import DrivingSettings
from distilldrive_ros.worlds.driving.world_source import GeneratedWorlds

IMAGE_WIDTH = 704


@dataclass(frozen=True)
class ClosedLoopPart:
    """What came of it, and the section of the report."""

    result: BatchResult
    section: Markup


def drive_closed_loop(name: str, request: ModelRequest, seed: int, seconds: float) -> ClosedLoopPart:
    """Drive in the world of a seed for so long, in this process.

    Raises:
        DistillDriveError: the model cannot be loaded, or an engine failed.
    """
    worlds = GeneratedWorlds(seed, 1, [kind.value for kind in WORLD_KINDS], seconds)
    settings = BatchSettings(DrivingSettings(time_limit_s=seconds), IMAGE_WIDTH)
    result = run_batch(worlds, {name: load_model(name, request), EXPERT: None}, settings)
    words = (
        f"The world of the frames above, driven for {seconds:g} s: sensors are rendered at every plan, the vehicle "
        "follows the plan, the traffic reacts. Beside the model the privileged expert, who sees the true state."
    )
    if not result.models[0].trained:
        words += " The weights are untrained: how the model drives means nothing."
    return ClosedLoopPart(result, drives_section(result.models, words))
