"""Map losses: any order of the points that draws the same line is right."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import MapConfig
from distilldrive_ros.models.distilldrive.outputs import PerceptionOutputs
from distilldrive_ros.training.batch import MapTargets
from distilldrive_ros.training.losses.polylines import map_losses, match_lines, normalized
from distilldrive_ros.training.losses.weights import LossWeights

from .conftest import make_map

CONFIG = MapConfig()
ONES = LossWeights(map_cls=1.0, map_line=1.0)


def outputs_of(logits: Tensor, lines: Tensor) -> PerceptionOutputs:
    feature = torch.zeros(1, len(lines), 1)
    return PerceptionOutputs((logits[None],), (lines.flatten(1)[None],), (None,), feature, feature)


def all_orderings(ring: Tensor) -> Tensor:
    """Every way to draw a closed line of 20 points (first = last): 19 starts, both directions."""
    open_ring = ring[:-1]
    shifted = [open_ring.roll(-shift, 0) for shift in range(len(open_ring))]
    both = [*shifted, *(points.flip(0) for points in shifted)]
    return torch.stack([torch.cat((points, points[:1])) for points in both])


def test_normalised_region() -> None:
    corners = normalized(torch.tensor([[-15.0, -30.0], [15.0, 30.0], [0.0, 0.0]]), CONFIG)
    expected = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    assert torch.allclose(corners, expected, atol=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_open_lines_may_be_drawn_backwards(seed: int, backwards: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    targets = make_map(3, generator)
    lines = targets.orderings[:, 1 if backwards else 0]
    order = torch.randperm(6, generator=generator)
    candidates = torch.cat((lines, lines + 8.0))[order]
    matching = match_lines(torch.zeros(6, 3), candidates.flatten(1), targets, CONFIG)
    assert torch.equal(order[matching.pairs.rows], matching.pairs.targets)
    assert matching.ordering.tolist() == [int(backwards)] * 3
    losses = map_losses(outputs_of(torch.zeros(6, 3), candidates), [targets], CONFIG, ONES)
    assert float(losses["map_loss_line_0"]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("drawn", [0, 7, 18, 19, 30])
def test_closed_lines_may_start_anywhere(drawn: int) -> None:
    angle = torch.arange(20) * (2 * math.pi / 19)
    ring = torch.stack((5 * angle.cos(), 3 * angle.sin()), dim=-1)
    ring[-1] = ring[0]
    orderings = all_orderings(ring)
    targets = MapTargets(orderings[None], torch.tensor([0]))
    matching = match_lines(torch.zeros(1, 3), orderings[drawn].flatten()[None], targets, CONFIG)
    assert matching.ordering.tolist() == [drawn]


def test_line_loss_formula() -> None:
    """Smooth L1 with a knee at one hundredth of the region, summed over both axes, averaged over points and lines."""
    targets = make_map(2, torch.Generator().manual_seed(1))
    off = torch.tensor([0.15, 1.8])
    losses = map_losses(outputs_of(torch.zeros(2, 3), targets.orderings[:, 0] + off), [targets], CONFIG, ONES)
    x, y = 0.15 / 30, 1.8 / 60
    expected = 0.5 * x * x / 0.01 + (y - 0.005)
    assert float(losses["map_loss_line_0"]) == pytest.approx(expected, rel=1e-3)
    ten = map_losses(outputs_of(torch.zeros(2, 3), targets.orderings[:, 0] + off), [targets], CONFIG, LossWeights())
    assert float(ten["map_loss_line_0"]) == pytest.approx(10 * expected, rel=1e-3)


def test_class_loss_formula() -> None:
    targets = make_map(1, torch.Generator().manual_seed(2))
    logits = torch.zeros(2, 3)
    losses = map_losses(
        outputs_of(logits, torch.cat((targets.orderings[:, 0], torch.zeros(1, 20, 2)))), [targets], CONFIG, ONES
    )
    expected = 0.25 * math.log(2) * (0.25 + 5 * 0.75)
    assert float(losses["map_loss_cls_0"]) == pytest.approx(expected, rel=1e-5)


def test_no_lines_teach_background_and_no_stream_disturbs_another() -> None:
    generator = torch.Generator().manual_seed(3)
    empty, some = make_map(0, generator), make_map(2, generator)
    lines = torch.randn(2, 4, 40, generator=generator, requires_grad=True)
    logits = torch.zeros(2, 4, 3)
    feature = torch.zeros(2, 4, 1)
    outputs = PerceptionOutputs((logits,), (lines,), (None,), feature, feature)
    losses = map_losses(outputs, [empty, some], CONFIG, ONES)
    losses["map_loss_line_0"].backward()
    assert lines.grad is not None
    assert not lines.grad[0].any() and lines.grad[1].any()
    nobody = map_losses(outputs, [empty, empty], CONFIG, ONES)
    assert float(nobody["map_loss_line_0"]) == 0.0
