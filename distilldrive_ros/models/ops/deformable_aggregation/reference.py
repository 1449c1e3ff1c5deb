"""Deformable feature aggregation in plain torch: the definition that faster kernels are compared with (spec 4.6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def deformable_aggregation_reference(
    features: Tensor, spatial_shapes: Tensor, level_start: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample every point in every camera and level, weight, and add up per anchor. Arguments as in `dispatch`.

    Works through one camera and level at a time and touches only the points inside that camera's image, so the memory
    needed is a few times (points inside) x D.
    """
    batch, num_anchors, _, num_cameras, _ = locations.shape
    groups = weights.shape[-1]
    inside = ((locations > 0) & (locations < 1)).all(dim=-1)
    shapes, starts = spatial_shapes.tolist(), level_start.tolist()
    outputs = []
    for b in range(batch):
        total = features.new_zeros(num_anchors, features.shape[-1])
        for camera in range(num_cameras):
            anchor, point = inside[b, :, :, camera].nonzero(as_tuple=True)
            grid = 2 * locations[b, anchor, point, camera] - 1
            point_weights = weights[b, anchor, point, camera]
            value = _sample_camera(features[b], shapes[camera], starts[camera], grid, point_weights, groups)
            total = total.index_add(0, anchor, value)
        outputs.append(total)
    return torch.stack(outputs)


def _sample_camera(
    features: Tensor, shapes: list[list[int]], starts: list[int], grid: Tensor, weights: Tensor, groups: int
) -> Tensor:
    """One camera: features [S, D], grid [n, 2] in (-1, 1), weights [n, L, G] -> weighted sum over levels [n, D]."""
    value = features.new_zeros(grid.shape[0], groups, features.shape[-1] // groups)
    for level, ((height, width), start) in enumerate(zip(shapes, starts, strict=True)):
        tokens = features[start : start + height * width]
        image = tokens.t().reshape(1, -1, height, width)
        sampled = F.grid_sample(image, grid[None, None], mode="bilinear", padding_mode="zeros", align_corners=False)
        value = value + sampled[0, :, 0].t().unflatten(-1, (groups, -1)) * weights[:, level, :, None]
    return value.flatten(1)
