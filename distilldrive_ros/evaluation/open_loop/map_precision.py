"""Average precision of map elements by Chamfer distance (spec 11.2): 0.5, 1 and 1.5 m, crossing, divider, boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from distilldrive_ros.geometry.trajectories import resample_polyline
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

Array = NDArray[np.float64]

THRESHOLDS_M = (0.5, 1.0, 1.5)
KINDS = (PolylineKind.CROSSING, PolylineKind.DIVIDER, PolylineKind.BOUNDARY)
POINTS = 200
SIMPLIFY_M = 0.2


@dataclass(frozen=True)
class MapResult:
    """`precision`: AP by kind and threshold; `mean`: over all nine; `annotated`, `predicted`: elements by kind."""

    precision: Mapping[str, tuple[float, ...]]
    mean: float
    annotated: Mapping[str, int]
    predicted: Mapping[str, int]
    key_frames: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN (nothing annotated) becomes null."""

        def plain(value: float) -> float | None:
            return value if np.isfinite(value) else None

        return {
            "mAP": plain(self.mean), "key_frames": self.key_frames,
            "annotated": dict(self.annotated), "predicted": dict(self.predicted),
            "AP": {
                kind: {f"{t:g}": plain(v) for t, v in zip(THRESHOLDS_M, values, strict=True)}
                for kind, values in self.precision.items()
            },
        }  # fmt: skip


def map_metrics(frames: Sequence[tuple[VectorMap, VectorMap]]) -> MapResult:
    """Of key frames, each as the true map and the predicted one; a kind without annotations has NaN."""
    precision: dict[str, tuple[float, ...]] = {}
    annotated, predicted = {}, {}
    for kind in KINDS:
        distances, scores, count = [], [], 0
        for truth, found in frames:
            true_lines = [
                cKDTree(resample_polyline(simplified(p.xy), POINTS)) for p in truth.polylines if p.kind == kind
            ]
            lines = [p for p in found.polylines if p.kind == kind]
            distances.append(_distances(lines, true_lines))
            scores.append(np.array([p.score for p in lines], np.float64))
            count += len(true_lines)
        name = kind.name.lower()
        precision[name] = tuple(_average_precision(distances, scores, count, t) for t in THRESHOLDS_M)
        annotated[name], predicted[name] = count, sum(map(len, scores))
    values = np.array(list(precision.values()))
    mean = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
    return MapResult(precision, mean, annotated, predicted, len(frames))


def chamfer_distance(first: cKDTree, second: cKDTree) -> float:
    """Mean of both directed mean nearest distances (m) of the points (N, 2) and (M, 2) of two trees."""
    to_second, _ = second.query(first.data)
    to_first, _ = first.query(second.data)
    return float((to_second.mean() + to_first.mean()) / 2)


def simplified(points: NDArray[Any], tolerance: float = SIMPLIFY_M) -> Array:
    """A polyline (N, 2) without the points that lie within `tolerance` metres of the rest (Douglas-Peucker)."""
    p = np.asarray(points, np.float64)
    keep = np.zeros(len(p), np.bool_)
    keep[[0, -1]] = True
    spans = [(0, len(p) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distance = _to_segment(p[first + 1 : last], p[first], p[last])
        farthest = int(distance.argmax())
        if distance[farthest] > tolerance:
            middle = first + 1 + farthest
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return p[keep]


def _to_segment(points: Array, start: Array, end: Array) -> Array:
    along, offset = end - start, points - start
    square = float(along @ along)
    share = np.clip(offset @ along / square, 0, 1) if square > 0 else np.zeros(len(points))
    return np.asarray(np.hypot(offset[:, 0] - share * along[0], offset[:, 1] - share * along[1]))


def _distances(lines: Sequence[MapPolyline], truth: Sequence[cKDTree]) -> Array:
    """Chamfer distances (P, G); infinite where the surrounding boxes already tell that no threshold is met."""
    out = np.full((len(lines), len(truth)), np.inf)
    if not lines or not truth:
        return out
    trees = [cKDTree(resample_polyline(line.xy, POINTS)) for line in lines]
    low, high = (np.array([getattr(t, side) for t in trees])[:, None] for side in ("mins", "maxes"))
    other_low, other_high = (np.array([getattr(t, side) for t in truth])[None] for side in ("mins", "maxes"))
    gap = np.maximum(other_low - high, low - other_high).clip(min=0)
    for row, column in np.argwhere((gap**2).sum(axis=-1) <= THRESHOLDS_M[-1] ** 2).tolist():
        out[row, column] = chamfer_distance(trees[row], truth[column])
    return out


def _average_precision(distances: Sequence[Array], scores: Sequence[Array], annotated: int, threshold: float) -> float:
    """Area below the monotone precision-recall curve; a prediction may only hit the annotation nearest to it."""
    if annotated == 0:
        return float("nan")
    hits = []
    for distance, score in zip(distances, scores, strict=True):
        hit = np.zeros(len(score), np.bool_)
        taken = set()
        for row in np.argsort(-score, kind="stable") if distance.size else ():
            nearest = int(distance[row].argmin())
            if distance[row, nearest] <= threshold and nearest not in taken:
                taken.add(nearest)
                hit[row] = True
        hits.append(hit)
    order = np.argsort(-np.concatenate([np.zeros(0), *scores]), kind="stable")
    found = np.cumsum(np.concatenate([np.zeros(0, np.bool_), *hits])[order])
    recall = np.concatenate([[0.0], found / annotated, [1.0]])
    precision = np.concatenate([[0.0], found / np.arange(1, len(found) + 1), [0.0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * precision[1:]).sum())
