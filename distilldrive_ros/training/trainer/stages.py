"""A configuration to a stage that is ready to be trained: networks, anchors, weights of earlier stages."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from distilldrive_ros.models.diffusiondrive import config as diffusion_presets
from distilldrive_ros.models.diffusiondrive.config import DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network as untrained_diffusiondrive
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.distilldrive.anchors import AnchorSet
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig, MotionConfig, preset
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.teacher import config as teacher_config
from distilldrive_ros.models.teacher.checkpoint import load_teacher
from distilldrive_ros.models.teacher.config import TeacherConfig
from distilldrive_ros.models.teacher.initialization import set_anchors, untrained_teacher
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError
from distilldrive_ros.training.anchors.anchor_file import read_anchors, read_drive_modes
from distilldrive_ros.training.diffusion.augmentation import require_mirror_images
from distilldrive_ros.training.diffusion.distilled import DistilledImitationStage
from distilldrive_ros.training.diffusion.imitation import ImitationStage
from distilldrive_ros.training.options import fixed_options, fixed_student, without_generative
from distilldrive_ros.training.pipeline.frames import FrameLimits
from distilldrive_ros.training.stages.official import load_exactly, prefixed
from distilldrive_ros.training.stages.perception import MOTION_PREFIX, PerceptionStage
from distilldrive_ros.training.stages.planning import PlanningStage
from distilldrive_ros.training.stages.stage import TrainedPart
from distilldrive_ros.training.stages.student import StudentStage
from distilldrive_ros.training.stages.teacher import TeacherStage
from distilldrive_ros.training.trainer.config import TrainConfig


def student_config(config: TrainConfig) -> DistillDriveConfig:
    """Dimensions of the student. Raises ConfigurationError for an unknown preset."""
    chosen = preset(config.model.student)
    if config.model.repaired:
        chosen = fixed_student(chosen)
    chosen = replace(chosen, motion=_motion(config, chosen.motion))
    return chosen if config.model.generative else without_generative(chosen)


def teacher_dimensions(config: TrainConfig) -> TeacherConfig:
    """Dimensions of the teacher. Raises ConfigurationError for an unknown preset."""
    chosen = teacher_config.preset(config.model.teacher)
    if config.model.repaired:
        chosen = teacher_config.fixed(chosen)
    return replace(chosen, motion=_motion(config, chosen.motion))


def _motion(config: TrainConfig, motion: MotionConfig) -> MotionConfig:
    return replace(motion, measured_speed=config.model.measured_speed)


def diffusion_config(config: TrainConfig) -> DiffusionDriveConfig:
    """Dimensions of the camera+LiDAR model. Raises ConfigurationError for an unknown preset."""
    return diffusion_presets.preset(config.model.diffusiondrive)


def frame_limits(config: TrainConfig) -> FrameLimits | None:
    """What a frame may hold where a teacher is at work; None where none is. Raises ConfigurationError."""
    idle = {"perception": True, "student": not config.options.distillation}
    if idle.get(config.stage, config.stage == "diffusiondrive" and not config.plan_distillation):
        return None
    teacher = teacher_dimensions(config)
    return FrameLimits(teacher.max_agents, teacher.max_polylines)


def frozen_perception(config: TrainConfig) -> StudentNetwork:
    """The network whose perception stage 2 leaves as it is; its motion head is untrained.

    Raises:
        ConfigurationError: the preset is unknown.
        CheckpointError: the weight file cannot be used.
    """
    network = untrained_network(student_config(config), torch.Generator().manual_seed(config.run.seed))
    _load_perception(network, config)
    return network.eval()


def build_stage(config: TrainConfig, rank: int = 0) -> TrainedPart:
    """The stage with weights drawn from the seed, or those of earlier stages; `rank` makes processes draw other noise.

    Raises:
        ConfigurationError: a preset is unknown, anchors or weights that are needed are missing, or do not fit.
        CheckpointError: a weight file cannot be used.
    """
    generator = torch.Generator().manual_seed(config.run.seed)
    noise = config.run.seed + rank
    if config.stage == "diffusiondrive":
        return _imitation_stage(config, generator, noise)
    dimensions = student_config(config)
    anchors = read_anchors(config.model.anchors, dimensions) if config.model.anchors is not None else None
    options = fixed_options(config.options) if config.model.repaired else config.options
    if config.stage == "teacher":
        teacher = _teacher(config, anchors, generator)
        return TeacherStage(teacher, value=options.value, value_gradient=options.value_gradient)
    student = untrained_network(dimensions, generator, anchors, to_be_trained=True)
    draw_encoder_biases(student, generator)
    if config.stage == "perception":
        return PerceptionStage(student, options, noise)
    if config.model.perception_weights is not None:
        _load_perception(student, config)
    elif config.model.freeze_perception:
        raise ConfigurationError(
            "a frozen perception must have been trained: give model.perception_weights (made by `distilldrive train "
            "perception`), or set model.freeze_perception to false"
        )
    stage = PlanningStage if config.model.freeze_perception else StudentStage
    return stage(student, _trained_teacher(config, anchors, generator), options, noise)


def _imitation_stage(config: TrainConfig, generator: torch.Generator, noise: int) -> ImitationStage:
    network = _diffusion_network(config, generator)
    teacher = _trained_teacher(config, None, generator) if config.plan_distillation else None
    if teacher is None:
        return ImitationStage(network, noise, noise_draws=config.options.noise_draws)
    options = config.options
    return DistilledImitationStage(
        network,
        teacher,
        generator,
        noise,
        distillation=options.plan_distillation,
        noise_draws=options.noise_draws,
    )


@torch.no_grad()
def draw_encoder_biases(network: nn.Module, generator: torch.Generator) -> None:
    """Biases of the anchor encoders as torch draws them, in place of zeros.

    An object that stands still has a velocity of exactly zero. Without biases its encoding is zero as well, up to layer
    norms that blow up the gradient of it by orders of magnitude, and clipping then stills all the rest.
    """
    for name, module in network.named_modules():
        if "anchor_encoder" in name.split(".") and isinstance(module, nn.Linear):
            limit = module.in_features**-0.5
            module.bias.uniform_(-limit, limit, generator=generator)


def _diffusion_network(config: TrainConfig, generator: torch.Generator) -> DiffusionDriveNetwork:
    dimensions = diffusion_config(config)
    network = untrained_diffusiondrive(dimensions, generator)
    if config.model.anchors is not None:
        modes = read_drive_modes(config.model.anchors, dimensions)
        with torch.no_grad():
            network.trajectory_head.plan_anchor.copy_(modes)
    if config.diffusion_augmentation.mirror > 0:
        require_mirror_images(network.trajectory_head.plan_anchor)
    return network


def _teacher(config: TrainConfig, anchors: AnchorSet | None, generator: torch.Generator) -> TeacherNetwork:
    network = untrained_teacher(teacher_dimensions(config), generator)
    if anchors is not None:
        set_anchors(network, anchors.motion, anchors.plan)
    draw_encoder_biases(network, generator)
    return network


def _trained_teacher(
    config: TrainConfig, anchors: AnchorSet | None, generator: torch.Generator
) -> TeacherNetwork | None:
    if not config.options.distillation:
        return None
    if config.model.teacher_weights is None:
        raise ConfigurationError(
            "distillation needs a trained teacher: give model.teacher_weights (made by `distilldrive train teacher`), "
            "or set options.distillation to false"
        )
    network = _teacher(config, anchors, generator)
    load_teacher(network, config.model.teacher_weights)
    return network


def _load_perception(network: StudentNetwork, config: TrainConfig) -> None:
    path = config.model.perception_weights
    assert path is not None
    try:
        load_exactly(network, read_state_dict(path), prefixed(network, without=MOTION_PREFIX), "")
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
