"""Parameters of the nodes, declared once: a frozen dataclass per node whose fields carry type, default, description,
unit, range and choices.

From that one table come the ROS descriptors and the validation (`server.py`), the configuration that the node
works with, the check of the YAML files (`files.py`), these files themselves and the tables in the README
(`rendering.py`). Knows no ROS.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_type_hints

from distilldrive_ros.scene.errors import ConfigurationError

C = TypeVar("C")

# Declared by rclpy itself on every node; allowed in the YAML beside the node's own.
BUILT_IN = ("use_sim_time", "start_type_description_service")
BUILT_IN_PREFIXES = ("qos_overrides.",)

# Node name -> module that holds its TABLE. Looked up lazily: nobody loads the tables of nodes that he does not use.
TABLE_MODULES = {
    "sensor_sync": "distilldrive_ros.nodes.parameters.tables.sensor_sync",
    "perception_planning": "distilldrive_ros.nodes.parameters.tables.perception_planning",
    "planner": "distilldrive_ros.nodes.parameters.tables.planner",
    "visualizer": "distilldrive_ros.nodes.parameters.tables.visualizer",
    "replay": "distilldrive_ros.nodes.parameters.tables.replay",
    "recorder": "distilldrive_ros.nodes.parameters.tables.recorder",
    "evaluator": "distilldrive_ros.nodes.parameters.tables.evaluator",
    "simulator": "distilldrive_ros.nodes.parameters.tables.simulator",
}


def parameter(
    default: Any,
    description: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """Field of a configuration dataclass that is a ROS parameter.

    Args:
        default: value where nothing else is given; bool, int, float, str, or tuple[str, ...] ([""] in YAML: empty).
        description: one sentence for `ros2 param describe` and the README.
        unit: SI unit, shown behind the description.
        low: smallest allowed number.
        high: largest allowed number.
        choices: allowed strings; empty: any.
        read_only: a change needs a restart of the node.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "description": description,
            "unit": unit,
            "low": low,
            "high": high,
            "choices": choices,
            "read_only": read_only,
        },
    )


