"""Watches the node's clock from the steady one: a silent `/clock` freezes every node-clock timer without a word."""

from __future__ import annotations

import time

from rclpy.clock import ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level

SUBJECT = "clock"
SILENT = "use_sim_time is set, and /clock is silent"
REMEDY = "start the replay or simulator, or set use_sim_time to false"


class ClockWatch:
    """Says when `use_sim_time` is set and `/clock` is silent, and when time jumps backward.

    A jump is only reported. What it does is decided by the stamps of the sets, which are in step with the messages:
    when /clock jumps, the last set of the time before is often still on its way, and the first of the new time may be
    here already.
    """

    def __init__(self, node: Node, diagnostics: DiagnosticsPublisher, timeout_s: float) -> None:
        """Register the jump callback.

        Args:
            node: whose clock is watched.
            diagnostics: where the state goes; call `refresh` before each report.
            timeout_s: steady seconds without progress of the simulated clock that count as silence.
        """
        self._node = node
        self._diagnostics = diagnostics
        self._timeout_s = timeout_s
        self._last_ns = node.get_clock().now().nanoseconds
        self._progress_at = time.monotonic()
        self._said = False
        self._heard = False
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-0.05), on_clock_change=False)
        self._handle = node.get_clock().create_jump_callback(threshold, post_callback=self._jumped)

    def refresh(self) -> None:
        """Bring the status up to date."""
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns != self._last_ns or not self._simulated():
            self._heard = self._heard or now_ns != self._last_ns
            self._last_ns, self._progress_at, self._said = now_ns, time.monotonic(), False
        silent_s = time.monotonic() - self._progress_at
        if silent_s < self._timeout_s:
            self._diagnostics.set(SUBJECT, Level.OK, "simulated time" if self._simulated() else "system time")
        elif self._heard:
            self._diagnostics.set(SUBJECT, Level.WARN, f"{SILENT}: the replay or simulator has paused or ended")
        else:
            self._diagnostics.set(SUBJECT, Level.ERROR, f"{SILENT}; {REMEDY}")
            self._say_once(silent_s)

    def _say_once(self, silent_s: float) -> None:
        if not self._said:
            self._said = True
            self._node.get_logger().error(f"{SILENT} (for {silent_s:.1f} s); {REMEDY}")

    def stop(self) -> None:
        """Take the jump callback away."""
        self._handle.unregister()

    def _simulated(self) -> bool:
        clock = self._node.get_clock()
        return clock.clock_type == ClockType.ROS_TIME and bool(getattr(clock, "ros_time_is_active", False))

    def _jumped(self, jump: TimeJump) -> None:
        seconds = jump.delta.nanoseconds * 1e-9
        self._diagnostics.event(SUBJECT, Level.WARN, f"time jumped by {seconds:+.3f} s")
        self._diagnostics.count(SUBJECT, "backward_jumps")
        self._node.get_logger().info(f"time jumped by {seconds:+.3f} s; the next set of the new time has no history")
