"""The whole report: one HTML file without any link to elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distilldrive_ros.evaluation.recording import RecordedFrame, Recording
from distilldrive_ros.evaluation.report.frame_section import PictureStyle, frame_section
from distilldrive_ros.evaluation.report.markup import Markup, join, table, tag
from distilldrive_ros.evaluation.report.metrics import DriveMetrics, StageLatency

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ReportContext:
    """What the bags cannot tell: `title`; `model`: its name; `source`: where the sensor data comes from, in words;

    `playback`: how the bag was played; `command`: what was typed; `facts`: machine and versions by name; `closed_loop`:
    a section on drives in closed loop, made elsewhere.
    """

    title: str
    model: str
    source: str
    playback: str = ""
    command: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    closed_loop: Markup | None = None


def report_html(
    recording: Recording, metrics: DriveMetrics, context: ReportContext, style: PictureStyle | None = None
) -> str:
    """The document. Frames without recorded pictures still get their drawing from above."""
    look = style or PictureStyle()
    body = tag(
        "main",
        tag("h1", context.title),
        tag("p", context.source, class_="soft"),
        _callout(metrics),
        _figures(metrics),
        tag("h2", "Frame by frame"),
        _stepper(len(_shown(recording))),
        _frames(recording, look),
        tag("p", _READING, class_="note"),
        context.closed_loop,
        tag("h2", "Time"),
        _latencies(metrics),
        tag("h2", "In and out"),
        tag("div", _counts(metrics), _distances(metrics), class_="pair"),
        tag("h2", "Model and machine"),
        tag("div", _run_facts(metrics, context), _machine(context), class_="pair"),
        tag("footer", "Research software. It is no safety system; do not drive a car by these plans."),
    )
    zoom = tag("dialog", tag("img", alt="", src="data:,"), id="zoom")
    script = tag("script", Markup(_asset("page.js")))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", context.title),
        tag("style", Markup(_asset("page.css"))),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", body, zoom, script), lang="en") + "\n"


_READING = (
    "From above: forward is up. Lines are the model's candidates, coloured by score from violet (lowest) to amber "
    "(highest); the dark-rimmed one was selected, grey dashed ones failed a check. Dashed green: the way really driven "
    "and the annotated road users, where the data has them. The map is the data's own where it has one. In the "
    "photographs the same plan lies on the road; every camera is drawn at its own shutter time and pose."
)


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _callout(metrics: DriveMetrics) -> Markup | None:
    if metrics.trained:
        return None
    return tag(
        "div",
        tag("strong", "Untrained weights: the plans mean nothing."),
        "The network ran with random weights. This page shows that sensor data travels through the whole graph and "
        "comes back as plans, and what that costs in time; not how well anything drives. Give trained weights with ",
        tag("code", "--weights FILE"),
        ".",
        class_="callout",
        role="note",
    )


def _figures(metrics: DriveMetrics) -> Markup:
    counts = metrics.counts
    cards = [_figure(f"{counts.plans_out}", f" of {counts.frames_in}", "plans for frames")]
    total = next((s for s in metrics.latency if s.name == "total"), None)
    if total is not None:
        cards.append(_figure(*_split(total.p50), "model, median per frame"))
    age = next((s for s in metrics.ages if s.name == "sensor_to_plan"), None)
    if age is not None:
        cards.append(_figure(*_split(age.p50), "LiDAR message to plan, median"))
    cards.append(_figure(str(counts.dropped + counts.failed), "", "frames dropped or failed"))
    last = metrics.distances[-1]
    if last.count:
        name = f"L2 at {last.horizon_s:g} s" + ("" if metrics.trained else " (untrained: no meaning)")
        cards.append(_figure(f"{last.mean:.2f}", " m", name))
    return tag("div", cards, class_="figures")


def _figure(value: str, unit: str, name: str) -> Markup:
    shown = tag("div", value, tag("small", unit), class_="value")
    return tag("div", shown, tag("div", name, class_="name"), class_="figure card")


def _stepper(count: int) -> Markup:
    return tag(
        "div",
        tag("button", "‹", id="frame-before", type="button", aria_label="frame before"),
        tag("button", "Play", id="frame-play", type="button"),
        tag("button", "›", id="frame-after", type="button", aria_label="next frame"),
        tag("input", id="frame-slider", type="range", min=0, max=max(0, count - 1), value=0, aria_label="frame"),
        tag("output", f"1 of {count}", id="frame-number"),
        class_="stepper many" if count > 1 else "stepper",
    )


def _shown(recording: Recording) -> list[RecordedFrame]:
    """Frames with pictures or points, or all where none has any."""
    return [f for f in recording.frames if f.cameras or f.lidar_points is not None] or list(recording.frames)


def _frames(recording: Recording, style: PictureStyle) -> Markup:
    if not recording.frames:
        return tag("p", "The bag holds no frame.", class_="note")
    start = recording.frames[0].stamp_ns
    shown = _shown(recording)
    note = None
    if len(shown) < len(recording.frames):
        note = tag("p", f"{len(shown)} of {len(recording.frames)} frames are shown, evenly spread.", class_="note")
    return join(note, (frame_section(f, start, i, style) for i, f in enumerate(shown)))


def _latencies(metrics: DriveMetrics) -> Markup:
    stages = [*metrics.latency, *metrics.ages]
    if not stages:
        return tag("p", "No durations were recorded.", class_="note")
    longest = max(s.p99 for s in stages) or 1.0
    header = ("stage", "frames", "p50", "p95", "p99", "worst", "")
    rows = [_latency_row(s, longest) for s in stages]
    note = (
        "Stages of the model as the node reports them; the last rows are measured by the recorder on the steady "
        "clock, from the arrival of the LiDAR message to the arrival of the result, and so hold transport and "
        "waiting as well. Bars: p50."
    )
    return tag("div", table(header, rows, class_="numbers"), tag("p", note, class_="note"), class_="card")


def _latency_row(stage: StageLatency, longest: float) -> list[Markup | str]:
    bar = tag("span", class_="bar", style=f"width:{max(0.4, 100 * stage.p50 / longest):.1f}%")
    times = [duration_words(v) for v in (stage.p50, stage.p95, stage.p99, stage.worst)]
    return [_stage_words(stage.name), str(stage.count), *times, tag("span", bar, style="display:block;min-width:120px")]


def _stage_words(name: str) -> str:
    return {"total": "model in all"}.get(name, name.replace("_", " "))


def _counts(metrics: DriveMetrics) -> Markup:
    counts = metrics.counts
    rows = [
        ("frames in", str(counts.frames_in)),
        ("plans out", str(counts.plans_out)),
        ("frames without a plan", str(counts.without_plan)),
        ("plans without a valid candidate", str(counts.without_valid_candidate)),
        ("frames replaced by a newer one before inference", str(counts.dropped)),
        ("frames whose inference failed", str(counts.failed)),
        ("temporal state dropped", str(counts.state_resets)),
        *((f"degraded: {name.lower().replace('_', ' ')}", str(n)) for name, n in counts.degraded.items()),
    ]
    return tag("div", table(("count", ""), rows, class_="numbers"), class_="card")


def _distances(metrics: DriveMetrics) -> Markup:
    rows = [(f"{d.horizon_s:g} s", f"{d.mean:.2f} m" if d.count else "–", str(d.count)) for d in metrics.distances]
    note = "Distance of the selected candidate to the way really driven, at that time ahead; no benchmark."
    if not metrics.trained:
        note = "The weights are untrained, so these distances mean nothing. " + note
    shown = table(("ahead", "mean L2", "frames"), rows, class_="numbers")
    return tag("div", shown, tag("p", note, class_="note"), class_="card")


def _run_facts(metrics: DriveMetrics, context: ReportContext) -> Markup:
    weights = "loaded" if metrics.trained else "untrained (random)"
    if metrics.model_id.endswith("@rule"):
        weights = "none: a rule, not a network"
    rows: list[tuple[str, Markup | str]] = [
        ("model", context.model),
        ("model id", tag("code", metrics.model_id)),
        ("weights", weights),
        ("device", metrics.device),
        ("data", context.source),
        ("playback", context.playback),
        ("command", tag("code", context.command)),
    ]
    return tag("div", table(("run", ""), [r for r in rows if r[1]], class_="facts"), class_="card")


def _machine(context: ReportContext) -> Markup | None:
    if not context.facts:
        return None
    return tag("div", table(("machine", ""), list(context.facts.items()), class_="facts"), class_="card")


def _split(seconds: float) -> tuple[str, str]:
    value, _, unit = duration_words(seconds).partition(" ")
    return value, f" {unit}"


def duration_words(seconds: float) -> str:
    """A duration with a unit that fits its size."""
    if not math.isfinite(seconds):
        return "–"
    if seconds >= 1.0:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.2f} ms"
