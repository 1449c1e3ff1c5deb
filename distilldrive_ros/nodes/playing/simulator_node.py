"""Node `simulator`: a world in closed loop. Sensors, odometry, /tf, /clock and ground truth out, the planner's path in.

The simulation has a thread of its own, which owns world and renderer; the executor only takes plans and parameters.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nav_msgs.msg import Path as PathMessage
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

import distilldrive_ros.msg as msg
from distilldrive_ros.bags.topics import TF, TF_STATIC
from distilldrive_ros.evaluation.closed_loop.result import DriveResult, drive_result, summary
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.nodes.conversions.factory import ROS, type_class
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.simulator import TABLE
from distilldrive_ros.nodes.playing.delivery import await_delivery, wait_for_listeners
from distilldrive_ros.nodes.playing.pacing import ReplayPacer
from distilldrive_ros.nodes.playing.plan_inbox import PlanInbox, Refusal, plan_of_message
from distilldrive_ros.nodes.playing.playing_node import PlayingNode, run_playing_node
from distilldrive_ros.nodes.playing.simulation_messages import SimulationMessages, StampedBytes, simulation_topics
from distilldrive_ros.nodes.playing.sources import CLOCK_TOPIC, qos_profile
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs, gone_on_failure
from distilldrive_ros.nodes.running.listener_gate import parse_awaited
from distilldrive_ros.scene.errors import ConfigurationError, DistillDriveError, WorldError
from distilldrive_ros.worlds.driving.closed_loop import STEP_NS, ClosedLoop, DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import EndReason
from distilldrive_ros.worlds.driving.recorded_worlds import choose_worlds
from distilldrive_ros.worlds.driving.sensor_set import Sensors
from distilldrive_ros.worlds.driving.world_source import GeneratedWorlds, WorldSource
from distilldrive_ros.worlds.rig import nominal_rig
from distilldrive_ros.worlds.session import WorldSession

# Simulated time of the first drive's beginning, and between the end of one and the beginning of the next.
FIRST_START_NS = 10_000_000_000
PAUSE_NS = 2_000_000_000
STILL_PERIOD_S = 1.0
PLANS_TOPIC, PATH_TOPIC = "planner/paths", "planner/path"
_CLOCK_TICK_NS = 10_000_000


@dataclass
class SimulationResult:
    """What was driven. `left_out`: why worlds were not; `error`: why it ended early."""

    drives: list[DriveResult] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    error: DistillDriveError | None = None


class SimulatorNode(PlayingNode[SimulationResult]):
    """Drives through its worlds one after the other. `finished` is a future that holds the `SimulationResult`."""

    def __init__(self, worlds: WorldSource | None = None, start: bool = True, **node_arguments: Any) -> None:
        """Offer the topics.

        Args:
            worlds: what to drive in; None: generated ones, as the parameters say.
            start: begin at once; else `start()` does.
            node_arguments: for `rclpy.node.Node`.

        Raises:
            ConfigurationError: a parameter is wrong.
            DatasetError, WorldError: there are no such worlds.
        """
        super().__init__("simulator", SimulationResult(), **node_arguments)
        with gone_on_failure(self):
            self._set_up(worlds)
        if start:
            self.start()

    def _set_up(self, worlds: WorldSource | None) -> None:
        settings = self._settings = ParameterServer(self, TABLE).current
        if settings.rate == 0 and not settings.lock_step:
            raise ConfigurationError("parameter 'rate' of node simulator: 0 needs lock_step; plans would come too late")
        self._awaited = parse_awaited("wait_for_subscribers", settings.wait_for_subscribers)
        self._set_steps = round(settings.set_period * 1e9 / STEP_NS)
        if abs(self._set_steps * STEP_NS - settings.set_period * 1e9) > 1.0:
            raise ConfigurationError(
                f"parameter 'set_period' of node simulator is {settings.set_period} s; it must be a multiple of 0.1 s"
            )
        self._driving = DrivingSettings(
            settings.follower,
            settings.max_plan_age,
            settings.braking,
            settings.time_limit,
            settings.route_length,
            settings.arrival,
        )
        self._worlds = worlds or choose_worlds(
            lambda: GeneratedWorlds(settings.seed, settings.scenes, settings.kinds, settings.time_limit),
            settings.dataroot, settings.version, settings.scene_names,
            None if settings.scene_names else settings.scenes, settings.kinds,
        )  # fmt: skip
        self._rig = nominal_rig(settings.image_width)
        self._inbox = PlanInbox(self._stop)
        self._pacer = ReplayPacer(settings.rate, self._stop)
        self._now_ns = FIRST_START_NS
        self._clock_ns = FIRST_START_NS
        self._clock_lock = threading.Lock()
        self._drive = "no drive has begun"
        self._diagnostics = DiagnosticsPublisher(self, settings.diagnostics_period_s, self._refresh)
        self._clock_publisher = self.create_publisher(Clock, CLOCK_TOPIC, QoSProfile(depth=10))
        self._offered = {
            topic: self.create_publisher(type_class(kind), _own_name(topic), qos_profile(offer))
            for topic, (kind, offer) in simulation_topics(self._rig).items()
        }
        inputs = GuardedInputs(self, self._diagnostics, CallbackGuard(self, self._diagnostics))
        inputs.listen(PathMessage, PATH_TOPIC, self._on_path, qos.reliable(5), subject="plan")
        inputs.listen(msg.PathCandidates, PLANS_TOPIC, self._on_plans, qos.reliable(5), subject="plan")
        # While time stands still (worlds are built, plans are waited for) the graph must not take the clock for dead.
        self._still = self.create_timer(
            STILL_PERIOD_S, self._repeat_clock, clock=RosClock(clock_type=ClockType.STEADY_TIME)
        )

    def close(self) -> None:
        """End driving and wait for the thread; before the node is destroyed. May be called twice."""
        self._stop.set()
        self._inbox.release()
        if self._thread.is_alive():
            self._thread.join(timeout=30.0)
        if self.context.ok():  # else the timers are gone already
            self._diagnostics.stop()
            self._still.cancel()

    def _failed(self) -> bool:
        return bool(self.result.left_out) or any(d.end is EndReason.ENGINE_FAILED for d in self.result.drives)

    def _exits_at_end(self) -> bool:
        return self._settings.exit_at_end

    def _on_path(self, message: PathMessage) -> None:
        self._inbox.put(plan_of_message(message))

    def _on_plans(self, message: msg.PathCandidates) -> None:
        # Where the planner selected one it also sends the path, which is what is driven.
        if message.selected < 0:
            self._inbox.put(Refusal(stamp_ns(message.header.stamp), "the planner calls no candidate valid"))

    def _play(self) -> None:
        settings = self._settings
        for number in range(len(self._worlds)):
            if self._stop.is_set():
                break
            try:
                session = self._worlds.open(number)
            except WorldError as error:
                self.result.left_out.append(str(error))
                self.get_logger().warning(f"drive {number + 1} of {len(self._worlds)} is left out: {error}")
                continue
            try:
                self._drive_one(session, number)
            finally:
                session.close()
        if self.result.left_out and not self.result.drives:
            raise WorldError(f"no world can be driven in: {self.result.left_out[0]}")
        if settings.output:
            drives = self.result.drives
            document = {
                "summary": summary(drives),
                "drives": [drive.to_json() for drive in drives],
                "left_out": self.result.left_out,
            }
            write_whole(Path(settings.output), json.dumps(document, indent=2) + "\n")
        if self.context.ok():
            await_delivery(list(self._offered.values()), self._stop)

    def _drive_one(self, session: WorldSession, number: int) -> None:
        settings = self._settings
        sensors = Sensors(
            self._rig, self._worlds.renderer(session, self._rig), [c.channel for c in self._rig.cameras], True,
            settings.seed + number, settings.jpeg_quality,
        )  # fmt: skip
        try:
            loop = ClosedLoop(session, self._driving)
            start_ns = self._now_ns - loop.time_ns
            messages = SimulationMessages(session, self._rig, f"{session.name}-{number}", start_ns)
            self._introduce(messages, first=number == 0)
            self.get_logger().info(f"drive {number + 1} of {len(self._worlds)}: {session.name}, {session.description}")
            self._pacer.restart(self._now_ns)
            self._loop(loop, sensors, messages)
        finally:
            sensors.close()
        self._now_ns = messages.stamp_ns(loop.time_ns) + PAUSE_NS
        self._conclude(loop, number)

    def _introduce(self, messages: SimulationMessages, first: bool) -> None:
        """What must be known before the first set: transforms, then calibrations, which need them."""
        self._send([messages.transforms()])
        if first:
            listened = {**self._offered, CLOCK_TOPIC: self._clock_publisher}
            wait_for_listeners(self, listened, self._awaited, 0, self._settings.wait_timeout, self._stop)
        await_delivery([self._offered[TF_STATIC]], self._stop)
        self._send(messages.calibration())
        await_delivery(list(self._offered.values()), self._stop)

    def _loop(self, loop: ClosedLoop, sensors: Sensors, messages: SimulationMessages) -> None:
        """Drive until the end. The first set needs a step before it: cameras open before the sweep."""
        step = 0
        self._send(messages.ego(loop.time_ns, loop.snapshot.ego))
        while not loop.ended:
            self._give_plans(loop, messages)
            loop.advance()
            now_ns = messages.stamp_ns(loop.time_ns)
            if not self._pacer.wait_for(now_ns, self._publish_clock, _CLOCK_TICK_NS):
                loop.stop("the simulator was asked to end")
                break
            if step % self._set_steps == 0 and not loop.ended:
                self._inbox.expect(now_ns)
                self._send(messages.sensors(sensors.take(loop.previous, loop.snapshot), loop.snapshot, loop.command))
                self._await_plan()
            else:
                self._send(messages.ego(loop.time_ns, loop.snapshot.ego))
            self._say(loop)
            step += 1

    def _await_plan(self) -> None:
        """In lock-step, time stands still until the plan is there; else rendering takes none of the world's time."""
        begin = time.monotonic_ns()
        if not self._settings.lock_step:
            behind = begin - self._pacer.due_ns(self._clock_ns)
            if behind > STEP_NS:
                self._diagnostics.count("simulation", "slower_than_real_time_sets")
                self._pacer.hold(behind)
            return
        if not self._inbox.wait(self._settings.plan_timeout):
            self.get_logger().warning(
                f"no plan within {self._settings.plan_timeout:g} s; goes on ({self._inbox.missed} missed)",
                throttle_duration_sec=5.0,
            )
        self._pacer.hold(time.monotonic_ns() - begin)

    def _give_plans(self, loop: ClosedLoop, messages: SimulationMessages) -> None:
        begin_ns = messages.stamp_ns(0)
        for entry in self._inbox.take():
            if entry.stamp_ns < begin_ns + loop.log.snapshots[0].time_ns:
                continue  # of the drive before
            if isinstance(entry, Refusal):
                loop.refuse(entry.cause)
                problem = entry.cause
            else:
                problem = loop.give(entry.since(begin_ns))
            if problem:
                self._diagnostics.event("plan", Level.WARN, f"not driven: {problem}")
                self._diagnostics.count("plan", "not_driven")

    def _send(self, messages: Iterable[StampedBytes]) -> None:
        for topic, stamp, cdr in messages:
            if topic != TF_STATIC:
                self._publish_clock(stamp)
            self._offered[topic].publish(cdr)

    def _publish_clock(self, stamp: int) -> None:
        """Simulated time; it never goes back."""
        with self._clock_lock:
            if stamp > self._clock_ns:
                self._clock_ns = stamp
                self._clock_publisher.publish(Clock(clock=ROS.time(stamp)))

    def _repeat_clock(self) -> None:
        with self._clock_lock:
            self._clock_publisher.publish(Clock(clock=ROS.time(self._clock_ns)))

    def _conclude(self, loop: ClosedLoop, number: int) -> None:
        result = drive_result(loop.log)
        self.result.drives.append(result)
        said = f"drive {number + 1}: {result.sentence}"
        if loop.ended is EndReason.ENGINE_FAILED:
            self._diagnostics.event("simulation", Level.ERROR, said)
            self.get_logger().error(said)
        else:
            self.get_logger().info(said)

    def _say(self, loop: ClosedLoop) -> None:
        """What the next report on /diagnostics shows."""
        ego = loop.snapshot.ego
        self._drive = f"{loop.log.name}: {loop.log.duration_s:.1f} s, {ego.speed:.1f} m/s, " + (
            f"{100 * loop.log.completion:.0f} % of the route"
        )
        if loop.log.braked[-1]:
            self._diagnostics.set("plan", Level.ERROR, "the vehicle brakes: there is no plan that can be driven")
        else:
            self._diagnostics.set("plan", Level.OK, "plans are followed", missed=self._inbox.missed)

    def _refresh(self) -> None:
        if self.result.error is not None:
            self._diagnostics.set("simulation", Level.ERROR, str(self.result.error))
        else:
            self._diagnostics.set("simulation", Level.OK, self._drive, drives=len(self.result.drives))


def _own_name(topic: str) -> str:
    """Transforms are the whole graph's; everything else is in the node's namespace."""
    return topic if topic in (TF, TF_STATIC) else topic.removeprefix("/")


def main(argv: Sequence[str] | None = None) -> int:
    """Program `simulator`: exit code 0 at the end or after a signal, 1 with one line on standard error otherwise."""
    return run_playing_node(lambda: SimulatorNode(start=False), argv)


if __name__ == "__main__":
    sys.exit(main())
