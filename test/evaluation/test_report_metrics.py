"""Numbers of the report against numbers known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from distilldrive_ros.evaluation.recording import read_recording
from distilldrive_ros.evaluation.report.metrics import DriveMetrics, drive_metrics, summary

from .conftest import Bags


def _metrics(bags: Bags) -> DriveMetrics:
    return drive_metrics(read_recording(bags.source, bags.plans))


def test_distance_is_the_offset_where_the_way_is_known(make_bags: Callable[..., Bags]) -> None:
    metrics = _metrics(make_bags(frames=8, offset=0.5))
    # 8 key frames: 3.5 s in all, so 3 s ahead is known for the first two only.
    assert [(d.horizon_s, d.count) for d in metrics.distances] == [(1.0, 6), (2.0, 4), (3.0, 2)]
    for distance in metrics.distances:
        assert distance.mean == pytest.approx(0.5, abs=1e-6)
    assert math.isnan(metrics.distances_by_frame[-1][0])


def test_latency_and_counts(make_bags: Callable[..., Bags]) -> None:
    metrics = _metrics(make_bags(frames=5, planned=lambda i: i != 2))
    stages = {s.name: s for s in metrics.latency}
    assert list(stages) == ["prepare", "network", "total"]
    assert stages["prepare"].count == 4 and stages["prepare"].worst == pytest.approx(0.05)
    assert stages["prepare"].p50 == pytest.approx(0.03)  # of 10, 20, 40, 50 ms
    assert [s.name for s in metrics.ages] == ["sensor_to_plan"]
    counts = metrics.counts
    assert (counts.frames_in, counts.plans_out, counts.without_plan) == (5, 4, 1)
    assert counts.dropped == 4 and counts.degraded == {"NO_HISTORY": 1}


def test_percentiles_of_one_value() -> None:
    only = summary("x", [0.25])
    assert (only.p50, only.p95, only.p99, only.worst, only.count) == (0.25, 0.25, 0.25, 0.25, 1)


@pytest.mark.parametrize(("model_id", "trained"), [("student@untrained", False), ("student@0123456789ab", True),
                                                   ("constant_velocity@rule", True)])  # fmt: skip
def test_trained_is_read_off_the_model_id(make_bags: Callable[..., Bags], model_id: str, trained: bool) -> None:
    assert _metrics(make_bags(frames=1, model_id=model_id)).trained is trained


def test_drive_without_any_plan_has_numbers_all_the_same(make_bags: Callable[..., Bags]) -> None:
    metrics = _metrics(make_bags(frames=3, planned=lambda i: False))
    assert metrics.counts.without_plan == 3 and metrics.latency == () and metrics.model_id == "none"
    text = json.dumps(metrics.to_json(), allow_nan=False)
    assert json.loads(text)["l2_m"]["3s"] == {"mean": None, "frames": 0}
