"""Whole trainings on the made-up scene: all stages, interruption, broken data, and two processes against one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.models.diffusiondrive.checkpoint import is_selector_entry, load_checkpoint
from distilldrive_ros.models.diffusiondrive.config import diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.scene.errors import ConfigurationError, DatasetError
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.pipeline.augmentation import NO_AUGMENTATION
from distilldrive_ros.training.trainer.checkpoints import WEIGHTS_FILE
from distilldrive_ros.training.trainer.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from distilldrive_ros.training.trainer.config_file import plain
from distilldrive_ros.training.trainer.logs import read_log
from distilldrive_ros.training.trainer.loop import DivergedError
from distilldrive_ros.training.trainer.training import train

pytest.importorskip("tensorboard", reason="the extra `train` is not installed")

# Generous: a loaded machine imports torch for half a minute.
PATIENCE_S = 110
ITERATIONS = 12


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def teacher(demo_root: Path, cache: Path) -> TrainConfig:
    """Every frame a sequence of its own: what is remembered of streams cannot make two runs differ."""
    return TrainConfig(
        "teacher",
        DataConfig(demo_root, VERSION, cache=cache, sequence_parts=6, workers=0),
        optimizer=OptimizerConfig(lr=1e-3, warmup_iterations=3),
        run=RunConfig(ITERATIONS, batch_size=2, checkpoint_interval=3, log_interval=1, device="cpu", threads=1),
    )


@pytest.fixture(scope="module")
def teacher_weights(demo_root: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "out"
    data = DataConfig(demo_root, VERSION, cache=cache, workers=0)
    train(TrainConfig("teacher", data, run=RunConfig(3, device="cpu", threads=1)), out, resume=False)
    return out / WEIGHTS_FILE


def in_file(config: TrainConfig, path: Path) -> Path:
    path.write_text(yaml.safe_dump(plain(config)))
    return path


def losses(folder: Path) -> dict[int, float]:
    return {int(row["iteration"]): row["loss/total"] for row in read_log(folder)}


def same(first: dict[int, float], second: dict[int, float], tolerance: float) -> None:
    assert set(first) == set(second)
    for iteration, value in first.items():
        assert second[iteration] == pytest.approx(value, rel=tolerance), f"iteration {iteration}"


def test_losses_fall_and_a_killed_training_goes_on_as_if_nothing_had_been(
    teacher: TrainConfig, tmp_path: Path, repository: Path
) -> None:
    train(teacher, tmp_path / "whole", resume=False)
    whole = losses(tmp_path / "whole")
    assert set(whole) == set(range(1, ITERATIONS + 1))
    assert sum(whole[i] for i in (10, 11, 12)) < sum(whole[i] for i in (1, 2, 3))
    assert list((tmp_path / "whole").glob("events.out.tfevents.*"))
    # Parked cars have a velocity of exactly zero: that must not blow the gradient up (it did, a thousandfold).
    assert max(row["gradient_norm"] for row in read_log(tmp_path / "whole")) < 200

    out = tmp_path / "killed"
    command = [sys.executable, "-m", "distilldrive_ros.cli.main", "train", "teacher", "--out", str(out)]
    process = subprocess.Popen([*command, "--config", str(in_file(teacher, tmp_path / "t.yaml"))], cwd=repository)
    deadline = time.monotonic() + PATIENCE_S
    while not (out / "checkpoint-00000003.pt").exists():
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = max(losses(out))
    newest = max(int(path.stem.rpartition("-")[2]) for path in out.glob("checkpoint-*.pt"))
    assert 0 <= reached - newest <= teacher.run.checkpoint_interval
    assert newest < ITERATIONS

    train(teacher, out, resume=True)
    same(whole, losses(out), 1e-5)
    assert not list(out.glob(".*.partial"))
    with pytest.raises(ConfigurationError, match="give --resume"):
        train(teacher, out, resume=False)


def test_two_processes_are_one_with_the_same_streams(teacher: TrainConfig, tmp_path: Path, repository: Path) -> None:
    run = replace(teacher.run, iterations=4, dropout=False)
    train(replace(teacher, run=run), tmp_path / "one", resume=False)
    half = replace(teacher, run=replace(run, batch_size=1))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "distilldrive_ros.cli.main", "train", "teacher", "--out", str(tmp_path / "two")]
    command += ["--config", str(in_file(half, tmp_path / "t.yaml"))]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    same(losses(tmp_path / "one"), losses(tmp_path / "two"), 2e-4)


def test_perception_and_student_make_weights_that_the_model_runs_with(
    teacher: TrainConfig, teacher_weights: Path, tmp_path: Path
) -> None:
    run = RunConfig(3, batch_size=1, log_interval=3, device="cpu", threads=2, frozen_norm=True)
    data = replace(teacher.data, sequence_parts=1)
    train(TrainConfig("perception", data, run=replace(run, iterations=1)), tmp_path / "perception", resume=False)
    model = ModelConfig(perception_weights=tmp_path / "perception" / WEIGHTS_FILE, teacher_weights=teacher_weights)
    optimizer = OptimizerConfig(lr=1e-4, backbone_factor=0.1)
    student = TrainConfig("student", data, model, optimizer=optimizer, run=replace(run, precision="bf16"))
    result = train(student, tmp_path / "student", resume=False)
    assert result.iterations == 3
    assert result.loss == result.loss
    (row,) = read_log(tmp_path / "student")
    assert {"loss/kd_loss_feats", "loss/det_loss_cls_0", "loss/loss_dense_depth", "gradient_norm"} <= set(row)
    driving = load_model("student_tiny", ModelRequest(tmp_path / "student" / WEIGHTS_FILE, "cpu"))
    assert driving.trained

    small = tmp_path / "small.safetensors"
    whole = tmp_path / "student" / WEIGHTS_FILE
    for size, share in (("half", 0.5), ("small", 0.4)):
        assert main(["train", "export", "--weights", str(whole), "--out", str(small), "--size", size]) == 0
        assert small.stat().st_size < share * whole.stat().st_size
        assert load_model("student_tiny", ModelRequest(small, "cpu")).trained
    assert main(["train", "export", "--weights", str(teacher_weights), "--out", str(tmp_path / "no")]) == 2
    assert not (tmp_path / "no").exists()

    with pytest.raises(ConfigurationError, match="needs a trained teacher"):
        train(replace(student, model=ModelConfig()), tmp_path / "none", resume=False)
    assert not (tmp_path / "none").exists()


def test_the_camera_and_lidar_model_learns_by_the_same_loop(teacher: TrainConfig, tmp_path: Path) -> None:
    run = RunConfig(2, batch_size=2, log_interval=1, device="cpu", threads=2, frozen_norm=True)
    config = TrainConfig("diffusiondrive", teacher.data, optimizer=OptimizerConfig(lr=1e-4), run=run)
    train(config, tmp_path / "out", resume=False)
    rows = read_log(tmp_path / "out")
    assert len(rows) == 2
    assert {"loss/bev_semantic", "loss/total"} <= set(rows[0])
    network = DiffusionDriveNetwork(diffusiondrive_tiny())
    report = load_checkpoint(network, tmp_path / "out" / WEIGHTS_FILE, partial=True)
    assert report.unexpected == ()
    assert report.loaded > 100
    # All but the mode selector, which has a stage of its own.
    assert report.untrained
    assert all(is_selector_entry(f"{module}.") for module in report.untrained), report.untrained


def test_a_loss_that_is_no_number_stops_with_the_batch_kept(teacher: TrainConfig, tmp_path: Path) -> None:
    wild = replace(teacher, optimizer=OptimizerConfig(lr=1.0, clip_norm=1e9), run=replace(teacher.run, iterations=40))
    broken = replace(wild, options=TrainingOptions(value=False))
    poisoned = tmp_path / "cache"
    shutil.copytree(teacher.data.cache, poisoned)
    data = replace(broken.data, cache=poisoned)
    for path in poisoned.glob("targets-*/*.npz"):
        _poison(path)
    with pytest.raises(DivergedError, match="iteration 0 is NaN or infinite") as caught:
        train(replace(broken, data=data), tmp_path / "out", resume=False)
    assert "loss/planning_loss_status_0" in str(caught.value)
    (kept,) = (tmp_path / "out").glob("diverged-*.pt")
    content = torch.load(kept, weights_only=True)
    assert content["iteration"] == 0
    assert content["batch"]["ego"]["status"].isnan().any()
    assert not list((tmp_path / "out").glob("checkpoint-*.pt"))


def _poison(path: Path) -> None:
    """Ego status of a scene's targets as a broken recording would have it."""
    import numpy as np

    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["status"] = np.full_like(arrays["status"], np.nan)
    np.savez(path, **arrays)


