"""Detection losses against formulas written out box by box."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.batch import AgentTargets
from distilldrive_ros.training.losses.detection import (
    box_targets,
    box_weights,
    detection_losses,
    match_boxes,
    match_decoders,
)
from distilldrive_ros.training.losses.weights import LossWeights

from .conftest import make_agents

ONES = LossWeights(det_cls=1.0, det_box=1.0, det_centerness=1.0, det_yawness=1.0)


def outputs_of(logits: Tensor, boxes: Tensor, quality: Tensor) -> PerceptionOutputs:
    """One decoder, one stream."""
    feature = torch.zeros(1, len(boxes), 1)
    return PerceptionOutputs((logits[None],), (boxes[None],), (quality[None],), feature, feature)


def perfect(agents: AgentTargets) -> Tensor:
    """Predictions [A, 11] that are the annotations themselves."""
    return torch.cat((box_targets(agents), torch.zeros(len(agents.boxes), 1)), dim=1)


def losses_of(outputs: PerceptionOutputs, agents: AgentTargets, weights: LossWeights = ONES) -> dict[str, Tensor]:
    return detection_losses(outputs, [agents], match_decoders(outputs, [agents]), weights)


def test_box_targets() -> None:
    agents = make_agents(3, torch.Generator().manual_seed(0))
    x, y, z, length, width, height, yaw, vx, vy = agents.boxes[1].tolist()
    expected = [x, y, z, *(math.log(size) for size in (length, width, height)), math.sin(yaw), math.cos(yaw), vx, vy]
    assert box_targets(agents)[1].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_every_annotation_finds_its_own_prediction(seed: int) -> None:
    """In any order, and in spite of as many predictions that are 20 m off."""
    generator = torch.Generator().manual_seed(seed)
    agents = make_agents(6, generator)
    boxes = perfect(agents)
    order = torch.randperm(12, generator=generator)
    candidates = torch.cat((boxes, boxes + 20.0))[order]
    pairs = match_boxes(torch.zeros(12, 10), candidates, agents)
    assert torch.equal(order[pairs.rows], pairs.targets)


def test_perfect_boxes_cost_nothing() -> None:
    agents = make_agents(5, torch.Generator().manual_seed(1))
    outputs = outputs_of(torch.zeros(5, 10), perfect(agents), torch.full((5, 2), 20.0))
    losses = losses_of(outputs, agents)
    for name in ("box", "cns", "yns"):
        assert float(losses[f"det_loss_{name}_0"]) == pytest.approx(0.0, abs=1e-5)


def test_box_loss_formula() -> None:
    """Position counts double, that of a cone four times; a cone has no heading; the vertical velocity is left out."""
    cone = CLASS_NAMES.index("traffic_cone")
    agents = replace(make_agents(2, torch.Generator().manual_seed(2)), labels=torch.tensor([0, cone]))
    off = torch.tensor([0.1, -0.2, 0.3, 0.01, 0.02, -0.03, 0.04, 0.05, 0.5, -0.6, 9.0])
    outputs = outputs_of(torch.zeros(2, 10), perfect(agents) + off, torch.zeros(2, 2))
    a = off.abs().tolist()
    car = 2 * sum(a[:3]) + sum(a[3:10])
    cone_alone = 4 * sum(a[:3]) + sum(a[3:6]) + sum(a[8:10])
    losses = losses_of(outputs, agents)
    assert float(losses["det_loss_box_0"]) == pytest.approx((car + cone_alone) / 2, rel=1e-4)
    centerness = math.exp(-math.sqrt(sum(x * x for x in a[:3])))
    entropy = -(centerness + 1 - centerness) * math.log(0.5)
    assert float(losses["det_loss_cns_0"]) == pytest.approx(entropy, rel=1e-5)
    half = 0.25 * math.log(2)
    assert float(losses["det_loss_yns_0"]) == pytest.approx(half, rel=1e-5)


def test_a_barrier_has_no_front_and_a_car_has() -> None:
    for name, expected in (("barrier", 0.0), ("car", 4.0)):
        agents = replace(
            make_agents(1, torch.Generator().manual_seed(3)), labels=torch.tensor([CLASS_NAMES.index(name)])
        )
        boxes = perfect(agents)
        heading = boxes[:, 6:8].clone()
        boxes[:, 6:8] = -heading
        loss = float(losses_of(outputs_of(torch.zeros(1, 10), boxes, torch.zeros(1, 2)), agents)["det_loss_box_0"])
        assert loss == pytest.approx(expected / 2 * float(heading.abs().sum()), abs=1e-5)


def test_unknown_velocities_are_left_out() -> None:
    agents = make_agents(2, torch.Generator().manual_seed(4))
    boxes = agents.boxes.clone()
    boxes[0, 7:] = float("nan")
    unknown = replace(agents, boxes=boxes)
    assert (box_weights(unknown, box_targets(unknown))[0, 8:] == 0).all()
    wrong = perfect(agents) + torch.tensor([0.0] * 8 + [1.0, 1.0, 0.0])
    losses = losses_of(outputs_of(torch.zeros(2, 10), wrong, torch.zeros(2, 2)), unknown)
    assert float(losses["det_loss_box_0"]) == pytest.approx(1.0, rel=1e-5)


def test_unlikely_instances_learn_their_class_only() -> None:
    agents = make_agents(2, torch.Generator().manual_seed(5))
    logits = torch.full((2, 10), -4.0)
    boxes = (perfect(agents) + 1.0).requires_grad_()
    losses = losses_of(outputs_of(logits.requires_grad_(), boxes, torch.zeros(2, 2, requires_grad=True)), agents)
    assert losses["det_loss_box_0"].item() == 0.0
    sum(losses.values(), start=torch.zeros(())).backward()
    assert boxes.grad is not None and not boxes.grad.any()
    assert logits.grad is not None and logits.grad.any()


def test_an_empty_street_teaches_background() -> None:
    agents = make_agents(0, torch.Generator())
    outputs = outputs_of(torch.zeros(4, 10, requires_grad=True), torch.zeros(4, 11), torch.zeros(4, 2))
    losses = losses_of(outputs, agents)
    assert losses["det_loss_cls_0"].item() == pytest.approx(40 * 0.75 * 0.25 * math.log(2), rel=1e-5)
    assert float(losses["det_loss_box_0"]) == float(losses["det_loss_yns_0"]) == 0.0


def test_weights_scale_their_terms() -> None:
    agents = make_agents(4, torch.Generator().manual_seed(6))
    generator = torch.Generator().manual_seed(7)
    outputs = outputs_of(
        torch.randn(6, 10, generator=generator),
        torch.randn(6, 11, generator=generator),
        torch.randn(6, 2, generator=generator),
    )
    plain, scaled = losses_of(outputs, agents), losses_of(outputs, agents, LossWeights())
    factors = {"cls": 2.0, "box": 0.25, "cns": 1.0, "yns": 1.0}
    for name, factor in factors.items():
        key = f"det_loss_{name}_0"
        assert float(scaled[key]) == pytest.approx(factor * float(plain[key]), rel=1e-5)
