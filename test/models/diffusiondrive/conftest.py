"""Golden reference of DiffusionDrive: weights and inputs are functions, outputs were recorded from the reference."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.config import (
    DiffusionDriveConfig,
    diffusiondrive,
    diffusiondrive_rl,
    diffusiondrive_tiny,
    diffusiondrive_v1,
)
from distilldrive_ros.models.diffusiondrive.engine import DiffusionEngine
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs, DiffusionOutputs
from distilldrive_ros.models.diffusiondrive.noise import PlannerNoise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode

OFFICIAL: dict[str, Callable[[], DiffusionDriveConfig]] = {
    "v1": diffusiondrive_v1,
    "rl": diffusiondrive_rl,
    "sel": diffusiondrive,
}


@dataclass(frozen=True)
class GoldenRun:
    """One recorded batch: what was recorded, what our network gave, and outputs of modules by name, call by call."""

    recorded: dict[str, NDArray[Any]]
    encoder: dict[str, NDArray[Any]]
    stages: Any
    scene: Any
    outputs: DiffusionOutputs
    bev_up: Tensor
    bev: Tensor
    modules: dict[str, list[Tensor]] = field(default_factory=dict)


@pytest.fixture(scope="session")
def golden_dir(shared_dir: Path) -> Path:
    """Folder of the recorded numbers."""
    return shared_dir / "golden" / "diffusiondrivev2"


@pytest.fixture(scope="session")
def rules(golden_dir: Path) -> ModuleType:
    """The weight and input rules that came with the numbers."""
    spec = importlib.util.spec_from_file_location("diffusiondrive_golden_rules", golden_dir.parent / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def anchors(golden_dir: Path) -> NDArray[np.float32]:
    with np.load(golden_dir / "inputs.npz") as file:
        return np.asarray(file["plan_anchor"])


@pytest.fixture(scope="session")
def reference_weights(rules: ModuleType, golden_dir: Path, anchors: NDArray[np.float32]) -> dict[str, Tensor]:
    """All tensors of all three variants by name: v1's second layer is the only part that `sel` lacks."""
    table = {**rules.read_table(golden_dir / "statedict.txt", "sel")}
    table.update(rules.read_table(golden_dir / "statedict.txt", "v1"))
    return {name: torch.from_numpy(np.asarray(a)) for name, a in rules.state_dict(table, "public", anchors)}


@pytest.fixture(scope="session")
def reference_network(
    rules: ModuleType, golden_dir: Path, reference_weights: dict[str, Tensor]
) -> Callable[[str], DiffusionDriveNetwork]:
    """Full-size network of a variant on the reference weights, which it shares: tests must not change them."""

    def make(variant: str) -> DiffusionDriveNetwork:
        with torch.device("meta"):
            network = DiffusionDriveNetwork(OFFICIAL[variant]())
        table = rules.read_table(golden_dir / "statedict.txt", variant)
        network.load_state_dict({name: reference_weights[name] for name in table}, strict=True, assign=True)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def golden_inputs(golden_dir: Path) -> Callable[[str], DiffusionInputs]:
    """Inputs of the batch `b1` or `b2`."""

    def make(batch: str) -> DiffusionInputs:
        with np.load(golden_dir / "inputs.npz") as file:
            camera = torch.from_numpy(file[f"{batch}_camera_k255"]).float() / 255.0
            lidar = torch.from_numpy(file[f"{batch}_lidar_k5"]).float() / 5.0
            return DiffusionInputs(camera, lidar, torch.from_numpy(file[f"{batch}_status"]))

    return make


def batch_of(path: Path, batch: str) -> dict[str, NDArray[Any]]:
    """Arrays of one batch, without their prefix."""
    with np.load(path) as file:
        return {name[3:]: file[name] for name in file.files if name.startswith(batch)}


@pytest.fixture(scope="session")
def golden_run(
    reference_network: Callable[[str], DiffusionDriveNetwork],
    golden_inputs: Callable[[str], DiffusionInputs],
    golden_dir: Path,
) -> Callable[[str, str, Execution | None], GoldenRun]:
    """Run a variant on a batch; runs are kept. Execution None is the engine."""
    kept: dict[tuple[str, str, Execution | None], GoldenRun] = {}

    def run(variant: str, batch: str, execution: Execution | None) -> GoldenRun:
        key = (variant, batch, execution)
        if key not in kept:
            kept[key] = _golden_run(reference_network(variant), golden_inputs(batch), golden_dir, *key)
        return kept[key]

    return run


def _golden_run(
    network: DiffusionDriveNetwork,
    inputs: DiffusionInputs,
    golden_dir: Path,
    variant: str,
    batch: str,
    execution: Execution | None,
) -> GoldenRun:
    recorded = batch_of(golden_dir / f"{variant}.npz", batch)
    engine = DiffusionEngine(network) if execution is None else None
    if execution is not None:
        network.execution = execution
    modules: dict[str, list[Tensor]] = {}
    head = network.trajectory_head
    for name in ("plan_anchor_encoder", "time_mlp", "plan_anchor_scorer_encoder"):
        if hasattr(head, name):
            _record(head.get_submodule(name), modules.setdefault(name, []))
    factors = torch.from_numpy(recorded["aug_factor"]) if "aug_factor" in recorded else torch.ones(0)
    noise = PlannerNoise(torch.from_numpy(recorded["noise"]), factors)
    with torch.inference_mode():
        features = engine.extract_features(inputs) if engine else network.extract_features(inputs)
        scene = network.encode_scene(features, inputs.status)
        outputs = network.decode(features, scene, noise, SamplingMode.COMPATIBLE)
    encoder = batch_of(golden_dir / "encoder.npz", batch)
    return GoldenRun(recorded, encoder, features.stages, scene, outputs, features.bev_up, features.bev, modules)


def _record(module: nn.Module, into: list[Tensor]) -> None:
    module.register_forward_hook(lambda _module, _inputs, output: into.append(output))


@pytest.fixture(scope="session")
def tiny_network() -> DiffusionDriveNetwork:
    """Untrained small network. Tests must leave its weights as they are."""
    return untrained_network(diffusiondrive_tiny(), torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def tiny_inputs() -> DiffusionInputs:
    """Random inputs of two streams for the small network."""
    config, generator = diffusiondrive_tiny(), torch.Generator().manual_seed(1)
    camera = torch.rand(2, 3, config.image_height, config.image_width, generator=generator)
    lidar = torch.rand(2, 1, config.lidar_cells, config.lidar_cells, generator=generator)
    return DiffusionInputs(camera, lidar, torch.randn(2, 8, generator=generator))
