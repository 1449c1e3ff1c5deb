"""Weights drawn from a generator for the layers that networks are made of."""

from __future__ import annotations

import math

import torch
from torch import nn

from distilldrive_ros.models.distilldrive.attention import MultiheadAttention


def fill_module(module: nn.Module, generator: torch.Generator) -> None:
    """Fill the parameters that one module itself holds; norms keep the ones and zeros they are built with."""
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, MultiheadAttention | nn.MultiheadAttention):
        nn.init.xavier_uniform_(module.in_proj_weight, generator=generator)
        nn.init.zeros_(module.in_proj_bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, generator=generator)
    elif isinstance(module, nn.GRU):
        bound = 1.0 / math.sqrt(module.hidden_size)
        for parameter in module.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
