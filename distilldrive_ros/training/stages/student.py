"""Stage 2: the whole student, with the frozen teacher at its side (spec sections 1 and 8)."""

from __future__ import annotations

from torch import Tensor

from distilldrive_ros.models.distilldrive.motion_head import LatentSource
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import MotionOutputs, PerceptionOutputs
from distilldrive_ros.models.distilldrive.state import StudentState
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.stages.distilled import DistilledStage
from distilldrive_ros.training.stages.perception import image_features, perception_losses
from distilldrive_ros.training.streaming import continued


class StudentStage(DistilledStage):
    """Trains `network`, perception included; see DistilledStage."""

    def __init__(
        self, network: StudentNetwork, teacher: TeacherNetwork | None, options: TrainingOptions, seed: int
    ) -> None:
        super().__init__(network, teacher, options, seed)
        self._memory: StudentState | None = None

    def compute_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """All terms of spec section 10; see Stage. Raises SensorDataError when the teacher refuses the batch."""
        levels, depth = image_features(self.network, batch, self.options, self._generator)
        state = continued(self._memory, batch)
        seen: list[PerceptionOutputs] = []

        def decode(epsilon: Tensor | None, latent_source: LatentSource) -> tuple[PerceptionOutputs, MotionOutputs]:
            self._memory, outputs = self.network.decode_features(
                state, levels, batch.student_inputs(), epsilon=epsilon, latent_source=latent_source
            )
            seen.append(outputs.map)
            return outputs.detection, outputs.motion

        frame = self.decode_frame(batch, decode)
        perception = (frame.detection, seen[0])
        return {
            **perception_losses(self.network, batch, perception, frame.matchings, self.options),
            **self.plan_losses(frame, batch),
            "loss_dense_depth": depth,
        }

    def forget(self) -> None:
        """See Stage."""
        super().forget()
        self._memory = None
