"""The aggregation's weights for less work: their softmax has two factors, of which one belongs to the cameras alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.aggregation import DeformableAggregation

_SMALLEST_TOTAL = 1e-20


@dataclass(frozen=True)
class _CameraFactors:
    """factors [B, C, S, G] and their sum over the cameras [B, S, G] for `projection`; S = levels x points."""

    projection: Tensor
    factors: Tensor
    totals: Tensor


class FactoredAggregation(DeformableAggregation):
    """What a DeformableAggregation does at inference, on its own layers, which it shares.

    Logits are a sum of an instance's part and a camera's part, so their exponentials are products: exponentials are
    taken of N S + C S numbers instead of N C S, and only one pass over the large array is left. The camera's part is
    kept for as long as the projections stay the same. For CPUs: it looks at its results to see whether they underflow,
    which would make a GPU wait.
    """

    def __init__(self, layer: DeformableAggregation) -> None:
        nn.Module.__init__(self)
        self.num_levels, self.num_groups = layer.num_levels, layer.num_groups
        self.kps_generator, self.output_proj = layer.kps_generator, layer.output_proj
        self.camera_encoder, self.weights_fc = layer.camera_encoder, layer.weights_fc
        self._last: _CameraFactors | None = None

    def _weights(self, positioned: Tensor, projection: Tensor) -> Tensor:
        camera = self._camera_factors(projection)
        logits = self.weights_fc(positioned).unflatten(-1, (-1, self.num_groups))
        own = (logits - logits.amax(dim=2, keepdim=True)).exp_()
        total = (own * camera.totals[:, None]).sum(dim=2, keepdim=True)
        if not bool((total > _SMALLEST_TOTAL).all()):
            # The peaks of both parts lie so far apart that their product vanishes; or something is NaN.
            return super()._weights(positioned, projection)
        weights = own.div_(total)[:, :, None] * camera.factors[:, None]
        return weights.unflatten(3, (self.num_levels, -1)).permute(0, 1, 4, 2, 3, 5)

    def _camera_factors(self, projection: Tensor) -> _CameraFactors:
        last = self._last
        if last is not None and torch.equal(last.projection, projection):
            return last
        code = self.camera_encoder(projection[:, :, :3, :4].flatten(2))
        logits = F.linear(code, self.weights_fc.weight).unflatten(-1, (-1, self.num_groups))
        factors = (logits - logits.amax(dim=(1, 2), keepdim=True)).exp_()
        self._last = _CameraFactors(projection.clone(), factors, factors.sum(dim=1))
        return self._last


def factored_copies(module: nn.Module) -> None:
    """Put a FactoredAggregation in the place of every DeformableAggregation below `module`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is DeformableAggregation:
                parent.register_module(name, FactoredAggregation(child))
