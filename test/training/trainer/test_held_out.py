"""Frames that training never sees: which they are, what is computed on them, and that it changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import ConfigurationError, DatasetError
from distilldrive_ros.training.diffusion.augmentation import NO_CHANGE, DiffusionAugmentation
from distilldrive_ros.training.pipeline.augmentation import NO_AUGMENTATION
from distilldrive_ros.training.pipeline.sequences import Section
from distilldrive_ros.training.trainer.config import DataConfig, OptimizerConfig, RunConfig, TrainConfig
from distilldrive_ros.training.trainer.data import training_frames
from distilldrive_ros.training.trainer.held_out import BEST_WEIGHTS_FILE, TOTAL, HeldOut, divided, sequence_batches
from distilldrive_ros.training.trainer.logs import LOG_FILE, read_log
from distilldrive_ros.training.trainer.processes import Processes
from distilldrive_ros.training.trainer.stages import build_stage
from distilldrive_ros.training.trainer.training import train

CPU = torch.device("cpu")


@given(st.lists(st.integers(1, 6), min_size=1, max_size=7), st.integers(1, 4))
def test_sections_are_walked_side_by_side_from_their_first_frames(lengths: list[int], lanes: int) -> None:
    sections = [Section(number, 10, 10 + length) for number, length in enumerate(lengths)]
    batches = list(sequence_batches(sections, lanes))
    seen: dict[int, list[int]] = {}
    before: list[int] = []
    for batch in batches:
        numbers = [request.section for request in batch]
        assert len(batch) <= lanes and len(set(numbers)) == len(numbers)
        assert len({request.restart for request in batch}) == 1
        assert batch[0].restart is (numbers != before)
        before = numbers
        for request in batch:
            seen.setdefault(request.section, []).append(request.key_frame)
    assert set(seen) == set(range(len(lengths)))
    for number, frames in seen.items():
        assert frames == list(range(10, 10 + len(frames)))
        assert len(frames) <= lengths[number]
    if lanes == 1:
        assert [len(seen[number]) for number in range(len(lengths))] == lengths


def test_held_out_scenes_are_not_trained_on(shared_dir: Path, demo_root: Path) -> None:
    data = DataConfig(shared_dir / "data" / "nuscenes-mini-tables", "v1.0-mini")
    named = replace(data, scenes=("scene-0061", "scene-0103"), held_out_scenes=("scene-0103",))
    config = TrainConfig("diffusiondrive", named, diffusion_augmentation=DiffusionAugmentation(photometric=True))
    learned, apart = divided(config)
    assert learned.data.scenes == ("scene-0061",)
    assert apart is not None and apart.data.scenes == ("scene-0103",) and apart.data.sequence_parts == 1
    assert apart.augmentation == NO_AUGMENTATION and apart.diffusion_augmentation == NO_CHANGE
    learned, _ = divided(replace(config, data=replace(named, scenes=())))
    assert "scene-0061" in learned.data.scenes and "scene-0103" not in learned.data.scenes
    with pytest.raises(ConfigurationError, match="none is left to train on"):
        divided(replace(config, data=replace(named, scenes=("scene-0103",))))
    with pytest.raises(DatasetError, match="scene-9999"):
        divided(replace(config, data=replace(named, held_out_scenes=("scene-9999",))))

    elsewhere = replace(data, held_out_dataroot=demo_root, held_out_version=VERSION)
    learned, apart = divided(TrainConfig("teacher", elsewhere))
    assert learned.data.scenes == () and apart is not None
    assert (apart.data.dataroot, apart.data.version, apart.data.scenes) == (demo_root, VERSION, ())
    assert divided(TrainConfig("teacher", data)) == (TrainConfig("teacher", data), None)
    with pytest.raises(ConfigurationError, match="needs frames that are not trained on"):
        TrainConfig("teacher", data, run=RunConfig(held_out_interval=5))


@pytest.fixture
def teacher(demo_root: Path, tmp_path: Path) -> TrainConfig:
    """One scene in two sequences; the same tables under another name are held out."""
    other = tmp_path / "other"
    other.symlink_to(demo_root)
    data = DataConfig(demo_root, VERSION, cache=tmp_path / "cache", workers=0, held_out_dataroot=other)
    run = RunConfig(6, batch_size=2, checkpoint_interval=1, keep_checkpoints=9, log_interval=1, device="cpu")
    return TrainConfig("teacher", data, optimizer=OptimizerConfig(lr=1e-3), run=run)


def test_looking_changes_nothing_and_the_best_weights_are_kept(teacher: TrainConfig, tmp_path: Path) -> None:
    train(teacher, tmp_path / "plain", resume=False)
    assert not (tmp_path / "plain" / BEST_WEIGHTS_FILE).exists()
    looking = replace(teacher, run=replace(teacher.run, held_out_interval=2))
    train(looking, tmp_path / "looking", resume=False)
    plain, rows = read_log(tmp_path / "plain"), read_log(tmp_path / "looking")
    assert [row["loss/total"] for row in rows] == [row["loss/total"] for row in plain]
    totals = {int(row["iteration"]): row[TOTAL] for row in rows if TOTAL in row}
    assert set(totals) == {2, 4, 6}
    terms = [value for name, value in rows[1].items() if name.startswith("held_out/") and name != TOTAL]
    assert totals[2] == pytest.approx(sum(terms), rel=1e-5)

    best = min(totals, key=lambda iteration: totals[iteration])
    kept = torch.load(tmp_path / "looking" / f"checkpoint-{best:08d}.pt", weights_only=True)["stage"]
    weights = read_state_dict(tmp_path / "looking" / BEST_WEIGHTS_FILE)
    assert weights
    for name, value in weights.items():
        assert torch.equal(value, kept[name.replace(TEACHER_PREFIX, "network.")]), name


def test_a_resumed_training_knows_its_best(teacher: TrainConfig, tmp_path: Path) -> None:
    held_out = HeldOut(training_frames(teacher, Processes(0, 1, CPU), str), teacher, CPU)
    rows = [{"iteration": 2, TOTAL: 5.0}, {"iteration": 3, "loss/total": 1.0}, {"iteration": 4, TOTAL: 4.0}]
    (tmp_path / LOG_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    held_out.take_up(tmp_path)
    assert not held_out.is_best({TOTAL: 4.5})
    assert not held_out.is_best({TOTAL: float("nan")})
    assert held_out.is_best({TOTAL: 3.5})
    assert not held_out.is_best({TOTAL: 3.6})


def test_frames_of_the_camera_and_lidar_model_are_looked_at_without_a_trace(teacher: TrainConfig) -> None:
    config = replace(teacher, stage="diffusiondrive", run=replace(teacher.run, batch_size=4))
    stage = build_stage(config).train()
    held_out = HeldOut(training_frames(config, Processes(0, 1, CPU), str), config, CPU)
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    first = held_out.losses(stage, held_out.batches)
    assert {"held_out/mode_0", "held_out/bev_semantic", TOTAL} <= set(first)
    stage.train()
    assert held_out.losses(stage, held_out.batches) == first
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())
    assert all(parameter.grad is None for parameter in stage.parameters())
