"""The DistillDrive student as one pure step: (state, inputs) -> (state, outputs). Spec sections 1 to 8."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.backbones.resnet import build_resnet
from distilldrive_ros.models.distilldrive.aggregation import Aggregation, pack_features
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig
from distilldrive_ros.models.distilldrive.detection_head import DetectionHead
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep, frame_step, refinement_interval
from distilldrive_ros.models.distilldrive.generative import standard_normal
from distilldrive_ros.models.distilldrive.instance_bank import assign_ids
from distilldrive_ros.models.distilldrive.map_head import MapHead
from distilldrive_ros.models.distilldrive.motion_head import LatentSource, MotionPlanHead
from distilldrive_ros.models.distilldrive.neck import FeaturePyramid
from distilldrive_ros.models.distilldrive.outputs import MotionOutputs, Perceived, StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.perception_head import PerceptionResult
from distilldrive_ros.models.distilldrive.state import PerceptionState, QueueState, StudentState
from distilldrive_ros.models.distilldrive.training_only import DepthBranch
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation

_DEPTH_LEVELS = 3


@dataclass(frozen=True)
class PerceptionFrame:
    """Detection and map of one frame, ids [B, N] of the detections, the step from the last frame, and the memory."""

    detection: PerceptionResult
    ids: Tensor
    map: PerceptionResult
    step: FrameStep | None
    state: PerceptionState

    @property
    def perceived(self) -> Perceived:
        """What the motion head is told of it."""
        return Perceived(self.detection.outputs, self.ids, self.detection.confidence, self.map.outputs)


class _Heads(nn.Module):
    """Gives the heads the names of the official state dict (`head.det_head` and so on)."""

    def __init__(self, config: DistillDriveConfig) -> None:
        super().__init__()
        self.det_head = DetectionHead(config)
        self.map_head = MapHead(config)
        self.motion_plan_head = MotionPlanHead(config)


class StudentNetwork(nn.Module):
    """Student network. It keeps nothing between calls; parameters carry the official names (spec 12)."""

    def __init__(self, config: DistillDriveConfig) -> None:
        super().__init__()
        self.config = config
        self.img_backbone = build_resnet(config.backbone, config.backbone_width)
        self.img_neck = FeaturePyramid(self.img_backbone.out_channels, config.embed_dim)
        self.depth_branch = DepthBranch(config.embed_dim, _DEPTH_LEVELS)
        self.head = _Heads(config)

    def forward(
        self,
        state: StudentState | None,
        inputs: StudentInputs,
        generator: torch.Generator | None = None,
        epsilon: Tensor | None = None,
    ) -> tuple[StudentState, StudentOutputs]:
        """One frame.

        Args:
            state: what the previous frame left behind; None starts anew. It is not modified.
            inputs: images, cameras, time and pose of B streams.
            generator: draws the noise of the generative module; without it the noise is 0 and the step deterministic.
            epsilon: explicit noise [B, tokens, latent] instead, tokens = boxes + ego modes.

        Returns:
            The state for the next frame, and raw outputs in the LiDAR frame of this one.

        Raises:
            ValueError: shapes of images, cameras or state do not fit the configuration.
        """
        return self.decode_features(state, self.extract_features(inputs.images), inputs, generator, epsilon)

    def extract_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """images [B, C, 3, H, W] -> pyramid levels [B, C, D, H / s, W / s], strides s = 4, 8, 16, 32."""
        check_images(images, self.config)
        levels = self.img_neck(self.img_backbone(images.flatten(0, 1)))
        return tuple(level.unflatten(0, images.shape[:2]) for level in levels)

    def decode_features(
        self,
        state: StudentState | None,
        levels: tuple[Tensor, ...],
        inputs: StudentInputs,
        generator: torch.Generator | None = None,
        epsilon: Tensor | None = None,
        aggregate: Aggregation = deformable_aggregation,
        latent_source: LatentSource | None = None,
    ) -> tuple[StudentState, StudentOutputs]:
        """The part of `forward` after the pyramid; `levels` as `extract_features` returns them.

        `aggregate`: implementation of the deformable aggregation. `latent_source`: what the generative module samples
        from while it is trained; None for the latent of the present.
        """
        batch, device = levels[0].shape[0], levels[0].device
        if generator is not None and epsilon is None:
            tokens = self.config.detection.num_anchors + self.config.motion.num_ego_tokens
            epsilon = standard_normal((batch, tokens, self.config.motion.latent_dim), generator, device)
        frame = self.decode_perception(state, levels, inputs, aggregate)
        memory, queue = frame.state, state.queue if state else None
        motion, queue = self.decode_motion(queue, frame.step, frame.perceived, epsilon, latent_source)
        new_state = StudentState(
            memory.timestamp, memory.world_from_lidar, memory.detection, memory.identity, memory.map, queue
        )
        return new_state, StudentOutputs(frame.detection.outputs, frame.ids, frame.map.outputs, motion)

    def decode_motion(
        self,
        queue: QueueState | None,
        step: FrameStep | None,
        perceived: Perceived,
        epsilon: Tensor | None = None,
        latent_source: LatentSource | None = None,
    ) -> tuple[MotionOutputs, QueueState]:
        """Futures and plans from what was perceived, and the queue for the next frame; see `decode_features`.

        `queue` and `step`: what the frame before left behind, and the step from it; None starts anew.
        """
        return self.head.motion_plan_head(
            perceived.detection,
            perceived.ids,
            perceived.confidence,
            perceived.map,
            queue,
            step,
            self.head.det_head.anchor_encoder,
            epsilon,
            latent_source,
        )

    def decode_perception(
        self,
        state: PerceptionState | None,
        levels: tuple[Tensor, ...],
        inputs: StudentInputs,
        aggregate: Aggregation = deformable_aggregation,
    ) -> PerceptionFrame:
        """Detection and map of one frame; arguments as `decode_features`."""
        batch, device = levels[0].shape[0], levels[0].device
        if state is not None and state.batch_size != batch:
            raise ValueError(f"state holds {state.batch_size} streams, inputs {batch}; start from state None")
        step = None if state is None else frame_step(state, inputs, self.config.max_time_gap)
        recent = None if step is None else step.recent
        interval = refinement_interval(step, batch, self.config.default_time_interval, device)
        cameras = pack_features(levels, inputs.projection, inputs.image_size, aggregate)
        detection = self.head.det_head(cameras, state.detection if state else None, step, interval)
        num_boxes = self.config.detection.num_anchors
        ids, identity = assign_ids(state.identity if state else None, recent, detection.kept, num_boxes)
        polylines = self.head.map_head(cameras, state.map if state else None, step, interval)
        memory = PerceptionState(
            inputs.timestamp, inputs.world_from_lidar, detection.memory, identity, polylines.memory
        )
        return PerceptionFrame(detection, ids, polylines, step, memory)


def check_images(images: Tensor, config: DistillDriveConfig) -> None:
    """Raises ValueError unless images are [B, C, 3, H, W] of the configuration."""
    expected = (config.num_cameras, 3, config.image_height, config.image_width)
    if images.dim() != 5 or tuple(images.shape[1:]) != expected:
        raise ValueError(f"images are {tuple(images.shape)}, expected (batch, {', '.join(map(str, expected))})")
