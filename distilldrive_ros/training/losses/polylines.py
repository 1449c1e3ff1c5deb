"""Losses of the map head: classes and points of every decoder, whatever the order of the points (spec 5.2, 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import MapConfig
from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs
from distilldrive_ros.training.batch import MapTargets
from distilldrive_ros.training.losses.focal import focal_cost, mean_over, nothing, sigmoid_focal
from distilldrive_ros.training.losses.matching import Matching, assign
from distilldrive_ros.training.losses.positives import shared_count
from distilldrive_ros.training.losses.weights import LossWeights

_COST_CLS, _COST_LINE = 1.0, 10.0
_SMOOTH = 0.01
_MIN_SCORE = 0.05
_RANGE_EPSILON = 1e-5


@dataclass(frozen=True)
class LineMatching:
    """Assignment of one decoder and stream, and the `ordering` [n] of each target that fits its instance best."""

    pairs: Matching
    ordering: Tensor


def normalized(points: Tensor, config: MapConfig) -> Tensor:
    """Points [..., 2] m to shares of the map region: 0 at its lower left corner, 1 at its upper right one."""
    corner = points.new_tensor((config.extent_x, config.extent_y))
    return (points + corner) / (2 * corner + _RANGE_EPSILON)


def match_lines(logits: Tensor, lines: Tensor, targets: MapTargets, config: MapConfig) -> LineMatching:
    """Assignment of one decoder and stream; logits [N, classes], lines [N, 2 S] m."""
    predicted = normalized(lines.detach().float().unflatten(-1, (-1, 2)), config).flatten(-2)
    orderings = normalized(targets.orderings, config).flatten(-2)
    line_cost, ordering = _ordering_costs(predicted, orderings, config.num_points)
    class_cost = focal_cost(logits.detach().float(), targets.labels)
    pairs = assign(_COST_CLS * class_cost + _COST_LINE * line_cost)
    return LineMatching(pairs, ordering[pairs.rows, pairs.targets])


def _ordering_costs(predicted: Tensor, orderings: Tensor, num_points: int) -> tuple[Tensor, Tensor]:
    """Cheapest ordering of every target for every instance: cost and index [N, G]; orderings [G, O, 2 S]."""
    costs, indices = [], []
    for target in orderings:
        distance = F.smooth_l1_loss(
            predicted[:, None].expand(-1, len(target), -1),
            target.expand(len(predicted), -1, -1),
            reduction="none",
            beta=_SMOOTH,
        )
        best = (distance.sum(dim=-1) / num_points).min(dim=-1)
        costs.append(best.values)
        indices.append(best.indices)
    if not costs:
        empty = predicted.new_zeros(len(predicted), 0)
        return empty, empty.long()
    return torch.stack(costs, dim=1), torch.stack(indices, dim=1)


def map_losses(
    outputs: PerceptionOutputs, targets: Sequence[MapTargets], config: MapConfig, weights: LossWeights
) -> dict[str, Tensor]:
    """Two terms per decoder."""
    losses: dict[str, Tensor] = {}
    for layer, (logits, lines) in enumerate(zip(outputs.logits, outputs.anchors, strict=True)):
        terms = _decoder_losses(logits.float(), lines.float(), targets, config, weights)
        losses.update({f"map_loss_{name}_{layer}": value for name, value in terms.items()})
    return losses


def _decoder_losses(
    logits: Tensor, lines: Tensor, targets: Sequence[MapTargets], config: MapConfig, weights: LossWeights
) -> dict[str, Tensor]:
    labels = torch.full(logits.shape[:2], config.num_classes, device=logits.device)
    chosen, scores, truths = [], [], []
    for row, truth in enumerate(targets):
        matching = match_lines(logits[row], lines[row], truth, config)
        pairs = matching.pairs
        labels[row, pairs.rows] = truth.labels[pairs.targets]
        chosen.append(lines[row, pairs.rows])
        scores.append(logits[row, pairs.rows].amax(dim=-1).sigmoid())
        truths.append(truth.orderings[pairs.targets, matching.ordering])
    line, target = torch.cat(chosen).unflatten(-1, (-1, 2)), torch.cat(truths)
    positive = (target != 0).flatten(1).any(dim=-1)
    count = shared_count(positive.sum())
    used = positive & (torch.cat(scores) > _MIN_SCORE)
    cls = weights.map_cls * mean_over(sigmoid_focal(logits.flatten(0, 1), labels.flatten()), count)
    if not bool(used.any()):
        return {"cls": cls, "line": nothing(lines)}
    distance = F.smooth_l1_loss(
        normalized(line[used], config), normalized(target[used], config), reduction="none", beta=_SMOOTH
    )
    return {"cls": cls, "line": weights.map_line * mean_over(distance, count) / config.num_points}
