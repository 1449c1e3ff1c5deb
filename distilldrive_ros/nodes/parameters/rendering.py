"""Writes the parameter tables as text: the Markdown of the README and the YAML files in `config/`.

`python -m distilldrive_ros.nodes.parameters.rendering` brings the YAML files up to date after a change of a table.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from typing import Any

from distilldrive_ros.environment.resources import share_directory
from distilldrive_ros.nodes.parameters.table import TABLE_MODULES, Parameter, table_of

# Which file in config/ holds the values of which nodes.
FILES = {
    "planner.param.yaml": ("sensor_sync", "perception_planning", "planner", "visualizer"),
    "replay.param.yaml": ("replay", "recorder", "evaluator"),
    "simulation.param.yaml": ("simulator",),
}

_HEADINGS = {
    "planner.param.yaml": "Every parameter of the graph, with its default",
    "replay.param.yaml": "Every parameter of replay, recorder and evaluator, with its default",
    "simulation.param.yaml": "Every parameter of the simulator, with its default",
}


def render_markdown(nodes: Iterable[str] = tuple(TABLE_MODULES)) -> str:
    """The parameter tables of the README, one heading per node."""
    parts = []
    for node in nodes:
        cells = [
            (f"`{p.name}`", p.kind_name, f"`{_yaml_value(p.default)}`", _cell(p.range_text), _cell(_meaning(p)))
            for p in table_of(node).parameters
        ]
        rows = [f"| {' | '.join(row)} |" for row in cells]
        head = "| parameter | type | default | allowed | meaning |\n|---|---|---|---|---|"
        parts.append("\n".join([f"#### `{node}`", "", head, *rows, ""]))
    return "\n".join(parts)


def render_yaml(file: str) -> str:
    """Content of one of the files in `config/`: every value under its node's name, for any namespace."""
    lines = [
        f"# {_HEADINGS[file]}. Made from the tables in distilldrive_ros/nodes/parameters/tables.",
        "# An unknown name or a wrong value is refused when the graph starts.",
    ]
    for node in FILES[file]:
        lines += ["", f"/**/{node}:", "  ros__parameters:"]
        for p in table_of(node).parameters:
            allowed = f" Allowed: {p.range_text}." if p.range_text else ""
            comment = f"{_meaning(p)}.{allowed}"
            lines += textwrap.wrap(
                comment, 112, initial_indent="    # ", subsequent_indent="    # ", break_on_hyphens=False
            )
            lines.append(f"    {p.name}: {_yaml_value(p.default)}")
    return "\n".join(lines) + "\n"


def _meaning(p: Parameter) -> str:
    unit = f" [{p.unit}]" if p.unit else ""
    return f"{p.description}{unit}{' (read-only)' if p.read_only else ''}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _yaml_value(value: Any) -> str:
    # JSON is YAML; an empty list has no type in ROS, and one empty string stands for it.
    return json.dumps(list(value) or [""]) if isinstance(value, tuple) else json.dumps(value)


def main() -> None:
    """Write the files."""
    for file in FILES:
        (share_directory() / "config" / file).write_text(render_yaml(file), encoding="utf-8")


if __name__ == "__main__":
    main()
