"""What the trainer knows of a training stage: losses of a batch, what is trained, and what is saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from distilldrive_ros.training.batch import TrainingBatch

BACKBONE_PREFIX = "img_backbone."
"""Official names of the parameters that may get a learning rate of their own (spec section 1)."""


class TrainedPart(nn.Module, ABC):
    """What all stages have, whatever their batches are: weights under their official names, and a memory to drop."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what is remembered of the streams; needed when the batch size or the data change."""

    def reseed(self, seed: int) -> None:
        """What the stage itself draws from now on (noise, masks) follows from `seed`; nothing where it draws none."""

    def hide_future(self) -> None:
        """From now on only the losses know the true future, as it is when driving; nothing where that is so anyway."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """State dict with the official names (spec section 12), as a checkpoint holds it."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Counterpart of `weights`, strict. Raises CheckpointError when names or shapes differ."""

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters that the optimiser changes, by name within this module."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


class Stage(TrainedPart):
    """A network with everything that trains it.

    Batches are frames of streams: a stage remembers its streams from one batch to the next (detached; `restart` of the
    batch starts a row anew). That memory is not part of the weights; `forget` drops it.
    """

    def forward(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """`compute_losses`, under the name that wrappers such as DistributedDataParallel call."""
        return self.compute_losses(batch)

    @abstractmethod
    def compute_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Weighted loss terms by name, scalars; the objective is their plain sum.

        Raises ValueError: the batch does not fit the network.
        """


def total(losses: Mapping[str, Tensor]) -> Tensor:
    """The objective: the sum of all terms (spec section 10). Raises ValueError when there is none."""
    if not losses:
        raise ValueError("there is no loss to sum up")
    terms = list(losses.values())
    return sum(terms[1:], start=terms[0])
