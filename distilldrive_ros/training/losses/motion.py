"""Losses of the agents' futures: the best mode learns, and is to be recognised (spec section 10)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distilldrive_ros.training.batch import AgentTargets
from distilldrive_ros.training.losses.focal import mean_over, nothing, sigmoid_focal
from distilldrive_ros.training.losses.matching import Matching
from distilldrive_ros.training.losses.positives import shared_count
from distilldrive_ros.training.losses.weights import LossWeights


def mode_errors(offsets: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean displacement (m) of every mode over all steps, steps without annotation counted as 0.

    offsets [..., modes, steps, 2] and target [..., steps, 2] per step; valid [..., steps]. -> [..., modes]
    """
    distance = (offsets.cumsum(dim=-2) - target.cumsum(dim=-2).unsqueeze(-3)).norm(dim=-1)
    return (distance * valid.unsqueeze(-2)).mean(dim=-1)


def motion_losses(
    logits: Tensor,
    offsets: Tensor,
    agents: Sequence[AgentTargets],
    matchings: Sequence[Matching],
    weights: LossWeights,
    count_unknown: bool,
) -> dict[str, Tensor]:
    """logits [B, N, modes], offsets [B, N, modes, steps, 2]; `matchings`: which row answers for which agent.

    Agents without any annotated step add nothing to the sums. `count_unknown`: they are still among the agents that
    the sums are divided by, as in the published student; the published teacher leaves them out.
    """
    chosen_logits = torch.cat([logits[row, pairs.rows] for row, pairs in enumerate(matchings)]).float()
    chosen = torch.cat([offsets[row, pairs.rows] for row, pairs in enumerate(matchings)]).float()
    pairs_and_truth = list(zip(matchings, agents, strict=True))
    target = torch.cat([truth.offsets[pairs.targets] for pairs, truth in pairs_and_truth])
    valid = torch.cat([truth.valid[pairs.targets] for pairs, truth in pairs_and_truth])
    known = valid.any(dim=-1)
    count = shared_count((known | count_unknown).sum())
    if not bool(known.any()):
        return {"motion_loss_cls_0": nothing(logits), "motion_loss_reg_0": nothing(offsets)}
    chosen_logits, chosen, target, valid = chosen_logits[known], chosen[known], target[known], valid[known]
    best = mode_errors(chosen.detach(), target, valid).argmin(dim=-1)
    future = chosen[torch.arange(len(best), device=best.device), best].cumsum(dim=-2)
    error = (future - target.cumsum(dim=-2)).abs() * valid[..., None]
    return {
        "motion_loss_cls_0": weights.motion_cls * mean_over(sigmoid_focal(chosen_logits, best), count),
        "motion_loss_reg_0": weights.motion_reg * mean_over(error, count),
    }
