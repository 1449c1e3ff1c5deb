"""The reinforcement part: a value network on the ego status (spec section 7).

There are no transitions and no replay: it regularises the status prediction, in training only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS, STATUS_FORWARD_SPEED
from distilldrive_ros.models.distilldrive.training_only import StatusValue
from distilldrive_ros.training.batch import EgoTargets
from distilldrive_ros.training.losses.focal import nothing
from distilldrive_ros.training.losses.weights import LossWeights

_DISCOUNT = 0.95
_STEP_SECONDS = 0.5
_MAX_SPEED = 20.0


def rewards(status: Tensor, offsets: Tensor, ego: EgoTargets) -> Tensor:
    """Six rewards [B, 6] in (0, 1] of a prediction, without gradient.

    Status close to the true one; first step consistent with the predicted speed; predicted speed sensible; steps,
    first step and end point close to the drive. status [B, 10], offsets [B, steps, 2] m per step.
    """
    status, offsets = status.detach(), offsets.detach()
    speed = status[:, STATUS_FORWARD_SPEED]
    end_error = offsets.sum(dim=1) - ego.offsets.sum(dim=1)
    return torch.stack(
        (
            (-(ego.status - status).abs().mean(dim=-1)).exp(),
            (-(offsets[:, 0, 1] - _STEP_SECONDS * speed).abs()).exp(),
            ((speed > 0) & (speed < _MAX_SPEED)).to(status.dtype),
            (-(ego.offsets - offsets).abs().mean(dim=(1, 2))).exp(),
            (-(ego.offsets[:, 0] - offsets[:, 0]).abs().mean(dim=-1)).exp(),
            (-end_error.abs().mean(dim=-1)).exp(),
        ),
        dim=-1,
    )


def value_loss(value: StatusValue, status: Tensor, offsets: Tensor, ego: EgoTargets, weights: LossWeights) -> Tensor:
    """Value of the commanded action against reward plus discounted target value, and the target network against the
    command; over the streams whose true status is known.

    status [B, 10] predicted, offsets [B, steps, 2] of the best mode.
    """
    known = (ego.status != 0).any(dim=-1)
    if not bool(known.any()):
        return nothing(status)
    status = status.float()
    reward = rewards(status, offsets, ego) @ value.reward_weight
    rows = torch.arange(len(status), device=status.device)
    predicted = value.model(status)[rows, ego.command]
    following = value.target_model(ego.status)
    target = reward + _DISCOUNT * following.amax(dim=-1)
    one_hot = F.one_hot(ego.command, NUM_COMMANDS).to(following.dtype)
    by_value = (predicted - target).abs()[known].mean()
    by_command = (following - one_hot).abs()[known].mean()
    return weights.plan_value * (by_value + by_command)
