"""Noise schedule of the truncated diffusion and its sampler steps (spec 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

_TRAINING_STEPS = 1000
_BETA_START, _BETA_END = 1e-4, 0.02
_TRUNCATION = 20
_INFERENCE_PASSES = 2
_MIN_STD = 1e-10
_MIN_MULTIPLICATIVE_STD = 0.04


class SamplingMode(str, Enum):
    """`compatible`: as released; the sampler steps from t to t - 1, so the first of two passes hardly moves the sample.

    `proper`: the schedule that was meant; from each listed timestep to the next listed one, starting at the noise
    level of the first. Weights of the official checkpoints are tuned to `compatible`.
    """

    COMPATIBLE = "compatible"
    PROPER = "proper"


@dataclass(frozen=True)
class SamplerPlan:
    """`start`: timestep whose noise level the first sample has. `steps`: (timestep, next timestep); -1 is clean."""

    start: int
    steps: tuple[tuple[int, int], ...]


def denoising_timesteps(passes: int) -> tuple[int, ...]:
    """Timesteps given to the decoder, descending: 2 -> (10, 0), 10 -> (18, 16, ..., 0)."""
    return tuple(round(index * _TRUNCATION / passes) for index in reversed(range(passes)))


def sampler_plan(mode: SamplingMode, passes: int = _INFERENCE_PASSES) -> SamplerPlan:
    """Timesteps of a denoising run of so many passes."""
    timesteps = denoising_timesteps(passes)
    if mode is SamplingMode.COMPATIBLE:
        return SamplerPlan(8, tuple((t, t - 1) for t in timesteps))
    return SamplerPlan(timesteps[0], tuple(zip(timesteps, (*timesteps[1:], -1), strict=True)))


class NoiseSchedule:
    """Scaled-linear betas over 1000 steps, in float32 as the reference computes them."""

    def __init__(self) -> None:
        with torch.device("cpu"):
            root = torch.linspace(_BETA_START**0.5, _BETA_END**0.5, _TRAINING_STEPS, dtype=torch.float32)
            self._alpha_bar = torch.cumprod(1.0 - root**2, dim=0)

    def alpha_bar(self, timestep: int) -> float:
        """Share of the signal's variance at a timestep; 1 at -1."""
        return 1.0 if timestep < 0 else float(self._alpha_bar[timestep])

    def add_noise(self, sample: Tensor, noise: Tensor, timestep: int) -> Tensor:
        """Clean sample and standard normal noise of one shape -> sample at the timestep's level."""
        alpha_bar = self._alpha_bar[timestep]
        return float(alpha_bar.sqrt()) * sample + float((1 - alpha_bar).sqrt()) * noise

    def std(self, timestep: int, following: int, eta: float) -> float:
        """Standard deviation of the noise that a step of that `eta` adds."""
        now, then = self.alpha_bar(timestep), self.alpha_bar(following)
        variance = (1 - then) / (1 - now) * (1 - now / then)
        return max(eta * max(variance, 0.0) ** 0.5, _MIN_STD)

    def step(self, sample: Tensor, predicted: Tensor, timestep: int, following: int, eta: float = 0.0) -> Tensor:
        """Mean of the next sample, given the predicted clean one, both normalised.

        The noise estimate comes from the prediction as it is, the rest from the prediction clipped to [-1, 1].
        """
        now, then = self.alpha_bar(timestep), self.alpha_bar(following)
        noise = (sample - now**0.5 * predicted) / (1 - now) ** 0.5
        spread = max(1 - then - self.std(timestep, following, eta) ** 2, 0.0) ** 0.5
        return then**0.5 * predicted.clamp(-1, 1) + spread * noise


def scale_adaptive(sample: Tensor, noise: Tensor, std: float) -> Tensor:
    """Stretch trajectories [B, M, P, 2] along x and y by 1 + s z, one z per trajectory and axis (noise [B, M, 2]).

    s is `std`, at least 0.04: multiplicative exploration keeps a trajectory smooth, whatever its length (spec 4.8).
    """
    return sample * (1 + max(std, _MIN_MULTIPLICATIVE_STD) * noise[:, :, None])
