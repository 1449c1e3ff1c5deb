"""Map head: polylines (spec 5)."""

from __future__ import annotations

from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.aggregation import DeformableAggregation
from distilldrive_ros.models.distilldrive.anchor_encoder import PolylineEncoder
from distilldrive_ros.models.distilldrive.attention import ResidualAttention
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep, project_polylines
from distilldrive_ros.models.distilldrive.instance_bank import InstanceBank
from distilldrive_ros.models.distilldrive.key_points import PolylineKeyPoints
from distilldrive_ros.models.distilldrive.mlp import AsymmetricFFN
from distilldrive_ros.models.distilldrive.perception_head import PerceptionHead, operation_order
from distilldrive_ros.models.distilldrive.refinement import PolylineRefinement

_FIRST_BLOCK = ("gnn", "norm", "deform", "ffn", "norm", "refine")


class MapHead(PerceptionHead):
    """Polyline instances; plain attention with added positions."""

    def __init__(self, config: DistillDriveConfig) -> None:
        settings = config.map
        operations = operation_order(_FIRST_BLOCK, settings.num_decoders)
        super().__init__(
            InstanceBank(
                settings.num_anchors, 2 * settings.num_points, config.embed_dim, train_feature=True, box_anchors=False
            ),
            PolylineEncoder(settings.num_points, config.embed_dim),
            operations,
            [_build_operation(name, config) for name in operations],
            settings.num_temporal,
            settings.confidence_decay,
            decoupled_width=None,
        )

    def project_anchors(self, anchors: Tensor, step: FrameStep) -> Tensor:
        """Polylines stand still; only the ego motion counts."""
        return project_polylines(anchors, step.transform)


def _build_operation(name: str, config: DistillDriveConfig) -> nn.Module:
    width, settings = config.embed_dim, config.map
    if name in ("gnn", "temp_gnn"):
        return ResidualAttention(width, config.num_heads)
    if name == "deform":
        key_points = PolylineKeyPoints(
            width, settings.num_points, settings.num_learnable_points, settings.heights, settings.ground_height
        )
        return DeformableAggregation(width, config.num_levels, config.num_groups, key_points)
    if name == "ffn":
        return AsymmetricFFN(2 * width, 4 * width, width)
    if name == "refine":
        return PolylineRefinement(width, settings.num_points, settings.num_classes)
    return nn.LayerNorm(width)
