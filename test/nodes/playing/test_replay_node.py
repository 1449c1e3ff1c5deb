"""`replay` over real DDS: the recorded bytes arrive whole, in order, with /clock; bad bags are refused."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("distilldrive_ros.msg")

from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from distilldrive_ros.bags.qos import LATCHED_QOS, TopicQos  # noqa: E402
from distilldrive_ros.bags.typestore import message_types  # noqa: E402
from distilldrive_ros.bags.writer import BagWriter  # noqa: E402
from distilldrive_ros.msg import DrivingCommand, PathCandidates  # noqa: E402
from distilldrive_ros.nodes.playing.replay_node import ReplayNode  # noqa: E402
from distilldrive_ros.scene.errors import BagError, ConfigurationError  # noqa: E402

START_NS = 1_532_402_927_000_000_000
STEP_NS = 20_000_000
COUNT = 25
SpunNodes = import_module("test.nodes.spun_nodes").SpunNodes
DEADLINE_S = 30.0


def command_cdr(index: int) -> bytes:
    """A serialised DrivingCommand of the given step."""
    types = message_types().types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(START_NS + index * STEP_NS, 1_000_000_000))
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="base_link")
    message = types["distilldrive_ros/msg/DrivingCommand"](header=header, command=index % 3)
    return bytes(message_types().serialize_cdr(message, "distilldrive_ros/msg/DrivingCommand"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second: commands every 20 ms, /tf_static at the beginning, a topic without messages."""
    types = message_types().types
    path = tmp_path_factory.mktemp("bags") / "short"
    with BagWriter(path) as writer:
        writer.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", LATCHED_QOS)
        writer.add_topic("/command", "distilldrive_ros/msg/DrivingCommand", TopicQos(depth=100))
        writer.add_topic("/other", "distilldrive_ros/msg/DrivingCommand", TopicQos(depth=100))
        writer.add_topic("/silent", "std_msgs/msg/Empty")
        writer.write("/tf_static", types["tf2_msgs/msg/TFMessage"](transforms=[]), START_NS)
        for index in range(COUNT):
            for topic in ("/command", "/other"):
                writer.write(topic, command_cdr(index), START_NS + index * STEP_NS)
    return path


class Graph(SpunNodes):
    """A listener and any number of replay nodes in one context, spun together."""

    def replay(self, start: bool = True, **parameters: Any) -> ReplayNode:
        """A replay node with these parameters."""
        return self.add(partial(ReplayNode, start=start), **parameters)

    def collect(
        self, topic: str, kind: Any = DrivingCommand, qos: QoSProfile | None = None, raw: bool = True
    ) -> list[Any]:
        """List that fills with the messages of a topic."""
        received: list[Any] = []
        self.listener.create_subscription(kind, topic, received.append, qos or QoSProfile(depth=1000), raw=raw)
        return received


@pytest.fixture
def graph(ros_context: Any) -> Iterator[Graph]:
    """A graph of this test's own."""
    made = Graph(ros_context, DEADLINE_S)
    yield made
    made.close()


def test_bytes_arrive_whole_in_order_with_a_clock_before_each(graph: Graph, bag: Path) -> None:
    clock = graph.collect("/clock", Clock, raw=False)
    commands, other = graph.collect("/command"), graph.collect("/other")
    node = graph.replay(bag=str(bag), wait_for_subscribers=["/command", "/other", "/clock"])
    graph.spin_until(lambda: node.finished.done() and len(commands) >= COUNT and len(other) >= COUNT)
    assert [bytes(m) for m in commands] == [command_cdr(i) for i in range(COUNT)]
    assert commands == other
    times = [m.clock.sec * 10**9 + m.clock.nanosec for m in clock]
    assert times == sorted(times) and times[0] >= START_NS and times[-1] <= START_NS + COUNT * STEP_NS
    assert {START_NS + i * STEP_NS for i in range(COUNT)} <= set(times), "one at each message's stamp"
    assert len(times) > COUNT, "and between them"
    result = node.finished.result()
    assert result is not None and result.error is None and result.passes == 1
    assert result.messages["/command"] == COUNT


def test_plays_no_faster_than_its_rate(graph: Graph, bag: Path) -> None:
    commands = graph.collect("/command")
    node = graph.replay(start=False, bag=str(bag), rate=2.0, wait_for_subscribers=["/command"])
    begin = time.monotonic()
    node.start()
    graph.spin_until(lambda: node.finished.done() and len(commands) >= COUNT)
    assert time.monotonic() - begin >= (COUNT - 1) * STEP_NS / 2e9


