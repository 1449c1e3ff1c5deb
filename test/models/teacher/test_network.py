"""The teacher as a pure function, its repaired form, and its bad input. On the small teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.distilldrive.config import student, student_tiny
from distilldrive_ros.models.distilldrive.state import state_tensors
from distilldrive_ros.models.teacher.checkpoint import load_teacher
from distilldrive_ros.models.teacher.config import Flavour, TeacherConfig, fixed, preset, teacher_tiny
from distilldrive_ros.models.teacher.initialization import untrained_teacher
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.processor import FrameAnnotations, prepare_annotations
from distilldrive_ros.models.teacher.state import TeacherInputs, TeacherState
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError, SensorDataError


def network_of(config: TeacherConfig) -> TeacherNetwork:
    return untrained_teacher(config, torch.Generator().manual_seed(3))


def annotations(agents: int, lines: int, seed: int = 0) -> FrameAnnotations:
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.randn(agents, 9, generator=generator) * torch.tensor([10, 10, 1, 0.2, 0.1, 0.1, 1, 2, 2])
    boxes[:, 3:6] += torch.tensor([4.0, 2.0, 1.6])
    return FrameAnnotations(
        boxes,
        torch.arange(agents) % 10,
        torch.arange(agents),
        torch.randn(agents, 12, 2, generator=generator),
        torch.ones(agents, 12),
        10 * torch.randn(lines, 20, 2, generator=generator),
        torch.arange(lines) % 3,
    )


def inputs(*frames: FrameAnnotations, t: int = 0) -> TeacherInputs:
    time = torch.full((len(frames),), 100 + 0.5 * t, dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64).repeat(len(frames), 1, 1)
    pose[:, 1, 3] = 3.0 * t
    return prepare_annotations(time, pose, frames, teacher_tiny())


@pytest.mark.parametrize("flavour", list(Flavour))
@pytest.mark.parametrize("repaired", [False, True])
@torch.inference_mode()
def test_padding_and_company_change_nothing(flavour: Flavour, repaired: bool) -> None:
    """A stream gives the same whether it is alone or beside one with more agents and polylines, and over time."""
    config = replace(teacher_tiny(), flavour=flavour)
    network = network_of(fixed(config) if repaired else config)
    small, large = annotations(3, 2), annotations(7, 5, seed=1)
    alone: TeacherState | None = None
    both: TeacherState | None = None
    for t in range(3):
        alone, one = network(alone, inputs(small, t=t))
        both, two = network(both, inputs(small, large, t=t))
        for name in ("plan_query", "plan_logits", "plan_offsets", "status"):
            assert torch.allclose(getattr(one, name)[0], getattr(two, name)[0], atol=1e-5), name
        assert torch.allclose(one.motion_offsets[0], two.motion_offsets[0, :3], atol=1e-5)
    assert two.status.shape[1] == (1 if flavour is Flavour.LABEL else 18)


@torch.inference_mode()
def test_an_empty_road_after_a_busy_one_and_the_other_way_round() -> None:
    network = network_of(teacher_tiny())
    state: TeacherState | None = None
    for t, agents in enumerate((0, 3, 0, 0, 2)):
        state, outputs = network(state, inputs(annotations(agents, 2), t=t))
        assert outputs.plan_offsets.isfinite().all()


@pytest.mark.parametrize("flavour", list(Flavour))
@torch.inference_mode()
def test_the_teacher_may_be_told_the_speed_of_the_last_step(flavour: Flavour) -> None:
    motion = replace(teacher_tiny().motion, measured_speed=True)
    network = network_of(replace(teacher_tiny(), flavour=flavour, motion=motion))
    frame = annotations(3, 2)
    state, first = network(None, inputs(frame, t=0))
    _, second = network(state, inputs(frame, t=1))
    assert float(first.ego_box[0, 9]) == 0.0
    assert float(second.ego_box[0, 9]) == pytest.approx(3.0 / 0.5)


@torch.inference_mode()
def test_the_repaired_teacher_sees_the_map() -> None:
    network = network_of(fixed(teacher_tiny()))
    first = annotations(3, 2)
    moved = replace(first, lines=first.lines + 3.0)
    here, there, nowhere = (network(None, inputs(frame))[1].plan_query for frame in (first, moved, annotations(3, 0)))
    assert not torch.allclose(here, there, atol=1e-3)
    assert not torch.allclose(here, nowhere, atol=1e-3)
    assert nowhere.isfinite().all()


def test_gradients_reach_the_map_encoder_only_when_it_is_seen() -> None:
    for config, expected in ((teacher_tiny(), False), (fixed(teacher_tiny()), True)):
        network = network_of(config).train()
        network(None, inputs(annotations(3, 2)))[1].plan_offsets.square().sum().backward()
        grads = [parameter.grad for parameter in network.map_encoder.parameters() if parameter.requires_grad]
        assert any(grad is not None and bool(grad.any()) for grad in grads) is expected


@torch.inference_mode()
def test_empty_annotations_and_unknown_futures_are_no_trouble() -> None:
    network = network_of(fixed(teacher_tiny()))
    hidden = replace(annotations(2, 1), valid=torch.zeros(2, 12))
    state, outputs = network(None, inputs(annotations(0, 0), hidden))
    state, outputs = network(state, inputs(hidden, annotations(0, 0), t=1))
    assert outputs.plan_offsets.isfinite().all()
    assert all(tensor.isfinite().all() for tensor in state_tensors(state))


@torch.inference_mode()
def test_agents_are_followed_by_id_and_the_state_is_left_alone() -> None:
    network = network_of(teacher_tiny())
    frame = annotations(4, 1)
    order = torch.tensor([2, 0, 3, 1])
    swapped = FrameAnnotations(
        frame.boxes[order], frame.labels[order], frame.ids[order], frame.offsets[order], frame.valid[order],
        frame.lines, frame.line_labels,
    )  # fmt: skip
    state, _ = network(None, inputs(frame))
    copies = [tensor.clone() for tensor in state_tensors(state)]
    _, straight = network(state, inputs(frame, t=1))
    _, turned = network(state, inputs(swapped, t=1))
    assert torch.allclose(straight.motion_offsets[0, order], turned.motion_offsets[0], atol=1e-5)
    assert torch.equal(turned.period, torch.full((1, 4), 2))
    assert all(torch.equal(a, b) for a, b in zip(copies, state_tensors(state), strict=True))
    with pytest.raises(ValueError, match="holds 1 streams"):
        network(state, inputs(frame, frame))


def test_too_many_agents_are_refused() -> None:
    with pytest.raises(SensorDataError, match="151 annotated agents, the teacher takes at most 150"):
        inputs(annotations(151, 1))
    with pytest.raises(SensorDataError, match="51 annotated polylines"):
        inputs(annotations(1, 51))


def test_configurations_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="embed_dim"):
        TeacherConfig(embed_dim=100)
    with pytest.raises(ConfigurationError, match="max_agents"):
        TeacherConfig(max_agents=0)
    with pytest.raises(ConfigurationError, match="unknown teacher preset"):
        preset("professor")
    teacher_tiny().check_student(student_tiny())
    with pytest.raises(ConfigurationError, match="embed_dim"):
        teacher_tiny().check_student(student())


def saved(network: TeacherNetwork, path: Path, prefix: str = TEACHER_PREFIX) -> Path:
    entries: dict[str, Tensor] = {prefix + key: value.contiguous() for key, value in network.state_dict().items()}
    save_file({**entries, "img_neck.extra": torch.zeros(1)}, path)
    return path


@pytest.mark.parametrize("stored", list(Flavour))
@pytest.mark.parametrize("wanted", list(Flavour))
def test_checkpoints_of_both_flavours_load(tmp_path: Path, stored: Flavour, wanted: Flavour) -> None:
    source = network_of(replace(teacher_tiny(), flavour=stored))
    target = TeacherNetwork(replace(teacher_tiny(), flavour=wanted))
    report = load_teacher(target, saved(source, tmp_path / "teacher.safetensors"))
    assert torch.equal(target.fc_before.weight, source.fc_before.weight)
    assert bool(report.other_flavour) is (stored is not wanted)
    assert "1 entries outside the teacher" in report.summary()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = saved(network_of(teacher_tiny()), tmp_path / "teacher.safetensors", prefix="something.else.")
    with pytest.raises(CheckpointError, match="holds no teacher of this size"):
        load_teacher(TeacherNetwork(teacher_tiny()), path)
