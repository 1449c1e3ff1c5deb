"""Which candidates meet a predicted road user or cross a predicted road boundary.

Off unless asked for: the papers' numbers are those of the networks' own choice, and a weak detector would refuse good
plans. The vehicle's box is followed along each candidate at steps of 0.1 s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.rectangles import rectangles_overlap
from distilldrive_ros.scene.candidates import InvalidReason, TrajectoryCandidates
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEP_S = 0.1
# A road user that moves less than this over a step keeps the heading of its box.
LEAST_MOTION_M = 0.1


@dataclass(frozen=True)
class HazardLimits:
    """What is looked for, and the vehicle's box.

    Road users and boundaries below their score, 0 to 1, are passed over. `ego_ahead`: from base_link (rear axle) to the
    middle of the vehicle, m.
    """

    check_collisions: bool = False
    check_boundaries: bool = False
    min_object_score: float = 0.4
    min_boundary_score: float = 0.4
    ego_length: float = 4.084
    ego_width: float = 1.85
    ego_ahead: float = 1.4

    def __post_init__(self) -> None:
        """Refuse wrong values.

        Raises:
            ConfigurationError: a size is not positive and finite, or a score not within 0 and 1.
        """
        for name in ("ego_length", "ego_width"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"planning limit {name} = {value} must be a positive number")
        if not math.isfinite(self.ego_ahead):
            raise ConfigurationError(f"planning limit ego_ahead = {self.ego_ahead} must be a finite number")
        for name in ("min_object_score", "min_boundary_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"planning limit {name} = {getattr(self, name)} must lie within 0 and 1")


def find_hazards(
    candidates: TrajectoryCandidates, objects: ObjectPredictions, vector_map: VectorMap, limits: HazardLimits
) -> NDArray[np.uint16]:
    """Bits COLLISION and OFFROAD (N,) of every candidate; candidates with NaN get none here.

    What the vehicle touches already at the stamp is passed over: it cannot tell one candidate from another. Road users
    move along their most likely future, on with their velocity where it ends or is not known.
    """
    bits = np.zeros(candidates.num_candidates, np.uint16)
    if not (limits.check_collisions or limits.check_boundaries) or not candidates.num_candidates:
        return bits
    times, ego = _ego_boxes(candidates, limits)
    if limits.check_collisions:
        seen = [o for o in objects.objects if o.score >= limits.min_object_score]
        bits[_collides(times, ego, seen)] |= np.uint16(InvalidReason.COLLISION)
    if limits.check_boundaries:
        lines = [
            p for p in vector_map.polylines if p.kind == PolylineKind.BOUNDARY and p.score >= limits.min_boundary_score
        ]
        bits[_crosses(ego, lines)] |= np.uint16(InvalidReason.OFFROAD)
    return bits


def _ego_boxes(candidates: TrajectoryCandidates, limits: HazardLimits) -> tuple[Array, Array]:
    """Times (S,) from 0 to the horizon and the vehicle's boxes (N, S, 5) at them; the first is that of now."""
    known = np.arange(candidates.num_steps + 1) * candidates.time_step
    times = np.linspace(0.0, known[-1], max(2, round(known[-1] / STEP_S) + 1))
    start = np.zeros((candidates.num_candidates, 1))
    place = [np.concatenate([start, v.astype(np.float64)], axis=1) for v in (candidates.x, candidates.y)]
    yaw = np.unwrap(np.concatenate([start, candidates.yaw.astype(np.float64)], axis=1), axis=1)
    x, y, yaw = (np.stack([np.interp(times, known, row) for row in rows]) for rows in (*place, yaw))
    return times, np.stack(
        [
            x + limits.ego_ahead * np.cos(yaw),
            y + limits.ego_ahead * np.sin(yaw),
            np.full_like(x, limits.ego_length),
            np.full_like(x, limits.ego_width),
            yaw,
        ],
        axis=-1,
    )


def _collides(times: Array, ego: Array, objects: Sequence[ObjectPrediction]) -> Mask:
    """Which candidates (N,) overlap a road user at one of the times."""
    met = np.zeros(len(ego), np.bool_)
    for item in objects:
        boxes = _object_boxes(times, item)
        if not np.isfinite(boxes).all() or rectangles_overlap(ego[0, 0], boxes[0]):
            continue
        met |= rectangles_overlap(ego[:, 1:], boxes[None, 1:]).any(axis=1)
    return met


def _object_boxes(times: Array, item: ObjectPrediction) -> Array:
    """Boxes (S, 5) of a road user at the times."""
    velocity = np.nan_to_num(item.velocity)
    known: Array = np.zeros(1)
    places = item.box[None, :2]
    if item.num_modes and item.num_steps:
        future = item.mode_xy[int(np.argmax(np.nan_to_num(item.mode_scores, nan=-np.inf)))].astype(np.float64)
        if np.isfinite(future).all():
            known = np.asarray(np.arange(item.num_steps + 1) * item.time_step, np.float64)
            places = np.concatenate([item.box[None, :2], future])
            velocity = (places[-1] - places[-2]) / item.time_step
    beyond = np.maximum(times - known[-1], 0.0)
    xy = np.stack([np.interp(times, known, places[:, i]) for i in (0, 1)], axis=-1) + beyond[:, None] * velocity
    motion = np.diff(xy, axis=0)
    heading = np.arctan2(motion[:, 1], motion[:, 0])
    moves = np.linalg.norm(motion, axis=-1) > LEAST_MOTION_M
    yaw = np.concatenate([item.box[6:7], np.where(moves, heading, item.box[6])])
    size = np.broadcast_to(item.size[:2], xy.shape)
    return np.concatenate([xy, size, yaw[:, None]], axis=-1)


def _crosses(ego: Array, lines: Sequence[MapPolyline]) -> Mask:
    """Which candidates (N,) bring the vehicle's box over a line; a line is a chain of boxes without width."""
    met = np.zeros(len(ego), np.bool_)
    for line in lines:
        ends = line.xy.astype(np.float64)
        step = np.diff(ends, axis=0)
        middle = (ends[1:] + ends[:-1]) / 2
        length, yaw = np.linalg.norm(step, axis=-1), np.arctan2(step[:, 1], step[:, 0])
        parts = np.column_stack([middle, length, np.zeros_like(length), yaw])
        if rectangles_overlap(ego[0, 0], parts).any():
            continue
        met |= rectangles_overlap(ego[:, 1:, None], parts).any(axis=(1, 2))
    return met
