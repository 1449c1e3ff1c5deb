"""Markers of a plan: names, colours, what lies where, and that RViz would take each of them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("visualization_msgs")

from visualization_msgs.msg import Marker, MarkerArray

from distilldrive_ros.nodes.visualization.markers import MarkerStyle, plan_markers
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

STAMP_NS = 12_345_678_901


def candidate(mode: int, score: float, invalid: int = 0) -> Candidate:
    """A straight candidate, one metre a step."""
    positions = np.stack([np.arange(1.0, 7.0), np.full(6, 0.1 * mode)], axis=1)
    return Candidate(mode, Command.LEFT, score, InvalidReason(invalid), 0.5, positions, np.zeros(6), None)


def plan_of(*candidates: Candidate, selected: int = 0) -> PlanCandidates:
    """A plan of these."""
    return PlanCandidates(
        STAMP_NS, "base_link", 0, "m@1", ScoreType.SOFTMAX, Command.LEFT, Degraded.NONE, selected, candidates
    )


def objects_of(*items: ObjectPrediction) -> ObjectPredictions:
    """Objects of these."""
    return ObjectPredictions(STAMP_NS, "base_link", "m@1", items)


def car(score: float = 0.9, **changes: Any) -> ObjectPrediction:
    """A car with two futures."""
    futures = np.stack([np.full((6, 2), np.nan), np.stack([np.arange(11.0, 17.0), np.full(6, 3.0)], 1)]).astype(
        np.float32
    )
    box = np.array([10.0, 3.0, 0.8, 4.0, 2.0, 1.6, math.pi / 2])
    item = ObjectPrediction(
        2**32 - 1, "car", score, box, np.zeros(2), 0.5, np.array([np.nan, 0.7], np.float32), futures
    )
    return replace(item, **changes)


def by_namespace(array: MarkerArray) -> dict[str, list[Any]]:
    """Markers by namespace."""
    out: dict[str, list[Any]] = {}
    for marker in array.markers[1:]:
        out.setdefault(marker.ns, []).append(marker)
    return out


LINE = MapPolyline(PolylineKind.DIVIDER, 0.9, np.array([[0, 1], [5, 1], [9, 2]], np.float32))
PLAN = plan_of(candidate(4, 0.6), candidate(2, 0.3), candidate(7, 0.1, InvalidReason.OFFROAD))


def test_first_marker_clears_and_every_marker_is_acceptable_to_rviz() -> None:
    vector_map = VectorMap(STAMP_NS, "base_link", "m@1", (LINE,))
    array = plan_markers(PLAN, objects_of(car()), vector_map, objects_of(car()), np.ones((3, 2)).cumsum(axis=0))
    assert array.markers[0].action == Marker.DELETEALL
    assert all(m.header.frame_id == "base_link" for m in array.markers)
    assert {(m.header.stamp.sec, m.header.stamp.nanosec) for m in array.markers} == {(12, 345_678_901)}
    identities = Counter((m.ns, m.id) for m in array.markers[1:])
    assert set(identities.values()) == {1}, "RViz replaces markers of equal name and number"
    for m in array.markers[1:]:
        o, c = m.pose.orientation, m.color
        assert math.isclose(o.x**2 + o.y**2 + o.z**2 + o.w**2, 1.0, rel_tol=1e-9)
        assert 0 < c.a <= 1 and all(0 <= v <= 1 for v in (c.r, c.g, c.b))
        assert m.scale.x > 0 or (m.type == Marker.TEXT_VIEW_FACING and m.scale.z > 0)
        if m.type == Marker.LINE_LIST:
            assert len(m.points) % 2 == 0
        assert all(math.isfinite(v) for p in m.points for v in (p.x, p.y, p.z))


def test_one_namespace_per_mode_selected_thickest_invalid_grey() -> None:
    markers = by_namespace(plan_markers(PLAN))
    assert {n for n in markers if n.startswith("candidates/")} == {f"candidates/mode_{m}" for m in (4, 2, 7)}
    best, second, invalid = (markers[f"candidates/mode_{m}"][0] for m in (4, 2, 7))
    assert best.scale.x > second.scale.x > invalid.scale.x
    assert best.color.a > second.color.a > invalid.color.a
    assert best.points[-1].z > second.points[-1].z > invalid.points[-1].z > 0.1, "the best lies on top"
    assert invalid.color.r == invalid.color.g == invalid.color.b
    assert [(p.x, round(p.y, 6)) for p in best.points] == [(0, 0), *((x, 0.4) for x in range(1, 7))]
    assert len(markers["selected/points"][0].points) == 6
    assert {m.text for m in markers["scores"]} == {"0.600", "0.300"}


def test_invalid_candidates_can_be_hidden() -> None:
    markers = by_namespace(plan_markers(PLAN, style=MarkerStyle(show_invalid=False)))
    assert "candidates/mode_7" not in markers and "candidates/mode_4" in markers


def test_headline_tells_command_and_choice_and_moves_with_the_vehicle() -> None:
    (headline,) = by_namespace(plan_markers(PLAN))["command"]
    assert headline.text == "LEFT  mode 4  score 0.600" and headline.frame_locked
    none = plan_of(candidate(1, 0.5, InvalidReason.KINEMATICS), selected=-1)
    (headline,) = by_namespace(plan_markers(none))["command"]
    assert headline.text == "LEFT  no valid candidate: kinematics"


def test_only_the_headline_is_locked_to_the_vehicle() -> None:
    array = plan_markers(PLAN, objects_of(car()))
    assert {m.ns for m in array.markers if m.frame_locked} == {"command"}


def test_box_has_its_pose_size_outline_and_likeliest_future() -> None:
    markers = by_namespace(plan_markers(PLAN, objects_of(car())))
    (cube,) = markers["objects/car"]
    assert (cube.pose.position.x, cube.pose.position.y, cube.pose.position.z) == (10.0, 3.0, 0.8)
    assert (cube.scale.x, cube.scale.y, cube.scale.z) == (4.0, 2.0, 1.6)
    assert 2 * math.atan2(cube.pose.orientation.z, cube.pose.orientation.w) == pytest.approx(math.pi / 2)
    (outline,) = markers["outlines/car"]
    assert len(outline.points) == 2 * 13
    assert max(p.y for p in outline.points) == pytest.approx(5.0), "length along the heading"
    (future,) = markers["futures/car"]
    assert (future.points[-1].x, future.points[-1].y) == (16.0, 3.0)


def test_weak_and_broken_objects_are_left_out() -> None:
    broken = car(box=np.full(7, np.nan))
    markers = by_namespace(plan_markers(PLAN, objects_of(car(0.1), broken)))
    assert not any(n.startswith(("objects", "outlines", "futures")) for n in markers)


def test_objects_without_futures_or_that_stand_still_have_no_line() -> None:
    still = car(mode_xy=np.tile(np.array([10.0, 3.0], np.float32), (2, 6, 1)))
    bare = car(mode_scores=np.zeros(0, np.float32), mode_xy=np.zeros((0, 0, 2), np.float32))
    assert "futures/car" not in by_namespace(plan_markers(PLAN, objects_of(still, bare)))


def test_map_and_ground_truth() -> None:
    weak = replace(LINE, score=0.1)
    vector_map = VectorMap(STAMP_NS, "base_link", "m@1", (LINE, LINE, weak))
    path = np.array([[1.0, 0.0], [2.0, 0.0], [np.nan, np.nan]])
    markers = by_namespace(plan_markers(PLAN, None, vector_map, objects_of(car(0.0)), path))
    assert len(markers["map/divider"][0].points) == 2 * 4
    assert len(markers["ground_truth/objects"][0].points) == 26
    assert [p.x for p in markers["ground_truth/path"][0].points] == [1.0, 2.0]


def test_lifetime() -> None:
    array = plan_markers(PLAN, style=MarkerStyle(lifetime=1.5))
    assert {(m.lifetime.sec, m.lifetime.nanosec) for m in array.markers[1:]} == {(1, 500_000_000)}
