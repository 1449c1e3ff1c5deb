"""Instance bank: which instances live on to the next frame (spec 4.2), as pure functions on explicit state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.state import BankState, IdentityState


class _AnchorHandler(nn.Module):
    """Holds a constant of the official state dict that nothing reads at inference."""

    def __init__(self) -> None:
        super().__init__()
        self.fix_scale = nn.Parameter(torch.zeros(1, 3), requires_grad=False)


class InstanceBank(nn.Module):
    """Learned instances a head starts every frame with: `anchor` [N, A] and `instance_feature` [N, D]."""

    def __init__(self, num_anchors: int, anchor_size: int, width: int, train_feature: bool, box_anchors: bool) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(num_anchors, anchor_size))
        self.instance_feature = nn.Parameter(torch.zeros(num_anchors, width), requires_grad=train_feature)
        if box_anchors:
            self.anchor_handler = _AnchorHandler()

    def initial(self, batch: int) -> tuple[Tensor, Tensor]:
        """Features [B, N, D] and anchors [B, N, A] for a new frame."""
        return self.instance_feature.expand(batch, -1, -1), self.anchor.expand(batch, -1, -1)


def gather_rows(values: Tensor, index: Tensor) -> Tensor:
    """values [B, N, ...], index [B, K] -> [B, K, ...]."""
    batch = torch.arange(index.shape[0], device=index.device)[:, None]
    return values[batch, index]


def merge_memory(
    memory: BankState, recent: Tensor, feature: Tensor, anchor: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Put the remembered instances in front of the best new ones; the number of rows stays.

    `memory` has to be projected to the current frame. Rows of a stream whose history does not count (`recent` [B]
    False) stay as they are. feature [B, N, D], anchor [B, N, A], logits [B, N, classes] -> feature, anchor.
    """
    num_new = feature.shape[1] - memory.feature.shape[1]
    best = logits.max(dim=-1).values.topk(num_new, dim=1).indices
    merged_feature = torch.cat((memory.feature, gather_rows(feature, best)), dim=1)
    merged_anchor = torch.cat((memory.anchor, gather_rows(anchor, best)), dim=1)
    keep = recent[:, None, None]
    return torch.where(keep, merged_feature, feature), torch.where(keep, merged_anchor, anchor)


def remember(
    memory: BankState | None,
    recent: Tensor | None,
    decay: float,
    num_temporal: int,
    feature: Tensor,
    anchor: Tensor,
    logits: Tensor,
) -> tuple[BankState, Tensor, Tensor]:
    """Choose what to remember: the `num_temporal` most confident rows.

    A remembered row keeps at least `decay` times its old confidence. Returns the new memory (detached), its rows
    [B, num_temporal], and the confidence of all rows [B, N].
    """
    confidence = logits.detach().max(dim=-1).values.sigmoid()
    if memory is not None and recent is not None:
        old = torch.where(recent[:, None], memory.confidence, 0.0) * decay
        cached = old.shape[1]
        confidence = torch.cat((torch.maximum(old, confidence[:, :cached]), confidence[:, cached:]), dim=1)
    kept_confidence, kept = confidence.topk(num_temporal, dim=1)
    state = BankState(gather_rows(feature.detach(), kept), gather_rows(anchor.detach(), kept), kept_confidence)
    return state, kept, confidence


def assign_ids(
    identity: IdentityState | None, recent: Tensor | None, kept: Tensor, num_rows: int
) -> tuple[Tensor, IdentityState]:
    """Ids of all rows of the current frame [B, N], and what to remember of them.

    Remembered rows keep their id, all others get fresh ones in row order. `kept` [B, K]: rows the bank remembers.
    """
    batch = kept.shape[0]
    if identity is None or recent is None:
        ids = kept.new_full((batch, num_rows), -1)
        next_id = kept.new_zeros(batch)
    else:
        ids = torch.where(recent[:, None], identity.ids, -1)
        next_id = identity.next_id
    fresh = ids < 0
    order = fresh.cumsum(dim=1)
    ids = torch.where(fresh, next_id[:, None] + order - 1, ids)
    padding = kept.new_full((batch, num_rows - kept.shape[1]), -1)
    remembered = torch.cat((gather_rows(ids, kept), padding), dim=1)
    return ids, IdentityState(remembered, next_id + order[:, -1])
