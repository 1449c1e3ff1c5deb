"""Imitation losses of DiffusionDrive (its spec, sections 4.7 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.diffusiondrive.scene_encoder import AgentOutputs
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.losses.focal import sigmoid_focal
from distilldrive_ros.training.losses.matching import assign
from distilldrive_ros.training.losses.positives import shared_count
from distilldrive_ros.training.losses.weights import Factors

_MATCH_CLASS, _MATCH_BOX = 10.0, 1.0


@dataclass(frozen=True)
class ImitationWeights(Factors):
    """Factor of every term; `mode` and `pose` weigh the two parts of a decoder layer, `trajectory` all layers."""

    trajectory: float = 12.0
    mode: float = 10.0
    pose: float = 8.0
    agent_class: float = 10.0
    agent_box: float = 1.0
    bev: float = 14.0


def nearest_anchor(anchors: Tensor, trajectory: Tensor) -> Tensor:
    """Index [B] of the anchor [N, P, 2] with the smallest mean distance to trajectory [B, P, 3]."""
    distance = (anchors[None] - trajectory[:, None, :, :2]).norm(dim=-1).mean(dim=-1)
    return distance.argmin(dim=-1)


def trajectory_losses(
    outputs: PassOutputs, anchors: Tensor, batch: DiffusionBatch, weights: ImitationWeights
) -> dict[str, Tensor]:
    """Two terms per decoder layer: which mode is the one, and its poses. Frames whose drive is unknown add nothing.

    `outputs` of samples that are the anchors in order, one group.
    """
    positive = nearest_anchor(anchors, batch.trajectory)
    rows = torch.arange(batch.size, device=positive.device)
    known = batch.known.to(batch.trajectory.dtype)
    losses: dict[str, Tensor] = {}
    for layer, (poses, logits) in enumerate(zip(outputs.poses, outputs.mode_logits, strict=True)):
        if logits is None:
            raise ValueError("the pass did not classify its modes")
        entries = logits.float().flatten()[:, None]
        labels = torch.ones_like(logits, dtype=torch.int64).scatter(1, positive[:, None], 0)
        focal = sigmoid_focal(entries, labels.flatten()).view(logits.shape)
        error = (poses[rows, positive].float() - batch.trajectory).abs().mean(dim=(1, 2))
        losses[f"mode_{layer}"] = weights.trajectory * weights.mode * (focal * known[:, None]).mean()
        losses[f"pose_{layer}"] = weights.trajectory * weights.pose * (error * known).mean()
    return losses


def agent_losses(outputs: AgentOutputs, batch: DiffusionBatch, weights: ImitationWeights) -> dict[str, Tensor]:
    """Presence and boxes of the vehicles, each query answering for one of the targets (empty ones included)."""
    states, logits = outputs.states.float(), outputs.logits.float()
    presence = batch.agent_present.to(logits.dtype)
    classes, boxes = [], []
    for row in range(batch.size):
        cost = _agent_cost(states[row].detach(), logits[row].detach(), batch.agents[row], presence[row])
        pairs = assign(cost)
        target = presence[row, pairs.targets]
        classes.append(F.binary_cross_entropy_with_logits(logits[row, pairs.rows], target, reduction="none"))
        error = (states[row, pairs.rows] - batch.agents[row, pairs.targets]).abs().sum(dim=-1)
        boxes.append((error * target).sum())
    count = shared_count(presence.sum())
    return {
        "agent_class": weights.agent_class * torch.stack(classes).mean(),
        "agent_box": weights.agent_box * torch.stack(boxes).sum() / count,
    }


def _agent_cost(states: Tensor, logits: Tensor, agents: Tensor, presence: Tensor) -> Tensor:
    """Cost [queries, targets]: presence, and distance along both axes where there is a vehicle."""
    shape = (len(logits), len(presence))
    by_class = F.binary_cross_entropy_with_logits(
        logits[:, None].expand(shape), presence[None].expand(shape), reduction="none"
    )
    distance = (states[:, None, :2] - agents[None, :, :2]).abs().sum(dim=-1) * presence
    return _MATCH_CLASS * by_class + _MATCH_BOX * distance


def bev_loss(logits: Tensor, batch: DiffusionBatch, weights: ImitationWeights) -> Tensor:
    """Cross entropy of the map classes, logits [B, 7, L / 2, L]."""
    return weights.bev * F.cross_entropy(logits.float(), batch.bev)
