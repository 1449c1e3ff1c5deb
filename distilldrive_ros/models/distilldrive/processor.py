"""The student as a DrivingModel: what the graph runs."""

from __future__ import annotations

from pathlib import Path

import torch

from distilldrive_ros.models.device_memory import with_memory_guard
from distilldrive_ros.models.devices import resolve_device
from distilldrive_ros.models.distilldrive.adapter import (
    DecodeSettings,
    PreparedSet,
    object_predictions,
    plan_candidates,
    prepare_inputs,
    vector_map,
)
from distilldrive_ros.models.distilldrive.checkpoint import CheckpointReport, load_checkpoint, trained_form
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig, preset
from distilldrive_ros.models.distilldrive.device_images import DeviceImages
from distilldrive_ros.models.distilldrive.engine import EngineOptions, StudentEngine, StudentStep
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.preprocess import ImagePreparation, prepare_images
from distilldrive_ros.models.distilldrive.state import StudentState
from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.network_model import NetworkModel
from distilldrive_ros.models.precision import check_precision
from distilldrive_ros.models.stage_clock import StageClock
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import ModelOutputError
from distilldrive_ros.scene.sensor_frame import SensorFrame


class DistillDriveModel(NetworkModel[StudentNetwork, CheckpointReport]):
    """Inference of one student network on one device. Keeps no state between sets."""

    def __init__(
        self,
        network: StudentNetwork,
        device: str = "cpu",
        report: CheckpointReport | None = None,
        settings: DecodeSettings | None = None,
        options: EngineOptions | None = None,
    ) -> None:
        super().__init__(network.config.name, network, device, report, len(network.config.cameras))
        self._engine = StudentEngine(self._network, options)
        self._captured: StudentStep | None = None
        if self._engine.options.captured_on(self._device):
            self._captured = with_memory_guard(self._engine.captured_step, network.config.name, device)
        on_device = self._device.type == "cuda" and self._engine.options.device_resize
        self._prepare_images: ImagePreparation = DeviceImages(self._device) if on_device else prepare_images
        self._settings = settings or DecodeSettings()

    @property
    def config(self) -> DistillDriveConfig:
        """Dimensions of the network."""
        return self._network.config

    @property
    def requirements(self) -> SensorRequirements:
        """Six cameras at 2 Hz; the LiDAR only lends its coordinate frame."""
        return SensorRequirements(
            cameras=self.config.cameras,
            lidar=False,
            period_s=self.config.default_time_interval,
            max_gap_s=self.config.max_time_gap,
        )

    def initial_state(self) -> StudentState | None:
        """No history."""
        return None

    def prepare(self, frame: SensorFrame) -> PreparedSet:
        """Decode images and compose matrices; safe to call from another thread. Raises SensorDataError."""
        return prepare_inputs(frame, self.config, self._executor, self._prepare_images)

    def step(self, state: StudentState | None, prepared: PreparedSet) -> tuple[StudentState, ModelOutput]:
        """One inference.

        Raises:
            ModelOutputError: outputs or the new state are not finite.
            DeviceMemoryError: the device has no memory left; what the step had taken is given back.
        """
        return with_memory_guard(lambda: self._step(state, prepared), self.model_id, self.device)

    def _step(self, state: StudentState | None, prepared: PreparedSet) -> tuple[StudentState, ModelOutput]:
        clock = StageClock(self._device)
        with torch.inference_mode():
            compute = self._compute if self._captured is None else self._compute_captured
            new_state, outputs, finite = compute(state, prepared.inputs, clock)
            if not finite:
                raise ModelOutputError(
                    f"{self.model_id} produced NaN or infinity; the temporal state is dropped, check the "
                    f"weights and images"
                )
            settings, name = self._settings, self.model_id
            candidates = plan_candidates(outputs, prepared, self.config, settings.rescore, name)
            objects = object_predictions(outputs, prepared, self.config, settings.min_object_score, name)
            polylines = vector_map(outputs, prepared, self.config, settings.min_map_score, name)
            clock.lap("decode")
        return new_state, ModelOutput(candidates, objects, polylines, clock.stages)

    def _compute(
        self, state: StudentState | None, given: StudentInputs, clock: StageClock
    ) -> tuple[StudentState, StudentOutputs, bool]:
        """New state, outputs, and whether both are finite."""
        inputs = given.to(self._device)
        clock.lap("transfer")
        levels = self._engine.extract_features(inputs.images)
        clock.lap("backbone")
        new_state, outputs = self._engine.decode_features(state, levels, inputs)
        clock.lap("heads")
        return new_state, outputs, outputs.is_finite() and new_state.is_finite()

    def _compute_captured(
        self, state: StudentState | None, given: StudentInputs, clock: StageClock
    ) -> tuple[StudentState, StudentOutputs, bool]:
        """As `_compute`, outputs on the CPU; the stages of a graph cannot be told apart."""
        assert self._captured is not None
        new_state, checked = self._captured.run(state, given)
        clock.lap("network")
        return new_state, checked.outputs, bool(checked.finite)


def build_student(
    name: str,
    weights: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    settings: DecodeSettings | None = None,
    options: EngineOptions | None = None,
) -> DistillDriveModel:
    """Student of a preset ready to run, with the weights of a file, or untrained ones drawn from `seed`.

    Raises:
        CheckpointError: the weight file cannot be used.
        ConfigurationError: the preset or the device does not exist, or the precision is not for the device.
    """
    config = preset(name)
    resolved = resolve_device(device)
    check_precision((options or EngineOptions()).precision, resolved)
    if weights is None:
        generator = torch.Generator().manual_seed(seed)
        return DistillDriveModel(untrained_network(config, generator), resolved, None, settings, options)
    content = read_state_dict(weights)
    network = StudentNetwork(trained_form(config, content))
    report = load_checkpoint(network, weights, content)
    return DistillDriveModel(network, resolved, report, settings, options)
