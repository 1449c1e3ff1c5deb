"""Weights for a network without a checkpoint: deterministic in the generator, and well-behaved (spec 10, last item)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.aggregation import DeformableAggregation
from distilldrive_ros.models.distilldrive.anchors import AnchorSet, procedural_anchors, step_deltas
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig
from distilldrive_ros.models.distilldrive.motion_head import MotionPlanHead, MotionRefinement
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.refinement import BoxRefinement, PolylineRefinement
from distilldrive_ros.models.random_weights import fill_module

_POSITIVE_PRIOR = 0.01
_CLASSIFICATION_GAIN = 0.1
_REFINEMENT_GAIN = 0.01
_PLAN_CODE_GAIN = 16.0
_RIDGE = 1e-4


def untrained_network(
    config: DistillDriveConfig,
    generator: torch.Generator,
    anchor_set: AnchorSet | None = None,
    to_be_trained: bool = False,
) -> StudentNetwork:
    """Network in evaluation mode, all weights drawn from `generator`; without anchors, those of plain geometry.

    Class scores start near 1 %, anchors move little, and the plan branch is fitted to the plan anchors, so that the
    eighteen modes are a fan of drivable curves. It has learned nothing. Unless it is `to_be_trained`, what it sees
    hardly moves the plans; training could not undo that.
    """
    network = StudentNetwork(config)
    initialize(network, generator, anchor_set or procedural_anchors(config), to_be_trained)
    return network.eval()


@torch.no_grad()
def initialize(
    network: StudentNetwork, generator: torch.Generator, anchor_set: AnchorSet, to_be_trained: bool = False
) -> None:
    """Fill all parameters in place; see `untrained_network`."""
    for module in network.modules():
        fill_module(module, generator)
    network.img_backbone.initialize(generator)
    for module in network.modules():
        _initialize_special(module)
    _set_anchors(network, generator, anchor_set)
    head = network.head.motion_plan_head
    if not to_be_trained:
        # The input-independent part of the plan queries outweighs the (arbitrary) image-dependent part.
        _last_linear(head.plan_anchor_encoder).weight.mul_(_PLAN_CODE_GAIN)
    _fit_plan_branch(head)


def _initialize_special(module: nn.Module) -> None:
    prior = -math.log((1 - _POSITIVE_PRIOR) / _POSITIVE_PRIOR)
    if isinstance(module, DeformableAggregation):
        nn.init.zeros_(module.weights_fc.weight)
    elif isinstance(module, BoxRefinement | PolylineRefinement):
        _last_linear(module.cls_layers).bias.fill_(prior)
        _last_linear(module.cls_layers).weight.mul_(_CLASSIFICATION_GAIN)
        _last_linear(module.layers).weight.mul_(_REFINEMENT_GAIN)
    elif isinstance(module, MotionRefinement):
        _last_linear(module.motion_cls_branch).bias.fill_(prior)
        _last_linear(module.plan_cls_branch).bias.fill_(prior)


def _last_linear(layers: nn.Sequential) -> nn.Linear:
    return [layer for layer in layers if isinstance(layer, nn.Linear)][-1]


def _set_anchors(network: StudentNetwork, generator: torch.Generator, anchor_set: AnchorSet) -> None:
    heads = network.head
    heads.det_head.instance_bank.anchor.copy_(anchor_set.detection)
    heads.map_head.instance_bank.anchor.copy_(anchor_set.map)
    nn.init.xavier_uniform_(heads.map_head.instance_bank.instance_feature, generator=generator)
    motion = heads.motion_plan_head
    motion.motion_anchor.copy_(anchor_set.motion)
    motion.plan_anchor.copy_(anchor_set.plan)
    motion.plan_anchor_delta.copy_(step_deltas(motion.plan_anchor))


def _fit_plan_branch(head: MotionPlanHead) -> None:
    """Ridge regression of the last plan layer, from the input-independent part of the plan queries to the anchors."""
    refinement = head.layers[-1]
    assert isinstance(refinement, MotionRefinement)
    branch = refinement.plan_reg_branch
    hidden = branch[:-1](head.plan_mode_code()).double()
    targets = head.plan_anchor_delta.flatten(2).flatten(0, 1).double()
    mean = targets.mean(dim=0)
    gram = hidden @ hidden.T
    ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight: Tensor = torch.linalg.solve(gram + ridge, targets - mean).T @ hidden
    last = _last_linear(branch)
    last.weight.copy_(weight)
    last.bias.copy_(mean)
