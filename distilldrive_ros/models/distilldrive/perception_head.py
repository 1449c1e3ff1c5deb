"""Sparse perception head: instances refine their anchors in several decoders (spec 4.4). Base of both heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.aggregation import CameraFeatures
from distilldrive_ros.models.distilldrive.anchor_encoder import BoxEncoder, PolylineEncoder
from distilldrive_ros.models.distilldrive.attention import ResidualAttention, decoupled_attention
from distilldrive_ros.models.distilldrive.ego_motion import FrameStep
from distilldrive_ros.models.distilldrive.instance_bank import InstanceBank, merge_memory, remember
from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs
from distilldrive_ros.models.distilldrive.state import BankState

TEMPORAL_BLOCK = ("temp_gnn", "gnn", "norm", "deform", "ffn", "norm", "refine")
"""Operations of every decoder but the first."""


@dataclass(frozen=True)
class PerceptionResult:
    """Outputs, memory for the next frame, remembered rows [B, K] and confidence of all rows [B, N]."""

    outputs: PerceptionOutputs
    memory: BankState
    kept: Tensor
    confidence: Tensor


class PerceptionHead(nn.Module, ABC):
    """Decoders over a set of instances. Subclasses build the parts and say how anchors move between frames.

    The order of `layers` is part of the official state-dict names (spec 12.3 and 12.4).
    """

    def __init__(
        self,
        bank: InstanceBank,
        encoder: BoxEncoder | PolylineEncoder,
        operations: Sequence[str],
        layers: Sequence[nn.Module],
        num_temporal: int,
        confidence_decay: float,
        decoupled_width: int | None,
    ) -> None:
        super().__init__()
        self.instance_bank = bank
        self.anchor_encoder = encoder
        self.operations = tuple(operations)
        self.layers = nn.ModuleList(layers)
        self.num_temporal = num_temporal
        self.confidence_decay = confidence_decay
        self.decoupled = decoupled_width is not None
        if decoupled_width is not None:
            self.fc_before = nn.Linear(decoupled_width, 2 * decoupled_width, bias=False)
            self.fc_after = nn.Linear(2 * decoupled_width, decoupled_width, bias=False)

    @abstractmethod
    def project_anchors(self, anchors: Tensor, step: FrameStep) -> Tensor:
        """Anchors of the last frame [B, K, A] as seen from the current one."""

    def forward(
        self, cameras: CameraFeatures, memory: BankState | None, step: FrameStep | None, time_interval: Tensor
    ) -> PerceptionResult:
        """One frame; `memory` and `step` are None in the first one. time_interval [B] in seconds."""
        feature, anchor = self.instance_bank.initial(cameras.tokens.shape[0])
        embed = self.anchor_encoder(anchor)
        past: BankState | None = None
        past_embed: Tensor | None = None
        if memory is not None and step is not None:
            past = BankState(memory.feature, self.project_anchors(memory.anchor, step), memory.confidence)
            past_embed = self.anchor_encoder(past.anchor)
        logits: list[Tensor] = []
        anchors: list[Tensor] = []
        quality: list[Tensor | None] = []
        for name, layer in zip(self.operations, self.layers, strict=True):
            if name == "temp_gnn":
                history = None if past is None or past_embed is None else (past.feature, past_embed)
                feature = self._attend_history(layer, feature, embed, history)
            elif name == "gnn":
                feature = self._attend_self(layer, feature, embed)
            elif name == "deform":
                feature = layer(feature, anchor, embed, cameras)
            elif name == "refine":
                anchor, layer_logits, layer_quality = layer(feature, anchor, embed, time_interval)
                logits.append(layer_logits)
                anchors.append(anchor)
                quality.append(layer_quality)
                if len(logits) == 1 and past is not None and step is not None:
                    feature, anchor = merge_memory(past, step.recent, feature, anchor, layer_logits)
                embed = self.anchor_encoder(anchor)
                if len(logits) > 1 and past_embed is not None:
                    past_embed = embed[:, : self.num_temporal]
            else:
                feature = layer(feature)
        recent = None if step is None else step.recent
        kept_memory, kept, confidence = remember(
            memory, recent, self.confidence_decay, self.num_temporal, feature, anchor, logits[-1]
        )
        outputs = PerceptionOutputs(tuple(logits), tuple(anchors), tuple(quality), feature, embed)
        return PerceptionResult(outputs, kept_memory, kept, confidence)

    def _attend_self(self, layer: nn.Module, feature: Tensor, embed: Tensor) -> Tensor:
        assert isinstance(layer, ResidualAttention)
        if self.decoupled:
            pair = (feature, embed)
            return decoupled_attention(layer, self.fc_before, self.fc_after, pair, pair)
        positioned = feature + embed
        return layer(feature, positioned, positioned, feature)

    def _attend_history(
        self, layer: nn.Module, feature: Tensor, embed: Tensor, history: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Attention to the remembered instances; in the first frame to the instances themselves, unprojected (Q16)."""
        assert isinstance(layer, ResidualAttention)
        if not self.decoupled:
            key, key_embed = (feature, embed) if history is None else history
            return layer(feature, feature + embed, key + key_embed, key)
        if history is None:
            doubled = torch.cat((feature, embed), dim=-1)
            return self.fc_after(layer(doubled, doubled, doubled, doubled))
        return decoupled_attention(layer, self.fc_before, self.fc_after, (feature, embed), history)


def operation_order(first_block: Sequence[str], num_decoders: int) -> list[str]:
    """Operations of a head: its own first block, then the temporal ones."""
    return [*first_block, *(TEMPORAL_BLOCK * (num_decoders - 1))]