def test_type_that_is_not_installed_has_no_class() -> None:
    from distilldrive_ros.bags.reader import TopicInfo
    from distilldrive_ros.nodes.playing.sources import message_class

    assert message_class(TopicInfo("/x", "no_such_package/msg/Thing", TopicQos(), 1, "", "")) is None
    assert message_class(TopicInfo("/x", "std_msgs/msg/NoSuchMessage", TopicQos(), 1, "", "")) is None
    assert message_class(TopicInfo("/x", "nonsense", TopicQos(), 1, "", "")) is None


def test_own_type_of_another_definition_is_refused() -> None:
    from distilldrive_ros.bags.reader import TopicInfo
    from distilldrive_ros.nodes.playing.sources import message_class

    info = TopicInfo("/c", "distilldrive_ros/msg/DrivingCommand", TopicQos(), 1, "", "RIHS01_" + "0" * 64)
    with pytest.raises(BagError, match="another definition"):
        message_class(info)


def test_late_subscriber_gets_the_latched_topic(graph: Graph, bag: Path) -> None:
    node = graph.replay(bag=str(bag), rate=0.0, exit_at_end=False, start_offset=0.3)
    graph.spin_until(lambda: node.finished.done())
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    received = graph.collect("/tf_static", TFMessage, latched, raw=False)
    graph.spin_until(lambda: len(received) > 0)


def test_start_offset_and_duration_cut_a_piece_out(graph: Graph, bag: Path) -> None:
    commands = graph.collect("/command")
    node = graph.replay(bag=str(bag), start_offset=0.1, duration=0.2, wait_for_subscribers=["/command"])
    graph.spin_until(lambda: node.finished.done() and len(commands) >= 11)
    assert [bytes(m) for m in commands] == [command_cdr(i) for i in range(5, 16)]


def test_topics_are_filtered(graph: Graph, bag: Path) -> None:
    node = graph.replay(bag=str(bag), rate=0.0, topics=["/command", "/other"], exclude_topics=["/other"])
    graph.spin_until(lambda: node.finished.done())
    assert dict(node.result.messages) == {"/command": COUNT}


def test_loop_plays_again_and_the_clock_jumps_back(graph: Graph, bag: Path) -> None:
    clock = graph.collect("/clock", Clock, raw=False)
    commands = graph.collect("/command")
    node = graph.replay(bag=str(bag), loop=True, rate=4.0, wait_for_subscribers=["/command", "/clock"])
    graph.spin_until(lambda: len(commands) >= 2 * COUNT + 1)
    assert not node.finished.done()
    node.stop()
    assert [bytes(m) for m in commands[COUNT : 2 * COUNT]] == [command_cdr(i) for i in range(COUNT)]
    times = [m.clock.sec * 10**9 + m.clock.nanosec for m in clock]
    backward = [b - a for a, b in itertools.pairwise(times) if b < a]
    assert len(backward) >= 2 and max(backward) < -(COUNT - 2) * STEP_NS


def test_waits_for_a_subscriber_so_that_nothing_is_lost(graph: Graph, bag: Path) -> None:
    node = graph.replay(bag=str(bag), rate=10.0, wait_for_subscribers=["/command", "/made_by/another_node"])
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        graph.executor.spin_once(timeout_sec=0.02)
    assert not node.result.messages, "nobody listens yet"
    commands = graph.collect("/command")
    graph.collect("/made_by/another_node")
    graph.spin_until(lambda: len(commands) >= COUNT)
    assert len(commands) == COUNT


def test_plays_without_subscribers_after_the_time_out(graph: Graph, bag: Path) -> None:
    node = graph.replay(bag=str(bag), rate=0.0, min_subscribers=99, wait_timeout=0.1)
    graph.spin_until(lambda: node.finished.done())
    assert node.result.messages["/command"] == COUNT


