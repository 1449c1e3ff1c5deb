"""Declares a node's table as ROS parameters and keeps the configuration that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from distilldrive_ros.nodes.parameters.files import unknown_overrides
from distilldrive_ros.nodes.parameters.table import Parameter, ParameterTable
from distilldrive_ros.scene.errors import ConfigurationError

C = TypeVar("C")

ROS_TYPES = {
    bool: RosParameter.Type.BOOL,
    int: RosParameter.Type.INTEGER,
    float: RosParameter.Type.DOUBLE,
    str: RosParameter.Type.STRING,
    tuple: RosParameter.Type.STRING_ARRAY,
}


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    message = ParameterDescriptor(
        name=parameter.name,
        type=ROS_TYPES[parameter.kind].value,
        description=parameter.description + (f" [{parameter.unit}]" if parameter.unit else ""),
        additional_constraints=parameter.range_text if parameter.choices else "",
        read_only=parameter.read_only,
    )
    if parameter.low is not None or parameter.high is not None:
        # ROS knows closed ranges only; an open side gets the widest number of its type.
        if parameter.kind is int:
            low = -(2**62) if parameter.low is None else int(parameter.low)
            high = 2**62 if parameter.high is None else int(parameter.high)
            message.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            low_f = -1e300 if parameter.low is None else float(parameter.low)
            high_f = 1e300 if parameter.high is None else float(parameter.high)
            message.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f)]
    return message


class ParameterServer(Generic[C]):
    """The parameters of one node: declared, validated, and always applied as one frozen configuration."""

    def __init__(self, node: Node, table: ParameterTable[C], on_change: Callable[[C], None] | None = None) -> None:
        """Declare every parameter of the table on a node.

        Args:
            node: the node.
            table: its table.
            on_change: called with the new configuration after parameters were set at run time.

        Raises:
            ConfigurationError: an override is unknown, of the wrong type or out of range.
        """
        self._node = node
        self._table = table
        self._on_change = on_change
        # rclpy offers no public way to see overrides that nobody declared, and passes over them in silence.
        overrides = {name: _plain(p.value) for name, p in node._parameter_overrides.items()}
        faults = unknown_overrides(table, overrides)
        faults += [r for name, value in overrides.items() if name in table and (r := table.refusal(name, value))]
        if faults:
            raise ConfigurationError("; ".join(faults) + "; see config/planner.param.yaml")
        try:
            for p in table.parameters:
                # ROS cannot tell the type of an empty list: one empty string stands for it.
                default = (list(p.default) or [""]) if p.kind is tuple else p.default
                node.declare_parameter(p.name, default, descriptor(p))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ConfigurationError(f"node {table.node}: {error}; see config/planner.param.yaml") from error
        self.current: C = self._read()
        node.add_on_set_parameters_callback(self._validate)
        if hasattr(node, "add_post_set_parameters_callback"):
            node.add_post_set_parameters_callback(self._apply)

    def _validate(self, parameters: list[RosParameter[Any]]) -> SetParametersResult:
        """Refuse with a reason; changes nothing."""
        given = {p.name: _plain(p.value) for p in parameters}
        reasons = [r for name, value in given.items() if (r := self._table.refusal(name, value))]
        if reasons:
            return SetParametersResult(successful=False, reason="; ".join(reasons))
        if not hasattr(self._node, "add_post_set_parameters_callback"):  # before ROS 2 Iron
            self._publish(self._table.build({**self._values(), **given}))
        return SetParametersResult(successful=True)

    def _apply(self, _: list[RosParameter[Any]]) -> None:
        self._publish(self._read())

    def _publish(self, configuration: C) -> None:
        self.current = configuration
        if self._on_change is not None:
            self._on_change(configuration)

    def _values(self) -> dict[str, Any]:
        return {p.name: _plain(self._node.get_parameter(p.name).value) for p in self._table.parameters}

    def _read(self) -> C:
        return self._table.build(self._values())


def _plain(value: Any) -> Any:
    return tuple(item for item in value if item != "") if isinstance(value, (list, tuple)) else value
