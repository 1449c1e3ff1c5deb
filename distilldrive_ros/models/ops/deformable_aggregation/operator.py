"""The op as PyTorch knows it: `torch.ops.distilldrive_ros.deformable_aggregation`, differentiable and traceable.

The plain-torch reference serves every device; a compiled library, once loaded, takes over its own device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference

NAMESPACE = "distilldrive_ros"
_ARGUMENTS = "Tensor features, Tensor spatial_shapes, Tensor level_start, Tensor locations, Tensor weights"
_FORWARD = f"{NAMESPACE}::deformable_aggregation"
_BACKWARD = f"{NAMESPACE}::deformable_aggregation_backward"
_FIXED_POINT_BITS = 62
_SMALLEST_BOUND = 1e-200

torch.library.define(_FORWARD, f"({_ARGUMENTS}) -> Tensor")
torch.library.define(_BACKWARD, f"(Tensor grad, {_ARGUMENTS}, Tensor? fixed_point) -> (Tensor, Tensor, Tensor)")


@torch.library.impl(_FORWARD, "CompositeExplicitAutograd")
def _forward(features: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    with torch.no_grad():
        return deformable_aggregation_reference(features, shapes, starts, locations, weights)


@torch.library.impl(_BACKWARD, "CompositeExplicitAutograd")
def _backward(
    grad: Tensor,
    features: Tensor,
    shapes: Tensor,
    starts: Tensor,
    locations: Tensor,
    weights: Tensor,
    fixed_point: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (features, locations, weights)]
        output = deformable_aggregation_reference(leaves[0], shapes, starts, leaves[1], leaves[2])
        found = torch.autograd.grad(output, leaves, grad, allow_unused=True, materialize_grads=True)
    return found[0], found[1], found[2]


@torch.library.register_fake(_FORWARD)
def _fake_forward(features: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    return features.new_empty(features.shape[0], locations.shape[1], features.shape[2])


@torch.library.register_fake(_BACKWARD)
def _fake_backward(
    grad: Tensor,
    features: Tensor,
    shapes: Tensor,
    starts: Tensor,
    locations: Tensor,
    weights: Tensor,
    fixed_point: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        features.new_empty(features.shape),
        locations.new_empty(locations.shape),
        weights.new_empty(weights.shape),
    )


def _keep_inputs(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    features, shapes, starts, locations, weights = ctx.saved_tensors
    fixed_point = None
    if features.device.type == "cuda" and torch.are_deterministic_algorithms_enabled():
        fixed_point = fixed_point_factor(grad, weights)
    found = torch.ops.distilldrive_ros.deformable_aggregation_backward(
        grad, features, shapes, starts, locations, weights, fixed_point
    )
    return found[0], None, None, found[1], found[2]


def fixed_point_factor(grad: Tensor, weights: Tensor) -> Tensor:
    """Factor (one float64, a power of two) with which the features' gradient can be summed as 64-bit integers.

    No number of that gradient exceeds (largest output gradient) x (largest weight) x (points of all anchors), because a
    point adds at most its weight to a token: times the factor, that stays below 2^62. Integers add up to the same sum
    in any order, and the error is 2^-63 of that bound per summand.
    """
    points = max(weights.shape[1] * weights.shape[2], 1)
    largest = grad.abs().amax().double() * weights.abs().amax().double() * points
    return torch.exp2((_FIXED_POINT_BITS - largest.clamp(min=_SMALLEST_BOUND).log2()).floor())


torch.library.register_autograd(_FORWARD, _differentiate, setup_context=_keep_inputs)


def deformable_aggregation_operator(
    features: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """The op itself, arguments as in `dispatch`, dtypes as kernels want them (weights as features)."""
    output: Tensor = torch.ops.distilldrive_ros.deformable_aggregation(features, shapes, starts, locations, weights)
    return output
