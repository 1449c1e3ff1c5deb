"""The one place where callbacks fail: counted, reported, the traceback logged once per type; the node lives on."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.node import Node

from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.scene.errors import DistillDriveError

F = TypeVar("F", bound=Callable[..., Any])


class CallbackGuard:
    """Wraps callbacks of one node."""

    def __init__(self, node: Node, diagnostics: DiagnosticsPublisher) -> None:
        """Report to the node's log and diagnostics."""
        self._node = node
        self._diagnostics = diagnostics
        self._seen: set[tuple[str, type[BaseException]]] = set()

    def wrap(self, subject: str, callback: F) -> F:
        """A callback that never raises; failures are reported under `subject`."""

        @functools.wraps(callback)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except Exception as error:
                self.report(subject, error)
                return None

        return guarded  # type: ignore[return-value]

    def report(self, subject: str, error: Exception) -> None:
        """Report a failure: bad data as a warning with its own words, anything else as an error of ours."""
        expected = isinstance(error, DistillDriveError)
        message = str(error) if expected else f"{type(error).__name__}: {error}"
        self._diagnostics.event(subject, Level.WARN if expected else Level.ERROR, message)
        self._diagnostics.count(subject, "refused" if expected else "failures")
        if (subject, type(error)) in self._seen:
            return
        self._seen.add((subject, type(error)))
        if expected:
            self._node.get_logger().warning(f"{subject}: {message} (said once; counted in the diagnostics)")
        else:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self._node.get_logger().error(f"{subject}: {message} (said once; counted in the diagnostics)\n{text}")
