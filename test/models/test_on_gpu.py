"""What only a GPU can show; skipped without one. The op, whole steps as CUDA graphs, the image path, both models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from distilldrive_ros.bench.aggregation import make_problem
from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.distilldrive.config import student_tiny
from distilldrive_ros.models.distilldrive.device_images import DeviceImages
from distilldrive_ros.models.distilldrive.engine import StudentEngine
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.preprocess import STD, prepare_images
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation, load_kernels
from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

GPU = torch.device("cuda:0")


@pytest.fixture
def compiled_op() -> None:
    report = load_kernels("cuda")
    if report.name != "cuda":
        pytest.skip(f"no compiled kernel for the GPU: {report.reason}")


def gradients(problem: tuple[Tensor, ...], implementation: object) -> list[Tensor]:
    features, shapes, starts, locations, weights = problem
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (features, locations, weights)]
    assert callable(implementation)
    output = implementation(leaves[0], shapes, starts, leaves[1], leaves[2])
    outer = torch.linspace(-1, 1, output.numel(), device=output.device, dtype=output.dtype).view(output.shape)
    return [output.detach(), *torch.autograd.grad(output, leaves, outer)]


@pytest.mark.usefixtures("compiled_op")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
def test_op_and_its_gradients(dtype: torch.dtype, tolerance: float) -> None:
    features, shapes, starts, locations, weights = make_problem(60, 13, torch.device("cpu"))
    problem = features.to(dtype), shapes, starts, locations.to(dtype), weights.to(dtype)
    expected = gradients(problem, deformable_aggregation_reference)
    found = gradients(tuple(tensor.to(GPU) for tensor in problem), deformable_aggregation)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.cpu(), theirs, atol=tolerance * float(theirs.abs().max() + 1), rtol=0)


@pytest.mark.usefixtures("compiled_op")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_numbers_are_summed_in_float32(dtype: torch.dtype) -> None:
    features, shapes, starts, locations, weights = make_problem(60, 13, GPU)
    narrow = features.to(dtype), weights.to(dtype)
    found = deformable_aggregation(narrow[0], shapes, starts, locations, narrow[1])
    exact = deformable_aggregation_reference(narrow[0].float(), shapes, starts, locations, narrow[1].float())
    torch.testing.assert_close(found.float(), exact.to(dtype).float(), rtol=1e-2, atol=1e-2)


@pytest.mark.usefixtures("compiled_op")
def test_gradient_of_the_features_repeats_if_asked() -> None:
    problem = make_problem(200, 13, GPU)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (gradients(problem, deformable_aggregation) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", ["student_tiny", "diffusiondrive_tiny"])
def test_a_drive_is_that_of_the_processor(name: str, precision: str) -> None:
    """Four sets, a reset before the third; bounds of half precision as on the CPU (`test_precision`)."""
    here = ModelSession(load_model(name, ModelRequest(device="cpu")))
    there = ModelSession(load_model(name, ModelRequest(device="cuda", precision=precision)))
    source = sensor_frames(np.random.default_rng(0))
    way_point, score = (1e-2, 1e-3) if precision == "fp32" else (0.15, 0.02)
    for t in range(4):
        frame = next(source)
        if t == 2:
            here.reset("test")
            there.reset("test")
        theirs, mine = here.run(frame).candidates, there.run(frame).candidates
        np.testing.assert_allclose(np.sort(mine.score), np.sort(theirs.score), atol=score)
        if name == "student_tiny":
            np.testing.assert_allclose(mine.x, theirs.x, atol=way_point)


def test_the_step_is_captured_and_frees_its_memory() -> None:
    network = untrained_network(student_tiny(), torch.Generator().manual_seed(0)).to(GPU)
    captured = StudentEngine(network).captured_step()
    assert captured.report.captured, captured.report.reason
    assert captured.report.buffer_bytes > 0
    state, first = captured.run(None, captured.inputs.copied())
    _, second = captured.run(state, captured.inputs.copied())
    assert bool(first.finite) and bool(second.finite)
    before = torch.cuda.memory_allocated(GPU)
    for _ in range(5):
        state, _ = captured.run(state, captured.inputs.copied())
    assert torch.cuda.memory_allocated(GPU) <= before


def test_images_are_those_of_the_processor() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (90, 160, 3), np.uint8), None, rng.integers(0, 256, (60, 90, 3), np.uint8)]
    with ThreadPoolExecutor(2) as executor:
        expected, sizes = prepare_images(images, 64, 32, executor)
        found, found_sizes = DeviceImages(GPU)(images, 64, 32, executor)
    assert found.device == GPU and found_sizes == sizes
    counts = (found.cpu() - expected) * torch.tensor(STD)[:, None, None]
    assert counts.abs().max() < 1.001 and (counts.abs() > 0.5).float().mean() < 0.01
