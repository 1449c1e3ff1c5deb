"""Nodes that listen only once somebody listens to them, on real rclpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from distilldrive_ros import msg
from distilldrive_ros.nodes.planning.planner_node import PlannerNode
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.listener_gate import Awaited, parse_awaited
from distilldrive_ros.nodes.sensing.sensor_sync_node import SensorSyncNode
from distilldrive_ros.scene.errors import ConfigurationError

DEADLINE_S = 30.0


@pytest.fixture
def context(ros_domain: int) -> Any:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    yield context
    rclpy.shutdown(context=context)


def awaiting(*words: str) -> list[Parameter]:
    return [Parameter("await_subscribers", value=list(words))]


def spin_until(condition: Callable[[], Any], executor: SingleThreadedExecutor, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        executor.spin_once(timeout_sec=0.05)


def test_a_node_listens_once_all_its_listeners_are_there(context: Any) -> None:
    planner = PlannerNode(context=context, parameter_overrides=awaiting("paths:2"))
    ears = Node("ears", context=context)
    executor = SingleThreadedExecutor(context=context)
    for node in (planner, ears):
        executor.add_node(node)
    candidates = ears.create_publisher(msg.TrajectoryCandidates, "perception_planning/candidates", qos.reliable(5))
    try:
        subscriptions = [ears.create_subscription(msg.PathCandidates, "planner/paths", lambda _: None, qos.reliable(5))]
        paths = next(p for p in planner.publishers if p.topic_name == "/planner/paths")
        spin_until(lambda: paths.get_subscription_count() == 1, executor, "the first listener is matched")
        # The gate has looked at least once more with one listener.
        for _ in range(5):
            executor.spin_once(timeout_sec=0.1)
        assert not [s for s in planner.subscriptions if s.topic_name == "/perception_planning/candidates"]
        subscriptions.append(
            ears.create_subscription(msg.PathCandidates, "planner/paths", lambda _: None, qos.reliable(5))
        )
        spin_until(lambda: candidates.get_subscription_count() == 1, executor, "the planner listens")
        assert [s for s in planner.subscriptions if s.topic_name == "/odometry"]
    finally:
        planner.close()
        executor.shutdown()
        for node in (planner, ears):
            node.destroy_node()


def test_without_awaited_outputs_a_node_listens_at_once(context: Any) -> None:
    sync = SensorSyncNode(context=context)
    try:
        assert [s for s in sync.subscriptions if s.topic_name == "/odometry"]
    finally:
        sync.close()
        sync.destroy_node()


def test_an_unknown_output_is_refused(context: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"no output 'plans'; there are: path, paths"):
        PlannerNode(context=context, parameter_overrides=awaiting("plans"))


@pytest.mark.parametrize("word", ["", ":2", "paths:", "paths:0", "paths:-1", "paths:x"])
def test_a_malformed_word_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="is not TOPIC or TOPIC:COUNT"):
        parse_awaited("await_subscribers", [word])


def test_words_are_read() -> None:
    assert parse_awaited("x", ["/odometry:2", "frame"]) == (Awaited("/odometry", 2), Awaited("frame", 1))
