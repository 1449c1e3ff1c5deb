"""Learning rates of the schedules, groups of parameters, and both optimisers on a problem with a known answer."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.stages.stage import Stage
from distilldrive_ros.training.trainer.config import OptimizerConfig
from distilldrive_ros.training.trainer.optimizers import build_optimizer, learning_rate, set_learning_rate
from distilldrive_ros.training.trainer.precision import lower_image_precision


class LineStage(Stage):
    """Least squares with a part that is named as the image backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.img_backbone = nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, 1)
        self.frozen = nn.Linear(1, 1)
        self.frozen.requires_grad_(False)

    def compute_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        raise NotImplementedError

    def distance(self, points: Tensor) -> Tensor:
        return (self.head(self.img_backbone(points)) - points.sum(dim=1, keepdim=True)).square().mean()

    def forget(self) -> None:
        """Nothing is remembered."""

    def weights(self) -> dict[str, Tensor]:
        return self.state_dict()

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.load_state_dict(weights)


def test_the_rate_rises_and_falls_as_published() -> None:
    config = OptimizerConfig(lr=4e-4, warmup_iterations=500, warmup_start=1 / 3, final_factor=1e-3)
    total = 43_900
    assert learning_rate(config, 0, total) == pytest.approx(4e-4 / 3)
    assert learning_rate(config, 250, total) == pytest.approx(4e-4 * 2 / 3, rel=1e-3)
    assert learning_rate(config, 500, total) == pytest.approx(4e-4, rel=1e-3)
    half = 4e-7 + (4e-4 - 4e-7) / 2
    assert learning_rate(config, total // 2, total) == pytest.approx(half)
    assert learning_rate(config, total - 1, total) == pytest.approx(4e-7, rel=1e-3)
    rates = [learning_rate(config, i, total) for i in range(500, total, 100)]
    assert rates == sorted(rates, reverse=True)
    plain = OptimizerConfig(lr=1.0, final_factor=0.0)
    assert learning_rate(plain, 3, 10) == pytest.approx((1 + math.cos(0.3 * math.pi)) / 2)


@pytest.mark.parametrize("name", ["adamw", "soap"])
def test_both_optimisers_find_the_answer_and_leave_the_frozen_alone(name: str) -> None:
    if name == "soap":
        pytest.importorskip("pytorch_optimizer", reason="the extra `train` is not installed")
    torch.manual_seed(0)
    stage = LineStage()
    optimizer = build_optimizer(stage, OptimizerConfig(name, lr=2e-2, weight_decay=0.0, backbone_factor=0.5))
    groups = optimizer.param_groups
    assert [len(group["params"]) for group in groups] == [2, 1]
    set_learning_rate(optimizer, 2e-2)
    assert [group["lr"] for group in groups] == [2e-2, 1e-2]
    frozen = stage.frozen.weight.clone()
    points = torch.randn(64, 4)
    first = float(stage.distance(points).detach())
    for _ in range(200):
        optimizer.zero_grad(set_to_none=True)
        stage.distance(points).backward()
        optimizer.step()
    assert float(stage.distance(points).detach()) < 1e-3 * first
    assert torch.equal(stage.frozen.weight, frozen)


def test_lower_precision_is_that_of_the_image_network_alone() -> None:
    torch.manual_seed(0)
    stage = LineStage()
    points = torch.randn(8, 4)
    exact = stage.img_backbone(points)
    lower_image_precision(stage, "cpu")
    lowered = stage.img_backbone(points)
    assert lowered.dtype == torch.float32
    assert 0 < (lowered - exact).abs().max() < 0.05
    lowered.sum().backward()
    assert stage.img_backbone.weight.grad is not None
    assert stage.img_backbone.weight.grad.dtype == torch.float32
    assert "img_backbone.weight" in stage.state_dict()
