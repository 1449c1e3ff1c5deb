"""The op as a few operators that every exporter and runtime knows: GridSample, products, sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def grid_sample_form(sizes: Sequence[tuple[int, int]]) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """An implementation of `deformable_aggregation` for maps of these sizes (height, width), finest first.

    For exported graphs, not for speed: all shapes are fixed, nothing is skipped. The maps' sizes and places become part
    of the graph, so the arguments that tell them are not looked at: every camera must have the same maps, one camera
    after the other. One GridSample per level, cameras as its batch: A x P x C x D numbers are in memory at a time.
    """
    areas = [height * width for height, width in sizes]

    def aggregate(features: Tensor, _shapes: Tensor, _starts: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        batch, num_anchors, num_points, num_cameras, _ = locations.shape
        groups = weights.shape[-1]
        inside = ((locations > 0) & (locations < 1)).all(dim=-1)
        # Points outside contribute nothing; they are moved inside, for runtimes differ in what they make of huge ones.
        grid = torch.where(inside[..., None], 2 * locations - 1, 0.0).permute(0, 3, 1, 2, 4).flatten(0, 1)
        masked = weights * inside[..., None, None]
        maps = features.view(batch * num_cameras, sum(areas), -1).transpose(1, 2).split(areas, dim=2)
        total = features.new_zeros(batch, groups, features.shape[-1] // groups, num_anchors)
        for level, (size, flat) in enumerate(zip(sizes, maps, strict=True)):
            image = flat.unflatten(2, size)
            sampled = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
            sampled = sampled.view(batch, num_cameras, groups, -1, num_anchors, num_points)
            of_level = masked[:, :, :, :, level].permute(0, 3, 4, 1, 2)[:, :, :, None]
            total = total + (sampled * of_level).sum(dim=(1, 5))
        return total.flatten(1, 2).transpose(1, 2)

    return aggregate
