"""The network: fifteen numbers in, six way-points out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distilldrive_ros.models.ego_mlp.features import FEATURE_COUNT, PERIOD_S
from distilldrive_ros.models.random_weights import fill_module

STEPS = 6


class EgoMlp(nn.Module):
    """Features (N, 15) to way-points (N, 6, 2) in base_link, 0.5 s apart, metres.

    What is learned is the difference from going straight on at the present speed.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, hidden: int = 64) -> None:
        """Untrained and empty; `reset` draws weights."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURE_COUNT))
        self.register_buffer("spread", torch.ones(FEATURE_COUNT))
        self.trunk = nn.Sequential(nn.Linear(FEATURE_COUNT, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        self.head = nn.Linear(hidden, 2 * STEPS)

    def reset(self, seed: int) -> EgoMlp:
        """Draw all weights from a seed; the last layer is zero, so that training starts at going straight on."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.trunk:
            fill_module(module, generator)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """Way-points."""
        difference = self.head(self.trunk((features - self.mean) / self.spread)).unflatten(-1, (STEPS, 2))
        times = torch.arange(1, STEPS + 1, dtype=features.dtype, device=features.device) * PERIOD_S
        straight = features[:, :1] * times
        return torch.stack([straight, torch.zeros_like(straight)], dim=-1) + difference


def predicted(network: EgoMlp, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Way-points (N, 6, 2) of features (N, 15)."""
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(features)).numpy())
