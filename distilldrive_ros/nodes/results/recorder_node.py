"""Node `recorder`: keeps the graph's results as a bag that plays beside the one they were made from.

Messages are stored as they arrive, never deserialised; their log time is their header's stamp. Beside them goes
`/recorder/ages` (`InferenceStats`): how long after the anchor sensor's message each plan arrived, on the steady clock.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Path as PathMessage
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from distilldrive_ros import msg
from distilldrive_ros.bags.qos import TopicQos
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.nodes.conversions import inference_stats_to_message
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.recorder import TABLE
from distilldrive_ros.nodes.playing.lockstep import header_stamp_ns
from distilldrive_ros.nodes.results.plan_ages import PlanAges
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.scene.errors import BagError, ConfigurationError
from distilldrive_ros.scene.inference_stats import InferenceStats

PLANS = "planner/paths"
CANDIDATES = "perception_planning/candidates"
DIAGNOSTICS = "/diagnostics"
MARKERS = "visualizer/markers"
AGES = "recorder/ages"

RESULTS: dict[str, Any] = {
    PLANS: msg.PathCandidates,
    "planner/path": PathMessage,
    CANDIDATES: msg.TrajectoryCandidates,
    "perception_planning/objects": msg.ObjectPredictions,
    "perception_planning/map": msg.VectorMap,
    "perception_planning/stats": msg.InferenceStats,
}

_DEPTH = 50
_WATCH_PERIOD_S = 0.1
_GRACE_S = 0.5


@dataclass(frozen=True)
class _Recorded:
    """One stored topic: its full name, and whether its messages begin with a header of the sensors' time."""

    topic: str
    stamped: bool


