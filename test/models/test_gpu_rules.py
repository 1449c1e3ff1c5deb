"""The networks' steps on a GPU never wait for it, never mix devices and never copy from ordinary memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.config import Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.engine import DiffusionEngine
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs
from distilldrive_ros.models.diffusiondrive.noise import fixed_noise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig, student_tiny
from distilldrive_ros.models.distilldrive.engine import EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentInputs
from distilldrive_ros.models.distilldrive.state import state_tensors
from distilldrive_ros.models.ops.deformable_aggregation import BackendReport

from .gpu_rules import gpu_rules

META = torch.device("meta")


def student_inputs(c: DistillDriveConfig) -> StudentInputs:
    return StudentInputs(
        torch.empty(1, c.num_cameras, 3, c.image_height, c.image_width, device=META),
        torch.empty(1, c.num_cameras, 4, 4, device=META),
        torch.empty(1, c.num_cameras, 2, device=META),
        torch.empty(1, dtype=torch.float64, device=META),
        torch.empty(1, 4, 4, dtype=torch.float64, device=META),
    )


@pytest.mark.parametrize("kernel", ["cuda", "reference"])
def test_student_keeps_the_rules(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled op, and on a GPU for which there is none, in bf16."""
    monkeypatch.setattr("distilldrive_ros.models.distilldrive.engine.load_kernels", lambda _: BackendReport(kernel, ""))
    with META:
        network = StudentNetwork(student_tiny()).eval()
    engine, inputs = StudentEngine(network, EngineOptions(precision="bf16")), student_inputs(network.config)
    with torch.no_grad():
        # Constants are made in the first round, as when an engine warms up.
        warm, _ = engine.step(None, inputs)
        engine.step(warm, inputs)
    with gpu_rules() as broken:
        first, _ = engine.step(None, inputs)
        second, outputs = engine.step(first, inputs)
    assert broken == []
    shapes = [[tuple(tensor.shape) for tensor in state_tensors(state)] for state in (first, second)]
    assert shapes[0] == shapes[1]
    assert outputs.motion.plan_offsets.device == META


@pytest.mark.parametrize(
    ("variant", "sampling"), [(Variant.SELECTOR, SamplingMode.COMPATIBLE), (Variant.V1, SamplingMode.PROPER)]
)
def test_diffusion_keeps_the_rules(variant: Variant, sampling: SamplingMode) -> None:
    config = replace(diffusiondrive_tiny(), variant=variant)
    with META:
        network = DiffusionDriveNetwork(config).eval()
    engine, noise = DiffusionEngine(network, "bf16"), fixed_noise(config).to(META)
    camera = torch.empty(1, 3, config.image_height, config.image_width, device=META)
    lidar = torch.empty(1, 1, config.lidar_cells, config.lidar_cells, device=META)
    inputs = DiffusionInputs(camera, lidar, torch.empty(1, 8, device=META))
    with torch.no_grad():
        engine(inputs, noise, sampling)
    with gpu_rules() as broken:
        outputs = engine(inputs, noise, sampling)
    assert broken == []
    assert outputs.plan.candidates.device == META


@pytest.mark.parametrize(
    ("forbidden", "message"),
    [
        (lambda x: x + torch.tensor([1.0, 2.0], device=META), "tensor copies numbers"),
        (lambda x: x * x.new_tensor(2.0), "new_tensor copies numbers"),
        (lambda x: x[..., [1, 0]], "a list as index"),
        (lambda x: x + torch.ones(2).to(META), "mixes cpu and meta"),
    ],
)
def test_what_is_against_the_rules_is_told(forbidden: Callable[[Tensor], Tensor], message: str) -> None:
    with gpu_rules() as broken:
        forbidden(torch.empty(3, 2, device=META))
    assert any(message in line for line in broken)


@pytest.mark.parametrize(
    "looks", [lambda x: bool(x.any()), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: x.sum().item()]
)
def test_what_looks_at_numbers_fails(looks: Callable[[Tensor], object]) -> None:
    with gpu_rules(), pytest.raises((RuntimeError, NotImplementedError)):
        looks(torch.empty(3, device=META))
