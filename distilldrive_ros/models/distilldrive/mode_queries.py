"""Modes as queries: what the student and its teacher know of their anchors before they see anything (spec 6.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS, MotionConfig
from distilldrive_ros.models.distilldrive.mlp import linear_relu_norm
from distilldrive_ros.models.distilldrive.position_code import sine_position_code
from distilldrive_ros.scene.objects import CLASS_NAMES


class ModeQueries(nn.Module):
    """Anchors of the agents' and the ego's modes with their encoders. Base of the heads that decode modes.

    Parameter names are part of the official state dict (spec 12.5 and 12.6); the anchors are not trained.
    """

    def __init__(self, width: int, motion: MotionConfig) -> None:
        super().__init__()
        self.width = width
        self.motion_anchor = nn.Parameter(
            torch.zeros(len(CLASS_NAMES), motion.agent_modes, motion.agent_steps, 2), requires_grad=False
        )
        plan_shape = (NUM_COMMANDS, motion.ego_modes, motion.ego_steps, 2)
        self.plan_anchor = nn.Parameter(torch.zeros(plan_shape), requires_grad=False)
        self.plan_anchor_delta = nn.Parameter(torch.zeros(plan_shape), requires_grad=False)
        self.motion_anchor_encoder = _anchor_mlp(width, width)
        self.plan_anchor_encoder = _anchor_mlp(width, width)
        self.plan_instance_encoder = _anchor_mlp(motion.ego_steps * width // 2, width)

    def ego_queries(self) -> Tensor:
        """Ego features [K, D] from the steps of the plan anchors; they do not depend on the input."""
        steps = self.plan_anchor_delta.flatten(0, 1)
        code = sine_position_code(steps, self.width // 2).flatten(-2)
        return self.plan_instance_encoder(code)

    def plan_mode_code(self) -> Tensor:
        """Code [K, D] of the end points of the plan anchors."""
        end_points = self.plan_anchor[:, :, -1].flatten(0, 1)
        return self.plan_anchor_encoder(sine_position_code(end_points, self.width))

    def motion_mode_code(self, labels: Tensor, yaw: Tensor) -> Tensor:
        """Code [B, N, modes, D] of the end points of each agent's motion anchors, turned by its heading.

        labels [B, N] int64, yaw [B, N] in radians.
        """
        end_points = self.motion_anchor[:, :, -1][labels]
        sine, cosine = yaw[..., None].sin(), yaw[..., None].cos()
        x, y = end_points.unbind(dim=-1)
        turned = torch.stack((cosine * x - sine * y, sine * x + cosine * y), dim=-1)
        return self.motion_anchor_encoder(sine_position_code(turned, self.width))


def _anchor_mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(*linear_relu_norm(inputs, inputs, 1, 1), nn.Linear(inputs, width))
