"""The student's inference with what makes it faster, each part switchable and checked against the plain path.

What pays on a CPU (measured with `distilldrive bench student`): the compiled aggregation op, batch norms folded into
the convolutions, channels last, the factored softmax of the aggregation's weights.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.backbones.folded import FoldedResNet
from distilldrive_ros.models.distilldrive.checks import check_inputs, check_state
from distilldrive_ros.models.distilldrive.factored_aggregation import factored_copies
from distilldrive_ros.models.distilldrive.motion_head import MotionPlanHead
from distilldrive_ros.models.distilldrive.network import PerceptionFrame, StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.state import PerceptionState, StudentState
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation, load_kernels
from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference
from distilldrive_ros.models.precision import precision_type
from distilldrive_ros.models.tensor_checks import require_tensor


@dataclass(frozen=True)
class EngineOptions:
    """What is used.

    `fold_batch_norm`, `channels_last`: in the image network. `compiled_aggregation`: the kernel of the device where
    there is one. `factored_weights`: the aggregation's softmax in two factors, on a CPU. `constant_queries`: the ego
    queries and their mode code, which depend on nothing but the weights, computed once. `precision`: of the image
    network (fp32, bf16, fp16); its features are float32 again, and so is everything after it (spec 3). The reference
    runs float16 there; only fp32 is held to the golden numbers.
    """

    fold_batch_norm: bool = True
    channels_last: bool = True
    compiled_aggregation: bool = True
    factored_weights: bool = True
    constant_queries: bool = True
    precision: str = "fp32"

    def __post_init__(self) -> None:
        """Raises ConfigurationError for an unknown precision."""
        precision_type(self.precision)


PLAIN = EngineOptions(
    fold_batch_norm=False,
    channels_last=False,
    compiled_aggregation=False,
    factored_weights=False,
    constant_queries=False,
)
"""The plain path, which defines the result."""


class StudentEngine:
    """Runs a student network in evaluation mode. Its image network is a copy (a quarter of the weights), later changes
    of the network's own do not reach it; the heads share the network's weights.
    """

    def __init__(self, network: StudentNetwork, options: EngineOptions | None = None) -> None:
        self.options = options or EngineOptions()
        self.config = network.config
        self._device = next(network.parameters()).device
        self._dtype = precision_type(self.options.precision)
        self._layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        backbone = network.img_backbone
        self.backbone = self._convert(FoldedResNet(backbone) if self.options.fold_batch_norm else backbone)
        self.neck = self._convert(network.img_neck)
        self.network = self._with_faster_heads(network)
        self._aggregate = deformable_aggregation_reference
        if self.options.compiled_aggregation:
            load_kernels(self._device.type)
            self._aggregate = deformable_aggregation

    def _convert(self, module: nn.Module) -> nn.Module:
        converted = copy.deepcopy(module).eval().requires_grad_(False).to(self._dtype)
        return converted.to(memory_format=self._layout)  # type: ignore[call-overload]

    def _with_faster_heads(self, network: StudentNetwork) -> StudentNetwork:
        """The network, or one of our own with the same tensors where parts of the heads are exchanged."""
        factored = self.options.factored_weights and self._device.type == "cpu"
        if not (factored or self.options.constant_queries):
            return network
        own = _sharing_copy(network)
        if factored:
            factored_copies(own.head)
        if self.options.constant_queries:
            _fix_ego_queries(own.head.motion_plan_head)
        return own

    def extract_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """As StudentNetwork.extract_features.

        Raises:
            ValueError: shape, type or device of the images is not that of the network.
        """
        c = self.config
        shape = (images.shape[0] if images.dim() else 0, c.num_cameras, 3, c.image_height, c.image_width)
        require_tensor("images", images, shape, torch.float32, self._device)
        packed = images.flatten(0, 1).to(dtype=self._dtype, memory_format=self._layout)
        levels = self.neck(self.backbone(packed))
        return tuple(level.float().unflatten(0, images.shape[:2]) for level in levels)

    def decode_features(
        self, state: StudentState | None, levels: tuple[Tensor, ...], inputs: StudentInputs
    ) -> tuple[StudentState, StudentOutputs]:
        """As StudentNetwork.decode_features, without noise.

        Raises:
            ValueError: shape, type or device of an input or of a part of the state is wrong.
        """
        check_inputs(inputs, self.config, self._device)
        if state is not None:
            check_state(state, inputs.images.shape[0], self.config, self._device)
        return self.network.decode_features(state, levels, inputs, aggregate=self._aggregate)

    def perceive(self, state: PerceptionState | None, inputs: StudentInputs) -> PerceptionFrame:
        """Detection and map of one frame, without plans. Raises ValueError as the two above."""
        check_inputs(inputs, self.config, self._device)
        levels = self.extract_features(inputs.images)
        return self.network.decode_perception(state, levels, inputs, self._aggregate)


class _Constant(nn.Module):
    """Gives the same tensor, whatever it is asked."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value, persistent=False)

    def forward(self, _: Tensor) -> Tensor:
        return self.value


def _sharing_copy(network: StudentNetwork) -> StudentNetwork:
    """Modules of its own, on the very tensors of the network."""
    tensors = itertools.chain(network.parameters(), network.buffers())
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


@torch.no_grad()
def _fix_ego_queries(head: MotionPlanHead) -> None:
    queries, codes = head.ego_queries(), head.plan_mode_code()
    head.register_module("plan_instance_encoder", _Constant(queries))
    head.register_module("plan_anchor_encoder", _Constant(codes))
