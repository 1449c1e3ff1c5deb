"""The recorder against real publishers: what it hears is in the bag, and never half of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2

from distilldrive_ros import msg
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.nodes.results.recorder_node import CANDIDATES, PLANS, RecorderNode
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.scene.errors import BagError, ConfigurationError

DEADLINE_S = 30.0
STAMP_NS = 1_700_000_000_123_456_789


def wait_until(condition: Callable[[], Any], spin: Callable[[], None], what: str) -> None:
    """Spin until a condition holds; fail after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        spin()


def stamped(message: Any, stamp_ns: int) -> Any:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


class Graph:
    """A publisher of plans beside a recorder, both in this process."""

    def __init__(self, context: Any, **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.closed = False
        self.recorder = RecorderNode(context=context, parameter_overrides=overrides)
        self.talker = Node("talker", context=context)
        self.plans = self.talker.create_publisher(msg.PathCandidates, PLANS, qos.reliable(50))
        self.candidates = self.talker.create_publisher(msg.TrajectoryCandidates, CANDIDATES, qos.reliable(50))
        self.lidar = self.talker.create_publisher(PointCloud2, "lidar/points", qos.reliable(5))
        self.health = self.talker.create_publisher(DiagnosticArray, "/diagnostics", qos.reliable(10))
        self.executor = SingleThreadedExecutor(context=context)
        for node in (self.recorder, self.talker):
            self.executor.add_node(node)
        publishers = (self.plans, self.candidates, self.lidar, self.health)
        wait_until(lambda: all(p.get_subscription_count() for p in publishers), self.spin, "recorder listens")

    def spin(self) -> None:
        self.executor.spin_once(timeout_sec=0.05)

    def heard(self, topic: str, count: int) -> None:
        wait_until(lambda: self.recorder.counts[topic] >= count, self.spin, f"{count} messages of {topic}")

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.recorder.close()
        self.executor.shutdown()
        for node in (self.recorder, self.talker):
            node.destroy_node()


@pytest.fixture
def graph(ros_context: object) -> Iterator[Callable[..., Graph]]:
    made: list[Graph] = []

    def make(**parameters: Any) -> Graph:
        made.append(Graph(ros_context, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_single_file_holds_the_messages_at_their_stamps(graph: Callable[..., Graph], tmp_path: Path) -> None:
    output = tmp_path / "new" / "plans.mcap"
    run = graph(output=str(output))
    sent = []
    for i in range(3):
        plan = stamped(msg.PathCandidates(model_id=f"test@{i}", selected=-1), STAMP_NS + i)
        sent.append(plan)
        run.plans.publish(plan)
    run.heard(PLANS, 3)
    assert not output.exists()  # nothing half-written is ever seen
    run.close()
    assert [p.name for p in output.parent.iterdir()] == ["plans.mcap"]
    with open_bag(output) as bag:
        found = list(bag.messages(topics=["/planner/paths"]))
        assert [m.stamp_ns for m in found] == [STAMP_NS + i for i in range(3)]
        assert [deserialize_message(bytes(m.cdr), msg.PathCandidates) for m in found] == sent
        message: Any = bag.deserialize(found[2])
        assert message.model_id == "test@2"


def test_folder_is_a_complete_bag(graph: Callable[..., Graph], tmp_path: Path) -> None:
    run = graph(output=str(tmp_path / "plans"))
    run.plans.publish(stamped(msg.PathCandidates(), STAMP_NS))
    run.heard(PLANS, 1)
    run.close()
    assert (tmp_path / "plans" / "metadata.yaml").is_file()
    with open_bag(tmp_path / "plans") as bag:
        assert bag.topics["/planner/paths"].count == 1


def test_ages_and_health_are_kept_beside_the_plans(graph: Callable[..., Graph], tmp_path: Path) -> None:
    run = graph(output=str(tmp_path / "plans.mcap"))
    run.lidar.publish(stamped(PointCloud2(), STAMP_NS))
    wait_until(lambda: STAMP_NS in run.recorder._ages._anchors, run.spin, "the anchor")
    run.candidates.publish(stamped(msg.TrajectoryCandidates(), STAMP_NS))
    run.heard(CANDIDATES, 1)
    run.plans.publish(stamped(msg.PathCandidates(), STAMP_NS))
    run.heard(PLANS, 1)
    before = run.recorder.counts["/diagnostics"]
    run.health.publish(DiagnosticArray(status=[DiagnosticStatus(name="planner: plan", message="fine")]))
    run.heard("/diagnostics", before + 1)
    run.close()
    with open_bag(tmp_path / "plans.mcap") as bag:
        (recorded,) = bag.messages(topics=["/recorder/ages"])
        ages: Any = bag.deserialize(recorded)
        assert recorded.stamp_ns == STAMP_NS
        assert list(ages.stages) == ["sensor_to_plan", "sensor_to_candidates", "candidates_to_plan"]
        total, first, second = ages.stage_seconds
        assert total == pytest.approx(first + second, abs=1e-6) and 0 < total < DEADLINE_S
        # Health has stamps of another clock; it is filed at the newest plan's.
        assert {m.stamp_ns for m in bag.messages(topics=["/diagnostics"])} == {STAMP_NS}


def test_it_ends_after_the_wanted_number_of_plans(graph: Callable[..., Graph], tmp_path: Path) -> None:
    run = graph(output=str(tmp_path / "plans.mcap"), max_plans=2)
    context = run.recorder.context
    run.plans.publish(stamped(msg.PathCandidates(), STAMP_NS))
    run.heard(PLANS, 1)
    assert context.ok()
    run.plans.publish(stamped(msg.PathCandidates(), STAMP_NS + 1))
    run.heard(PLANS, 2)
    wait_until(lambda: not context.ok(), lambda: run.spin() if context.ok() else None, "end of the program")
    run.recorder.close()
    with open_bag(tmp_path / "plans.mcap") as bag:
        assert bag.topics["/planner/paths"].count == 2


def test_it_ends_after_silence_but_not_before_the_first_plan(graph: Callable[..., Graph], tmp_path: Path) -> None:
    run = graph(output=str(tmp_path / "plans.mcap"), idle_timeout=0.3)
    context = run.recorder.context
    silence = time.monotonic() + 0.6
    wait_until(lambda: time.monotonic() > silence, run.spin, "a while")
    assert context.ok()
    run.plans.publish(stamped(msg.PathCandidates(), STAMP_NS))
    wait_until(lambda: not context.ok(), lambda: run.spin() if context.ok() else None, "end of the program")
    assert run.recorder.counts[PLANS] == 1


def test_existing_output_is_refused_unless_overwrite(
    graph: Callable[..., Graph], ros_context: object, tmp_path: Path
) -> None:
    output = tmp_path / "plans.mcap"
    output.write_bytes(b"precious")
    with pytest.raises(BagError, match=r"plans\.mcap exists already; remove it"):
        RecorderNode(context=ros_context, parameter_overrides=[Parameter("output", value=str(output))])
    assert output.read_bytes() == b"precious" and [p.name for p in tmp_path.iterdir()] == ["plans.mcap"]
    run = graph(output=str(output), overwrite=True)
    run.plans.publish(stamped(msg.PathCandidates(), STAMP_NS))
    run.heard(PLANS, 1)
    assert output.read_bytes() == b"precious"
    run.close()
    with open_bag(output) as bag:
        assert bag.topics["/planner/paths"].count == 1


def test_output_must_be_named_and_possible(ros_context: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="parameter 'output' of node recorder is empty"):
        RecorderNode(context=ros_context)
    (tmp_path / "file").touch()
    overrides = [Parameter("output", value=str(tmp_path / "file" / "plans.mcap"))]
    with pytest.raises(BagError, match="cannot write"):
        RecorderNode(context=ros_context, parameter_overrides=overrides)


class _Process:
    """The recorder as a program of its own."""

    def __init__(self, output: Path, log: Path) -> None:
        words = [
            sys.executable,
            "-m",
            "distilldrive_ros.nodes.results.recorder_node",
            "--ros-args",
            "-p",
            f"output:={output}",
        ]
        self.log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(words, stdout=stream, stderr=stream, env=dict(os.environ))

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def talker(ros_context: object) -> Iterator[Any]:
    node = Node("talker", context=ros_context)
    yield node.create_publisher(msg.PathCandidates, PLANS, qos.reliable(50))
    node.destroy_node()


@pytest.mark.parametrize("end_signal", [signal.SIGINT, signal.SIGTERM])
def test_program_completes_its_bag_when_told_to_end(talker: Any, tmp_path: Path, end_signal: signal.Signals) -> None:
    output = tmp_path / "plans.mcap"
    run = _Process(output, tmp_path / "log")
    try:
        wait_until(talker.get_subscription_count, lambda: time.sleep(0.05), "the program listens")
        # Reliable, but not kept for late readers: said again until the program has surely heard it.
        for _ in range(10):
            talker.publish(stamped(msg.PathCandidates(), STAMP_NS))
            time.sleep(0.05)
        assert run.end(end_signal) == 0, run.log.read_text()
    finally:
        run.process.kill()
    with open_bag(output) as bag:
        assert bag.topics["/planner/paths"].count >= 1


def test_killed_program_leaves_no_bag(talker: Any, tmp_path: Path) -> None:
    output = tmp_path / "plans.mcap"
    run = _Process(output, tmp_path / "log")
    try:
        wait_until(talker.get_subscription_count, lambda: time.sleep(0.05), "the program listens")
        talker.publish(stamped(msg.PathCandidates(), STAMP_NS))
    finally:
        run.end(signal.SIGKILL)
    assert not output.exists()


def test_wrong_parameter_is_one_line_and_exit_code_one(ros_domain: int) -> None:
    words = [sys.executable, "-m", "distilldrive_ros.nodes.results.recorder_node", "--ros-args", "-p", "ouput:=x"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, env=dict(os.environ))
    assert ended.returncode == 1
    assert "no parameter 'ouput'; did you mean 'output'?" in ended.stderr
    assert "Traceback" not in ended.stderr
