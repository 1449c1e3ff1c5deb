"""The teacher's plans as lessons for the camera+LiDAR model: what it sees, what is learned, whole trainings."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.models.diffusiondrive.checkpoint import is_selector_entry
from distilldrive_ros.models.diffusiondrive.config import NUSCENES_CAMERAS, Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.diffusiondrive.initialization import anchor_fan, untrained_network
from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.teacher.config import TeacherConfig, teacher_tiny
from distilldrive_ros.models.teacher.initialization import untrained_teacher
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError, DatasetError
from distilldrive_ros.training.annotations import teacher_inputs
from distilldrive_ros.training.diffusion.augmentation import DiffusionAugmentation
from distilldrive_ros.training.diffusion.batch import DiffusionBatch, TeacherView, join_frames
from distilldrive_ros.training.diffusion.distillation import Lesson, distillation_losses, lesson_of
from distilldrive_ros.training.diffusion.distilled import DistilledImitationStage
from distilldrive_ros.training.diffusion.lessons import HISTORY, LessonBook
from distilldrive_ros.training.diffusion.requests import RequestedFrames
from distilldrive_ros.training.losses.weights import PlanDistillationWeights
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.pipeline.augmentation import View
from distilldrive_ros.training.pipeline.frames import FrameLimits, annotation_batch
from distilldrive_ros.training.pipeline.sequences import FrameRequest
from distilldrive_ros.training.stages.official import prefixed
from distilldrive_ros.training.stages.stage import total
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.targets.scene_files import load_or_make_targets
from distilldrive_ros.training.trainer.checkpoints import WEIGHTS_FILE, write_weights
from distilldrive_ros.training.trainer.config import DataConfig, ModelConfig, OptimizerConfig, RunConfig, TrainConfig
from distilldrive_ros.training.trainer.logs import read_log
from distilldrive_ros.training.trainer.training import train

CONFIG = replace(diffusiondrive_tiny(), name="tiny_v1", variant=Variant.V1, policy_groups=1)
LIMITS = FrameLimits(150, 50)
ONES = PlanDistillationWeights(1.0, 1.0, 1.0)
TERMS = {"distill_scores_0", "distill_scores_1", "distill_plans_0", "distill_plans_1", "distill_features"}


def teacher_of(config: TeacherConfig | None = None) -> TeacherNetwork:
    return untrained_teacher(config or teacher_tiny(), torch.Generator().manual_seed(1)).eval()


def stage_of(teacher: TeacherConfig | None = None) -> DistilledImitationStage:
    generator = torch.Generator().manual_seed(0)
    return DistilledImitationStage(untrained_network(CONFIG, generator), teacher_of(teacher), generator, seed=0)


@pytest.fixture(scope="module")
def targets(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> SceneTargets:
    (only,) = load_or_make_targets(demo_root, VERSION, [], NUSCENES_CAMERAS, tmp_path_factory.mktemp("cache"))
    return only


@pytest.fixture(scope="module")
def batch(source: SceneSource, targets: SceneTargets) -> DiffusionBatch:
    """Key frames 1 and 5: one with a single frame before it, one with more than the teacher remembers."""
    frames = RequestedFrames([source], CONFIG, lessons=LessonBook([targets], LIMITS))
    return join_frames([frames[FrameRequest(k, k, True, 0, 0, 0)].batch for k in (1, 5)])


def the_view(batch: DiffusionBatch) -> TeacherView:
    assert batch.lesson is not None
    return batch.lesson


def test_the_teacher_sees_the_frames_before_and_no_others(batch: DiffusionBatch, targets: SceneTargets) -> None:
    view = the_view(batch)
    seen = [[token.rpartition("/")[2] for token in frame.tokens] for frame in view.frames]
    tokens = targets.tokens.tolist()
    assert [row[0] for row in seen] == [tokens[0], tokens[0], tokens[0], tokens[1]]
    assert [row[1] for row in seen] == tokens[2:6]
    assert [frame.restart.tolist() for frame in view.frames] == [
        [True, True],
        [True, False],
        [True, False],
        [False, False],
    ]
    # The LiDAR is ahead of the rear axle and above it; its frame has y forward.
    pose = view.base_from_network[0]
    assert pose[0, 3] > 0.5 and pose[2, 3] > 1.0 and pose[0, 1] == pytest.approx(1.0, abs=1e-3)
    moved = batch.to("meta").lesson
    assert moved is not None and moved.frames[0].timestamp.is_meta


def test_a_lesson_is_what_the_streaming_teacher_plans(batch: DiffusionBatch, targets: SceneTargets) -> None:
    """Frame by frame through the scene; the plan's points against the way of the LiDAR."""
    teacher = teacher_of()
    lesson = lesson_of(teacher, the_view(batch))
    assert lesson.points.shape == (2, 6, 6, 2) and lesson.features.shape == (2, 6, teacher.config.embed_dim)
    assert lesson.shares.sum(dim=-1).tolist() == pytest.approx([1.0, 1.0])
    memory = None
    for number in range(2, 6):
        frame = annotation_batch(targets, number, number == 2, View())
        memory, outputs = teacher(memory, teacher_inputs(frame, teacher.config))
    command = int(targets.commands[5])
    rows = slice(6 * command, 6 * command + 6)
    assert torch.allclose(lesson.shares[1], outputs.plan_logits[0, rows].softmax(dim=-1), atol=1e-5)
    assert torch.allclose(lesson.features[1], outputs.plan_query[0, rows], atol=1e-4)
    way = outputs.plan_offsets[0, rows].cumsum(dim=1)
    pose = the_view(batch).base_from_network[1]
    # The rear axle follows the LiDAR at the distance of the lever.
    ahead = way.double() @ pose[:2, :2].T + pose[:2, 3]
    distance = (lesson.points[1] - ahead).norm(dim=-1)
    assert distance.flatten().tolist() == pytest.approx([float(pose[:2, 3].norm())] * 36, abs=1e-3)


