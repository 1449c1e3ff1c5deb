"""Stage 2 on a perception that is not trained any more: motion and planning alone learn, from what it saw."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from distilldrive_ros.models.distilldrive.ego_motion import frame_step
from distilldrive_ros.models.distilldrive.motion_head import LatentSource
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import MotionOutputs, PerceptionOutputs
from distilldrive_ros.models.distilldrive.state import QueueState
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.stages.distilled import DistilledStage
from distilldrive_ros.training.stages.perception import MOTION_PREFIX
from distilldrive_ros.training.streaming import continued


@dataclass(frozen=True)
class MotionMemory:
    """What motion and planning remember: when and where the last frame was, and the queue of instances."""

    timestamp: Tensor
    world_from_lidar: Tensor
    queue: QueueState


class PlanningStage(DistilledStage):
    """Trains the motion head of `network` on batches with `perceived` instances; all the rest is frozen.

    The published training goes on with perception in stage 2. This one costs a small part of it, and several students
    on the same perception differ in nothing but their planning.
    """

    def __init__(
        self, network: StudentNetwork, teacher: TeacherNetwork | None, options: TrainingOptions, seed: int
    ) -> None:
        super().__init__(network, teacher, options, seed)
        self._memory: MotionMemory | None = None
        for name, parameter in network.named_parameters():
            if not name.startswith(MOTION_PREFIX):
                parameter.requires_grad_(False)

    def compute_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """The terms of motion and planning; see Stage.

        Raises:
            SensorDataError: the teacher refuses the batch.
            ValueError: nothing perceived is in the batch.
        """
        perceived = batch.perceived
        if perceived is None:
            raise ValueError("the batch carries no perceived instances; this stage sees no cameras")
        memory = continued(self._memory, batch)
        step = None if memory is None else frame_step(memory, batch, self.network.config.max_time_gap)

        def decode(epsilon: Tensor | None, latent_source: LatentSource) -> tuple[PerceptionOutputs, MotionOutputs]:
            motion, queue = self.network.decode_motion(
                memory.queue if memory else None, step, perceived, epsilon, latent_source
            )
            self._memory = MotionMemory(batch.timestamp, batch.world_from_lidar, queue)
            return perceived.detection, motion

        return self.plan_losses(self.decode_frame(batch, decode), batch)

    def forget(self) -> None:
        """See Stage."""
        super().forget()
        self._memory = None
