"""What every driving model offers to the graph, whatever its network.

A model is a pure step: it keeps nothing between calls. Whoever runs it holds the state (see `models.session`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.candidates import TrajectoryCandidates
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap


@dataclass(frozen=True)
class SensorRequirements:
    """What a model needs in a set.

    `cameras`: channel names, in the network's order; empty for models that do not look. `lidar`: whether a sweep is
    needed. `period_s`: nominal time between two sets, 0 where any will do. `max_gap_s`: history older than that is
    dropped. `ground_truth`: a privileged model, which must be given `SensorFrame.privileged`.
    """

    cameras: tuple[str, ...]
    lidar: bool
    period_s: float
    max_gap_s: float
    ground_truth: bool = False


@dataclass(frozen=True)
class ModelOutput:
    """Result of one step, in base_link at the set's stamp. `stage_seconds`: steady-clock time by stage.

    For people, where a model has such things: `details` are lines by name for the diagnostics; `bird_view` is a picture
    (H, W, 3) uint8 of what the model sees from above, x ahead towards the top, y left towards the left.
    """

    candidates: TrajectoryCandidates
    objects: ObjectPredictions
    vector_map: VectorMap
    stage_seconds: Mapping[str, float]
    details: Mapping[str, str] = field(default_factory=dict)
    bird_view: NDArray[np.uint8] | None = None


class DrivingModel(Protocol):
    """Inference of one model on one device.

    `model_id` is `name@hash` or `name@untrained`; `trained`: weights were loaded; `device` is cpu or cuda:N.
    """

    @property
    def model_id(self) -> str: ...

    @property
    def trained(self) -> bool: ...

    @property
    def device(self) -> str: ...

    @property
    def requirements(self) -> SensorRequirements: ...

    def initial_state(self) -> Any:
        """State before the first set of a drive."""
        ...

    def prepare(self, frame: SensorFrame) -> Any:
        """Inputs of the network from a set: decoding, resizing, matrices. May run on another thread.

        Raises:
            SensorDataError: an image or sweep cannot be used.
        """
        ...

    def step(self, state: Any, prepared: Any) -> tuple[Any, ModelOutput]:
        """One inference: new state and result. The given state is left untouched.

        Raises:
            ModelOutputError: the result or the new state is not finite; drop the state.
        """
        ...