def test_lock_step_sends_the_next_anchor_after_the_plan(graph: Graph, bag: Path) -> None:
    """With a planner that answers every anchor, as many anchors are out as plans were given, plus one."""
    answered = 0
    ahead: list[int] = []
    plans = graph.listener.create_publisher(PathCandidates, "/planner/paths", 10)

    def answer(message: DrivingCommand) -> None:
        nonlocal answered
        ahead.append(node.result.messages["/command"] - answered)
        answered += 1
        plans.publish(PathCandidates(header=message.header))

    graph.listener.create_subscription(DrivingCommand, "/command", answer, QoSProfile(depth=1000))
    node = graph.replay(
        start=False, bag=str(bag), rate=0.0, topics=["/command"], ack_topic="/planner/paths",
        ack_anchor_topic="/command", wait_for_subscribers=["/command"], ack_timeout=20.0,
    )  # fmt: skip
    graph.spin_until(lambda: plans.get_subscription_count() > 0)
    node.start()
    graph.spin_until(lambda: node.finished.done())
    assert answered == COUNT and max(ahead) <= 1
    assert node.result.missed_acks == 0


def test_lock_step_goes_on_without_a_plan_and_counts_it(graph: Graph, bag: Path) -> None:
    node = graph.replay(
        bag=str(bag), rate=0.0, topics=["/command"], ack_topic="/planner/paths", ack_anchor_topic="/command",
        ack_timeout=0.001,
    )  # fmt: skip
    graph.spin_until(lambda: node.finished.done())
    assert node.result.missed_acks == COUNT and node.result.messages["/command"] == COUNT


@pytest.fixture
def truncated(bag: Path, tmp_path: Path) -> Path:
    """The bag with the end of its file cut off."""
    target = tmp_path / "cut"
    target.mkdir()
    for file in bag.iterdir():
        content = file.read_bytes()
        (target / file.name).write_bytes(content[: len(content) * 6 // 10] if file.suffix == ".mcap" else content)
    return target


def test_truncated_bag_is_refused_or_played_as_far_as_it_goes(graph: Graph, truncated: Path) -> None:
    with pytest.raises(BagError, match="damaged"):
        graph.replay(bag=str(truncated))
    node = graph.replay(bag=str(truncated), rate=0.0, allow_truncated=True)
    graph.spin_until(lambda: node.finished.done())
    result = node.finished.result()
    assert result is not None and result.error is None
    assert 0 < sum(result.messages.values()) <= 2 * COUNT + 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "parameter 'bag' of node replay is empty"),
        ({"bag": "/no/such/bag"}, "no bag at /no/such/bag"),
        ({"rate": -1.0}, "range 0 to 1000"),
        ({"topics": ["/comand"]}, "no topic /comand; it has: /command"),
        ({"start_offset": 60.0}, "behind the end"),
        ({"ack_topic": "/planner/paths"}, "/lidar/points is not played"),
        ({"exclude_topics": ["/command", "/other", "/tf_static", "/silent"]}, "no topic is left"),
        ({"tempo": 2.0}, "no parameter 'tempo'"),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_wrong_parameters_are_one_clear_error(graph: Graph, bag: Path, parameters: dict[str, Any], words: str) -> None:
    given = parameters if not parameters or "bag" in parameters else {"bag": str(bag), **parameters}
    with pytest.raises((ConfigurationError, BagError)) as caught:
        graph.replay(**given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program `replay` in its own process."""
    return subprocess.run(
        [sys.executable, "-m", "distilldrive_ros.nodes.playing.replay_node", "--ros-args", *arguments],
        capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False,
    )  # fmt: skip


def test_program_ends_with_zero_after_the_last_message(bag: Path, ros_domain: int) -> None:
    ended = run_program("-p", f"bag:={bag}", "-p", "rate:=0.0")
    assert ended.returncode == 0, ended.stderr
    assert f"/command {COUNT}" in ended.stderr and "Traceback" not in ended.stderr


def test_program_refuses_a_bad_bag_in_one_line(truncated: Path, ros_domain: int) -> None:
    ended = run_program("-p", f"bag:={truncated}")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1


def test_program_ends_with_zero_on_a_signal(bag: Path, graph: Graph) -> None:
    commands = graph.collect("/command")
    program = subprocess.Popen(
        [sys.executable, "-m", "distilldrive_ros.nodes.playing.replay_node", "--ros-args", "-p", f"bag:={bag}", "-p",
         "loop:=true"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        graph.spin_until(lambda: len(commands) > COUNT)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=DEADLINE_S)
    finally:
        program.kill()
    assert program.returncode == 0, errors
    assert "Traceback" not in errors
