"""Weights of the loss terms (spec sections 8.3 and 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class Factors:
    """Base of loss weights: numbers only.

    Raises ConfigurationError from the constructor unless all are finite and not negative.
    """

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(f"loss weight {item.name} is {value!r}; it must be a number of 0 or more")


@dataclass(frozen=True)
class LossWeights(Factors):
    """Factor of every term; the defaults are the student's. A factor of 0 keeps the term in the logs, as 0."""

    det_cls: float = 2.0
    det_box: float = 0.25
    det_centerness: float = 1.0
    det_yawness: float = 1.0
    map_cls: float = 1.0
    map_line: float = 10.0
    depth: float = 0.2
    motion_cls: float = 0.2
    motion_reg: float = 0.2
    plan_cls: float = 0.5
    plan_reg: float = 1.0
    plan_status: float = 1.0
    plan_value: float = 1.0
    latent: float = 1.0
    distill_features: float = 0.5
    distill_cls: float = 0.0
    distill_reg: float = 0.0
    distill_queries: float = 0.0


@dataclass(frozen=True)
class PlanDistillationWeights(Factors):
    """What the teacher counts for the camera+LiDAR model, ours: no published number is known for it.

    In units of that model's factor for its plans (12, its spec 4.7): 1 for the scores (the focal loss of the drive
    has 10, but is a mean over twenty mostly easy modes), 2 for the plans (the drive's has 8), and for the features the
    0.5 of the camera student (spec 8.3).
    """

    scores: float = 12.0
    plans: float = 24.0
    features: float = 6.0


def teacher_weights() -> LossWeights:
    """The teacher's: plan and status count twice."""
    return LossWeights(plan_reg=2.0, plan_status=2.0)
