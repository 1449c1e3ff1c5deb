"""Weights for a teacher without a checkpoint (spec 10, last item)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive import anchors
from distilldrive_ros.models.distilldrive.motion_head import MotionRefinement
from distilldrive_ros.models.random_weights import fill_module
from distilldrive_ros.models.teacher.config import TeacherConfig
from distilldrive_ros.models.teacher.network import TeacherNetwork

_POSITIVE_PRIOR = 0.01


def untrained_teacher(config: TeacherConfig, generator: torch.Generator) -> TeacherNetwork:
    """Network in evaluation mode, all weights drawn from `generator`, anchors from plain geometry."""
    network = TeacherNetwork(config)
    prior = -math.log((1 - _POSITIVE_PRIOR) / _POSITIVE_PRIOR)
    with torch.no_grad():
        for module in network.modules():
            fill_module(module, generator)
            if isinstance(module, MotionRefinement):
                for branch in (module.motion_cls_branch, module.plan_cls_branch):
                    last = branch[-1]
                    assert isinstance(last, nn.Linear)
                    last.bias.fill_(prior)
    set_anchors(network, anchors.motion_anchors(config.motion), anchors.plan_anchors(config.motion))
    return network.eval()


@torch.no_grad()
def set_anchors(network: TeacherNetwork, motion: Tensor, plan: Tensor) -> None:
    """Modes the teacher starts from.

    motion [classes, modes, steps, 2]: positions in the agent's frame, x along its heading; plan [commands, modes,
    steps, 2]: positions of the ego in the LiDAR frame. The network keeps x and y of the agents' swapped, as published.
    """
    network.motion_anchor.copy_(motion.flip(-1))
    network.plan_anchor.copy_(plan)
    network.plan_anchor_delta.copy_(anchors.step_deltas(plan))
