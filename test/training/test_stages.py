"""The stages on small networks: what is trained, what is remembered, what is left out, and what is saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX, load_checkpoint
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig, student, student_tiny
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.processor import build_student
from distilldrive_ros.models.teacher.checkpoint import load_teacher
from distilldrive_ros.models.teacher.config import Flavour, TeacherConfig, fixed, teacher_tiny
from distilldrive_ros.models.teacher.initialization import untrained_teacher
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError
from distilldrive_ros.training.batch import TrainingBatch, join, without_cameras
from distilldrive_ros.training.losses.weights import LossWeights
from distilldrive_ros.training.options import (
    TrainingOptions,
    fixed_options,
    fixed_student,
    without_generative,
)
from distilldrive_ros.training.stages.perception import MOTION_PREFIX, PerceptionStage
from distilldrive_ros.training.stages.stage import Stage, total
from distilldrive_ros.training.stages.student import StudentStage
from distilldrive_ros.training.stages.teacher import TeacherStage

from .conftest import BatchFactory

QUIET = TrainingOptions(latent_noise=False, grid_mask=0.0)


def network_of(config: DistillDriveConfig) -> StudentNetwork:
    return untrained_network(config, torch.Generator().manual_seed(0))


def teacher_of(config: TeacherConfig) -> TeacherStage:
    return TeacherStage(untrained_teacher(config, torch.Generator().manual_seed(1)))


def student_stage(
    options: TrainingOptions = QUIET, config: DistillDriveConfig | None = None, teacher: TeacherConfig | None = None
) -> StudentStage:
    taught_by = untrained_teacher(teacher or teacher_tiny(), torch.Generator().manual_seed(1))
    return StudentStage(network_of(config or student_tiny()), taught_by, options, seed=0)


def perception_stage(options: TrainingOptions = QUIET) -> PerceptionStage:
    return PerceptionStage(network_of(student_tiny()), options, seed=0)


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in losses.items()}


def gradients(stage: Stage, batch: TrainingBatch) -> dict[str, bool]:
    """Whether each trained parameter gets a gradient at all, after one backward pass."""
    total(stage.compute_losses(batch)).backward()
    return {name: parameter.grad is not None for name, parameter in stage.trained_parameters().items()}


STAGES: dict[str, Callable[[], Stage]] = {
    "teacher_label": lambda: teacher_of(teacher_tiny()),
    "teacher_distribution": lambda: teacher_of(replace(teacher_tiny(), flavour=Flavour.DISTRIBUTION)),
    "teacher_fixed": lambda: teacher_of(fixed(teacher_tiny())),
    "perception": perception_stage,
    "student": student_stage,
    "student_fixed": lambda: student_stage(fixed_options(QUIET), fixed_student(student_tiny()), fixed(teacher_tiny())),
    "student_no_distillation": lambda: student_stage(replace(QUIET, distillation=False)),
    "student_no_value": lambda: student_stage(replace(QUIET, value=False)),
    "student_not_generative": lambda: student_stage(config=without_generative(student_tiny())),
}


@pytest.mark.parametrize("name", STAGES)
def test_every_trained_parameter_gets_a_gradient(name: str, make_batch: BatchFactory) -> None:
    """In two frames, for a first frame has no history; what would never get one is frozen."""
    torch.manual_seed(0)
    stage = STAGES[name]().train()
    images = not name.startswith("teacher")
    first = gradients(stage, make_batch(0, streams=1, images=images))
    second = gradients(stage, make_batch(1, streams=1, images=images))
    assert [key for key in second if not (first[key] or second[key])] == []
    for key, parameter in stage.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, key
        elif parameter.grad is not None:
            assert parameter.grad.isfinite().all(), key


def test_terms_left_out(make_batch: BatchFactory) -> None:
    batch = make_batch(0, images=True)
    everything = set(student_stage().eval().compute_losses(batch))
    distilled = {name for name in everything if name.startswith("kd_")}
    assert len(distilled) == 4
    without = {
        "student_no_distillation": distilled,
        "student_no_value": {"planning_loss_rl_0"},
        "student_not_generative": {"distribution_loss"},
    }
    for name, expected in without.items():
        assert everything - set(STAGES[name]().eval().compute_losses(batch)) == expected


def test_the_teacher_is_frozen_and_follows_training_mode_only_as_published() -> None:
    published, repaired = student_stage().train(), student_stage(fixed_options(QUIET)).train()
    assert published.teacher is not None and repaired.teacher is not None
    assert published.teacher.training and not repaired.teacher.training
    assert not any(parameter.requires_grad for parameter in published.teacher.parameters())
    assert not published.eval().teacher.training  # type: ignore[union-attr]


@torch.no_grad()
def test_streams_are_remembered_until_they_restart(make_batch: BatchFactory) -> None:
    stage = student_stage().eval()
    first, second = make_batch(0, images=True), make_batch(1, images=True)
    stage.compute_losses(first)
    continued = stage.compute_losses(second)
    stage.forget()
    fresh = stage.compute_losses(second)
    restarted = stage.compute_losses(replace(second, restart=torch.ones(2, dtype=torch.bool)))
    assert float(total(continued)) != float(total(fresh))
    assert {key: float(value) for key, value in fresh.items()} == {
        key: float(value) for key, value in restarted.items()
    }


@pytest.mark.parametrize("name", ["teacher_label", "teacher_fixed", "perception", "student_fixed"])
@torch.no_grad()
def test_a_restarting_stream_sees_nothing_of_what_its_row_held_before(name: str, make_batch: BatchFactory) -> None:
    """Two different pasts in row 0, the same in row 1: once row 0 restarts they are forgotten."""
    images = not name.startswith("teacher")
    row = lambda t: make_batch(t, streams=1, images=images)  # noqa: E731
    present = join([replace(row(2), restart=torch.tensor([True])), replace(row(3), restart=torch.tensor([False]))])
    seen = []
    for past in (0, 5):
        stage = STAGES[name]().eval()
        shifted = replace(row(past), timestamp=row(2).timestamp - 0.5, restart=torch.tensor([True]))
        other = replace(row(1), timestamp=row(3).timestamp - 0.5, restart=torch.tensor([True]))
        stage.compute_losses(join([shifted, other]))
        seen.append(numbers(stage.compute_losses(present)))
    assert seen[0] == pytest.approx(seen[1], rel=1e-6)


def test_another_batch_size_is_refused(make_batch: BatchFactory) -> None:
    stage = teacher_of(teacher_tiny()).eval()
    stage.compute_losses(make_batch(0, streams=2))
    with pytest.raises(ValueError, match="3 streams, the memory 2"):
        stage.compute_losses(make_batch(1, streams=3))
    stage.forget()
    stage.compute_losses(make_batch(1, streams=3))


def test_empty_frames_train_without_nan(make_batch: BatchFactory) -> None:
    for name in ("teacher_fixed", "student_fixed"):
        stage = STAGES[name]().train()
        batch = make_batch(0, streams=1, agents=0, lines=0, images=name != "teacher_fixed")
        total(stage.compute_losses(batch)).backward()
        grads = [parameter.grad for parameter in stage.parameters() if parameter.grad is not None]
        assert grads and all(grad.isfinite().all() for grad in grads)


def test_noise_and_holes_belong_to_training(make_batch: BatchFactory) -> None:
    """In evaluation the losses are the same every time; in training they come from the stage's seed."""
    batch = make_batch(0, images=True)
    stage = student_stage(TrainingOptions(grid_mask=1.0)).eval()
    with torch.no_grad():
        once, again = stage.compute_losses(batch), stage.compute_losses(batch)
        quiet = student_stage().eval().compute_losses(batch)
        assert numbers(once) == numbers(again) == numbers(quiet)
        values = []
        for seed in (0, 0, 1):
            torch.manual_seed(0)
            noisy = StudentStage(
                network_of(student_tiny()), None, TrainingOptions(distillation=False, grid_mask=0.5), seed
            )
            values.append(float(total(noisy.train().compute_losses(batch))))
    assert values[0] == values[1] != values[2]