def test_a_broken_picture_is_left_out_counted_and_named(
    teacher: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(teacher.data.dataroot, root)
    pictures = sorted((root / "samples" / "CAM_BACK").glob("*.jpg"))
    pictures[2].write_bytes(b"no picture")
    data = DataConfig(root, VERSION, cache=tmp_path / "cache", sequence_parts=1, workers=1)
    run = RunConfig(4, batch_size=1, log_interval=1, device="cpu", threads=2, frozen_norm=True)
    path = in_file(TrainConfig("perception", data, augmentation=NO_AUGMENTATION, run=run), tmp_path / "t.yaml")
    assert main(["train", "perception", "--config", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert pictures[2].name in told
    assert "loss" in told
    assert [row["skipped"] for row in read_log(tmp_path / "out")] == [0, 0, 1, 1]

    for picture in pictures:
        picture.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="none of the 6 key frames") as caught:
        train(TrainConfig("perception", data, run=run), tmp_path / "none", resume=False)
    assert "Traceback" not in str(caught.value)


def test_the_command_says_what_is_wrong(
    teacher: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = in_file(teacher, tmp_path / "t.yaml")
    out = ["--out", str(tmp_path / "out")]
    anchors = tmp_path / "anchors.npz"
    anchors.write_bytes(b"wrong")
    for arguments, words in (
        (["student", "--config", str(path), *out], "call `distilldrive train teacher`"),
        (["teacher", "--config", str(tmp_path / "no.yaml"), *out], "cannot be read"),
        (["teacher", "--config", str(path), *out, "--set", "run.seed"], "must be NAME=VALUE"),
        (["teacher", "--config", str(path), *out, "--dataroot", str(tmp_path / "no")], "there is no data set"),
        (["teacher", "--config", str(path), *out, "--set", f"model.anchors={anchors}"], "train anchors"),
        (["teacher", "--config", str(path), *out, "--device", "cuda:99"], "is not there"),
        (["teacher", "--config", str(path), *out, "--set", "model.teacher=tutor"], "tutor"),
    ):
        assert main(["train", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error, error
        assert len(error.strip().splitlines()) == 1


def test_anchors_are_made_and_used_by_the_command(
    teacher: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str], shared_dir: Path
) -> None:
    root = shared_dir / "data" / "nuscenes-mini-tables"
    made, cache = tmp_path / "a.npz", ["--cache", str(tmp_path / "cache")]
    arguments = ["--dataroot", str(root), "--scene", "scene-0061", "--model", "student_tiny", *cache]
    assert main(["train", "anchors", *arguments, "--out", str(made)]) == 0
    assert "39 key frames of 1 scene(s)" in capsys.readouterr().out
    config = replace(teacher, model=ModelConfig(anchors=made), run=replace(teacher.run, iterations=1))
    train(config, tmp_path / "out", resume=False)
    assert (tmp_path / "out" / WEIGHTS_FILE).is_file()
