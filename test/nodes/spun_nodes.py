"""Nodes of one context, spun together with one that listens and speaks for the test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter


class SpunNodes:
    """Base of the graphs that tests make: `listener` is theirs, `nodes` are the ones under test."""

    def __init__(self, context: Any, deadline_s: float) -> None:
        self.context, self.deadline_s = context, deadline_s
        self.nodes: list[Any] = []
        self.executor = SingleThreadedExecutor(context=context)
        self.listener = rclpy.create_node("listener", context=context)
        self.executor.add_node(self.listener)

    def add(self, make: Callable[..., Any], *arguments: Any, **parameters: Any) -> Any:
        """A node of these arguments and ROS parameters; it is closed and destroyed at the end."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = make(*arguments, context=self.context, parameter_overrides=overrides)
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def spin_until(self, condition: Callable[[], bool]) -> None:
        """Spin until it holds; fail at the deadline."""
        deadline = time.monotonic() + self.deadline_s
        while not condition():
            assert time.monotonic() < deadline, "deadline passed"
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """End all nodes, the last made first."""
        for node in reversed(self.nodes):
            node.close()
            node.destroy_node()
        self.listener.destroy_node()
        self.executor.shutdown()
