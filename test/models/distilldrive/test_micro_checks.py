"""Small numbers of the specification (18.5), one per geometric building block."""

from __future__ import annotations

import math

import pytest
import torch

from distilldrive_ros.models.distilldrive.ego_motion import project_boxes, project_polylines
from distilldrive_ros.models.distilldrive.key_points import BoxKeyPoints, PolylineKeyPoints
from distilldrive_ros.models.distilldrive.position_code import sine_position_code

BOX = [10, 5, -1, 1.5, 0.6, 0.4, 0.6, 0.8, 3, 1, 0.2]


def test_position_code_256() -> None:
    code = sine_position_code(torch.tensor([1.5, -2.0]), 256)
    assert code[:4].tolist() == pytest.approx([-3.5e-07, 1.0, 0.993561, -0.113301], abs=1e-5)
    assert code[128:132].tolist() == pytest.approx([-2.4e-08, -1.0, 0.953081, -0.302715], abs=1e-5)
    assert float(code.sum()) == pytest.approx(86.8303, abs=1e-3)


def test_position_code_128() -> None:
    code = sine_position_code(torch.tensor([1.5, -2.0]), 128)
    assert code[2:4].tolist() == pytest.approx([-0.0013294, -0.999999], abs=1e-5)
    assert code[66:68].tolist() == pytest.approx([0.706401, 0.707812], abs=1e-5)


def test_fixed_key_points_of_a_box() -> None:
    points = BoxKeyPoints(16, 6)(torch.tensor([[BOX]]), torch.zeros(1, 1, 16))[0, 0]
    expected = [
        (10, 5, -1),
        (11.61341, 6.21006, -1),
        (8.38659, 3.78994, -1),
        (9.50803, 5.65596, -1),
        (10.49197, 4.34404, -1),
        (10, 5, -0.32868),
        (10, 5, -1.67132),
    ]
    assert points.shape == (13, 3)
    assert points[:7].flatten().tolist() == pytest.approx([v for point in expected for v in point], abs=1e-4)


def test_learnable_key_points_stay_inside_the_box() -> None:
    torch.manual_seed(0)
    boxes = torch.zeros(1, 200, 11)
    boxes[..., 3:6] = torch.randn(1, 200, 3)
    angle = torch.rand(1, 200) * 2 * math.pi
    boxes[..., 6], boxes[..., 7] = angle.sin(), angle.cos()
    generator = BoxKeyPoints(16, 6)
    torch.nn.init.normal_(generator.learnable_fc.weight, std=10.0)
    points = generator(boxes, torch.randn(1, 200, 16))[..., 7:, :]
    x = points[..., 0] * angle.cos()[..., None] + points[..., 1] * angle.sin()[..., None]
    assert (x.abs() <= boxes[..., 3:4].exp() / 2 + 1e-4).all()
    assert (points[..., 2].abs() <= boxes[..., 5:6].exp() / 2 + 1e-4).all()


def test_polyline_key_points_order() -> None:
    """(sample, height, learnable): all 15 points of the first sample come first, three per height."""
    generator = PolylineKeyPoints(8, 20, 3, (0.0, 0.5, -0.5, 1.0, -1.0), -1.84023)
    torch.nn.init.zeros_(generator.learnable_fc.weight)
    torch.nn.init.zeros_(generator.learnable_fc.bias)
    polyline = torch.arange(40, dtype=torch.float32).view(1, 1, 40)
    points = generator(polyline, torch.zeros(1, 1, 8))[0, 0]
    assert points.shape == (300, 3)
    assert points[:15, :2].tolist() == [[0.0, 1.0]] * 15
    assert points[15, :2].tolist() == [2.0, 3.0]
    expected = [-1.84023, -1.34023, -2.34023, -0.84023, -2.84023]
    assert points[:15:3, 2].tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(points[0:15:3, 2], points[2:15:3, 2])


@pytest.fixture
def transform() -> torch.Tensor:
    """Yaw 0.1, translation (1, -2, 0.5)."""
    matrix = torch.eye(4)
    matrix[0, 0] = matrix[1, 1] = math.cos(0.1)
    matrix[1, 0] = math.sin(0.1)
    matrix[0, 1] = -math.sin(0.1)
    matrix[:3, 3] = torch.tensor([1, -2, 0.5])
    return matrix[None]


def test_box_projection_with_motion(transform: torch.Tensor) -> None:
    moved = project_boxes(torch.tensor([[BOX]]), transform, torch.tensor([0.5]))
    expected = [11.89346, 4.62061, -0.4, 1.5, 0.6, 0.4, 0.676869, 0.736103, 2.885179, 1.294504, 0.2]
    assert moved[0, 0].tolist() == pytest.approx(expected, abs=1e-4)


def test_box_projection_without_motion(transform: torch.Tensor) -> None:
    moved = project_boxes(torch.tensor([[BOX]]), transform)
    assert moved[0, 0, :3].tolist() == pytest.approx([10.45087, 3.97336, -0.5], abs=1e-4)


def test_polyline_projection(transform: torch.Tensor) -> None:
    moved = project_polylines(torch.tensor([[[10.0, 5.0, 0.0, 0.0]]]), transform)
    assert moved[0, 0].tolist() == pytest.approx([10.45087, 3.97336, 1.0, -2.0], abs=1e-4)
