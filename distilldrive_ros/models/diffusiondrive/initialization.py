"""Weights for a network without a checkpoint: deterministic in the generator, and well-behaved."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.backbone import FusionTransformer
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.random_weights import fill_module

_REFINEMENT_GAIN = 0.05
_LONGEST_M = 44.0
_SHORTEST_M = 1.0
_CURVES = (-0.9, -0.4, 0.4, 0.9)
_CURVE_SHARE = 0.15
_AGENT_PRIOR = 0.05


def untrained_network(config: DiffusionDriveConfig, generator: torch.Generator) -> DiffusionDriveNetwork:
    """Network in evaluation mode, all weights drawn from `generator`, anchors from plain geometry.

    The decoder moves the anchors by centimetres only, so that the candidates are a fan of drivable curves. It has
    learned nothing.
    """
    network = DiffusionDriveNetwork(config)
    initialize(network, generator)
    return network.eval()


@torch.no_grad()
def initialize(network: DiffusionDriveNetwork, generator: torch.Generator) -> None:
    """Fill all parameters in place."""
    for module in network.modules():
        fill_module(module, generator)
    backbone = network.get_submodule("_backbone")
    for name in ("image_encoder", "lidar_encoder"):
        backbone.get_submodule(name).initialize(generator)  # type: ignore[operator]
    for module in network.modules():
        if isinstance(module, FusionTransformer):
            nn.init.zeros_(module.pos_emb)
    label = network.get_submodule("_agent_head._mlp_label.0")
    nn.init.constant_(label.bias, -math.log((1 - _AGENT_PRIOR) / _AGENT_PRIOR))  # type: ignore[arg-type]
    head = network.trajectory_head
    for name, parameter in head.named_parameters():
        if name.endswith("plan_reg_branch.4.weight"):
            parameter.mul_(_REFINEMENT_GAIN)
    head.plan_anchor.copy_(anchor_fan(network.config))


def anchor_fan(config: DiffusionDriveConfig) -> Tensor:
    """Anchors [num_anchors, num_points, 2] in metres: constant speeds, straight on and along arcs to both sides.

    The official anchors are cluster centres of a data set; they come with the checkpoint.
    """
    distances = int(_CURVE_SHARE * config.num_anchors)
    straight = config.num_anchors - distances * len(_CURVES)
    lengths = torch.linspace(_SHORTEST_M, _LONGEST_M, straight)
    paths = [(float(length), 0.0) for length in lengths]
    for index in range(distances):
        length = _LONGEST_M * (index + 1) / (distances + 1)
        paths += [(length, turn) for turn in _CURVES]
    share = torch.arange(1, config.num_points + 1) / config.num_points
    return torch.stack([_arc(length, turn, share) for length, turn in paths])


def _arc(length: float, turn: float, share: Tensor) -> Tensor:
    """Points [P, 2] at these shares of an arc that ends `turn` radians to the left."""
    if turn == 0.0:
        return torch.stack([length * share, torch.zeros_like(share)], dim=-1)
    radius = length / turn
    return radius * torch.stack([(turn * share).sin(), 1 - (turn * share).cos()], dim=-1)
