"""Deformable aggregation against loops, and its rules at image borders."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation
from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference

Array = NDArray[np.float64]
Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]

# Both implementations answer the same tests; the second is the kernel where this machine could compile one.
IMPLEMENTATIONS = [deformable_aggregation_reference, deformable_aggregation]


def brute_force(features: Array, shapes: Array, starts: Array, locations: Array, weights: Array) -> Array:
    """The definition as loops over every number."""
    batch, anchors, points, cameras, _ = locations.shape
    levels, groups = weights.shape[4:]
    channels = features.shape[2]
    out = np.zeros((batch, anchors, channels))
    for b, a, p, c, lv in np.ndindex(batch, anchors, points, cameras, levels):
        x, y = locations[b, a, p, c]
        if not (0 < x < 1 and 0 < y < 1):
            continue
        height, width = shapes[c, lv]
        u, v = x * width - 0.5, y * height - 0.5
        column, row = math.floor(u), math.floor(v)
        for i, j in ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)):
            if 0 <= i < height and 0 <= j < width:
                share = (1 - abs(v - i)) * (1 - abs(u - j))
                token = features[b, starts[c, lv] + i * width + j]
                for k in range(channels):
                    out[b, a, k] += share * token[k] * weights[b, a, p, c, lv, k * groups // channels]
    return out


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Random sizes and numbers; locations inside, outside and exactly on borders."""
    batch, anchors, points = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)))
    cameras, levels, groups = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2, 4])))
    sizes = st.tuples(st.integers(1, 5), st.integers(1, 6))
    per_level = draw(st.lists(sizes, min_size=levels, max_size=levels))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = np.broadcast_to(np.array(per_level), (cameras, levels, 2))
    areas = shapes.prod(axis=-1).ravel()
    starts = (np.cumsum(areas) - areas).reshape(cameras, levels)
    features = random.normal(size=(batch, int(areas.sum()), 4 * groups))
    locations = random.uniform(-0.3, 1.3, size=(batch, anchors, points, cameras, 2))
    borders = random.choice([0.0, 1.0, 0.5, -50.0], size=locations.shape)
    locations = np.where(random.random(locations.shape) < 0.2, borders, locations)
    weights = random.normal(size=(batch, anchors, points, cameras, levels, groups))
    arrays = (features, np.array(shapes), starts, locations, weights)
    return tuple(torch.from_numpy(array) for array in arrays)  # type: ignore[return-value]


@settings(max_examples=60, deadline=None)
@given(problems())
def test_equals_loops(problem: Problem) -> None:
    expected = brute_force(*(tensor.numpy() for tensor in problem))
    for implementation in IMPLEMENTATIONS:
        assert np.allclose(implementation(*problem).numpy(), expected, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(problems(), st.floats(-3, 3))
def test_linear_in_features_and_weights(problem: Problem, factor: float) -> None:
    features, shapes, starts, locations, weights = problem
    base = deformable_aggregation(*problem)
    scaled = (factor * features, shapes, starts, locations, 2 * weights)
    assert torch.allclose(deformable_aggregation(*scaled), 2 * factor * base, atol=1e-9)


def one_image(x: float, y: float) -> float:
    """One camera, level, point and channel: the map 1 2 3 / 4 5 6 with weight 1."""
    features = torch.arange(1.0, 7.0).view(1, 6, 1)
    location = torch.tensor([x, y]).view(1, 1, 1, 1, 2)
    shapes, starts = torch.tensor([[[2, 3]]]), torch.tensor([[0]])
    return float(deformable_aggregation(features, shapes, starts, location, torch.ones(1, 1, 1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(0.5, 0.5, 3.5), (0.01, 0.5, 1.325), (0, 0.5, 0), (0.999, 0.999, 1.515036), (1, 0.5, 0), (0.2, 0.1, 0.77)],
)
def test_numbers_of_the_specification(x: float, y: float, expected: float) -> None:
    assert one_image(x, y) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1e30])
def test_locations_that_are_no_place_contribute_nothing(x: float) -> None:
    assert one_image(x, 0.5) == 0.0


def test_gradients_reach_features_locations_and_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes, starts = torch.tensor([[[3, 4], [2, 2]]]), torch.tensor([[0, 12]])
    features = torch.randn(1, 16, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    locations = torch.rand(1, 2, 3, 1, 2, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    weights = torch.randn(1, 2, 3, 1, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    locations.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, x, w: deformable_aggregation(f, shapes, starts, x, w), (features, locations, weights), atol=1e-6
    )


def test_shapes_that_do_not_fit_are_refused() -> None:
    features, locations = torch.zeros(1, 6, 2), torch.zeros(1, 1, 1, 2, 2)
    shapes, starts = torch.tensor([[[2, 3]]]), torch.tensor([[0]])
    with pytest.raises(ValueError, match="shapes do not fit"):
        deformable_aggregation(features, shapes, starts, locations, torch.zeros(1, 1, 1, 2, 1, 2))
    with pytest.raises(ValueError, match="ranks"):
        deformable_aggregation(features[0], shapes, starts, locations, torch.zeros(1, 1, 1, 2, 1, 2))
