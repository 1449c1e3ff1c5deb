"""Road users with multi-mode futures. Mirrors `msg/ObjectPrediction.msg` and `msg/ObjectPredictions.msg`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Order of the networks' class index (DistillDrive spec 4.1).
CLASS_NAMES = (
    "car", "truck", "construction_vehicle", "bus", "trailer",
    "barrier", "motorcycle", "bicycle", "pedestrian", "traffic_cone",
)  # fmt: skip


@dataclass(frozen=True)
class ObjectPrediction:
    """One road user in the frame of its set.

    `box` (7,): x, y, z, length, width, height (m), yaw (rad). `velocity` (2,) m/s. `mode_scores` (M,) and `mode_xy`
    (M, T, 2) m are float32, point i at (i + 1) * `time_step` seconds; NaN where unknown.
    """

    id: int
    class_id: str
    score: float
    box: NDArray[np.float64]
    velocity: NDArray[np.float64]
    time_step: float
    mode_scores: NDArray[np.float32]
    mode_xy: NDArray[np.float32]

    @property
    def pose(self) -> NDArray[np.float64]:
        """Centre and heading (4,): x, y, z, yaw."""
        return self.box[[0, 1, 2, 6]]

    @property
    def size(self) -> NDArray[np.float64]:
        """Length, width, height (3,)."""
        return self.box[3:6]

    @property
    def num_modes(self) -> int:
        """Number of futures M."""
        return self.mode_xy.shape[0]

    @property
    def num_steps(self) -> int:
        """Points of each future T."""
        return self.mode_xy.shape[1]


@dataclass(frozen=True)
class ObjectPredictions:
    """Road users at one instant, highest score first."""

    stamp_ns: int
    frame_id: str
    model_id: str
    objects: tuple[ObjectPrediction, ...]
