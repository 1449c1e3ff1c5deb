"""The page of a closed-loop batch: models side by side, then every drive from above with what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import distilldrive_ros.evaluation.report
from distilldrive_ros.evaluation.closed_loop.batch import BatchResult, ModelDrives
from distilldrive_ros.evaluation.closed_loop.result import DriveResult
from distilldrive_ros.evaluation.report.markup import Markup, join, table, tag
from distilldrive_ros.worlds.driving.drive_log import EventKind

READING = (
    "From above, north up. Dashed green: the route. Violet: the way driven, red where the vehicle braked because there "
    "was no plan it could follow; dark: where it ended, with an outline every two seconds. Everybody else as they were "
    "at the end. Numbers: events, in the order of the list below."
)
PROTOCOL = (
    "The vehicle (NAVSIM's, 5.18 x 2.30 m, a kinematic bicycle) follows each plan until the next one; the traffic "
    "reacts to it. A drive ends at its goal, with a collision, with the vehicle's middle off the road, or by time. "
    "Collisions at fault by NAVSIM's rule. PDMS over windows of 4 s, one per second, of what was driven, then the mean "
    "over the drives; progress is relative to the proposal of pdm_closed from the same instant. EPDMS over the same "
    "windows, without extended comfort and without the human filter: there is no human driver here. A light counts as "
    "red for who reaches it while it is red (yellow does not count); recorded worlds know no lights."
)
SCORES = {
    "no_at_fault_collision": "no collision at fault (NC)",
    "drivable_area": "on the road (DAC)",
    "driving_direction": "direction (DDC)",
    "ego_progress": "progress (EP)",
    "time_to_collision": "time to collision (TTC)",
    "comfort": "comfort (C)",
    "score": "PDMS",
}
EXTENDED_SCORES = {
    "traffic_light": "traffic lights (TLC)",
    "lane_keeping": "lane keeping (LK)",
    "history_comfort": "comfort with the past (HC)",
    "score": "EPDMS",
}


def closed_loop_html(result: BatchResult, title: str, command: str, facts: Mapping[str, str]) -> str:
    """The document. `command`: what was typed; `facts`: machine and versions."""
    body = tag(
        "main",
        tag("h1", title),
        tag("p", f"{max((len(m.results) for m in result.models), default=0)} worlds", class_="soft"),
        _callouts(result),
        tag("h2", "Models"),
        tag("div", summary_table(result.models), tag("p", PROTOCOL, class_="note"), class_="card"),
        tag("h2", "Drives"),
        tag("p", READING, class_="note"),
        _drives(result.models),
        tag("h2", "Run"),
        tag(
            "div",
            table(("run", ""), [("command", tag("code", command)), *facts.items()], class_="facts"),
            class_="card",
        ),
        tag("footer", "Research software. It is no safety system; do not drive a car by these plans."),
    )
    style = (Path(distilldrive_ros.evaluation.report.__file__).parent / "page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"


def drives_section(models: Sequence[ModelDrives], words: str) -> Markup:
    """For another page: each model's first drive, and how to read it. `words` say what the drives are."""
    shown = [drive_card(m.name, m.results[0], m.pictures[0]) for m in models if m.results]
    cards = tag("div", tag("div", shown, class_="pair"), tag("p", READING, class_="note"), class_="card")
    return join(tag("h2", "Closed loop"), tag("p", words, class_="note"), cards)


def _callouts(result: BatchResult) -> Markup:
    said: list[Markup] = []
    for name, reason in result.left_out.items():
        said.append(tag("div", tag("strong", f"{name} was left out."), reason, class_="callout", role="note"))
    for model in result.models:
        if not model.trained:
            words = f"{model.name}: untrained weights, these numbers mean nothing."
            said.append(tag("div", tag("strong", words), class_="callout", role="note"))
    return join(said)


def summary_table(models: Sequence[ModelDrives]) -> Markup:
    """Models side by side."""
    found = [model.summary for model in models]
    rows: list[Sequence[str]] = [
        ("drives", *(str(s["drives"]) for s in found)),
        ("way driven", *(f"{s['driven_m'] / 1000:.2f} km" for s in found)),
        ("route completion", *(_percent(s["route_completion"]) for s in found)),
        ("arrived", *(str(s["ends"].get("arrived", 0)) for s in found)),
        ("collisions per km", *(_rate(s, "collisions") for s in found)),
        ("of these at fault", *(_rate(s, "collisions_at_fault") for s in found)),
        ("left the road for good", *(str(s["ends"].get("off_road", 0)) for s in found)),
        ("time off the road", *(_percent(s["off_road_share"]) for s in found)),
        ("time braking without a plan", *(_percent(s["braked_share"]) for s in found)),
        ("red lights run, of those passed", *(f"{s['red_lights_run']} of {s['lights_passed']}" for s in found)),
        ("windows", *(str(s["windows"]) for s in found)),
    ]
    for part, words_of in (("scores", SCORES), ("extended_scores", EXTENDED_SCORES)):
        rows += [(words, *(_percent(s[part].get(name)) for s in found)) for name, words in words_of.items()]
    return table(("", *(model.name for model in models)), rows, class_="numbers")


def _rate(found: Mapping[str, Any], name: str) -> str:
    rate = found[f"{name}_per_km"]
    return f"{rate:.2f} ({found[name]})" if rate is not None else f"– ({found[name]})"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _drives(models: Sequence[ModelDrives]) -> Iterable[Markup]:
    count = max((len(m.results) for m in models), default=0)
    for number in range(count):
        shown = [(m.name, m.results[number], m.pictures[number]) for m in models if number < len(m.results)]
        first = shown[0][1]
        header = tag("header", tag("h3", first.world), tag("span", first.description, class_="soft"))
        pictures = tag("div", (drive_card(*entry) for entry in shown), class_="pair")
        yield tag("section", header, pictures, class_="frame card")


def drive_card(name: str, result: DriveResult, picture: str) -> Markup:
    """One drive: how it ended, its drawing, its events."""
    events = [event for event in result.events if event.kind is not EventKind.END]
    listed = tag("ol", (tag("li", f"{event.time_ns * 1e-9:.1f} s: {event.detail}") for event in events))
    return tag(
        "div",
        tag("p", tag("strong", f"{name}: "), result.sentence.partition(": ")[2]),
        tag("div", Markup(picture), class_="bev"),
        listed if events else None,
    )
