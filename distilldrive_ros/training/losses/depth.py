"""Loss of the dense depth branch (spec sections 3 and 10)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distilldrive_ros.training.losses.focal import nothing
from distilldrive_ros.training.losses.weights import LossWeights

_MAX_DEPTH = 60.0


def depth_loss(predicted: Sequence[Tensor], target: Sequence[Tensor], weights: LossWeights) -> Tensor:
    """Mean absolute error (m) over the cells with a LiDAR point, averaged over the levels.

    predicted: per level [B C, 1, h, w] m; target: per level [B, C, h, w] m, not positive where unknown.
    """
    terms = []
    for depth, truth in zip(predicted, target, strict=True):
        known = truth.flatten() > 0
        error = (depth.float().flatten().clamp(0.0, _MAX_DEPTH)[known] - truth.flatten()[known]).abs()
        terms.append(error.mean() if bool(known.any()) else nothing(depth))
    return weights.depth * torch.stack(terms).mean()
