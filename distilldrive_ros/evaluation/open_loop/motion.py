"""Predicted futures of road users, as UniAD scores them (spec 11.2): minADE, minFDE, miss rate, EPA.

Classes are merged to car (all vehicles and cycles) and pedestrian. Detections from a score of 0.2 on take part; each,
best first, is matched with the nearest free annotation of its group within 2 m. Errors run over the steps of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.evaluation.open_loop.detection import Boxes, match_boxes
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions

Array = NDArray[np.float64]

GROUPS = {
    "car": ("car", "truck", "construction_vehicle", "bus", "trailer", "motorcycle", "bicycle"),
    "pedestrian": ("pedestrian",),
}
MIN_SCORE, MATCH_M, MISS_M, FALSE_POSITIVE_COST = 0.2, 2.0, 2.0, 0.5


@dataclass(frozen=True)
class MotionResult:
    """`min_ade`, `min_fde` (m) and `miss_rate` of the `matched` with a known future; NaN where there is none.

    Best mode: the one with the least ADE; missed: its largest error is above 2 m. `epa`: (hits with minFDE below 2 m
    minus half of the false positives) / annotated with a known future.
    """

    min_ade: float
    min_fde: float
    miss_rate: float
    epa: float
    matched: int
    false_positives: int
    annotated: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes null."""
        return {k: v if np.isfinite(v) else None for k, v in vars(self).items()}


def motion_metrics(frames: Sequence[tuple[ObjectPredictions, ObjectPredictions]]) -> dict[str, MotionResult]:
    """By group, of key frames, each as annotations with their one true future and predictions."""
    return {group: _group_result(names, frames) for group, names in GROUPS.items()}


def _group_result(
    names: tuple[str, ...], frames: Sequence[tuple[ObjectPredictions, ObjectPredictions]]
) -> MotionResult:
    errors: list[tuple[float, float, float]] = []
    false_positives = annotated = 0
    for truth, found in frames:
        true = [o for o in truth.objects if o.class_id in names]
        own = [o for o in found.objects if o.class_id in names and o.score >= MIN_SCORE]
        annotated += sum(bool(_known(o).any()) for o in true)
        for prediction, match in zip(own, match_boxes(_boxes(true), _boxes(own), MATCH_M), strict=True):
            if match < 0:
                false_positives += 1
            elif (error := _mode_errors(prediction, true[match])) is not None:
                errors.append(error)
    ade, fde, worst = np.array(errors, np.float64).reshape(-1, 3).T
    nothing = not len(ade)
    return MotionResult(
        min_ade=float("nan") if nothing else float(ade.mean()),
        min_fde=float("nan") if nothing else float(fde.mean()),
        miss_rate=float("nan") if nothing else float((worst > MISS_M).mean()),
        epa=float(((fde < MISS_M).sum() - FALSE_POSITIVE_COST * false_positives) / annotated)
        if annotated
        else float("nan"),
        matched=len(ade),
        false_positives=false_positives,
        annotated=annotated,
    )


def _known(item: ObjectPrediction) -> NDArray[np.bool_]:
    """Which steps (T,) of the true future are known."""
    return np.isfinite(item.mode_xy[0]).all(axis=-1) if item.num_modes else np.zeros(0, np.bool_)


def _mode_errors(found: ObjectPrediction, truth: ObjectPrediction) -> tuple[float, float, float] | None:
    """minADE, minFDE, largest error of the mode with the least ADE; None where no step is known to both."""
    steps = min(found.num_steps, truth.num_steps)
    if not found.num_modes or not truth.num_modes:
        return None
    known = _known(truth)[:steps]
    if not known.any():
        return None
    distance = np.linalg.norm(
        found.mode_xy[:, :steps][:, known].astype(np.float64) - truth.mode_xy[0, :steps][known], axis=-1
    )
    ade = distance.mean(axis=1)
    return float(ade.min()), float(distance[:, -1].min()), float(distance[ade.argmin()].max())


def _boxes(objects: Sequence[ObjectPrediction]) -> Boxes:
    return Boxes(
        np.array([o.box for o in objects], np.float64).reshape(-1, 7),
        np.zeros((len(objects), 2)),
        np.zeros(len(objects), np.int64),
        np.array([o.score for o in objects], np.float64),
    )
