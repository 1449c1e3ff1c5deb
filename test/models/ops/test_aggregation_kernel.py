"""The compiled op against the reference: values, gradients, dtypes, layouts, PyTorch's own checks of custom ops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation, load_kernels
from distilldrive_ros.models.ops.deformable_aggregation.operator import fixed_point_factor
from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(scope="module", autouse=True)
def kernel() -> None:
    report = load_kernels("cpu")
    if report.name != "cpu":
        pytest.skip(f"no compiled kernel here: {report.reason}")


def make_problem(
    generator: torch.Generator,
    sizes: tuple[int, int, int, int],
    per_group: int,
    maps: list[tuple[int, int]],
    dtype: torch.dtype = torch.float64,
) -> Problem:
    """`sizes`: batch, anchors, points, cameras; four groups. Some places lie outside, on borders or nowhere."""
    batch, anchors, points, cameras = sizes
    shapes = torch.tensor(maps).expand(cameras, -1, -1)
    areas = shapes.prod(dim=-1).flatten()
    starts = (areas.cumsum(0) - areas).view(cameras, -1)
    real = torch.float64 if dtype == torch.float64 else torch.float32
    features = torch.randn(batch, int(areas.sum()), 4 * per_group, generator=generator, dtype=torch.float64)
    locations = torch.rand(batch, anchors, points, cameras, 2, generator=generator, dtype=torch.float64) * 1.6 - 0.3
    special = torch.tensor([0.0, 1.0, math.nan, math.inf, -1e30, 0.5])
    chosen = torch.randint(0, 40, locations.shape, generator=generator)
    for index, value in enumerate(special):
        locations = torch.where(chosen == index, value, locations)
    weights = torch.randn(batch, anchors, points, cameras, len(maps), 4, generator=generator, dtype=torch.float64)
    return features.to(dtype), shapes, starts, locations.to(real), weights.to(dtype)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    sizes = draw(st.tuples(st.integers(1, 2), st.integers(0, 5), st.integers(0, 4), st.integers(1, 3)))
    maps = draw(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=4))
    per_group = draw(st.sampled_from([1, 3, 8, 16, 24, 32, 64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    return make_problem(generator, sizes, per_group, maps)


@settings(max_examples=80, deadline=None)
@given(problems())
def test_values_and_gradients_equal_those_of_the_reference(problem: Problem) -> None:
    features, shapes, starts, locations, weights = problem
    outer = torch.randn(features.shape[0], locations.shape[1], features.shape[2], dtype=torch.float64,
                        generator=torch.Generator().manual_seed(1))  # fmt: skip
    found = []
    for implementation in (deformable_aggregation, deformable_aggregation_reference):
        leaves = [tensor.clone().requires_grad_() for tensor in (features, locations, weights)]
        output = implementation(leaves[0], shapes, starts, leaves[1], leaves[2])
        gradients = torch.autograd.grad(output, leaves, outer, allow_unused=True, materialize_grads=True)
        found.append((output.detach(), *gradients))
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 2e-2), (torch.bfloat16, 2e-1)])
def test_narrow_numbers_are_summed_in_float32(dtype: torch.dtype, tolerance: float) -> None:
    problem = make_problem(torch.Generator().manual_seed(0), (2, 9, 8, 3), 32, [(6, 9), (3, 4)], dtype)
    features, shapes, starts, locations, weights = problem
    output = deformable_aggregation(*problem)
    # The same stored numbers, all arithmetic in float32: only the rounding of the result is left.
    exact = deformable_aggregation_reference(features.float(), shapes, starts, locations, weights.float())
    assert output.dtype == dtype
    assert (output.float() - exact).abs().max() <= tolerance
    assert torch.equal(output, deformable_aggregation(*problem))
    if dtype != torch.float32:
        assert torch.allclose(output.float(), exact.to(dtype).float(), rtol=1e-2, atol=1e-3)


def test_result_does_not_depend_on_the_number_of_threads() -> None:
    generator = torch.Generator().manual_seed(3)
    features, *rest = make_problem(generator, (1, 300, 13, 6), 32, [(8, 12), (4, 6)], torch.float32)
    features.requires_grad_()
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            output = deformable_aggregation(features, *rest)
            found.append((output.detach(), torch.autograd.grad(output.sum(), features)[0]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_any_memory_layout_will_do() -> None:
    problem = make_problem(torch.Generator().manual_seed(4), (2, 5, 6, 2), 8, [(5, 4)])
    features, shapes, starts, locations, weights = problem
    expected = deformable_aggregation(*problem)
    scattered = (
        features.transpose(1, 2).contiguous().transpose(1, 2),
        shapes.transpose(1, 2).contiguous().transpose(1, 2),
        starts.expand(-1, -1),
        locations.movedim(-1, 0).contiguous().movedim(0, -1),
        weights.permute(0, 5, 4, 3, 2, 1).contiguous().permute(0, 5, 4, 3, 2, 1),
    )
    assert torch.equal(deformable_aggregation(*scattered), expected)
    strided = weights.permute(0, 2, 1, 4, 3, 5).contiguous().permute(0, 2, 1, 4, 3, 5)
    assert torch.equal(deformable_aggregation(features, shapes, starts, locations, strided), expected)


def test_tokens_far_into_a_large_tensor() -> None:
    """One map of 70 000 tokens of 64 channels per camera."""
    generator = torch.Generator().manual_seed(5)
    problem = make_problem(generator, (1, 4, 3, 6), 16, [(100, 700)], torch.float32)
    assert torch.allclose(deformable_aggregation(*problem), deformable_aggregation_reference(*problem), atol=1e-4)


@pytest.mark.parametrize("shift", [1, -1, 2**40])
def test_a_table_that_leaves_the_tokens_is_refused(shift: int) -> None:
    features, shapes, starts, locations, weights = make_problem(
        torch.Generator().manual_seed(6), (1, 2, 2, 1), 8, [(3, 3)]
    )
    with pytest.raises(RuntimeError, match="do not lie within the 9 tokens"):
        deformable_aggregation(features, shapes, starts + shift, locations, weights)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("features", lambda t: t.long(), "features are torch.int64"),
        ("spatial_shapes", lambda t: t.int(), "spatial_shapes is torch.int32, expected int64"),
        ("locations", lambda t: t.long(), "locations is torch.int64, expected a floating-point type"),
        ("weights", lambda t: t.to("meta"), "weights is on meta, expected cpu"),
    ],
)
def test_wrong_arguments_are_named(name: str, change: object, message: str) -> None:
    problem = make_problem(torch.Generator().manual_seed(7), (1, 2, 2, 1), 8, [(3, 3)])
    names = ("features", "spatial_shapes", "level_start", "locations", "weights")
    arguments = dict(zip(names, problem, strict=True))
    assert callable(change)
    arguments[name] = change(arguments[name])
    with pytest.raises(ValueError, match=message):
        deformable_aggregation(*arguments.values())


def operator_problem() -> Problem:
    """Small, smooth (no place on a border), differentiable."""
    generator = torch.Generator().manual_seed(8)
    features, shapes, starts, _, weights = make_problem(generator, (1, 2, 3, 2), 2, [(3, 4), (2, 2)])
    locations = torch.rand(1, 2, 3, 2, 2, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    return features.requires_grad_(), shapes, starts, locations.requires_grad_(), weights.requires_grad_()


def test_gradcheck() -> None:
    features, shapes, starts, locations, weights = operator_problem()
    assert torch.autograd.gradcheck(
        lambda f, x, w: deformable_aggregation(f, shapes, starts, x, w), (features, locations, weights), atol=1e-6
    )


def test_custom_op_follows_pytorch_rules() -> None:
    """Schema, autograd registration, fake kernel, AOT dispatch."""
    torch.library.opcheck(torch.ops.distilldrive_ros.deformable_aggregation.default, operator_problem())
    problem = tuple(tensor.detach() for tensor in operator_problem())
    torch.library.opcheck(
        torch.ops.distilldrive_ros.deformable_aggregation_backward.default,
        (torch.ones(1, 2, 8, dtype=torch.float64), *problem, None),
    )


@pytest.mark.parametrize("magnitude", [0.0, 1e-20, 1.0, 1e20])
def test_sums_in_fixed_point_neither_overflow_nor_lose_digits(magnitude: float) -> None:
    """The factor of the deterministic CUDA gradient: the largest possible sum stays below 2^63, and near it."""
    grad = torch.full((2, 50, 8), magnitude)
    grad[0] *= -0.5
    weights = torch.full((2, 50, 13, 6, 4, 2), 0.25)
    factor = fixed_point_factor(grad, weights)
    bound = magnitude * 0.25 * 50 * 13
    assert factor.dtype == torch.float64 and float(factor) == 2.0 ** round(math.log2(float(factor)))
    assert float(factor) * bound <= 2.0**62
    assert magnitude == 0 or float(factor) * bound > 2.0**60


class _Sampler(torch.nn.Module):
    def forward(self, *problem: Tensor) -> Tensor:
        return deformable_aggregation(*problem) * 2


def test_export_keeps_the_op_whole() -> None:
    problem = tuple(tensor.detach() for tensor in operator_problem())
    program = torch.export.export(_Sampler(), problem)
    assert "distilldrive_ros.deformable_aggregation" in str(program.graph)
    assert torch.equal(program.module()(*problem), _Sampler()(*problem))


@pytest.mark.slow
def test_compiles_without_graph_breaks() -> None:
    problem = tuple(tensor.detach() for tensor in operator_problem())
    compiled = torch.compile(_Sampler(), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*problem), _Sampler()(*problem))
