"""Health of a node on `/diagnostics`: one status per subject, sent by a timer on the steady clock, come what may.

A subject has a state (what holds now) and may have events (what happened since the last report). A report shows the
worst of both, so that a fault of one message is seen at least once and no early return can leave a status stale.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile


class Level(IntEnum):
    """`DiagnosticStatus` levels."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass
class _Subject:
    level: Level = Level.OK
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    event_level: Level = Level.OK
    event_message: str = ""
    events: int = 0


class DiagnosticsPublisher:
    """Collects and sends. Thread-safe: workers report as callbacks do."""

    def __init__(self, node: Node, period_s: float, refresh: Callable[[], None] | None = None) -> None:
        """Start the timer.

        Args:
            node: whose health this is.
            period_s: seconds between two reports.
            refresh: called before every report, to bring states up to date (time-outs, rates).
        """
        self._node = node
        self._refresh = refresh
        self._subjects: dict[str, _Subject] = {}
        self._lock = threading.Lock()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
        # The steady clock: with a silent /clock a timer on the node's clock would never fire.
        self._timer = node.create_timer(period_s, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def set(self, subject: str, level: Level, message: str, **values: Any) -> None:
        """State of a subject from now on; `values` replace those of the same name."""
        with self._lock:
            entry = self._subjects.setdefault(subject, _Subject())
            entry.level, entry.message = level, message
            entry.values.update(values)

    def event(self, subject: str, level: Level, message: str) -> None:
        """Something that happened: shown in the next report, whatever the state; the worst and latest one wins."""
        with self._lock:
            entry = self._subjects.setdefault(subject, _Subject())
            entry.events += 1
            if level >= entry.event_level:
                entry.event_level, entry.event_message = level, message

    def count(self, subject: str, counter: str, by: int = 1) -> int:
        """Add to a counter that every report shows; returns its new value."""
        with self._lock:
            counters = self._subjects.setdefault(subject, _Subject()).counters
            counters[counter] = counters.get(counter, 0) + by
            return counters[counter]

    def clear(self, subject: str) -> None:
        """Forget a subject: it is not reported any more."""
        with self._lock:
            self._subjects.pop(subject, None)

    def report(self) -> dict[str, tuple[Level, str, dict[str, str]]]:
        """Level, message and values by subject, as the next message will show them. Takes no events away."""
        with self._lock:
            return {name: _shown(entry) for name, entry in self._subjects.items()}

    def publish(self) -> None:
        """Send one report and start collecting events anew."""
        if self._refresh is not None:
            try:
                self._refresh()
            except Exception as error:
                self.event("node", Level.ERROR, f"diagnostics failed: {type(error).__name__}: {error}")
        with self._lock:
            statuses = [self._status(name, *_shown(entry)) for name, entry in self._subjects.items()]
            for entry in self._subjects.values():
                entry.event_level, entry.event_message, entry.events = Level.OK, "", 0
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def stop(self) -> None:
        """Stop the timer (before the node is destroyed)."""
        self._timer.cancel()

    def _status(self, name: str, level: Level, message: str, values: dict[str, str]) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=bytes([level]),
            name=f"{self._node.get_name()}: {name}",
            message=message,
            hardware_id=self._node.get_fully_qualified_name(),
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def _shown(entry: _Subject) -> tuple[Level, str, dict[str, str]]:
    values = {key: _text(value) for key, value in {**entry.values, **entry.counters}.items()}
    if entry.events and entry.event_level >= entry.level:
        more = f" ({entry.events} times)" if entry.events > 1 else ""
        return entry.event_level, entry.event_message + more, values
    return entry.level, entry.message, values


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
