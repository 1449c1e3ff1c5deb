"""What names and shapes of a state dict cannot say: how the layers are put together.

Repaired and reduced networks have the same parameters as the published ones. They carry their form as one more entry,
so that weights of one are never run as the other; the published form has no such entry, as published files have none.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from distilldrive_ros.scene.errors import CheckpointError

_FORM = "form"


def keep_form(module: nn.Module, form: tuple[bool, ...], published: tuple[bool, ...]) -> None:
    """Give the module an entry `form` unless its form is the published one."""
    if form != published:
        module.register_buffer(_FORM, torch.tensor(form, dtype=torch.uint8))


def stored_form(entries: Mapping[str, Tensor], part: str, published: tuple[bool, ...]) -> tuple[bool, ...]:
    """Form of the module whose entries begin with `part` (with its dot); the published one where none is stored."""
    for key, value in entries.items():
        if key.endswith(part + _FORM) and value.numel() == len(published):
            return tuple(bool(flag) for flag in value.flatten().tolist())
    return published


def check_forms(source: str, entries: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse `entries` for a network with the entries `expected` when a part of it is put together otherwise.

    Raises CheckpointError.
    """
    parts = {key[: -len(_FORM)] for key in (*entries, *expected) if key.rpartition(".")[2] == _FORM}
    for part in sorted(parts):
        if not any(key.startswith(part) for key in expected):
            continue
        given, wanted = entries.get(part + _FORM), expected.get(part + _FORM)
        if given is None and wanted is None:
            continue
        if given is None or wanted is None or given.flatten().tolist() != wanted.flatten().tolist():
            raise CheckpointError(
                f"{source} holds weights of another form of this network ({part or 'whole network'}: "
                f"{_text(given)} instead of {_text(wanted)}); use the configuration it was trained with (repaired, "
                f"generative)"
            )


def _text(form: Tensor | None) -> str:
    return "published" if form is None else str([int(flag) for flag in form.flatten().tolist()])