def made_up(seed: int, streams: int = 2) -> tuple[PassOutputs, Tensor, Lesson]:
    generator = torch.Generator().manual_seed(seed)
    anchors = anchor_fan(CONFIG)
    poses = torch.cat((anchors, torch.zeros(20, 8, 1)), dim=-1) + torch.randn(streams, 20, 8, 3, generator=generator)
    passed = PassOutputs(
        (poses,),
        (2 * torch.randn(streams, 20, generator=generator),),
        (torch.randn(streams, 20, 5, generator=generator),),
    )
    chosen = anchors[torch.randint(0, 20, (streams, 6), generator=generator)][:, :, :6]
    points = chosen + 2 * torch.randn(streams, 6, 6, 2, generator=generator)
    shares = torch.randn(streams, 6, generator=generator).softmax(dim=-1)
    return passed, anchors, Lesson(points, shares, torch.randn(streams, 6, 5, generator=generator))


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_losses_are_those_of_the_formula(seed: int) -> None:
    """Everything once more in numpy, mode by mode."""
    passed, anchors, lesson = made_up(seed)
    losses = distillation_losses(passed, anchors, lesson, nn.Identity(), ONES)
    fan, taught, shares = anchors.numpy(), lesson.points.numpy(), lesson.shares.double().numpy()
    scores = plans = features = 0.0
    for b in range(2):
        logits = passed.mode_logits[0][b].double().numpy()  # type: ignore[index]
        log = logits - np.log(np.exp(logits).sum())
        wanted = np.zeros(20)
        for m in range(6):
            n = int(np.argmin([np.hypot(*(fan[a, :6] - taught[b, m]).T).mean() for a in range(20)]))
            wanted[n] += shares[b, m]
            plans += shares[b, m] * np.abs(passed.poses[0][b, n, :6, :2].numpy() - taught[b, m]).mean() / 2
            features += float(((passed.features[0][b, n] - lesson.features[b, m]) ** 2).mean()) / 12
        scores += sum(q * (np.log(q) - log[n]) for n, q in enumerate(wanted) if q > 0) / 2
    assert losses["distill_scores_0"].item() == pytest.approx(scores, rel=1e-4)
    assert losses["distill_plans_0"].item() == pytest.approx(plans, rel=1e-4)
    assert losses["distill_features"].item() == pytest.approx(features, rel=1e-4)
    weighted = distillation_losses(passed, anchors, lesson, nn.Identity(), PlanDistillationWeights(3.0, 0.0, 0.5))
    assert weighted["distill_scores_0"].item() == pytest.approx(3 * scores, rel=1e-4)
    assert weighted["distill_plans_0"].item() == 0.0
    assert weighted["distill_features"].item() == pytest.approx(features / 2, rel=1e-4)


def test_only_the_shared_steps_are_taught() -> None:
    passed, anchors, lesson = made_up(0)
    poses = passed.poses[0].clone().requires_grad_()
    losses = distillation_losses(replace(passed, poses=(poses,)), anchors, lesson, nn.Identity(), ONES)
    losses["distill_plans_0"].backward()
    assert poses.grad is not None and poses.grad[:, :, :6, :2].any()
    assert not poses.grad[:, :, 6:].any() and not poses.grad[..., 2].any()


