"""Stage 0: the teacher learns from annotations alone (spec sections 1 and 7)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.teacher.config import Flavour
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.state import TeacherOutputs, TeacherState
from distilldrive_ros.training.annotations import teacher_inputs
from distilldrive_ros.training.batch import EgoTargets, TrainingBatch
from distilldrive_ros.training.losses import planning
from distilldrive_ros.training.losses.matching import identity
from distilldrive_ros.training.losses.motion import motion_losses
from distilldrive_ros.training.losses.value import ValueGradient, value_loss
from distilldrive_ros.training.losses.weights import LossWeights, teacher_weights
from distilldrive_ros.training.stages.official import load_exactly, prefixed
from distilldrive_ros.training.stages.stage import Stage
from distilldrive_ros.training.streaming import continued


class TeacherStage(Stage):
    """Trains `network`; cameras of a batch are not looked at.

    A teacher that does not see the map has a map encoder without a gradient: it is frozen.
    """

    def __init__(
        self,
        network: TeacherNetwork,
        weights: LossWeights | None = None,
        value: bool = True,
        value_gradient: ValueGradient | None = None,
    ) -> None:
        """`value` False leaves the reinforcement part of the distribution flavour out; None: `value_gradient` as
        published."""
        super().__init__()
        self.network = network
        self.loss_weights = weights or teacher_weights()
        self.value_gradient = value_gradient
        self.value = value and network.config.flavour is Flavour.DISTRIBUTION
        self._memory: TeacherState | None = None
        if not network.config.see_map:
            network.map_encoder.requires_grad_(False)
        if network.config.flavour is Flavour.DISTRIBUTION and not self.value:
            network.dqn_model.requires_grad_(False)

    def compute_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Six terms; see Stage. Raises SensorDataError when a frame has more agents than the teacher takes."""
        inputs = teacher_inputs(batch, self.network.config)
        self._memory, outputs = self.network(continued(self._memory, batch), inputs)
        matchings = [identity(len(agents.labels), batch.device) for agents in batch.agents]
        losses = motion_losses(
            outputs.motion_logits,
            outputs.motion_offsets,
            batch.agents,
            matchings,
            self.loss_weights,
            count_unknown=False,
        )
        return {**losses, **self._planning_losses(outputs, batch.ego)}

    def _planning_losses(self, outputs: TeacherOutputs, ego: EgoTargets) -> dict[str, Tensor]:
        weights = self.loss_weights
        branch = planning.commanded_branch(outputs.plan_logits, outputs.plan_offsets, ego)
        soft = self.network.config.flavour is Flavour.DISTRIBUTION
        classify = planning.soft_classification if soft else planning.hard_classification
        status = self._status(outputs, ego, branch.best)
        losses = {
            "planning_loss_cls_0": classify(branch, ego, weights),
            "planning_loss_reg_0": planning.regression(branch, ego, weights),
            "planning_loss_status_0": planning.status_loss(status, ego, weights),
        }
        if self.value:
            losses["planning_loss_rl_0"] = value_loss(
                self.network.dqn_model, status, branch.best_offsets(), ego, weights, self.value_gradient
            )
        return losses

    def _status(self, outputs: TeacherOutputs, ego: EgoTargets, best: Tensor) -> Tensor:
        """Status [B, 10]: that of the best mode of the commanded branch where every mode has its own."""
        if outputs.status.shape[1] == 1:
            return outputs.status[:, 0]
        mode = ego.command * self.network.config.motion.ego_modes + best
        return outputs.status[torch.arange(len(best), device=best.device), mode]

    def forget(self) -> None:
        """See Stage."""
        self._memory = None

    def weights(self) -> dict[str, Tensor]:
        """See Stage."""
        return prefixed(self.network, TEACHER_PREFIX)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See Stage."""
        load_exactly(self.network, weights, self.weights(), TEACHER_PREFIX)
