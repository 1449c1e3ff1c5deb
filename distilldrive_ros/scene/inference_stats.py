"""What one inference cost. Mirrors `msg/InferenceStats.msg`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InferenceStats:
    """Durations in seconds; counters since activation."""

    stamp_ns: int
    frame_id: str
    model_id: str
    device: str
    stages: tuple[str, ...]
    stage_seconds: tuple[float, ...]
    total_seconds: float
    sensor_age_seconds: float
    dropped_frames: int
    failed_frames: int
    state_resets: int
    device_memory_bytes: int
