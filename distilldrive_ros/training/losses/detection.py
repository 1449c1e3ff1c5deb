"""Losses of the detection head: classes, boxes, centerness and yawness of every decoder (spec section 10)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.batch import AgentTargets
from distilldrive_ros.training.losses.focal import focal_cost, gaussian_focal, mean_over, nothing, sigmoid_focal
from distilldrive_ros.training.losses.matching import Matching, assign
from distilldrive_ros.training.losses.positives import shared_count
from distilldrive_ros.training.losses.weights import LossWeights

BACKGROUND = len(CLASS_NAMES)
_BARRIER = CLASS_NAMES.index("barrier")
_CONE = CLASS_NAMES.index("traffic_cone")
_BOX_DIMS = 10
_COST_CLS, _COST_BOX = 2.0, 0.25
_COST_WEIGHTS = (2.0, 2.0, 2.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
_LOSS_WEIGHTS = (2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_CONE_WEIGHTS = (2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0)
_MIN_SIZE = 1e-6
_MIN_SCORE = 0.05
_SIN, _COS = 6, 7


def box_targets(agents: AgentTargets) -> Tensor:
    """Annotated boxes as the network writes them: x, y, z, log sizes, sine, cosine, vx, vy, [A, 10]."""
    boxes = agents.boxes
    yaw = boxes[:, 6:7]
    return torch.cat((boxes[:, :3], boxes[:, 3:6].clamp(min=_MIN_SIZE).log(), yaw.sin(), yaw.cos(), boxes[:, 7:9]), 1)


def box_weights(agents: AgentTargets, targets: Tensor) -> Tensor:
    """Weight of every number of every target [A, 10]: 0 where unknown, and for the heading of a traffic cone."""
    weights = torch.ones_like(targets)
    weights[agents.labels == _CONE] = targets.new_tensor(_CONE_WEIGHTS)
    return torch.where(targets.isnan(), 0.0, weights)


def match_boxes(logits: Tensor, boxes: Tensor, agents: AgentTargets) -> Matching:
    """Assignment of one decoder and stream; logits [N, C], undecoded boxes [N, 11]."""
    targets = box_targets(agents)
    weights = box_weights(agents, targets) * targets.new_tensor(_COST_WEIGHTS)
    distance = (boxes.detach().float()[:, None, :_BOX_DIMS] - targets).abs() * weights
    box_cost = torch.nan_to_num(distance, nan=0.0).sum(dim=-1)
    return assign(_COST_CLS * focal_cost(logits.detach().float(), agents.labels) + _COST_BOX * box_cost)


def match_decoders(outputs: PerceptionOutputs, agents: Sequence[AgentTargets]) -> tuple[tuple[Matching, ...], ...]:
    """Assignment of every decoder (outer) and stream (inner)."""
    return tuple(
        tuple(match_boxes(logits[row], boxes[row], targets) for row, targets in enumerate(agents))
        for logits, boxes in zip(outputs.logits, outputs.anchors, strict=True)
    )


def detection_losses(
    outputs: PerceptionOutputs,
    agents: Sequence[AgentTargets],
    matchings: Sequence[Sequence[Matching]],
    weights: LossWeights,
) -> dict[str, Tensor]:
    """Four terms per decoder; `matchings` as `match_decoders` gives them."""
    losses: dict[str, Tensor] = {}
    for layer, (logits, boxes, quality) in enumerate(
        zip(outputs.logits, outputs.anchors, outputs.quality, strict=True)
    ):
        if quality is None:
            raise ValueError("detection outputs carry no quality logits")
        terms = _decoder_losses(logits.float(), boxes.float(), quality.float(), agents, matchings[layer], weights)
        losses.update({f"det_loss_{name}_{layer}": value for name, value in terms.items()})
    return losses


def _decoder_losses(
    logits: Tensor,
    boxes: Tensor,
    quality: Tensor,
    agents: Sequence[AgentTargets],
    matchings: Sequence[Matching],
    weights: LossWeights,
) -> dict[str, Tensor]:
    labels = torch.full(logits.shape[:2], BACKGROUND, device=logits.device)
    chosen_boxes, chosen_quality, chosen_scores, targets, factors = [], [], [], [], []
    for row, (matching, truth) in enumerate(zip(matchings, agents, strict=True)):
        labels[row, matching.rows] = truth.labels[matching.targets]
        encoded = box_targets(truth)
        factor = box_weights(truth, encoded)[matching.targets]
        predicted = boxes[row, matching.rows, :_BOX_DIMS]
        target = torch.nan_to_num(encoded[matching.targets], nan=0.0)
        targets.append(_facing(target, predicted, truth.labels[matching.targets]))
        factors.append(factor * target.new_tensor(_LOSS_WEIGHTS))
        chosen_boxes.append(predicted)
        chosen_quality.append(quality[row, matching.rows])
        chosen_scores.append(logits[row, matching.rows].amax(dim=-1).sigmoid())
    box, target, factor = torch.cat(chosen_boxes), torch.cat(targets), torch.cat(factors)
    positive = (target != 0).any(dim=-1)
    count = shared_count(positive.sum())
    used = positive & (torch.cat(chosen_scores) > _MIN_SCORE)
    losses = {"cls": weights.det_cls * mean_over(sigmoid_focal(logits.flatten(0, 1), labels.flatten()), count)}
    if not bool(used.any()):
        zero = nothing(boxes)
        return {**losses, "box": zero, "cns": nothing(quality), "yns": nothing(quality)}
    box, target, factor, chosen = box[used], target[used], factor[used], torch.cat(chosen_quality)[used]
    losses["box"] = weights.det_box * mean_over((box - target).abs() * factor, count)
    centerness = (-(box[:, :3] - target[:, :3]).norm(dim=-1)).exp().detach()
    by_centre = F.binary_cross_entropy_with_logits(chosen[:, 0], centerness, reduction="none")
    losses["cns"] = weights.det_centerness * mean_over(by_centre, count)
    aligned = F.cosine_similarity(box[:, _SIN : _COS + 1], target[:, _SIN : _COS + 1], dim=-1) > 0
    by_heading = gaussian_focal(chosen[:, 1].sigmoid(), aligned.to(box.dtype))
    losses["yns"] = weights.det_yawness * mean_over(by_heading, count)
    return losses


def _facing(target: Tensor, predicted: Tensor, labels: Tensor) -> Tensor:
    """A barrier has no front: its target heading is turned to the side the prediction points to."""
    heading = target[:, _SIN : _COS + 1]
    against = (predicted[:, _SIN : _COS + 1].detach() * heading).sum(dim=-1) < 0
    flipped = torch.where((against & (labels == _BARRIER))[:, None], -heading, heading)
    return torch.cat((target[:, :_SIN], flipped, target[:, _COS + 1 :]), dim=1)
