"""The numbers of a recorded drive: latencies by stage, what came in and out, distance to the way really driven."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from distilldrive_ros.evaluation.recording import RecordedFrame, Recording
from distilldrive_ros.scene.candidates import Candidate
from distilldrive_ros.scene.sensor_frame import Degraded

HORIZONS_S = (1.0, 2.0, 3.0)
PERCENTILES = (50, 95, 99)
TOTAL_STAGE = "total"

# Ages on the steady clock (recorder), in the order in which they add up.
AGE_STAGES = ("sensor_to_candidates", "candidates_to_plan", "sensor_to_plan")


@dataclass(frozen=True)
class StageLatency:
    """Durations of one stage in seconds, over `count` frames."""

    name: str
    count: int
    p50: float
    p95: float
    p99: float
    worst: float


@dataclass(frozen=True)
class Counts:
    """What came in, what came out, and what was lost."""

    frames_in: int
    plans_out: int
    without_plan: int
    without_valid_candidate: int
    dropped: int
    failed: int
    state_resets: int
    degraded: dict[str, int]


@dataclass(frozen=True)
class PlanDistance:
    """Mean distance (m) of the selected candidate to the way driven at one horizon, over `count` frames."""

    horizon_s: float
    mean: float
    count: int


@dataclass(frozen=True)
class DriveMetrics:
    """All numbers of a report. `distances_by_frame`: per frame, distance in metres by horizon; NaN where unknown."""

    model_id: str
    device: str
    latency: tuple[StageLatency, ...]
    ages: tuple[StageLatency, ...]
    counts: Counts
    distances: tuple[PlanDistance, ...]
    distances_by_frame: tuple[tuple[float, ...], ...]

    @property
    def trained(self) -> bool:
        """Whether the model ran with loaded weights (rule-based baselines have none and count as trained)."""
        return not self.model_id.endswith("@untrained")

    def to_json(self) -> dict[str, Any]:
        """Plain values for `metrics.json`; NaN becomes null."""
        return {
            "model_id": self.model_id,
            "weights_trained": self.trained,
            "device": self.device,
            "latency_s": {s.name: _stage_json(s) for s in self.latency},
            "age_s": {s.name: _stage_json(s) for s in self.ages},
            "counts": {
                "frames_in": self.counts.frames_in,
                "plans_out": self.counts.plans_out,
                "without_plan": self.counts.without_plan,
                "without_valid_candidate": self.counts.without_valid_candidate,
                "dropped": self.counts.dropped,
                "failed": self.counts.failed,
                "state_resets": self.counts.state_resets,
                "degraded": self.counts.degraded,
            },
            "l2_m": {f"{d.horizon_s:g}s": {"mean": finite_or_none(d.mean), "frames": d.count} for d in self.distances},
            "l2_by_frame_m": [[finite_or_none(v) for v in row] for row in self.distances_by_frame],
        }


def _stage_json(stage: StageLatency) -> dict[str, Any]:
    return {"count": stage.count, "p50": stage.p50, "p95": stage.p95, "p99": stage.p99, "max": stage.worst}


def finite_or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if math.isfinite(value) else None


def drive_metrics(recording: Recording) -> DriveMetrics:
    """Everything that can be counted from a recording."""
    stats = [f.stats for f in recording.frames if f.stats is not None]
    plans = recording.plans
    by_frame = tuple(frame_distances(f) for f in recording.frames)
    return DriveMetrics(
        model_id=plans[-1].model_id if plans else stats[-1].model_id if stats else "none",
        device=stats[-1].device if stats else "unknown",
        latency=_latency(recording.frames),
        ages=_ages(recording.frames),
        counts=_counts(recording),
        distances=tuple(_mean_distance(h, [row[i] for row in by_frame]) for i, h in enumerate(HORIZONS_S)),
        distances_by_frame=by_frame,
    )


def _latency(frames: Iterable[RecordedFrame]) -> tuple[StageLatency, ...]:
    samples: dict[str, list[float]] = defaultdict(list)
    totals = []
    for stats in (f.stats for f in frames if f.stats is not None):
        for name, seconds in zip(stats.stages, stats.stage_seconds, strict=True):
            samples[name].append(seconds)
        totals.append(stats.total_seconds)
    stages = [summary(name, values) for name, values in samples.items()]
    return tuple(stages + ([summary(TOTAL_STAGE, totals)] if totals else []))


def _ages(frames: Iterable[RecordedFrame]) -> tuple[StageLatency, ...]:
    samples: dict[str, list[float]] = defaultdict(list)
    for ages in (f.ages for f in frames if f.ages is not None):
        for name, seconds in zip(ages.stages, ages.stage_seconds, strict=True):
            samples[name].append(seconds)
    return tuple(summary(name, samples[name]) for name in AGE_STAGES if samples[name])


def summary(name: str, seconds: list[float]) -> StageLatency:
    """Percentiles of at least one duration."""
    p50, p95, p99 = (float(v) for v in np.percentile(np.asarray(seconds, np.float64), PERCENTILES))
    return StageLatency(name, len(seconds), p50, p95, p99, max(seconds))


def _counts(recording: Recording) -> Counts:
    plans = recording.plans
    last = [f.stats for f in recording.frames if f.stats is not None]
    degraded = {
        str(flag.name): sum(1 for p in plans if flag & p.degraded) for flag in Degraded if flag != Degraded.NONE
    }
    return Counts(
        frames_in=len(recording.frames),
        plans_out=len(plans),
        without_plan=len(recording.frames) - len(plans),
        without_valid_candidate=sum(1 for p in plans if p.selected < 0),
        dropped=max((s.dropped_frames for s in last), default=0),
        failed=max((s.failed_frames for s in last), default=0),
        state_resets=max((s.state_resets for s in last), default=0),
        degraded={name: count for name, count in degraded.items() if count},
    )


def frame_distances(frame: RecordedFrame) -> tuple[float, ...]:
    """Distance (m) of the selected candidate to the way driven at every horizon; NaN where either ends earlier."""
    best = frame.plan.best if frame.plan is not None else None
    if best is None or frame.truth_path is None:
        return (math.nan,) * len(HORIZONS_S)
    truth_times = np.concatenate([[0.0], frame.truth_path.times])
    truth = np.concatenate([np.zeros((1, 2)), frame.truth_path.points])
    return tuple(_distance_at(h, best, truth_times, truth) for h in HORIZONS_S)


def _distance_at(horizon: float, best: Candidate, truth_times: Any, truth: Any) -> float:
    times = np.arange(len(best.positions) + 1) * best.time_step
    points = np.concatenate([np.zeros((1, 2)), best.positions])
    # Stamps in nanoseconds give times that miss the horizon by rounding only.
    slack = 1e-3
    if times[-1] < horizon - slack or truth_times[-1] < horizon - slack:
        return math.nan
    planned = [float(np.interp(horizon, times, points[:, k])) for k in (0, 1)]
    driven = [float(np.interp(horizon, truth_times, truth[:, k])) for k in (0, 1)]
    return math.dist(planned, driven)


def _mean_distance(horizon: float, values: list[float]) -> PlanDistance:
    known = [v for v in values if math.isfinite(v)]
    return PlanDistance(horizon, float(np.mean(known)) if known else math.nan, len(known))
