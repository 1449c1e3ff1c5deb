"""Weights for driving alone: without what only training needs, and smaller."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.distilldrive.training_only import TRAINING_ONLY_PREFIXES
from distilldrive_ros.models.row_packing import packed_rows
from distilldrive_ros.models.weight_files import examples, file_digest, read_state_dict
from distilldrive_ros.scene.errors import CheckpointError
from distilldrive_ros.training.trainer.checkpoints import write_weights

_BATCH_COUNTER = ".num_batches_tracked"
_CONVOLUTION_DIMS = 4
_LEFT_OUT = (TEACHER_PREFIX, *TRAINING_ONLY_PREFIXES)


@dataclass(frozen=True)
class ExportReport:
    """`kept`, `left_out`: entries; `size`: bytes of the file; `digest`: first twelve hex digits of its SHA-256."""

    kept: int
    left_out: int
    size: int
    digest: str


class Size(Enum):
    """`WHOLE`: numbers as trained; `HALF`: float16; `SMALL`: float16, convolutions in eight bits (`row_packing`)."""

    WHOLE = "whole"
    HALF = "half"
    SMALL = "small"


def export_weights(source: Path, out: Path, size: Size = Size.WHOLE) -> ExportReport:
    """Write what inference reads of a weight file as safetensors.

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
    written = kept
    if size is not Size.WHOLE:
        written = {}
        for name, value in kept.items():
            convolution = value.dim() == _CONVOLUTION_DIMS and size is Size.SMALL
            written.update(packed_rows(name, value) if convolution else {name: _halved(value)})
        broken = [name for name, value in written.items() if not bool(torch.isfinite(value).all())]
        if broken:
            raise CheckpointError(f"{source} has values beyond float16{examples(broken)}; export it whole")
    write_weights(out, written)
    return ExportReport(len(kept), len(entries) - len(kept), out.stat().st_size, file_digest(out))


def _halved(value: Tensor) -> Tensor:
    return value.half() if value.dtype == torch.float32 else value
