"""Plan selection: recorded cases, the micro checks of the specification, and the corrected flavour."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.decoding import plan_positions
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.rescoring import (
    RescoreMode,
    RescoreResult,
    bev_corners,
    rescore_command,
    rescore_plan,
)
from distilldrive_ros.scene.command import Command

from .conftest import GoldenRun

pytestmark = pytest.mark.timeout(900)  # one test needs the full-size network

NUM_CASES = 24


@pytest.mark.parametrize("case", range(NUM_CASES))
def test_recorded_case(golden_dir: Path, rules: ModuleType, case: int) -> None:
    expected = json.loads((golden_dir / "rescoring.json").read_text())["cases"][case]
    values = {name: torch.from_numpy(value)[0] for name, value in rules.rescore_case(case).items()}
    result = rescore_plan(
        values["plan_logits"],
        values["plan_offsets"],
        values["motion_probability"],
        values["motion_offsets"],
        values["boxes"],
        values["confidence"],
        RescoreMode.PARITY,
    )
    assert result.collides.int().tolist() == expected["collides"]
    assert result.logits.tolist() == pytest.approx(expected["rescored_logits"], abs=1e-3)  # seven digits of -1000
    assert result.mode == expected["mode"]


def test_whole_network_with_partial_collisions(
    golden_dir: Path, reference_network: StudentNetwork, golden_run: GoldenRun
) -> None:
    """Frame 0 with fewer confident agents: two of the three commands have modes left."""
    expected = json.loads((golden_dir / "rescoring.json").read_text())["end_to_end"]
    biases = {key: (begin, end, change) for key, (begin, end), change in expected["bias_changes"]}
    parameters = dict(reference_network.named_parameters())
    with torch.inference_mode():
        original = {key: parameters[key].clone() for key in biases}
        try:
            for key, (begin, end, change) in biases.items():
                parameters[key][begin:end] += change
            _, outputs = reference_network.decode_features(None, golden_run.levels, golden_run.inputs)
        finally:
            for key, value in original.items():
                parameters[key].copy_(value)
    confidence = outputs.detection.logits[-1][0].max(dim=-1).values.sigmoid()
    assert int((confidence >= 0.5).sum()) == expected["agents_above_threshold"]
    raw = outputs.motion.plan_logits[0].view(3, 6)
    assert raw.flatten().tolist() == pytest.approx(
        [v for row in expected["plan_logits_before_rescoring"] for v in row], abs=5e-4
    )
    for command in (Command.RIGHT, Command.LEFT, Command.STRAIGHT):
        name = command.name.lower()
        result = rescore_command(outputs, command, 6, RescoreMode.PARITY)
        assert result.collides.int().tolist() == expected["collides"][name]
        assert result.logits.sigmoid().tolist() == pytest.approx(expected["planning_score"][name][command], abs=5e-4)
        plan = plan_positions(outputs.motion.plan_offsets)[0, command * 6 + result.mode]
        assert plan.flatten().tolist() == pytest.approx(
            [v for point in expected["final_plan"][name] for v in point], abs=2e-3
        )


def straight_plans() -> Tensor:
    """Six plans [6, 6, 2] straight on at 2, 0.5, 1 (drifting right to 3 m), 3, 0.9 and 0 m per step."""
    plans = torch.zeros(6, 6, 2)
    plans[:, :, 1] = torch.tensor([2, 0.5, 1, 3, 0.9, 0])[:, None]
    plans[2, :, 0] = 0.5
    return plans


def static_agents(*centres: tuple[float, float]) -> Tensor:
    """Cars [N, 11], 4.6 x 2 m, heading forward."""
    boxes = torch.zeros(len(centres), 11)
    boxes[:, :2] = torch.tensor(centres)
    boxes[:, 3:6] = torch.tensor([4.6, 2.0, 1.6]).log()
    boxes[:, 6] = 1.0
    return boxes


def rescore(plans: Tensor, boxes: Tensor, confidence: list[float], mode: RescoreMode) -> RescoreResult:
    count = len(boxes)
    logits = torch.tensor([3, 1, 2, 2.5, 0.5, -1])[: len(plans)]
    return rescore_plan(
        logits, plans, torch.zeros(count, 6), torch.zeros(count, 6, 12, 2), boxes, torch.tensor(confidence), mode
    )


def test_specification_example() -> None:
    boxes = static_agents((30, 0), (0, 8), (0, -8))
    result = rescore(straight_plans(), boxes, [0.2, 0.9, 0.9], RescoreMode.PARITY)
    assert result.logits.tolist() == pytest.approx([-996, 1, 2, -996.5, -998.5, -1])
    assert result.mode == 2


def test_corners_of_the_specification() -> None:
    corners = bev_corners(torch.tensor([1.0, 2.0, 4.0, 2.0, 0.5]))
    expected = [(-0.27574, 0.16357), (-1.23459, 1.91873), (2.27574, 3.83643), (3.23459, 2.08127)]
    assert sorted(map(tuple, corners.tolist())) == [pytest.approx(point, abs=1e-5) for point in sorted(expected)]


def test_all_modes_colliding_changes_nothing() -> None:
    boxes = static_agents((0, 0), (0, 5), (0, 10))
    boxes[:, 3:5] = math.log(50.0)
    result = rescore(straight_plans(), boxes, [0.9, 0.9, 0.9], RescoreMode.PARITY)
    assert result.collides.all()
    assert result.logits.tolist() == [3, 1, 2, 2.5, 0.5, -1]


def test_off_leaves_logits_alone() -> None:
    result = rescore(straight_plans(), static_agents((0, 8), (0, 8)), [0.9, 0.9], RescoreMode.OFF)
    assert result.mode == 0
    assert not result.collides.any()


def test_only_the_corrected_flavour_sees_crossing_boxes() -> None:
    """A long vehicle across the road: no corner of either box lies inside the other."""
    boxes = static_agents((0, 6), (60, 60))
    boxes[0, 3:5] = torch.tensor([20.0, 0.5]).log()
    boxes[0, 6], boxes[0, 7] = 0.0, 1.0
    plans = torch.zeros(2, 6, 2)
    plans[0, :, 1] = 6.0
    assert not rescore(plans, boxes, [0.9, 0.1], RescoreMode.PARITY).collides.any()
    assert rescore(plans, boxes, [0.9, 0.1], RescoreMode.CORRECTED).collides.tolist() == [True, False]
    far_away = static_agents((30, 6), (60, 60))
    assert not rescore(plans, far_away, [0.9, 0.1], RescoreMode.CORRECTED).collides.any()


def test_a_head_start_of_half_a_metre_in_the_corrected_flavour() -> None:
    """The car reaches 0.5 m further ahead than the plan's point says: 2.244 + 0.5 m from point to bumper."""
    plan = torch.zeros(2, 6, 2)
    plan[0, :, 1] = 0.5
    plan[1, :, 1] = 0.1
    gap = static_agents((50, 50), (0, 3.0 + 2.5 + 2.3))
    assert rescore(plan, gap, [0.1, 0.9], RescoreMode.CORRECTED).collides.tolist() == [True, False]
    assert not rescore(plan, gap, [0.1, 0.9], RescoreMode.PARITY).collides.any()
