"""Untrained networks: deterministic, calm, and honest geometry in the anchors."""

from __future__ import annotations

import math

import pytest
import torch

from distilldrive_ros.models.distilldrive import anchors
from distilldrive_ros.models.distilldrive.config import PRESETS, DistillDriveConfig, preset, student_tiny
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork

from .conftest import InputsFactory


@pytest.fixture(params=sorted(PRESETS))
def config(request: pytest.FixtureRequest) -> DistillDriveConfig:
    return preset(request.param)


def test_the_seed_decides_every_parameter() -> None:
    first, second, third = (
        untrained_network(student_tiny(), torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["head.det_head.fc_before.weight"], third["head.det_head.fc_before.weight"])


def test_global_random_state_is_untouched() -> None:
    torch.manual_seed(3)
    first = untrained_network(student_tiny(), torch.Generator().manual_seed(1)).state_dict()
    torch.manual_seed(4)
    second = untrained_network(student_tiny(), torch.Generator().manual_seed(1)).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_scores_start_low_and_the_plan_is_a_fan(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    with torch.inference_mode():
        state, outputs = tiny_network(None, tiny_inputs(0))
        _, outputs = tiny_network(state, tiny_inputs(1))
    assert float(outputs.detection.logits[-1].sigmoid().max()) < 0.1
    assert float(outputs.map.logits[-1].sigmoid().max()) < 0.1
    plan = outputs.motion.plan_offsets[0].cumsum(dim=1)
    wanted = tiny_network.head.motion_plan_head.plan_anchor.flatten(0, 1)
    assert float((plan - wanted).norm(dim=-1).mean()) < 2.0
    right, left, straight = plan[:, -1, 0].view(3, 6).mean(dim=1).tolist()
    assert left < straight < right
    assert (plan[:, -1, 1] > 0).all()


def test_detection_anchors_cover_the_disc(config: DistillDriveConfig) -> None:
    boxes = anchors.detection_anchors(config)
    radius = boxes[:, :2].norm(dim=1)
    assert boxes.shape == (config.detection.num_anchors, 11)
    assert float(radius.max()) <= 55.0
    assert int((radius < 55 / math.sqrt(2)).sum()) == pytest.approx(len(boxes) / 2, abs=1)
    assert len(torch.unique(boxes[:, :2], dim=0)) == len(boxes)


def test_map_anchors_fill_the_region(config: DistillDriveConfig) -> None:
    points = anchors.map_anchors(config).unflatten(-1, (-1, 2))
    centres = points.mean(dim=1)
    assert len(torch.unique(centres, dim=0)) == config.map.num_anchors
    assert (centres.abs() < torch.tensor([config.map.extent_x, config.map.extent_y])).all()
    assert torch.allclose(points[:, -1, 1] - points[:, 0, 1], torch.tensor(8.0))


def test_plan_anchors_are_drivable(config: DistillDriveConfig) -> None:
    """Constant speed, curvature of a car, forward, and turning the way the command says."""
    plan = anchors.plan_anchors(config.motion)
    delta = anchors.step_deltas(plan)
    speed = delta.norm(dim=-1) / config.motion.step_seconds
    assert torch.allclose(speed, speed[..., :1].expand_as(speed), atol=1e-4)
    heading = torch.atan2(delta[..., 1], delta[..., 0])
    yaw_rate = heading.diff(dim=-1).abs() / config.motion.step_seconds
    assert (yaw_rate * speed[..., 1:] <= 3.01).all()
    assert (yaw_rate <= speed[..., 1:] / 6.0 + 1e-3).all()
    right, left, straight = plan[:, :, -1, 0]
    assert (right > 0.1).all() and (left < -0.1).all() and (straight.abs() < 1e-5).all()
    assert torch.allclose(delta.cumsum(dim=-2), plan, atol=1e-5)


def test_motion_anchors_fit_their_class(config: DistillDriveConfig) -> None:
    motion = anchors.motion_anchors(config.motion)
    assert motion.shape == (10, config.motion.agent_modes, config.motion.agent_steps, 2)
    reach = motion.norm(dim=-1).amax(dim=(1, 2))
    car, pedestrian, cone = reach[0], reach[8], reach[9]
    assert cone < pedestrian < car
