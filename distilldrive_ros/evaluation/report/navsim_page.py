"""Drivers in pseudo closed loop side by side: one self-contained HTML page in the style of the drive's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distilldrive_ros.evaluation.navsim.study import Study, WorstWindow
from distilldrive_ros.evaluation.navsim.summary import EPDMS_NAMES, PDMS_NAMES, Row
from distilldrive_ros.evaluation.report.comparison import PLOT_PX, card, document
from distilldrive_ros.evaluation.report.markup import Markup, join, table, tag
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import TIME_STEP_S
from distilldrive_ros.visualization.birds_eye import EgoShape, birds_eye_svg

_PROTOCOL = (
    "Means over windows of 4 s, one per 0.5 s, in percent. log: the others move as recorded; idm: recorded vehicles "
    "follow the intelligent driver model on their recorded paths. Progress (EP) is relative to the proposal of "
    "pdm_closed, which shares its simulator and scorer with the metric. The vehicle is NAVSIM's, larger than the "
    "recorded one. The data hold no traffic lights. Drives go on after a collision or off the road. single plans: "
    "recorded plans, each from the recorded state of its key frame, without feedback."
)
_EPDMS_PROTOCOL = (
    "NAVSIM v2 with the human filter: what the recorded driver fails in the same 4 s is excused. History comfort sees "
    "up to 1.5 s of the drive's past; extended comfort compares each plan with the one 0.5 s before and is left out of "
    "the first window, and of the recorded driver, who has no plans."
)


def navsim_html(study: Study, fidelity: str, command: str, facts: Mapping[str, str]) -> str:
    """The document. `fidelity`: name of the arithmetic; `command`: what was typed; `facts`: machine and versions."""
    scenes = list(dict.fromkeys(scene for scene, _ in study.scenes))
    pictures = [_worst_scene(study.worst, scene, number) for number, scene in enumerate(scenes)]
    return document(
        "Pseudo closed loop on recorded scenes",
        tag("p", f"{len(scenes)} scenes: {', '.join(scenes)}; arithmetic: {fidelity}", class_="soft"),
        [
            tag("div", tag("strong", f"{name} was left out."), reason, class_="callout", role="note")
            for name, reason in study.left_out.items()
        ],
        [tag("div", f"{note}.", class_="callout", role="note") for note in study.notes],
        tag("h2", "PDMS (NAVSIM v1)"), tag("p", _PROTOCOL, class_="note"),
        card(_table(study.total, "pdms", tuple(PDMS_NAMES))),
        tag("h2", "EPDMS (NAVSIM v2)"), tag("p", _EPDMS_PROTOCOL, class_="note"),
        card(_table(study.total, "epdms", tuple(EPDMS_NAMES))),
        tag("h2", "By scene"), card(_by_scene(study)),
        tag("h2", "Worst window of each scene"), pictures,
        tag("h2", "Run"), card(table(("", ""), [("command", tag("code", command)), *facts.items()], class_="facts")),
        tag("footer", "Recorded scenes answer a plan only so far. Research software; it is no safety system."),
    )  # fmt: skip


def _table(rows: Sequence[Row], kind: str, names: tuple[str, ...]) -> Markup:
    header = ("planner", "others", "windows", "without a plan", *names)
    return table(header, [(*_head(row), *_cells(getattr(row, kind), names)) for row in rows], class_="numbers")


def _head(row: Row) -> tuple[str, ...]:
    return row.planner, row.agents, str(row.windows), str(row.without_plan)


def _cells(values: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [f"{100 * values[name]:.1f}" if name in values else "–" for name in names]


def _by_scene(study: Study) -> Markup:
    """PDMS and EPDMS of every driver; the windows behind them where plans are missing."""
    drivers = [(row.planner, row.agents) for row in study.total]
    found = {(scene, row.planner, row.agents): row for scene, row in study.scenes}
    scenes = dict.fromkeys(scene for scene, _ in study.scenes)
    header = ("PDMS / EPDMS", "windows", *(f"{planner}, {agents}" for planner, agents in drivers))
    rows = []
    for scene in scenes:
        own = [found[scene, planner, agents] for planner, agents in drivers]
        rows.append((scene, str(max(row.windows for row in own)), *(_scene_cell(row) for row in own)))
    return table(header, rows, class_="numbers")


def _scene_cell(row: Row) -> str:
    scores = " / ".join(_cells({**row.pdms, **row.epdms}, ("PDMS", "EPDMS")))
    return f"{scores} ({row.windows} windows)" if row.without_plan else scores


def _worst_scene(worst: Sequence[WorstWindow], scene: str, number: int) -> Markup:
    drawings = [_drawing(case, f"window{number}x{i}") for i, case in enumerate(c for c in worst if c.scene == scene)]
    shown = drawings or [tag("p", "No window is scored.", class_="note")]
    return tag("section", tag("header", tag("h3", scene)), tag("div", shown, class_="pair"), class_="frame card")


def _drawing(case: WorstWindow, identifier: str) -> Markup:
    failed = [name for name in PDMS_NAMES if case.scores.pdms[name] < 1.0 and name not in ("EP", "PDMS")]
    said = (
        f"{case.planner}, {case.agents}: from {case.picture.start * TIME_STEP_S:.1f} s, PDMS "
        f"{100 * case.scores.pdms['PDMS']:.1f}" + (f"; not full: {', '.join(failed)}" if failed else "")
    )
    shape = EgoShape(PACIFICA.front_length, PACIFICA.rear_length, PACIFICA.width)
    picture = case.picture
    drawing = birds_eye_svg(
        picture.driven, picture.objects, picture.road, picture.recorded, size_px=PLOT_PX, ego=shape,
        identifier=identifier,
    )  # fmt: skip
    return join(tag("div", tag("p", said), tag("div", Markup(drawing), class_="bev")))
