"""All boxes of a scene as arrays: what the converter needs of thousands of annotations, without an object for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.categories import detection_class
from distilldrive_ros.datasets.futures import MAX_TIME_DIFF_S, track_futures
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.records import Sample
from distilldrive_ros.datasets.tables import Row
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.scene.objects import CLASS_NAMES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SceneBoxes:
    """Boxes of the ten detection classes of a scene, N in all, ordered by key frame and then by class.

    `starts[k]:starts[k + 1]` are those of key frame k. World coordinates: `centers` (N, 3) m, `rotations` (N, 4)
    quaternions (w, x, y, z), `velocities` (N, 3) m/s (NaN: unknown), `futures` (N, 12, 3) m (NaN: unknown). `sizes`
    (N, 3) are length, width, height. `ids` (N,) are rows of the instance table, `classes` (N,) indices of
    `CLASS_NAMES`, `lidar_points` (N,) counts of returns (-1: not counted). `left_out` counts the boxes of other
    categories. Boxes without a LiDAR point are kept: a planner must not hit them either.
    """

    starts: NDArray[np.int64]
    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    centers: Array
    sizes: Array
    rotations: Array
    velocities: Array
    futures: Array
    lidar_points: NDArray[np.int64]
    left_out: dict[str, int]

    def of_sample(self, index: int) -> slice:
        """Rows of a key frame."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))


def scene_boxes(nuscenes: NuScenes, samples: Sequence[Sample]) -> SceneBoxes:
    """Gather the boxes of a scene's key frames.

    Raises:
        DatasetError: a table is missing, a token dangles, or a row holds a wrong value.
    """
    class_of = {name: index for index, name in enumerate(CLASS_NAMES)}
    left_out: Counter[str] = Counter()
    rows: list[Row] = []
    classes: list[int] = []
    sample_index: list[int] = []
    categories = nuscenes.instance_category if any(nuscenes.annotation_rows(s) for s in samples) else {}
    for index, sample in enumerate(samples):
        for row in nuscenes.annotation_rows(sample):
            category = categories.get(row.get("instance_token", ""))
            if category is None:
                by = f"sample_annotation {row['token']}"
                nuscenes.tables.get("instance", row.get("instance_token", ""), by)
            name = detection_class(category or "")
            if name is None:
                left_out[category or ""] += 1
                continue
            rows.append(row)
            classes.append(class_of[name])
            sample_index.append(index)

    order = np.lexsort((classes, sample_index)) if rows else np.zeros(0, np.int64)
    rows = [rows[i] for i in order]
    at = np.array(sample_index, np.int64)[order]
    ids = np.array([nuscenes.instance_index[r["instance_token"]] for r in rows], np.int64)
    centers = _column(nuscenes, rows, "translation", 3)
    sizes = _column(nuscenes, rows, "size", 3)[:, [1, 0, 2]]
    rotations = _column(nuscenes, rows, "rotation", 4)
    rotations /= np.linalg.norm(rotations, axis=1, keepdims=True)
    stamps = np.array([s.stamp_ns for s in samples], np.int64)[at]
    return SceneBoxes(
        starts=np.searchsorted(at, np.arange(len(samples) + 1)),
        ids=ids,
        classes=np.array(classes, np.int64)[order],
        centers=centers,
        sizes=sizes,
        rotations=rotations,
        velocities=_velocities(nuscenes, rows, stamps, centers),
        futures=track_futures(ids, stamps, centers),
        lidar_points=_column(nuscenes, rows, "num_lidar_pts", 1)[:, 0].astype(np.int64),
        left_out=dict(left_out),
    )


def _column(nuscenes: NuScenes, rows: list[Row], field: str, length: int) -> Array:
    """A field of all rows (N, length).

    Raises:
        DatasetError: naming the row whose value is missing, of another length, not finite, or a zero quaternion.
    """
    try:
        values = np.array([r[field] for r in rows], np.float64).reshape(-1, length)
    except (KeyError, TypeError, ValueError):
        values = np.full((0, length), np.nan)
    if len(values) == len(rows) and np.isfinite(values).all() and (length != 4 or (np.abs(values).sum(1) > 1e-6).all()):
        return values
    for row in rows:
        value: Any = row.get(field)
        entries: list[Any] = value if isinstance(value, list) else [value]
        good = len(entries) == length and all(isinstance(v, (int, float)) for v in entries)
        if not good or not np.isfinite(np.array(entries)).all() or (length == 4 and not np.any(entries)):
            path = nuscenes.tables.path("sample_annotation")
            raise DatasetError(f"{path}, row {row['token']}: {field} is {value}, not {length} usable numbers")
    return values


def _velocities(nuscenes: NuScenes, rows: list[Row], stamps_ns: NDArray[np.int64], centers: Array) -> Array:
    """Velocities (N, 3) m/s by the rule of the nuScenes devkit (`Annotation.velocity` states it row by row)."""
    index_of = {row["token"]: index for index, row in enumerate(rows)}

    def neighbours(field: str) -> NDArray[np.int64]:
        out = np.arange(len(rows))
        for index, row in enumerate(rows):
            token = row.get(field, "")
            if token in index_of:
                out[index] = index_of[token]
            elif token:
                nuscenes.tables.get("sample_annotation", token, f"`{field}` of sample_annotation {row['token']}")
        return out

    before, after = neighbours("prev"), neighbours("next")
    own = np.arange(len(rows))
    elapsed = (stamps_ns[after] - stamps_ns[before]) / 1e9
    limit = np.where((before != own) & (after != own), 2 * MAX_TIME_DIFF_S, MAX_TIME_DIFF_S)
    known = (elapsed > 0) & (elapsed <= limit)
    return np.where(known[:, None], (centers[after] - centers[before]) / np.where(known, elapsed, 1.0)[:, None], np.nan)