def test_the_denoiser_learns_of_the_teacher_and_the_teacher_of_nobody(batch: DiffusionBatch) -> None:
    torch.manual_seed(0)
    stage = stage_of().train()
    assert stage.network.training and not stage.teacher.training
    before = {name: value.clone() for name, value in stage.teacher.state_dict().items()}
    losses = stage.compute_losses(replace(batch, known=torch.tensor([False, False])))
    assert set(losses) >= TERMS
    assert losses["pose_0"].item() == 0.0
    total({name: value for name, value in losses.items() if name in TERMS}).backward()
    touched = {name for name, p in stage.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert not any(name.startswith("teacher.") for name in touched)
    for part in ("diff_decoder.layers.0.task_decoder.plan_reg_branch", "diff_decoder.layers.1.task_decoder"):
        assert any(part in name for name in touched)
    assert any(name.startswith("adapter.") for name in touched)
    assert any("_backbone.lidar_encoder" in name for name in touched)
    assert not any(name.startswith("teacher.") for name in stage.trained_parameters())
    assert all(torch.equal(value, before[name]) for name, value in stage.teacher.state_dict().items())
    assert set(stage.weights()) == {key for key in prefixed(stage.network) if not is_selector_entry(key)}


def test_a_few_steps_bring_the_plans_to_the_teacher(batch: DiffusionBatch) -> None:
    """The planner alone, on features that stay as they are."""
    torch.manual_seed(0)
    stage = stage_of().eval()
    with torch.no_grad():
        features = stage.network.extract_features(batch.inputs())
        scene = stage.network.encode_scene(features, batch.status)
        lesson = lesson_of(stage.teacher, the_view(batch))
    head = stage.network.trajectory_head
    points, timesteps = head.plan_anchor.expand(2, -1, -1, -1), torch.zeros(2, dtype=torch.int64)
    optimizer = torch.optim.AdamW([*head.parameters(), *stage.adapter.parameters()], lr=1e-3)
    history = []
    for _ in range(12):
        passed = head.denoise(points, timesteps, scene)
        losses = distillation_losses(passed, head.plan_anchor, lesson, stage.adapter, ONES)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    for name in ("distill_scores_1", "distill_plans_1", "distill_features"):
        assert history[-1][name] < 0.9 * history[0][name], name


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / WEIGHTS_FILE
    write_weights(path, prefixed(teacher_of(), TEACHER_PREFIX))
    return path


def test_a_whole_training_goes_on_where_it_was(demo_root: Path, teacher_file: Path, tmp_path: Path) -> None:
    data = DataConfig(demo_root, VERSION, cache=tmp_path / "cache", workers=0)
    run = RunConfig(3, batch_size=1, checkpoint_interval=2, log_interval=1, device="cpu", frozen_norm=True)
    model, optimizer = ModelConfig(teacher_weights=teacher_file), OptimizerConfig(lr=1e-4)
    config = TrainConfig("diffusiondrive", data, model, optimizer=optimizer, run=run)
    train(config, tmp_path / "whole", resume=False)
    whole = read_log(tmp_path / "whole")
    assert len(whole) == 3 and "loss/distill_features" in whole[0]
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "whole" / "checkpoint-00000002.pt", tmp_path / "again")
    train(config, tmp_path / "again", resume=True)
    (last,) = read_log(tmp_path / "again")
    assert last["loss/total"] == pytest.approx(whole[-1]["loss/total"], rel=1e-5)
    keys = read_state_dict(tmp_path / "again" / WEIGHTS_FILE)
    assert keys and not any("teacher" in key or "adapter" in key or "distillation" in key for key in keys)

    alone = replace(config, options=TrainingOptions(distillation=False))
    with pytest.raises(CheckpointError, match="distilled plans"):
        train(alone, tmp_path / "again", resume=True)
    with pytest.raises(CheckpointError, match="distilled plans"):
        train(replace(config, model=ModelConfig()), tmp_path / "again", resume=True)


def test_bad_input_is_named(batch: DiffusionBatch, source: SceneSource, targets: SceneTargets) -> None:
    short = teacher_tiny()
    with pytest.raises(ConfigurationError, match="cannot teach 'tiny_v1'"):
        stage_of(replace(short, motion=replace(short.motion, ego_steps=9)))
    with pytest.raises(ValueError, match="does not hold what the teacher sees"):
        stage_of().plan_losses(PassOutputs((), ()), replace(batch, lesson=None))
    with pytest.raises(ValueError, match="1 of 2 batches have a lesson"):
        join_frames([batch, replace(batch, lesson=None)])
    crowded = RequestedFrames([source], CONFIG, lessons=LessonBook([targets], FrameLimits(0, 50)))
    with pytest.raises(DatasetError, match="the teacher takes 0"):
        crowded[FrameRequest(0, 0, True, 0, 0, 0)]
    with pytest.raises(ConfigurationError, match="sees the world as it is"):
        TrainConfig(
            "diffusiondrive",
            model=ModelConfig(teacher_weights=Path("t.safetensors")),
            diffusion_augmentation=DiffusionAugmentation(mirror=0.5),
        )
    assert len(the_view(batch).frames) == HISTORY
