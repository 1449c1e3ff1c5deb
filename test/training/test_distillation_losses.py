"""Distillation, the generative module's divergence, and the value network."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import MotionConfig
from distilldrive_ros.models.distilldrive.generative import LatentDistribution, LatentPredictor
from distilldrive_ros.models.distilldrive.outputs import GaussianLatent
from distilldrive_ros.models.distilldrive.training_only import StatusValue
from distilldrive_ros.training.batch import AgentTargets, EgoTargets
from distilldrive_ros.training.losses.latent import (
    aligned_latent,
    divergence,
    future_tokens,
    latent_agents,
    latent_loss,
)
from distilldrive_ros.training.losses.matching import Matching
from distilldrive_ros.training.losses.planning import status_loss
from distilldrive_ros.training.losses.value import ValueGradient, rewards, value_loss
from distilldrive_ros.training.losses.weights import LossWeights
from distilldrive_ros.training.options import TrainingOptions, fixed_options

from .conftest import make_agents

NUM_AGENTS, NUM_EGO = 8, 3
number = st.floats(-3, 3)


def ego_of(streams: int, seed: int = 0) -> EgoTargets:
    generator = torch.Generator().manual_seed(seed)
    return EgoTargets(
        torch.randn(streams, 6, 2, generator=generator),
        torch.ones(streams, 6),
        torch.arange(streams) % 3,
        torch.randn(streams, 10, generator=generator),
    )


def latent_of(seed: int, streams: int = 1) -> GaussianLatent:
    generator = torch.Generator().manual_seed(seed)
    shape = (streams, NUM_AGENTS + NUM_EGO, 4)
    return GaussianLatent(torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))


@settings(max_examples=50)
@given(number, number, number, number)
def test_divergence_is_that_of_torch(mean_f: float, log_f: float, mean_p: float, log_p: float) -> None:
    pairs = [torch.tensor([x], dtype=torch.float64) for x in (mean_f, log_f, mean_p, log_p)]
    future, present = (torch.distributions.Normal(mean, log.exp()) for mean, log in (pairs[:2], pairs[2:]))
    expected = float(torch.distributions.kl_divergence(future, present))
    actual = divergence(GaussianLatent(*pairs[:2]), GaussianLatent(*pairs[2:]))
    assert float(actual) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_only_road_users_that_drive_or_walk_are_sampled() -> None:
    agents = make_agents(10, torch.Generator().manual_seed(0))
    assert latent_agents(agents).tolist() == [0, 1, 3, 4, 8]
    tokens = future_tokens([agents], ego_of(1), NUM_AGENTS, NUM_EGO)
    assert torch.equal(tokens[0, 2], agents.offsets[3, :6].flatten())
    assert not tokens[0, 5:NUM_AGENTS].any()
    assert torch.equal(tokens[0, NUM_AGENTS], tokens[0, -1])
    assert torch.equal(tokens[0, -1], ego_of(1).offsets[0].flatten())


def matched() -> tuple[AgentTargets, Matching]:
    """Token 7 found agent 3 (slot 2), token 2 agent 5 (not listed), token 0 agent 8 (slot 4)."""
    agents = make_agents(10, torch.Generator().manual_seed(0))
    return agents, Matching(torch.tensor([0, 2, 7]), torch.tensor([8, 5, 3]))


def test_aligned_samples_follow_the_matching() -> None:
    agents, pairs = matched()
    future, present = latent_of(1), latent_of(2)
    chosen = aligned_latent(future, present, [agents], [pairs], NUM_AGENTS)
    assert torch.equal(chosen.mean[0, 7], future.mean[0, 2])
    assert torch.equal(chosen.log_sigma[0, 0], future.log_sigma[0, 4])
    assert torch.equal(chosen.mean[0, NUM_AGENTS:], future.mean[0, NUM_AGENTS:])
    for token in (1, 2, 3, 4, 5, 6):
        assert torch.equal(chosen.mean[0, token], present.mean[0, token])


def test_latent_loss_formula() -> None:
    agents, pairs = matched()
    future, present = latent_of(3), latent_of(4)
    tokens_and_slots = [(7, 2), (0, 4), *((token, token) for token in range(NUM_AGENTS, NUM_AGENTS + NUM_EGO))]
    terms = [
        float(
            divergence(
                GaussianLatent(future.mean[0, slot], future.log_sigma[0, slot]),
                GaussianLatent(present.mean[0, token], present.log_sigma[0, token]),
            )
        )
        for token, slot in tokens_and_slots
    ]
    loss = latent_loss(future, present, [agents], [pairs], NUM_AGENTS, LossWeights())
    assert float(loss) == pytest.approx(sum(terms) / len(terms), rel=1e-5)
    none = Matching(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    ego_only = latent_loss(future, present, [agents], [none], NUM_AGENTS, LossWeights())
    assert float(ego_only) == pytest.approx(sum(terms[2:]) / NUM_EGO, rel=1e-5)


@pytest.mark.parametrize("signed", [False, True])
def test_the_published_latent_is_never_negative(signed: bool) -> None:
    torch.manual_seed(0)
    distribution = LatentDistribution(12, (24, 24, 6), MotionConfig(signed_latent=signed))
    latent = distribution(torch.randn(1, 50, 12))
    assert bool((latent.mean < 0).any()) is signed
    assert bool((latent.log_sigma < 0).any()) is signed
    assert set(distribution.state_dict()) == set(LatentDistribution(12, (24, 24, 6), MotionConfig()).state_dict())


@pytest.mark.parametrize("per_token", [False, True])
def test_the_published_hidden_state_mixes_tokens(per_token: bool) -> None:
    torch.manual_seed(0)
    predictor = LatentPredictor(64, MotionConfig(hidden_per_token=per_token))
    feature, sample = torch.randn(1, 10, 64), torch.zeros(1, 10, 32)
    changed = feature.clone()
    changed[0, 0] += 1.0
    moved = (predictor(sample, changed) - predictor(sample, feature)).abs().amax(dim=-1)[0] > 1e-7
    assert (moved.nonzero().flatten().tolist() == [0]) is per_token
    order = torch.randperm(10)
    swapped = predictor(sample, feature[:, order])
    assert torch.allclose(swapped, predictor(sample, feature)[:, order], atol=1e-6) is per_token


def test_rewards_of_a_perfect_prediction() -> None:
    ego = ego_of(1)
    status = ego.status.clone()
    status[0, 6] = 4.0
    offsets = ego.offsets.clone()
    offsets[0, 0, 1] = 2.0
    truth = replace(ego, status=status, offsets=offsets)
    assert rewards(status, offsets, truth)[0].tolist() == pytest.approx([1.0] * 6)


def test_rewards_formula() -> None:
    ego = ego_of(1)
    status = ego.status + 0.5
    status[0, 6] = -1.0
    offsets = ego.offsets + torch.tensor([0.1, -0.3])
    errors = (ego.status - status).abs().mean()
    first_y = float(offsets[0, 0, 1])
    expected = [
        math.exp(-float(errors)),
        math.exp(-abs(first_y + 0.5)),
        0.0,
        math.exp(-0.2),
        math.exp(-0.2),
        math.exp(-1.2),
    ]
    assert rewards(status, offsets, ego)[0].tolist() == pytest.approx(expected, rel=1e-4)


def test_value_loss_reaches_status_and_weights_but_not_the_plan() -> None:
    torch.manual_seed(0)
    value, ego = StatusValue(), ego_of(3)
    status = torch.randn(3, 10, requires_grad=True)
    offsets = torch.randn(3, 6, 2, requires_grad=True)
    value_loss(value, status, offsets, ego, LossWeights()).backward()
    assert status.grad is not None and status.grad.any()
    assert offsets.grad is None
    assert value.reward_weight.grad is not None and value.reward_weight.grad.any()
    assert value.target_model.fc1.weight.grad is not None


def test_the_value_alone_learns_where_the_status_is_left_to_its_own_loss() -> None:
    torch.manual_seed(0)
    value, ego = StatusValue(), ego_of(3)
    status = torch.randn(3, 10, requires_grad=True)
    offsets = torch.randn(3, 6, 2)
    alone = value_loss(value, status, offsets, ego, LossWeights(), ValueGradient.VALUE)
    assert alone.item() == value_loss(value, status, offsets, ego, LossWeights()).item()
    alone.backward()
    assert status.grad is None
    assert value.reward_weight.grad is None
    assert value.model.fc1.weight.grad is not None and value.model.fc1.weight.grad.any()
    # The target network learns the command, and only that.
    by_command = torch.autograd.grad(
        (value.target_model(ego.status) - torch.eye(3)[ego.command]).abs().mean(), value.target_model.fc3.bias
    )[0]
    assert torch.allclose(value.target_model.fc3.bias.grad, by_command)


@pytest.mark.parametrize("gradient", list(ValueGradient))
def test_a_steep_value_outweighs_the_status_loss_only_as_published(gradient: ValueGradient) -> None:
    """Value 10 s6, ten times as steep as it takes: a true status (of 4 m/s, value 40) runs away from the truth."""
    value, ego = StatusValue(), ego_of(1)
    with torch.no_grad():
        for parameter in value.parameters():
            parameter.zero_()
        value.model.fc1.weight[0, 6], value.model.fc2.weight[0, 0], value.model.fc3.weight[:, 0] = 1.0, 1.0, 10.0
    truth = ego.status.clone()
    truth[0, 6] = 4.0
    ego = replace(ego, status=truth)
    status = truth.clone().requires_grad_()
    for _ in range(5):
        loss = status_loss(status, ego, LossWeights())
        loss = loss + value_loss(value, status, ego.offsets, ego, LossWeights(), gradient)
        (step,) = torch.autograd.grad(loss, status)
        status = (status - 0.01 * step).detach().requires_grad_()
    away = float((truth - status).detach()[0, 6])
    assert away == pytest.approx(0.5, abs=0.01) if gradient is ValueGradient.STATUS else abs(away) <= 0.001


def test_a_repaired_training_leaves_the_status_alone_unless_told_otherwise() -> None:
    assert TrainingOptions().value_gradient is None
    assert fixed_options(TrainingOptions()).value_gradient is ValueGradient.VALUE
    published = TrainingOptions(value_gradient=ValueGradient.STATUS)
    assert fixed_options(published).value_gradient is ValueGradient.STATUS


def test_streams_without_a_known_status_have_no_value() -> None:
    torch.manual_seed(0)
    value, ego = StatusValue(), ego_of(2)
    silent = replace(ego, status=torch.stack((torch.zeros(10), ego.status[1])))
    status: Tensor = torch.randn(2, 10)
    offsets = torch.randn(2, 6, 2)
    both = value_loss(value, status, offsets, silent, LossWeights())
    alone = EgoTargets(ego.offsets[1:], ego.valid[1:], ego.command[1:], ego.status[1:])
    expected = value_loss(value, status[1:], offsets[1:], alone, LossWeights())
    assert both.item() == pytest.approx(expected.item())
    nobody = replace(ego, status=torch.zeros(2, 10))
    assert float(value_loss(value, status, offsets, nobody, LossWeights())) == 0.0
