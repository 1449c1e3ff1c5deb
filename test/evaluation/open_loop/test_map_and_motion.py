"""Map precision and motion errors, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from distilldrive_ros.evaluation.open_loop.map_precision import chamfer_distance, map_metrics, simplified
from distilldrive_ros.evaluation.open_loop.motion import motion_metrics
from distilldrive_ros.evaluation.open_loop.perception import PerceptionPairs, perception_metrics
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap


def vector_map(*lines: tuple[float, float], kind: PolylineKind = PolylineKind.DIVIDER) -> VectorMap:
    """Straight lines of 20 m, each `(offset to the left, score)`."""
    made = tuple(MapPolyline(kind, score, np.array([[0, y], [10, y], [20, y]], np.float32)) for y, score in lines)
    return VectorMap(0, "base_link", "test", made)


def test_chamfer_distance_of_parallel_lines_is_their_gap() -> None:
    line = np.stack([np.linspace(0, 20, 200), np.zeros(200)], axis=-1)
    assert chamfer_distance(cKDTree(line), cKDTree(line + [0, 0.7])) == pytest.approx(0.7)
    assert chamfer_distance(cKDTree(line), cKDTree(line[::-1])) == pytest.approx(0.0)


def test_simplified_keeps_corners_and_drops_ripples() -> None:
    ripple = np.array([[0, 0], [5, 0.1], [10, 0], [10, 5], [10, 10]], float)
    np.testing.assert_array_equal(simplified(ripple), [[0, 0], [10, 0], [10, 10]])
    closed = np.array([[0, 0], [4, 0], [4, 3], [0, 3], [0, 0]], float)
    np.testing.assert_array_equal(simplified(closed), closed)


def test_map_precision_by_threshold() -> None:
    truth = vector_map((0.0, 1.0), (5.0, 1.0))
    found = vector_map((0.7, 0.9), (5.2, 0.8), (-4.0, 0.1))
    result = map_metrics([(truth, found)])
    # At 0.5 m the first is false: the curve has recall 1/2 at precision 1/2.
    assert result.precision["divider"] == pytest.approx((0.25, 1.0, 1.0))
    assert result.annotated["divider"] == 2 and result.predicted["divider"] == 3
    assert np.isnan(result.precision["boundary"][0]) and result.mean == pytest.approx(0.75)
    json.dumps(result.to_json(), allow_nan=False)


def test_two_predictions_of_one_line_are_one_hit() -> None:
    result = map_metrics([(vector_map((0.0, 1.0)), vector_map((0.1, 0.5), (0.2, 0.9)))])
    assert result.precision["divider"] == pytest.approx((1.0, 1.0, 1.0))
    worse = map_metrics([(vector_map((0.0, 1.0), (9.0, 1.0)), vector_map((0.1, 0.5), (0.2, 0.9)))])
    assert worse.precision["divider"] == pytest.approx((0.5, 0.5, 0.5))


def user(x: float, modes: list[float], name: str = "car", score: float = 0.9, steps: int = 4) -> ObjectPrediction:
    """At (x, 0); mode k drives on at `modes[k]` m per step, to the left."""
    way = np.array([[[x, speed * (i + 1)] for i in range(steps)] for speed in modes], np.float32)
    return ObjectPrediction(
        1, name, score, np.array([x, 0, 0, 4, 2, 1.5, 0]), np.zeros(2), 0.5,
        np.full(len(modes), 1 / len(modes), np.float32), way,
    )  # fmt: skip


def users(*items: ObjectPrediction) -> ObjectPredictions:
    return ObjectPredictions(0, "base_link", "test", items)


def test_motion_errors_by_hand() -> None:
    truth = users(user(0, [1.0]), user(20, [1.0], "pedestrian"), user(40, [0.0]))
    found = users(
        user(0.0, [1.5, 3.0]),  # errors 0.5, 1.0, 1.5, 2.0 of the better mode
        user(21.0, [1.0], "pedestrian"),  # 1 m beside all the way
        user(60.0, [1.0]),  # of nobody
        user(40.0, [0.0], score=0.1),  # below the least score
    )
    result = motion_metrics([(truth, found)])
    car = result["car"]
    assert (car.matched, car.false_positives, car.annotated) == (1, 1, 2)
    assert (car.min_ade, car.min_fde, car.miss_rate) == pytest.approx((1.25, 2.0, 0.0))
    assert car.epa == pytest.approx((0 - 0.5) / 2)  # minFDE of 2 m is no hit
    walker = result["pedestrian"]
    assert (walker.min_ade, walker.epa) == pytest.approx((1.0, 1.0))


def test_unknown_steps_of_the_truth_do_not_count() -> None:
    true = user(0, [1.0])
    true.mode_xy[0, 2:] = np.nan
    result = motion_metrics([(users(true), users(user(0, [2.0], steps=12)))])["car"]
    assert (result.min_ade, result.min_fde, result.matched) == (1.5, 2.0, 1)
    true.mode_xy[:] = np.nan
    gone = motion_metrics([(users(true), users(user(0, [2.0])))])["car"]
    assert gone.annotated == gone.matched == gone.false_positives == 0 and np.isnan(gone.epa)
    json.dumps(gone.to_json(), allow_nan=False)


def test_perception_is_scored_where_there_is_some() -> None:
    truth = users(user(10, [1.0]), user(20, [1.0], "pedestrian"))
    pairs = PerceptionPairs([(truth, users())], [(vector_map((0, 1.0)), vector_map())], without_map=2)
    nothing = perception_metrics(pairs)
    assert nothing.detection is None and nothing.motion is None and nothing.map is None and nothing.without_map == 2
    pairs.add(PerceptionPairs([(truth, truth)], [(vector_map((0, 1.0)), vector_map((0, 0.5)))]))
    some = perception_metrics(pairs)
    assert some.detection is not None and some.detection.key_frames == 2
    assert some.detection.classes["car"].annotated == 2 and some.detection.classes["car"].predicted == 1
    assert some.map is not None and some.map.precision["divider"] == pytest.approx((0.5, 0.5, 0.5))
    json.dumps(some.to_json(), allow_nan=False)
