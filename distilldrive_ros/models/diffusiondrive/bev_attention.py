"""Attention of a trajectory to the bird's-eye cells under its own way-points (spec 4.4, CrossBEV)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_DROPOUT = 0.1


@dataclass(frozen=True)
class PaddedMap:
    """The map with a border of zeros, `cells` [B, G + 2, G + 2, bev_width]."""

    cells: Tensor

    @staticmethod
    def of(bev: Tensor) -> PaddedMap:
        """Of a map [B, G, G, bev_width]."""
        return PaddedMap(F.pad(bev, (0, 0, 1, 1, 1, 1)))


BevSource = Tensor | PaddedMap
"""What trajectories sample: `value_map` of the map; or the map itself, whose values are then computed only at the cells
that the points touch, with equal results."""


class CrossBevAttention(nn.Module):
    """Weighted sum of the value map at the way-points of each query.

    `bev_width` channels of the map become `width` channels by a 3x3 convolution and ReLU. The map covers +-`extent` m;
    points outside read zeros.
    """

    def __init__(self, width: int, bev_width: int, num_points: int, extent: float) -> None:
        super().__init__()
        self.attention_weights = nn.Linear(width, num_points)
        self.output_proj = nn.Linear(width, width)
        self.value_proj = nn.Sequential(nn.Conv2d(bev_width, width, 3, padding=1), nn.ReLU())
        self._extent = extent
        self.dropout = nn.Dropout(_DROPOUT)

    def value_map(self, bev: Tensor) -> Tensor:
        """Values of all cells: bev [B, G, G, bev_width] -> [B, width, G, G]."""
        values: Tensor = self.value_proj(bev.permute(0, 3, 1, 2))
        return values

    def forward(self, feature: Tensor, points: Tensor, source: BevSource) -> Tensor:
        """feature [B, M, width] plus what lies under its points [B, M, P, 2] (metres)."""
        weights = self.attention_weights(feature).softmax(dim=-1)
        if isinstance(source, PaddedMap):
            sampled = self._sample_sparse(points, weights, source.cells)
        else:
            sampled = self._sample_dense(points, weights, source)
        out: Tensor = self.output_proj(sampled)
        return self.dropout(out) + feature

    def _sample_dense(self, points: Tensor, weights: Tensor, values: Tensor) -> Tensor:
        grid = points.flip(-1) / self._extent
        sampled = F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return (sampled * weights[:, None]).sum(dim=-1).transpose(1, 2)

    def _sample_sparse(self, points: Tensor, weights: Tensor, padded: Tensor) -> Tensor:
        padded_side = padded.shape[1]
        cells, shares = bilinear_taps(points, self._extent, padded_side - 2)
        shares = shares * weights[..., None]
        batch = torch.arange(len(points), device=points.device)[:, None, None, None]
        flat = (batch * padded_side + cells[..., 0] + 1) * padded_side + cells[..., 1] + 1
        touched, inverse = torch.unique(flat, return_inverse=True)
        table = self._values_at(padded, touched)
        bags = inverse.flatten(0, 1).flatten(1)
        summed = F.embedding_bag(bags, table, mode="sum", per_sample_weights=shares.flatten(0, 1).flatten(1))
        return summed.unflatten(0, points.shape[:2])

    def _values_at(self, padded: Tensor, cells: Tensor) -> Tensor:
        """Values [U, width] of the cells [U], indices into the padded map."""
        convolution = self.value_proj[0]
        assert isinstance(convolution, nn.Conv2d)
        around = torch.arange(-1, 2, device=padded.device)
        neighbours = cells[:, None] + (around[:, None] * padded.shape[1] + around).flatten()
        patches = padded.flatten(0, 2)[neighbours].flatten(1)
        kernel = convolution.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(patches, kernel, convolution.bias).relu_()


def bilinear_taps(points: Tensor, extent: float, side: int) -> tuple[Tensor, Tensor]:
    """The four cells around each point of a map of side x side cells over +-extent, and their bilinear shares.

    points [..., 2] in metres (x along rows, y along columns) -> cells [..., 4, 2] int64 (row, column), inside the map,
    and shares [..., 4]. Cells that lie outside the map have share 0.
    """
    position = ((points / extent + 1) * side - 1) / 2
    corner = position.floor()
    part = position - corner
    row_shares = torch.stack([1 - part[..., 0], part[..., 0]], dim=-1)
    column_shares = torch.stack([1 - part[..., 1], part[..., 1]], dim=-1)
    rows = corner[..., 0, None] + torch.arange(2, device=points.device)
    columns = corner[..., 1, None] + torch.arange(2, device=points.device)
    row_shares = torch.where((rows >= 0) & (rows < side), row_shares, 0.0)
    column_shares = torch.where((columns >= 0) & (columns < side), column_shares, 0.0)
    shares = (row_shares[..., :, None] * column_shares[..., None, :]).flatten(-2)
    grid = torch.stack(
        [rows[..., :, None].expand(*rows.shape, 2), columns[..., None, :].expand(*columns.shape[:-1], 2, 2)], dim=-1
    ).flatten(-3, -2)
    # A NaN would become an arbitrary index; the trajectory itself still carries it to where it is noticed.
    return grid.nan_to_num(0.0).clamp(0, side - 1).long(), shares
