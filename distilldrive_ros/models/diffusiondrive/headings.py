"""Headings of way-points by the tangent of a Bezier curve (spec 4.5), and what is published of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from distilldrive_ros.models.device_constants import device_constant

STANDSTILL_M = 0.1
"""A way-point whose curve moves less than this per step has no heading of its own."""


def bezier_tangents(points: Tensor) -> Tensor:
    """Derivative [..., P, 2], metres per step, at t = k / P of the Bezier curve of the control points 0, p1..pP."""
    degree = points.shape[-2]
    before = torch.cat([torch.zeros_like(points[..., :1, :]), points[..., :-1, :]], dim=-2)
    return device_constant(_bernstein(degree), points.dtype, points.device) @ (points - before)


def bezier_yaw(points: Tensor) -> Tensor:
    """Direction of travel [..., P] rad of way-points [..., P, 2]; noise near standstill. What the selector expects."""
    tangent = bezier_tangents(points)
    return torch.atan2(tangent[..., 1], tangent[..., 0])


def vehicle_yaw(points: Tensor) -> Tensor:
    """Heading of the vehicle [..., P] rad along way-points [..., P, 2] that start at heading 0.

    As `bezier_yaw`, but steps shorter than `STANDSTILL_M` keep the heading before them, and where the direction of
    travel turns over (by more than a right angle in one step) the vehicle reverses: it moves tail first.
    """
    tangent = bezier_tangents(points)
    direction = torch.atan2(tangent[..., 1], tangent[..., 0])
    moving = tangent.norm(dim=-1) >= STANDSTILL_M
    heading = torch.zeros_like(direction[..., 0])
    out = []
    for step in range(points.shape[-2]):
        turn = torch.remainder(direction[..., step] - heading + math.pi, 2 * math.pi) - math.pi
        forward = torch.where(turn.abs() > math.pi / 2, turn - math.pi * turn.sign(), turn)
        heading = torch.where(moving[..., step], heading + forward, heading)
        out.append(heading)
    yaw = torch.stack(out, dim=-1)
    return torch.remainder(yaw + math.pi, 2 * math.pi) - math.pi


def _bernstein(degree: int) -> tuple[tuple[float, ...], ...]:
    """Weights [degree, degree] of the control differences at t = 1 / degree, ..., 1."""
    rows = []
    for k in range(1, degree + 1):
        t = k / degree
        rows.append(tuple(math.comb(degree - 1, i) * t**i * (1 - t) ** (degree - 1 - i) for i in range(degree)))
    return tuple(rows)
