"""Stage 2 on a frozen perception: the losses are those of the whole student, and nothing but planning is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import student_tiny
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.state import PerceptionState
from distilldrive_ros.models.teacher.config import fixed, teacher_tiny
from distilldrive_ros.models.teacher.initialization import untrained_teacher
from distilldrive_ros.training.batch import TrainingBatch, join, without_cameras
from distilldrive_ros.training.options import TrainingOptions, fixed_options, fixed_student
from distilldrive_ros.training.stages.perception import MOTION_PREFIX
from distilldrive_ros.training.stages.planning import PlanningStage
from distilldrive_ros.training.stages.stage import total
from distilldrive_ros.training.stages.student import StudentStage

from .conftest import BatchFactory

OPTIONS = fixed_options(TrainingOptions(latent_noise=False, grid_mask=0.0))


def network() -> StudentNetwork:
    return untrained_network(fixed_student(student_tiny()), torch.Generator().manual_seed(0)).eval()


def stage(kind: type[StudentStage] | type[PlanningStage]) -> StudentStage | PlanningStage:
    taught_by = untrained_teacher(fixed(teacher_tiny()), torch.Generator().manual_seed(1))
    return kind(network(), taught_by, OPTIONS, seed=0)


def seen(batches: list[TrainingBatch]) -> list[TrainingBatch]:
    """The same frames with what the network's perception makes of them, in place of cameras."""
    looking, out = network(), []
    state: PerceptionState | None = None
    with torch.no_grad():
        for batch in batches:
            inputs = batch.student_inputs()
            frame = looking.decode_perception(state, looking.extract_features(inputs.images), inputs)
            state = frame.state
            out.append(replace(without_cameras(batch), perceived=frame.perceived))
    return out


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in losses.items()}


def test_losses_are_those_of_the_whole_student(make_batch: BatchFactory) -> None:
    batches = [make_batch(t, streams=2, images=True) for t in range(3)]
    whole, planning = stage(StudentStage).eval(), stage(PlanningStage).eval()
    for batch, frame in zip(batches, seen(batches), strict=True):
        with torch.no_grad():
            expected, found = numbers(whole.compute_losses(batch)), numbers(planning.compute_losses(frame))
        assert not any(name.startswith(("det_", "map_", "loss_dense")) for name in found)
        assert {"kd_loss_feats", "planning_loss_reg_0", "motion_loss_reg_0", "distribution_loss"} <= set(found)
        assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-4, abs=1e-6)


def test_motion_and_planning_alone_are_trained(make_batch: BatchFactory) -> None:
    batches = [make_batch(t, streams=1, images=True) for t in range(2)]
    trained = stage(PlanningStage).train()
    assert all(name.startswith(f"network.{MOTION_PREFIX}") for name in trained.trained_parameters())
    reached: set[str] = set()
    for frame in seen(batches):
        total(trained.compute_losses(frame)).backward()
        reached |= {name for name, p in trained.named_parameters() if p.grad is not None}
    assert reached == set(trained.trained_parameters())


def test_frames_without_perceived_instances_are_refused(make_batch: BatchFactory) -> None:
    batch = make_batch(0, streams=1, images=True)
    with pytest.raises(ValueError, match="no perceived instances"):
        stage(PlanningStage).compute_losses(batch)
    with pytest.raises(ValueError, match="1 of 2 batches have perceived instances"):
        join([without_cameras(batch), *seen([batch])])