def test_a_few_steps_lower_the_loss(make_batch: BatchFactory) -> None:
    """Teacher and student learn one frame by heart."""
    torch.manual_seed(0)
    for name in ("teacher_fixed", "student_fixed"):
        stage = STAGES[name]().eval()
        batch = make_batch(0, streams=1, images=name != "teacher_fixed")
        optimizer = torch.optim.AdamW(stage.trained_parameters().values(), lr=1e-3)
        history = []
        for _ in range(5):
            loss = total(stage.compute_losses(batch))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(stage.parameters(), 25.0)
            optimizer.step()
            history.append(loss.item())
        assert history[-1] < 0.95 * history[0]


@pytest.mark.parametrize("name", ["teacher_distribution", "perception", "student", "student_no_distillation"])
def test_weights_go_out_and_in_again(name: str) -> None:
    stage, other = STAGES[name](), STAGES[name]()
    with torch.no_grad():
        for parameter in stage.parameters():
            parameter.add_(0.25)
    weights = {key: value.clone() for key, value in stage.weights().items()}
    other.load_weights(weights)
    assert all(torch.equal(value, weights[key]) for key, value in other.weights().items())
    if name == "perception":
        assert not any(key.startswith(MOTION_PREFIX) for key in weights)
    if name.startswith("student"):
        assert any(key.startswith(TEACHER_PREFIX) for key in weights) is (name == "student")
    incomplete = dict(list(weights.items())[1:])
    with pytest.raises(CheckpointError, match="1 entries are missing"):
        other.load_weights(incomplete)
    key = next(key for key, value in weights.items() if value.dim() == 1)
    with pytest.raises(CheckpointError, match="1 have another shape"):
        other.load_weights({**weights, key: torch.zeros(1234)})


