"""Anchor encoders: geometry of a box or polyline to a feature-sized embedding (spec 4.3 and 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.mlp import linear_relu_norm


class BoxEncoder(nn.Module):
    """Position, log size, (sin, cos) and velocity of a box, encoded apart and concatenated."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pos_fc = nn.Sequential(*linear_relu_norm(3, width // 2, 1, 4))
        self.size_fc = nn.Sequential(*linear_relu_norm(3, width // 8, 1, 4))
        self.yaw_fc = nn.Sequential(*linear_relu_norm(2, width // 8, 1, 4))
        self.vel_fc = nn.Sequential(*linear_relu_norm(3, width // 4, 1, 4))

    def forward(self, boxes: Tensor) -> Tensor:
        """Undecoded boxes [..., 11] -> [..., width]."""
        parts = (
            self.pos_fc(boxes[..., :3]),
            self.size_fc(boxes[..., 3:6]),
            self.yaw_fc(boxes[..., 6:8]),
            self.vel_fc(boxes[..., 8:11]),
        )
        return torch.cat(parts, dim=-1)


class PolylineEncoder(nn.Module):
    """Flattened polyline points in metres."""

    def __init__(self, num_points: int, width: int) -> None:
        super().__init__()
        self.pos_fc = nn.Sequential(*linear_relu_norm(2 * num_points, width, 1, 2))

    def forward(self, polylines: Tensor) -> Tensor:
        """Polylines [..., 2 num_points] (x0, y0, x1, ...) -> [..., width]."""
        return self.pos_fc(polylines)
