"""Stages made from a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.losses.value import ValueGradient
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.stages.stage import total
from distilldrive_ros.training.stages.student import StudentStage
from distilldrive_ros.training.trainer.checkpoints import write_weights
from distilldrive_ros.training.trainer.config import ModelConfig, TrainConfig
from distilldrive_ros.training.trainer.stages import build_stage, frame_limits, student_config

PLAIN = TrainingOptions(distillation=False)


def test_what_a_stage_draws_follows_from_its_seed(make_batch: Callable[..., TrainingBatch]) -> None:
    stage = build_stage(TrainConfig("perception", options=replace(PLAIN, grid_mask=1.0))).train()
    batch = make_batch(streams=1, images=True)

    def loss(seed: int) -> float:
        torch.manual_seed(0)
        stage.reseed(seed)
        stage.forget()
        return float(total(stage(batch)).detach())

    first = loss(1)
    assert loss(1) == pytest.approx(first, rel=1e-6)
    assert loss(2) != pytest.approx(first, rel=1e-6)


def test_equal_seeds_make_equal_stages_on_all_ranks() -> None:
    config = TrainConfig("teacher")
    first, second = build_stage(config), build_stage(config, rank=1)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    biases = [v for name, v in first.state_dict().items() if "anchor_encoder.vel_fc.0.bias" in name]
    assert biases
    assert all(bool((bias != 0).all()) for bias in biases)


def test_mode_codes_do_not_drown_what_a_student_to_be_trained_sees() -> None:
    """They did: its queries were the same for everything it saw, and so were its plans after thousands of steps."""
    stage = build_stage(TrainConfig("student", options=PLAIN))
    assert isinstance(stage, StudentStage)
    config = stage.network.config
    ordinary = config.embed_dim**0.5
    assert stage.network.head.motion_plan_head.plan_mode_code().norm(dim=-1).mean() < 2 * ordinary
    steady = untrained_network(config, torch.Generator().manual_seed(0))
    assert steady.head.motion_plan_head.plan_mode_code().norm(dim=-1).mean() > 10 * ordinary


def test_a_frozen_perception_needs_weights_and_a_student() -> None:
    with pytest.raises(ConfigurationError, match=r"give model\.perception_weights"):
        build_stage(TrainConfig("student", model=ModelConfig(freeze_perception=True), options=PLAIN))
    with pytest.raises(ConfigurationError, match="for the student stage alone"):
        TrainConfig("perception", model=ModelConfig(freeze_perception=True))


def test_a_repaired_student_leaves_its_status_to_the_status_loss() -> None:
    repaired = build_stage(TrainConfig("student", model=ModelConfig(repaired=True), options=PLAIN))
    published = build_stage(TrainConfig("student", options=PLAIN))
    assert isinstance(repaired, StudentStage) and isinstance(published, StudentStage)
    assert repaired.options.value_gradient is ValueGradient.VALUE
    assert published.options.value_gradient is None


def test_limits_are_those_of_the_teacher_where_one_is_at_work() -> None:
    limits = frame_limits(TrainConfig("teacher"))
    assert limits is not None
    assert (limits.agents, limits.lines) == (150, 50)
    assert frame_limits(TrainConfig("student")) == limits
    assert frame_limits(TrainConfig("student", options=PLAIN)) is None
    taught = TrainConfig("diffusiondrive", model=ModelConfig(teacher_weights=Path("t.safetensors")))
    assert frame_limits(taught) == limits
    assert frame_limits(TrainConfig("diffusiondrive")) is None
    assert frame_limits(replace(taught, options=PLAIN)) is None
    assert frame_limits(TrainConfig("perception")) is None


def test_options_choose_the_network() -> None:
    published = student_config(TrainConfig("student"))
    repaired = student_config(TrainConfig("student", model=ModelConfig(repaired=True, generative=False)))
    assert published.motion.generative
    assert repaired.motion.signed_latent
    assert not repaired.motion.generative
    with pytest.raises(ConfigurationError, match="unknown model preset"):
        student_config(TrainConfig("student", model=ModelConfig(student="pupil")))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {"img_backbone.conv1.weight": torch.zeros(1)})
    model = ModelConfig(perception_weights=path)
    with pytest.raises(CheckpointError, match=r"w\.safetensors: the weights do not fit"):
        build_stage(TrainConfig("student", model=model, options=PLAIN))
    with pytest.raises(CheckpointError, match="no teacher of this size"):
        build_stage(TrainConfig("student", model=ModelConfig(teacher_weights=path)))
