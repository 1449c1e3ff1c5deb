"""Inference with what makes it faster and leaves the result as it is (spec 9)."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from distilldrive_ros.models.backbones.folded import FoldedResNet
from distilldrive_ros.models.backbones.resnet import ResNet
from distilldrive_ros.models.captured_step import CapturedStep, CheckedOutputs
from distilldrive_ros.models.diffusiondrive.backbone import BackboneOutputs, TransfuserBackbone, Trunk
from distilldrive_ros.models.diffusiondrive.config import STATUS_SIZE
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs, DiffusionOutputs
from distilldrive_ros.models.diffusiondrive.noise import PlannerNoise, fixed_noise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode
from distilldrive_ros.models.precision import full_float32, precision_type


@dataclass(frozen=True)
class NoisyInputs:
    """All that a frame depends on."""

    sensors: DiffusionInputs
    noise: PlannerNoise


DiffusionStep = CapturedStep[None, NoisyInputs, CheckedOutputs[DiffusionOutputs]]


class DiffusionEngine:
    """Runs a network in evaluation mode: norms of both trunks folded, channels last, the device's `Execution`.

    `precision` (fp32, bf16, fp16) is that of the backbone: trunks and fusion. Its features are float32 again, and so is
    everything that plans: in fewer bits its codes of way-points would be off by decimetres.

    The trunks are copies, in bf16 and fp16 the fusion, too: later changes of the network's own do not reach them. The
    rest is shared; only the layout of its convolutions in memory changes.
    """

    def __init__(self, network: DiffusionDriveNetwork, precision: str = "fp32") -> None:
        self.network = network
        self._dtype = precision_type(precision)
        self._device = next(network.parameters()).device
        network.execution = Execution.SPARSE if self._device.type == "cpu" else Execution.DENSE
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        backbone = network.backbone
        self._trunks: tuple[Trunk, Trunk] = (
            _folded(backbone.image_encoder, self._dtype),
            _folded(backbone.lidar_encoder, self._dtype),
        )
        self._backbone = backbone if self._dtype is torch.float32 else _fusion_in(backbone, self._dtype)

    def extract_features(self, inputs: DiffusionInputs) -> BackboneOutputs:
        """Bird's-eye features of the sensors in float32; the stages before them stay in the engine's precision.

        Raises:
            ValueError: shape, type or device of an input is wrong.
        """
        self.network.check(inputs)
        camera, lidar = (
            x.to(dtype=self._dtype, memory_format=torch.channels_last) for x in (inputs.camera, inputs.lidar)
        )
        with full_float32(self._device):
            found: BackboneOutputs = self._backbone(camera, lidar, self.network.execution, self._trunks)
        return BackboneOutputs(found.bev_up.float(), found.bev.float(), found.stages)

    def __call__(
        self, inputs: DiffusionInputs, noise: PlannerNoise, sampling: SamplingMode = SamplingMode.COMPATIBLE
    ) -> DiffusionOutputs:
        """One frame, as `DiffusionDriveNetwork.forward`."""
        return self.decode(self.extract_features(inputs), inputs.status, noise, sampling)

    def decode(
        self, features: BackboneOutputs, status: Tensor, noise: PlannerNoise, sampling: SamplingMode
    ) -> DiffusionOutputs:
        """Everything after `extract_features`; status as in `DiffusionInputs`."""
        with full_float32(self._device):
            return self.network.decode(features, self.network.encode_scene(features, status), noise, sampling)

    def captured_step(self, sampling: SamplingMode) -> DiffusionStep:
        """The step of one stream in fixed memory, see `CapturedStep`; its outputs are `DiffusionOutputs.decodable`.

        Raises:
            torch.OutOfMemoryError: the GPU has no room for it.
        """

        def step(_: None, given: NoisyInputs) -> tuple[None, CheckedOutputs[DiffusionOutputs]]:
            outputs = self(given.sensors, given.noise, sampling)
            return None, CheckedOutputs(outputs.decodable(), outputs.finite())

        config, device = self.network.config, self._device
        camera = torch.zeros(1, 3, config.image_height, config.image_width)
        lidar = torch.zeros(1, 1, config.lidar_cells, config.lidar_cells)
        sensors = DiffusionInputs(camera, lidar, torch.zeros(1, STATUS_SIZE))
        return CapturedStep(step, NoisyInputs(sensors.to(device), fixed_noise(config).to(device)), device)


def _folded(trunk: ResNet, dtype: torch.dtype) -> FoldedResNet:
    return FoldedResNet(trunk).to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _fusion_in(backbone: TransfuserBackbone, dtype: torch.dtype) -> TransfuserBackbone:
    """A copy of everything but the trunks, in another number type."""
    trunks = {id(trunk): None for trunk in (backbone.image_encoder, backbone.lidar_encoder)}
    fusion: TransfuserBackbone = copy.deepcopy(backbone, trunks)
    return fusion.to(dtype)