class RecorderNode(Node):
    """Subscribes the results of the graph and writes them; the bag appears, complete, when the node is closed."""

    def __init__(self, **node_arguments: Any) -> None:
        """Open the bag under its temporary name and start listening.

        Raises:
            ConfigurationError: a parameter is wrong, or no output is named.
            BagError: the output exists, or its folder cannot be written to.
        """
        super().__init__("recorder", **node_arguments)
        self.exit_code = 0
        self.counts: Counter[str] = Counter()
        self._resources = ExitStack()
        try:
            self._settings = ParameterServer(self, TABLE).current
            self._setup()
        except BaseException as error:
            self._resources.__exit__(type(error), error, error.__traceback__)
            super().destroy_node()
            raise
        self.get_logger().info(f"records to {self._output}")

    def _setup(self) -> None:
        self._output = self._checked_output()
        self._writer = self._open_writer()
        self._ages = PlanAges()
        self._newest_ns = 0
        self._last_arrival_s = time.monotonic()
        self._diagnostics = DiagnosticsPublisher(self, self._settings.diagnostics_period_s, self._report)
        self._inputs = GuardedInputs(self, self._diagnostics, CallbackGuard(self, self._diagnostics))
        self._listen()
        self._watch = self.create_timer(
            _WATCH_PERIOD_S, self._end_when_done, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _checked_output(self) -> Path:
        if not self._settings.output:
            raise ConfigurationError("parameter 'output' of node recorder is empty; name a bag: -p output:=plans.mcap")
        output = Path(self._settings.output)
        if output.exists() and not self._settings.overwrite:
            raise BagError(f"{output} exists already; remove it, name another, or set overwrite")
        return output

    def _open_writer(self) -> BagWriter:
        if self._output.suffix != ".mcap":
            return self._resources.enter_context(BagWriter(self._output, self._settings.overwrite))
        try:
            self._output.parent.mkdir(parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(prefix=f".{self._output.name}.", dir=self._output.parent)
        except OSError as error:
            raise BagError(f"cannot write {self._output}: {error.strerror}") from error
        self._resources.enter_context(folder)
        # Entered before the writer, so it ends after it: what is moved is the finished file.
        bag = Path(folder.name) / "plans"
        self._resources.push(lambda kind, error, trace: self._move_file(bag) if kind is None else None)
        return self._resources.enter_context(BagWriter(bag))

    def _move_file(self, bag: Path) -> None:
        (file,) = bag.glob("*.mcap")
        file.replace(self._output)

    def _listen(self) -> None:
        # First: where an anchor and its plan are both waiting, the executor takes them in this order.
        if self._settings.anchor_topic:
            self._inputs.listen(
                PointCloud2,
                self._settings.anchor_topic,
                lambda cdr: self._ages.anchor(header_stamp_ns(cdr)),
                qos.sensor(self._settings.anchor_reliability, 5),
                "anchor",
                raw=True,
            )
        for topic, kind in RESULTS.items():
            self._keep(topic, kind, stamped=True)
        self._keep(DIAGNOSTICS, DiagnosticArray, stamped=False)
        if self._settings.markers:
            self._keep(MARKERS, MarkerArray, stamped=False)
        self._ages_topic = self.resolve_topic_name(AGES)
        self._writer.add_topic(self._ages_topic, "distilldrive_ros/msg/InferenceStats")

    def _keep(self, topic: str, kind: Any, stamped: bool) -> None:
        entry = _Recorded(self.resolve_topic_name(topic), stamped)
        self._writer.add_topic(entry.topic, _type_name(kind), TopicQos(depth=_DEPTH))
        self._inputs.listen(kind, topic, self._storing(topic, entry), qos.reliable(_DEPTH), raw=True)

    def _storing(self, topic: str, entry: _Recorded) -> Callable[[bytes], None]:
        def store(cdr: bytes) -> None:
            # What has no stamp of the sensors' time (health, markers) is filed at the newest one known.
            stamp_ns = header_stamp_ns(cdr) if entry.stamped else self._newest_ns
            if stamp_ns <= 0:
                return
            if entry.stamped:
                self._newest_ns = max(self._newest_ns, stamp_ns)
                self._last_arrival_s = time.monotonic()
            if topic == CANDIDATES:
                self._ages.candidates(stamp_ns)
            if topic == PLANS:
                self._store_ages(stamp_ns)
            self._write(entry.topic, cdr, stamp_ns)
            self.counts[topic] += 1

        return store

    def _store_ages(self, stamp_ns: int) -> None:
        ages = self._ages.plan(stamp_ns)
        if ages is None:
            return
        stats = InferenceStats(
            stamp_ns, "base_link", "recorder", "", tuple(ages), tuple(ages.values()), ages["sensor_to_plan"],
            ages["sensor_to_plan"], 0, 0, 0, 0,
        )  # fmt: skip
        self._write(self._ages_topic, serialize_message(inference_stats_to_message(stats)), stamp_ns)

    def _write(self, topic: str, cdr: bytes, stamp_ns: int) -> None:
        try:
            self._writer.write(topic, cdr, stamp_ns)
        except BagError as error:
            # A full disk does not mend itself: what is there is closed and kept from growing holes.
            self.get_logger().error(str(error))
            self.exit_code = 1
            raise

    def _end_when_done(self) -> None:
        plans, idle = self.counts[PLANS], time.monotonic() - self._last_arrival_s
        # The last plan's statistics may still be on their way.
        enough = self._settings.max_plans and plans >= self._settings.max_plans and idle > _GRACE_S
        silent = self._settings.idle_timeout and plans and idle > self._settings.idle_timeout
        if enough or silent:
            self.get_logger().info("has enough plans" if enough else f"heard nothing for {idle:.1f} s")
            self.context.try_shutdown()

    def _report(self) -> None:
        counts = {topic: count for topic, count in self.counts.items() if topic != DIAGNOSTICS}
        self._diagnostics.set("recording", Level.OK, f"{self.counts[PLANS]} plans", **counts)

    def close(self) -> None:
        """Complete the bag and put it in its place; after a failure of the disk, drop it. May be called twice."""
        try:
            if self.exit_code:
                failure = BagError(f"{self._output} could not be completed")
                self._resources.__exit__(type(failure), failure, None)
            else:
                self._resources.close()
        except (BagError, OSError) as error:
            self.exit_code = 1
            self.get_logger().error(f"{self._output} could not be completed: {error}")
        if self.context.ok():  # else its timers are gone already
            self._diagnostics.stop()


def _type_name(kind: Any) -> str:
    """`package/msg/Name` of a message class."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def main(argv: Sequence[str] | None = None) -> int:
    """Program `recorder`: exit code 0 once the bag is complete."""
    return run_node(RecorderNode, argv)


if __name__ == "__main__":
    sys.exit(main())
