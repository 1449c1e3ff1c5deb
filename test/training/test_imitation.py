"""DiffusionDrive's imitation stage: losses against formulas, and a small network that learns."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.checkpoint import is_selector_entry
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig, Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.diffusiondrive.initialization import anchor_fan, untrained_network
from distilldrive_ros.models.diffusiondrive.scene_encoder import AgentOutputs
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError
from distilldrive_ros.training.diffusion.batch import DiffusionBatch, join_frames
from distilldrive_ros.training.diffusion.imitation import ImitationStage
from distilldrive_ros.training.diffusion.losses import (
    ImitationWeights,
    agent_losses,
    bev_loss,
    nearest_anchor,
    trajectory_losses,
)
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.stages.stage import total

ONES = ImitationWeights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
SELECTOR = diffusiondrive_tiny()
IMITATION = replace(SELECTOR, name="tiny_v1", variant=Variant.V1, policy_groups=1)


def make_batch(config: DiffusionDriveConfig, size: int, seed: int = 0) -> DiffusionBatch:
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(size, config.num_agents, generator=generator) < 0.3
    agents = torch.randn(size, config.num_agents, 5, generator=generator) * 5 * present[..., None]
    path = anchor_fan(config)[torch.randint(0, config.num_anchors, (size,), generator=generator)] + 0.3
    side = config.lidar_cells
    return DiffusionBatch(
        tuple(f"frame{row}" for row in range(size)),
        torch.rand(size, 3, config.image_height, config.image_width, generator=generator),
        torch.rand(size, 1, side, side, generator=generator),
        torch.randn(size, 8, generator=generator),
        torch.cat((path, torch.zeros(size, config.num_points, 1)), dim=-1),
        torch.ones(size, dtype=torch.bool),
        agents,
        present,
        torch.randint(0, 7, (size, side // 2, side), generator=generator),
    )


def stage_of(config: DiffusionDriveConfig, seed: int = 0) -> ImitationStage:
    return ImitationStage(untrained_network(config, torch.Generator().manual_seed(0)), seed)


def test_nearest_anchor() -> None:
    anchors = anchor_fan(SELECTOR)
    drives = torch.cat((anchors + 0.1, torch.ones(len(anchors), anchors.shape[1], 1)), dim=-1)
    assert nearest_anchor(anchors, drives).tolist() == list(range(len(anchors)))


def test_trajectory_formula() -> None:
    """Two frames, the drive of the second one unknown: half of what the first one alone would give."""
    anchors = anchor_fan(SELECTOR)
    batch = make_batch(SELECTOR, 2)
    batch = replace(batch, known=torch.tensor([True, False]))
    poses = torch.zeros(2, 20, 8, 3)
    poses[0, int(nearest_anchor(anchors, batch.trajectory)[0])] = batch.trajectory[0] + torch.tensor([0.3, -0.6, 0.3])
    losses = trajectory_losses(PassOutputs((poses,), (torch.zeros(2, 20),)), anchors, batch, ONES)
    assert float(losses["pose_0"]) == pytest.approx(0.4 / 2, rel=1e-4)
    focal = 0.25 * math.log(2) * (0.25 + 19 * 0.75) / 20
    assert float(losses["mode_0"]) == pytest.approx(focal / 2, rel=1e-5)
    weighted = trajectory_losses(PassOutputs((poses,), (torch.zeros(2, 20),)), anchors, batch, ImitationWeights())
    assert float(weighted["pose_0"]) == pytest.approx(12 * 8 * 0.4 / 2, rel=1e-4)
    assert float(weighted["mode_0"]) == pytest.approx(12 * 10 * focal / 2, rel=1e-5)


def small_scene(queries: int, seed: int) -> tuple[AgentOutputs, DiffusionBatch]:
    generator = torch.Generator().manual_seed(seed)
    outputs = AgentOutputs(
        torch.randn(1, queries, 5, generator=generator), torch.randn(1, queries, generator=generator)
    )
    present = torch.rand(1, queries, generator=generator) < 0.6
    agents = torch.randn(1, queries, 5, generator=generator) * present[..., None]
    return outputs, replace(make_batch(SELECTOR, 1), agents=agents, agent_present=present)


def entropy(logit: float, target: float) -> float:
    return math.log(1 + math.exp(-logit)) if target else math.log(1 + math.exp(logit))


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(0, 10_000))
def test_agent_losses_are_those_of_the_best_assignment(queries: int, seed: int) -> None:
    outputs, batch = small_scene(queries, seed)
    states, logits = outputs.states[0].tolist(), outputs.logits[0].tolist()
    truth, present = batch.agents[0].tolist(), [float(flag) for flag in batch.agent_present[0]]

    def cost(query: int, target: int) -> float:
        distance = sum(abs(a - b) for a, b in zip(states[query][:2], truth[target][:2], strict=True))
        return 10 * entropy(logits[query], present[target]) + distance * present[target]

    costs = {order: sum(cost(q, t) for q, t in enumerate(order)) for order in permutations(range(queries))}
    losses = agent_losses(outputs, batch, ONES)
    found = (losses["agent_class"].item(), losses["agent_box"].item())
    # Along one axis crossing over costs nothing, so several assignments can be the best.
    allowed = []
    for order, value in costs.items():
        if value <= min(costs.values()) + 1e-4:
            classes = sum(entropy(logits[q], present[t]) for q, t in enumerate(order)) / queries
            errors = [sum(abs(a - b) for a, b in zip(states[q], truth[t], strict=True)) for q, t in enumerate(order)]
            boxes = sum(error * present[t] for error, t in zip(errors, order, strict=True))
            allowed.append(pytest.approx((classes, boxes / max(sum(present), 1)), rel=1e-4, abs=1e-4))
    assert any(found == pair for pair in allowed)


def test_bev_formula() -> None:
    batch = make_batch(SELECTOR, 1)
    side = SELECTOR.lidar_cells
    assert float(bev_loss(torch.zeros(1, 7, side // 2, side), batch, ImitationWeights())) == pytest.approx(
        14 * math.log(7), rel=1e-5
    )


@pytest.mark.parametrize("config", [SELECTOR, IMITATION], ids=lambda config: config.name)
def test_all_but_the_selector_learns(config: DiffusionDriveConfig) -> None:
    torch.manual_seed(0)
    stage = stage_of(config).train()
    batch = make_batch(config, 2)
    losses = stage.compute_losses(batch)
    layers = 2 if config.variant is Variant.V1 else 1
    expected = {f"{name}_{layer}" for name in ("mode", "pose") for layer in range(layers)}
    assert set(losses) == {*expected, "agent_class", "agent_box", "bev_semantic"}
    total(losses).backward()
    untouched = [name for name, parameter in stage.trained_parameters().items() if parameter.grad is None]
    # The fused image map of the last stage is read by nobody.
    assert all("transformers.3" in name or "img_channel" in name or "to_img" in name for name in untouched), untouched
    assert not any(is_selector_entry(name.removeprefix("network.")) for name in stage.trained_parameters())


def test_a_few_steps_lower_the_loss() -> None:
    torch.manual_seed(0)
    stage = stage_of(IMITATION).eval()
    batch = make_batch(IMITATION, 1)
    optimizer = torch.optim.AdamW(stage.trained_parameters().values(), lr=6e-4)
    history = []
    for _ in range(6):
        loss = total(stage.compute_losses(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.9 * history[0]


def test_noise_comes_from_the_seed() -> None:
    batch = make_batch(SELECTOR, 1)
    with torch.no_grad():
        values = [float(total(stage_of(SELECTOR, seed).eval().compute_losses(batch))) for seed in (0, 0, 1)]
        stage = stage_of(SELECTOR, 1).eval()
        stage.reseed(0)
        values.append(float(total(stage.compute_losses(batch))))
    assert values[0] == values[1] == values[3] != values[2]


def test_several_draws_are_their_mean() -> None:
    batch = make_batch(SELECTOR, 2)
    one, four = stage_of(SELECTOR).eval(), stage_of(SELECTOR).eval()
    four.noise_draws = 4
    with torch.no_grad():
        # The same generator: the first stage draws in four calls what the second one draws in one.
        singles = [one.compute_losses(batch) for _ in range(4)]
        together = four.compute_losses(batch)
    for name, value in together.items():
        assert float(value) == pytest.approx(sum(float(losses[name]) for losses in singles) / 4, rel=1e-5), name
    assert len({float(losses["pose_0"]) for losses in singles}) == 4
    with pytest.raises(ConfigurationError, match="noise_draws is 0"):
        TrainingOptions(noise_draws=0)


def test_weights_go_out_and_in_again() -> None:
    stage, other = stage_of(SELECTOR), stage_of(SELECTOR)
    with torch.no_grad():
        for parameter in stage.parameters():
            parameter.add_(0.25)
    weights: dict[str, Tensor] = {key: value.clone() for key, value in stage.weights().items()}
    assert weights and not any(is_selector_entry(key) for key in weights)
    other.load_weights(weights)
    assert all(torch.equal(value, weights[key]) for key, value in other.weights().items())
    with pytest.raises(CheckpointError, match="1 entries are missing"):
        other.load_weights(dict(list(weights.items())[1:]))


def test_frames_are_joined_and_moved() -> None:
    first, second = make_batch(SELECTOR, 1), make_batch(SELECTOR, 2, seed=1)
    both = join_frames([first, second])
    assert both.size == 3 and torch.equal(both.bev[1:], second.bev)
    assert both.to("meta").agents.is_meta
    with pytest.raises(ValueError, match="no batch"):
        join_frames([])


def test_weights_are_numbers_of_zero_or_more() -> None:
    with pytest.raises(ConfigurationError, match="loss weight bev"):
        ImitationWeights(bev=-1.0)
