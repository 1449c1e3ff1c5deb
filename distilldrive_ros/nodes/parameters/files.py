"""YAML parameter files: read, checked against the tables before any node sees them.

The form is ROS's own: node name (`sensor_sync`, `/car/sensor_sync` or `/**/sensor_sync`; `/**` for all nodes), below it
`ros__parameters`, below that the values. Knows no ROS, so that `distilldrive launch` can check a file where it starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from distilldrive_ros.nodes.parameters.table import BUILT_IN, TABLE_MODULES, ParameterTable, table_of
from distilldrive_ros.scene.errors import ConfigurationError

ALL_NODES = "/**"


def load_parameter_file(path: Path) -> dict[str, dict[str, Any]]:
    """Values by node name; those under `/**` are given to every node that has them.

    Raises:
        ConfigurationError: no such file, no YAML, unknown node or parameter, refused value. Names all faults found.
    """
    sections = _sections(path)
    faults: list[str] = []
    values: dict[str, dict[str, Any]] = {node: {} for node in TABLE_MODULES}
    for key, parameters in sections.items():
        faults += _place(key, parameters, values)
    if faults:
        raise ConfigurationError(f"{path}: " + "; ".join(faults))
    return {node: given for node, given in values.items() if given}


def unknown_overrides(own: ParameterTable[Any], overrides: Iterable[str]) -> list[str]:
    """Why overrides that a running node was given are unknown to it.

    A name that another node of this package has is not reported: it comes from a `/**` section meant for several.
    """
    reasons = {name: own.refusal(name, None) for name in overrides if name not in own}
    return [r for name, r in reasons.items() if r and not any(name in table_of(other) for other in TABLE_MODULES)]


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"parameter file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" in line {line + 1}" if line is not None else ""
        raise ConfigurationError(f"parameter file {path} is not valid YAML{where}; mend the file") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"parameter file {path} holds no node names; see config/planner.param.yaml")
    sections = {}
    for key, body in content.items():
        parameters = body.get("ros__parameters") if isinstance(body, dict) else None
        if not isinstance(parameters, dict):
            raise ConfigurationError(f"{path}: below {key!r} there must be ros__parameters with values")
        sections[str(key)] = _flatten(parameters)
    return sections


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _place(key: str, parameters: dict[str, Any], values: dict[str, dict[str, Any]]) -> list[str]:
    """Put one section's values where they belong; returns what is wrong with them."""
    faults = []
    if key == ALL_NODES:
        for name, value in parameters.items():
            takers = [n for n in TABLE_MODULES if name in BUILT_IN or name in table_of(n)]
            faults += [] if takers else [f"no node has a parameter {name!r} (under /**)"]
            for node in takers:
                reason = table_of(node).refusal(name, value)
                faults += [reason] if reason else []
                values[node].setdefault(name, value)
        return faults
    node = key.rsplit("/", 1)[-1]
    try:
        table = table_of(node)
    except ConfigurationError as error:
        return [str(error)]
    for name, value in parameters.items():
        reason = table.refusal(name, value)
        faults += [reason] if reason else []
        values[node][name] = value
    return faults
