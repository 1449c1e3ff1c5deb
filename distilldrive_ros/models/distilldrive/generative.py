"""Generative module of the motion head: a latent per token, unrolled by a GRU (spec 8.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.config import MotionConfig
from distilldrive_ros.models.distilldrive.outputs import GaussianLatent


class _Encoder(nn.Module):
    def __init__(self, inputs: int, hidden: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(inputs, hidden[0], 1)
        self.conv2 = nn.Conv1d(hidden[0], hidden[1], 1)
        self.conv3 = nn.Conv1d(hidden[1], hidden[2], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


class LatentDistribution(nn.Module):
    """Gaussian per token.

    As published, the last layer is followed by a ReLU, so the mean is >= 0 and sigma >= 1 (quirk Q3); with
    `signed_latent` it is not.
    """

    def __init__(self, inputs: int, hidden: tuple[int, int, int], motion: MotionConfig) -> None:
        super().__init__()
        self.encoder = _Encoder(inputs, hidden)
        last = nn.Conv1d(hidden[2], 2 * motion.latent_dim, 1)
        self.last_conv = nn.Sequential(last) if motion.signed_latent else nn.Sequential(last, nn.ReLU())
        self.log_sigma_limit = motion.log_sigma_limit

    def forward(self, tokens: Tensor) -> GaussianLatent:
        """tokens [B, N, inputs] -> mean and log sigma [B, N, latent]."""
        mean, log_sigma = self.last_conv(self.encoder(tokens.transpose(1, 2))).transpose(1, 2).chunk(2, dim=-1)
        return GaussianLatent(mean, log_sigma.clamp(-self.log_sigma_limit, self.log_sigma_limit))


class LatentPredictor(nn.Module):
    """Four-layer GRU over one time step and three Linear layers; the result is added to the token feature.

    As published, the initial hidden state is a reinterpretation of the features' memory, which mixes tokens (quirk
    Q4): the order of tokens and the batch size matter. With `hidden_per_token` part k of a token's feature is the
    state of layer k of that token.
    """

    def __init__(self, width: int, motion: MotionConfig) -> None:
        super().__init__()
        hidden = width // motion.gru_layers
        self.hidden_per_token = motion.hidden_per_token
        self.gru = nn.GRU(motion.latent_dim, hidden, motion.gru_layers)
        self.linear1 = nn.Linear(hidden, width // 2)
        self.linear2 = nn.Linear(width // 2, width)
        self.linear3 = nn.Linear(width, width)

    def forward(self, sample: Tensor, feature: Tensor) -> Tensor:
        """sample [B, N, latent], feature [B, N, D] -> [B, N, D]."""
        batch, tokens, _ = feature.shape
        layers, size = self.gru.num_layers, self.gru.hidden_size
        if self.hidden_per_token:
            hidden = feature.reshape(batch * tokens, layers, size).transpose(0, 1).contiguous()
        else:
            hidden = feature.reshape(layers, batch * tokens, size)
        output, _ = self.gru(sample.reshape(1, batch * tokens, -1), hidden)
        output = F.relu(self.linear2(F.relu(self.linear1(output))))
        return self.linear3(output).view(batch, tokens, -1)


def sample_latent(latent: GaussianLatent, epsilon: Tensor | None) -> Tensor:
    """Mean plus epsilon standard deviations; `epsilon` [B, N, latent] or None for the mean itself."""
    if epsilon is None:
        return latent.mean
    return latent.mean + latent.log_sigma.exp() * epsilon


def standard_normal(shape: tuple[int, int, int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Noise drawn on the generator's device and moved, so that one seed gives the same plan on every device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(device)
