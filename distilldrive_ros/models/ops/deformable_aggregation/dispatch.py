"""Entry point of the deformable aggregation op: checks the arguments, then runs the kernel of the device."""

from __future__ import annotations

import torch
from torch import Tensor

from distilldrive_ros.models.ops.deformable_aggregation.loading import load_kernels
from distilldrive_ros.models.ops.deformable_aggregation.operator import deformable_aggregation_operator

FEATURE_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def deformable_aggregation(
    features: Tensor, spatial_shapes: Tensor, level_start: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """Weighted sum of bilinear samples over points, cameras and levels (spec 4.6, item 4).

    Args:
        features: [B, S, D] float32, float64, float16 or bfloat16; tokens of all cameras and levels, each map row-major.
            Sums are made in float32 (float64 for float64).
        spatial_shapes: [C, L, 2] int64; height and width of every map.
        level_start: [C, L] int64; index of the first token of every map. On a GPU, a map that does not lie within the
            S tokens contributes nothing; elsewhere it is an error.
        locations: [B, A, P, C, 2] float; x over width and y over height in (0, 1). A point on or outside the border
            of a camera contributes nothing to it; NaN counts as outside.
        weights: [B, A, P, C, L, G] float; group g applies to channels g D/G to (g + 1) D/G - 1.

    The gradient of the features is summed on a GPU in no fixed order, unless
    `torch.use_deterministic_algorithms(True)`; everything else is deterministic always.

    Returns:
        [B, A, D], of the dtype of the features.

    Raises:
        ValueError: dtypes, devices or shapes do not fit each other.
    """
    _check(features, spatial_shapes, level_start, locations, weights)
    if not torch.compiler.is_compiling():
        load_kernels(features.device.type)
    real = torch.float64 if features.dtype == torch.float64 else torch.float32
    return deformable_aggregation_operator(
        features, spatial_shapes, level_start, locations.to(real), weights.to(features.dtype)
    )


def _check(features: Tensor, spatial_shapes: Tensor, level_start: Tensor, locations: Tensor, weights: Tensor) -> None:
    ranks = (features.dim(), spatial_shapes.dim(), level_start.dim(), locations.dim(), weights.dim())
    if ranks != (3, 3, 2, 5, 6):
        raise ValueError(f"deformable_aggregation: tensor ranks are {ranks}, expected (3, 3, 2, 5, 6)")
    if features.dtype not in FEATURE_TYPES:
        raise ValueError(f"deformable_aggregation: features are {features.dtype}, expected a floating-point type")
    integers, reals = {"spatial_shapes": spatial_shapes, "level_start": level_start}, {"locations": locations}
    reals["weights"] = weights
    for name, tensor in {**integers, **reals}.items():
        if (tensor.dtype != torch.int64) if name in integers else not tensor.dtype.is_floating_point:
            expected_type = "int64" if name in integers else "a floating-point type"
            raise ValueError(f"deformable_aggregation: {name} is {tensor.dtype}, expected {expected_type}")
        if tensor.device != features.device:
            raise ValueError(
                f"deformable_aggregation: {name} is on {tensor.device}, expected {features.device} as the features"
            )
    cameras, levels = level_start.shape
    expected = (*locations.shape[:4], levels)
    if (
        tuple(weights.shape[:5]) != expected
        or tuple(spatial_shapes.shape) != (cameras, levels, 2)
        or locations.shape[3] != cameras
        or locations.shape[4] != 2
        or features.shape[0] != locations.shape[0]
        or weights.shape[5] == 0
        or features.shape[2] % weights.shape[5] != 0
    ):
        raise ValueError(
            "deformable_aggregation: shapes do not fit: features "
            f"{tuple(features.shape)}, spatial_shapes {tuple(spatial_shapes.shape)}, level_start "
            f"{tuple(level_start.shape)}, locations {tuple(locations.shape)}, weights {tuple(weights.shape)}"
        )
