"""Which instance answers for which annotation: optimal assignment (spec sections 5.2 and 10)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_FORBIDDEN = 1e8


@dataclass(frozen=True)
class Matching:
    """Pairs of one stream: instance `rows` [n] and the `targets` [n] they answer for, both int64, rows ascending."""

    rows: Tensor
    targets: Tensor


def assign(cost: Tensor) -> Matching:
    """Cheapest one-to-one assignment of instances to targets, cost [N, G].

    A cost that is NaN or minus infinity counts as forbidding: a pair with it is the last to be chosen.
    """
    unusable = cost.isnan() | cost.isneginf()
    finite = torch.where(unusable, cost.new_tensor(_FORBIDDEN), cost).clamp(max=_FORBIDDEN)
    rows, targets = linear_sum_assignment(finite.detach().cpu().numpy())
    return Matching(torch.from_numpy(rows).to(cost.device), torch.from_numpy(targets).to(cost.device))


def identity(count: int, device: torch.device) -> Matching:
    """Instance i answers for target i."""
    index = torch.arange(count, device=device)
    return Matching(index, index)
