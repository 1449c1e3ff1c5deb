"""Title and legend of the bird's-eye drawing: only what the drawing really shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distilldrive_ros.scene.candidates import PlanCandidates, ScoreType
from distilldrive_ros.scene.vector_map import PolylineKind
from distilldrive_ros.visualization.colors import (
    CLASS_GROUPS,
    GROUND_TRUTH,
    INVALID,
    MAP_COLORS,
    ScoreScale,
    css,
    score_color,
)
from distilldrive_ros.visualization.svg import element, group, text

_SCORE_WORDS = {ScoreType.SOFTMAX: "softmax", ScoreType.SIGMOID: "sigmoid", ScoreType.RESCORED: "rescored"}
_INK = "#2b2b31"
_FAINT = "#6b6b75"
_ROW = 19.0


@dataclass(frozen=True)
class LegendContent:
    """What there is to explain; `scale` is None without a valid candidate."""

    scale: ScoreScale | None
    selected: bool
    has_invalid: bool
    class_ids: frozenset[str]
    map_kinds: frozenset[PolylineKind]
    has_truth_path: bool
    has_truth_boxes: bool
    has_lidar: bool


def title_lines(plan: PlanCandidates | None, x: float) -> str:
    """Two lines: what was chosen, and by which model."""
    if plan is None:
        return text(x, 19, "no plan", 15, fill=_INK, font_weight="600")
    best = plan.best
    command = plan.active_command.name.lower()
    chosen = f"mode {best.mode}, score {best.score:.3f}" if best is not None else "no valid candidate"
    untrained = " (weights untrained)" if plan.model_id.endswith("@untrained") else ""
    invalid = sum(1 for c in plan.candidates if c.invalid_reasons)
    counts = f"{len(plan.candidates)} candidates, {invalid} invalid"
    model = f"{plan.model_id}{untrained} · {counts} · t = {plan.stamp_ns * 1e-9:.3f} s"
    headline = text(x, 19, f"Command {command} · {chosen}", 15, fill=_INK, font_weight="600")
    return headline + text(x, 37, model, 11.5, fill=_FAINT)


def legend_panel(
    content: LegendContent, dashes: Mapping[PolylineKind, str], identifier: str, x: float, y: float
) -> str:
    """Rows of samples with words, from (x, y) pixels down; ids inside begin with `identifier`."""
    parts: list[str] = []
    cursor = y + 10
    if content.scale is not None:
        parts.append(_score_bar(content.scale, identifier, x, cursor))
        cursor += 62
    for heading, rows in _sections(content, dashes):
        if rows:
            parts.append(text(x, cursor, heading, 11.5, fill=_FAINT, font_weight="600"))
            cursor += _ROW - 2
            for sample, words in rows:
                shifted = group([sample], transform=f"translate({x:.0f} {cursor - 4:.0f})")
                parts.append(shifted + text(x + 36, cursor, words, 12, fill=_INK))
                cursor += _ROW
            cursor += 7
    return group(parts)


def _score_bar(scale: ScoreScale, identifier: str, x: float, y: float) -> str:
    stops = (element("stop", offset=f"{step * 10}%", stop_color=css(score_color(step / 10))) for step in range(11))
    gradient = element("linearGradient", "".join(stops), id=f"{identifier}-score")
    bar = element("rect", x=x, y=y + 8, width=160, height=11, rx=2, fill=f"url(#{identifier}-score)")
    ends = text(x, y + 34, f"{scale.low:.3f}", 11, fill=_INK) + text(
        x + 160, y + 34, f"{scale.high:.3f}", 11, fill=_INK, text_anchor="end"
    )
    heading = text(x, y, "Score of a candidate", 11.5, fill=_FAINT, font_weight="600")
    return element("defs", gradient) + heading + bar + ends


def _sections(content: LegendContent, dashes: Mapping[PolylineKind, str]) -> list[tuple[str, list[tuple[str, str]]]]:
    plans = []
    if content.selected:
        plans.append((_line("#2d2d34", 7.6) + _line(css(score_color(1.0)), 5.0), "selected"))
    if content.has_invalid:
        plans.append((_line(css(INVALID), 1.4, "5 4"), "invalid"))
    if content.has_truth_path:
        plans.append((_line(css(GROUND_TRUTH), 2.2, "7 4"), "driven (ground truth)"))
    objects = [
        (_swatch(css(color)), name)
        for name, (color, ids) in CLASS_GROUPS.items()
        if content.class_ids.intersection(ids)
    ]
    if content.class_ids.difference(*(ids for _, ids in CLASS_GROUPS.values())):
        objects.append((_swatch(css(CLASS_GROUPS["barrier, cone"][0])), "other"))
    if content.has_truth_boxes:
        objects.append((_swatch(css(GROUND_TRUTH), hollow=True), "ground truth"))
    kinds = sorted(content.map_kinds)
    lines = [
        (_line(css(MAP_COLORS[kind]), 2.0, dashes.get(kind)), kind.name.lower().replace("_", " ")) for kind in kinds
    ]
    if content.has_lidar:
        places = "M3 0h0M10 -3h0M15 2h0M22 -1h0M26 3h0"
        dots = element("path", d=places, stroke="#a9a9b8", stroke_width=2, stroke_linecap="round")
        lines.append((dots, "LiDAR, 0.3 to 4 m high"))
    return [("Plan", plans), ("Road users", objects), ("Surroundings", lines)]


def _line(color: str, width: float, dash: str | None = None) -> str:
    return element(
        "path",
        d="M1 0H28",
        stroke=color,
        stroke_width=width,
        stroke_dasharray=dash,
        fill="none",
        stroke_linecap="butt" if dash else "round",
    )


def _swatch(color: str, hollow: bool = False) -> str:
    return element(
        "rect",
        x=4,
        y=-6,
        width=21,
        height=11,
        stroke=color,
        stroke_width=1.3,
        fill="none" if hollow else color,
        fill_opacity=None if hollow else "0.22",
        stroke_dasharray="4 2.5" if hollow else None,
    )
