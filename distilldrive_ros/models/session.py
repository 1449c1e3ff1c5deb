"""A drive with one model: keeps the temporal state, drops it where the set or a failure says so, and counts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from distilldrive_ros.models.interface import DrivingModel, ModelOutput
from distilldrive_ros.scene.errors import ModelOutputError
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, SensorFrame

logger = logging.getLogger(__name__)

# Sets may come somewhat sooner than the nominal period: nuScenes key frames are 0.40 to 0.60 s apart.
PERIOD_SLACK = 0.78


@dataclass
class ModelSession:
    """Runs sets through a model in order. Not thread-safe: one session belongs to one worker.

    Reset rules: a discontinuity flagged by the synchroniser, a gap beyond the model's limit, a stamp not after the one
    before, a failed step (a NaN in the history would poison every later set).
    """

    model: DrivingModel
    state_resets: int = 0
    failed_frames: int = 0
    _state: Any = field(default=None, repr=False)
    _last_stamp_ns: int | None = None

    def reset(self, reason: str) -> None:
        """Drop the temporal state; the next set starts anew."""
        if self._state is not None:
            self.state_resets += 1
            logger.info("temporal state dropped: %s", reason)
        self._state = None
        self._last_stamp_ns = None

    def wants(self, frame: SensorFrame) -> bool:
        """Whether the set comes late enough after the one before for the period that the model was trained for.

        Networks with memory learn its period: at several times the rate their tracks break (DistillDrive spec 15). A
        set after a discontinuity is always wanted.
        """
        if frame.discontinuity or self._last_stamp_ns is None:
            return True
        gap = (frame.stamp_ns - self._last_stamp_ns) * 1e-9
        return gap <= 0 or gap >= PERIOD_SLACK * self.model.requirements.period_s

    def run(self, frame: SensorFrame) -> ModelOutput:
        """Prepare and step one set.

        Raises:
            SensorDataError: the set cannot be used; the state stays as it was.
            ModelOutputError: the result was not finite; the state has been dropped.
        """
        start = time.perf_counter()
        try:
            prepared = self.model.prepare(frame)
        except Exception:
            self.failed_frames += 1
            raise
        return self.step(frame, prepared, time.perf_counter() - start)

    def step(self, frame: SensorFrame, prepared: Any, prepare_seconds: float) -> ModelOutput:
        """Step a set that was prepared elsewhere. Raises as `run`."""
        self._apply_reset_rules(frame)
        fresh = self._state is None
        state = self.model.initial_state() if fresh else self._state
        try:
            self._state, output = self.model.step(state, prepared)
        except ModelOutputError as error:
            self.failed_frames += 1
            self.reset(f"failed step: {error}")
            raise
        except Exception:
            self.failed_frames += 1
            self.reset("failed step")
            raise
        self._last_stamp_ns = frame.stamp_ns
        degraded = output.candidates.degraded | (Degraded.NO_HISTORY if fresh else Degraded.NONE)
        return replace(
            output,
            candidates=replace(output.candidates, degraded=degraded),
            stage_seconds={"prepare": prepare_seconds, **output.stage_seconds},
        )

    def _apply_reset_rules(self, frame: SensorFrame) -> None:
        if frame.discontinuity:
            self.reset(f"discontinuity {Discontinuity(frame.discontinuity)!r}")
        elif self._last_stamp_ns is not None:
            gap = (frame.stamp_ns - self._last_stamp_ns) * 1e-9
            if gap <= 0:
                self.reset(f"stamp not after the one before ({gap:+.3f} s)")
            elif gap > self.model.requirements.max_gap_s:
                self.reset(f"gap of {gap:.2f} s (limit {self.model.requirements.max_gap_s:.2f} s)")
