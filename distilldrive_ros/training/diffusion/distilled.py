"""The imitation stage of DiffusionDrive with a teacher at its side."""

from __future__ import annotations

import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.distilldrive.training_only import feature_adapter
from distilldrive_ros.models.random_weights import fill_module
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.diffusion.distillation import distillation_losses, lesson_of
from distilldrive_ros.training.diffusion.imitation import ImitationStage
from distilldrive_ros.training.diffusion.losses import ImitationWeights
from distilldrive_ros.training.losses.weights import PlanDistillationWeights


class DistilledImitationStage(ImitationStage):
    """Trains `network` by the drive and by the plans of a frozen teacher, which sees the annotations.

    Teacher and feature adapter are part of the checkpoints and not of the weights, which are those of the network
    alone, under their official names. The teacher always is in evaluation mode (no published training says otherwise).
    """

    def __init__(
        self,
        network: DiffusionDriveNetwork,
        teacher: TeacherNetwork,
        generator: torch.Generator,
        seed: int,
        weights: ImitationWeights | None = None,
        distillation: PlanDistillationWeights | None = None,
        noise_draws: int = 1,
    ) -> None:
        """The adapter's weights are drawn from `generator`.

        Raises ConfigurationError when the teacher plans steps of another length, or more of them.
        """
        super().__init__(network, seed, weights, noise_draws)
        mine, taught = network.config, teacher.config.motion
        if taught.step_seconds != mine.step_seconds or taught.ego_steps > mine.num_points:
            raise ConfigurationError(
                f"teacher {teacher.config.name!r} cannot teach {mine.name!r}: it plans {taught.ego_steps} steps of "
                f"{taught.step_seconds} s, the model {mine.num_points} of {mine.step_seconds} s; choose other presets"
            )
        self.teacher = teacher.requires_grad_(False)
        self.distillation = distillation or PlanDistillationWeights()
        self.adapter = feature_adapter(mine.embed_dim, teacher.config.embed_dim)
        for module in self.adapter:
            fill_module(module, generator)
        self.train(self.training)

    def train(self, mode: bool = True) -> DistilledImitationStage:
        """As nn.Module, but for the teacher."""
        super().train(mode)
        self.teacher.eval()
        return self

    def plan_losses(self, passed: PassOutputs, batch: DiffusionBatch) -> dict[str, Tensor]:
        """Those of the drive, and those of the teacher.

        Raises:
            ValueError: the batch has no lesson.
            SensorDataError: a frame holds more than the teacher takes.
        """
        if batch.lesson is None:
            raise ValueError("the batch does not hold what the teacher sees")
        anchors = self.network.trajectory_head.plan_anchor
        lesson = lesson_of(self.teacher, batch.lesson)
        return {
            **super().plan_losses(passed, batch),
            **distillation_losses(passed, anchors, lesson, self.adapter, self.distillation),
        }
