"""Small fully connected blocks. Their Sequential indices are part of the official state-dict names (spec 12)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def linear_relu_norm(inputs: int, width: int, linears: int, blocks: int) -> list[nn.Module]:
    """`blocks` times { `linears` x (Linear, ReLU), LayerNorm }: LRL(inputs -> width; linears, blocks) of the spec."""
    layers: list[nn.Module] = []
    for _ in range(blocks):
        for _ in range(linears):
            layers += [nn.Linear(inputs, width), nn.ReLU(inplace=True)]
            inputs = width
        layers.append(nn.LayerNorm(width))
    return layers


def regression_branch(width: int, outputs: int) -> nn.Sequential:
    """Linear, ReLU, Linear, ReLU, Linear to `outputs`."""
    return nn.Sequential(
        nn.Linear(width, width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width),
        nn.ReLU(inplace=True),
        nn.Linear(width, outputs),
    )


def classification_branch(width: int, outputs: int) -> nn.Sequential:
    """LRL(width; 1, 2) and a Linear to `outputs`."""
    return nn.Sequential(*linear_relu_norm(width, width, 1, 2), nn.Linear(width, outputs))


class Scale(nn.Module):
    """Learnable factor per output."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """[..., size] -> [..., size]."""
        return x * self.scale


class AsymmetricFFN(nn.Module):
    """Feed-forward block whose skip takes the normalised input through its own Linear (spec 4.4)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.pre_norm = nn.LayerNorm(inputs)
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
            nn.Linear(hidden, outputs),
            nn.Dropout(dropout),
        )
        self.identity_fc = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        x = self.pre_norm(x)
        return self.identity_fc(x) + self.layers(x)
