"""Multi-head attention with the parameter names of nn.MultiheadAttention, on scaled_dot_product_attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiheadAttention(nn.Module):
    """Exact softmax attention, batch first. Parameters: in_proj_weight, in_proj_bias (q, k, v stacked), out_proj."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, ignored: Tensor | None = None) -> Tensor:
        """Attend.

        query [B, Q, width], key and value [B, N, width]; `ignored` [B, N] bool marks keys that nobody may look at
        (at least one key per row must be left). Returns [B, Q, width].
        """
        q, k, v = (self._split_heads(x) for x in self._project(query, key, value))
        mask = None if ignored is None else ~ignored[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out_proj(y.transpose(1, 2).flatten(2))

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, [B, ..., width] each; those made from the same tensor in one product."""
        weight, bias = self.in_proj_weight, self.in_proj_bias
        width = weight.shape[1]
        if query is key and key is value:
            return F.linear(query, weight, bias).chunk(3, dim=-1)
        if key is value:
            pair = F.linear(key, weight[width:], bias[width:]).chunk(2, dim=-1)
            return (F.linear(query, weight[:width], bias[:width]), *pair)
        if query is key:
            pair = F.linear(query, weight[: 2 * width], bias[: 2 * width]).chunk(2, dim=-1)
            return (*pair, F.linear(value, weight[2 * width :], bias[2 * width :]))
        parts = zip((query, key, value), weight.chunk(3), bias.chunk(3), strict=True)
        return tuple(F.linear(x, w, b) for x, w, b in parts)

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class ResidualAttention(nn.Module):
    """Attention whose output is added to `residual`; the module name `attn` is part of the state-dict names."""

    def __init__(self, width: int, num_heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attn = MultiheadAttention(width, num_heads, dropout)
        self.output_dropout = nn.Dropout(dropout)

    def forward(
        self, residual: Tensor, query: Tensor, key: Tensor, value: Tensor, ignored: Tensor | None = None
    ) -> Tensor:
        """`residual` [B, Q, width] plus the attention of `query` to `key`, `value`; see MultiheadAttention."""
        return residual + self.output_dropout(self.attn(query, key, value, ignored))


def decoupled_attention(
    layer: ResidualAttention,
    fc_before: nn.Linear,
    fc_after: nn.Linear,
    query: tuple[Tensor, Tensor],
    key: tuple[Tensor, Tensor],
    ignored: Tensor | None = None,
) -> Tensor:
    """Attention in the doubled space; the residual stays inside it.

    `query` and `key` are (feature, position) pairs, [B, Q, D] and [B, N, D] each; values are `fc_before(key
    feature)`. Returns [B, Q, D].
    """
    doubled = torch.cat(query, dim=-1)
    keys = doubled if key is query else torch.cat(key, dim=-1)
    return fc_after(layer(doubled, doubled, keys, fc_before(key[0]), ignored))
