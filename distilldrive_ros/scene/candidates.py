"""Multi-mode plans: what a model proposes and what the planner makes of it. Mirrors `msg/*Candidates.msg`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import Degraded


class ScoreType(IntEnum):
    """`TrajectoryCandidates.SCORE_*`: what a score means."""

    SOFTMAX = 0
    SIGMOID = 1
    RESCORED = 2


class InvalidReason(IntFlag):
    """`PathCandidates.INVALID_*`: why a candidate must not be driven."""

    VALID = 0
    NONFINITE = 1
    START_JUMP = 2
    KINEMATICS = 4
    COLLISION = 8
    OFFROAD = 16


@dataclass(frozen=True)
class TrajectoryCandidates:
    """All candidates of a model, as flat arrays: N candidates of T points in `frame_id` at `stamp_ns`.

    Point i is reached (i + 1) * `time_step` seconds after the stamp. `mode` (N,) uint32, `command` (N,) uint8, `score`
    (N,) float32, `x`, `y` (N, T) float32 in metres, `yaw` (N, T) float32 in radians, `speed` (N, T) float32 in m/s or
    None.
    """

    stamp_ns: int
    frame_id: str
    inference_stamp_ns: int
    model_id: str
    score_type: ScoreType
    active_command: Command
    degraded: Degraded
    time_step: float
    mode: NDArray[np.uint32]
    command: NDArray[np.uint8]
    score: NDArray[np.float32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    yaw: NDArray[np.float32]
    speed: NDArray[np.float32] | None

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other.

        Raises:
            ValueError: shapes differ.
        """
        shape = self.x.shape
        points = [array.shape for array in (self.y, self.yaw, self.speed) if array is not None]
        rows = [array.shape for array in (self.mode, self.command, self.score)]
        if len(shape) != 2 or any(p != shape for p in points) or any(r != shape[:1] for r in rows):
            raise ValueError(f"candidate arrays do not fit each other: x {shape}, mode {self.mode.shape}")

    @property
    def num_candidates(self) -> int:
        """Number of candidates N."""
        return self.x.shape[0]

    @property
    def num_steps(self) -> int:
        """Points of each candidate T."""
        return self.x.shape[1]


@dataclass(frozen=True)
class Candidate:
    """One checked candidate: positions (T, 2) float64 in metres, yaw (T,) in radians, speed (T,) in m/s or None."""

    mode: int
    command: Command
    score: float
    invalid_reasons: InvalidReason
    time_step: float
    positions: NDArray[np.float64]
    yaw: NDArray[np.float64]
    speed: NDArray[np.float64] | None


@dataclass(frozen=True)
class PlanCandidates:
    """The planner's output, best candidate first. Mirrors `msg/PathCandidates.msg`, which holds the points as paths.

    `selected` is an index into `candidates`, -1 where none is valid.
    """

    stamp_ns: int
    frame_id: str
    inference_stamp_ns: int
    model_id: str
    score_type: ScoreType
    active_command: Command
    degraded: Degraded
    selected: int
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate | None:
        """The selected candidate, or None."""
        return self.candidates[self.selected] if self.selected >= 0 else None

    @property
    def paths(self) -> tuple[NDArray[np.float64], ...]:
        """Positions (T, 2) of every candidate."""
        return tuple(c.positions for c in self.candidates)

    @property
    def scores(self) -> tuple[float, ...]:
        """Score of every candidate."""
        return tuple(c.score for c in self.candidates)

    @property
    def modes(self) -> tuple[int, ...]:
        """Mode of every candidate."""
        return tuple(c.mode for c in self.candidates)

    @property
    def commands(self) -> tuple[Command, ...]:
        """Command of every candidate."""
        return tuple(c.command for c in self.candidates)

    @property
    def invalid_reasons(self) -> tuple[InvalidReason, ...]:
        """Reasons of every candidate."""
        return tuple(c.invalid_reasons for c in self.candidates)
