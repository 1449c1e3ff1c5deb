"""Parameters that only training uses, registered so that official state dicts load without leftovers (spec 12)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS, STATUS_SIZE

TRAINING_ONLY_PREFIXES = (
    "depth_branch.",
    "head.motion_plan_head.dqn_model.",
    "head.motion_plan_head.feature_adapter.",
    "head.motion_plan_head.future_distribution.",
)
"""State-dict entries of the student that inference does not read."""

_REWARDS = 6
_HIDDEN = 24
_DEPTH_SCALE = 100.0
_MAX_EXPONENT = 20.0


class DepthBranch(nn.Module):
    """Dense depth from pyramid levels, a training signal for the backbone (spec 3)."""

    def __init__(self, width: int, num_levels: int) -> None:
        super().__init__()
        self.depth_layers = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in range(num_levels))

    def forward(self, levels: Sequence[Tensor], focal: Tensor) -> list[Tensor]:
        """Levels [N, D, H, W] and focal length [N] in pixels -> depth [N, 1, H, W] in metres, for the first levels.

        The exponent is bounded where the depth is beyond anything the loss looks at: infinity would have a gradient
        of NaN.
        """
        scale = focal[:, None, None, None] / _DEPTH_SCALE
        return [
            layer(level).clamp(max=_MAX_EXPONENT).exp() * scale
            for layer, level in zip(self.depth_layers, levels, strict=False)
        ]


class _ValueNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(STATUS_SIZE, _HIDDEN)
        self.fc2 = nn.Linear(_HIDDEN, _HIDDEN)
        self.fc3 = nn.Linear(_HIDDEN, NUM_COMMANDS)

    def forward(self, status: Tensor) -> Tensor:
        return self.fc3(self.fc2(self.fc1(status).relu()).relu())


class StatusValue(nn.Module):
    """Value of each command given the ego status: two networks and the weights of the reward terms (spec 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.reward_weight = nn.Parameter(torch.ones(_REWARDS))
        self.model = _ValueNetwork()
        self.target_model = _ValueNetwork()


def feature_adapter(width: int, teacher_width: int | None = None) -> nn.Sequential:
    """Maps student plan queries into the teacher's feature space (spec 8.3), as wide as the student's unless told."""
    out = teacher_width or width
    return nn.Sequential(nn.Linear(width, out), nn.ReLU(), nn.Linear(out, out))
