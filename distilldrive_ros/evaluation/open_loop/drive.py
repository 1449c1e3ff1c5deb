"""Key frames of a converted bag as samples to score: the way driven and the road users, in the LiDAR frame.

Differences from the published protocol that a bag cannot undo: it holds the ten detection classes only, and does not
say which boxes hold no LiDAR point, so that those count as obstacles, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.ground_truth import KeyFrameTruth, read_ground_truth
from distilldrive_ros.bags.reader import BagReader
from distilldrive_ros.bags.topics import ODOMETRY
from distilldrive_ros.evaluation.open_loop.lidar_frame import lidar_rectangles, lidar_trajectories, virtual_lidar
from distilldrive_ros.evaluation.open_loop.planning import (
    STEP_S,
    STEPS,
    PlanningSample,
    Unscored,
    on_published_grid,
)
from distilldrive_ros.evaluation.recording import static_extrinsics
from distilldrive_ros.geometry.poses import inverse, transform_points
from distilldrive_ros.messages.fields import rigid_matrix, stamp_ns
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import BagError

Array = NDArray[np.float64]

# What ST-P3's occupancy grid knows: vehicles and pedestrians.
GRID_CLASSES = frozenset(
    {"car", "truck", "construction_vehicle", "bus", "trailer", "motorcycle", "bicycle", "pedestrian"}
)
# Key frames are 0.5 s apart, give or take a sweep; one farther from its step than this belongs to another.
STEP_TOLERANCE_S = 0.25


@dataclass(frozen=True)
class FutureBoxes:
    """Road users of the six steps: `rectangles` (N, 5) in the LiDAR frame, `steps` (N,), `on_grid` (N,)."""

    rectangles: Array
    steps: NDArray[np.int64]
    on_grid: NDArray[np.bool_]


@dataclass(frozen=True)
class TruthFrame:
    """A key frame: its annotations, the way driven (6, 2) or None near the end, the road users to come or None."""

    truth: KeyFrameTruth
    way: Array | None
    boxes: FutureBoxes | None


@dataclass(frozen=True)
class DriveTruth:
    """All key frames of a bag, in time order."""

    frames: tuple[TruthFrame, ...]
    base_from_lidar: Array

    @property
    def scenes(self) -> tuple[str, ...]:
        """Scene names, each once, in order."""
        return tuple(dict.fromkeys(f.truth.sample.scene_name for f in self.frames))


def read_drive_truth(bag: BagReader) -> DriveTruth:
    """Key frames with their futures.

    Raises:
        BagError: no ground truth, no key frame, or no odometry at a key frame.
    """
    truth = read_ground_truth(bag)
    if not truth:
        raise BagError(f"{bag.path} holds no key frame; convert the scene again")
    poses = _poses(bag, {t.stamp_ns for t in truth})
    base_from_lidar = static_extrinsics(bag).get("LIDAR_TOP", virtual_lidar())
    frames = tuple(truth_frame(truth, index, poses, base_from_lidar) for index in range(len(truth)))
    return DriveTruth(frames, base_from_lidar)


def truth_frame(
    truth: Sequence[KeyFrameTruth], index: int, poses: Mapping[int, Array], base_from_lidar: Array
) -> TruthFrame:
    """Key frame `index` with what the ones after it say. `poses`: world_from_base (4, 4) at the stamps."""
    now = truth[index]
    return TruthFrame(now, _way(now, base_from_lidar), _future_boxes(truth, index, poses, base_from_lidar))


def _poses(bag: BagReader, stamps: set[int]) -> dict[int, Array]:
    """world_from_base at the stamps."""
    poses = {}
    for message in bag.messages(topics=[ODOMETRY] if ODOMETRY in bag.topics else []):
        if message.stamp_ns in stamps:
            odometry: Any = bag.deserialize(message)
            poses[stamp_ns(odometry.header.stamp)] = rigid_matrix(
                odometry.pose.pose.position, odometry.pose.pose.orientation
            )
    if stamps - poses.keys():
        raise BagError(f"{bag.path} has no odometry at the stamp of a key frame; convert it again")
    return poses


def _way(truth: KeyFrameTruth, base_from_lidar: Array) -> Array | None:
    path = truth.path
    wanted = truth.stamp_ns + np.rint(np.arange(1, STEPS + 1) * STEP_S * 1e9).astype(np.int64)
    if len(path.stamps_ns) < STEPS or np.abs(path.stamps_ns[:STEPS] - wanted).max() > 1_000_000:
        return None
    return lidar_trajectories(path.positions[:STEPS], path.yaw[:STEPS], base_from_lidar)


def _future_boxes(
    truth: Sequence[KeyFrameTruth], index: int, poses: Mapping[int, Array], base_from_lidar: Array
) -> FutureBoxes | None:
    """Annotated boxes of the next six key frames, or None where there are less of the same scene."""
    now = truth[index]
    coming = truth[index + 1 : index + 1 + STEPS]
    for step, frame in enumerate(coming):
        late = (frame.stamp_ns - now.stamp_ns) * 1e-9 - (step + 1) * STEP_S
        if frame.sample.scene_token != now.sample.scene_token or abs(late) > STEP_TOLERANCE_S:
            return None
    if len(coming) < STEPS:
        return None
    base_from_world = inverse(poses[now.stamp_ns])
    parts, steps, on_grid = [], [], []
    for step, frame in enumerate(coming):
        boxes = np.array([o.box for o in frame.objects.objects], np.float64).reshape(-1, 7)
        parts.append(lidar_rectangles(_moved(base_from_world @ poses[frame.stamp_ns], boxes), base_from_lidar))
        steps += [step] * len(boxes)
        on_grid += [o.class_id in GRID_CLASSES for o in frame.objects.objects]
    return FutureBoxes(np.concatenate(parts), np.array(steps, np.int64), np.array(on_grid, np.bool_))


def _moved(target_from_source: Array, boxes: Array) -> Array:
    """Boxes (N, 7) in another frame; they stay upright."""
    centre = transform_points(target_from_source, boxes[:, :3])
    ahead = np.stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6])], axis=-1) @ target_from_source[:2, :2].T
    return np.concatenate([centre, boxes[:, 3:6], np.arctan2(ahead[:, 1], ahead[:, 0])[:, None]], axis=1)


def planning_samples(
    drive: DriveTruth, plans: Mapping[int, PlanCandidates]
) -> tuple[list[PlanningSample], Counter[Unscored]]:
    """What can be scored of a drive, and how many key frames cannot, by reason. Plans are found by their stamps."""
    samples: list[PlanningSample] = []
    missing: Counter[Unscored] = Counter()
    for frame in drive.frames:
        found = planning_sample(frame, plans.get(frame.truth.stamp_ns), drive.base_from_lidar)
        if isinstance(found, Unscored):
            missing[found] += 1
        else:
            samples.append(found)
    return samples, missing


def planning_sample(
    frame: TruthFrame, plan: PlanCandidates | None, base_from_lidar: Array
) -> PlanningSample | Unscored:
    """One key frame with its plan, or why it has no score."""
    if frame.way is None:
        return Unscored.NO_TRUTH
    if frame.boxes is None:
        return Unscored.NO_BOXES
    if plan is None:
        return Unscored.NO_PLAN
    if plan.best is None:
        unusable = [c for c in plan.candidates if not (np.isfinite(c.positions).all() and np.isfinite(c.yaw).all())]
        return Unscored.NONFINITE if plan.candidates and len(unusable) == len(plan.candidates) else Unscored.NO_VALID
    modes: list[Array] = []
    scores: list[float] = []
    selected = -1
    for index, candidate in enumerate(plan.candidates):
        if not (np.isfinite(candidate.positions).all() and np.isfinite(candidate.yaw).all()):
            continue
        on_grid = on_published_grid(candidate.positions, candidate.yaw, candidate.time_step)
        if on_grid is None:
            if index == plan.selected:
                return Unscored.SHORT_PLAN
            continue
        if index == plan.selected:
            selected = len(modes)
        modes.append(lidar_trajectories(*on_grid, base_from_lidar))
        scores.append(candidate.score)
    if selected < 0:
        return Unscored.NONFINITE
    return PlanningSample(
        scene=frame.truth.sample.scene_name,
        stamp_ns=frame.truth.stamp_ns,
        command=frame.truth.command.command,
        truth=frame.way,
        modes=np.stack(modes),
        scores=np.array(scores, np.float64),
        selected=selected,
        rectangles=frame.boxes.rectangles,
        steps=frame.boxes.steps,
        on_grid=frame.boxes.on_grid,
    )
