"""Seconds per set of the DiffusionDrive networks, and how much faster than the plain computation they are."""

from __future__ import annotations

import torch

from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio, timed
from distilldrive_ros.bench.student import measure_model
from distilldrive_ros.models.diffusiondrive.config import preset
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs
from distilldrive_ros.models.diffusiondrive.noise import fixed_noise
from distilldrive_ros.models.registry import load_model

# Seconds per set that a model is held to on two CPU cores.
TARGETS_S = {"diffusiondrive_tiny": 0.4}
SETS = {"diffusiondrive": 3, "diffusiondrive_rl": 3, "diffusiondrive_v1": 3, "diffusiondrive_tiny": 10}
SPEED_UP_TARGET = 1.5
PAIRS = 5


def measure(quick: bool) -> list[Measurement]:
    """Drive each model over a few sets, then compare the ways of computing on the full-size and the small one."""
    sets = {"diffusiondrive_tiny": 2} if quick else SETS
    found: list[Measurement] = []
    for name, count in sets.items():
        found += measure_model(name, load_model(name), count, TARGETS_S.get(name))
    compared = "diffusiondrive_tiny" if quick else "diffusiondrive"
    return found + _speed_up(compared, 1 if quick else PAIRS, None if quick else SPEED_UP_TARGET)


def _speed_up(name: str, pairs: int, target: float | None) -> list[Measurement]:
    """Plain against quick computation of the same network on the CPU, in turns, and how far the results differ."""
    config = preset(name)
    network = untrained_network(config, torch.Generator().manual_seed(0))
    inputs = _inputs(network)
    noise = fixed_noise(config)
    times: dict[Execution, list[float]] = {Execution.PLAIN: [], Execution.SPARSE: []}
    candidates = {}
    with torch.inference_mode():
        for turn in range(pairs + 1):
            for execution, seconds in times.items():
                network.execution = execution
                elapsed = timed(lambda: network(inputs, noise))
                if turn:
                    seconds.append(elapsed)
        for execution in times:
            network.execution = execution
            candidates[execution] = network(inputs, noise).plan.candidates
    difference = float((candidates[Execution.PLAIN] - candidates[Execution.SPARSE])[..., :2].abs().max())
    ratio = paired_ratio(times[Execution.PLAIN], times[Execution.SPARSE])
    plain, sparse = (Spread.of(times[execution]).median for execution in times)
    note = f"median of {pairs} pairs, CPU, {torch.get_num_threads()} threads"
    return [
        Measurement(f"{name} network, plain", plain, "s"),
        Measurement(f"{name} network, short cuts", sparse, "s"),
        Measurement(f"{name} speed-up by short cuts", ratio, "x", target, "higher", note),
        Measurement(f"{name} largest difference of a way-point", difference, "m", 2e-4),
    ]


def _inputs(network: DiffusionDriveNetwork) -> DiffusionInputs:
    config, generator = network.config, torch.Generator().manual_seed(1)
    camera = torch.rand(1, 3, config.image_height, config.image_width, generator=generator)
    lidar = torch.rand(1, 1, config.lidar_cells, config.lidar_cells, generator=generator)
    return DiffusionInputs(camera, lidar, torch.tensor([[0.0, 1, 0, 0, 8, 0, 0, 0]]))
