"""Focal losses and the matching cost that goes with them (spec section 10)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ALPHA, GAMMA = 0.25, 2.0
_GAUSSIAN_ALPHA, _GAUSSIAN_GAMMA = 2.0, 4.0
_EPSILON = 1e-12
_LARGEST_LOGIT = 20.0


def sigmoid_focal(logits: Tensor, labels: Tensor) -> Tensor:
    """Focal loss of every entry, [N, C]; labels [N] int64, C or more for background (no class at all)."""
    num_classes = logits.shape[-1]
    one_hot = F.one_hot(labels.clamp(max=num_classes), num_classes + 1)[..., :num_classes].to(logits.dtype)
    probability = logits.sigmoid()
    miss = (1 - probability) * one_hot + probability * (1 - one_hot)
    weight = (ALPHA * one_hot + (1 - ALPHA) * (1 - one_hot)) * miss.pow(GAMMA)
    return F.binary_cross_entropy_with_logits(logits, one_hot, reduction="none") * weight


def focal_posterior(logits: Tensor) -> Tensor:
    """Log of the probability of one of M classes of which exactly one is true, logits and result [..., M].

    A focal loss is not at its lowest where sigmoids are probabilities: it is content with far less confidence. This
    undoes it: the odds at which the derivative of the expected loss is zero (ours; no published training asks for it).
    """
    x = logits.float().clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
    hit, miss = x.sigmoid(), (-x).sigmoid()
    for_true = miss.pow(GAMMA) / hit - GAMMA * miss.pow(GAMMA - 1) * F.logsigmoid(x)
    for_false = hit.pow(GAMMA) / miss - GAMMA * hit.pow(GAMMA - 1) * F.logsigmoid(-x)
    log_odds = math.log((1 - ALPHA) / ALPHA) + for_false.log() - for_true.log()
    return F.logsigmoid(log_odds).log_softmax(dim=-1)


def focal_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Cost [N, G] of giving instance n (logits [N, C]) the class of target g (labels [G])."""
    probability = logits.sigmoid()
    negative = -(1 - probability + _EPSILON).log() * (1 - ALPHA) * probability.pow(GAMMA)
    positive = -(probability + _EPSILON).log() * ALPHA * (1 - probability).pow(GAMMA)
    return positive[:, labels] - negative[:, labels]


def gaussian_focal(probability: Tensor, target: Tensor) -> Tensor:
    """Focal loss of every entry for targets in [0, 1], of which only those equal to 1 are positive."""
    positive = target.eq(1).to(probability.dtype)
    hit = -(probability + _EPSILON).log() * (1 - probability).pow(_GAUSSIAN_ALPHA) * positive
    negative_weight = (1 - target).pow(_GAUSSIAN_GAMMA)
    miss = -(1 - probability + _EPSILON).log() * probability.pow(_GAUSSIAN_ALPHA) * negative_weight
    return hit + miss


def mean_over(values: Tensor, count: Tensor) -> Tensor:
    """Sum of the values over a count of positives (mean-pos of the spec)."""
    return values.sum() / count.to(values.dtype)


def nothing(like: Tensor) -> Tensor:
    """Zero with a gradient of zero: a term without targets still belongs to the graph of every process."""
    return torch.nan_to_num(like).sum() * 0.0
