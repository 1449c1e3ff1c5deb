"""Plans, road users and map as RViz markers: one namespace per mode or class, so that each can be switched off alone.

Everything but the text is stamped with the plan's time and not frame-locked: RViz then puts it where the
vehicle was at that time, and what stands still does not slide along with the vehicle.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import ArrayLike, NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from distilldrive_ros.geometry.boxes import BOX_EDGES, box_corners
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import PolylineKind, VectorMap
from distilldrive_ros.visualization.colors import GROUND_TRUTH, MAP_COLORS, Color, brightened, class_color
from distilldrive_ros.visualization.plan_order import DrawnCandidate, drawing_order, reason_words

_LAYER_M = 0.015
_TEXT_COLOR: Color = (235, 235, 235)
_ALARM_COLOR: Color = (255, 120, 90)


@dataclass(frozen=True)
class MarkerStyle:
    """Lifetime in seconds (0: for ever), height of lines in metres, scores below which nothing is drawn."""

    lifetime: float = 1.0
    z_offset: float = 0.1
    min_object_score: float = 0.25
    min_map_score: float = 0.3
    show_invalid: bool = True


def plan_markers(
    plan: PlanCandidates,
    objects: ObjectPredictions | None = None,
    vector_map: VectorMap | None = None,
    ground_truth_objects: ObjectPredictions | None = None,
    ground_truth_path: ArrayLike | None = None,
    style: MarkerStyle | None = None,
) -> MarkerArray:
    """All markers of one instant; the first deletes those of the instant before.

    Everything is given in the plan's frame at the plan's stamp; `ground_truth_path` (n, 2 or 3) in metres.
    """
    look = style or MarkerStyle()
    builder = _Builder(plan.stamp_ns, plan.frame_id, look)
    builder.delete_all()
    if vector_map is not None:
        _add_map(builder, vector_map, look)
    if objects is not None:
        shown = [o for o in objects.objects if o.score >= look.min_object_score and np.isfinite(o.box).all()]
        _add_objects(builder, shown, look)
    if ground_truth_objects is not None:
        boxes = [o.box for o in ground_truth_objects.objects if np.isfinite(o.box).all()]
        builder.segments("ground_truth/objects", _wireframes(boxes), GROUND_TRUTH, 0.9, 0.05)
    if ground_truth_path is not None:
        builder.strip("ground_truth/path", _lifted(_finite(ground_truth_path), look.z_offset), GROUND_TRUTH, 0.9, 0.15)
    for rank, drawn in enumerate(drawing_order(plan)):
        if drawn.valid or look.show_invalid:
            _add_candidate(builder, drawn, look.z_offset + _LAYER_M * (rank + 1))
    _add_headline(builder, plan)
    return builder.array


class _Builder:
    """Collects markers; numbers them within their namespaces."""

    def __init__(self, stamp_ns: int, frame_id: str, look: MarkerStyle) -> None:
        self.array = MarkerArray()
        self._stamp = divmod(stamp_ns, 1_000_000_000)
        self._frame_id = frame_id
        self._lifetime = divmod(round(look.lifetime * 1e9), 1_000_000_000)
        self._count: dict[str, int] = defaultdict(int)

    def add(self, namespace: str, kind: int, color: Color, alpha: float) -> Marker:
        """A new marker at the frame's origin."""
        marker = Marker(ns=namespace, id=self._count[namespace], type=kind, action=Marker.ADD)
        self._count[namespace] += 1
        marker.header.frame_id = self._frame_id
        marker.header.stamp.sec, marker.header.stamp.nanosec = self._stamp
        marker.lifetime.sec, marker.lifetime.nanosec = self._lifetime
        marker.pose.orientation.w = 1.0
        marker.color = _rgba(color, alpha)
        self.array.markers.append(marker)
        return marker

    def delete_all(self) -> None:
        """The marker that clears the display."""
        marker = Marker(action=Marker.DELETEALL)
        marker.header.frame_id = self._frame_id
        marker.header.stamp.sec, marker.header.stamp.nanosec = self._stamp
        self.array.markers.append(marker)

    def strip(self, namespace: str, points: NDArray[np.float64], color: Color, alpha: float, width: float) -> None:
        """A connected line (n, 3)."""
        if len(points) >= 2:
            marker = self.add(namespace, Marker.LINE_STRIP, color, alpha)
            marker.scale.x = width
            marker.points = _points(points)

    def segments(self, namespace: str, ends: NDArray[np.float64], color: Color, alpha: float, width: float) -> None:
        """Separate segments, their ends one after the other (2 n, 3)."""
        if len(ends):
            marker = self.add(namespace, Marker.LINE_LIST, color, alpha)
            marker.scale.x = width
            marker.points = _points(ends)

    def text(self, namespace: str, words: str, place: ArrayLike, height: float, color: Color) -> Marker:
        """Text that faces the viewer."""
        marker = self.add(namespace, Marker.TEXT_VIEW_FACING, color, 1.0)
        position = np.asarray(place, np.float64)
        marker.pose.position = Point(x=position[0], y=position[1], z=position[2])
        marker.scale.z = height
        marker.text = words
        return marker


