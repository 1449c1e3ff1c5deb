"""What the benchmarks of networks measure with: stages, arithmetic, memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from distilldrive_ros.bench.load import arithmetic, matmul_peak, peak_memory_mib
from distilldrive_ros.bench.stages import StageTimes, load_of

CPU = torch.device("cpu")


def test_stages_and_modules_are_told_apart() -> None:
    times = StageTimes(CPU)
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for _ in range(3):
        with times.stage("make"):
            x = torch.ones(2, 4)
        with times.modules({"linear": network[0], "relu": network[1]}):
            network(x)
    network(x)
    assert list(times.samples) == ["make", "linear", "relu"]
    assert all(len(values) == 3 and min(values) > 0 for values in times.samples.values())
    rows = times.measurements("x")
    assert [row.name for row in rows] == ["x make", "x linear", "x relu", "x total of the stages"]
    assert all("99th percentile" in row.note for row in rows)


def test_arithmetic_of_a_matrix_product() -> None:
    assert arithmetic(lambda: torch.ones(3, 5) @ torch.ones(5, 7)) == 2 * 3 * 5 * 7
    q = torch.ones(1, 2, 5, 8)
    attention = arithmetic(lambda: torch.nn.functional.scaled_dot_product_attention(q, q[:, :, :3], q[:, :, :3]))
    assert attention == 2 * 2 * 5 * 3 * 8 * 2
    with torch.inference_mode():
        assert arithmetic(lambda: nn.Conv2d(2, 4, 3)(torch.ones(1, 2, 5, 5))) == 2 * 3 * 3 * 4 * 2 * 9
    assert matmul_peak(CPU) > 1e6


def test_highest_memory_sees_what_is_gone_again() -> None:
    before = peak_memory_mib(lambda: None, CPU)
    assert peak_memory_mib(lambda: np.ones(64 * 2**20, np.uint8).sum(), CPU) == pytest.approx(before + 64, abs=48)


def test_load_of_a_network() -> None:
    names = [row.name for row in load_of("net", lambda: torch.ones(64, 64) @ torch.ones(64, 64), CPU)]
    assert names == ["net arithmetic", "net share of the matrix-product peak", "net highest memory"]
