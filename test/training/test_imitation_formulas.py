"""DiffusionDrive's imitation losses a second time, in plain numpy from the wording of its spec (4.2, 4.3, 4.7, 6)."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig, Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.scene_encoder import AgentOutputs, SceneFeatures
from distilldrive_ros.models.diffusiondrive.trajectory_head import TrajectoryHead
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.diffusion.imitation import ImitationStage
from distilldrive_ros.training.diffusion.losses import ImitationWeights, agent_losses, bev_loss, trajectory_losses

Array = NDArray[np.float64]

SELECTOR = diffusiondrive_tiny()
IMITATION = replace(SELECTOR, name="tiny_v1", variant=Variant.V1, policy_groups=1)
numbers = st.integers(0, 100_000)


def batch_of(rng: np.random.Generator, frames: int, points: int, vehicles: int, cells: int) -> DiffusionBatch:
    present = rng.random((frames, vehicles)) < 0.6
    agents = rng.normal(0, 6, (frames, vehicles, 5)) * present[..., None]

    def tensor(values: Array) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    return DiffusionBatch(
        tuple(f"frame{row}" for row in range(frames)),
        torch.zeros(frames, 3, 4, 4),
        torch.zeros(frames, 1, 4, 4),
        torch.zeros(frames, 8),
        tensor(rng.normal(0, 10, (frames, points, 3))),
        torch.from_numpy(rng.random(frames) < 0.7),
        tensor(agents),
        torch.from_numpy(present),
        torch.from_numpy(rng.integers(0, 7, (frames, cells, 2 * cells))),
    )


def doubles(tensor: Tensor) -> Array:
    return np.asarray(tensor.double().numpy())


def softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


@settings(max_examples=30)
@given(numbers, st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2))
def test_trajectories(seed: int, frames: int, anchors: int, points: int, layers: int) -> None:
    """Per layer: 12 (10 focal + 8 L1); the nearest clean anchor is the mode; frames of unknown drives give nothing."""
    rng = np.random.default_rng(seed)
    batch = batch_of(rng, frames, points, 2, 2)
    fan = torch.from_numpy(rng.normal(0, 10, (anchors, points, 2)).astype(np.float32))
    poses = [
        torch.from_numpy(rng.normal(0, 10, (frames, anchors, points, 3)).astype(np.float32)) for _ in range(layers)
    ]
    logits = [torch.from_numpy(rng.normal(0, 3, (frames, anchors)).astype(np.float32)) for _ in range(layers)]
    losses = trajectory_losses(PassOutputs(tuple(poses), tuple(logits)), fan, batch, ImitationWeights())
    assert len(losses) == 2 * layers
    drive, known = doubles(batch.trajectory), batch.known.numpy()
    for layer in range(layers):
        focal = error = 0.0
        for b in range(frames):
            if not known[b]:
                continue
            offsets = doubles(fan) - drive[b, :, :2]
            positive = int(np.sqrt((offsets**2).sum(axis=-1)).mean(axis=-1).argmin())
            error += np.abs(doubles(poses[layer])[b, positive] - drive[b]).mean()
            for n, x in enumerate(doubles(logits[layer])[b]):
                p = 1 / (1 + np.exp(-x))
                focal += 0.25 * (1 - p) ** 2 * softplus(-x) if n == positive else 0.75 * p**2 * softplus(x)
        assert losses[f"mode_{layer}"].item() == pytest.approx(12 * 10 * focal / (frames * anchors), rel=1e-4, abs=1e-6)
        assert losses[f"pose_{layer}"].item() == pytest.approx(12 * 8 * error / frames, rel=1e-4, abs=1e-6)


@settings(max_examples=30)
@given(numbers, st.integers(1, 2), st.integers(1, 4))
def test_agents(seed: int, frames: int, queries: int) -> None:
    """Best assignment by 10 BCE + L1 of x and y where there is a vehicle; 10 BCE mean over all pairs, L1 of the five
    numbers over valid pairs per valid vehicle. Where several assignments are as good, any of them."""
    rng = np.random.default_rng(seed)
    batch = batch_of(rng, frames, 2, queries, 2)
    states = rng.normal(0, 6, (frames, queries, 5)).astype(np.float32)
    logits = rng.normal(0, 2, (frames, queries)).astype(np.float32)
    losses = agent_losses(AgentOutputs(torch.from_numpy(states), torch.from_numpy(logits)), batch, ImitationWeights())
    truth, present = doubles(batch.agents), batch.agent_present.numpy()
    choices: list[list[tuple[float, float]]] = []
    for b in range(frames):
        entropy = np.stack([softplus(-s * logits[b].astype(np.float64)) for s in np.where(present[b], 1, -1)], axis=1)
        distance = np.abs(states[b, :, None] - truth[b][None]) * present[b][None, :, None]
        cost = 10 * entropy + distance[..., :2].sum(axis=-1)
        orders = list(permutations(range(queries)))
        rows = np.arange(queries)
        values = [cost[rows, list(order)].sum() for order in orders]
        choices.append(
            [
                (entropy[rows, list(order)].sum(), distance[rows, list(order)].sum())
                for order, value in zip(orders, values, strict=True)
                if value <= min(values) + 1e-4
            ]
        )
    found = (losses["agent_class"].item(), losses["agent_box"].item())
    allowed = [
        pytest.approx(
            (
                10 * sum(classes for classes, _ in rows) / (frames * queries),
                sum(boxes for _, boxes in rows) / max(present.sum(), 1),
            ),
            rel=1e-4,
            abs=1e-4,
        )
        for rows in product(*choices)
    ]
    assert any(found == pair for pair in allowed)


@settings(max_examples=15)
@given(numbers, st.integers(1, 3), st.integers(1, 6))
def test_map(seed: int, frames: int, cells: int) -> None:
    """14 times the cross entropy, mean over frames and cells."""
    rng = np.random.default_rng(seed)
    batch = batch_of(rng, frames, 2, 2, cells)
    logits = rng.normal(0, 3, (frames, 7, cells, 2 * cells)).astype(np.float32)
    wide = logits.astype(np.float64)
    log = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    expected = -14 * np.take_along_axis(log, batch.bev.numpy()[:, None], axis=1).mean()
    assert bev_loss(torch.from_numpy(logits), batch, ImitationWeights()).item() == pytest.approx(expected, rel=1e-4)


class _SeenError(Exception):
    pass


@pytest.mark.parametrize("config", [SELECTOR, IMITATION], ids=lambda config: config.name)
def test_what_the_denoiser_is_given(config: DiffusionDriveConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anchors, scaled as each variant does, with noise of a level from 0 to 49 per frame, clamped, in metres."""
    given_points: list[Tensor] = []
    given_levels: list[Tensor] = []

    def record(self: TrajectoryHead, points: Tensor, timesteps: Tensor, scene: SceneFeatures) -> PassOutputs:
        given_points.append(points)
        given_levels.append(timesteps)
        raise _SeenError

    monkeypatch.setattr(TrajectoryHead, "denoise", record)
    stage = ImitationStage(untrained_network(config, torch.Generator().manual_seed(0)), seed=0).eval()
    frames = 4
    batch = replace(
        batch_of(np.random.default_rng(0), frames, config.num_points, config.num_agents, config.lidar_cells // 2),
        camera=torch.zeros(frames, 3, config.image_height, config.image_width),
        lidar=torch.zeros(frames, 1, config.lidar_cells, config.lidar_cells),
    )
    for _ in range(3):
        with pytest.raises(_SeenError), torch.no_grad():
            stage.compute_losses(batch)

    def scaled(points: Array) -> Array:
        x, y = points[..., 0], points[..., 1]
        if config.variant is Variant.V1:
            return np.stack([2 * (x + 1.2) / 56.9 - 1, 2 * (y + 20) / 46 - 1], axis=-1)
        return np.stack([x / 50, y / 20], axis=-1)

    betas = np.linspace(np.sqrt(1e-4), np.sqrt(0.02), 1000) ** 2
    kept = np.cumprod(1 - betas)
    levels = torch.cat(given_levels).numpy()
    assert levels.min() >= 0 and levels.max() <= 49 and len(set(levels.tolist())) > 6
    points = scaled(doubles(torch.cat(given_points)))
    anchors = scaled(doubles(stage.network.trajectory_head.plan_anchor))
    assert np.abs(points).max() <= 1 + 1e-5
    noise = (points - np.sqrt(kept[levels])[:, None, None, None] * anchors) / np.sqrt(1 - kept[levels])[
        :, None, None, None
    ]
    free = noise[:, np.abs(anchors) < 0.5]
    assert free.size > 1000
    assert abs(free.mean()) < 0.1
    assert free.std() == pytest.approx(1.0, abs=0.05)
    # No two frames have the same noise.
    assert np.abs(np.corrcoef(free)[np.triu_indices(len(free), 1)]).max() < 0.5
