"""Entry point of the deformable aggregation op, and the report of which implementation runs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference


@dataclass(frozen=True)
class BackendReport:
    """Implementation in use (`reference`: plain torch, any device) and the reason for it, one line each."""

    name: str
    reason: str


def backend_report() -> BackendReport:
    """Which implementation `deformable_aggregation` runs, and why."""
    return BackendReport("reference", "plain torch (grid_sample); this version has no compiled kernel")


def deformable_aggregation(
    features: Tensor, spatial_shapes: Tensor, level_start: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """Weighted sum of bilinear samples over points, cameras and levels (spec 4.6, item 4).

    Args:
        features: [B, S, D] float; tokens of all cameras and levels, each map row-major.
        spatial_shapes: [C, L, 2] int64; height and width of every map.
        level_start: [C, L] int64; index of the first token of every map.
        locations: [B, A, P, C, 2] float; x over width and y over height in (0, 1). A point on or outside the border
            of a camera contributes nothing to it; NaN counts as outside.
        weights: [B, A, P, C, L, G] float; group g applies to channels g D/G to (g + 1) D/G - 1.

    Returns:
        [B, A, D].

    Raises:
        ValueError: shapes do not fit each other.
    """
    _check(features, spatial_shapes, level_start, locations, weights)
    return deformable_aggregation_reference(features, spatial_shapes, level_start, locations, weights)


def _check(features: Tensor, spatial_shapes: Tensor, level_start: Tensor, locations: Tensor, weights: Tensor) -> None:
    ranks = (features.dim(), spatial_shapes.dim(), level_start.dim(), locations.dim(), weights.dim())
    if ranks != (3, 3, 2, 5, 6):
        raise ValueError(f"deformable_aggregation: tensor ranks are {ranks}, expected (3, 3, 2, 5, 6)")
    cameras, levels = level_start.shape
    expected = (*locations.shape[:4], levels)
    if (
        tuple(weights.shape[:5]) != expected
        or tuple(spatial_shapes.shape) != (cameras, levels, 2)
        or locations.shape[3] != cameras
        or locations.shape[4] != 2
        or features.shape[0] != locations.shape[0]
        or features.shape[2] % weights.shape[5] != 0
    ):
        raise ValueError(
            "deformable_aggregation: shapes do not fit: features "
            f"{tuple(features.shape)}, spatial_shapes {tuple(spatial_shapes.shape)}, level_start "
            f"{tuple(level_start.shape)}, locations {tuple(locations.shape)}, weights {tuple(weights.shape)}"
        )
