"""The planner checks candidates against the objects and the map of their stamp, where it is told to."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from distilldrive_ros import msg
from distilldrive_ros.nodes.conversions import candidates_to_message, objects_to_message, vector_map_to_message
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import Level
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

START_NS = import_module("test.nodes.conftest").START_NS
X = np.outer([2.0, 10.0], 0.5 * np.arange(1, 7)).astype(np.float32)
CANDIDATES = TrajectoryCandidates(
    START_NS, "base_link", START_NS, "test@rule", ScoreType.SIGMOID, Command.STRAIGHT, Degraded.NONE, 0.5,
    np.arange(2, dtype=np.uint32), np.full(2, Command.STRAIGHT, np.uint8), np.array([0.1, 0.9], np.float32),
    X, np.zeros_like(X), np.zeros_like(X), None,
)  # fmt: skip
CAR = ObjectPrediction(
    1, "car", 0.8, np.array([20.0, 0, 0.8, 4.0, 1.8, 1.6, 0]), np.zeros(2), 0.5, np.zeros(0, np.float32),
    np.zeros((0, 0, 2), np.float32),
)  # fmt: skip
WALL = MapPolyline(PolylineKind.BOUNDARY, 0.9, np.array([[14, -3], [14, 3]], np.float32))


@pytest.mark.parametrize("checks", [True, False])
def test_a_car_and_a_boundary_ahead(drive, checks: bool) -> None:
    planner = drive.planner(check_collisions=checks, check_boundaries=checks, match_timeout_ms=10_000.0)
    publishers = [
        drive.node.create_publisher(kind, f"perception_planning/{name}", qos.reliable(5))
        for name, kind in (
            ("candidates", msg.TrajectoryCandidates),
            ("objects", msg.ObjectPredictions),
            ("map", msg.VectorMap),
        )
    ]

    def connected() -> bool:
        seen = all(planner.count_publishers(p.topic_name) for p in publishers)
        return seen and all(p.get_subscription_count() for p in publishers[1:])

    drive.spin_until(connected, "planner and driver find each other")
    paths = drive.received["planner/paths"]
    for k, lines in enumerate(((), (WALL,))):
        stamp = START_NS + k * 500_000_000
        publishers[0].publish(candidates_to_message(replace(CANDIDATES, stamp_ns=stamp)))
        publishers[1].publish(objects_to_message(ObjectPredictions(stamp, "base_link", "test@rule", (CAR,))))
        publishers[2].publish(vector_map_to_message(VectorMap(stamp, "base_link", "test@rule", lines)))
        drive.spin_until(lambda k=k: len(paths) == k + 1, f"plan {k}")
    if checks:
        assert [list(p.modes) for p in paths] == [[0, 1], [0, 1]]
        assert [list(p.invalid_reasons) for p in paths] == [[0, 8], [0, 8 | 16]]
        drive.wait_for_status("planner: hazards", Level.OK, "checked against objects and map")
    else:
        assert [list(p.modes) for p in paths] == [[1, 0], [1, 0]]
        assert [list(p.invalid_reasons) for p in paths] == [[0, 0], [0, 0]]
