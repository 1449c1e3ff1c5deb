"""Weight files of any model, `.pth` and the like (never unpickled) and `.safetensors`, and what is checked of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from distilldrive_ros.models.row_packing import unpacked
from distilldrive_ros.scene.errors import CheckpointError

_LFS_POINTER = b"version https://git-lfs"
_SHOWN = 5
_HASH_DIGITS = 12


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a `.pth`, `.pt` or `.safetensors` file, on the CPU. Raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"weight file {path} does not exist; check the path, or give none for untrained weights")
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise CheckpointError(
                f"{path} is only a pointer to the weight file (Git LFS); fetch the file itself: `git lfs pull` or a "
                f"direct download"
            )
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(
            f"{path} holds no state dict; expected a dict of tensors, bare or under the key 'state_dict'"
        )
    wrong = [str(key) for key, value in state.items() if not isinstance(key, str) or not isinstance(value, Tensor)]
    if wrong:
        raise CheckpointError(
            f"{path} is not a state dict: entries{examples(wrong)} are not named tensors; export the network's "
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
        return unpacked(load_file(path))
    except (SafetensorError, OSError, json.JSONDecodeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({_first_line(error)}); it is truncated or of another "
            f"format, get it "
            f"from its source again"
        ) from error


def check_entries(path: Path, entries: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse entries that do not fit the expected ones of the same name, or are not finite. Raises CheckpointError."""
    mismatched = [
        f"{key} {tuple(value.shape)} instead of {tuple(expected[key].shape)}"
        for key, value in entries.items()
        if value.shape != expected[key].shape
    ]
    if mismatched:
        raise CheckpointError(
            f"{path} is of another configuration: {len(mismatched)} entries differ in "
            f"shape{examples(mismatched)}; choose "
            f"the model preset it was trained with"
        )
    not_numbers = [
        key for key, value in entries.items() if value.is_floating_point() != expected[key].is_floating_point()
    ]
    if not_numbers:
        raise CheckpointError(f"{path} has entries of another number type{examples(not_numbers)}; export it again")
    broken = [key for key, value in entries.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise CheckpointError(
            f"{path} contains NaN or infinity in {len(broken)} entries{examples(broken)}; the training "
            f"diverged or the "
            f"file is damaged, use another checkpoint"
        )


def examples(names: list[str] | tuple[str, ...]) -> str:
    """The first few names in brackets, for a message; empty for none."""
    if not names:
        return ""
    more = ", ..." if len(names) > _SHOWN else ""
    return f" ({', '.join(names[:_SHOWN])}{more})"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def file_digest(path: Path) -> str:
    """First twelve hex digits of the file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()[:_HASH_DIGITS]
