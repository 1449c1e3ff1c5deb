"""Detection head: boxes with identity (spec 4)."""

from __future__ import annotations

from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.aggregation import DeformableAggregation
from distilldrive_ros.models.distilldrive.anchor_encoder import BoxEncoder
from distilldrive_ros.models.distilldrive.attention import ResidualAttention
from distilldrive_ros.models.distilldrive.config import BOX_SIZE, DistillDriveConfig
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep, project_boxes
from distilldrive_ros.models.distilldrive.instance_bank import InstanceBank
from distilldrive_ros.models.distilldrive.key_points import BoxKeyPoints
from distilldrive_ros.models.distilldrive.mlp import AsymmetricFFN
from distilldrive_ros.models.distilldrive.perception_head import PerceptionHead, operation_order
from distilldrive_ros.models.distilldrive.refinement import BoxRefinement

_FIRST_BLOCK = ("deform", "ffn", "norm", "refine")


class DetectionHead(PerceptionHead):
    """Box instances; attention in the doubled (feature, position) space."""

    def __init__(self, config: DistillDriveConfig) -> None:
        detection = config.detection
        operations = operation_order(_FIRST_BLOCK, detection.num_decoders)
        super().__init__(
            InstanceBank(detection.num_anchors, BOX_SIZE, config.embed_dim, train_feature=False, box_anchors=True),
            BoxEncoder(config.embed_dim),
            operations,
            [_build_operation(name, config) for name in operations],
            detection.num_temporal,
            detection.confidence_decay,
            decoupled_width=config.embed_dim,
        )

    def project_anchors(self, anchors: Tensor, step: FrameStep) -> Tensor:
        """Boxes move along their velocity for the time between the frames, then with the ego motion."""
        return project_boxes(anchors, step.transform, step.elapsed)


def _build_operation(name: str, config: DistillDriveConfig) -> nn.Module:
    width = config.embed_dim
    if name in ("gnn", "temp_gnn"):
        return ResidualAttention(2 * width, config.num_heads)
    if name == "deform":
        key_points = BoxKeyPoints(width, config.detection.num_learnable_points)
        return DeformableAggregation(width, config.num_levels, config.num_groups, key_points)
    if name == "ffn":
        return AsymmetricFFN(2 * width, 4 * width, width)
    if name == "refine":
        return BoxRefinement(width, config.detection.num_classes)
    return nn.LayerNorm(width)
