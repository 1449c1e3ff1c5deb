"""Node `planner`: raw candidates in; checked and ordered paths out. The rules are in `distilldrive_ros.planning`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry, Path
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

import distilldrive_ros.msg as msg
from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.nodes.compat import message_filters
from distilldrive_ros.nodes.conversions import (
    candidates_from_message,
    objects_from_message,
    plan_to_message,
    vector_map_from_message,
)
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.planner import TABLE
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.clock_watch import ClockWatch
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs, gone_on_failure
from distilldrive_ros.nodes.running.listener_gate import ListenerGate
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.planning.hazards import HazardLimits, find_hazards
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.planning.speed_history import SpeedHistory
from distilldrive_ros.scene.candidates import InvalidReason, PlanCandidates, TrajectoryCandidates

SOURCE = "perception_planning"
QUEUE = 10
TICK_S = 0.02


class PlannerNode(Node):
    """Publishes `~/paths` for every set of candidates, `~/path` and `~/candidate_<k>` for the valid ones."""

    def __init__(self, **node_arguments: Any) -> None:
        """Make the node; `node_arguments` go to `rclpy.node.Node`.

        Raises:
            ConfigurationError: a parameter is wrong.
        """
        super().__init__("planner", **node_arguments)
        with gone_on_failure(self):
            self._set_up()

    def _set_up(self) -> None:
        self._server = ParameterServer(self, TABLE)
        settings = self._server.current
        self._speeds = SpeedHistory()
        self._waiting: list[tuple[float, msg.TrajectoryCandidates]] = []
        self._planned: msg.TrajectoryCandidates | None = None
        self._newest_ns = 0
        self._plans = 0
        self._last_plan = self._started = time.monotonic()
        self._verdict = (Level.WARN, "no candidates received yet")
        self._diagnostics = DiagnosticsPublisher(self, settings.diagnostics_period_s, self._refresh)
        self._guard = CallbackGuard(self, self._diagnostics)
        self._inputs = GuardedInputs(self, self._diagnostics, self._guard)
        self._clock_watch = ClockWatch(self, self._diagnostics, settings.clock_timeout_s)
        self._path = self.create_publisher(Path, "~/path", qos.reliable(5))
        self._paths = self.create_publisher(msg.PathCandidates, "~/paths", qos.reliable(5))
        self._single = [self.create_publisher(Path, f"~/candidate_{k}", qos.reliable(5)) for k in range(settings.top_k)]
        outputs = {"path": self._path, "paths": self._paths}
        self._gate = ListenerGate(self, settings.await_subscribers, outputs, self._listen)
        self.create_timer(
            TICK_S, self._guard.wrap("plan", self._on_tick), clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def close(self) -> None:
        """Stop the timers."""
        self._diagnostics.stop()
        self._clock_watch.stop()

    def _listen(self) -> None:
        self._match_inputs()
        odometry = qos.sensor(self._server.current.odometry_reliability, 50)
        self._inputs.listen(Odometry, "odometry", self._on_odometry, odometry)

    def _match_inputs(self) -> None:
        """Candidates with the road users and the map of the same stamp; candidates alone where there are none."""
        candidates, objects, vector_map = (
            self._inputs.matched(kind, f"{SOURCE}/{name}", qos.reliable(5))
            for name, kind in (
                ("candidates", msg.TrajectoryCandidates),
                ("objects", msg.ObjectPredictions),
                ("map", msg.VectorMap),
            )
        )
        self._matcher = message_filters.TimeSynchronizer([candidates, objects, vector_map], QUEUE)
        self._matcher.registerCallback(self._guard.wrap("plan", self._on_match))
        # After the matcher: a match that this message completes comes first.
        candidates.registerCallback(self._guard.wrap("plan", self._on_candidates))

    def _on_match(
        self, candidates: msg.TrajectoryCandidates, objects: msg.ObjectPredictions, vector_map: msg.VectorMap
    ) -> None:
        self._waiting = [entry for entry in self._waiting if entry[1] is not candidates]
        self._diagnostics.count("plan", "matched")
        self._plan(candidates, objects, vector_map)

    def _on_candidates(self, message: msg.TrajectoryCandidates) -> None:
        stamp = stamp_ns(message.header.stamp)
        if stamp < self._newest_ns:
            self._forget_after(stamp)
        self._newest_ns = stamp
        if message is self._planned:
            return
        companions = [f"{SOURCE}/objects", f"{SOURCE}/map"]
        if all(self.count_publishers(self.resolve_topic_name(topic)) for topic in companions):
            deadline = time.monotonic() + self._server.current.match_timeout_ms * 1e-3
            self._waiting.append((deadline, message))
        else:
            self._plan(message)

    def _on_odometry(self, message: Odometry) -> None:
        self._speeds.add(stamp_ns(message.header.stamp), message.twist.twist.linear.x)

    def _on_tick(self) -> None:
        now = time.monotonic()
        due = [message for deadline, message in self._waiting if deadline <= now]
        self._waiting = [entry for entry in self._waiting if entry[0] > now]
        for message in due:
            self._diagnostics.count("plan", "unmatched")
            self._plan(message)

    def _forget_after(self, stamp: int) -> None:
        """Time went back: what waits of the time after it would push the new messages out of the queues."""
        for queue in self._matcher.queues:
            for later in [t for t in queue if t > stamp]:
                del queue[later]

    def _plan(
        self,
        message: msg.TrajectoryCandidates,
        objects: msg.ObjectPredictions | None = None,
        vector_map: msg.VectorMap | None = None,
    ) -> None:
        self._planned = message
        settings = self._server.current
        candidates = candidates_from_message(message)
        tolerance_ns = round(settings.odometry_tolerance_ms * 1e6)
        speed = self._speeds.at(candidates.stamp_ns, tolerance_ns)
        if speed is None:
            self._diagnostics.event(
                "odometry", Level.WARN, f"no odometry within {settings.odometry_tolerance_ms:.0f} ms of the set"
            )
        limits = PlanningLimits(
            max_speed=settings.max_speed,
            max_acceleration=settings.max_acceleration,
            max_lateral_acceleration=settings.max_lateral_acceleration,
            max_start_jump=settings.max_start_jump,
        )
        hazards = self._hazards(candidates, objects, vector_map)
        self._publish(plan(candidates, limits, speed, hazards))

    def _hazards(
        self,
        candidates: TrajectoryCandidates,
        objects: msg.ObjectPredictions | None,
        vector_map: msg.VectorMap | None,
    ) -> NDArray[np.uint16] | None:
        """Bits of the candidates that meet something, None where nobody asked or nothing is known."""
        settings = self._server.current
        if not (settings.check_collisions or settings.check_boundaries):
            return None
        if objects is None or vector_map is None:
            self._diagnostics.event("hazards", Level.WARN, "a plan was made without objects and map of its stamp")
            return None
        limits = HazardLimits(
            check_collisions=settings.check_collisions,
            check_boundaries=settings.check_boundaries,
            min_object_score=settings.min_object_score,
            min_boundary_score=settings.min_boundary_score,
            ego_length=settings.ego_length,
            ego_width=settings.ego_width,
            ego_ahead=settings.ego_ahead,
        )
        self._diagnostics.set("hazards", Level.OK, "candidates are checked against objects and map")
        return find_hazards(candidates, objects_from_message(objects), vector_map_from_message(vector_map), limits)

    def _publish(self, result: PlanCandidates) -> None:
        message = plan_to_message(result)
        self._paths.publish(message)
        if result.selected >= 0:
            self._path.publish(message.paths[result.selected])
        valid = [path for path, reasons in zip(message.paths, result.invalid_reasons, strict=True) if not reasons]
        for publisher, path in zip(self._single, valid, strict=False):
            if publisher.get_subscription_count():
                publisher.publish(path)
        self._plans += 1
        self._last_plan = time.monotonic()
        self._verdict = _verdict(result)
        if self._verdict[0] != Level.OK:
            self._diagnostics.event("plan", *self._verdict)

    def _refresh(self) -> None:
        self._clock_watch.refresh()
        timeout = self._server.current.plan_timeout_s
        silent = time.monotonic() - self._last_plan
        level, text = self._verdict
        if silent > timeout:
            level = Level.STALE
            text = f"no candidates for {silent:.1f} s (limit {timeout:.1f} s)" if self._plans else text
        self._diagnostics.set("plan", level, text, plans=self._plans)
        self._diagnostics.set("odometry", Level.OK, "speed at the set's stamp is known")


def _verdict(result: PlanCandidates) -> tuple[Level, str]:
    total = len(result.candidates)
    if result.best is not None:
        valid = sum(not reasons for reasons in result.invalid_reasons)
        return Level.OK, f"mode {result.best.mode} selected, {valid} of {total} candidates are valid"
    if total == 0:
        return Level.ERROR, f"no candidate of the command {result.active_command.name.lower()}: no path is published"
    union = InvalidReason.VALID
    for reasons in result.invalid_reasons:
        union |= reasons
    names = ", ".join(r.name.lower() for r in InvalidReason if r and r in union and r.name)
    return Level.ERROR, f"none of {total} candidates is valid ({names}): no path is published"


def main(argv: Sequence[str] | None = None) -> int:
    """Program `planner`."""
    return run_node(PlannerNode, argv)


if __name__ == "__main__":
    sys.exit(main())
