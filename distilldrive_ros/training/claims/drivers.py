"""Teacher and student as driving models of one recorded scene: what they see was worked out before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distilldrive_ros.geometry.poses import inverse
from distilldrive_ros.models.distilldrive.adapter import (
    DecodeSettings,
    PlacedSet,
    mode_candidates,
    object_predictions,
    plan_candidates,
    vector_map,
)
from distilldrive_ros.models.distilldrive.ego_motion import frame_step
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import Perceived, StudentOutputs
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.state import TeacherInputs, TeacherState
from distilldrive_ros.scene.candidates import ScoreType
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.training.annotations import teacher_inputs
from distilldrive_ros.training.pipeline.augmentation import View
from distilldrive_ros.training.pipeline.frames import FrameLimits, annotation_batch
from distilldrive_ros.training.pipeline.perceived_scenes import PerceivedScenes
from distilldrive_ros.training.stages.planning import MotionMemory
from distilldrive_ros.training.targets.scene import SceneTargets

_KEY_FRAME_PERIOD_S = 0.5


class _SceneDriver:
    """What both have in common: they drive `scene` alone, at its key frames, and look at no sensor of a set."""

    def __init__(self, scene: SceneTargets, model_id: str, max_gap_s: float) -> None:
        self.model_id = model_id
        self.trained = True
        self.device = "cpu"
        self.requirements = SensorRequirements((), False, _KEY_FRAME_PERIOD_S, max_gap_s)
        self._scene = scene

    def initial_state(self) -> None:
        """No history."""

    def _key_frame(self, frame: SensorFrame) -> tuple[int, PlacedSet]:
        """Number of the key frame of a set's stamp. Raises SensorDataError where the scene has none."""
        found = np.flatnonzero(self._scene.stamps_ns == frame.stamp_ns)
        if len(found) != 1:
            raise SensorDataError(f"{self._scene.name} has no key frame at {frame.stamp_ns} ns; replay the same scene")
        world_from_network = self._scene.world_from_network[found[0]]
        return int(found[0]), PlacedSet(inverse(frame.world_from_base) @ world_from_network, frame)


@dataclass(frozen=True)
class SeenFrame:
    """A key frame as the planning half of a student takes it; see MotionMemory for time and pose."""

    placed: PlacedSet
    perceived: Perceived
    timestamp: Tensor
    world_from_lidar: Tensor


class PerceivedStudent(_SceneDriver):
    """A student on what its perception saw of the scene; gives the plans that the whole student gives."""

    def __init__(self, network: StudentNetwork, scene: SceneTargets, perceived: PerceivedScenes, model_id: str) -> None:
        """`network` in evaluation mode, with the perception that `perceived` is of."""
        super().__init__(scene, model_id, network.config.max_time_gap)
        self._network = network
        self._perceived = perceived
        self._settings = DecodeSettings()

    def prepare(self, frame: SensorFrame) -> SeenFrame:
        """Look it up. Raises SensorDataError: it is no key frame, or its pictures could not be read."""
        number, placed = self._key_frame(frame)
        return SeenFrame(
            placed,
            self._perceived.frame(self._scene, number),
            torch.tensor([frame.stamp_ns * 1e-9], dtype=torch.float64),
            torch.from_numpy(self._scene.world_from_network[number])[None],
        )

    def step(self, state: MotionMemory | None, prepared: SeenFrame) -> tuple[MotionMemory, ModelOutput]:
        """Plan."""
        network, perceived, settings = self._network, prepared.perceived, self._settings
        with torch.inference_mode():
            step = None if state is None else frame_step(state, prepared, network.config.max_time_gap)
            motion, queue = network.decode_motion(state.queue if state else None, step, perceived)
            outputs = StudentOutputs(perceived.detection, perceived.ids, perceived.map, motion)
            placed, config, name = prepared.placed, network.config, self.model_id
            result = ModelOutput(
                plan_candidates(outputs, placed, config, settings.rescore, name),
                object_predictions(outputs, placed, config, settings.min_object_score, name),
                vector_map(outputs, placed, config, settings.min_map_score, name),
                {},
            )
        return MotionMemory(prepared.timestamp, prepared.world_from_lidar, queue), result


@dataclass(frozen=True)
class AnnotatedFrame:
    """A key frame as the teacher takes it."""

    placed: PlacedSet
    inputs: TeacherInputs


class TeacherDriver(_SceneDriver):
    """The teacher on the annotations of the scene. It knows what road users will do: no fair opponent of a student."""

    def __init__(self, network: TeacherNetwork, scene: SceneTargets, model_id: str) -> None:
        """`network` in evaluation mode."""
        super().__init__(scene, model_id, network.config.max_time_gap)
        self._network = network
        self._limits = FrameLimits(network.config.max_agents, network.config.max_polylines)

    def prepare(self, frame: SensorFrame) -> AnnotatedFrame:
        """Look it up. Raises SensorDataError: it is no key frame, or holds more than the teacher takes."""
        number, placed = self._key_frame(frame)
        self._limits.check(self._scene, number)
        batch = annotation_batch(self._scene, number, False, View())
        return AnnotatedFrame(placed, teacher_inputs(batch, self._network.config))

    def step(self, state: TeacherState | None, prepared: AnnotatedFrame) -> tuple[TeacherState, ModelOutput]:
        """Plan; road users and map are not reported."""
        placed = prepared.placed
        with torch.inference_mode():
            new_state, outputs = self._network(state, prepared.inputs)
            candidates = mode_candidates(
                outputs.plan_logits[0], outputs.plan_offsets[0], placed.frame, placed.base_from_network,
                self._network.config.motion, ScoreType.SIGMOID, self.model_id,
            )  # fmt: skip
        nobody = ObjectPredictions(placed.frame.stamp_ns, placed.frame.frame_id, self.model_id, ())
        nothing = VectorMap(placed.frame.stamp_ns, placed.frame.frame_id, self.model_id, ())
        return new_state, ModelOutput(candidates, nobody, nothing, {})