@dataclass(frozen=True)
class Parameter:
    """One row of a table. `kind` is bool, int, float, str or tuple (of strings)."""

    name: str
    kind: type
    default: Any
    description: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    read_only: bool

    @property
    def kind_name(self) -> str:
        """The type as people write it."""
        return {"str": "string", "tuple": "list of strings"}.get(self.kind.__name__, self.kind.__name__)

    @property
    def range_text(self) -> str:
        """Allowed values in words, empty where there is no limit."""
        if self.choices:
            return " | ".join(choice or '""' for choice in self.choices)
        if self.low is None and self.high is None:
            return ""
        low = "-inf" if self.low is None else f"{self.low:g}"
        high = "inf" if self.high is None else f"{self.high:g}"
        return f"{low} to {high}"

    def refusal(self, value: Any) -> str | None:
        """Why a value is refused, or None where it is fine. As in ROS, an integer is no float."""
        given = _kind_of(value)
        if given is not self.kind:
            hint = f"; write {float(value)}" if self.kind is float and given is int else ""
            hint = '; write [""] for an empty list' if self.kind is tuple and value is None else hint
            return f"must be a {self.kind_name}, got {value!r} ({_kind_name(given)}){hint}"
        values: Iterable[Any] = value if self.kind is tuple else (value,)
        for item in values:
            if self.kind is tuple and not isinstance(item, str):
                return f"must be a list of strings, got {item!r} in it"
            if self.choices and item not in self.choices:
                near = difflib.get_close_matches(str(item), self.choices, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                return f"must be one of {self.range_text}, got {item!r}{hint}"
            if self.kind in (int, float):
                if not math.isfinite(item):
                    return f"must be a finite number, got {item!r}"
                if (self.low is not None and item < self.low) or (self.high is not None and item > self.high):
                    unit = f" {self.unit}" if self.unit else ""
                    return f"must be in the range {self.range_text}{unit}, got {item!r}"
        return None

    def from_text(self, text: str) -> Any:
        """Value of this parameter's type from a command line.

        Raises:
            ConfigurationError: the text is no such value, or the value is refused.
        """
        try:
            value = _parse(self.kind, text)
        except ValueError:
            value = text
        reason = self.refusal(value)
        if reason:
            raise ConfigurationError(f"{self.name}:={text}: {self.name} {reason}")
        return value


class ParameterTable(Generic[C]):
    """The parameters of one node, made from its configuration dataclass."""

    def __init__(self, node: str, configuration: type[C]) -> None:
        """Read the table off the fields of a dataclass whose every field is made by `parameter()`."""
        self.node = node
        self.configuration = configuration
        hints = get_type_hints(configuration)
        self.parameters = tuple(
            Parameter(
                name=f.name,
                kind=_kind_of_hint(hints[f.name]),
                default=f.default,
                **f.metadata,
            )
            for f in dataclasses.fields(configuration)  # type: ignore[arg-type]
        )
        self._by_name = {p.name: p for p in self.parameters}

    def __getitem__(self, name: str) -> Parameter:
        """The parameter of that name; KeyError where there is none."""
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a parameter of that name."""
        return name in self._by_name

    def defaults(self) -> dict[str, Any]:
        """Default of every parameter."""
        return {p.name: p.default for p in self.parameters}

    def refusal(self, name: str, value: Any) -> str | None:
        """Why `name = value` is refused, with node, name, range and remedy; None where it is fine."""
        if name in BUILT_IN or name.startswith(BUILT_IN_PREFIXES):
            return None
        if name not in self._by_name:
            near = difflib.get_close_matches(name, list(self._by_name), 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(self._by_name)}"
            return f"node {self.node} has no parameter {name!r}; {hint}"
        reason = self._by_name[name].refusal(value)
        return f"parameter {name!r} of node {self.node} {reason}" if reason else None

    def build(self, values: Mapping[str, Any]) -> C:
        """Configuration from values; defaults for those not given.

        Raises:
            ConfigurationError: an unknown name or a refused value; the message names all of them.
        """
        reasons = [r for name, value in values.items() if (r := self.refusal(name, value))]
        if reasons:
            raise ConfigurationError("; ".join(reasons))
        own = {name: value for name, value in values.items() if name in self._by_name}
        return self.configuration(**{**self.defaults(), **own})


def table_of(node: str) -> ParameterTable[Any]:
    """The table of a node of this package.

    Raises:
        ConfigurationError: there is no such node.
    """
    if node not in TABLE_MODULES:
        near = difflib.get_close_matches(node, list(TABLE_MODULES), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(TABLE_MODULES)}"
        raise ConfigurationError(f"there is no node {node!r}; {hint}")
    table: ParameterTable[Any] = importlib.import_module(TABLE_MODULES[node]).TABLE
    return table


def _kind_of(value: Any) -> type:
    return tuple if isinstance(value, (list, tuple)) else type(value)


def _kind_name(kind: type) -> str:
    return {"str": "string", "tuple": "list", "int": "integer", "NoneType": "nothing"}.get(kind.__name__, kind.__name__)


def _kind_of_hint(hint: Any) -> type:
    kind = hint if isinstance(hint, type) and hint in (bool, int, float, str) else getattr(hint, "__origin__", None)
    if kind not in (bool, int, float, str, tuple):
        raise TypeError(f"a parameter cannot be of type {hint!r}")
    return kind


def _parse(kind: type, text: str) -> Any:
    if kind is bool:
        lower = text.lower()
        if lower not in ("true", "false"):
            raise ValueError(text)
        return lower == "true"
    if kind is tuple:
        return tuple(part.strip() for part in text.strip("[]").split(",") if part.strip())
    return kind(text)
