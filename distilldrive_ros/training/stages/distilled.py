"""What both forms of stage 2 share: the frozen teacher, the motion and planning losses, the latent of the future."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.distilldrive.generative import standard_normal
from distilldrive_ros.models.distilldrive.motion_head import LatentSource
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import GaussianLatent, MotionOutputs, PerceptionOutputs
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.state import TeacherState
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.annotations import teacher_inputs
from distilldrive_ros.training.batch import EgoTargets, TrainingBatch
from distilldrive_ros.training.losses import planning
from distilldrive_ros.training.losses.detection import match_decoders
from distilldrive_ros.training.losses.distillation import distillation_losses
from distilldrive_ros.training.losses.latent import LatentAlignment, aligned_latent, future_latent, latent_loss
from distilldrive_ros.training.losses.matching import Matching
from distilldrive_ros.training.losses.motion import motion_losses
from distilldrive_ros.training.losses.value import value_loss
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.stages.official import load_exactly, prefixed
from distilldrive_ros.training.stages.stage import Stage
from distilldrive_ros.training.streaming import continued

Decode = Callable[[Tensor | None, LatentSource], tuple[PerceptionOutputs, MotionOutputs]]
"""Runs the network, given noise [B, tokens, latent] (None for none) and what the generative module samples from."""


@dataclass(frozen=True)
class DecodedFrame:
    """A student's frame in training: detections, plans, the latent of the true future (None without generative
    module), and who answers for whom, by decoder (outer) and stream (inner).
    """

    detection: PerceptionOutputs
    motion: MotionOutputs
    future: GaussianLatent | None
    matchings: tuple[tuple[Matching, ...], ...]


class DistilledStage(Stage):
    """Trains the motion head of `network`, and what a subclass adds; the teacher's parameters are frozen.

    Raises ConfigurationError: distillation is wanted without a teacher, or the teacher does not fit the student.
    """

    def __init__(
        self, network: StudentNetwork, teacher: TeacherNetwork | None, options: TrainingOptions, seed: int
    ) -> None:
        super().__init__()
        if options.distillation and teacher is None:
            raise ConfigurationError(
                "distillation is on but there is no teacher; give a teacher checkpoint or switch distillation off"
            )
        self.network = network
        self.teacher = teacher if options.distillation else None
        self.options = options
        self._generator = torch.Generator().manual_seed(seed)
        self._teacher_memory: TeacherState | None = None
        if self.teacher is not None:
            self.teacher.config.check_student(network.config)
            self.teacher.requires_grad_(False)
        self._freeze_what_is_left_out()

    def _freeze_what_is_left_out(self) -> None:
        head = self.network.head.motion_plan_head
        left_out: list[nn.Module] = []
        if self.teacher is None:
            left_out.append(head.feature_adapter)
        if not self.options.value:
            left_out.append(head.dqn_model)
        if not self.network.config.motion.generative:
            left_out += [head.present_distribution, head.future_distribution, head.predict_model]
        for module in left_out:
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> DistilledStage:
        """As nn.Module; the teacher follows only as published (quirk Q12)."""
        super().train(mode)
        if self.teacher is not None and not self.options.teacher_dropout:
            self.teacher.eval()
        return self

    def decode_frame(self, batch: TrainingBatch, decode: Decode) -> DecodedFrame:
        """One step of the network with the noise and the latent of training."""
        config = self.network.config
        num_agents, num_ego = config.detection.num_anchors, config.motion.num_ego_tokens
        future: GaussianLatent | None = None
        if config.motion.generative:
            distribution = self.network.head.motion_plan_head.future_distribution
            future = future_latent(distribution, batch.agents, batch.ego, num_agents, num_ego)
        matchings: list[tuple[tuple[Matching, ...], ...]] = []

        def latent_source(detection: PerceptionOutputs, present: GaussianLatent) -> GaussianLatent:
            assert future is not None
            if self.options.alignment is LatentAlignment.ANNOTATION:
                return future
            matchings.append(match_decoders(detection, batch.agents))
            return aligned_latent(future, present, batch.agents, matchings[0][-1], num_agents)

        epsilon = None
        if self.training and self.options.latent_noise:
            shape = (batch.size, num_agents + num_ego, config.motion.latent_dim)
            epsilon = standard_normal(shape, self._generator, batch.device)
        detection, motion = decode(epsilon, latent_source)
        if not matchings:
            matchings.append(match_decoders(detection, batch.agents))
        return DecodedFrame(detection, motion, future, matchings[0])

    def plan_losses(self, frame: DecodedFrame, batch: TrainingBatch) -> dict[str, Tensor]:
        """Terms of motion, planning, generative module and distillation (spec section 10).

        Raises SensorDataError when the teacher refuses the batch.
        """
        motion, weights = frame.motion, self.options.weights
        matched = frame.matchings[-1]
        losses = {
            **motion_losses(
                motion.motion_logits, motion.motion_offsets, batch.agents, matched, weights, count_unknown=True
            ),
            **self._planning_losses(motion, batch.ego),
        }
        if frame.future is not None:
            num_agents = self.network.config.detection.num_anchors
            losses["distribution_loss"] = latent_loss(
                frame.future, motion.present, batch.agents, matched, num_agents, weights
            )
        if self.teacher is not None:
            losses.update(self._distillation_losses(motion, batch))
        return losses

    def _planning_losses(self, motion: MotionOutputs, ego: EgoTargets) -> dict[str, Tensor]:
        weights = self.options.weights
        branch = planning.commanded_branch(motion.plan_logits, motion.plan_offsets, ego)
        losses = {
            "planning_loss_cls_0": planning.hard_classification(branch, ego, weights),
            "planning_loss_reg_0": planning.regression(branch, ego, weights),
            "planning_loss_status_0": planning.status_loss(motion.status, ego, weights),
        }
        if self.options.value:
            value = self.network.head.motion_plan_head.dqn_model
            losses["planning_loss_rl_0"] = value_loss(
                value, motion.status, branch.best_offsets(), ego, weights, self.options.value_gradient
            )
        return losses

    def _distillation_losses(self, motion: MotionOutputs, batch: TrainingBatch) -> dict[str, Tensor]:
        assert self.teacher is not None
        with torch.no_grad():
            inputs = teacher_inputs(batch, self.teacher.config)
            self._teacher_memory, taught = self.teacher(continued(self._teacher_memory, batch), inputs)
        adapter = self.network.head.motion_plan_head.feature_adapter
        return distillation_losses(motion, taught, adapter, self.options.weights)

    def reseed(self, seed: int) -> None:
        """See Stage."""
        self._generator.manual_seed(seed)

    def forget(self) -> None:
        """See Stage."""
        self._teacher_memory = None

    def weights(self) -> dict[str, Tensor]:
        """See Stage; the teacher's entries are part of it, as in the published checkpoints."""
        entries = prefixed(self.network)
        return entries if self.teacher is None else {**entries, **prefixed(self.teacher, TEACHER_PREFIX)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See Stage."""
        load_exactly(self.network, weights, prefixed(self.network), "")
        if self.teacher is not None:
            load_exactly(self.teacher, weights, prefixed(self.teacher, TEACHER_PREFIX), TEACHER_PREFIX)
