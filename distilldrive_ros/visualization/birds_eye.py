"""The scene from above as one self-contained SVG: no script, no font file, no style sheet.

Forward is up (base_link x), left is left (base_link y). Colours and dash patterns both carry the meaning, so the
drawing also reads in grey print.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import PolylineKind, VectorMap
from distilldrive_ros.visualization.birds_eye_legend import LegendContent, legend_panel, title_lines
from distilldrive_ros.visualization.colors import EGO, GROUND_TRUTH, MAP_COLORS, ScoreScale, class_color, css
from distilldrive_ros.visualization.plan_order import DrawnCandidate, drawing_order, reason_words
from distilldrive_ros.visualization.svg import Attribute, dots_data, element, group, path_data, text

Array = NDArray[np.float64]

MAP_DASHES = {PolylineKind.CROSSING: "2 2.5", PolylineKind.DIVIDER: "9 5", PolylineKind.CENTERLINE: "1 5"}
_MAP_WIDTHS = {
    PolylineKind.BOUNDARY: 2.0,
    PolylineKind.DIVIDER: 1.5,
    PolylineKind.CROSSING: 1.6,
    PolylineKind.CENTERLINE: 1.3,
    PolylineKind.DRIVABLE_AREA: 1.6,
    PolylineKind.LANE: 0.8,
    PolylineKind.ROUTE_LANE: 1.0,
    PolylineKind.INTERSECTION: 1.0,
}
_PAPER = "#fbfbf9"
_FRAME_INK = "#3c3c44"
_LEGEND_WIDTH = 196
_TITLE_HEIGHT = 46
_MARGIN = 10
_LIDAR_CELL_M = 0.4
_LIDAR_HEIGHTS_M = (0.3, 4.0)
_MAX_LIDAR_DOTS = 3000


@dataclass(frozen=True)
class EgoShape:
    """Outline of the vehicle about its base_link, metres; the defaults are the nuScenes car."""

    front: float = 3.43
    rear: float = 0.66
    width: float = 1.73


@dataclass(frozen=True)
class Extent:
    """What of the ground is shown, metres from the vehicle."""

    ahead: float = 50.0
    behind: float = 20.0
    side: float = 25.0

    def __post_init__(self) -> None:
        """Refuse an empty view.

        Raises:
            ValueError: length or width is not positive.
        """
        if not (self.ahead + self.behind > 0 and self.side > 0):
            raise ValueError(f"an empty view: {self}")


@dataclass(frozen=True)
class _View:
    """The map from base_link metres to pixels of the drawing."""

    extent: Extent
    scale: float
    left: float
    top: float

    @property
    def width(self) -> float:
        return 2 * self.extent.side * self.scale

    @property
    def height(self) -> float:
        return (self.extent.ahead + self.extent.behind) * self.scale

    def pixels(self, points: ArrayLike) -> Array:
        p = np.asarray(points, np.float64)
        x = self.left + (self.extent.side - p[..., 1]) * self.scale
        y = self.top + (self.extent.ahead - p[..., 0]) * self.scale
        return np.stack([x, y], axis=-1)

    def sees(self, points: ArrayLike) -> NDArray[np.bool_]:
        p = np.asarray(points, np.float64)
        e = self.extent
        return np.asarray((p[..., 0] > -e.behind) & (p[..., 0] < e.ahead) & (np.abs(p[..., 1]) < e.side))


def birds_eye_svg(
    plan: PlanCandidates | None,
    objects: ObjectPredictions | None = None,
    vector_map: VectorMap | None = None,
    ground_truth_path: ArrayLike | None = None,
    lidar_points_base: ArrayLike | None = None,
    ground_truth_objects: ObjectPredictions | None = None,
    size_px: int = 720,
    extent_m: Extent | None = None,
    min_object_score: float = 0.25,
    min_map_score: float = 0.3,
    ego: EgoShape | None = None,
    identifier: str | None = None,
) -> str:
    """`<svg>` of one instant; everything is given in base_link at the anchor stamp.

    `ground_truth_path` (n, 2 or 3) and `lidar_points_base` (n, >= 3) in metres. `size_px`: height of the plot.
    `identifier` makes the ids inside unique where several drawings share a page; by default the plan's stamp does.

    Raises:
        ValueError: the size is not positive.
    """
    if size_px <= 0:
        raise ValueError(f"size of the drawing must be positive, not {size_px}")
    extent = extent_m or Extent()
    view = _View(extent, size_px / (extent.ahead + extent.behind), _MARGIN, _TITLE_HEIGHT)
    name = identifier or f"bev{plan.stamp_ns if plan is not None else 0}"
    shown = [o for o in (objects.objects if objects else ()) if o.score >= min_object_score and _outline(view, o)]
    truth = [o for o in (ground_truth_objects.objects if ground_truth_objects else ()) if _outline(view, o)]
    lines = [p for p in (vector_map.polylines if vector_map else ()) if p.score >= min_map_score]
    drawn = drawing_order(plan) if plan is not None else []
    has_lidar = lidar_points_base is not None and len(np.asarray(lidar_points_base)) > 0
    layers = [
        _range_rings(view),
        _lidar(view, lidar_points_base) if lidar_points_base is not None else "",
        group(_map_line(view, p.kind, p.xy) for p in lines),
        group(_truth_box(view, o) for o in truth),
        group(_object(view, o) for o in shown),
        group(_candidate(view, d) for d in drawn),
        _truth_path(view, ground_truth_path) if ground_truth_path is not None else "",
        _ego(view, ego or EgoShape()),
    ]
    plot = group(layers, clip_path=f"url(#{name}-plot)")
    content = LegendContent(
        scale=ScoreScale.of_plan(plan) if plan is not None and any(d.valid for d in drawn) else None,
        selected=plan is not None and plan.selected >= 0,
        has_invalid=any(not d.valid for d in drawn),
        class_ids=frozenset(o.class_id for o in shown),
        map_kinds=frozenset(p.kind for p in lines),
        has_truth_path=ground_truth_path is not None,
        has_truth_boxes=bool(truth),
        has_lidar=has_lidar,
    )
    width, height = view.width + 2 * _MARGIN + _LEGEND_WIDTH, view.height + _TITLE_HEIGHT + _MARGIN
    clip = element("clipPath", _frame(view), id=f"{name}-plot")
    body = [
        element("title", f"Bird's-eye view of the plan, {len(drawn)} candidates"),
        element("defs", clip),
        element("rect", width=width, height=height, fill="#ffffff"),
        _frame(view, fill=_PAPER),
        plot,
        _frame(view, fill="none", stroke="#b9b9c0", stroke_width=1),
        _scale_bar(view),
        _forward_arrow(view),
        title_lines(plan, _MARGIN),
        legend_panel(content, MAP_DASHES, name, view.left + view.width + 14, _TITLE_HEIGHT),
    ]
    return element(
        "svg",
        "".join(body),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=round(width),
        height=round(height),
        role="img",
        font_family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
    )


def _frame(view: _View, **attributes: Attribute) -> str:
    return element("rect", x=view.left, y=view.top, width=view.width, height=view.height, rx=4, **attributes)


def _range_rings(view: _View) -> str:
    (x, y), furthest = view.pixels([0.0, 0.0]), max(view.extent.ahead, view.extent.behind, view.extent.side)
    rings = []
    for radius in range(10, int(furthest) + 1, 10):
        rings.append(element("circle", cx=x, cy=y, r=radius * view.scale))
        if radius < view.extent.ahead:
            label_y = y - radius * view.scale - 3
            rings.append(
                text(
                    view.left + view.width - 6,
                    label_y,
                    f"{radius} m",
                    10,
                    text_anchor="end",
                    stroke="none",
                    fill="#9a9aa2",
                )
            )
            rings.append(element("path", d=f"M{view.left + view.width - 26} {label_y + 3}h22"))
    return group(rings, fill="none", stroke="#e4e4e0", stroke_width=1)


def _lidar(view: _View, points: ArrayLike) -> str:
    """Returns above the ground, one dot per grid cell; every k-th cell where there are too many."""
    p = np.asarray(points, np.float64).reshape(-1, np.asarray(points).shape[-1])
    low, high = _LIDAR_HEIGHTS_M
    p = p[np.isfinite(p[:, :3]).all(axis=1)]
    p = p[view.sees(p[:, :2]) & (p[:, 2] > low) & (p[:, 2] < high)]
    _, first = np.unique(np.floor(p[:, :2] / _LIDAR_CELL_M).astype(np.int64), axis=0, return_index=True)
    kept = p[first[:: max(1, -(-len(first) // _MAX_LIDAR_DOTS))], :2]
    if not len(kept):
        return ""
    dots = dots_data(view.pixels(kept))
    return element("path", d=dots, stroke="#a9a9b8", stroke_width=1.7, stroke_linecap="round", stroke_opacity="0.75")


def _map_line(view: _View, kind: PolylineKind, xy: ArrayLike) -> str:
    points = np.asarray(xy, np.float64)
    if len(points) < 2 or not np.isfinite(points).all():
        return ""
    closed = kind == PolylineKind.CROSSING
    return element(
        "path",
        d=path_data(view.pixels(points), closed),
        fill=css(MAP_COLORS[kind]) if closed else "none",
        fill_opacity="0.12" if closed else None,
        stroke=css(MAP_COLORS[kind]),
        stroke_width=_MAP_WIDTHS[kind],
        stroke_dasharray=MAP_DASHES.get(kind),
        stroke_linejoin="round",
        stroke_linecap="butt",
    )


def _outline(view: _View, item: ObjectPrediction) -> str | None:
    """Outline and heading tick of a box as path data, or None where it is not finite or out of sight."""
    if not np.isfinite(item.box).all():
        return None
    corners = ground_corners(item.box)[0]
    if not view.sees(corners).any():
        return None
    front = corners[:2].mean(axis=0)
    centre = corners.mean(axis=0)
    return path_data(view.pixels(corners), closed=True) + path_data(view.pixels(np.stack([centre, front])))


def _object(view: _View, item: ObjectPrediction) -> str:
    outline = _outline(view, item)
    if outline is None:
        return ""
    color = css(class_color(item.class_id))
    parts = []
    best = float(np.nanmax(item.mode_scores)) if item.num_modes and not np.isnan(item.mode_scores).all() else 0.0
    for mode_score, future in zip(item.mode_scores, np.asarray(item.mode_xy, np.float64), strict=True):
        finite = future[np.isfinite(future).all(axis=1)]
        if not len(finite) or not mode_score >= 0.5 * best:
            continue
        line = np.concatenate([item.box[None, :2], finite])
        if np.abs(line - line[0]).max() > 0.3:
            opacity = f"{0.25 + 0.55 * float(mode_score) / best if best > 0 else 0.5:.2f}"
            parts.append(element("path", d=path_data(view.pixels(line)), fill="none", stroke_opacity=opacity))
            parts.append(
                element(
                    "path",
                    d=dots_data(view.pixels(finite)),
                    stroke_width=2.6,
                    stroke_linecap="round",
                    stroke_opacity=opacity,
                )
            )
    parts.append(element("path", d=outline, fill=color, fill_opacity="0.22"))
    return group(parts, stroke=color, stroke_width=1.3, stroke_linejoin="round")


def _truth_box(view: _View, item: ObjectPrediction) -> str:
    outline = _outline(view, item)
    if outline is None:
        return ""
    return element("path", d=outline, fill="none", stroke=css(GROUND_TRUTH), stroke_width=1.4, stroke_dasharray="4 2.5")


def _candidate(view: _View, drawn: DrawnCandidate) -> str:
    pixels = view.pixels(drawn.line)
    color, words = css(drawn.color), _tooltip(drawn)
    line: dict[str, Attribute] = {
        "d": path_data(pixels),
        "fill": "none",
        "stroke_linejoin": "round",
        "stroke_linecap": "round",
    }
    if not drawn.valid:
        return element("path", words, stroke=color, stroke_width=1.4, stroke_dasharray="5 4", **line)
    if not drawn.selected:
        dots = element("path", d=dots_data(pixels[1:]), stroke=color, stroke_width=4.4, stroke_linecap="round")
        return element("path", words, stroke=color, stroke_width=2.2, **line) + dots
    rim = element("path", stroke="#2d2d34", stroke_width=7.6, **line)
    core = element("path", words, stroke=color, stroke_width=5.0, **line)
    dots = element("path", d=dots_data(pixels[1:]), stroke="#2d2d34", stroke_width=3.4, stroke_linecap="round")
    return rim + core + dots


def _tooltip(drawn: DrawnCandidate) -> str:
    candidate = drawn.candidate
    invalid = "" if drawn.valid else f", invalid: {reason_words(candidate.invalid_reasons)}"
    command = candidate.command.name.lower()
    return element("title", f"mode {candidate.mode}, {command}, score {candidate.score:.3f}{invalid}")


def _truth_path(view: _View, points: ArrayLike) -> str:
    p = np.asarray(points, np.float64)[:, :2]
    p = np.concatenate([np.zeros((1, 2)), p[np.isfinite(p).all(axis=1)]])
    line = element("path", d=path_data(view.pixels(p)), fill="none", stroke_width=2.2, stroke_dasharray="7 4")
    dots = element("path", d=dots_data(view.pixels(p[1:])), stroke_width=4.6, stroke_linecap="round")
    return group([line, dots], stroke=css(GROUND_TRUTH))


def _ego(view: _View, ego: EgoShape) -> str:
    half = ego.width / 2
    nose = ego.front - 0.35
    right = [[-ego.rear, -half], [nose, -half], [ego.front, 0.35 - half]]
    body = [*right, *([x, -y] for x, y in reversed(right))]
    foot, top = ego.front - 1.35, ego.front - 1.9
    windscreen = [[foot, half - 0.2], [foot, 0.2 - half], [top, 0.3 - half], [top, half - 0.3]]
    shell = element(
        "path",
        d=path_data(view.pixels(body), closed=True),
        fill=css(EGO),
        stroke="#ffffff",
        stroke_width=1,
        stroke_linejoin="round",
    )
    return shell + element("path", d=path_data(view.pixels(windscreen), closed=True), fill="#c9d4de")


def _scale_bar(view: _View) -> str:
    length = 10 * view.scale
    x, y = view.left + 14, view.top + view.height - 14
    shape = f"M{x:.1f} {y - 4:.1f}v8m0 -4h{length:.1f}m0 -4v8"
    bar = element("path", d=shape, stroke=_FRAME_INK, stroke_width=1.5, fill="none")
    return bar + text(x + length / 2, y - 7, "10 m", 11, text_anchor="middle", fill=_FRAME_INK)


def _forward_arrow(view: _View) -> str:
    x, y = view.left + 24, view.top + 50
    shape = f"M{x} {y}V{y - 26}m-5.5 8l5.5 -9l5.5 9z"
    arrow = element("path", d=shape, stroke=_FRAME_INK, stroke_width=1.6, fill=_FRAME_INK, stroke_linejoin="round")
    return arrow + text(x, y + 13, "forward", 10.5, text_anchor="middle", fill=_FRAME_INK)
