"""The generative module in training: the latent of the true future, and its distance from the present's (spec 8)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.outputs import GaussianLatent
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.batch import AgentTargets, EgoTargets
from distilldrive_ros.training.losses.matching import Matching
from distilldrive_ros.training.losses.weights import LossWeights

LATENT_CLASSES = tuple(CLASS_NAMES.index(name) for name in ("car", "truck", "bus", "trailer", "pedestrian"))
"""Classes of the agents that the generative module learns from."""


class LatentAlignment(str, Enum):
    """Which token samples from which agent's future while the generative module is trained.

    ANNOTATION: token i from the i-th annotated agent, whatever it detected, as published (quirk Q6). MATCHED: the
    token that was matched with the agent; all others sample from their own present.
    """

    ANNOTATION = "annotation"
    MATCHED = "matched"


def latent_agents(agents: AgentTargets) -> Tensor:
    """Indices [n] of the annotated agents of the listed classes, in order."""
    return torch.isin(agents.labels, agents.labels.new_tensor(LATENT_CLASSES)).nonzero().flatten()


def future_tokens(agents: Sequence[AgentTargets], ego: EgoTargets, num_agents: int, num_ego: int) -> Tensor:
    """Flattened steps of the future per token [B, num_agents + num_ego, 2 steps]: listed agents first, zeros, ego."""
    steps = ego.offsets.shape[1]
    tokens = ego.offsets.new_zeros(len(agents), num_agents + num_ego, 2 * steps)
    tokens[:, num_agents:] = ego.offsets.flatten(1)[:, None]
    for row, truth in enumerate(agents):
        futures = truth.offsets[latent_agents(truth), :steps].flatten(1)[:num_agents]
        tokens[row, : len(futures)] = futures
    return tokens


def future_latent(
    future_distribution: nn.Module, agents: Sequence[AgentTargets], ego: EgoTargets, num_agents: int, num_ego: int
) -> GaussianLatent:
    """Latent of the true future in annotation order, [B, num_agents + num_ego, latent]."""
    latent: GaussianLatent = future_distribution(future_tokens(agents, ego, num_agents, num_ego))
    return latent


def aligned_latent(
    future: GaussianLatent,
    present: GaussianLatent,
    agents: Sequence[AgentTargets],
    matchings: Sequence[Matching],
    num_agents: int,
) -> GaussianLatent:
    """The future's latent where a token was matched with its agent and for the ego, else that of the present."""
    source = torch.full(present.mean.shape[:2], -1, device=present.mean.device)
    source[:, num_agents:] = torch.arange(num_agents, source.shape[1], device=source.device)
    for row, (truth, pairs) in enumerate(zip(agents, matchings, strict=True)):
        token, slot = matched_slots(truth, pairs, num_agents)
        source[row, token] = slot
    known = (source >= 0)[..., None]
    rows = torch.arange(len(source), device=source.device)[:, None]
    index = source.clamp(min=0)
    return GaussianLatent(
        torch.where(known, future.mean[rows, index], present.mean),
        torch.where(known, future.log_sigma[rows, index], present.log_sigma),
    )


def matched_slots(agents: AgentTargets, pairs: Matching, num_agents: int) -> tuple[Tensor, Tensor]:
    """Pairs of a detected token and the slot of its agent among the listed ones, [n] each."""
    slot_of_agent = torch.full_like(agents.labels, -1)
    listed = latent_agents(agents)[:num_agents]
    slot_of_agent[listed] = torch.arange(len(listed), device=listed.device)
    slot = slot_of_agent[pairs.targets]
    return pairs.rows[slot >= 0], slot[slot >= 0]


def divergence(future: GaussianLatent, present: GaussianLatent) -> Tensor:
    """Kullback-Leibler divergence of the future from the present, summed over the latent dimensions, [...]."""
    variance = (2 * future.log_sigma).exp() + (future.mean - present.mean).square()
    terms = present.log_sigma - future.log_sigma - 0.5 + variance / (2 * (2 * present.log_sigma).exp())
    return terms.sum(dim=-1)


def latent_loss(
    future: GaussianLatent,
    present: GaussianLatent,
    agents: Sequence[AgentTargets],
    matchings: Sequence[Matching],
    num_agents: int,
    weights: LossWeights,
) -> Tensor:
    """Mean divergence over the matched agents of the listed classes and all ego tokens."""
    terms = []
    for row, (truth, pairs) in enumerate(zip(agents, matchings, strict=True)):
        token, slot = matched_slots(truth, pairs, num_agents)
        ego = torch.arange(num_agents, future.mean.shape[1], device=token.device)
        chosen_future = _rows(future, row, torch.cat((slot, ego)))
        terms.append(divergence(chosen_future, _rows(present, row, torch.cat((token, ego)))))
    return weights.latent * torch.cat(terms).mean()


def _rows(latent: GaussianLatent, stream: int, rows: Tensor) -> GaussianLatent:
    return GaussianLatent(latent.mean[stream, rows].float(), latent.log_sigma[stream, rows].float())
