"""Scores of one planned way against the way driven and the road users around it (spec 11.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.evaluation.open_loop.collision import grid_collisions, polygon_collisions
from distilldrive_ros.scene.command import Command

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# The published grid: 3 s in steps of 0.5 s.
STEP_S = 0.5
STEPS = 6


class Unscored(Enum):
    """Why a key frame has no score; every table of a report counts them."""

    NO_TRUTH = "less than 3 s of the way driven are known (end of the scene)"
    NO_BOXES = "road users are not annotated for all of the 3 s"
    NO_POSE = "no odometry has the stamp of the key frame, or of one of the six after it"
    NO_PLAN = "no plan has its stamp"
    NO_VALID = "the planner selected no candidate"
    SHORT_PLAN = "the plan ends before 3 s"
    NONFINITE = "the plan holds NaN or infinity"


@dataclass(frozen=True)
class PlanningSample:
    """A key frame with its plan, in the LiDAR frame of its stamp (x right, y ahead; metres, radians).

    `truth` (6, 2): the way driven. `modes` (K, 6, 2) with `scores` (K,): candidates of the driven command, `selected`
    the one that would be driven. `rectangles` (N, 5) x, y, length, width, yaw: annotated road users of all six steps,
    `steps` (N,) which; `on_grid` (N,): vehicles and pedestrians, what ST-P3's grid knows.
    """

    scene: str
    stamp_ns: int
    command: Command
    truth: Array
    modes: Array
    scores: Array
    selected: int
    rectangles: Array
    steps: NDArray[np.int64]
    on_grid: Flags


@dataclass(frozen=True)
class SampleScore:
    """All numbers of one key frame.

    `l2` (6,) m; `hits` (6,): the plan collides where the way driven does not, `truth_hits` (6,): the way driven does
    (its steps are not held against the plan); the same by ST-P3's grid. `min_ade`, `min_fde`: of the best of all
    candidates over 3 s, m. `diversity`: mean distance between the ends of two candidates, m, NaN for one candidate.
    `mode_scores` (K,), `best_mode`: the candidate with the least ADE.
    """

    scene: str
    stamp_ns: int
    command: Command
    l2: Array
    hits: Flags
    truth_hits: Flags
    grid_hits: Flags
    grid_truth_hits: Flags
    min_ade: float
    min_fde: float
    diversity: float
    mode_scores: Array
    best_mode: int


def score_sample(sample: PlanningSample) -> SampleScore:
    """Compare. The collision rule of the spec: a step where the ego box of the truth collides is not counted."""
    plan = sample.modes[sample.selected]
    boxes, steps = sample.rectangles, sample.steps
    truth_hits = polygon_collisions(sample.truth, boxes, steps)
    painted, painted_steps = boxes[sample.on_grid], steps[sample.on_grid]
    grid_truth_hits = grid_collisions(sample.truth, painted, painted_steps)
    distances = np.linalg.norm(sample.modes - sample.truth, axis=-1)
    ade = distances.mean(axis=1)
    return SampleScore(
        scene=sample.scene,
        stamp_ns=sample.stamp_ns,
        command=sample.command,
        l2=distances[sample.selected],
        hits=polygon_collisions(plan, boxes, steps) & ~truth_hits,
        truth_hits=truth_hits,
        grid_hits=grid_collisions(plan, painted, painted_steps) & ~grid_truth_hits,
        grid_truth_hits=grid_truth_hits,
        min_ade=float(ade.min()),
        min_fde=float(distances[:, -1].min()),
        diversity=mode_diversity(sample.modes),
        mode_scores=sample.scores,
        best_mode=int(ade.argmin()),
    )


def mode_diversity(modes: Array) -> float:
    """Mean distance (m) between the ends of two different candidates of (K, T, 2); NaN for less than two."""
    count = len(modes)
    if count < 2:
        return float("nan")
    ends = modes[:, -1]
    return float(np.linalg.norm(ends[:, None] - ends[None], axis=-1).sum() / (count * (count - 1)))


def on_published_grid(points: Array, yaw: Array, time_step: float) -> tuple[Array, Array] | None:
    """Positions (6, 2) and headings (6,) every 0.5 s up to 3 s of a plan (T, 2), (T,) in base_link.

    A plan of another time step is interpolated, headings by the shorter way; None where it ends before 3 s.
    """
    times = np.arange(len(points) + 1) * time_step
    wanted = np.arange(1, STEPS + 1) * STEP_S
    if times[-1] < wanted[-1] - 1e-3:
        return None
    if abs(time_step - STEP_S) < 1e-6:
        return points[:STEPS], yaw[:STEPS]
    way = np.concatenate([np.zeros((1, 2)), points])
    heading = np.unwrap(np.concatenate([[0.0], yaw]))
    at = np.stack([np.interp(wanted, times, way[:, axis]) for axis in (0, 1)], axis=-1)
    return at, np.interp(wanted, times, heading)
