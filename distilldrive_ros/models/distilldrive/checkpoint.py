"""Weight files with the official state-dict names (spec 12): `.pth` (never unpickled) and `.safetensors`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.training_only import TRAINING_ONLY_PREFIXES
from distilldrive_ros.scene.errors import CheckpointError

TEACHER_PREFIX = "head.distillation_head."
"""The frozen teacher inside a stage-2 checkpoint; inference does not have it."""

_PARALLEL_PREFIX = "module."
_BATCH_COUNTER = ".num_batches_tracked"
_SHOWN = 5
_HASH_DIGITS = 12


@dataclass(frozen=True)
class CheckpointReport:
    """What a weight file gave to the network.

    `loaded`: entries taken. `missing_training_only`: entries of the network that the file lacks and inference does
    not read. `ignored_teacher`: number of teacher entries left aside. `unexpected`: other entries left aside.
    `digest`: first twelve hex digits of the file's SHA-256.
    """

    path: Path
    loaded: int
    missing_training_only: tuple[str, ...]
    ignored_teacher: int
    unexpected: tuple[str, ...]
    digest: str

    def summary(self) -> str:
        """One line for a log."""
        return (
            f"{self.path.name} ({self.digest}): {self.loaded} entries loaded, {self.ignored_teacher} teacher entries "
            f"ignored, {len(self.unexpected)} unexpected{_examples(self.unexpected)}, "
            f"{len(self.missing_training_only)} training-only entries absent"
        )


def load_checkpoint(network: nn.Module, path: Path) -> CheckpointReport:
    """Fill `network` from a weight file; all or nothing.

    A `.pth` may be a bare state dict or a dict with a `state_dict` entry. Teacher entries and entries of an unknown
    name are left aside and counted.

    Raises:
        CheckpointError: the file is absent, damaged, holds more than tensors and plain data, contains NaN or
            infinity, or does not fit the network. The network is unchanged.
    """
    entries = {key.removeprefix(_PARALLEL_PREFIX): value for key, value in read_state_dict(path).items()}
    expected = network.state_dict()
    teacher = [key for key in entries if key.startswith(TEACHER_PREFIX)]
    unexpected = sorted(key for key in entries if key not in expected and not key.startswith(TEACHER_PREFIX))
    missing = [key for key in expected if key not in entries]
    needed = [key for key in missing if not _is_optional(key)]
    usable = {key: value for key, value in entries.items() if key in expected}
    if needed:
        raise CheckpointError(
            f"{path} does not fit this network: {len(needed)} of {len(expected)} entries are missing"
            f"{_examples(needed)}, {len(unexpected)} are of another network{_examples(unexpected)}; use a stage-2 "
            f"DistillDrive checkpoint and the model preset it was trained with"
        )
    _check_entries(path, usable, expected)
    network.load_state_dict(usable, strict=False)
    return CheckpointReport(path, len(usable), tuple(missing), len(teacher), tuple(unexpected), _digest(path))


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a `.pth`, `.pt` or `.safetensors` file, on the CPU. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"weight file {path} does not exist; check the path, or give none for untrained weights")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(
            f"{path} holds no state dict; expected a dict of tensors, bare or under the key 'state_dict'"
        )
    wrong = [str(key) for key, value in state.items() if not isinstance(key, str) or not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(
            f"{path} is not a state dict: entries{_examples(wrong)} are not named tensors; export the network's "
            f"state_dict"
        )
    return dict(state)


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can make the reader fail in any way whatever
        raise CheckpointError(
            f"{path} cannot be read as a PyTorch weight file ({_first_line(error)}); it is cut off, of another format, "
            f"or holds Python objects beyond tensors and plain data, which are never executed; get it from its source "
            f"again, or save only its state_dict in a trusted environment"
        ) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, json.JSONDecodeError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({_first_line(error)}); it is truncated or of another "
            f"format, get it "
            f"from its source again"
        ) from error


def _check_entries(path: Path, entries: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    mismatched = [
        f"{key} {tuple(value.shape)} instead of {tuple(expected[key].shape)}"
        for key, value in entries.items()
        if value.shape != expected[key].shape
    ]
    if mismatched:
        raise CheckpointError(
            f"{path} is of another configuration: {len(mismatched)} entries differ in "
            f"shape{_examples(mismatched)}; choose "
            f"the model preset it was trained with"
        )
    not_numbers = [
        key for key, value in entries.items() if value.is_floating_point() != expected[key].is_floating_point()
    ]
    if not_numbers:
        raise CheckpointError(f"{path} has entries of another number type{_examples(not_numbers)}; export it again")
    broken = [key for key, value in entries.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise CheckpointError(
            f"{path} contains NaN or infinity in {len(broken)} entries{_examples(broken)}; the training "
            f"diverged or the "
            f"file is damaged, use another checkpoint"
        )


def _is_optional(key: str) -> bool:
    return key.startswith(TRAINING_ONLY_PREFIXES) or key.endswith(_BATCH_COUNTER)


def _examples(names: list[str] | tuple[str, ...]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > _SHOWN else ""
    return f" ({', '.join(names[:_SHOWN])}{more})"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()[:_HASH_DIGITS]
