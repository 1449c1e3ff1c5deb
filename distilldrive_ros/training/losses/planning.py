"""Losses of the ego plan: classification, regression and status (spec sections 8.4 and 10)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS
from distilldrive_ros.training.batch import EgoTargets
from distilldrive_ros.training.losses.focal import sigmoid_focal
from distilldrive_ros.training.losses.motion import mode_errors
from distilldrive_ros.training.losses.weights import LossWeights

_SOFT_TARGET = (0.9, 0.05, 0.05)
_SOFT_REST = 1e-10


@dataclass(frozen=True)
class CommandedBranch:
    """The modes of the commanded branch, in order: logits [B, modes], offsets [B, modes, steps, 2] per step.

    `errors` [B, modes]: mean displacement of each from the drive (m). `best` [B]: the mode closest to it.
    """

    logits: Tensor
    offsets: Tensor
    errors: Tensor
    best: Tensor

    def best_offsets(self) -> Tensor:
        """Offsets of the best mode, [B, steps, 2]."""
        return self.offsets[torch.arange(len(self.best), device=self.best.device), self.best]


def commanded_branch(logits: Tensor, offsets: Tensor, ego: EgoTargets) -> CommandedBranch:
    """Branch of each stream's command; logits [B, K], offsets [B, K, steps, 2], K command-major."""
    rows = torch.arange(len(logits), device=logits.device)
    chosen_logits = logits.float().unflatten(1, (NUM_COMMANDS, -1))[rows, ego.command]
    chosen = offsets.float().unflatten(1, (NUM_COMMANDS, -1))[rows, ego.command]
    errors = mode_errors(chosen.detach(), ego.offsets, ego.valid)
    return CommandedBranch(chosen_logits, chosen, errors, errors.argmin(dim=-1))


def hard_classification(branch: CommandedBranch, ego: EgoTargets, weights: LossWeights) -> Tensor:
    """Focal loss of the branch's modes against the best one; streams whose drive is unknown count for nothing."""
    known = ego.valid.any(dim=-1).to(branch.logits.dtype)
    return weights.plan_cls * (sigmoid_focal(branch.logits, branch.best) * known[:, None]).mean()


def soft_target(errors: Tensor) -> Tensor:
    """Distribution [B, modes]: 0.9 for the best mode, 0.05 for the second and third, almost nothing for the others."""
    target = torch.full_like(errors, _SOFT_REST)
    shares = errors.new_tensor(_SOFT_TARGET)[: errors.shape[1]]
    order = errors.argsort(dim=-1)[:, : len(shares)]
    return target.scatter(1, order, shares.expand(len(errors), -1))


def soft_classification(branch: CommandedBranch, ego: EgoTargets, weights: LossWeights) -> Tensor:
    """Divergence of the modes' softmax from the soft target, per stream of the batch."""
    known = ego.valid.any(dim=-1).to(branch.logits.dtype)
    predicted = branch.logits.log_softmax(dim=-1)
    divergence = F.kl_div(predicted, soft_target(branch.errors), reduction="none").sum(dim=-1)
    return weights.plan_cls * (divergence * known).sum() / len(known)


def regression(branch: CommandedBranch, ego: EgoTargets, weights: LossWeights) -> Tensor:
    """Mean absolute error of the best mode's steps (m), unknown steps counted as 0."""
    error = (branch.best_offsets() - ego.offsets).abs() * ego.valid[..., None]
    return weights.plan_reg * error.mean()


def status_loss(status: Tensor, ego: EgoTargets, weights: LossWeights) -> Tensor:
    """Mean absolute error of the predicted ego status [B, 10]."""
    return weights.plan_status * (status.float() - ego.status).abs().mean()
