"""Checkpoints of a training: written whole, found again, refused where they belong to another training."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.config_file import plain
from distilldrive_ros.training.whole_files import StorageError, write_whole_file

FORMAT = 1
WEIGHTS_FILE = "weights.safetensors"
_PATTERN = "checkpoint-*.pt"
# What may change between two runs of one training.
_FREE = (
    "data.dataroot", "data.cache", "data.workers", "model.anchors", "model.perception_weights",
    "model.teacher_weights", "run.device", "run.threads", "run.checkpoint_interval", "run.keep_checkpoints",
    "run.log_interval", "run.batch_size", "run.held_out_interval", "data.held_out_dataroot",
)  # fmt: skip

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """After `iteration` iterations: state dicts of the stage and the optimiser."""

    iteration: int
    stage: dict[str, Tensor]
    optimizer: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one training in a folder, named by iteration."""

    def __init__(self, folder: Path, config: TrainConfig, streams: int) -> None:
        """`streams`: batch size of all processes together."""
        self._folder = folder
        self._keep = config.run.keep_checkpoints
        self._identity = {**_flat(plain(config)), "streams": streams, "distilled plans": config.plan_distillation}
        self._defaults = {**_flat(plain(TrainConfig(config.stage))), "distilled plans": False}
        for name in _FREE:
            del self._identity[name]

    def paths(self) -> list[Path]:
        """Checkpoints, the oldest first."""
        return sorted(self._folder.glob(_PATTERN))

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write one and drop those beyond `keep_checkpoints`. A crash at any moment leaves the older ones whole.

        Raises:
            StorageError: the disk is full or refuses it.
        """
        path = self._folder / f"checkpoint-{checkpoint.iteration:08d}.pt"
        content = {"format": FORMAT, "identity": json.dumps(self._identity, sort_keys=True), **vars(checkpoint)}
        try:
            write_whole_file(path, lambda stream: torch.save(content, stream), durable=True)
        except RuntimeError as error:  # torch's own writer says so when the disk is full
            raise StorageError(f"cannot write {path}: {str(error).splitlines()[0]}; make room on the disk") from error
        for old in self.paths()[: -self._keep]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The newest that can be read, or None where there is none.

        Raises:
            CheckpointError: it belongs to a training of another configuration, or none of several can be read.
        """
        paths = self.paths()
        for path in reversed(paths):
            content = _read(path)
            if content is None:
                _LOG.warning("%s is damaged; going back to the one before", path)
                continue
            self._check(path, json.loads(content["identity"]))
            return Checkpoint(content["iteration"], content["stage"], content["optimizer"])
        if paths:
            raise CheckpointError(f"no checkpoint in {self._folder} can be read; remove them and start anew")
        return None

    def tidy(self) -> None:
        """Remove what an interrupted run left half-written."""
        for partial in self._folder.glob(".*.partial"):
            partial.unlink(missing_ok=True)

    def _check(self, path: Path, found: Mapping[str, Any]) -> None:
        # A setting that came after the checkpoint was written had no other value then than its default.
        found = {**{name: self._defaults[name] for name in self._identity if name in self._defaults}, **found}
        names = sorted(set(found) | set(self._identity))
        different = [
            f"{name} ({found.get(name)!r} there, {self._identity.get(name)!r} here)"
            for name in names
            if found.get(name) != self._identity.get(name)
        ]
        if different:
            raise CheckpointError(
                f"{path} is of another configuration: {'; '.join(different[:5])}; go on with the configuration it was "
                f"made with, or choose another --out"
            )


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Weights alone, as inference loads them. Raises StorageError."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    content = safetensors_bytes(tensors)
    write_whole_file(path, lambda stream: stream.write(content), durable=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a damaged or hostile file can make the reader fail in any way whatever
        return None
    keys = {"format", "identity", "iteration", "stage", "optimizer"}
    if not isinstance(content, dict) or not keys <= set(content) or content["format"] != FORMAT:
        return None
    return content


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


def refuse_old_training(folder: CheckpointFolder, out: Path) -> None:
    """Raises ConfigurationError where a folder holds checkpoints and nobody asked to go on."""
    paths = folder.paths()
    if paths:
        raise ConfigurationError(f"{out} holds a training ({paths[-1].name}); give --resume, or choose another --out")
