"""A closed-loop drive from above as one self-contained SVG, north up: the place, the route, the way driven, events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.datasets.categories import detection_class
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.visualization.colors import EGO, GROUND_TRUTH, class_color, css
from distilldrive_ros.visualization.svg import element, group, path_data, text
from distilldrive_ros.worlds.driving.drive_log import DriveEvent, DriveLog, EventKind
from distilldrive_ros.worlds.driving.hazards import agent_corners
from distilldrive_ros.worlds.world import LinePattern

Array = NDArray[np.float64]

SIZE_PX = 460
# Ground around the way driven, m; the vehicle is drawn once in so many steps.
MARGIN_M, OUTLINE_STEPS = 25.0, 20
_GRASS, _ROAD, _WALK = "#eef1ea", "#dcdde0", "#e9e5dc"
_WAY, _BRAKED = "#4a2a8a", "#d2452f"


@dataclass(frozen=True)
class _View:
    """Metres on the map to pixels."""

    left: float
    top: float
    scale: float

    def pixels(self, points: ArrayLike) -> Array:
        p = np.asarray(points, np.float64)
        return np.stack([(p[..., 0] - self.left) * self.scale, (self.top - p[..., 1]) * self.scale], axis=-1)


def drive_svg(log: DriveLog, identifier: str, size_px: int = SIZE_PX) -> str:
    """`<svg>` of a drive; `identifier` makes the ids inside unique on a page."""
    states = np.array(log.states)
    low, high = states[:, :2].min(axis=0), states[:, :2].max(axis=0)
    side = max(float((high - low).max()) + 2 * MARGIN_M, 1.0)
    middle = (low + high) / 2
    view = _View(middle[0] - side / 2, middle[1] + side / 2, size_px / side)
    shown = shapely.box(*(middle - side / 2), *(middle + side / 2))
    clip = f"view-{identifier}"
    layers = [
        element("rect", width=size_px, height=size_px, fill=_GRASS),
        *_place(log, view, shown),
        _line(log.route.centerline, view, css(GROUND_TRUTH), 2.0, dashes="6 5"),
        *_agents(log, view),
        *_ego(log, states, view),
        *_events(log, view),
    ]
    frame = element("clipPath", element("rect", width=size_px, height=size_px), id=clip)
    scale = _scale_bar(view, size_px)
    return element(
        "svg",
        frame + group(layers, clip_path=f"url(#{clip})") + scale,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {size_px} {size_px}",
        role="img",
        aria_label=f"drive through {log.name} from above",
        font_family="sans-serif",
    )


def _place(log: DriveLog, view: _View, shown: shapely.Geometry) -> Iterable[str]:
    place = log.place
    for areas, color in ((place.walkways, _WALK), (place.drivable, _ROAD)):
        yield from (_area(piece, view, color) for piece in _clipped(areas, shown))
    for crossing in _clipped(place.crossings, shown):
        yield _area(crossing, view, "#ffffff", opacity=0.75)
    for divider in place.dividers:
        if divider.pattern is not LinePattern.NONE and shown.intersects(shapely.LineString(divider.points)):
            dashes = "5 5" if divider.pattern is LinePattern.DASHED else None
            yield _line(divider.points, view, "#b9a24a" if divider.separates_directions else "#ffffff", 1.0, dashes)


def _clipped(areas: Iterable[shapely.Geometry], shown: shapely.Geometry) -> Iterable[shapely.Polygon]:
    for area in areas:
        yield from (p for p in shapely.get_parts(area.intersection(shown)) if p.geom_type == "Polygon")


def _area(polygon: shapely.Polygon, view: _View, fill: str, opacity: float | None = None) -> str:
    rings = [polygon.exterior, *polygon.interiors]
    data = "".join(path_data(view.pixels(np.asarray(ring.coords)[:, :2]), closed=True) for ring in rings)
    return element("path", d=data, fill=fill, fill_rule="evenodd", fill_opacity=opacity)


def _line(points: ArrayLike, view: _View, color: str, width: float, dashes: str | None = None) -> str:
    return element(
        "path", d=path_data(view.pixels(points)), fill="none", stroke=color, stroke_width=width,
        stroke_dasharray=dashes,
    )  # fmt: skip


def _agents(log: DriveLog, view: _View) -> Iterable[str]:
    """Everybody at the end, and where they came from in the last seconds."""
    last = log.snapshots[-1]
    tails: dict[int, list[Array]] = {agent.id: [] for agent in last.agents}
    for snapshot in log.snapshots[-30:]:
        for agent in snapshot.agents:
            if agent.id in tails:
                tails[agent.id].append(agent.center[:2])
    for agent, corners in zip(last.agents, agent_corners(last.agents), strict=True):
        color = css(class_color(detection_class(agent.category) or ""))
        if float(np.linalg.norm(agent.velocity)) > 0.3 and len(tails[agent.id]) > 1:
            yield element(
                "path", d=path_data(view.pixels(tails[agent.id])), fill="none", stroke=color, stroke_opacity=0.4,
                stroke_width=1.5,
            )  # fmt: skip
        yield element("path", d=path_data(view.pixels(corners), closed=True), fill=color, fill_opacity=0.8)


def _ego(log: DriveLog, states: Array, view: _View) -> Iterable[str]:
    """The way, red where it braked for want of a plan; the vehicle every two seconds, filled at the end."""
    corners = log.vehicle.corners(states[:, [State.X, State.Y, State.HEADING]])
    for step in range(0, len(states) - 1, OUTLINE_STEPS):
        outline = path_data(view.pixels(corners[step]), closed=True)
        yield element("path", d=outline, fill="none", stroke=css(EGO), stroke_width=0.8, stroke_opacity=0.6)
    yield _line(states[:, :2], view, _WAY, 2.5)
    braked = np.array(log.braked, bool)
    for part in np.split(np.arange(len(states)), np.flatnonzero(np.diff(braked)) + 1):
        if braked[part[0]] and len(part) > 1:
            yield _line(states[part, :2], view, _BRAKED, 2.5)
    yield element("path", d=path_data(view.pixels(corners[-1]), closed=True), fill=css(EGO))


def _events(log: DriveLog, view: _View) -> Iterable[str]:
    """Numbers where something happened; what it was is in their titles and in the page's list."""
    for number, (event, state) in enumerate(shown_events(log), 1):
        x, y = view.pixels(state[:2]).tolist()
        title = element("title", escape(event.detail))
        yield element("circle", title, cx=x, cy=y, r=7, fill="#ffffff", stroke=_BRAKED, stroke_width=1.5)
        yield text(x, y + 3.5, str(number), 10, text_anchor="middle")


def shown_events(log: DriveLog) -> list[tuple[DriveEvent, Array]]:
    """Events that are drawn, with the vehicle's state (11,) then; the end is the last state itself."""
    times = np.array([snapshot.time_ns for snapshot in log.snapshots])
    events = [event for event in log.events if event.kind is not EventKind.END]
    return [(event, log.states[int(np.abs(times - event.time_ns).argmin())]) for event in events]


def _scale_bar(view: _View, size_px: int) -> str:
    metres = 20 if 20 * view.scale < size_px / 3 else 5
    y, x0, x1 = size_px - 12, 12, 12 + metres * view.scale
    line = element("path", d=path_data(np.array([[x0, y], [x1, y]])), stroke=css(EGO), stroke_width=2, fill="none")
    return line + text(x0, y - 5, f"{metres} m", 11, fill=css(EGO))
