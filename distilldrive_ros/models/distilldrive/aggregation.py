"""Image features for instances: key points, projection, camera-aware weights, sampling (spec 4.6)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.device_constants import device_constant
from distilldrive_ros.models.distilldrive.key_points import BoxKeyPoints, PolylineKeyPoints
from distilldrive_ros.models.distilldrive.mlp import linear_relu_norm
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation

_MIN_DEPTH = 1e-5
_POINT_DROPOUT = 0.15

Aggregation = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""An implementation of the op, arguments as `deformable_aggregation`."""


@dataclass(frozen=True)
class CameraFeatures:
    """Packed image features of all cameras, and their cameras.

    tokens [B, S, D]; shapes [C, L, 2] (height, width); starts [C, L]; projection [B, C, 4, 4] (LiDAR to pixels times
    depth); image_size [B, C, 2] (width, height) in pixels. `aggregate` samples the tokens.
    """

    tokens: Tensor
    shapes: Tensor
    starts: Tensor
    projection: Tensor
    image_size: Tensor
    aggregate: Aggregation


def pack_features(
    levels: tuple[Tensor, ...], projection: Tensor, image_size: Tensor, aggregate: Aggregation = deformable_aggregation
) -> CameraFeatures:
    """Pack levels [B, C, D, H_l, W_l]: all levels of a camera row-major, then the next camera (spec 3)."""
    num_cameras = levels[0].shape[1]
    tokens = torch.cat([level.flatten(3).transpose(2, 3) for level in levels], dim=2)
    sizes = tuple((int(level.shape[-2]), int(level.shape[-1])) for level in levels)
    shapes = device_constant((sizes,) * num_cameras, torch.int64, tokens.device)
    starts = device_constant(_first_tokens(sizes, num_cameras), torch.int64, tokens.device)
    return CameraFeatures(tokens.flatten(1, 2), shapes, starts, projection, image_size, aggregate)


def _first_tokens(sizes: tuple[tuple[int, int], ...], num_cameras: int) -> tuple[tuple[int, ...], ...]:
    """Index of the first token of every map, by camera and level."""
    ends = list(itertools.accumulate(height * width for height, width in sizes))
    starts = (0, *ends[:-1])
    return tuple(tuple(camera * ends[-1] + start for start in starts) for camera in range(num_cameras))


def project_to_cameras(points: Tensor, projection: Tensor, image_size: Tensor) -> Tensor:
    """Points [B, A, P, 3] in the LiDAR frame -> image positions [B, A, P, C, 2], x over width and y over height.

    Depth is only bounded from below (1e-5 m): points behind a camera end up far outside its image.
    """
    rotation, translation = projection[..., :3, :3], projection[..., :3, 3]
    pixels = torch.einsum("bcij,bapj->bapci", rotation, points) + translation[:, None, None]
    return pixels[..., :2] / pixels[..., 2:].clamp(min=_MIN_DEPTH) / image_size[:, None, None]


class DeformableAggregation(nn.Module):
    """Deformable feature aggregation of one decoder; the result is [projected samples, feature], twice as wide."""

    def __init__(
        self,
        width: int,
        num_levels: int,
        num_groups: int,
        key_points: BoxKeyPoints | PolylineKeyPoints,
    ) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.num_groups = num_groups
        self.kps_generator = key_points
        self.output_proj = nn.Linear(width, width)
        self.camera_encoder = nn.Sequential(*linear_relu_norm(12, width, 1, 2))
        self.weights_fc = nn.Linear(width, num_levels * key_points.num_points * num_groups)

    def forward(self, feature: Tensor, anchor: Tensor, embed: Tensor, cameras: CameraFeatures) -> Tensor:
        """feature, embed [B, N, D], anchor [B, N, ...] -> [B, N, 2 D]."""
        points = self.kps_generator(anchor, feature)
        locations = project_to_cameras(points, cameras.projection, cameras.image_size)
        weights = self._weights(feature + embed, cameras.projection)
        if self.training:
            weights = _drop_points(weights)
        samples = cameras.aggregate(cameras.tokens, cameras.shapes, cameras.starts, locations, weights)
        return torch.cat((self.output_proj(samples), feature), dim=-1)

    def _weights(self, positioned: Tensor, projection: Tensor) -> Tensor:
        """Softmax over cameras, levels and points, per group: [B, N, P, C, L, G].

        The Linear layer of a sum is the sum of two Linear layers: instances and cameras go through it apart, which is
        six times less work than every instance with every camera.
        """
        camera_code = self.camera_encoder(projection[:, :, :3, :4].flatten(2))
        logits = self.weights_fc(positioned)[:, :, None] + F.linear(camera_code, self.weights_fc.weight)[:, None]
        batch, num_instances, num_cameras, _ = logits.shape
        weights = logits.view(batch, num_instances, -1, self.num_groups).softmax(dim=2)
        weights = weights.view(batch, num_instances, num_cameras, self.num_levels, -1, self.num_groups)
        return weights.permute(0, 1, 4, 2, 3, 5)


def _drop_points(weights: Tensor) -> Tensor:
    """Training only: leave out some pairs of point and camera with all their levels, and scale up the others."""
    kept = F.dropout(weights.new_ones(weights.shape[:4]), _POINT_DROPOUT)
    return weights * kept[..., None, None]
