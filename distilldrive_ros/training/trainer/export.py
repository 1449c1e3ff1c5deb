"""Weights for driving alone: without what only training needs, and in half the size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.distilldrive.training_only import TRAINING_ONLY_PREFIXES
from distilldrive_ros.models.weight_files import examples, file_digest, read_state_dict
from distilldrive_ros.scene.errors import CheckpointError
from distilldrive_ros.training.trainer.checkpoints import write_weights

_BATCH_COUNTER = ".num_batches_tracked"
_LEFT_OUT = (TEACHER_PREFIX, *TRAINING_ONLY_PREFIXES)


@dataclass(frozen=True)
class ExportReport:
    """`kept`, `left_out`: entries; `size`: bytes of the file; `digest`: first twelve hex digits of its SHA-256."""

    kept: int
    left_out: int
    size: int
    digest: str


def export_weights(source: Path, out: Path, half: bool) -> ExportReport:
    """Write what inference reads of a weight file as safetensors; `half`: in float16.

    Raises:
        CheckpointError: the source cannot be read, holds nothing but training's own, or float16 cannot hold a value.
        StorageError: the disk does not take the file.
    """
    entries = read_state_dict(source)
    kept = {
        name: value
        for name, value in entries.items()
        if not name.startswith(_LEFT_OUT) and not name.endswith(_BATCH_COUNTER)
    }
    if not kept:
        raise CheckpointError(f"{source} holds no network that drives (a teacher alone?); give weights of a student")
    if half:
        kept = {name: _halved(value) for name, value in kept.items()}
        broken = [name for name, value in kept.items() if not bool(torch.isfinite(value).all())]
        if broken:
            raise CheckpointError(f"{source} has values beyond float16{examples(broken)}; export without --half")
    write_weights(out, kept)
    return ExportReport(len(kept), len(entries) - len(kept), out.stat().st_size, file_digest(out))


def _halved(value: Tensor) -> Tensor:
    return value.half() if value.dtype == torch.float32 else value
