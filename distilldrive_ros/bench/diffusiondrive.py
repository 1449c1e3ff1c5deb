"""Seconds per set of the DiffusionDrive networks, and how much faster than the plain computation they are."""

from __future__ import annotations

import copy

import torch

from distilldrive_ros.bench.load import best_device, timed_on
from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio
from distilldrive_ros.bench.stages import StageTimes, load_of
from distilldrive_ros.bench.student import GPU_SETS, measure_model
from distilldrive_ros.models.diffusiondrive.config import preset
from distilldrive_ros.models.diffusiondrive.engine import DiffusionEngine, NoisyInputs
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs
from distilldrive_ros.models.diffusiondrive.noise import PlannerNoise, fixed_noise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode
from distilldrive_ros.models.registry import load_model

SETS = {"diffusiondrive": 3, "diffusiondrive_rl": 3, "diffusiondrive_v1": 3, "diffusiondrive_tiny": 10}
SPEED_UP_TARGET = 1.5
PAIRS = 5


def measure(quick: bool) -> list[Measurement]:
    """Drive each model over a few sets, then compare the ways of computing on the full-size and the small one."""
    sets = {"diffusiondrive_tiny": 2} if quick else SETS
    if best_device().type == "cuda" and not quick:
        sets = dict.fromkeys(SETS, GPU_SETS)
    found: list[Measurement] = []
    for name, count in sets.items():
        found += measure_model(name, load_model(name), count)
    compared = "diffusiondrive_tiny" if quick else "diffusiondrive"
    return found + _speed_up(compared, 1 if quick else PAIRS, None if quick else SPEED_UP_TARGET)


def _speed_up(name: str, pairs: int, target: float | None) -> list[Measurement]:
    """Plain computation against the engine on the same network and device, in turns, and how far the results differ."""
    config, device = preset(name), best_device()
    network = untrained_network(config, torch.Generator().manual_seed(0)).to(device)
    inputs = _inputs(network).to(device)
    noise = fixed_noise(config).to(device)
    engine = DiffusionEngine(copy.deepcopy(network))
    rough = DiffusionEngine(copy.deepcopy(network), "bf16")
    network.execution = Execution.PLAIN
    plain, fast, halved = [], [], []
    with torch.inference_mode():
        difference = float(
            (network(inputs, noise).plan.candidates - engine(inputs, noise).plan.candidates)[..., :2].abs().max()
        )
        for _ in range(pairs):
            plain.append(timed_on(device, lambda: network(inputs, noise)))
            fast.append(timed_on(device, lambda: engine(inputs, noise)))
            halved.append(timed_on(device, lambda: rough(inputs, noise)))
        stages = _stages(name, engine, inputs, noise, pairs)
    stages.append(_captured(name, engine, NoisyInputs(inputs, noise), pairs))
    note = f"median of {pairs} pairs, {device}, {torch.get_num_threads()} threads"
    return [
        Measurement(f"{name} network, plain", Spread.of(plain).median, "s"),
        Measurement(f"{name} network, engine", Spread.of(fast).median, "s"),
        Measurement(f"{name} engine against plain", paired_ratio(plain, fast), "x", target, "higher", note),
        Measurement(f"{name} engine bf16 against plain", paired_ratio(plain, halved), "x", note=note),
        Measurement(f"{name} largest difference of a way-point", difference, "m", 2e-4),
        *stages,
    ]


def _stages(
    name: str, engine: DiffusionEngine, inputs: DiffusionInputs, noise: PlannerNoise, runs: int
) -> list[Measurement]:
    """The engine taken apart."""
    network, device = engine.network, inputs.camera.device
    head, execution = network.trajectory_head, network.execution
    times = StageTimes(device)
    for _ in range(runs):
        with times.stage("backbone"):
            features = engine.extract_features(inputs)
        with times.stage("scene"):
            scene = network.encode_scene(features, inputs.status)
        with times.stage("policy"):
            head.sample(scene, noise.initial, SamplingMode.COMPATIBLE, execution)
        candidates = network.decode(features, scene, noise, SamplingMode.COMPATIBLE).plan.candidates
        with times.stage("selector"):
            head.select(candidates, scene, execution)
    return times.measurements(f"{name} stage:") + load_of(f"{name} network", lambda: engine(inputs, noise), device)


def _captured(name: str, engine: DiffusionEngine, given: NoisyInputs, runs: int) -> Measurement:
    """The network's whole step in fixed memory, from inputs to outputs on the CPU."""
    step, device = engine.captured_step(SamplingMode.COMPATIBLE), given.sensors.camera.device
    seconds = [timed_on(device, lambda: step.run(None, given)) for _ in range(runs + 1)]
    return Measurement(f"{name} network, fixed memory", Spread.of(seconds[1:]).median, "s", note=str(step.report))


def _inputs(network: DiffusionDriveNetwork) -> DiffusionInputs:
    config, generator = network.config, torch.Generator().manual_seed(1)
    camera = torch.rand(1, 3, config.image_height, config.image_width, generator=generator)
    lidar = torch.rand(1, 1, config.lidar_cells, config.lidar_cells, generator=generator)
    return DiffusionInputs(camera, lidar, torch.tensor([[0.0, 1, 0, 0, 8, 0, 0, 0]]))
