"""One frame of the report: bird's-eye view, the six cameras, the best candidates, what the frame cost."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

from PIL import Image

from distilldrive_ros.evaluation.recording import RecordedFrame
from distilldrive_ros.evaluation.report.markup import Markup, join, table, tag
from distilldrive_ros.evaluation.report.metrics import HORIZONS_S, frame_distances
from distilldrive_ros.scene.candidates import Candidate, PlanCandidates
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import CameraFrame, Degraded
from distilldrive_ros.visualization.birds_eye import birds_eye_svg
from distilldrive_ros.visualization.colors import ScoreScale, css
from distilldrive_ros.visualization.overlay import draw_overlay
from distilldrive_ros.visualization.plan_order import reason_words

# As a driver would lay the photographs out: front row, back row.
CAMERA_ORDER = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT")
SHOWN_CANDIDATES = 6


@dataclass(frozen=True)
class PictureStyle:
    """`overlay_width` in pixels, `jpeg_quality` 1 to 95, `plot_px`: height of the bird's-eye plot."""

    overlay_width: int = 640
    jpeg_quality: int = 82
    plot_px: int = 720


def frame_section(frame: RecordedFrame, start_ns: int, number: int, style: PictureStyle) -> Markup:
    """The section of one frame; `start_ns` is the stamp of the drive's first frame, `number` counts from 0."""
    title = tag("h3", f"{frame.label[:1].upper()}{frame.label[1:]}")
    when = tag("span", f"t = {(frame.stamp_ns - start_ns) * 1e-9:.2f} s", class_="soft")
    token = tag("span", "sample ", tag("code", frame.sample_token), class_="soft") if frame.sample_token else None
    views = tag("div", tag("div", _birds_eye(frame, number, style), class_="bev"), _right(frame, style), class_="views")
    head = tag("header", title, when, *_badges(frame), token)
    return tag("section", head, views, class_="frame card", id=f"frame-{number}")


def _birds_eye(frame: RecordedFrame, number: int, style: PictureStyle) -> Markup:
    return Markup(
        birds_eye_svg(
            frame.plan,
            frame.objects,
            frame.truth_map if frame.truth_map is not None else frame.vector_map,
            frame.truth_path.points if frame.truth_path is not None else None,
            frame.lidar_points,
            frame.truth_objects,
            size_px=style.plot_px,
            identifier=f"frame{number}",
        )
    )


def _badges(frame: RecordedFrame) -> list[Markup]:
    if frame.plan is None:
        return [tag("span", "no plan for this frame", class_="badge warn")]
    badges = [tag("span", f"command {frame.plan.active_command.name.lower()}", class_="badge")]
    if frame.plan.selected < 0:
        badges.append(tag("span", "no valid candidate", class_="badge warn"))
    for flag in Degraded:
        if flag and flag & frame.plan.degraded:
            calm = flag == Degraded.NO_HISTORY
            words = str(flag.name).lower().replace("_", " ")
            badges.append(tag("span", words, class_="badge" if calm else "badge warn"))
    return badges


def _right(frame: RecordedFrame, style: PictureStyle) -> Markup:
    known = {camera.name: camera for camera in frame.cameras}
    names = [n for n in CAMERA_ORDER if n in known] + [n for n in known if n not in CAMERA_ORDER]
    if any(n in CAMERA_ORDER for n in known):
        names = [*CAMERA_ORDER, *(n for n in known if n not in CAMERA_ORDER)]
    cells = [_camera_cell(frame, known.get(name), name, style) for name in names]
    return tag(
        "div",
        tag("div", cells, class_="cameras") if cells else tag("p", "No pictures in the bag.", class_="note"),
        tag("div", _candidates(frame.plan), _costs(frame), class_="details"),
    )


def _camera_cell(frame: RecordedFrame, camera: CameraFrame | None, name: str, style: PictureStyle) -> Markup:
    if camera is None:
        return tag("div", f"{name}: no picture", class_="absent")
    try:
        width = min(style.overlay_width, camera.width)
        picture = draw_overlay(
            camera, frame.world_from_base, frame.plan, frame.objects, None, frame.truth_objects, width=width
        )
    except SensorDataError as error:
        return tag("div", str(error), class_="absent")
    return tag(
        "img",
        src=jpeg_uri(picture, style.jpeg_quality),
        alt=f"{name} with the plan and the road users drawn in",
        width=picture.width,
        height=picture.height,
        tabindex=0,
    )


def jpeg_uri(picture: Image.Image, quality: int) -> str:
    """A picture as a `data:` address."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _candidates(plan: PlanCandidates | None) -> Markup | None:
    if plan is None or not plan.candidates:
        return None
    scale = ScoreScale.of_plan(plan)
    rows = []
    for index, candidate in enumerate(plan.candidates[:SHOWN_CANDIDATES]):
        cells = (tag("td", cell) for cell in _candidate_row(candidate, scale))
        rows.append(tag("tr", cells, class_="chosen" if index == plan.selected else None))
    head = tag("tr", (tag("th", name, scope="col") for name in ("mode", "score", "speed in 3 s", "check")))
    more = len(plan.candidates) - SHOWN_CANDIDATES
    rest = tag("p", f"and {more} more candidates", class_="note") if more > 0 else None
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows)), rest)


def _candidate_row(candidate: Candidate, scale: ScoreScale) -> list[Markup]:
    valid = not candidate.invalid_reasons
    color = css(scale.color(candidate.score)) if valid else "#969696"
    chip = tag("span", class_="chip", style=f"background:{color}")
    mode = f"{candidate.mode} {candidate.command.name.lower()}"
    check = "valid" if valid else f"invalid: {reason_words(candidate.invalid_reasons)}"
    return [join(chip, mode), join(f"{candidate.score:.4f}"), join(_speed_words(candidate)), join(check)]


def _speed_words(candidate: Candidate) -> str:
    """Mean speed over the last step within 3 s."""
    count = min(len(candidate.positions), round(3.0 / candidate.time_step)) if candidate.time_step > 0 else 0
    if count < 2:
        return "–"
    last, before = candidate.positions[count - 1], candidate.positions[count - 2]
    speed = math.dist(last, before) / candidate.time_step
    return f"{speed:.1f} m/s" if math.isfinite(speed) else "–"


def _costs(frame: RecordedFrame) -> Markup:
    rows: list[tuple[str, str]] = []
    if frame.stats is not None:
        rows.append(("model", _ms(frame.stats.total_seconds)))
    if frame.ages is not None:
        rows.append(("sensor to plan", _ms(frame.ages.total_seconds)))
    for horizon, distance in zip(HORIZONS_S, frame_distances(frame), strict=True):
        if math.isfinite(distance):
            rows.append((f"L2 at {horizon:g} s", f"{distance:.2f} m"))
    return table(("this frame", ""), rows, class_="numbers") if rows else tag("div")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 1.0 else f"{seconds:.2f} s"
