"""Full-size teacher against numbers recorded from the reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.teacher.config import Flavour
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.state import TeacherInputs, TeacherOutputs, TeacherState

from .conftest import InputsFactory

TOLERANCE = 1e-4
STREAMS = (
    ("frame0", "frame1", "gap"),
    ("masked_frame0", "masked_frame1"),
    ("moving_frame0", "moving_frame1", "moving_frame2"),
    ("moving_masked_frame0", "moving_masked_gap"),
)
Step = tuple[dict[str, Any], TeacherInputs, TeacherOutputs]


@pytest.fixture(scope="module")
def recorded(distilldrive_golden: Path) -> dict[str, Any]:
    content = json.loads((distilldrive_golden / "teacher_and_losses.json").read_text())
    return content["teacher_block"]


@pytest.fixture(scope="module")
def network(reference_teacher: Callable[[Flavour], TeacherNetwork]) -> TeacherNetwork:
    return reference_teacher(Flavour.LABEL)


@torch.inference_mode()
def drive(network: TeacherNetwork, recorded: dict[str, Any], inputs: InputsFactory, names: Any) -> Iterator[Step]:
    state: TeacherState | None = None
    for name in names:
        entry = recorded[name]
        delay = entry["timestamp"] - (100 + 0.5 * entry["frame"])
        given = inputs(entry["frame"], delay, entry["masked_ground_truth"], entry["moving"])
        state, outputs = network(state, given)
        yield entry, given, outputs


def nine_numbers(box: Tensor) -> Tensor:
    """Undecoded box [11] as the recorded one with a yaw angle."""
    return torch.cat((box[:6], torch.atan2(box[6:7], box[7:8]), box[8:10]))


@pytest.mark.parametrize("names", STREAMS, ids=lambda names: names[0])
def test_streams(network: TeacherNetwork, recorded: dict[str, Any], recorded_inputs: InputsFactory, names: Any) -> None:
    for entry, given, outputs in drive(network, recorded, recorded_inputs, names):
        known = given.moving[0]
        assert known.tolist() == [bool(flag) for flag in entry["motion_valid"]]
        actual = {
            "agent_feature_first8": outputs.agent_feature[0, :, :8],
            "agent_position_code_first8": outputs.agent_position[0, :, :8],
            "ego_queries_first8": outputs.ego_queries[0, :, :8],
            "ego_feature_after_block": torch.stack(outputs.ego_blocks)[:, 0, :, :4],
            "plan_query_first8": outputs.plan_query[0, :, :8],
            "plan_query_abs_mean": outputs.plan_query.abs().mean(),
            "plan_logits": outputs.plan_logits[0],
            "plan_offsets": outputs.plan_offsets[0],
            "status": outputs.status[0, 0],
            "motion_logits": outputs.motion_logits[0],
            "motion_offsets_agents0_1_5": outputs.motion_offsets[0, [0, 1, 5]],
            "period": outputs.period[0],
            "ego_period": outputs.ego_period,
            "ego_box_newest": nine_numbers(outputs.ego_box[0]),
        }
        for name, tensor in actual.items():
            expected = np.asarray(entry[name], dtype=np.float64)
            assert tuple(tensor.shape) == expected.shape
            assert np.abs(tensor.double().numpy() - expected).max() <= TOLERANCE, name


@torch.inference_mode()
def test_map_features(network: TeacherNetwork, recorded: dict[str, Any], recorded_inputs: InputsFactory) -> None:
    given = recorded_inputs(0)
    feature = network.map_encoder(given.lines, given.line_labels, given.line_present)
    expected = np.asarray(recorded["frame0"]["map_feature_first8"])
    assert np.abs(feature[0, :, :8].numpy() - expected).max() <= TOLERANCE


@torch.inference_mode()
def test_the_published_teacher_is_blind_to_the_map(network: TeacherNetwork, recorded_inputs: InputsFactory) -> None:
    here, there = (network(None, recorded_inputs(0, line_shift=shift))[1] for shift in (0.0, 5.0))
    assert torch.equal(here.plan_query, there.plan_query)
