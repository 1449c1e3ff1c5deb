"""Assignment of instances to annotations, against brute force."""

from __future__ import annotations

from itertools import permutations

import torch
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.training.losses.matching import assign, identity


@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 10_000))
def test_no_assignment_is_cheaper(instances: int, targets: int, seed: int) -> None:
    targets = min(targets, instances)
    cost = torch.randn(instances, targets, generator=torch.Generator().manual_seed(seed))
    pairs = assign(cost)
    assert sorted(pairs.targets.tolist()) == list(range(targets))
    assert len(set(pairs.rows.tolist())) == targets
    found = float(cost[pairs.rows, pairs.targets].sum())
    best = min(
        float(sum(cost[row, target] for target, row in enumerate(rows)))
        for rows in permutations(range(instances), targets)
    )
    assert abs(found - best) <= 1e-5


def test_more_targets_than_instances_leave_some_unmatched() -> None:
    pairs = assign(torch.tensor([[3.0, 1.0, 2.0]]))
    assert pairs.rows.tolist() == [0]
    assert pairs.targets.tolist() == [1]


def test_unusable_costs_are_the_last_choice() -> None:
    nan, inf = float("nan"), float("inf")
    pairs = assign(torch.tensor([[nan, 1.0], [5.0, -inf], [inf, 9.0]]))
    assert dict(zip(pairs.targets.tolist(), pairs.rows.tolist(), strict=True)) == {0: 1, 1: 0}


def test_identity() -> None:
    pairs = identity(3, torch.device("cpu"))
    assert pairs.rows.tolist() == pairs.targets.tolist() == [0, 1, 2]