def test_weights_of_another_form_are_refused(tmp_path: Path) -> None:
    """Repaired and reduced networks have the parameters of the published one and mean something else by them."""
    forms = ("student", "student_fixed", "student_not_generative")
    weights = {name: STAGES[name]().weights() for name in forms}
    for name in forms:
        for other in forms:
            stage = STAGES[name]()
            if name == other:
                stage.load_weights(weights[other])
            else:
                with pytest.raises(CheckpointError, match="another form"):
                    stage.load_weights(weights[other])
    teachers = {name: STAGES[name]() for name in ("teacher_label", "teacher_fixed")}
    path = tmp_path / "teacher.safetensors"
    save_file({key: value.contiguous() for key, value in teachers["teacher_fixed"].weights().items()}, path)
    with pytest.raises(CheckpointError, match="another form"):
        load_teacher(TeacherNetwork(teacher_tiny()), path)
    load_teacher(TeacherNetwork(fixed(teacher_tiny())), path)


@pytest.mark.parametrize("name", ["student", "student_fixed", "student_not_generative"])
def test_inference_takes_the_form_from_the_weights(name: str, tmp_path: Path) -> None:
    stage = STAGES[name]()
    assert isinstance(stage, StudentStage)
    path = tmp_path / "student.safetensors"
    save_file({key: value.contiguous() for key, value in stage.weights().items()}, path)
    model = build_student("student_tiny", path, device="cpu")
    assert model.config.motion == stage.network.config.motion
    if name != "student":
        with pytest.raises(CheckpointError, match="another form"):
            load_checkpoint(StudentNetwork(student_tiny()), path)


def test_wrong_combinations_are_refused(make_batch: BatchFactory) -> None:
    with pytest.raises(ConfigurationError, match="there is no teacher"):
        StudentStage(network_of(student_tiny()), None, QUIET, seed=0)
    teacher = teacher_of(teacher_tiny()).network
    with pytest.raises(ConfigurationError, match="cannot teach"), torch.device("meta"):
        StudentStage(StudentNetwork(student()), teacher, QUIET, seed=0)
    with pytest.raises(ConfigurationError, match="grid_mask"):
        TrainingOptions(grid_mask=1.5)
    with pytest.raises(ValueError, match="no camera images"):
        perception_stage().compute_losses(without_cameras(make_batch(0, images=True)))
    with pytest.raises(ValueError, match="no loss"):
        total({})


def test_zero_weights_are_logged_as_zero(make_batch: BatchFactory) -> None:
    stage = student_stage(replace(QUIET, weights=LossWeights(motion_reg=0.0))).eval()
    losses = stage.compute_losses(make_batch(0, images=True))
    assert {losses[name].item() for name in ("motion_loss_reg_0", "kd_loss_cls", "kd_loss_reg")} == {0.0}