def _add_candidate(builder: _Builder, drawn: DrawnCandidate, height: float) -> None:
    namespace = f"candidates/mode_{drawn.candidate.mode}"
    line = _lifted(drawn.line, height)
    if not drawn.valid:
        builder.strip(namespace, line, drawn.color, 0.35, 0.05)
        return
    color = brightened(drawn.color, 0.15)
    width, alpha = (0.35, 1.0) if drawn.selected else (0.1, 0.4 + 0.5 * drawn.fraction)
    builder.strip(namespace, line, color, alpha, width)
    if drawn.selected:
        dots = builder.add("selected/points", Marker.SPHERE_LIST, (250, 250, 250), 1.0)
        dots.scale.x = dots.scale.y = dots.scale.z = 0.3
        dots.points = _points(line[1:])
    end = line[-1] + np.array([0.5, 0.0, 0.4])
    builder.text("scores", f"{drawn.candidate.score:.3f}", end, 0.8 if drawn.selected else 0.5, color)


def _add_headline(builder: _Builder, plan: PlanCandidates) -> None:
    """Command and choice above the vehicle; locked to it, as it belongs to the vehicle and to no place."""
    best = plan.best
    command = plan.active_command.name
    if best is not None:
        words, color = f"{command}  mode {best.mode}  score {best.score:.3f}", _TEXT_COLOR
    else:
        reasons = sorted({reason_words(c.invalid_reasons) for c in plan.candidates if c.invalid_reasons})
        words, color = f"{command}  no valid candidate" + (f": {'; '.join(reasons)}" if reasons else ""), _ALARM_COLOR
    builder.text("command", words, (-3.0, 0.0, 3.0), 1.0, color).frame_locked = True


def _add_objects(builder: _Builder, shown: list[ObjectPrediction], look: MarkerStyle) -> None:
    by_class: dict[str, list[ObjectPrediction]] = defaultdict(list)
    for item in shown:
        by_class[item.class_id].append(item)
    for class_id, items in by_class.items():
        color = brightened(class_color(class_id))
        for item in items:
            _add_cube(builder, f"objects/{class_id}", item, color)
        builder.segments(f"outlines/{class_id}", _wireframes([o.box for o in items]), color, 0.9, 0.05)
        builder.segments(f"futures/{class_id}", _futures(items, look.z_offset), color, 0.6, 0.08)


def _add_cube(builder: _Builder, namespace: str, item: ObjectPrediction, color: Color) -> None:
    x, y, z, length, width, height, yaw = (float(v) for v in item.box)
    marker = builder.add(namespace, Marker.CUBE, color, 0.2 + 0.3 * min(1.0, max(0.0, item.score)))
    marker.pose.position = Point(x=x, y=y, z=z)
    marker.pose.orientation.z, marker.pose.orientation.w = float(np.sin(yaw / 2)), float(np.cos(yaw / 2))
    # RViz refuses scales of zero.
    marker.scale.x, marker.scale.y, marker.scale.z = max(length, 0.01), max(width, 0.01), max(height, 0.01)


def _add_map(builder: _Builder, vector_map: VectorMap, look: MarkerStyle) -> None:
    by_kind: dict[PolylineKind, list[NDArray[np.float64]]] = defaultdict(list)
    for polyline in vector_map.polylines:
        points = np.asarray(polyline.xy, np.float64)
        if polyline.score >= look.min_map_score and len(points) >= 2 and np.isfinite(points).all():
            by_kind[polyline.kind].append(_pairs(_lifted(points, look.z_offset / 2)))
    for kind, pieces in by_kind.items():
        ends = np.concatenate(pieces)
        builder.segments(f"map/{kind.name.lower()}", ends, brightened(MAP_COLORS[kind]), 0.8, 0.08)


def _wireframes(boxes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Ends of the edges of all boxes and of a line from each centre to the front: (2 n, 3)."""
    if not boxes:
        return np.empty((0, 3))
    corners = box_corners(np.stack(boxes))
    edges = corners[:, np.array(BOX_EDGES).ravel()]
    front = corners[:, [0, 1, 4, 5]].mean(axis=1)
    heading = np.stack([corners.mean(axis=1), front], axis=1)
    return np.concatenate([edges, heading], axis=1).reshape(-1, 3)


def _futures(items: list[ObjectPrediction], height: float) -> NDArray[np.float64]:
    """Segments of the most likely finite future of every object that moves."""
    pieces = [np.empty((0, 3))]
    for item in items:
        if not item.num_modes:
            continue
        scores = np.where(np.isfinite(item.mode_scores), item.mode_scores, -1.0)
        future = _finite(item.mode_xy[int(np.argmax(scores))])
        line = np.concatenate([item.box[None, :2], future])
        if np.abs(line - line[0]).max() > 0.3:
            pieces.append(_pairs(_lifted(line, height)))
    return np.concatenate(pieces)


def _finite(points: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(points, np.float64)[:, :2]
    return p[np.isfinite(p).all(axis=1)]


def _lifted(points: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    return np.concatenate([points, np.full((len(points), 1), height)], axis=1)


def _pairs(line: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([line[:-1], line[1:]], axis=1).reshape(-1, 3)


def _points(points: NDArray[np.float64]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]


def _rgba(color: Color, alpha: float) -> ColorRGBA:
    red, green, blue = (c / 255 for c in color)
    return ColorRGBA(r=red, g=green, b=blue, a=float(alpha))
