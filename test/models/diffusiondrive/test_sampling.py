"""Schedule, sampler modes, noise, codes and headings: numbers of the specification, and behaviour at the edges."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.models.diffusiondrive.config import (
    DiffusionDriveConfig,
    Variant,
    diffusiondrive,
    diffusiondrive_rl,
    diffusiondrive_tiny,
    preset,
)
from distilldrive_ros.models.diffusiondrive.embeddings import TimeCode, heading_code, point_code
from distilldrive_ros.models.diffusiondrive.headings import bezier_yaw, vehicle_yaw
from distilldrive_ros.models.diffusiondrive.initialization import anchor_fan
from distilldrive_ros.models.diffusiondrive.noise import fixed_noise, random_noise
from distilldrive_ros.models.diffusiondrive.normalization import clamped_poses, denormalize, normalize
from distilldrive_ros.models.diffusiondrive.schedule import (
    NoiseSchedule,
    SamplingMode,
    denoising_timesteps,
    sampler_plan,
    scale_adaptive,
)
from distilldrive_ros.scene.errors import ConfigurationError

from .conftest import batch_of


@pytest.mark.parametrize(
    ("timestep", "alpha_bar"),
    [(0, 0.99989998), (8, 0.99900216), (9, 0.99887723), (10, 0.99874932), (18, 0.99761629), (49, 0.99111623)],
)
def test_schedule_constants(timestep: int, alpha_bar: float) -> None:
    assert NoiseSchedule().alpha_bar(timestep) == pytest.approx(alpha_bar, abs=1e-8)


def test_timesteps() -> None:
    assert denoising_timesteps(2) == (10, 0)
    assert denoising_timesteps(10) == tuple(range(18, -1, -2))


def test_one_compatible_step_hardly_moves_the_sample() -> None:
    """Spec 4.3: x_9 = 0.05255 x0 + 0.94748 x_10; the last step gives x0 itself."""
    schedule, one, zero = NoiseSchedule(), torch.ones(1), torch.zeros(1)
    assert sampler_plan(SamplingMode.COMPATIBLE).steps == ((10, 9), (0, -1))
    assert float(schedule.step(zero, one, 10, 9)) == pytest.approx(0.05255, abs=1e-5)
    assert float(schedule.step(one, zero, 10, 9)) == pytest.approx(0.94748, abs=1e-5)
    assert float(schedule.step(one, torch.tensor([0.3]), 0, -1)) == pytest.approx(0.3, abs=1e-7)


def test_proper_plan_uses_the_listed_steps() -> None:
    plan = sampler_plan(SamplingMode.PROPER)
    assert plan.start == 10 and plan.steps == ((10, 0), (0, -1))
    moved = NoiseSchedule().step(torch.zeros(1), torch.ones(1), 10, 0)
    assert float(moved) > 0.7


def test_prediction_is_clipped_but_its_noise_is_not() -> None:
    """The noise estimate comes from the prediction before clipping: larger predictions still count."""
    schedule, sample = NoiseSchedule(), torch.zeros(1)
    first, second = (schedule.step(sample, torch.tensor([x]), 10, 9) for x in (1.5, 3.0))
    assert float(first) != pytest.approx(float(second), abs=1e-3)


def test_exploration_is_four_percent_at_every_listed_step() -> None:
    schedule = NoiseSchedule()
    for timestep in denoising_timesteps(10):
        assert 0 < schedule.std(timestep, timestep - 1, eta=1.0) < 0.04
    path = torch.rand(1, 2, 8, 2)
    stretched = scale_adaptive(path, torch.tensor([[[1.0, 0.0], [0.0, -2.0]]]), std=0.01)
    torch.testing.assert_close(stretched[0, 0], path[0, 0] * torch.tensor([1.04, 1.0]))
    torch.testing.assert_close(stretched[0, 1], path[0, 1] * torch.tensor([1.0, 0.92]))


@pytest.mark.parametrize("variant", list(Variant))
def test_normalisation(variant: Variant) -> None:
    metres = torch.tensor([[50.0, 20.0], [-1.2, -20.0]])
    units = normalize(metres, variant)
    torch.testing.assert_close(denormalize(units, variant), metres)
    expected = [[2 * 51.2 / 56.9 - 1, 2 * 40 / 46 - 1], [-1, -1]] if variant is Variant.V1 else [[1, 1], [-0.024, -1]]
    torch.testing.assert_close(units, torch.tensor(expected, dtype=torch.float32))


def test_selector_sees_clamped_poses() -> None:
    points, yaw = clamped_poses(torch.tensor([[60.0, -30.0, 2.0], [10.0, 3.0, -0.4]]))
    torch.testing.assert_close(points, torch.tensor([[50.0, -20.0], [10.0, 3.0]]))
    torch.testing.assert_close(yaw, torch.tensor([1.57, -0.4]))


def test_point_code_is_of_y_then_x() -> None:
    code = point_code(torch.tensor([[3.0, -2.0]]))
    d = 10_000 ** (2 / 32)
    assert code.shape == (64,)
    expected = [f(2 * math.pi * v / s) for v in (-2.0,) for s in (1, d) for f in (math.sin, math.cos)]
    np.testing.assert_allclose(code[:4], expected, atol=1e-4)
    assert float(code[32]) == pytest.approx(math.sin(6 * math.pi), abs=1e-4)
    assert float(code[34]) == pytest.approx(math.sin(6 * math.pi / d), abs=1e-4)


def test_heading_and_time_codes() -> None:
    code = heading_code(torch.tensor([0.5]))
    assert code.shape == (64,)
    np.testing.assert_allclose(code[:4], [math.sin(0.5), math.cos(0.5)] * 2, atol=1e-6)
    time = TimeCode(256)(torch.tensor([10]))[0]
    np.testing.assert_allclose(time[[0, 127, 128]], [math.sin(10), math.sin(10 / 10_000), math.cos(10)], atol=1e-5)


def arc(radius: float = 15.0, speed: float = 6.0) -> torch.Tensor:
    angle = speed / radius * 0.5 * torch.arange(1, 9)
    return radius * torch.stack([angle.sin(), 1 - angle.cos()], dim=-1)


def test_bezier_yaw_of_the_specification() -> None:
    expected = [15.7, 25.7, 35.8, 45.8, 55.9, 65.9, 76.0, 85.9]
    np.testing.assert_allclose(np.rad2deg(bezier_yaw(arc()).numpy()), expected, atol=0.06)
    np.testing.assert_allclose(vehicle_yaw(arc()), bezier_yaw(arc()), atol=1e-6)


def test_vehicle_that_stands_keeps_its_heading() -> None:
    jitter = 0.02 * torch.randn(20, 8, 2, generator=torch.Generator().manual_seed(0))
    assert (vehicle_yaw(jitter) == 0).all()
    stop = arc()
    stop[4:] = stop[3]
    yaw = vehicle_yaw(stop)
    assert float(yaw[-1]) == float(yaw[-2]) and float(yaw[-1]) > 0.3


def test_vehicle_that_reverses_does_not_turn_round() -> None:
    back = torch.stack([-0.8 * torch.arange(1, 9), torch.zeros(8)], dim=-1)
    assert (vehicle_yaw(back) == 0).all()
    slanted = torch.stack([-0.8 * torch.arange(1, 9), 0.2 * torch.arange(1, 9)], dim=-1)
    np.testing.assert_allclose(vehicle_yaw(slanted), math.atan2(-0.2, 0.8), atol=1e-6)


@given(st.lists(st.floats(-60, 60), min_size=16, max_size=16))
def test_vehicle_yaw_is_always_an_angle(numbers: list[float]) -> None:
    yaw = vehicle_yaw(torch.tensor(numbers).view(8, 2))
    assert torch.isfinite(yaw).all() and float(yaw.abs().max()) <= math.pi + 1e-6


@pytest.mark.parametrize(
    ("variant", "batch", "seed"), [("v1", 1, 1002), ("v1", 2, 1000), ("rl", 1, 1000), ("rl", 2, 1001),
     ("sel", 1, 1001), ("sel", 2, 1003)]
)  # fmt: skip
def test_order_of_the_random_draws(golden_dir: Path, variant: str, batch: int, seed: int) -> None:
    """Bit for bit what the reference drew after seeding the generator (spec 5.1)."""
    name = {"v1": "diffusiondrive_v1", "rl": "diffusiondrive_rl", "sel": "diffusiondrive"}[variant]
    noise = random_noise(preset(name), batch, torch.Generator().manual_seed(seed))
    recorded = batch_of(golden_dir / f"{variant}.npz", f"b{batch}")
    assert np.array_equal(noise.initial.numpy(), recorded["noise"])
    if variant == "sel":
        np.testing.assert_allclose(noise.factors.numpy(), recorded["aug_factor"], atol=5e-7)


@pytest.mark.parametrize("config", [diffusiondrive(), diffusiondrive_rl(), diffusiondrive_tiny()], ids=lambda c: c.name)
def test_fixed_set(config: DiffusionDriveConfig) -> None:
    """The same on every call, and distributed like the random one."""
    first, second = fixed_noise(config), fixed_noise(config)
    assert torch.equal(first.initial, second.initial) and torch.equal(first.factors, second.factors)
    assert first.initial.shape == (1, config.num_samples, config.num_points, 2)
    assert float(first.initial.mean()) == pytest.approx(0, abs=0.05)
    assert float(first.initial.std()) == pytest.approx(1, abs=0.05)
    if config.variant is Variant.SELECTOR:
        assert first.factors.shape == (config.num_copies, 1, config.num_samples, 2)
        spread = [float(f.std()) for f in first.factors]
        np.testing.assert_allclose(spread, [0.1333, 0.2, 0.2667], rtol=0.12)


def test_anchor_fan_is_drivable() -> None:
    anchors = anchor_fan(diffusiondrive())
    assert anchors.shape == (20, 8, 2)
    assert len({tuple(np.round(end, 3)) for end in anchors[:, -1].tolist()}) == 20
    assert float(anchors[..., 0].max()) <= 50 and float(anchors[..., 1].abs().max()) <= 20


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"lidar_cells": 100}, "multiple of 32"), ({"image_width": 1000}, "1024x256"),
     ({"num_selected": 5000}, "num_selected"),
     ({"embed_dim": 3}, "outside"), ({"backbone": "resnet50"}, "resnet18 or resnet34")],
)  # fmt: skip
def test_wrong_configuration_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        DiffusionDriveConfig(**changes)  # type: ignore[arg-type]


def test_unknown_preset() -> None:
    with pytest.raises(ConfigurationError, match=r"'huge'.*diffusiondrive_tiny"):
        preset("huge")
