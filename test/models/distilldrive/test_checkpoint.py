"""Weight files: what loads, what is left aside, and that nothing else gets in."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from distilldrive_ros.models.distilldrive.checkpoint import load_checkpoint
from distilldrive_ros.models.distilldrive.config import student_tiny
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import CheckpointError

StateDict = dict[str, Tensor]


@pytest.fixture
def weights(tiny_network: StudentNetwork) -> StateDict:
    """State dict of the small student; tests may change the dict, not the tensors."""
    return dict(tiny_network.state_dict())


@pytest.fixture
def network() -> StudentNetwork:
    """Another small student, all parameters 0."""
    network = StudentNetwork(student_tiny())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    return network


def same_weights(network: StudentNetwork, weights: StateDict) -> bool:
    return all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_official_layout(network: StudentNetwork, weights: StateDict, tmp_path: Path) -> None:
    """meta, state_dict, optimizer; the teacher inside is left aside."""
    teacher = {f"head.distillation_head.layers.{i}.weight": torch.ones(2) for i in range(3)}
    path = tmp_path / "stage2.pth"
    meta = {"epoch": 10, "iter": 5860, "config": "text", "CLASSES": ("car", "truck")}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3), "step": 1}}, "param_groups": [{"lr": 3e-4}]}
    torch.save({"meta": meta, "state_dict": {**weights, **teacher}, "optimizer": optimizer}, path)
    report = load_checkpoint(network, path)
    assert same_weights(network, weights)
    assert (report.loaded, report.ignored_teacher) == (len(weights), 3)
    assert report.missing_training_only == () and report.unexpected == ()
    assert len(report.digest) == 12
    assert "3 teacher entries ignored" in report.summary()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bare_state_dict(network: StudentNetwork, weights: StateDict, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file({key: value.contiguous() for key, value in weights.items()}, path)
    load_checkpoint(network, path)
    assert same_weights(network, weights)


def test_prefix_of_parallel_training(network: StudentNetwork, weights: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "parallel.pth"
    torch.save({f"module.{key}": value for key, value in weights.items()}, path)
    load_checkpoint(network, path)
    assert same_weights(network, weights)


def test_what_inference_does_not_read_may_be_absent(
    network: StudentNetwork, weights: StateDict, tmp_path: Path
) -> None:
    optional = ("depth_branch.", "head.motion_plan_head.dqn_model.")
    kept = {key: value for key, value in weights.items() if not key.startswith(optional)}
    path = tmp_path / "deployed.pth"
    torch.save({**kept, "ema.decay": torch.ones(1)}, path)
    report = load_checkpoint(network, path)
    assert set(report.missing_training_only) == set(weights) - set(kept)
    assert report.unexpected == ("ema.decay",)
    assert "1 unexpected (ema.decay)" in report.summary()


def refused(network: StudentNetwork, path: Path) -> str:
    """Message of the refusal; the network must be untouched."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(network, path)
    assert same_weights(network, before)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Payload:
    """Runs a command when unpickled by a careless reader."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_hostile_file_is_not_executed(network: StudentNetwork, tmp_path: Path, legacy: bool) -> None:
    marker, path = tmp_path / "executed", tmp_path / "hostile.pth"
    torch.save({"state_dict": Payload(marker)}, path, _use_new_zipfile_serialization=not legacy)
    message = refused(network, path)
    assert not marker.exists()
    assert "never executed" in message


def test_plain_pickle_is_not_executed(network: StudentNetwork, tmp_path: Path) -> None:
    marker, path = tmp_path / "executed", tmp_path / "hostile.pth"
    path.write_bytes(pickle.dumps(Payload(marker), protocol=2))
    refused(network, path)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_truncated_file(network: StudentNetwork, weights: StateDict, tmp_path: Path, suffix: str, share: float) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        torch.save(weights, whole)
    else:
        save_file({key: value.contiguous() for key, value in weights.items()}, whole)
    data = whole.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(network, path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("seed", range(5))
def test_noise_file(network: StudentNetwork, tmp_path: Path, suffix: str, seed: int) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(seed).bytes(5000))
    refused(network, path)


def test_absent_file(network: StudentNetwork, tmp_path: Path) -> None:
    assert "does not exist" in refused(network, tmp_path / "nowhere.pth")
    assert "does not exist" in refused(network, tmp_path)


def test_other_network(network: StudentNetwork, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 4)).state_dict(), path)
    message = refused(network, path)
    assert "does not fit this network" in message and "0.weight" in message


def test_perception_checkpoint_lacks_the_planner(network: StudentNetwork, weights: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "stage1.pth"
    torch.save({key: value for key, value in weights.items() if "motion_plan_head" not in key}, path)
    message = refused(network, path)
    assert "head.motion_plan_head" in message and "stage-2" in message


def test_other_configuration(network: StudentNetwork, weights: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "larger.pth"
    anchor = "head.det_head.instance_bank.anchor"
    torch.save({**weights, anchor: torch.zeros(900, 11)}, path)
    message = refused(network, path)
    assert f"{anchor} (900, 11) instead of (96, 11)" in message and "preset" in message


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_diverged_training(network: StudentNetwork, weights: StateDict, tmp_path: Path, bad: float) -> None:
    path = tmp_path / "diverged.pth"
    key = "img_neck.fpn_convs.0.conv.bias"
    torch.save({**weights, key: torch.full_like(weights[key], bad)}, path)
    assert key in refused(network, path)


@pytest.mark.parametrize(
    "content", [3, [1, 2], {}, {"state_dict": {}}, {"state_dict": {"a": 1}}, {1: torch.ones(2)}, torch.ones(3)]
)
def test_no_state_dict(tmp_path: Path, content: object) -> None:
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match="state dict"):
        read_state_dict(path)
