"""Models side by side: one self-contained HTML page in the style of the drive's report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from distilldrive_ros.evaluation.open_loop.calibration import Calibration
from distilldrive_ros.evaluation.open_loop.evaluation import Evaluation, ModelEvaluation, WorstCase
from distilldrive_ros.evaluation.open_loop.planning import Unscored
from distilldrive_ros.evaluation.open_loop.summary import CONVENTIONS, Estimate
from distilldrive_ros.evaluation.report.markup import Child, Markup, join, table, tag
from distilldrive_ros.evaluation.report.page import duration_words
from distilldrive_ros.visualization.birds_eye import birds_eye_svg

SHOWN_SCENES = 12
PLOT_PX = 460

_CONVENTION_WORDS = {
    "stp3_vad": "ST-P3 / VAD averaging (as SparseDrive and DistillDrive report): mean over all steps up to the horizon",
    "uniad": "UniAD: the value at the step itself",
}
_METRIC_WORDS = {
    "l2_m": "L2, m",
    "collision": "collision rate, exact polygons, %",
    "collision_grid": "collision rate, ST-P3's occupancy grid, %",
}
_PROTOCOL = (
    "Every 0.5 s up to 3 s, in the frame and for the way of the LiDAR's origin, as published results are. Collisions: "
    "ego box 4.084 x 1.85 m, 0.5 m ahead, against every annotated box of that key frame; steps at which the way "
    "really driven collides are not held against a plan. Unlike the published protocol, boxes without a LiDAR point "
    "count, and only the ten detection classes are known. In brackets: 95 % interval by bootstrap over scenes; none "
    "for one scene."
)


def comparison_html(evaluation: Evaluation, title: str, command: str, facts: Mapping[str, str]) -> str:
    """The document. `command`: what was typed; `facts`: machine and versions."""
    models = evaluation.models
    return document(
        title,
        tag("p", f"{len(evaluation.scenes)} scenes of {len(evaluation.bags)} bags: {', '.join(evaluation.scenes)}",
            class_="soft"),
        _callouts(evaluation),
        tag("h2", "Key frames"), card(_counts(models)),
        tag("h2", "Planning"), tag("p", _PROTOCOL, class_="note"),
        (_convention(models, c) for c in CONVENTIONS),
        tag("h2", "By driving command"), card(tag("h3", _CONVENTION_WORDS["stp3_vad"]), _commands(models)),
        tag("h2", "Candidates"), card(_candidates(models)),
        tag("h2", "Road users, futures, map"), _perception(models),
        tag("h2", "Do scores mean what they say?"), tag("div", (_calibration(m) for m in models), class_="pair"),
        tag("h2", "Time per set"), card(_latency(models)),
        tag("h2", "Worst key frame of each scene"), _worst(models),
        tag("h2", "Run"), card(table(("", ""), [("command", tag("code", command)), *facts.items()], class_="facts")),
        tag("footer", "Open-loop figures do not tell how well a car would drive by these plans. Research software; it "
            "is no safety system."),
    )  # fmt: skip


def document(title: str, *content: Child) -> str:
    """A self-contained page of that title in the style of all reports."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8"))),
    )
    return (
        "<!doctype html>\n" + tag("html", head, tag("body", tag("main", tag("h1", title), *content)), lang="en") + "\n"
    )


def card(*children: Markup | Iterable[Markup]) -> Markup:
    """A framed part of the page."""
    return tag("div", *children, class_="card")


def _callouts(evaluation: Evaluation) -> Markup:
    said = [
        tag("div", tag("strong", f"{path} was left out."), reason, class_="callout", role="note")
        for path, reason in evaluation.left_out.items()
    ]
    for model in evaluation.models:
        notes = [f"{note}." for note in model.notes]
        notes += [f"{count} sets without a plan: {cause}" for cause, count in model.failures.items()]
        if notes:
            said.append(tag("div", tag("strong", f"{model.name}:"), " ".join(notes), class_="callout", role="note"))
    return join(said)


