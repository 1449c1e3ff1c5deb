"""Training of the ego-status network: whole batches, one seed, so that a run repeats to the last bit.

A few hundred samples are soon learned by heart. How long to train is therefore decided among the training scenes alone:
each is left out in turn, and the number of epochs that serves those left out best is taken for all of them together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.models.ego_mlp.network import EgoMlp
from distilldrive_ros.scene.errors import ConfigurationError

_SMALLEST_SPREAD = 1e-2


@dataclass(frozen=True)
class FitSettings:
    """AdamW for at most `epochs` whole batches."""

    seed: int = 0
    epochs: int = 200
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        """Refuse wrong values.

        Raises:
            ConfigurationError: with name, range and remedy.
        """
        if not 1 <= self.epochs <= 1_000_000:
            raise ConfigurationError(f"epochs = {self.epochs} is out of range 1..1000000; use 200")
        if not 0 <= self.seed < 2**63:
            raise ConfigurationError(f"seed = {self.seed} is out of range 0..2^63-1; use 0")


@dataclass(frozen=True)
class Fitted:
    """The network and for how many epochs it was trained."""

    network: EgoMlp
    epochs: int


# Features (N, 15) and ways really driven (N, 6, 2) of one scene.
SceneSamples = tuple[NDArray[np.float32], NDArray[np.float32]]


def fit(scenes: Sequence[SceneSamples], settings: FitSettings) -> Fitted:
    """Train on scenes, by the mean distance of the points; one scene alone is trained on for all epochs.

    Raises:
        ConfigurationError: there is no sample, or a number is not finite.
    """
    given = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in scenes if len(x)]
    if not given or not all(bool(torch.isfinite(t).all()) for pair in given for t in pair):
        raise ConfigurationError("there is no sample to train on, or one is not finite; give longer scenes")
    epochs = _best_epochs(given, settings) if len(given) > 1 else settings.epochs
    training = _training(given, settings)
    network = next(training)
    for _ in range(epochs - 1):
        network = next(training)
    return Fitted(network.eval(), epochs)


def _best_epochs(given: Sequence[tuple[Tensor, Tensor]], settings: FitSettings) -> int:
    curves = np.zeros(settings.epochs)
    for index, (x, y) in enumerate(given):
        others = [pair for number, pair in enumerate(given) if number != index]
        for epoch, network in enumerate(_training(others, settings)):
            with torch.inference_mode():
                curves[epoch] += float(_distance(network(x), y))
    return int(curves.argmin()) + 1


def _training(given: Sequence[tuple[Tensor, Tensor]], settings: FitSettings) -> Iterator[EgoMlp]:
    """The network after every epoch; it is the same object each time."""
    x, y = (torch.cat([pair[side] for pair in given]) for side in (0, 1))
    network = EgoMlp().reset(settings.seed)
    network.mean.copy_(x.mean(dim=0))
    network.spread.copy_(x.std(dim=0, unbiased=False).clamp_min(_SMALLEST_SPREAD))
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    for _ in range(settings.epochs):
        optimizer.zero_grad()
        _distance(network(x), y).backward()
        optimizer.step()
        yield network


def _distance(points: Tensor, ways: Tensor) -> Tensor:
    """Mean distance; the root of a sum of squares has no slope at 0, hence the small addend."""
    return ((points - ways).square().sum(dim=-1) + 1e-8).sqrt().mean()
