"""The student's inference with what makes it faster, each part switchable and checked against the plain path.

What pays on a CPU (measured with `distilldrive bench student`): the compiled aggregation op, batch norms folded into
the convolutions, channels last.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.backbones.folded import FoldedResNet
from distilldrive_ros.models.distilldrive.network import StudentNetwork, check_images
from distilldrive_ros.models.distilldrive.outputs import StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.state import StudentState
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation, load_kernels
from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference
from distilldrive_ros.scene.errors import ConfigurationError

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class EngineOptions:
    """What is used.

    `fold_batch_norm`, `channels_last`: in the image network. `compiled_aggregation`: the kernel of the device where
    there is one. `precision`: of the image network (float32, float16, bfloat16); its features are float32 again, and
    so is everything after it (spec 3). The reference runs float16 there; only float32 is held to the golden numbers.
    """

    fold_batch_norm: bool = True
    channels_last: bool = True
    compiled_aggregation: bool = True
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Raises ConfigurationError for an unknown precision."""
        if self.precision not in PRECISIONS:
            raise ConfigurationError(f"precision {self.precision!r} is unknown; use one of {', '.join(PRECISIONS)}")


PLAIN = EngineOptions(fold_batch_norm=False, channels_last=False, compiled_aggregation=False)
"""The plain path, which defines the result."""


class StudentEngine:
    """Runs a student network in evaluation mode. Its image network is a copy (a quarter of the weights), later changes
    of the network's own do not reach it; the heads are shared.
    """

    def __init__(self, network: StudentNetwork, options: EngineOptions | None = None) -> None:
        self.options = options or EngineOptions()
        self.network = network
        self._dtype = PRECISIONS[self.options.precision]
        self._layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        backbone = network.img_backbone
        self._backbone = self._convert(FoldedResNet(backbone) if self.options.fold_batch_norm else backbone)
        self._neck = self._convert(network.img_neck)
        self._aggregate = deformable_aggregation_reference
        if self.options.compiled_aggregation:
            load_kernels(next(network.parameters()).device.type)
            self._aggregate = deformable_aggregation

    def _convert(self, module: nn.Module) -> nn.Module:
        converted = copy.deepcopy(module).eval().requires_grad_(False).to(self._dtype)
        return converted.to(memory_format=self._layout)  # type: ignore[call-overload]

    def extract_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """As StudentNetwork.extract_features."""
        check_images(images, self.network.config)
        packed = images.flatten(0, 1).to(dtype=self._dtype, memory_format=self._layout)
        levels = self._neck(self._backbone(packed))
        return tuple(level.float().unflatten(0, images.shape[:2]) for level in levels)

    def decode_features(
        self, state: StudentState | None, levels: tuple[Tensor, ...], inputs: StudentInputs
    ) -> tuple[StudentState, StudentOutputs]:
        """As StudentNetwork.decode_features, without noise."""
        return self.network.decode_features(state, levels, inputs, aggregate=self._aggregate)
