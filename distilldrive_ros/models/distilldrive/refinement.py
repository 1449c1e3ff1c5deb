"""Refinement: from an instance feature to class logits and a corrected anchor (spec 4.4 and 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.config import BOX_SIZE
from distilldrive_ros.models.distilldrive.mlp import Scale, classification_branch, linear_relu_norm

_ADDITIVE = 8  # position, log size, sine and cosine: corrections are added to the anchor


class BoxRefinement(nn.Module):
    """Class logits from the feature alone; box and quality from feature plus anchor embedding."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*linear_relu_norm(width, width, 2, 2), nn.Linear(width, BOX_SIZE), Scale(BOX_SIZE))
        self.cls_layers = classification_branch(width, num_classes)
        self.quality_layers = classification_branch(width, 2)

    def forward(
        self, feature: Tensor, anchor: Tensor, embed: Tensor, time_interval: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """feature, embed [B, N, D], anchor [B, N, 11], time_interval [B] s -> boxes, class logits, quality logits
        [B, N, 2].

        Velocities are predicted as displacements per interval.
        """
        positioned = feature + embed
        delta = self.layers(positioned)
        velocity = delta[..., _ADDITIVE:] / time_interval[:, None, None]
        boxes = torch.cat((delta[..., :_ADDITIVE], velocity), dim=-1) + anchor
        return boxes, self.cls_layers(feature), self.quality_layers(positioned)


class PolylineRefinement(nn.Module):
    """Class logits from the feature alone; points from feature plus anchor embedding."""

    def __init__(self, width: int, num_points: int, num_classes: int) -> None:
        super().__init__()
        outputs = 2 * num_points
        self.layers = nn.Sequential(*linear_relu_norm(width, width, 2, 2), nn.Linear(width, outputs), Scale(outputs))
        self.cls_layers = classification_branch(width, num_classes)

    def forward(
        self, feature: Tensor, anchor: Tensor, embed: Tensor, time_interval: Tensor
    ) -> tuple[Tensor, Tensor, None]:
        """feature, embed [B, N, D], anchor [B, N, 2 S] -> polylines [B, N, 2 S], class logits; no quality."""
        return self.layers(feature + embed) + anchor, self.cls_layers(feature), None
