"""Ways of computing the same result, which differ in speed only."""

from __future__ import annotations

from enum import Enum


class Execution(Enum):
    """How the network spends its time. All three agree to rounding.

    PLAIN: every operation as the published description has it, dead branches included; the yardstick of the bench.
    DENSE: value maps once per frame, attention to a single key as one linear layer, dead branches skipped; all shapes
    are fixed, which GPUs and exporters like. SPARSE: as DENSE, but value maps only at the cells that the way-points
    touch, which saves most of the selector's work on a CPU.
    """

    PLAIN = "plain"
    DENSE = "dense"
    SPARSE = "sparse"
