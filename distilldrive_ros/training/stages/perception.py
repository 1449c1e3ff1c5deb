"""Stage 1: backbone, depth, detection and map (spec section 1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs
from distilldrive_ros.models.distilldrive.state import PerceptionState
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.grid_mask import mask_images
from distilldrive_ros.training.losses.depth import depth_loss
from distilldrive_ros.training.losses.detection import detection_losses, match_decoders
from distilldrive_ros.training.losses.matching import Matching
from distilldrive_ros.training.losses.polylines import map_losses
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.stages.official import load_exactly, prefixed
from distilldrive_ros.training.stages.stage import Stage
from distilldrive_ros.training.streaming import continued

MOTION_PREFIX = "head.motion_plan_head."
"""The part of the student that stage 1 neither trains nor saves."""

Levels = tuple[Tensor, ...]


def image_features(
    network: StudentNetwork, batch: TrainingBatch, options: TrainingOptions, generator: torch.Generator
) -> tuple[Levels, Tensor]:
    """Pyramid levels of the batch's images, in training with holes in them, and the depth loss."""
    inputs, cameras = batch.student_inputs(), batch.cameras
    assert cameras is not None
    images = mask_images(inputs.images, options.grid_mask, generator) if network.training else inputs.images
    levels = network.extract_features(images)
    depth = network.depth_branch([level.flatten(0, 1) for level in levels], cameras.focal.flatten())
    return levels, depth_loss(depth, cameras.depth, options.weights)


def perception_losses(
    network: StudentNetwork,
    batch: TrainingBatch,
    outputs: tuple[PerceptionOutputs, PerceptionOutputs],
    matchings: tuple[tuple[Matching, ...], ...],
    options: TrainingOptions,
) -> dict[str, Tensor]:
    """Terms of detection and map, `outputs` in this order."""
    detection, polylines = outputs
    return {
        **detection_losses(detection, batch.agents, matchings, options.weights),
        **map_losses(polylines, batch.maps, network.config.map, options.weights),
    }


class PerceptionStage(Stage):
    """Trains `network` without its motion head, which is frozen and left out of the weights."""

    def __init__(self, network: StudentNetwork, options: TrainingOptions, seed: int) -> None:
        super().__init__()
        self.network = network
        self.options = options
        self._generator = torch.Generator().manual_seed(seed)
        self._memory: PerceptionState | None = None
        network.head.motion_plan_head.requires_grad_(False)

    def compute_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Terms of depth, detection and map; see Stage."""
        levels, depth = image_features(self.network, batch, self.options, self._generator)
        frame = self.network.decode_perception(continued(self._memory, batch), levels, batch.student_inputs())
        self._memory = frame.state
        outputs = (frame.detection.outputs, frame.map.outputs)
        matchings = match_decoders(outputs[0], batch.agents)
        losses = perception_losses(self.network, batch, outputs, matchings, self.options)
        return {**losses, "loss_dense_depth": depth}

    def reseed(self, seed: int) -> None:
        """See Stage."""
        self._generator.manual_seed(seed)

    def forget(self) -> None:
        """See Stage."""
        self._memory = None

    def weights(self) -> dict[str, Tensor]:
        """See Stage."""
        return prefixed(self.network, without=MOTION_PREFIX)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See Stage."""
        load_exactly(self.network, weights, self.weights(), "")
