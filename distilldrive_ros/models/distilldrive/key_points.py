"""Key points: where in space an instance looks into the images (spec 4.5 and 5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from distilldrive_ros.models.device_constants import device_constant

_OFFSET = 0.45
_FIXED_SCALES = ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))


class BoxKeyPoints(nn.Module):
    """Seven fixed points of a box and some learnable ones inside it."""

    fix_scale: Tensor

    def __init__(self, width: int, num_learnable: int) -> None:
        super().__init__()
        self.num_points = len(_FIXED_SCALES) + num_learnable
        self.fix_scale = nn.Parameter(_OFFSET * torch.tensor(_FIXED_SCALES, dtype=torch.float32), requires_grad=False)
        self.learnable_fc = nn.Linear(width, 3 * num_learnable)

    def forward(self, boxes: Tensor, features: Tensor) -> Tensor:
        """Undecoded boxes [B, N, 11], features [B, N, D] -> points [B, N, P, 3] in metres, fixed ones first.

        Sine and cosine are used as they come, without normalisation (quirk Q14).
        """
        learnable = self.learnable_fc(features).unflatten(-1, (-1, 3)).sigmoid() - 0.5
        scales = torch.cat((self.fix_scale.expand(*boxes.shape[:2], -1, -1), learnable), dim=-2)
        local = scales * boxes[..., None, 3:6].exp()
        sine, cosine = boxes[..., None, 6], boxes[..., None, 7]
        x = cosine * local[..., 0] - sine * local[..., 1]
        y = sine * local[..., 0] + cosine * local[..., 1]
        return torch.stack((x, y, local[..., 2]), dim=-1) + boxes[..., None, :3]


class PolylineKeyPoints(nn.Module):
    """Learnable ground offsets around every polyline point, at several heights."""

    def __init__(
        self, width: int, num_samples: int, num_learnable: int, heights: Sequence[float], ground_height: float
    ) -> None:
        super().__init__()
        self.num_samples = num_samples
        self.num_learnable = num_learnable
        self.heights = tuple(ground_height + height for height in heights)
        self.num_points = num_samples * len(heights) * num_learnable
        self.learnable_fc = nn.Linear(width, 2 * self.num_points)

    def forward(self, polylines: Tensor, features: Tensor) -> Tensor:
        """Polylines [B, N, 2 S], features [B, N, D] -> points [B, N, P, 3], ordered (sample, height, learnable)."""
        shape = (self.num_samples, len(self.heights), self.num_learnable, 2)
        offsets = self.learnable_fc(features).unflatten(-1, shape)
        ground = polylines.unflatten(-1, (self.num_samples, 1, 1, 2)) + offsets
        heights = device_constant(self.heights, ground.dtype, ground.device)
        z = heights[:, None, None].expand(*ground.shape[:-1], 1)
        return torch.cat((ground, z), dim=-1).flatten(-4, -2)
