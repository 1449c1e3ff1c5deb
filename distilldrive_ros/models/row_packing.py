"""Convolutions in eight bits per number: each output channel with a scale of its own. For small weight files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE_SUFFIX = ".row_scale"
"""Name of a packed entry's scales, after the entry's own."""

_LARGEST = 127


def packed_rows(name: str, value: Tensor) -> dict[str, Tensor]:
    """An entry [R, ...] as int8 with scales [R] float32; off by at most half a 127th of its row's largest number."""
    rows = value.float().flatten(1)
    scale = rows.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
    whole = (rows / scale[:, None]).round().to(torch.int8)
    return {name: whole.view_as(value), f"{name}{SCALE_SUFFIX}": scale}


def unpacked(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All entries as float, those packed restored; what was never packed is left as it is."""
    out = {}
    for name, value in entries.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = entries.get(f"{name}{SCALE_SUFFIX}")
        if scale is not None:
            value = value.float() * scale.view(-1, *[1] * (value.dim() - 1))
        out[name] = value
    return out
