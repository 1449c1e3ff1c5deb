"""Detection by the rules of the nuScenes benchmark (`detection_cvpr_2019`): average precision, errors of hits, NDS.

Boxes are in base_link, where the class ranges are measured, too. What a bag does not hold: attributes (their error
counts as 1, as an absent prediction does) and the number of points in a box (empty boxes are not left out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.objects import CLASS_NAMES

Array = NDArray[np.float64]

CLASS_RANGE_M = {
    "car": 50.0, "truck": 50.0, "bus": 50.0, "trailer": 50.0, "construction_vehicle": 50.0, "pedestrian": 40.0,
    "motorcycle": 40.0, "bicycle": 40.0, "traffic_cone": 30.0, "barrier": 30.0,
}  # fmt: skip
THRESHOLDS_M = (0.5, 1.0, 2.0, 4.0)
ERROR_THRESHOLD_M = 2.0
MIN_RECALL = MIN_PRECISION = 0.1
ERRORS = ("translation", "scale", "orientation", "velocity")
# A cone has no heading and does not move, a barrier does not move.
_UNDEFINED = {"traffic_cone": ("orientation", "velocity"), "barrier": ("velocity",)}
_RECALL = np.linspace(0, 1, 101)
_FIRST = round(100 * MIN_RECALL) + 1


@dataclass(frozen=True)
class Boxes:
    """`boxes` (N, 7), `velocities` (N, 2) m/s (NaN: unknown), `classes` (N,) index in `CLASS_NAMES`, `scores` (N,)."""

    boxes: Array
    velocities: Array
    classes: NDArray[np.int64]
    scores: Array

    def of_class(self, index: int, reach: float) -> Boxes:
        """Those of a class whose centre lies within `reach` metres of base_link."""
        keep = (self.classes == index) & (np.hypot(self.boxes[:, 0], self.boxes[:, 1]) < reach)
        return Boxes(self.boxes[keep], self.velocities[keep], self.classes[keep], self.scores[keep])


@dataclass(frozen=True)
class ClassResult:
    """Of one class: AP by threshold, errors of hits within 2 m (NaN: undefined), how many boxes and predictions."""

    average_precision: tuple[float, ...]
    errors: Mapping[str, float]
    annotated: int
    predicted: int


@dataclass(frozen=True)
class DetectionResult:
    """`nds` is the official score with the attribute error at 1; `mean_errors`: over the classes that define them."""

    mean_ap: float
    nds: float
    mean_errors: Mapping[str, float]
    classes: Mapping[str, ClassResult]
    key_frames: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes null."""
        return {
            "mAP": self.mean_ap, "NDS_attributes_unknown": self.nds, "mean_errors": dict(self.mean_errors),
            "key_frames": self.key_frames,
            "classes": {
                name: {
                    "AP": dict(zip(map(str, THRESHOLDS_M), c.average_precision, strict=True)),
                    "errors": {k: v if np.isfinite(v) else None for k, v in c.errors.items()},
                    "annotated": c.annotated, "predicted": c.predicted,
                }
                for name, c in self.classes.items()
            },
        }  # fmt: skip


def detection_metrics(frames: Sequence[tuple[Boxes, Boxes]]) -> DetectionResult:
    """Of key frames, each as annotations and predictions."""
    classes = {name: _class_result(index, name, frames) for index, name in enumerate(CLASS_NAMES)}
    mean_ap = float(np.mean([np.mean(c.average_precision) for c in classes.values()]))
    errors = {name: float(np.nanmean([c.errors[name] for c in classes.values()])) for name in ERRORS}
    attribute_score = 0.0
    nds = (5 * mean_ap + sum(max(0.0, 1.0 - e) for e in errors.values()) + attribute_score) / 10
    return DetectionResult(mean_ap, nds, errors, classes, len(frames))


def _class_result(index: int, name: str, frames: Sequence[tuple[Boxes, Boxes]]) -> ClassResult:
    reach = CLASS_RANGE_M[name]
    pairs = [(truth.of_class(index, reach), found.of_class(index, reach)) for truth, found in frames]
    annotated = sum(len(truth.boxes) for truth, _ in pairs)
    scores = np.concatenate([np.zeros(0), *(found.scores for _, found in pairs)])
    # As the devkit: descending, of equal scores the later one first.
    order = np.lexsort((np.arange(len(scores)), scores))[::-1]
    precisions, errors = [], {name: 1.0 for name in ERRORS}
    for threshold in THRESHOLDS_M:
        matches = [match_boxes(truth, found, threshold) for truth, found in pairs]
        hit = np.concatenate([np.zeros(0, np.bool_), *(m >= 0 for m in matches)])[order]
        if annotated == 0 or not hit.any():
            precisions.append(0.0)
            continue
        precision, confidence = _curves(hit, scores[order], annotated)
        precisions.append(_average(precision))
        if threshold == ERROR_THRESHOLD_M:
            errors = _errors(pairs, matches, order, hit, scores[order], confidence, name)
    errors.update({undefined: float("nan") for undefined in _UNDEFINED.get(name, ())})
    return ClassResult(tuple(precisions), errors, annotated, len(scores))


