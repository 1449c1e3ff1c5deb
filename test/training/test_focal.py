"""Focal losses against their formulas, written out number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.training.losses.focal import (
    focal_cost,
    focal_posterior,
    gaussian_focal,
    mean_over,
    nothing,
    sigmoid_focal,
)

logit = st.floats(-8, 8)


@given(logit, st.booleans())
def test_sigmoid_focal_formula(x: float, positive: bool) -> None:
    p = 1 / (1 + math.exp(-x))
    expected = -0.25 * (1 - p) ** 2 * math.log(p) if positive else -0.75 * p**2 * math.log(1 - p)
    label = torch.tensor([0 if positive else 1])
    actual = sigmoid_focal(torch.tensor([[x]], dtype=torch.float64), label)
    assert float(actual) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.02, 1.0), min_size=2, max_size=20))
def test_posterior_is_what_the_best_logits_stand_for(weights: list[float]) -> None:
    """Of each class the logit with the lowest expected loss, found by trying them all, tells its probability."""
    truth = np.array(weights) / sum(weights)
    tried = torch.arange(-12.0, 12.0, 1e-3, dtype=torch.float64)[:, None]
    as_class = sigmoid_focal(tried, torch.zeros(len(tried), dtype=torch.int64))[:, 0].numpy()
    as_background = sigmoid_focal(tried, torch.ones(len(tried), dtype=torch.int64))[:, 0].numpy()
    best = [tried[np.argmin(p * as_class + (1 - p) * as_background), 0] for p in truth]
    assert focal_posterior(torch.stack(best)).exp().numpy() == pytest.approx(truth, rel=0.01)


def test_posterior_of_extreme_logits_is_a_distribution_with_a_gradient() -> None:
    logits = torch.tensor([[90.0, -90.0, 0.0, -15.0]], requires_grad=True)
    posterior = focal_posterior(logits)
    assert posterior.exp().sum().item() == pytest.approx(1.0)
    assert posterior.isfinite().all()
    posterior.square().sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_background_is_no_class_at_all() -> None:
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    one_more, many_more = (sigmoid_focal(logits, torch.full((3,), label)) for label in (4, 99))
    assert torch.equal(one_more, many_more)
    assert (one_more <= sigmoid_focal(logits + 1, torch.full((3,), 4))).all()


@given(logit)
def test_cost_is_positive_minus_negative_loss(x: float) -> None:
    logits = torch.tensor([[x, 0.5]], dtype=torch.float64)
    as_class = sigmoid_focal(logits, torch.tensor([0]))[0, 0]
    as_background = sigmoid_focal(logits, torch.tensor([2]))[0, 0]
    assert float(focal_cost(logits, torch.tensor([0]))) == pytest.approx(float(as_class - as_background), abs=1e-7)


@given(st.floats(0.01, 0.99), st.floats(0.0, 1.0))
def test_gaussian_focal_formula(p: float, target: float) -> None:
    expected = -math.log(p) * (1 - p) ** 2 if target == 1.0 else -math.log(1 - p) * p**2 * (1 - target) ** 4
    values = torch.tensor([p, target], dtype=torch.float64)
    assert float(gaussian_focal(values[0], values[1])) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_mean_over_and_nothing() -> None:
    assert float(mean_over(torch.tensor([1.0, 2.0]), torch.tensor(2))) == 1.5
    x = torch.tensor([1.0, float("nan")], requires_grad=True)
    nothing(x).backward()
    assert x.grad is not None and torch.equal(x.grad, torch.zeros(2))
