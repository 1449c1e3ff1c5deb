"""DiffusionDrive as a DrivingModel: what the graph runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from distilldrive_ros.models.device_memory import with_memory_guard
from distilldrive_ros.models.devices import resolve_device
from distilldrive_ros.models.diffusiondrive.adapter import (
    PreparedSet,
    RigCache,
    object_predictions,
    plan_candidates,
    prepare_inputs,
    selector_details,
    semantic_classes,
    status_tensor,
)
from distilldrive_ros.models.diffusiondrive.bird_view import class_picture
from distilldrive_ros.models.diffusiondrive.checkpoint import CheckpointReport, load_checkpoint, trained_stage
from distilldrive_ros.models.diffusiondrive.config import (
    NUSCENES_CAMERAS,
    DiffusionDriveConfig,
    diffusiondrive_tiny,
    preset,
)
from distilldrive_ros.models.diffusiondrive.engine import DiffusionEngine, DiffusionStep, NoisyInputs
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs, DiffusionOutputs
from distilldrive_ros.models.diffusiondrive.noise import CandidateMode, PlannerNoise, fixed_noise, random_noise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import MotionHistory, forward_acceleration
from distilldrive_ros.models.network_model import NetworkModel
from distilldrive_ros.models.precision import check_precision
from distilldrive_ros.models.stage_clock import StageClock
from distilldrive_ros.scene.errors import ConfigurationError, ModelOutputError
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap


@dataclass(frozen=True)
class PlannerSettings:
    """How to sample, where candidates come from, from which score (0 to 1) on vehicles are reported.

    `seed` feeds the noise of `CandidateMode.RANDOM`: frame n of every drive then draws the same noise again.
    """

    sampling: SamplingMode = SamplingMode.COMPATIBLE
    candidates: CandidateMode = CandidateMode.DETERMINISTIC
    min_object_score: float = 0.5
    seed: int = 0


def planner_settings(sampling: str, candidates: str, seed: int) -> PlannerSettings:
    """Settings from the names of their modes. Raises ConfigurationError for an unknown one."""
    for name, value, known in (("sampling", sampling, SamplingMode), ("candidates", candidates, CandidateMode)):
        if value not in [mode.value for mode in known]:
            raise ConfigurationError(f"{name} {value!r} is unknown; use {' or '.join(mode.value for mode in known)}")
    return PlannerSettings(SamplingMode(sampling), CandidateMode(candidates), seed=seed)


@dataclass(frozen=True)
class DiffusionState:
    """The network has no memory; this is the set before, for the acceleration, and the number of sets so far."""

    history: MotionHistory | None
    count: int


class DiffusionDriveModel(NetworkModel[DiffusionDriveNetwork, CheckpointReport]):
    """Inference of one network on one device. Keeps no state between sets."""

    def __init__(
        self,
        network: DiffusionDriveNetwork,
        device: str = "cpu",
        report: CheckpointReport | None = None,
        settings: PlannerSettings | None = None,
        precision: str = "fp32",
        captured: bool | None = None,
    ) -> None:
        """`captured`: the network's step in fixed memory, a CUDA graph where there is a GPU; None: only there."""
        super().__init__(network.config.name, network, device, report, len(NUSCENES_CAMERAS))
        self._engine = DiffusionEngine(self._network, precision)
        self._settings = settings or PlannerSettings()
        self._captured: DiffusionStep | None = None
        if self._device.type == "cuda" if captured is None else captured:
            self._captured = with_memory_guard(self._captured_step, network.config.name, device)
        self._fixed = fixed_noise(network.config).to(self._device)
        self._rigs = RigCache()

    @property
    def config(self) -> DiffusionDriveConfig:
        """Dimensions of the network."""
        return self._network.config

    @property
    def requirements(self) -> SensorRequirements:
        """Three front cameras and a LiDAR; one set is as good as any other, so history has no limits of its own."""
        return SensorRequirements(cameras=NUSCENES_CAMERAS, lidar=True, period_s=0.5, max_gap_s=2.0)

    def initial_state(self) -> DiffusionState:
        """No set before."""
        return DiffusionState(None, 0)

    def prepare(self, frame: SensorFrame) -> PreparedSet:
        """Camera picture and LiDAR map; safe to call from another thread. Raises SensorDataError."""
        return prepare_inputs(frame, self.config, self._executor, self._rigs)

    def step(self, state: DiffusionState, prepared: PreparedSet) -> tuple[DiffusionState, ModelOutput]:
        """One inference.

        Raises:
            ModelOutputError: outputs are not finite.
            DeviceMemoryError: the device has no memory left; what the step had taken is given back.
        """
        return with_memory_guard(lambda: self._step(state, prepared), self.model_id, self.device)

    def _step(self, state: DiffusionState, prepared: PreparedSet) -> tuple[DiffusionState, ModelOutput]:
        frame, name = prepared.frame, self.model_id
        clock = StageClock(self._device)
        with torch.inference_mode():
            acceleration = forward_acceleration(frame.ego, state.history, frame.stamp_ns)
            status = status_tensor(frame, acceleration)
            given = NoisyInputs(DiffusionInputs(prepared.camera, prepared.lidar, status), self._noise(state.count))
            compute = self._compute if self._captured is None else self._compute_captured
            outputs, finite = compute(given, clock)
            if not finite:
                raise ModelOutputError(f"{name} produced NaN or infinity; check the weights, images and odometry")
            candidates = plan_candidates(outputs.plan, frame, self.config, name)
            objects = object_predictions(outputs.agents, frame, self._settings.min_object_score, name)
            details = selector_details(outputs.plan)
            picture = class_picture(semantic_classes(outputs))
            clock.lap("decode")
        output = ModelOutput(
            candidates,
            objects,
            VectorMap(frame.stamp_ns, frame.frame_id, name, ()),
            clock.stages,
            details,
            picture,
        )
        return DiffusionState(MotionHistory(frame.stamp_ns, frame.ego.speed), state.count + 1), output

    def _captured_step(self) -> DiffusionStep:
        return self._engine.captured_step(self._settings.sampling)

    def _compute(self, given: NoisyInputs, clock: StageClock) -> tuple[DiffusionOutputs, bool]:
        """Outputs, and whether they are finite."""
        inputs = given.sensors.to(self._device)
        clock.lap("transfer")
        features = self._engine.extract_features(inputs)
        clock.lap("backbone")
        outputs = self._engine.decode(features, inputs.status, given.noise, self._settings.sampling)
        clock.lap("heads")
        return outputs, outputs.is_finite()

    def _compute_captured(self, given: NoisyInputs, clock: StageClock) -> tuple[DiffusionOutputs, bool]:
        """As `_compute`, outputs on the CPU; the stages of a graph cannot be told apart."""
        assert self._captured is not None
        _, checked = self._captured.run(None, given)
        clock.lap("network")
        return checked.outputs, bool(checked.finite)

    def _noise(self, count: int) -> PlannerNoise:
        if self._settings.candidates is CandidateMode.DETERMINISTIC:
            return self._fixed
        generator = torch.Generator().manual_seed((self._settings.seed << 32) + count)
        return random_noise(self.config, 1, generator).to(self._device)


def build_diffusiondrive(
    name: str,
    weights: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    partial: bool = False,
    settings: PlannerSettings | None = None,
    precision: str = "fp32",
) -> DiffusionDriveModel:
    """Network of a preset ready to run, with the weights of a file, or untrained ones drawn from `seed`.

    `partial` accepts a file of another training stage; what it lacks is drawn from `seed`. `diffusiondrive_tiny` goes
    without its selector where the file has none: there are no official weights of it whose stage could be mistaken.

    Raises:
        CheckpointError: the weight file cannot be used.
        ConfigurationError: the preset or the device does not exist, or the precision is not for the device.
    """
    config = preset(name)
    resolved = resolve_device(device)
    check_precision(precision, resolved)
    if weights is not None and not partial and name == diffusiondrive_tiny().name:
        config = replace(config, variant=trained_stage(weights))
    network = untrained_network(config, torch.Generator().manual_seed(seed))
    report = None if weights is None else load_checkpoint(network, weights, partial)
    return DiffusionDriveModel(network, resolved, report, settings or PlannerSettings(seed=seed), precision)
