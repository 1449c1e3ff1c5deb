"""Inference with what makes it faster and leaves the result as it is (spec 9)."""

from __future__ import annotations

import torch

from distilldrive_ros.models.backbones.folded import FoldedResNet
from distilldrive_ros.models.backbones.resnet import ResNet
from distilldrive_ros.models.diffusiondrive.backbone import BackboneOutputs, Trunk
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs, DiffusionOutputs
from distilldrive_ros.models.diffusiondrive.noise import PlannerNoise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode


class DiffusionEngine:
    """Runs a network in evaluation mode: norms of both trunks folded, channels last, the device's `Execution`.

    The trunks are copies: later changes of the network's own do not reach them. Heads and fusion are shared; only the
    layout of their convolutions in memory changes.
    """

    def __init__(self, network: DiffusionDriveNetwork) -> None:
        self.network = network
        device = next(network.parameters()).device
        network.execution = Execution.SPARSE if device.type == "cpu" else Execution.DENSE
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        backbone = network.backbone
        self._trunks: tuple[Trunk, Trunk] = (_folded(backbone.image_encoder), _folded(backbone.lidar_encoder))

    def extract_features(self, inputs: DiffusionInputs) -> BackboneOutputs:
        """Bird's-eye features of the sensors."""
        camera = inputs.camera.contiguous(memory_format=torch.channels_last)
        lidar = inputs.lidar.contiguous(memory_format=torch.channels_last)
        return self.network.extract_features(DiffusionInputs(camera, lidar, inputs.status), self._trunks)

    def __call__(
        self, inputs: DiffusionInputs, noise: PlannerNoise, sampling: SamplingMode = SamplingMode.COMPATIBLE
    ) -> DiffusionOutputs:
        """One frame, as `DiffusionDriveNetwork.forward`."""
        features = self.extract_features(inputs)
        return self.network.decode(features, self.network.encode_scene(features, inputs.status), noise, sampling)


def _folded(trunk: ResNet) -> FoldedResNet:
    return FoldedResNet(trunk).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