def _counts(models: Sequence[ModelEvaluation]) -> Markup:
    header = ("", *(m.name for m in models))
    rows = [
        ("model id", *(m.model_id for m in models)),
        ("key frames", *(str(m.summary.key_frames) for m in models)),
        ("scored", *(str(m.summary.scored) for m in models)),
    ]
    for reason in Unscored:
        if any(reason in m.summary.unscored for m in models):
            rows.append((f"no score: {reason.value}", *(str(m.summary.unscored.get(reason, 0)) for m in models)))
    rows.append(("steps not counted, as the way driven collides", *(str(m.summary.truth_collisions) for m in models)))
    return table(header, rows, class_="numbers")


def _convention(models: Sequence[ModelEvaluation], convention: str) -> Markup:
    return tag("div", tag("h3", _CONVENTION_WORDS[convention]), _planning(models, convention), class_="frame card")


def _planning(models: Sequence[ModelEvaluation], convention: str) -> Markup:
    rows = []
    for metric, words in _METRIC_WORDS.items():
        scale = 1.0 if metric == "l2_m" else 100.0
        for model in models:
            estimates = model.summary.tables[convention][metric]
            cells = [_estimate(estimates[h], scale) for h in ("1s", "2s", "3s", "avg")]
            rows.append((words, model.name, *cells, str(estimates["avg"].count)))
    return table(("", "model", "1 s", "2 s", "3 s", "average", "key frames"), rows, class_="numbers")


def _commands(models: Sequence[ModelEvaluation]) -> Markup:
    rows = []
    for command in ("right", "left", "straight"):
        for model in models:
            tables = model.summary.by_command.get(command)
            if tables is None:
                rows.append((command, model.name, "–", "–", "0"))
                continue
            l2, hits = tables["stp3_vad"]["l2_m"]["avg"], tables["stp3_vad"]["collision"]["avg"]
            rows.append((command, model.name, _estimate(l2, 1.0), _estimate(hits, 100.0), str(l2.count)))
    return table(("command", "model", "L2 average, m", "collision average, %", "key frames"), rows, class_="numbers")


def _candidates(models: Sequence[ModelEvaluation]) -> Markup:
    words = {
        "min_ade_m": "minADE over 3 s, best of all candidates, m",
        "min_fde_m": "minFDE at 3 s, best of all candidates, m",
        "diversity_m": "distance between the ends of two candidates, m",
    }
    rows = [
        (said, m.name, _estimate(m.summary.modes[name], 1.0), str(m.summary.modes[name].count))
        for name, said in words.items()
        for m in models
    ]
    return table(("", "model", "mean", "key frames"), rows, class_="numbers")


