"""Optimiser, its groups of parameters, and the learning rate over time (spec 1)."""

from __future__ import annotations

import math
from typing import Any

import torch

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.stages.stage import BACKBONE_PREFIX, TrainedPart
from distilldrive_ros.training.trainer.config import OptimizerConfig

# SOAP as in all stages that use it.
_SOAP: dict[str, Any] = {
    "betas": (0.9, 0.9), "eps": 1e-6, "precondition_frequency": 10, "max_precondition_dim": 10_000,
    "merge_dims": False, "precondition_1d": False, "correct_bias": True,
}  # fmt: skip


def build_optimizer(stage: TrainedPart, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Optimiser over what the stage trains, the image backbone in a group of its own.

    Each group has `factor`, its share of the learning rate.

    Raises:
        ConfigurationError: SOAP is wanted and its library is not installed.
    """
    named = stage.trained_parameters()
    backbone = [p for name, p in named.items() if BACKBONE_PREFIX in name]
    others = [p for name, p in named.items() if BACKBONE_PREFIX not in name]
    groups: list[dict[str, Any]] = [{"params": others, "factor": 1.0}]
    if backbone:
        groups.append({"params": backbone, "factor": config.backbone_factor})
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
    try:
        from pytorch_optimizer import SOAP  # an extra: imported where it is needed
    except ImportError as error:
        raise ConfigurationError(
            "optimizer soap needs pytorch-optimizer, which is not installed; install the extra `train` "
            "(requirements-train.txt), or use adamw"
        ) from error
    return SOAP(groups, lr=config.lr, weight_decay=config.weight_decay, **_SOAP)


def learning_rate(config: OptimizerConfig, iteration: int, iterations: int) -> float:
    """Rate of iteration 0 to `iterations` - 1: half a cosine from `lr`, times the linear warm-up."""
    low = config.final_factor * config.lr
    rate = low + 0.5 * (config.lr - low) * (1 + math.cos(math.pi * iteration / iterations))
    if iteration < config.warmup_iterations:
        rate *= 1 - (1 - iteration / config.warmup_iterations) * (1 - config.warmup_start)
    return rate


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
