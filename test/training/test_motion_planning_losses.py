"""Losses of futures, plans, status and depth against formulas written out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.batch import EgoTargets
from distilldrive_ros.training.losses import planning
from distilldrive_ros.training.losses.depth import depth_loss
from distilldrive_ros.training.losses.matching import Matching, identity
from distilldrive_ros.training.losses.motion import mode_errors, motion_losses
from distilldrive_ros.training.losses.weights import LossWeights, teacher_weights

from .conftest import make_agents

ONES = LossWeights(motion_cls=1.0, motion_reg=1.0, plan_cls=1.0, plan_reg=1.0, plan_status=1.0, depth=1.0)


def drive(streams: int, generator: torch.Generator) -> EgoTargets:
    return EgoTargets(
        torch.randn(streams, 6, 2, generator=generator),
        torch.ones(streams, 6),
        torch.arange(streams) % 3,
        torch.randn(streams, 10, generator=generator),
    )


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_mode_errors_formula(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(3, 4, 2, generator=generator)
    target = torch.randn(4, 2, generator=generator)
    valid = (torch.rand(4, generator=generator) < 0.6).float()
    for mode in range(3):
        where, truth, total = [0.0, 0.0], [0.0, 0.0], 0.0
        for step in range(4):
            where = [a + float(b) for a, b in zip(where, offsets[mode, step], strict=True)]
            truth = [a + float(b) for a, b in zip(truth, target[step], strict=True)]
            total += math.dist(where, truth) * float(valid[step])
        assert float(mode_errors(offsets, target, valid)[mode]) == pytest.approx(total / 4, rel=1e-4, abs=1e-5)


def test_only_the_best_mode_of_a_known_future_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    agents = make_agents(3, generator)
    agents = replace(agents, valid=torch.cat((torch.zeros(1, 12), torch.ones(2, 12))))
    offsets = torch.randn(1, 5, 6, 12, 2, generator=generator)
    offsets[0, 4, 2] = agents.offsets[2] + torch.tensor([0.1, 0.0])
    offsets.requires_grad_()
    pairs = Matching(torch.tensor([0, 1, 4]), torch.tensor([0, 1, 2]))
    logits = torch.zeros(1, 5, 6, requires_grad=True)
    losses = motion_losses(logits, offsets, [agents], [pairs], ONES, count_unknown=False)
    sum(losses.values(), start=torch.zeros(())).backward()
    assert offsets.grad is not None and logits.grad is not None
    touched = offsets.grad[0].flatten(2).any(dim=-1)
    assert touched.sum() == 2 and bool(touched[4, 2]) and touched[1].sum() == 1
    assert logits.grad[0].any(dim=-1).tolist() == [False, True, False, False, True]
    known = 0.25 * math.log(2) * (0.25 + 5 * 0.75)
    assert float(losses["motion_loss_cls_0"]) == pytest.approx(known, rel=1e-5)
    among_all = motion_losses(logits, offsets, [agents], [pairs], ONES, count_unknown=True)
    assert float(among_all["motion_loss_cls_0"]) == pytest.approx(known * 2 / 3, rel=1e-5)


def test_motion_regression_formula() -> None:
    agents = make_agents(2, torch.Generator().manual_seed(1))
    agents = replace(agents, valid=torch.tensor([[1.0] * 12, [1.0] * 3 + [0.0] * 9]))
    offsets = agents.offsets[None, :, None].expand(-1, -1, 6, -1, -1) + torch.tensor([0.1, -0.2])
    losses = motion_losses(torch.zeros(1, 2, 6), offsets, [agents], [identity(2, offsets.device)], ONES, False)
    steps = sum(range(1, 13)) + sum(range(1, 4))  # the error of a position grows with every step
    assert float(losses["motion_loss_reg_0"]) == pytest.approx(0.3 * steps / 2, rel=1e-4)


def test_no_agents_no_loss() -> None:
    agents = make_agents(0, torch.Generator())
    offsets = torch.zeros(1, 4, 6, 12, 2, requires_grad=True)
    losses = motion_losses(torch.zeros(1, 4, 6), offsets, [agents], [identity(0, offsets.device)], ONES, True)
    assert {float(value) for value in losses.values()} == {0.0}
    losses["motion_loss_reg_0"].backward()


@pytest.mark.parametrize("command", [0, 1, 2])
def test_only_the_commanded_branch_learns(command: int) -> None:
    generator = torch.Generator().manual_seed(2)
    ego = replace(drive(1, generator), command=torch.tensor([command]))
    logits = torch.randn(1, 18, generator=generator, requires_grad=True)
    offsets = torch.randn(1, 18, 6, 2, generator=generator, requires_grad=True)
    branch = planning.commanded_branch(logits, offsets, ego)
    loss = planning.hard_classification(branch, ego, ONES) + planning.regression(branch, ego, ONES)
    loss.backward()
    assert logits.grad is not None and offsets.grad is not None
    assert logits.grad[0].nonzero().flatten().tolist() == list(range(6 * command, 6 * command + 6))
    best = offsets.grad[0].flatten(1).any(dim=-1).nonzero().flatten().tolist()
    assert best == [6 * command + int(branch.best)]


def test_plan_formulas() -> None:
    ego = drive(2, torch.Generator().manual_seed(3))
    offsets = ego.offsets[:, None].expand(-1, 18, -1, -1) + torch.tensor([0.1, -0.3])
    branch = planning.commanded_branch(torch.zeros(2, 18), offsets, ego)
    assert float(planning.regression(branch, ego, ONES)) == pytest.approx(0.2, rel=1e-4)
    assert float(planning.regression(branch, ego, teacher_weights())) == pytest.approx(0.4, rel=1e-4)
    cls = 0.25 * math.log(2) * (0.25 + 5 * 0.75) / 6
    assert float(planning.hard_classification(branch, ego, ONES)) == pytest.approx(cls, rel=1e-5)
    assert float(planning.status_loss(ego.status + 0.5, ego, ONES)) == pytest.approx(0.5, rel=1e-5)


def test_streams_without_a_future_teach_no_plan() -> None:
    ego = replace(drive(2, torch.Generator().manual_seed(4)), valid=torch.zeros(2, 6))
    logits = torch.randn(2, 18, requires_grad=True)
    branch = planning.commanded_branch(logits, torch.randn(2, 18, 6, 2), ego)
    terms = (planning.hard_classification, planning.soft_classification, planning.regression)
    assert [float(term(branch, ego, ONES)) for term in terms] == [0.0, 0.0, 0.0]


def test_soft_target_and_its_divergence() -> None:
    """The micro check of the specification: logits 1, 2, 3, 0, 0, 0 against .05, .9, .05, weight .5."""
    errors = torch.tensor([[2.0, 1.0, 3.0, 4.0, 5.0, 6.0]])
    target = planning.soft_target(errors)
    assert target[0].tolist() == pytest.approx([0.05, 0.9, 0.05, 1e-10, 1e-10, 1e-10])
    ego = drive(1, torch.Generator().manual_seed(5))
    branch = planning.CommandedBranch(
        torch.tensor([[1.0, 2.0, 3.0, 0.0, 0.0, 0.0]]), torch.zeros(1, 6, 6, 2), errors, errors.argmin(dim=-1)
    )
    assert float(planning.soft_classification(branch, ego, LossWeights())) == pytest.approx(0.553969, abs=1e-5)


def test_depth_formula() -> None:
    target = [torch.tensor([[[[10.0, -1.0], [20.0, -1.0]]]]), torch.tensor([[[[-1.0]]]]), torch.tensor([[[[59.0]]]])]
    predicted = [torch.tensor([[[[11.0, 5.0], [17.0, 5.0]]]]), torch.tensor([[[[3.0]]]]), torch.tensor([[[[99.0]]]])]
    assert float(depth_loss(predicted, target, ONES)) == pytest.approx((2.0 + 0.0 + 1.0) / 3)
    assert float(depth_loss(predicted, target, LossWeights())) == pytest.approx(0.2)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_weights_are_numbers_of_zero_or_more(value: float) -> None:
    with pytest.raises(ConfigurationError, match="loss weight det_cls"):
        LossWeights(det_cls=value)
