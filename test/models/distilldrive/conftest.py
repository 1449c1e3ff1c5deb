"""Golden reference of the student: weights and inputs are functions, outputs were recorded from the reference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import student, student_tiny
from distilldrive_ros.models.distilldrive.engine import PLAIN, EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.state import (
    BankState,
    IdentityState,
    QueueState,
    StudentState,
    map_tensors,
)

InputsFactory = Callable[..., StudentInputs]


@dataclass(frozen=True)
class GoldenRun:
    """Full-size network on the reference weights: two frames, the second one from two different states."""

    levels: tuple[Tensor, ...]
    inputs: StudentInputs
    state: StudentState
    outputs: StudentOutputs
    next_levels: tuple[Tensor, ...]
    from_reference: tuple[StudentState, StudentOutputs]
    as_stream: tuple[StudentState, StudentOutputs]


@pytest.fixture(scope="session")
def golden_dir(distilldrive_golden: Path) -> Path:
    """Folder of the recorded numbers."""
    return distilldrive_golden


@pytest.fixture(scope="session")
def rules(distilldrive_rules: ModuleType) -> ModuleType:
    """The weight and input rules that came with the numbers."""
    return distilldrive_rules


@pytest.fixture(scope="session")
def reference_network(rules: ModuleType, golden_dir: Path) -> StudentNetwork:
    """Full-size student filled by the weight rule. Tests must leave its weights as they are."""
    with torch.device("meta"):
        network = StudentNetwork(student())
    table = rules.read_table(golden_dir / "statedict.txt")
    table = {key: shape for key, shape in table.items() if not key.startswith("head.distillation_head.")}
    weights = {key: torch.from_numpy(np.asarray(value)) for key, value in rules.state_dict(table)}
    network.load_state_dict(weights, strict=True, assign=True)
    return network.eval()


@pytest.fixture(scope="session")
def golden_inputs(rules: ModuleType) -> InputsFactory:
    """Inputs of frame t of the recorded stream."""

    def make(t: int) -> StudentInputs:
        frame = rules.frame(t)
        names = ("img", "projection_mat", "image_wh", "timestamp", "T_global")
        return StudentInputs(*(torch.from_numpy(frame[name]) for name in names))

    return make


@pytest.fixture(scope="session")
def reference_state(golden_dir: Path) -> StudentState:
    """Recorded state after frame 0."""
    with np.load(golden_dir / "state_after_frame0.npz") as file:
        t = {name: torch.from_numpy(file[name])[None] for name in file.files}
    return StudentState(
        t["timestamp"],
        t["T_global"],
        BankState(t["det_feature"], t["det_anchor"], t["det_confidence"]),
        IdentityState(t["det_ids"].long(), t["det_next_id"].long()),
        BankState(t["map_feature"], t["map_anchor"], t["map_confidence"]),
        QueueState(
            t["queue_agent_feature"],
            t["queue_agent_box"],
            t["queue_period"].long(),
            t["queue_prev_ids"].long(),
            t["queue_prev_confidence"],
            t["queue_ego_feature"],
            t["queue_ego_box"],
            t["queue_ego_period"][:, 0].long(),
            t["queue_prev_status"],
        ),
    )


@pytest.fixture(scope="session", params=["engine", "plain", "gpu"])
def golden_run(
    request: pytest.FixtureRequest,
    reference_network: StudentNetwork,
    golden_inputs: InputsFactory,
    reference_state: StudentState,
) -> GoldenRun:
    """The only full-size passes of the suite: with all optimisations, without any, and on a GPU where there is one."""
    if request.param == "gpu":
        if not torch.cuda.is_available():
            pytest.skip("no GPU here")
        on_gpu = copy.deepcopy(reference_network).to("cuda")
        return _golden_run(StudentEngine(on_gpu), lambda t: golden_inputs(t).to("cuda"), reference_state.to("cuda"))
    engine = StudentEngine(reference_network, PLAIN if request.param == "plain" else EngineOptions())
    return _golden_run(engine, golden_inputs, reference_state)


def _golden_run(engine: StudentEngine, golden_inputs: InputsFactory, reference_state: StudentState) -> GoldenRun:
    with torch.inference_mode():
        inputs = golden_inputs(0)
        levels = engine.extract_features(inputs.images)
        state, outputs = engine.decode_features(None, levels, inputs)
        following = golden_inputs(1)
        next_levels = engine.extract_features(following.images)
        from_reference = engine.decode_features(reference_state, next_levels, following)
        as_stream = engine.decode_features(state, next_levels, following)
    run = GoldenRun(levels, inputs, state, outputs, next_levels, from_reference, as_stream)
    return map_tensors(run, lambda tensor: tensor.cpu())


@pytest.fixture(scope="session")
def tiny_network() -> StudentNetwork:
    """Untrained small student."""
    return untrained_network(student_tiny(), torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def tiny_inputs() -> InputsFactory:
    """Random images of the small student; `streams` copies, driving forward 4 m per frame, half a second apart."""
    config = student_tiny()

    def make(t: int, delay: float = 0.0, streams: int = 1) -> StudentInputs:
        generator = torch.Generator().manual_seed(t)
        size = (1, config.num_cameras, 3, config.image_height, config.image_width)
        images = torch.randn(size, generator=generator)
        world_from_lidar = torch.eye(4, dtype=torch.float64)
        world_from_lidar[1, 3] = 4.0 * t
        size_xy = torch.tensor([config.image_width, config.image_height], dtype=torch.float32)
        return StudentInputs(
            images.expand(streams, -1, -1, -1, -1),
            _ring_of_cameras(config.num_cameras, size_xy).expand(streams, -1, -1, -1),
            size_xy.expand(streams, config.num_cameras, 2),
            torch.full((streams,), 100.0 + 0.5 * t + delay, dtype=torch.float64),
            world_from_lidar.expand(streams, -1, -1),
        )

    return make


def _ring_of_cameras(count: int, size: Tensor) -> Tensor:
    """Projection matrices [1, count, 4, 4] of level cameras at the origin, evenly spread over all headings."""
    focal = 0.8 * float(size[0])
    intrinsic = torch.eye(4)
    intrinsic[0, 0] = intrinsic[1, 1] = focal
    intrinsic[:2, 2] = size / 2
    out = []
    for heading in torch.arange(count) * (2 * torch.pi / count):
        c, s = heading.cos(), heading.sin()
        extrinsic = torch.eye(4)
        extrinsic[:3, :3] = torch.tensor([[c, s, 0], [0, 0, -1], [-s, c, 0]])
        out.append(intrinsic @ extrinsic)
    return torch.stack(out)[None]