def match_boxes(truth: Boxes, found: Boxes, threshold: float) -> NDArray[np.int64]:
    """For each prediction (P,) the annotation that it hits, or -1.

    Best score first, each takes the nearest annotation that is still free, if nearer than `threshold` metres in the
    ground plane.
    """
    out = np.full(len(found.boxes), -1, np.int64)
    if not len(truth.boxes) or not len(found.boxes):
        return out
    distance = np.linalg.norm(found.boxes[:, None, :2] - truth.boxes[None, :, :2], axis=-1)
    order = np.lexsort((np.arange(len(out)), found.scores))[::-1]
    # Nothing near is a miss whatever else happens: most predictions need no turn.
    for row in order[(distance.min(axis=1) < threshold)[order]]:
        nearest = int(distance[row].argmin())
        if distance[row, nearest] < threshold:
            out[row] = nearest
            distance[:, nearest] = np.inf
    return out


def _curves(hit: NDArray[np.bool_], scores: Array, annotated: int) -> tuple[Array, Array]:
    """Precision and confidence at 101 recalls."""
    hits = np.cumsum(hit).astype(np.float64)
    recall, precision = hits / annotated, hits / np.arange(1, len(hit) + 1)
    return np.interp(_RECALL, recall, precision, right=0), np.interp(_RECALL, recall, scores, right=0)


def _average(precision: Array) -> float:
    """Area above 10 % recall and 10 % precision, normalised."""
    return float(np.clip(precision[_FIRST:] - MIN_PRECISION, 0, None).mean() / (1 - MIN_PRECISION))


def _errors(
    pairs: Sequence[tuple[Boxes, Boxes]],
    matches: Sequence[NDArray[np.int64]],
    order: NDArray[np.int64],
    hit: NDArray[np.bool_],
    scores: Array,
    confidence: Array,
    name: str,
) -> dict[str, float]:
    """Mean over recalls of the cumulative mean error of the hits, by the devkit's interpolation over confidence."""
    rows = [_pair_errors(t, f, m, name) for (t, f), m in zip(pairs, matches, strict=True)]
    by_hit = np.concatenate(rows)[order][hit]
    last = int(np.flatnonzero(confidence)[-1]) if confidence.any() else 0
    if last < _FIRST:
        return {error: 1.0 for error in ERRORS}
    out = {}
    for column, error in enumerate(ERRORS):
        mean = _cumulative_mean(by_hit[:, column])
        curve = np.interp(confidence[::-1], scores[hit][::-1], mean[::-1])[::-1]
        out[error] = float(curve[_FIRST : last + 1].mean())
    return out


def _pair_errors(truth: Boxes, found: Boxes, match: NDArray[np.int64], name: str) -> Array:
    """Errors (P, 4) of predictions; of misses they are never looked at."""
    if not len(truth.boxes):
        return np.full((len(found.boxes), len(ERRORS)), np.nan)
    other = truth.boxes[match]
    own = found.boxes
    translation = np.linalg.norm(own[:, :2] - other[:, :2], axis=-1)
    smaller = np.minimum(own[:, 3:6], other[:, 3:6]).prod(axis=1)
    scale = 1 - smaller / (own[:, 3:6].prod(axis=1) + other[:, 3:6].prod(axis=1) - smaller)
    period = np.pi if name == "barrier" else 2 * np.pi
    turn = np.abs((own[:, 6] - other[:, 6] + period / 2) % period - period / 2)
    velocity = np.linalg.norm(found.velocities - truth.velocities[match], axis=-1)
    return np.stack([translation, scale, turn, velocity], axis=-1)


def _cumulative_mean(values: Array) -> Array:
    """Mean of all known values so far; ones where none is known."""
    known = np.isfinite(values)
    if not known.any():
        return np.ones(len(values))
    count = np.cumsum(known)
    return np.divide(np.nancumsum(values), count, out=np.zeros(len(values)), where=count > 0)
