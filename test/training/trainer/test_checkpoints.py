"""Checkpoints: whole or not at all, newest first, refused where they do not belong."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError
from distilldrive_ros.training.losses.value import ValueGradient
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.trainer.checkpoints import (
    Checkpoint,
    CheckpointFolder,
    refuse_old_training,
    write_weights,
)
from distilldrive_ros.training.trainer.config import DataConfig, OptimizerConfig, RunConfig, TrainConfig
from distilldrive_ros.training.whole_files import StorageError, write_whole_file

CONFIG = TrainConfig("teacher", run=RunConfig(keep_checkpoints=2))


def checkpoint(iteration: int, size: int = 3) -> Checkpoint:
    optimizer = {"state": {0: {"GG": [torch.ones(2, 2), []]}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return Checkpoint(iteration, {"w": torch.full((size,), float(iteration))}, optimizer)


def test_the_newest_readable_one_counts(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, CONFIG, streams=2)
    assert folder.latest() is None
    for iteration in (10, 20, 30):
        folder.save(checkpoint(iteration))
    assert [path.name for path in folder.paths()] == ["checkpoint-00000020.pt", "checkpoint-00000030.pt"]
    found = folder.latest()
    assert found is not None
    assert found.iteration == 30
    assert torch.equal(found.stage["w"], torch.full((3,), 30.0))
    assert found.optimizer["state"][0]["GG"][1] == []
    newest = folder.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-200])
    found = folder.latest()
    assert found is not None
    assert found.iteration == 20
    folder.paths()[0].write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        folder.latest()


def test_one_of_another_configuration_is_refused(tmp_path: Path) -> None:
    CheckpointFolder(tmp_path, CONFIG, streams=2).save(checkpoint(10))
    other = replace(CONFIG, optimizer=OptimizerConfig(lr=1e-2))
    with pytest.raises(CheckpointError, match=r"optimizer.lr \(0.0003 there, 0.01 here\)"):
        CheckpointFolder(tmp_path, other, streams=2).latest()
    with pytest.raises(CheckpointError, match="streams"):
        CheckpointFolder(tmp_path, CONFIG, streams=4).latest()
    moved = replace(CONFIG, data=DataConfig(dataroot=Path("/elsewhere"), workers=0), run=replace(CONFIG.run, threads=1))
    assert CheckpointFolder(tmp_path, moved, streams=2).latest() is not None
    with pytest.raises(ConfigurationError, match="give --resume"):
        refuse_old_training(CheckpointFolder(tmp_path, CONFIG, streams=2), tmp_path)


def test_a_setting_that_came_later_counts_as_its_default(tmp_path: Path) -> None:
    path = CheckpointFolder(tmp_path, CONFIG, streams=2).save(checkpoint(10))
    content = torch.load(path, weights_only=True)
    identity = json.loads(content["identity"])
    del identity["options.value_gradient"]
    torch.save({**content, "identity": json.dumps(identity)}, path)
    assert CheckpointFolder(tmp_path, CONFIG, streams=2).latest() is not None
    changed = replace(CONFIG, options=TrainingOptions(value_gradient=ValueGradient.VALUE))
    with pytest.raises(CheckpointError, match=r"options.value_gradient \(None there, 'value' here\)"):
        CheckpointFolder(tmp_path, changed, streams=2).latest()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 64 KiB, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_older_ones(tmp_path: Path, full_disk: None) -> None:
    folder = CheckpointFolder(tmp_path, CONFIG, streams=1)
    folder.save(checkpoint(10))
    with pytest.raises(StorageError, match="make room on the disk"):
        folder.save(checkpoint(20, size=100_000))
    with pytest.raises(StorageError, match="make room on the disk"):
        write_weights(tmp_path / "w.safetensors", {"w": torch.zeros(100_000)})
    found = folder.latest()
    assert found is not None
    assert found.iteration == 10
    assert os.listdir(tmp_path) == ["checkpoint-00000010.pt"]  # noqa: PTH208 - hidden files, too


def test_half_written_files_are_tidied_away(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-00000010.pt.abc.partial").write_bytes(b"half")
    CheckpointFolder(tmp_path, CONFIG, streams=1).tidy()
    assert list(tmp_path.iterdir()) == []


def test_writing_fails_without_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def interrupted(stream: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole_file(path, interrupted)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StorageError, match="cannot write"):
        write_whole_file(path / "below", lambda stream: None)


def test_weights_of_shared_memory_are_written(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    write_weights(tmp_path / "w.safetensors", {"a": base, "b": base.T})
    found = load_file(tmp_path / "w.safetensors")
    assert torch.equal(found["b"], base.T)
