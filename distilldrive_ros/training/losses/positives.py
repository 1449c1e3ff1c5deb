"""Number of positives that a loss is divided by, the same for all processes."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def shared_count(count: Tensor) -> Tensor:
    """Positives averaged over all processes, at least 1 (mean-pos of the spec, section 10)."""
    count = count.detach().float()
    if dist.is_available() and dist.is_initialized():
        count = count.clone()
        dist.all_reduce(count)
        count = count / dist.get_world_size()
    return count.clamp(min=1.0)