def _perception(models: Sequence[ModelEvaluation]) -> Markup:
    rows: list[tuple[str, str, str, str]] = []
    for m in models:
        detection, motion, lines = m.perception.detection, m.perception.motion, m.perception.map
        if detection is not None:
            count = f"{sum(c.annotated for c in detection.classes.values())} boxes, {detection.key_frames} key frames"
            rows.append(("detection mAP (nuScenes)", m.name, f"{detection.mean_ap:.3f}", count))
            rows.append(("NDS, attributes counted as wrong", m.name, f"{detection.nds:.3f}", count))
        for group, found in (motion or {}).items():
            count = f"{found.matched} matched of {found.annotated}, {found.false_positives} false"
            said = " / ".join(map(_number, (found.min_ade, found.min_fde, found.miss_rate, found.epa)))
            rows.append((f"futures of {group}: minADE m / minFDE m / miss rate / EPA", m.name, said, count))
        if lines is not None:
            count = f"{sum(lines.annotated.values())} elements, {lines.key_frames} key frames"
            rows.append(("map mAP (Chamfer 0.5, 1, 1.5 m)", m.name, _number(lines.mean), count))
    if not rows:
        return tag("p", "No model reports road users or a map.", class_="note")
    note = (
        "Scored are the boxes and lines that the model reports, from its own least score on; published results score "
        "its 300 best boxes whatever their score. Bags hold no attributes and no number of points in a box."
    )
    return card(table(("", "model", "value", "of"), rows, class_="numbers"), tag("p", note, class_="note"))


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _calibration(model: ModelEvaluation) -> Markup:
    found: Calibration = model.calibration
    if not found.bins:
        said = f"No key frame has two candidates with scores between 0 and 1 ({found.left_out} left out)."
        return card(tag("h3", model.name), tag("p", said, class_="note"))
    rows = [
        (f"{b.low:.1f} to {b.high:.1f}", f"{b.mean_score:.3f}", f"{b.nearest_share:.3f}", str(b.candidates))
        for b in found.bins
    ]
    said = (
        f"Expected calibration error {found.expected_error:.3f}; the best-scored candidate was the nearest to the way "
        f"driven in {100 * found.top_is_nearest:.1f} % of {found.key_frames} key frames ({found.left_out} left out)."
    )
    shown = table(("score", "mean score", "share that was nearest", "candidates"), rows, class_="numbers")
    return card(tag("h3", model.name), shown, tag("p", said, class_="note"))


def _latency(models: Sequence[ModelEvaluation]) -> Markup:
    rows = [
        (m.name, stage.name.replace("_", " "), str(stage.count), *(duration_words(v) for v in (stage.p50, stage.p95,
                                                                                             stage.p99, stage.worst)))
        for m in models
        for stage in m.latency
    ]  # fmt: skip
    return table(("model", "stage", "sets", "p50", "p95", "p99", "worst"), rows, class_="numbers")


def _worst(models: Sequence[ModelEvaluation]) -> Markup:
    cases: dict[str, list[tuple[str, WorstCase]]] = {}
    for model in models:
        for case in model.worst:
            cases.setdefault(case.scene, []).append((model.name, case))
    ordered = sorted(cases, key=lambda scene: -max(case.l2_m for _, case in cases[scene]))
    shown = [_worst_scene(scene, cases[scene], number) for number, scene in enumerate(ordered[:SHOWN_SCENES])]
    rest = len(ordered) - len(shown)
    note = tag("p", f"and {rest} more scenes, whose worst key frames are better", class_="note") if rest > 0 else None
    return join(shown or tag("p", "No scene has a scored key frame.", class_="note"), note)


def _worst_scene(scene: str, cases: Sequence[tuple[str, WorstCase]], number: int) -> Markup:
    drawings = [_worst_case(name, case, f"worst{number}x{i}") for i, (name, case) in enumerate(cases)]
    return tag("section", tag("header", tag("h3", scene)), tag("div", drawings, class_="pair"), class_="frame card")


def _worst_case(name: str, case: WorstCase, identifier: str) -> Markup:
    sample = case.truth.sample
    said = (
        f"{name}: key frame {sample.sample_index}, mean L2 {case.l2_m:.2f} m"
        + (f", {case.hits} steps collide" if case.hits else "")
        + f"; scene {case.scene_l2_m:.2f} m, {100 * case.scene_collision:.2f} % over {case.samples} key frames"
    )
    drawing = birds_eye_svg(
        case.plan, None, case.truth.vector_map, case.truth.path.positions, None, case.truth.objects,
        size_px=PLOT_PX, identifier=identifier,
    )  # fmt: skip
    return tag("div", tag("p", said), tag("div", Markup(drawing), class_="bev"))


def _estimate(value: Estimate, scale: float) -> Markup:
    if not math.isfinite(value.mean):
        return join("–")
    mean = f"{scale * value.mean:.2f}"
    if not math.isfinite(value.low):
        return join(mean)
    return join(mean, " ", tag("span", f"[{scale * value.low:.2f}, {scale * value.high:.2f}]", class_="soft"))
