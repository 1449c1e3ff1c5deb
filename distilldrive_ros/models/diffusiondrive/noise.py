"""The randomness of one inference, drawn beforehand and passed in: random as released, or one fixed set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig, Variant

_MIN_SIGMA, _MAX_SIGMA = 0.1, 0.3
_IDLE_DRAWS = 4
_PASSES = 2
_SET_SEED = 20


class CandidateMode(str, Enum):
    """`random`: new noise for every frame, as released. `deterministic`: one quasi-random set for all frames.

    With the fixed set equal inputs give equal plans and consecutive frames do not jitter.
    """

    RANDOM = "random"
    DETERMINISTIC = "deterministic"


@dataclass(frozen=True)
class PlannerNoise:
    """`initial` [B, M, P, 2] standard normal; `factors` [copies, B, M, 2] scales of the selector's copies."""

    initial: Tensor
    factors: Tensor

    def to(self, device: torch.device | str) -> PlannerNoise:
        """Copy on another device."""
        return PlannerNoise(self.initial.to(device), self.factors.to(device))


def random_noise(config: DiffusionDriveConfig, batch: int, generator: torch.Generator) -> PlannerNoise:
    """Noise in the order in which the released code draws it (spec 5.1), from a CPU generator."""
    samples = config.num_samples
    initial = torch.randn(batch, samples, config.num_points, 2, generator=generator)
    if config.variant is not Variant.SELECTOR:
        return PlannerNoise(initial, torch.ones(0, batch, samples, 2))
    for _ in range(_PASSES * _IDLE_DRAWS):
        # The released sampler draws these and multiplies them by 0; drawn here, too, so that the rest is the same.
        torch.randn(batch, samples, 1, 1, generator=generator)
    factors = [_random_factors(batch, samples, generator) for _ in range(config.num_copies)]
    return PlannerNoise(initial, torch.stack(factors) if factors else torch.ones(0, batch, samples, 2))


def _random_factors(batch: int, samples: int, generator: torch.Generator) -> Tensor:
    sigma = torch.empty(1).uniform_(_MIN_SIGMA, _MAX_SIGMA, generator=generator)
    z = [torch.randn(batch, samples, 1, 1, generator=generator)[..., 0] for _ in range(2)]
    return 1 + sigma * torch.cat(z, dim=-1)


def fixed_noise(config: DiffusionDriveConfig) -> PlannerNoise:
    """The same quasi-random set every time, for one stream (B = 1).

    Scrambled Sobol points turned into normals: the groups of each anchor, and the copies of each sample, spread more
    evenly than random ones. Copies take evenly spaced sigmas from the range of the random ones.
    """
    groups, anchors, points = config.policy_groups, config.num_anchors, config.num_points
    initial = _quasi_normal(anchors * groups, 2 * points).view(anchors, groups, points, 2).transpose(0, 1)
    initial = initial.reshape(1, groups * anchors, points, 2)
    copies = config.num_copies if config.variant is Variant.SELECTOR else 0
    scales = _quasi_normal(copies * config.num_samples, 2).view(copies, 1, config.num_samples, 2)
    sigma = _MIN_SIGMA + (_MAX_SIGMA - _MIN_SIGMA) * (torch.arange(copies) + 0.5) / max(copies, 1)
    return PlannerNoise(initial, 1 + sigma[:, None, None, None] * scales)


def _quasi_normal(count: int, dimension: int) -> Tensor:
    """Scrambled Sobol points [count, dimension] as standard normals, the same on every call."""
    if not count:
        return torch.zeros(0, dimension)
    uniform = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=_SET_SEED).draw(count, dtype=torch.float64)
    return torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6)).float()
