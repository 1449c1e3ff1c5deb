"""The reinforcement part: a value network on the ego status (spec section 7).

There are no transitions and no replay: it regularises the status prediction, in training only.
"""

from __future__ import annotations

from enum import Enum

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


class ValueGradient(str, Enum):
    """What the reinforcement part changes.

    STATUS: as published (spec 7), the predicted status, the reward weights and both value networks together. Moving
    the status is the quickest way to a value that meets its target, and wherever the value changes by more than a tenth
    per unit of an entry, that pull is stronger than the one of the status loss (a mean over ten entries): the status
    gets worse while this term falls. VALUE, ours: the value networks alone; predicted status and target are constants
    to them, so the status learns from its own loss, and nothing that drives learns from this term.
    """

    STATUS = "status"
    VALUE = "value"


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


def value_loss(
    value: StatusValue,
    status: Tensor,
    offsets: Tensor,
    ego: EgoTargets,
    weights: LossWeights,
    gradient: ValueGradient | None = None,
) -> Tensor:
    """Value of the commanded action against reward plus discounted target value, and the target network against the
    command; over the streams whose true status is known.

    status [B, 10] predicted, offsets [B, steps, 2] of the best mode. `gradient`: None as published.
    """
    known = (ego.status != 0).any(dim=-1)
    if not bool(known.any()):
        return nothing(status)
    alone = gradient is ValueGradient.VALUE
    status = status.detach().float() if alone else status.float()
    reward = rewards(status, offsets, ego) @ value.reward_weight
    rows = torch.arange(len(status), device=status.device)
    predicted = value.model(status)[rows, ego.command]
    following = value.target_model(ego.status)
    target = reward + _DISCOUNT * following.amax(dim=-1)
    if alone:
        target = target.detach()
    one_hot = F.one_hot(ego.command, NUM_COMMANDS).to(following.dtype)
    by_value = (predicted - target).abs()[known].mean()
    by_command = (following - one_hot).abs()[known].mean()
    return weights.plan_value * (by_value + by_command)
